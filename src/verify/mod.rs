//! What a server really serves, seen by a TLS handshake and judged.
//!
//! A reload's exit code proves nothing; only a fresh handshake does. [`handshake()`] makes one, after
//! the STARTTLS dialogue where there is one, and reports what was served without any opinion; [`ask()`]
//! looks a second time where a server shows another kind of key than is asked for.
//! [`verify`] repeats it with back-off and judges: the leaf, the chain as served, names, dates and
//! trust. Nothing here changes a host, reads a playbook or prints; bytes from a server are bounded
//! and made printable before they appear in a message.

mod ask;
mod beyond;
mod chain;
mod client;
mod dial;
mod handshake;
mod offer;
mod otherwise;
mod probe;
mod recorder;
mod refusal;
mod starttls;
mod trust;
mod verdict;

pub use ask::ask;
pub use beyond::beyond_judging;
pub(crate) use chain::missing_issuer;
pub(crate) use client::{ClientPair, TlsClient};
pub(crate) use dial::Onwards;
pub use dial::{Dial, Resolving, Stream, Tcp};
pub use handshake::handshake;
pub(crate) use handshake::not_connected;
pub use probe::{Phase, Probe, Served, SignatureChoice};
pub use refusal::{ConnectFailure, Refusal};
pub use trust::Roots;
pub use verdict::{Attempt, Expectation, Patience, Seen, Verdict, verify};
