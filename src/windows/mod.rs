//! Windows over OpenSSH: the programs that PowerShell runs there, what they are asked, and what their answers mean.
//!
//! The programs are constant texts (`ps1/`); [`wire`] puts one of them with its request on a standard input, and finds the
//! answer in what a console prints. Nothing here connects to anything or decides about a rollout: that is the target's part
//! (`engine/rollout/targets/windows`).

mod answer;
mod http_sys;
mod program;
mod thumbprint;
pub(crate) mod wire;

pub(crate) use answer::{Begun, Done, Refused, Seen, Undone, Use};
pub(crate) use http_sys::{HttpEntry, entries};
pub(crate) use program::Program;
pub(crate) use thumbprint::Thumbprint;
