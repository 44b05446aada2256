//! Ansible inventories: hosts, groups, variables and host patterns.
