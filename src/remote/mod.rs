//! The program that runs on the host: requests, the shell text, and replies.
//!
//! One exec channel carries one POSIX `sh` program ([`program`]), its request and, for a
//! transaction, the file bodies and the verdicts. Replies are lines `@certroll1 NONCE KIND key=value…`
//! with exactly one terminal line; everything else on the channel is noise. What a host answers is
//! untrusted: lines, totals and counts are bounded, other nonces are ignored, digests are compared.
//! `docs/transaction.md` explains the protocol.
#![expect(
    clippy::result_large_err,
    reason = "one per conversation with a host: its size is nothing"
)]

pub(crate) mod command;
mod conversation;
mod encode;
pub(crate) mod error;
mod heartbeat;
mod inspect;
pub(crate) mod module;
mod packed;
pub(crate) mod program;
mod sealing;
pub(crate) mod transaction;

pub use conversation::Shell;
pub use error::RemoteError;
pub(crate) use inspect::inspect_only_in;
pub use inspect::{inspect, inspect_in};
pub use program::{BOOTSTRAP, READY, launch};
pub use transaction::Transaction;
pub(crate) use transaction::recover;
