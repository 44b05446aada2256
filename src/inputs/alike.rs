//! What is wanted of a host like of one before: held once for both.

use crate::plan::request::CertificateRequest;
use crate::plan::variants::Variants;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// As many tasks and items of loops find their like.
const KEPT: usize = 32;

/// What was wanted lately, each wish once, for as long as its host holds it: keys are wiped with the last host's copy.
#[derive(Debug, Default)]
pub struct Alike(Mutex<VecDeque<(Weak<CertificateRequest>, Weak<Variants>)>>);

impl Alike {
    /// The same, sharing what it has in common with the same task of a host before.
    pub fn hold(
        &self,
        mut wanted: CertificateRequest,
        mut variants: Variants,
    ) -> (Arc<CertificateRequest>, Arc<Variants>) {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|(request, _)| request.strong_count() > 0);
        let same = lately.iter().position(|(request, _)| {
            request.upgrade().is_some_and(|request| request.certificate == wanted.certificate)
        });
        // Tasks that differ may have their services in common.
        if let Some((request, known)) = lately.get(same.unwrap_or(0))
            && let (Some(request), Some(known)) = (request.upgrade(), known.upgrade())
        {
            wanted.certificate.hold_with(&request.certificate);
            variants.hold_with(&known);
        }
        let (wanted, variants) = (Arc::new(wanted), Arc::new(variants));
        if same.is_none() {
            lately.push_front((Arc::downgrade(&wanted), Arc::downgrade(&variants)));
            lately.truncate(KEPT);
        }
        (wanted, variants)
    }
}
