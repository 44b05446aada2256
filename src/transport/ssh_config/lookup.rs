//! What is asked of a configuration, and what it answers.

use super::controller::Controller;
use super::parse::Entry;
use super::settings::Settings;
use std::collections::HashMap;
use std::sync::Mutex;

/// The files of a configuration, read.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) controller: Controller,
    /// Each file's entries: the user's, the system's.
    pub(super) files: Vec<Vec<Entry>>,
    /// Results of `Match exec` by command: hosts that share one share its run.
    pub(super) executed: Mutex<HashMap<String, bool>>,
}

/// What holds for a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// The name or address to connect to: `HostName` expanded, or the host as asked for; lower-case.
    pub host: String,
    /// All other values.
    pub settings: Settings,
}
