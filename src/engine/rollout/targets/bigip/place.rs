//! Which entry of which device a task is about, and what the last look at it showed.

use super::looked::Looked;
use crate::engine::connection::HostConnection;
use crate::host::StateDirs;
use crate::playbook::certificate::ClientSslProfile;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the device keeps what is under way and what was: on a disk that stays.
const STATE: &str = "/shared/certroll";

/// The entry that a certificate task names.
pub(in crate::engine::rollout::targets) struct BigIp {
    pub(super) connection: HostConnection,
    /// What is under way there, and what was.
    pub(super) directory: String,
    pub(super) wanted: ClientSslProfile,
    /// What the last look showed: a change holds only while it is still so.
    looked: Mutex<Option<Arc<Looked>>>,
}

impl BigIp {
    pub(in crate::engine::rollout::targets) fn new(
        connection: HostConnection,
        dirs: Option<StateDirs>,
        wanted: ClientSslProfile,
    ) -> Self {
        let own = dirs.and_then(|dirs| dirs.state.to_str().map(|path| format!("{path}/bigip")));
        let directory = own.unwrap_or_else(|| STATE.to_owned());
        Self { connection, directory, wanted, looked: Mutex::default() }
    }

    pub(super) fn remember(&self, looked: Looked) {
        let mut slot = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Arc::new(looked));
    }

    pub(super) fn last_look(&self) -> Option<Arc<Looked>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
