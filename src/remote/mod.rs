//! The program that runs on the host: requests, the shell text, and replies.
//!
//! One exec channel carries one POSIX `sh` program ([`program`]), its request and, for a
//! transaction, the file bodies and the verdicts. Replies are lines `@certroll1 NONCE KIND key=value…`
//! with exactly one terminal line; everything else on the channel is noise. What a host answers is
//! untrusted: lines, totals and counts are bounded, other nonces are ignored, digests are compared.
//! `docs/transaction.md` explains the protocol.
#![allow(
    clippy::result_large_err,
    reason = "one per conversation with a host: its size is nothing"
)]

pub mod command;
mod conversation;
pub mod error;
mod inspect;
pub mod program;
mod pulse;
pub mod reports;
pub mod request;
pub mod transaction;

pub use command::run as run_command;
pub use error::{RemoteError, RolledBack, ServiceBack, StepFailure};
pub use inspect::inspect;
pub use program::{BOOTSTRAP, READY, launch};
pub use reports::{
    Committed, Done, Recovered, RecoveredEnd, Reload, Staged, Validation, ValidationWay,
};
pub use request::{
    Attributes, BootRecipe, CommandRequest, Content, FileChange, FileRole, InspectCommand,
    InspectRequest, InspectVariant, Limits, NewDirectory, RunningCheck, ServiceCommands, StateDirs,
    TimedCommand, TransactionId, TransactionRequest, ValidateStep, ValidateVia,
};
pub use transaction::{Transaction, recover};
