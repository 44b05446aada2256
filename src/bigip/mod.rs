//! What is said to a BIG-IP and what it answers: `tmsh` over SSH. Written from documents and public programs
//! (`docs/bigip.md` names them), and never run on the real thing.
//!
//! One constant program (`device.sh`) runs in the device's shell; this room writes its orders and reads its answers.
//! What `tmsh` prints is untrusted, and its exit code says nothing: errors are told by their words.

mod name;
mod order;
mod tmsh;

pub(crate) use name::{Dated, is_name};
pub(crate) use order::{Answers, Orders, PROGRAM};
pub(crate) use tmsh::{
    Entry, Profile, complaint, fingerprint, is_active, is_in_sync, is_running, status,
};
