//! What needs programs of this machine and no SSH: shells and their tools, openssl, Ansible, servers on free ports.

#[path = "../common/mod.rs"]
mod common;

mod ansible;
mod completion;
mod contents;
mod injection;
mod inspect;
mod material;
mod transaction;
mod transaction_crash;
mod transaction_property;
mod vault;
mod verify_openssl;
mod verify_services;
