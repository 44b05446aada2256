//! A keystore of a bundle: one entry with key, leaf and chain, as OpenSSL and Java read it.
//!
//! Salts are derived from the key, so that equal material gives equal bytes: a run that has nothing to change finds
//! nothing changed. They are as good as random ones to whoever does not have the key.

use super::asn1::{ZERO, ZERO_OCTETS, joined};
use super::{CERTIFICATE_BAG, DATA, ENCRYPTED_DATA, SHROUDED_KEY_BAG, X509, mac, pbes1};
use crate::material::Bundle;
use crate::model::Secret;
use aws_lc_rs::hmac;
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::{self, Encode, Tag};
use pkcs8::pkcs5::pbes2::Parameters;

const PBES2: Oid = Oid::new_unwrap("1.2.840.113549.1.5.13");
const FRIENDLY_NAME: Oid = Oid::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: Oid = Oid::new_unwrap("1.2.840.113549.1.9.21");
/// As Java's own `java.security` has it.
const ROUNDS: u32 = 10_000;

/// What makes a password or an alias one that no Java opens a keystore with; `None`: it will do.
pub fn password_problem(password: &str, alias: &str) -> Option<&'static str> {
    let printable = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if password.is_empty() {
        Some("the password of a keystore is empty")
    } else if !printable(password) {
        Some("the password of a keystore takes printable ASCII only: Java opens it with no other")
    } else if alias.is_empty() || !printable(alias) {
        Some("the alias of a keystore takes printable ASCII only")
    } else {
        None
    }
}

/// The keystore; `None` without a key, or where its parts cannot be encoded, which no bundle that was checked and no
/// password without a [`password_problem`] leads to.
pub fn write(bundle: &Bundle, password: &str, alias: &str) -> Option<Secret<Vec<u8>>> {
    sealed(bundle, password, alias, Sealing::Aes)
}

/// The same for readers that know nothing newer than triple DES and SHA-1, as old releases of Windows.
pub(crate) fn write_for_old(
    bundle: &Bundle,
    password: &str,
    alias: &str,
) -> Option<Secret<Vec<u8>>> {
    sealed(bundle, password, alias, Sealing::TripleDes)
}

/// What certificates and key are encrypted with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sealing {
    /// AES-256 under PBKDF2 with SHA-256, and a digest with SHA-256.
    Aes,
    /// Triple DES and a digest with SHA-1 (RFC 7292 appendices B and C).
    TripleDes,
}

fn sealed(
    bundle: &Bundle,
    password: &str,
    alias: &str,
    sealing: Sealing,
) -> Option<Secret<Vec<u8>>> {
    let key = bundle.key.as_ref()?.pkcs8()?;
    let seed = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let maker = Maker { bundle, password, alias, seed, sealing };
    maker.pfx(&key).ok().map(Secret::new)
}

struct Maker<'a> {
    bundle: &'a Bundle,
    password: &'a str,
    alias: &'a str,
    seed: hmac::Key,
    sealing: Sealing,
}

impl Maker<'_> {
    fn pfx(&self, key: &[u8]) -> der::Result<Vec<u8>> {
        let mut bags = self.certificate(&self.bundle.leaf.der, &self.attributes()?)?;
        for issuer in &self.bundle.chain {
            bags.extend(self.certificate(&issuer.der, &[])?);
        }
        let bags = joined(Tag::Sequence, &[&bags])?;
        let (algorithm, encrypted) = self.encrypted("certificates", &bags)?;
        let encrypted = joined(ZERO_OCTETS, &[&encrypted])?;
        let info = joined(Tag::Sequence, &[&DATA.to_der()?, &algorithm, &encrypted])?;
        let certificates = joined(Tag::Sequence, &[&0_u8.to_der()?, &info])?;

        let (algorithm, encrypted) = self.encrypted("key", key)?;
        let encrypted = joined(Tag::OctetString, &[&encrypted])?;
        let key = joined(Tag::Sequence, &[&algorithm, &encrypted])?;
        let key = bag(SHROUDED_KEY_BAG, &key, &self.attributes()?)?;
        let key = joined(Tag::OctetString, &[&joined(Tag::Sequence, &[&key])?])?;

        let safes = [content(ENCRYPTED_DATA, &certificates)?, content(DATA, &key)?].concat();
        let safes = joined(Tag::Sequence, &[&safes])?;
        let salt = self.salt("digest");
        let hash = match self.sealing {
            Sealing::Aes => mac::Hash::Sha256,
            Sealing::TripleDes => mac::Hash::Sha1,
        };
        let digest = mac::made(&safes, self.password, &salt[..20], ROUNDS, hash)?;
        let safes = content(DATA, &joined(Tag::OctetString, &[&safes])?)?;
        joined(Tag::Sequence, &[&3_u8.to_der()?, &safes, &digest])
    }

    fn certificate(&self, der: &[u8], attributes: &[u8]) -> der::Result<Vec<u8>> {
        let certificate = joined(ZERO, &[&joined(Tag::OctetString, &[der])?])?;
        let value = joined(Tag::Sequence, &[&X509.to_der()?, &certificate])?;
        bag(CERTIFICATE_BAG, &value, attributes)
    }

    /// The entry's name, and what ties the key to its certificate.
    fn attributes(&self) -> der::Result<Vec<u8>> {
        let name: Vec<u8> = self.alias.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let name = joined(Tag::BmpString, &[&name])?;
        let id = &self.bundle.leaf.fingerprint.as_bytes()[..20];
        let id = joined(Tag::OctetString, &[id])?;
        let attribute = |kind: Oid, value: &[u8]| {
            joined(Tag::Sequence, &[&kind.to_der()?, &joined(Tag::Set, &[value])?])
        };
        let mut both = [attribute(FRIENDLY_NAME, &name)?, attribute(LOCAL_KEY_ID, &id)?];
        // DER has the members of a SET OF in order.
        both.sort();
        joined(Tag::Set, &[&both.concat()])
    }

    /// The algorithm with its parameters, and what it made of `plain`.
    fn encrypted(&self, what: &str, plain: &[u8]) -> der::Result<(Vec<u8>, Vec<u8>)> {
        if self.sealing == Sealing::TripleDes {
            return pbes1::seal(self.password, &self.salt(what)[..8], ROUNDS, plain);
        }
        let odd = |_| der::Error::from(der::ErrorKind::Failed);
        let (salt, iv) = (self.salt(what), self.salt(&format!("{what}, iv")));
        let iv = iv[..16].try_into().map_err(|_| der::ErrorKind::Failed)?;
        let parameters =
            Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt[..16], iv).map_err(odd)?;
        let encrypted = parameters.encrypt(self.password, plain).map_err(odd)?;
        let algorithm = joined(Tag::Sequence, &[&PBES2.to_der()?, &parameters.to_der()?])?;
        Ok((algorithm, encrypted))
    }

    /// 32 bytes that are the same for the same key, certificates, password and name, and for nothing else.
    fn salt(&self, purpose: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.seed);
        let mut add = |part: &[u8]| {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        };
        for part in ["certroll keystore", purpose, self.password, self.alias] {
            add(part.as_bytes());
        }
        add(&self.bundle.leaf.der);
        self.bundle.chain.iter().for_each(|issuer| add(&issuer.der));
        let mut salt = [0; 32];
        salt.copy_from_slice(context.sign().as_ref());
        salt
    }
}

fn bag(kind: Oid, value: &[u8], attributes: &[u8]) -> der::Result<Vec<u8>> {
    joined(Tag::Sequence, &[&kind.to_der()?, &joined(ZERO, &[value])?, attributes])
}

/// A `ContentInfo`.
fn content(kind: Oid, value: &[u8]) -> der::Result<Vec<u8>> {
    joined(Tag::Sequence, &[&kind.to_der()?, &joined(ZERO, &[value])?])
}
