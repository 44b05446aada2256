//! What is wanted of a host like of the one before: held once for both.

use crate::plan::request::CertificateRequest;
use crate::plan::variants::Variants;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What was wanted last, for as long as that host holds it: keys are wiped with the last host's copy.
#[derive(Debug, Default)]
pub(super) struct Alike(Mutex<(Weak<CertificateRequest>, Weak<Variants>)>);

impl Alike {
    /// The same, sharing what it has in common with what was wanted last.
    pub(super) fn hold(
        &self,
        mut wanted: CertificateRequest,
        mut variants: Variants,
    ) -> (Arc<CertificateRequest>, Arc<Variants>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(request), Some(known)) = (last.0.upgrade(), last.1.upgrade()) {
            wanted.certificate.hold_with(&request.certificate);
            variants.hold_with(&known);
        }
        let (wanted, variants) = (Arc::new(wanted), Arc::new(variants));
        *last = (Arc::downgrade(&wanted), Arc::downgrade(&variants));
        (wanted, variants)
    }
}
