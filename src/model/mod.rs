//! The vocabulary of the whole program: small values that cannot be wrong.
//!
//! Nothing here reads a file, a clock or a network.

pub(crate) mod backoff;
pub(crate) mod command;
pub(crate) mod endpoint;
pub(crate) mod file_action;
pub(crate) mod fingerprint;
pub(crate) mod glob;
pub(crate) mod guarantee;
pub(crate) mod host;
pub(crate) mod mode;
pub(crate) mod outcome;
pub(crate) mod remote_path;
pub(crate) mod secret;
pub(crate) mod shard;
pub(crate) mod shared;
pub(crate) mod text;
pub(crate) mod time;

pub use backoff::Backoff;
pub use command::CommandLine;
pub(crate) use endpoint::Via;
pub use endpoint::{Endpoint, StartTls};
pub use file_action::FileAction;
pub use fingerprint::Fingerprint;
pub(crate) use guarantee::Guarantee;
pub use host::HostName;
pub use mode::FileMode;
pub use outcome::{Outcome, Step};
pub use remote_path::RemotePath;
pub use secret::Secret;
pub(crate) use shard::Shard;
pub use shared::Shared;
pub use time::Timestamp;
pub(crate) use time::Validity;
