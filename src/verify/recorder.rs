//! The verifier inside the handshake: keeps what was served and checks one thing only, that the
//! server holds the key of the leaf. Whether the certificate is the right one is judged later, so
//! that a wrong, expired or self-made one is still seen and named.

use crate::verify::probe::SignatureChoice;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What the handshake showed.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// As served, leaf first.
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) ocsp_stapled: bool,
    /// Set when the signature over the handshake was right: the protocol in which it was made.
    pub(super) proven: Option<&'static str>,
    /// A signature was there and wrong.
    pub(super) bad_signature: bool,
    pub(super) wants_client_certificate: bool,
}

#[derive(Debug)]
pub(super) struct Recorder {
    provider: Arc<CryptoProvider>,
    choice: SignatureChoice,
    recording: Mutex<Recording>,
}

impl Recorder {
    pub(super) fn new(provider: Arc<CryptoProvider>, choice: SignatureChoice) -> Self {
        Self { provider, choice, recording: Mutex::default() }
    }

    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        self.provider.clone()
    }

    pub(super) fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        protocol: &'static str,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.supported_verify_schemes().contains(&signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        match self.signature_fits(message, leaf, signed) {
            Ok(()) => {
                self.recording().proven = Some(protocol);
                Ok(HandshakeSignatureValid::assertion())
            }
            Err(error) => {
                self.recording().bad_signature = error == CertificateError::BadSignature.into();
                Err(error)
            }
        }
    }

    /// Takes the key straight from the certificate, so that one that webpki would not read as an
    /// end entity (version 1, unknown critical extension) is seen as well.
    fn signature_fits(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<(), Error> {
        let (_, leaf) =
            X509Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let key = SubjectPublicKeyInfoDer::from(leaf.public_key().raw);
        let key = webpki::RawPublicKeyEntity::try_from(&key)
            .map_err(|_| CertificateError::BadEncoding)?;
        let algorithms = self.provider.signature_verification_algorithms.mapping;
        let usable = algorithms.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let usable = usable.flat_map(|(_, algorithms)| *algorithms).copied();
        let mut of_this_key = false;
        for algorithm in usable {
            match key.verify_signature(algorithm, message, signed.signature()) {
                Ok(()) => return Ok(()),
                Err(webpki::Error::InvalidSignatureForPublicKey) => of_this_key = true,
                Err(_) => {}
            }
        }
        if of_this_key && rsa_bits(&leaf).is_some_and(|bits| bits < 2048) {
            return Err(Error::General(
                "the served RSA key is shorter than 2048 bits and cannot be verified".into(),
            ));
        }
        // No algorithm for the key at all: an RSA certificate with a signature by an EC key.
        Err(CertificateError::BadSignature.into())
    }
}

fn rsa_bits(leaf: &X509Certificate<'_>) -> Option<usize> {
    match leaf.public_key().parsed().ok()? {
        x509_parser::public_key::PublicKey::RSA(key) => Some(key.key_size()),
        _ => None,
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut recording = self.recording();
        recording.chain =
            std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
        recording.ocsp_stapled = !ocsp_response.is_empty();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, leaf, signed, "TLSv1.2")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 §4.2.3: PKCS#1 signs certificates, never the handshake.
        if is_pkcs1(signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.check(message, leaf, signed, "TLSv1.3")
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let all = self.provider.signature_verification_algorithms.supported_schemes();
        all.into_iter().filter(|scheme| self.choice.offers(*scheme)).collect()
    }
}

/// Has no certificate to show and remembers that one was asked for.
impl ResolvesClientCert for Recorder {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.recording().wants_client_certificate = true;
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl SignatureChoice {
    fn offers(self, scheme: SignatureScheme) -> bool {
        let rsa = is_pkcs1(scheme)
            || matches!(
                scheme,
                SignatureScheme::RSA_PSS_SHA256
                    | SignatureScheme::RSA_PSS_SHA384
                    | SignatureScheme::RSA_PSS_SHA512
            );
        let ed25519 = scheme == SignatureScheme::ED25519;
        let ml_dsa = matches!(
            scheme,
            SignatureScheme::ML_DSA_44 | SignatureScheme::ML_DSA_65 | SignatureScheme::ML_DSA_87
        );
        match self {
            Self::Any => true,
            Self::Rsa => rsa,
            Self::Ecdsa => !rsa && !ed25519 && !ml_dsa,
            Self::Ed25519 => ed25519,
            Self::MlDsa => ml_dsa,
        }
    }
}

fn is_pkcs1(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    )
}
