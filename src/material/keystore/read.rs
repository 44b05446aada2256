//! From a keystore to PEM: its certificates, and its key.

use super::{DATA, ENCRYPTED_DATA, mac};
use crate::material::error::MaterialError;
use crate::material::pem;
use crate::material::pkcs12_kdf::{Purpose, derive};
use crate::material::private_key::{Problem, Sealed};
use crate::model::Secret;
use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY as SHA1;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, InnerIvInit};
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{self, Decode, Encode};
use pkcs12::cms::content_info::ContentInfo;
use pkcs12::cms::encrypted_data::EncryptedData;
use pkcs12::pbe_params::{EncryptedPrivateKeyInfo, Pkcs12PbeParams};
use pkcs12::pfx::Pfx;
use pkcs12::safe_bag::SafeContents;
use pkcs12::{AuthenticatedSafe, CertBag};
use zeroize::{Zeroize, Zeroizing};

/// What OpenSSL before 3, Java before 8u301 and Windows encrypt the certificates with.
const RC2_40: Oid = Oid::new_unwrap("1.2.840.113549.1.12.1.6");
const MOST_ROUNDS: i32 = 10_000_000;

/// A keystore's content as PEM.
pub struct Opened {
    /// Every certificate, in the keystore's order.
    pub certificates: Vec<u8>,
    /// Its keys, one as a rule; `None` without any.
    pub key: Option<Secret<Vec<u8>>>,
}

/// Opens a keystore; its bytes may also be written as base64.
///
/// # Errors
/// It is none, the password is wrong or missing, or it is encrypted in a way that is not supported.
pub fn open(
    file: &Secret<Vec<u8>>,
    password: Option<&Secret<String>>,
) -> Result<Opened, MaterialError> {
    let bytes = binary(file.expose());
    let empty = Secret::new(String::new());
    let given = password.unwrap_or(&empty);
    let pfx = Pfx::from_der(&bytes).map_err(|_| MaterialError::NotKeystore)?;
    if pfx.auth_safe.content_type != DATA {
        return Err(MaterialError::UnsupportedKeystore(
            "it is signed, not sealed by a password".into(),
        ));
    }
    let wrong = || match password {
        Some(_) => MaterialError::WrongKeystorePassword,
        None => MaterialError::KeystoreLocked,
    };
    let safes = pfx.auth_safe.content.value();
    if let Some(digest) = &pfx.mac_data {
        let right = mac::verify(digest, given.expose(), safes);
        if !right.map_err(MaterialError::UnsupportedKeystore)? {
            return Err(wrong());
        }
    }
    let mut found = Found { password: given, certificates: Vec::new(), keys: Zeroizing::default() };
    found.safes(safes).map_err(|problem| match problem {
        Trouble::Damaged => MaterialError::NotKeystore,
        Trouble::Locked => wrong(),
        Trouble::Unsupported(what) => MaterialError::UnsupportedKeystore(what),
    })?;
    if found.certificates.is_empty() {
        return Err(MaterialError::EmptyKeystore);
    }
    let keys = std::mem::take(&mut *found.keys);
    let key = (!keys.is_empty()).then(|| Secret::new(keys));
    Ok(Opened { certificates: found.certificates, key })
}

/// The bytes themselves, whether they are given so or as base64.
fn binary(given: &[u8]) -> Zeroizing<Vec<u8>> {
    if given.first() == Some(&0x30) {
        return Zeroizing::new(given.to_vec());
    }
    let text = given.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(text.collect());
    Zeroizing::new(STANDARD.decode(&*text).unwrap_or_default())
}

enum Trouble {
    Damaged,
    Locked,
    Unsupported(String),
}

impl From<der::Error> for Trouble {
    fn from(_: der::Error) -> Self {
        Self::Damaged
    }
}

struct Found<'a> {
    password: &'a Secret<String>,
    /// PEM.
    certificates: Vec<u8>,
    /// PEM.
    keys: Zeroizing<Vec<u8>>,
}

impl Found<'_> {
    fn safes(&mut self, der: &[u8]) -> Result<(), Trouble> {
        for safe in AuthenticatedSafe::from_der(der)? {
            self.safe(&safe)?;
        }
        Ok(())
    }

    fn safe(&mut self, safe: &ContentInfo) -> Result<(), Trouble> {
        let content = match safe.content_type {
            DATA => Zeroizing::new(safe.content.value().to_vec()),
            ENCRYPTED_DATA => {
                let data: EncryptedData = safe.content.decode_as()?;
                let info = data.enc_content_info;
                let encrypted = info.encrypted_content.ok_or(Trouble::Damaged)?;
                self.decrypted(&EncryptedPrivateKeyInfo {
                    encryption_algorithm: info.content_enc_alg,
                    encrypted_data: encrypted,
                })?
            }
            other => return Err(Trouble::Unsupported(format!("a part of the kind {other}"))),
        };
        for mut bag in SafeContents::from_der(&content)? {
            let taken = self.bag(bag.bag_id, AnyRef::from_der(&bag.bag_value)?.value());
            // It may be a key.
            bag.bag_value.zeroize();
            taken?;
        }
        Ok(())
    }

    fn bag(&mut self, kind: Oid, value: &[u8]) -> Result<(), Trouble> {
        match kind {
            pkcs12::PKCS_12_CERT_BAG_OID => {
                let bag = CertBag::from_der(value)?;
                if bag.cert_id == pkcs12::PKCS_12_X509_CERT_OID {
                    let der = bag.cert_value.as_bytes();
                    self.certificates.extend_from_slice(&pem::encode("CERTIFICATE", der));
                }
            }
            pkcs12::PKCS_12_KEY_BAG_OID => self.key(value),
            pkcs12::PKCS_12_PKCS8_KEY_BAG_OID => {
                let key = self.decrypted(&EncryptedPrivateKeyInfo::from_der(value)?)?;
                self.key(&key);
            }
            // Revocation lists and Java's secret keys are nobody's business here.
            _ => {}
        }
        Ok(())
    }

    fn key(&mut self, der: &[u8]) {
        let pem = pem::encode("PRIVATE KEY", der);
        // A vector that grows leaves its old bytes behind.
        let mut both = Zeroizing::new(Vec::with_capacity(self.keys.len() + pem.len()));
        both.extend_from_slice(&self.keys);
        both.extend_from_slice(&pem);
        self.keys = both;
    }

    fn decrypted(&self, sealed: &EncryptedPrivateKeyInfo) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        if sealed.encryption_algorithm.oid == RC2_40 {
            return self.by_rc2(sealed);
        }
        let der = sealed.to_der()?;
        let opened = Sealed::parse(&der).map_err(|problem| match problem {
            Problem::NotDer => Trouble::Damaged,
            Problem::Unsupported(what) => Trouble::Unsupported(what),
        })?;
        opened.open(self.password).ok_or(Trouble::Locked)
    }

    /// 40 bits: good enough for certificates, which are public.
    fn by_rc2(&self, sealed: &EncryptedPrivateKeyInfo) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let parameters = sealed.encryption_algorithm.parameters.as_ref().ok_or(Trouble::Damaged)?;
        let Pkcs12PbeParams { salt, iterations } = parameters.decode_as()?;
        let rounds =
            u32::try_from(iterations).ok().filter(|_| (1..=MOST_ROUNDS).contains(&iterations));
        let rounds = rounds.ok_or(Trouble::Damaged)?;
        let password = self.password.expose();
        let of =
            |purpose, length| derive(&SHA1, password, salt.as_bytes(), rounds, purpose, length);
        let cipher = rc2::Rc2::new_with_eff_key_len(&of(Purpose::Key, 5), 40);
        let mut plain = Zeroizing::new(sealed.encrypted_data.as_bytes().to_vec());
        let opener = cbc::Decryptor::inner_iv_slice_init(cipher, &of(Purpose::Iv, 8));
        let length = opener
            .map_err(|_| Trouble::Damaged)?
            .decrypt_padded::<Pkcs7>(&mut plain)
            .map_err(|_| Trouble::Locked)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}
