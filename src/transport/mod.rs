//! SSH sessions that run commands, and the same for the controller itself.
//!
//! A [`Connector`] turns a [`Target`] into a [`Session`]; [`Session::start`] (or [`local::start`])
//! runs a [`Launch`] and hands over its pipes as a [`Process`]. This layer moves bytes, becomes
//! another user, and knows nothing of certificates or of the script that it carries.

mod arguments;
mod auth;
pub mod become_user;
mod channel;
mod client;
mod command_line;
mod connect;
pub mod error;
pub mod exit;
mod greeting;
mod host_key;
pub mod launch;
pub mod local;
pub mod process;
mod prompt;
mod proxy;
mod pump;
pub mod resolve;
pub mod session;
pub mod shared;
pub mod ssh_config;
pub mod target;
pub mod tcp;

pub use become_user::{Become, Method};
pub use connect::Connector;
pub use error::{ConnectError, DialError, StartError};
pub use exit::Exit;
pub use launch::Launch;
pub use process::{Ending, Process, Stdin, Stdout};
pub use pump::{LinkLost, TooMuchOutput};
pub use resolve::{ConnectOptions, ConnectionPlan, Keywords, Route, target_from};
pub use session::{Session, Tunnel};
pub use shared::{HostError, SharedSession};
pub use ssh_config::{Controller, SshConfig};
pub use target::{AgentChoice, HostKeyChecking, Keepalive, Target};
