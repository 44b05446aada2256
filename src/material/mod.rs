//! Certificates, keys and what must hold between them, checked on the controller.
//!
//! Pure: bytes in, verdicts out; nothing here reads a file, a host or the clock. No service's own
//! check covers dates, the chain or names, and `nginx -t` accepts an RSA certificate with an EC
//! key, so [`check()`] is run for every bundle whatever the host can validate itself.

mod bundle;
mod certificate;
mod check;
mod error;
mod hashed;
pub(crate) mod keystore;
mod names;
mod pem;
mod pkcs12_kdf;
mod private_key;
mod public_key;
mod signature;

pub use bundle::Bundle;
pub use certificate::{Certificate, certificates_in, describe_diff, parse_certificates};
pub use check::{Input, check};
pub use error::{MaterialError, Note};
pub(crate) use names::covers;
pub use private_key::PrivateKey;
pub use public_key::PublicKey;
