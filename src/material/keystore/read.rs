//! From a keystore to PEM: its certificates, and its key.

use super::asn1::{first, inner, joined, parts};
use super::mac::Mac;
use super::{CERTIFICATE_BAG, DATA, ENCRYPTED_DATA, KEY_BAG, SHROUDED_KEY_BAG, X509};
use crate::material::error::MaterialError;
use crate::material::pem;
use crate::material::pkcs12_kdf::{MOST_ROUNDS, Purpose, derive};
use crate::material::private_key::{Problem, Sealed};
use crate::model::Secret;
use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY as SHA1;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, InnerIvInit};
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{self, Decode, Encode, Tag};
use zeroize::Zeroizing;

/// What OpenSSL before 3, Java before 8u301 and Windows encrypt the certificates with.
const RC2_40: Oid = Oid::new_unwrap("1.2.840.113549.1.12.1.6");

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
    let pfx = Pfx::read(&bytes).map_err(|_| MaterialError::NotKeystore)?;
    if pfx.kind != DATA {
        let why = "it is signed, not sealed by a password";
        return Err(MaterialError::UnsupportedKeystore(why.into()));
    }
    let wrong = || match password {
        Some(_) => MaterialError::WrongKeystorePassword,
        None => MaterialError::KeystoreLocked,
    };
    let safes = pfx.content.value();
    if let Some(mac) = &pfx.mac {
        let right = mac.fits(given.expose(), safes);
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

/// The outermost structure.
struct Pfx<'a> {
    kind: Oid,
    content: AnyRef<'a>,
    mac: Option<Mac<'a>>,
}

impl<'a> Pfx<'a> {
    fn read(bytes: &'a [u8]) -> der::Result<Self> {
        let whole = AnyRef::from_der(bytes)?;
        let [version, safe] = first(whole)?;
        if version.decode_as::<u8>()? != 3 {
            return Err(der::ErrorKind::Failed.into());
        }
        let [kind, content] = first(safe)?;
        let mac = parts(whole)?.get(2).map(|mac| Mac::read(*mac)).transpose()?;
        Ok(Self { kind: kind.decode_as()?, content: inner(content)?, mac })
    }
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
        for safe in parts(AnyRef::from_der(der)?)? {
            self.safe(safe)?;
        }
        Ok(())
    }

    fn safe(&mut self, safe: AnyRef<'_>) -> Result<(), Trouble> {
        let [kind, content] = first(safe)?;
        let (kind, content) = (kind.decode_as::<Oid>()?, inner(content)?);
        if kind == DATA {
            return self.bags(content.value());
        }
        if kind != ENCRYPTED_DATA {
            return Err(Trouble::Unsupported(format!("a part of the kind {kind}")));
        }
        let [_version, info] = first(content)?;
        let [_kind, algorithm, encrypted] = first(info)?;
        let bags = self.decrypted(algorithm, encrypted.value())?;
        self.bags(&bags)
    }

    fn bags(&mut self, der: &[u8]) -> Result<(), Trouble> {
        for bag in parts(AnyRef::from_der(der)?)? {
            let [kind, value] = first(bag)?;
            let value = inner(value)?;
            match kind.decode_as::<Oid>()? {
                CERTIFICATE_BAG => {
                    let [kind, certificate] = first(value)?;
                    if kind.decode_as::<Oid>()? == X509 {
                        let pem = pem::encode("CERTIFICATE", inner(certificate)?.value());
                        self.certificates.extend_from_slice(&pem);
                    }
                }
                KEY_BAG => self.key(&Zeroizing::new(value.to_der()?)),
                SHROUDED_KEY_BAG => {
                    let [algorithm, encrypted] = first(value)?;
                    let key = self.decrypted(algorithm, encrypted.value())?;
                    self.key(&key);
                }
                // Revocation lists and Java's secret keys are nobody's business here.
                _ => {}
            }
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

    fn decrypted(&self, algorithm: AnyRef<'_>, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let named = parts(algorithm)?;
        if let [kind, parameters] = named[..]
            && kind.decode_as::<Oid>()? == RC2_40
        {
            return self.by_rc2(parameters, data);
        }
        // As an encrypted key is written, whatever is inside.
        let data = joined(Tag::OctetString, &[data])?;
        let sealed = joined(Tag::Sequence, &[&algorithm.to_der()?, &data])?;
        let opened = Sealed::parse(&sealed).map_err(|problem| match problem {
            Problem::NotDer => Trouble::Damaged,
            Problem::Unsupported(what) => Trouble::Unsupported(what),
        })?;
        opened.open(self.password).ok_or(Trouble::Locked)
    }

    /// 40 bits: good enough for certificates, which are public.
    fn by_rc2(&self, parameters: AnyRef<'_>, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let [salt, rounds] = first(parameters)?;
        let rounds = rounds.decode_as::<u32>()?;
        if !(1..=MOST_ROUNDS).contains(&rounds) {
            return Err(Trouble::Damaged);
        }
        let (password, salt) = (self.password.expose(), salt.value());
        let of = |purpose, length| derive(&SHA1, password, salt, rounds, purpose, length);
        let cipher = rc2::Rc2::new_with_eff_key_len(&of(Purpose::Key, 5), 40);
        let mut plain = Zeroizing::new(data.to_vec());
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
