//! Which reference of which machine a task is about, and what the last look at it showed.

use crate::engine::connection::HostConnection;
use crate::material::{Bundle, Certificate};
use crate::playbook::certificate::{WindowsStore, WindowsUse};
use crate::windows::{Seen, Thumbprint};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// The store of a certificate task.
pub(in crate::engine::rollout::targets) struct Windows {
    pub(super) connection: HostConnection,
    pub(super) wanted: WindowsStore,
    /// What the last look showed: a change holds only while it is still so.
    looked: Mutex<Option<Arc<Seen>>>,
}

impl Windows {
    pub(in crate::engine::rollout::targets) fn new(
        connection: HostConnection,
        wanted: WindowsStore,
    ) -> Self {
        Self { connection, wanted, looked: Mutex::default() }
    }

    pub(super) fn remember(&self, seen: Seen) {
        let mut slot = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Arc::new(seen));
    }

    pub(super) fn last_look(&self) -> Option<Arc<Seen>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What refers to the certificate, for a program.
    pub(super) fn reference(&self) -> Value {
        match &self.wanted.used {
            WindowsUse::Iis { site, binding } => {
                json!({"kind": "iis", "site": site, "binding": binding})
            }
            WindowsUse::Rdp => json!({"kind": "rdp"}),
            WindowsUse::WinRm => json!({"kind": "winrm"}),
        }
    }

    /// The same, for people.
    pub(super) fn describe(&self) -> String {
        match &self.wanted.used {
            WindowsUse::Iis { site, binding } => format!("the https binding {binding} of '{site}'"),
            WindowsUse::Rdp => "Remote Desktop (RDP-tcp)".to_owned(),
            WindowsUse::WinRm => "the HTTPS listener of WinRM".to_owned(),
        }
    }

    /// The question what is there; without a certificate, about none in particular.
    pub(super) fn question(&self, wanted: Option<&Bundle>) -> Value {
        let new = wanted.map(|bundle| Thumbprint::of(&bundle.leaf.der).to_string());
        json!({
            "use": self.reference(),
            "store": self.wanted.store,
            "new": new.unwrap_or_default(),
            "chain": wanted.map(chain).unwrap_or_default(),
        })
    }
}

/// The thumbprints of a certificate's intermediates. A root among them stays here: it is nobody's to add.
pub(super) fn chain(bundle: &Bundle) -> Vec<String> {
    intermediates(bundle).map(|issuer| Thumbprint::of(&issuer.der).to_string()).collect()
}

/// The same as base64 of their DER.
pub(super) fn issuers(bundle: &Bundle) -> Vec<String> {
    intermediates(bundle).map(|issuer| STANDARD.encode(&issuer.der)).collect()
}

fn intermediates(bundle: &Bundle) -> impl Iterator<Item = &Certificate> {
    bundle.chain.iter().filter(|issuer| !issuer.is_self_issued())
}

/// The certificate that is named now, where it is in its store.
pub(super) fn leaf(seen: &Seen) -> Option<Certificate> {
    Certificate::from_der(&STANDARD.decode(&seen.leaf).ok()?)
}

/// The reference names what a change has brought that is neither confirmed nor undone yet; whose.
pub(super) fn unconfirmed(seen: &Seen) -> Option<&str> {
    let journal = seen.journal.as_ref()?;
    let named = seen.used.as_ref()?.thumbprint;
    (named.is_some() && journal.new.thumbprint == named).then_some(journal.by.as_str())
}

/// The reference names this certificate in the wanted store for good, with its key and its intermediates.
pub(super) fn is_done(target: &Windows, seen: &Seen, bundle: &Bundle) -> bool {
    let Some(used) = &seen.used else { return false };
    let store = used.store.as_deref().unwrap_or("My");
    let known =
        |thumbprint: &String| seen.chain.iter().any(|one| one.eq_ignore_ascii_case(thumbprint));
    used.thumbprint == Some(Thumbprint::of(&bundle.leaf.der))
        && store.eq_ignore_ascii_case(target.wanted.store)
        && seen.key
        && unconfirmed(seen).is_none()
        && chain(bundle).iter().all(known)
}
