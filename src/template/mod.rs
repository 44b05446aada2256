//! Jinja templates as Ansible renders them, over lazily resolved variables.
