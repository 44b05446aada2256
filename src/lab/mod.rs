//! An embedded fleet, in one process, behind real SSH and real TLS: for the demo and tests.
//!
//! Everything lies in one directory and listens on loopback; no root is needed. What is simulated
//! is the service of each host (a TLS server in this process); the SSH servers, the shells and
//! files behind them and the handshakes are real. Nothing is left behind: tasks end and programs
//! are ended when a [`Lab`] is stopped or dropped.

pub(crate) mod children;
mod control;
pub(crate) mod fault;
mod files;
pub(crate) mod fleet;
pub(crate) mod host;
mod inbox;
pub(crate) mod pki;
mod program;
pub(crate) mod service;
mod settings;
pub(crate) mod sshd;
pub(crate) mod story;
mod wire;
pub(crate) mod words;

pub use fault::Fault;
pub use fleet::Lab;
pub use host::Host;
