//! The rows of the planning table.
//!
//! The types live in `event`, because `-o json` carries the same data; here they are made from
//! what the plan knows.

pub use crate::event::planned::CertBrief;
pub(crate) use crate::event::planned::PlanRow;
use crate::material::Certificate;
use crate::model::Timestamp;

/// A certificate in a few words, as seen at `now`.
pub(crate) fn brief(certificate: &Certificate, now: Timestamp) -> CertBrief {
    let addresses = certificate.ip_addresses.iter().map(ToString::to_string);
    CertBrief {
        fingerprint: certificate.fingerprint,
        days_left: certificate.validity.days_left(now),
        serial: certificate.serial.clone(),
        subject: certificate.subject.clone(),
        names: certificate.dns_names.iter().cloned().chain(addresses).collect(),
        issuer: certificate.issuer.clone(),
        validity: certificate.validity,
        key: certificate.public_key.to_string(),
    }
}
