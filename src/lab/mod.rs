//! An embedded fleet, in one process, behind real SSH and real TLS: for the demo and tests.
//!
//! Everything lies in one directory and listens on loopback; no root is needed. What is simulated
//! is the service of each host (a TLS server in this process); the SSH servers, the shells and
//! files behind them and the handshakes are real. Nothing is left behind: tasks end and programs
//! are ended when a [`Lab`] is stopped or dropped.

pub mod children;
mod control;
pub mod fault;
mod files;
pub mod fleet;
pub mod host;
mod inbox;
pub mod pki;
mod program;
pub mod service;
mod settings;
pub mod sshd;
pub mod story;
mod wire;
pub mod words;

pub use children::Children;
pub use fault::Fault;
pub use fleet::Lab;
pub use host::Host;
pub use pki::{Authority, KeyKind, Validity};
pub use service::Service;
pub use sshd::{Access, Environment, Sshd};
