//! What a handshake offers: everything that the TLS library has, P-521 for the key exchange, and, to servers
//! that share none of it, suites and groups that are only good for seeing the certificate.
//!
//! In TLS 1.2 a server shows its certificate, and proves its key by a signature over the key exchange, before
//! anything is encrypted (RFC 5246 §7.3, §7.4.3). So [`Offer::Older`] names suites that nobody here can speak:
//! the server picks one, shows and proves, and the handshake ends there.

use crate::verify::probe::SignatureChoice;
use aws_lc_rs::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::rand::SystemRandom;
use rustls::crypto::aws_lc_rs::{self as provider, cipher_suite};
use rustls::crypto::{
    ActiveKeyExchange, CipherSuiteCommon, CryptoProvider, KeyExchangeAlgorithm, SharedSecret,
    SupportedKxGroup,
};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, Error, NamedGroup, PeerMisbehaved, SupportedCipherSuite, SupportedProtocolVersion,
    Tls12CipherSuite,
};
use std::sync::{Arc, LazyLock};

/// Which suites and groups are named to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Those that a handshake can be completed with.
    Usual,
    /// Those that others have, in TLS 1.2.
    Older,
}

impl Offer {
    pub(super) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        const USUAL: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        const OLDER: &[&SupportedProtocolVersion] = &[&TLS12];
        match self {
            Self::Usual => USUAL,
            Self::Older => OLDER,
        }
    }

    /// The cipher suites of TLS 1.2 are bound to a kind of key: those that do not fit are left out, for
    /// servers that choose their certificate by cipher.
    pub(super) fn provider(self, choice: SignatureChoice) -> Arc<CryptoProvider> {
        static USUAL: LazyLock<[Arc<CryptoProvider>; 3]> = LazyLock::new(|| by_key(&usual()));
        static OLDER: LazyLock<[Arc<CryptoProvider>; 3]> = LazyLock::new(|| by_key(&older()));
        let [any, rsa, ecdsa] = match self {
            Self::Usual => &*USUAL,
            Self::Older => &*OLDER,
        };
        Arc::clone(match choice {
            SignatureChoice::Any => any,
            SignatureChoice::Rsa => rsa,
            SignatureChoice::Ecdsa | SignatureChoice::Ed25519 | SignatureChoice::MlDsa => ecdsa,
        })
    }
}

/// With every suite; with those for RSA keys; with those for all other keys.
fn by_key(all: &CryptoProvider) -> [Arc<CryptoProvider>; 3] {
    let only = |kind: &str| {
        let mut provider = all.clone();
        provider.cipher_suites.retain(|suite| {
            suite.tls13().is_some()
                || suite.suite().as_str().is_some_and(|name| name.contains(kind))
        });
        Arc::new(provider)
    };
    [Arc::new(all.clone()), only("DHE_RSA"), only("ECDHE_ECDSA")]
}

fn usual() -> CryptoProvider {
    let mut provider = provider::default_provider();
    // X25519 and the hybrids first: their key share goes along with the hello.
    provider.kx_groups.extend([P521, provider::kx_group::SECP256R1MLKEM768]);
    provider
}

static P521: &dyn SupportedKxGroup = &Secp521r1;

/// ECDH on P-521 (RFC 8422), which rustls leaves out.
#[derive(Debug)]
struct Secp521r1;

impl SupportedKxGroup for Secp521r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let failed = |_| Error::General("no key for P-521 could be made".to_owned());
        let key = EphemeralPrivateKey::generate(&agreement::ECDH_P521, &SystemRandom::new())
            .map_err(failed)?;
        let public = key.compute_public_key().map_err(failed)?.as_ref().to_vec();
        Ok(Box::new(Secp521r1Exchange { key, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

struct Secp521r1Exchange {
    key: EphemeralPrivateKey,
    public: Vec<u8>,
}

impl ActiveKeyExchange for Secp521r1Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let misbehaved = Error::from(PeerMisbehaved::InvalidKeyShare);
        // TLS knows the uncompressed form alone (RFC 8446 §4.2.8.2).
        if peer.first() != Some(&4) {
            return Err(misbehaved);
        }
        let peer = UnparsedPublicKey::new(&agreement::ECDH_P521, peer);
        agreement::agree_ephemeral(self.key, peer, misbehaved, |secret| {
            Ok(SharedSecret::from(secret))
        })
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

/// Suites with CBC, CCM and DHE, by what they sign with. No RSA key exchange: it proves no key before the end.
const OLDER_RSA: [(CipherSuite, KeyExchangeAlgorithm); 13] = {
    use CipherSuite as Suite;
    use KeyExchangeAlgorithm::{DHE, ECDHE};
    [
        (Suite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384, ECDHE),
        (Suite::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, ECDHE),
        (Suite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, ECDHE),
        (Suite::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, ECDHE),
        (Suite::TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, DHE),
        (Suite::TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, DHE),
        (Suite::TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256, DHE),
        (Suite::TLS_DHE_RSA_WITH_AES_256_CCM, DHE),
        (Suite::TLS_DHE_RSA_WITH_AES_128_CCM, DHE),
        (Suite::TLS_DHE_RSA_WITH_AES_256_CBC_SHA256, DHE),
        (Suite::TLS_DHE_RSA_WITH_AES_128_CBC_SHA256, DHE),
        (Suite::TLS_DHE_RSA_WITH_AES_256_CBC_SHA, DHE),
        (Suite::TLS_DHE_RSA_WITH_AES_128_CBC_SHA, DHE),
    ]
};
const OLDER_ECDSA: [(CipherSuite, KeyExchangeAlgorithm); 8] = {
    use CipherSuite as Suite;
    use KeyExchangeAlgorithm::ECDHE;
    [
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_256_CCM, ECDHE),
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM, ECDHE),
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8, ECDHE),
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, ECDHE),
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384, ECDHE),
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, ECDHE),
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, ECDHE),
        (Suite::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, ECDHE),
    ]
};

/// The usual suites are here as well: with one of the groups that only others have.
fn older() -> CryptoProvider {
    let mut provider = provider::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_none());
    for (model, suites) in [
        (&cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, OLDER_RSA.as_slice()),
        (&cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, OLDER_ECDSA.as_slice()),
    ] {
        let SupportedCipherSuite::Tls12(model) = model else { continue };
        provider.cipher_suites.extend(suites.iter().map(|(suite, kx)| {
            let common = CipherSuiteCommon { suite: *suite, ..copy(&model.common) };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common,
                kx: *kx,
                prf_provider: model.prf_provider,
                sign: model.sign,
                aead_alg: model.aead_alg,
            })))
        }));
    }
    provider.kx_groups = GROUPS.iter().map(|group| group as &dyn SupportedKxGroup).collect();
    provider
}

fn copy(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    }
}

/// A group that is named and never used: the handshake ends where its key would be made.
#[derive(Debug)]
struct Named(NamedGroup);

static GROUPS: [Named; 8] = [
    Named(NamedGroup::X25519),
    Named(NamedGroup::secp256r1),
    Named(NamedGroup::secp384r1),
    Named(NamedGroup::secp521r1),
    Named(NamedGroup::X448),
    Named(NamedGroup::FFDHE2048),
    Named(NamedGroup::FFDHE3072),
    Named(NamedGroup::FFDHE4096),
];

impl SupportedKxGroup for Named {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Err(Error::General("the certificate has been seen".to_owned()))
    }

    fn name(&self) -> NamedGroup {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_keeps_the_suites_of_its_keys() {
        for offer in [Offer::Usual, Offer::Older] {
            let names = |choice| -> Vec<&'static str> {
                let provider = offer.provider(choice);
                provider.cipher_suites.iter().filter_map(|s| s.suite().as_str()).collect()
            };
            let (any, rsa) = (names(SignatureChoice::Any), names(SignatureChoice::Rsa));
            let ecdsa = names(SignatureChoice::Ecdsa);
            assert!(!rsa.iter().any(|name| name.contains("ECDSA")) && !rsa.is_empty());
            assert!(!ecdsa.iter().any(|name| name.contains("_RSA_")) && !ecdsa.is_empty());
            let of_13 = any.iter().filter(|name| name.starts_with("TLS13")).count();
            assert_eq!(of_13, if offer == Offer::Usual { 3 } else { 0 });
            assert_eq!(rsa.len() + ecdsa.len(), any.len() + of_13);
        }
    }

    #[test]
    fn both_sides_of_p521_agree() {
        let (ours, theirs) = (P521.start().unwrap(), P521.start().unwrap());
        let (our_key, their_key) = (ours.pub_key().to_vec(), theirs.pub_key().to_vec());
        let secret = ours.complete(&their_key).unwrap();
        assert_eq!(secret.secret_bytes(), theirs.complete(&our_key).unwrap().secret_bytes());
        assert!(P521.start().unwrap().complete(&[2; 67]).is_err());
    }
}
