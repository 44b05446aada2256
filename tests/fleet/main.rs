//! What needs real hosts: the script beside this file brings them up, each with a root, a network and
//! services of its own. They need root on Linux; everything else here is skipped without it, and fails in CI.

#[path = "../common/mod.rs"]
mod common;

mod chaos;
mod containers;
mod discover;
mod from_ansible;
mod releases;
mod rollout;
mod script;
mod services_rollout;
mod systemd;
mod window;
