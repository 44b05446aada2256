//! Ansible Vault: decrypting values and whole files.
