//! A keystore of a bundle: one entry with key, leaf and chain, as OpenSSL and Java read it.
//!
//! Salts are derived from the key, so that equal material gives equal bytes: a run that has nothing to change finds
//! nothing changed. They are as good as random ones to whoever does not have the key.

use super::{DATA, ENCRYPTED_DATA, mac};
use crate::material::Bundle;
use crate::model::Secret;
use aws_lc_rs::hmac;
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::{BmpString, OctetString, SetOfVec};
use pkcs8::der::{self, Any, Decode, Encode};
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs12::CertBag;
use pkcs12::cms::cert::x509::attr::{Attribute, Attributes};
use pkcs12::cms::cert::x509::spki::AlgorithmIdentifierOwned;
use pkcs12::cms::content_info::{CmsVersion, ContentInfo};
use pkcs12::cms::encrypted_data::EncryptedData;
use pkcs12::cms::enveloped_data::EncryptedContentInfo;
use pkcs12::pbe_params::EncryptedPrivateKeyInfo;
use pkcs12::pfx::{Pfx, Version};
use pkcs12::safe_bag::SafeBag;

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
    let key = bundle.key.as_ref()?.pkcs8()?;
    let seed = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let maker = Maker { bundle, password, alias, seed };
    maker.pfx(&key).ok().map(Secret::new)
}

struct Maker<'a> {
    bundle: &'a Bundle,
    password: &'a str,
    alias: &'a str,
    seed: hmac::Key,
}

impl Maker<'_> {
    fn pfx(&self, key: &[u8]) -> der::Result<Vec<u8>> {
        let mut bags = vec![self.certificate(&self.bundle.leaf.der, Some(self.attributes()?))?];
        for issuer in &self.bundle.chain {
            bags.push(self.certificate(&issuer.der, None)?);
        }
        let certificates = self.encrypted("certificates", &bags.to_der()?)?;
        let certificates = EncryptedData {
            version: CmsVersion::V0,
            enc_content_info: EncryptedContentInfo {
                content_type: DATA,
                content_enc_alg: certificates.encryption_algorithm,
                encrypted_content: Some(certificates.encrypted_data),
            },
            unprotected_attrs: None,
        };
        let key = SafeBag {
            bag_id: pkcs12::PKCS_12_PKCS8_KEY_BAG_OID,
            bag_value: self.encrypted("key", key)?.to_der()?,
            bag_attributes: Some(self.attributes()?),
        };
        let safes = vec![
            ContentInfo { content_type: ENCRYPTED_DATA, content: Any::encode_from(&certificates)? },
            data(&vec![key].to_der()?)?,
        ];
        let auth_safe = data(&safes.to_der()?)?;
        let salt = self.salt("digest");
        let content = auth_safe.content.value();
        let mac_data = Some(mac::made(content, self.password, &salt[..20], ROUNDS)?);
        Pfx { version: Version::V3, auth_safe, mac_data }.to_der()
    }

    fn certificate(&self, der: &[u8], attributes: Option<Attributes>) -> der::Result<SafeBag> {
        let bag =
            CertBag { cert_id: pkcs12::PKCS_12_X509_CERT_OID, cert_value: OctetString::new(der)? };
        Ok(SafeBag {
            bag_id: pkcs12::PKCS_12_CERT_BAG_OID,
            bag_value: bag.to_der()?,
            bag_attributes: attributes,
        })
    }

    /// The entry's name, and what ties the key to its certificate.
    fn attributes(&self) -> der::Result<Attributes> {
        let mut attributes = Attributes::new();
        let id = OctetString::new(&self.bundle.leaf.fingerprint.as_bytes()[..20])?;
        let name = BmpString::from_utf8(self.alias)?;
        for (oid, value) in
            [(FRIENDLY_NAME, Any::encode_from(&name)?), (LOCAL_KEY_ID, Any::encode_from(&id)?)]
        {
            let mut values = SetOfVec::new();
            values.insert(value)?;
            attributes.insert(Attribute { oid, values })?;
        }
        Ok(attributes)
    }

    fn encrypted(&self, what: &str, plain: &[u8]) -> der::Result<EncryptedPrivateKeyInfo> {
        let odd = |_| der::Error::from(der::ErrorKind::Failed);
        let (salt, iv) = (self.salt(what), self.salt(&format!("{what}, iv")));
        let iv = iv[..16].try_into().map_err(|_| der::ErrorKind::Failed)?;
        let parameters =
            Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt[..16], iv).map_err(odd)?;
        let encrypted = parameters.encrypt(self.password, plain).map_err(odd)?;
        Ok(EncryptedPrivateKeyInfo {
            encryption_algorithm: AlgorithmIdentifierOwned {
                oid: PBES2,
                parameters: Some(Any::from_der(&parameters.to_der()?)?),
            },
            encrypted_data: OctetString::new(encrypted)?,
        })
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

fn data(content: &[u8]) -> der::Result<ContentInfo> {
    let content = Any::encode_from(&OctetString::new(content)?)?;
    Ok(ContentInfo { content_type: DATA, content })
}
