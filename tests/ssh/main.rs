//! What needs an SSH server on this machine: a real sshd, the embedded fleet, or an enemy.

#[path = "../common/mod.rs"]
mod common;

mod demo;
mod faults;
mod lab;
mod plays;
mod transport;
mod transport_faults;
