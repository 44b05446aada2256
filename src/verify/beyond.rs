//! Certificates that no handshake can judge: the TLS library checks no signature by their key.

use crate::material::PublicKey;

/// The sizes of RSA keys by which the library checks signatures, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Kinds of key by their object identifier, as [`PublicKey`] displays those that it does not know.
const NAMES: [(&str, &str); 8] = [
    ("1.3.101.113", "Ed448"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10045.2.1 1.3.132.0.10", "EC secp256k1"),
    ("1.2.840.10045.2.1 1.3.132.0.33", "EC P-224"),
    ("1.2.840.10045.2.1 1.3.36.3.3.2.8.1.1.7", "EC brainpoolP256r1"),
    ("1.2.840.10045.2.1 1.3.36.3.3.2.8.1.1.11", "EC brainpoolP384r1"),
    ("1.2.840.10045.2.1 1.3.36.3.3.2.8.1.1.13", "EC brainpoolP512r1"),
];

/// Why no handshake can judge a certificate with this key, one line; `None`: one can.
pub fn beyond_judging(key: &PublicKey) -> Option<String> {
    let what = match key {
        PublicKey::Rsa { .. } => {
            let bits = key.rsa_bits().unwrap_or_default();
            if RSA_BITS.contains(&bits) {
                return None;
            }
            format!(
                "an RSA key of {bits} bits (from {} to {} it could)",
                RSA_BITS.start(),
                RSA_BITS.end()
            )
        }
        PublicKey::Ec { .. } | PublicKey::Ed25519(_) | PublicKey::MlDsa { .. } => return None,
        PublicKey::Other { algorithm, .. } => {
            let known = NAMES.iter().find(|(oid, _)| oid == algorithm);
            let name = known.map_or_else(
                || format!("of algorithm {algorithm}"),
                |(_, name)| (*name).to_owned(),
            );
            format!("a key of kind {name}")
        }
    };
    Some(format!("certroll's verifier cannot check a signature by {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_rsa_keys() {
        let of = |bits: usize| {
            let mut modulus = vec![0xff; bits.div_ceil(8)];
            modulus[0] = 0xff >> (modulus.len() * 8 - bits);
            beyond_judging(&PublicKey::Rsa { modulus, exponent: vec![1, 0, 1] })
        };
        for bits in [2048, 3072, 4096, 8192] {
            assert_eq!(of(bits), None, "{bits}");
        }
        for bits in [1024, 2047, 8193, 16384] {
            assert!(of(bits).is_some_and(|why| why.contains(&format!("{bits} bits"))), "{bits}");
        }
    }
}
