//! SSH sessions that run commands, and the same for the controller itself.
//!
//! A [`Connector`] turns a [`Target`] into a [`Session`]; [`Session::start`] (or [`local::start`])
//! runs a [`Launch`] and hands over its pipes as a [`Process`]. This layer moves bytes, becomes
//! another user, and knows nothing of certificates or of the script that it carries.

mod arguments;
mod auth;
pub(crate) mod become_user;
mod channel;
mod client;
mod command_line;
mod connect;
pub(crate) mod error;
pub(crate) mod exit;
mod greeting;
mod host_key;
pub(crate) mod launch;
pub(crate) mod local;
pub(crate) mod process;
mod prompt;
mod proxy;
mod pump;
pub(crate) mod resolve;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod ssh_config;
pub(crate) mod target;
pub(crate) mod tcp;

pub use become_user::{Become, Method};
pub use connect::Connector;
pub(crate) use error::DialError;
pub use error::{ConnectError, StartError};
pub use exit::Exit;
pub use launch::Launch;
pub use process::Process;
pub(crate) use process::{Ending, Stdin, Stdout};
pub use resolve::{ConnectOptions, Keywords, Route, target_from};
pub use session::Session;
pub(crate) use session::Tunnel;
pub use shared::{HostError, SharedSession};
pub use ssh_config::{Controller, SshConfig};
pub use target::{AgentChoice, HostKeyChecking, Keepalive, Target};
