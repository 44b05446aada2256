//! PKCS#12 keystores (RFC 7292), `.p12` and `.pfx`: read as a source, and written for services that want one.

mod mac;
mod read;
mod write;

pub use read::{Opened, open};
pub use write::{password_problem, write};

use pkcs8::ObjectIdentifier as Oid;

const DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.6");
