//! PKCS#12 keystores (RFC 7292), `.p12` and `.pfx`: read as a source, and written for services that want one.

mod asn1;
mod mac;
mod pbes1;
mod read;
mod write;

pub use read::{Opened, open};
pub(crate) use write::write_for_old;
pub use write::{password_problem, write};

use pkcs8::ObjectIdentifier as Oid;

/// Kinds of content (RFC 5652).
const DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.6");
/// Kinds of bag (RFC 7292 §4.2), and the one kind of certificate.
const KEY_BAG: Oid = Oid::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: Oid = Oid::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: Oid = Oid::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509: Oid = Oid::new_unwrap("1.2.840.113549.1.9.22.1");
