//! TLS for a conversation: a certificate that the roots do not lead to, or that is for another name, ends it.

use super::dial::Stream;
use super::trust::Roots;
use crate::model::{Secret, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
};
use std::io;
use std::sync::Arc;
use webpki::EndEntityCert;

/// What a client asks of a server, and shows it.
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
}

/// A certificate with its key, in PEM, for servers that ask for one.
pub(crate) struct ClientPair {
    /// The certificate, and its chain.
    pub cert: Secret<Vec<u8>>,
    /// The private key.
    pub key: Secret<Vec<u8>>,
}

impl TlsClient {
    /// A client that trusts these roots; `None`: every certificate whose key the server holds.
    ///
    /// # Errors
    /// Why the client's own pair cannot be used.
    pub(crate) fn new(roots: Option<Roots>, own: Option<&ClientPair>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let judge = Judge { provider: provider.clone(), roots };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let config = match own {
            None => config.with_no_client_auth(),
            Some(pair) => {
                let chain: Result<Vec<CertificateDer<'static>>, _> =
                    CertificateDer::pem_slice_iter(pair.cert.expose()).collect();
                let chain = chain.map_err(|_| "client_cert holds no certificate in PEM form")?;
                let key = PrivateKeyDer::from_pem_slice(pair.key.expose());
                let key = key.map_err(|_| "there is no private key in PEM form for client_cert")?;
                config.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
        };
        Ok(Self { config: Arc::new(config) })
    }

    /// Makes the handshake with the server of this name or address.
    ///
    /// # Errors
    /// Why it failed, in the words of an [`io::Error`].
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: Box<dyn Stream>,
    ) -> io::Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned());
        let name = name.map_err(|_| io::Error::other(format!("'{host}' is no server name")))?;
        let connector = tokio_rustls::TlsConnector::from(self.config.clone());
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

impl Stream for tokio_rustls::client::TlsStream<Box<dyn Stream>> {}

#[derive(Debug)]
struct Judge {
    provider: Arc<CryptoProvider>,
    roots: Option<Roots>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        let chain: Vec<Vec<u8>> =
            std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        roots
            .check(&chain, Timestamp::from_unix(now))
            .map_err(|untrusted| TlsError::General(untrusted.to_string()))?;
        let named = EndEntityCert::try_from(end_entity)
            .and_then(|leaf| leaf.verify_is_valid_for_subject_name(name));
        named.map_err(|_| TlsError::from(CertificateError::NotValidForName))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
