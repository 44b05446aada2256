//! ECDSA on P-521 with SHA-512, which ring does not have: a P-521 certificate can be deployed, so it
//! must be possible to see it served. In TLS 1.3 alone: TLS 1.2 wants the curve offered for the key
//! exchange as well (RFC 8422 §5.1), which is not worth having.

use p521::ecdsa::signature::Verifier;
use p521::ecdsa::{DerSignature, VerifyingKey};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

pub(super) static P521_SHA512: &dyn SignatureVerificationAlgorithm = &P521Sha512;

#[derive(Debug)]
struct P521Sha512;

impl SignatureVerificationAlgorithm for P521Sha512 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::try_from(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p521::ecdsa::SigningKey;
    use p521::ecdsa::signature::Signer;

    #[test]
    fn a_signature_is_of_its_message_and_key() {
        let key = |byte: u8| SigningKey::from_slice(&[[0; 2].as_slice(), &[byte; 64]].concat());
        let (key, other) = (key(7).unwrap(), key(8).unwrap());
        let signature: DerSignature = key.sign(b"message");
        let check = |key: &SigningKey, message: &[u8], signature: &[u8]| {
            let public = key.verifying_key().to_sec1_point(false);
            P521_SHA512.verify_signature(public.as_bytes(), message, signature).is_ok()
        };
        assert!(check(&key, b"message", signature.as_bytes()));
        assert!(!check(&key, b"other message", signature.as_bytes()));
        assert!(!check(&other, b"message", signature.as_bytes()));
        assert!(!check(&key, b"message", &signature.as_bytes()[1..]));
        assert!(
            P521_SHA512.verify_signature(b"no point", b"message", signature.as_bytes()).is_err()
        );
    }
}
