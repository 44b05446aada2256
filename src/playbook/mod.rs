//! Playbooks: plays and tasks, parsed with every error at once.
