//! Material made by the real openssl, and its verdicts beside ours.

mod bundles;
mod certificates;
mod damage;
mod keys;
mod keystores;
mod pki;

use certroll::testing::material::{Certificate, parse_certificates};

fn only(pem: &[u8]) -> Certificate {
    parse_certificates(pem).expect("parses").into_iter().next().expect("one")
}
