//! Bytes that are no material, or no longer.

use super::pki::{Case, Pki, now};
use certroll::testing::material::{
    Certificate, PrivateKey, PublicKey, certificates_in, describe_diff, parse_certificates,
};
use certroll::testing::model::Secret;
use proptest::prelude::*;

#[test]
fn damaged_bytes_never_panic() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    pki.openssl("pkey -traditional -aes128 -passout pass:x -in leaf.key -out old.key");
    pki.openssl("pkcs8 -topk8 -scrypt -scrypt_N 1024 -passout pass:x -in leaf.key -out new.key");
    let files =
        ["leaf.pem", "root.pem", "leaf.key", "old.key", "new.key"].map(|name| pki.read(name));
    let ders = ["x509 -in leaf.pem -outform DER", "pkey -in leaf.key -outform DER"]
        .map(|command| pki.openssl(command));
    let at = now();
    let passphrase = Secret::new("x".to_owned());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2000));
    let change = (0..5_usize, any::<prop::sample::Index>(), any::<u8>());
    runner
        .run(&change, |(which, place, byte)| {
            let mut file = files[which].clone();
            let place = place.index(file.len());
            file[place] = byte;
            let case = Case { now: at, ..Case::of(file.clone(), Secret::new(file.clone())) };
            let _ = case.run();
            let _ = certificates_in(&file);
            let _ = PrivateKey::from_pem(&Secret::new(file), Some(&passphrase));
            let mut der = ders[which % 2].clone();
            let place = place % der.len();
            der[place] = byte;
            if let Some(certificate) = Certificate::from_der(&der) {
                let _ = (certificate.summary(), describe_diff(None, &certificate));
            }
            Ok(())
        })
        .expect("no panic");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Certificate::from_der(&bytes);
        let _ = PublicKey::from_spki(&bytes);
        let _ = PublicKey::from_text(&String::from_utf8_lossy(&bytes));
        let _ = parse_certificates(&bytes);
        for label in ["CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            use base64::Engine as _;
            let body = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let pem = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes();
            let _ = Case { now: certroll::testing::model::Timestamp::from_unix(0), ..Case::of(pem.clone(), Secret::new(pem)) }.run();
        }
    }
}
