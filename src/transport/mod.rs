//! SSH sessions that run commands, and the same for the controller itself.
//!
//! A [`Connector`] turns a [`Target`] into a [`Session`]; [`Session::start`] (or [`local::start`])
//! runs a [`Launch`] and hands over its pipes as a [`Process`]. This layer moves bytes, becomes
//! another user, and knows nothing of certificates or of the script that it carries.

mod arguments;
mod auth;
mod channel;
mod client;
mod connect;
pub mod error;
mod greeting;
mod host_key;
pub mod launch;
pub mod local;
pub mod process;
mod proxy;
mod pump;
pub mod resolve;
pub mod session;
pub mod shared;
pub mod ssh_config;
pub mod target;
pub mod tcp;

pub use connect::Connector;
pub use error::{ConnectError, DialError, StartError};
pub use launch::{Become, Launch, Method};
pub use process::{Ending, Exit, Process, Stdin, Stdout};
pub use pump::{LinkLost, TooMuchOutput};
pub use resolve::{ConnectOptions, ConnectionPlan, Keywords, Route, target_from};
pub use session::{Session, Tunnel};
pub use shared::{HostError, SharedSession};
pub use ssh_config::{Controller, SshConfig};
pub use target::{AgentChoice, HostKeyChecking, Keepalive, Target};
