//! What needs a server on this machine: a real sshd, the embedded fleet, an enemy, or a cluster's API server.

#[path = "../common/mod.rs"]
mod common;

mod bigip;
mod demo;
mod faults;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod lab;
mod plays;
mod transport;
mod transport_faults;
mod windows;
