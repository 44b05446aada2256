//! The main job on real hosts: `certroll plan`, `apply` and `verify` against sshd, sudo, nginx and
//! postfix, judged by openssl's handshakes and by snapshots taken beside SSH.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod balancer;
mod bastion;
mod config_files;
mod examples;
mod failures;
mod leaks;
mod logins;
mod main_job;
mod recorded;
mod site;
