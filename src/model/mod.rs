//! The vocabulary of the whole program: small values that cannot be wrong.
//!
//! Nothing here reads a file, a clock or a network.

pub mod backoff;
pub mod command;
pub mod endpoint;
pub mod fingerprint;
pub mod guarantee;
pub mod host;
pub mod mode;
pub mod outcome;
pub mod remote_path;
pub mod secret;
pub mod shard;
pub mod text;
pub mod time;

pub use backoff::Backoff;
pub use command::CommandLine;
pub use endpoint::{Endpoint, StartTls, Via};
pub use fingerprint::Fingerprint;
pub use guarantee::Guarantee;
pub use host::HostName;
pub use mode::FileMode;
pub use outcome::{Outcome, Step};
pub use remote_path::{BadPath, RemotePath};
pub use secret::Secret;
pub use shard::Shard;
pub use time::{Timestamp, Validity};
