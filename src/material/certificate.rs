//! One certificate: what it says, and how two of them differ.

use super::error::{BlockProblem, MaterialError, Part};
use super::hashed::subject_hash;
use super::pem::{self, Block};
use super::public_key::PublicKey;
use super::signature::{Algorithm, Signed, Verdict};
use crate::model::text::printable;
use crate::model::{Fingerprint, Timestamp, Validity};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// A parsed X.509 certificate. Texts from it are printable: no control characters survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The whole certificate.
    pub der: Vec<u8>,
    /// As `C=DE, O=Example, CN=www.example.net`, in the certificate's order.
    pub subject: String,
    /// As [`subject`](Self::subject).
    pub issuer: String,
    /// Upper-case hex without separators, as `openssl x509 -serial` prints it.
    pub serial: String,
    /// DNS subject alternative names, as written.
    pub dns_names: Vec<String>,
    /// IP subject alternative names.
    pub ip_addresses: Vec<IpAddr>,
    /// The eight hex digits of its subject, under which OpenSSL looks for it in a directory: `DIR/9d66eef0.0`.
    pub subject_hash: String,
    /// First and last second.
    pub validity: Validity,
    /// Its key; displays as `EC P-256`, `RSA 2048`, `Ed25519`.
    pub public_key: PublicKey,
    /// SHA-256 of the DER.
    pub fingerprint: Fingerprint,
    /// DER of the SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Basic constraints say `CA:TRUE`.
    pub is_ca: bool,
    /// Path length constraint of a CA.
    pub path_length: Option<u32>,
    /// No extended key usage, or one with serverAuth (or any).
    pub for_servers: bool,
    pub(super) signed: Signed,
    subject_name: Name,
    issuer_name: Name,
}

/// A distinguished name in a form that compares as RFC 5280 §7.1 wants: without regard to
/// case, to inner blanks and to the string type.
type Name = Vec<(String, String)>;

/// Reads every certificate of a PEM file, in order. Text around the blocks is skipped, and so are
/// blocks of other kinds (`DH PARAMETERS`).
///
/// # Errors
/// The first problem: not PEM, a bad block, no certificate at all, or a private key among them.
pub fn parse_certificates(pem: &[u8]) -> Result<Vec<Certificate>, MaterialError> {
    let mut found = read(Part::Certificate, pem);
    if found.problems.is_empty() && !found.keys.is_empty() {
        found.problems.append(&mut found.keys);
    }
    match found.problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(found.certificates),
    }
}

/// The certificates of a file as found on a host (perhaps without the key that was filtered out
/// there). What does not parse is skipped: the file may be anything.
pub fn certificates_in(bytes: &[u8]) -> Vec<Certificate> {
    read(Part::Certificate, bytes).certificates
}

/// Everything that a certificate file holds.
pub(super) struct Contents {
    pub(super) certificates: Vec<Certificate>,
    pub(super) problems: Vec<MaterialError>,
    /// One [`MaterialError::KeyAmongCertificates`] for each private key.
    pub(super) keys: Vec<MaterialError>,
    /// Labels of blocks of other kinds.
    pub(super) ignored: Vec<String>,
}

pub(super) fn read(part: Part, text: &[u8]) -> Contents {
    let mut contents =
        Contents { certificates: vec![], problems: vec![], keys: vec![], ignored: vec![] };
    let blocks = pem::blocks(text);
    for block in &blocks {
        if block.is_certificate() {
            match parse_block(block) {
                Ok(certificate) => contents.certificates.push(certificate),
                Err(problem) => contents.problems.push(block.error(part, problem)),
            }
        } else if block.is_key() {
            contents.keys.push(MaterialError::KeyAmongCertificates {
                part,
                block: block.number,
                line: block.line,
            });
        } else {
            contents.ignored.push(block.label.clone());
        }
    }
    if contents.certificates.is_empty() && contents.problems.is_empty() {
        contents.problems.push(match blocks.first() {
            None => pem::not_pem(part, text),
            Some(block) => MaterialError::WrongLabel {
                part,
                wanted: "certificate",
                found: block.label.clone(),
            },
        });
    }
    contents
}

fn parse_block(block: &Block) -> Result<Certificate, BlockProblem> {
    let der = block.der.as_ref().map_err(Clone::clone)?;
    Certificate::from_der(der).ok_or(BlockProblem::NotDer("an X.509 certificate"))
}

impl Certificate {
    /// Parses one DER certificate. `None` when it is malformed or followed by other bytes.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut certificate = Self {
            der: der.to_vec(),
            subject: shown(parsed.subject()),
            issuer: shown(parsed.issuer()),
            serial: serial(parsed.raw_serial()),
            subject_hash: subject_hash(parsed.subject()),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            validity: Validity {
                not_before: Timestamp::from_unix(parsed.validity().not_before.timestamp()),
                not_after: Timestamp::from_unix(parsed.validity().not_after.timestamp()),
            },
            public_key: PublicKey::from_spki(parsed.public_key().raw)?,
            fingerprint: Fingerprint::of(der),
            spki: parsed.public_key().raw.to_vec(),
            is_ca: false,
            path_length: None,
            for_servers: true,
            signed: Signed {
                tbs: parsed.tbs_certificate.as_ref().to_vec(),
                signature: parsed.signature_value.data.to_vec(),
                algorithm: algorithm(&parsed),
            },
            subject_name: comparable(parsed.subject()),
            issuer_name: comparable(parsed.issuer()),
        };
        for extension in parsed.extensions() {
            certificate.read_extension(extension.parsed_extension());
        }
        Some(certificate)
    }

    fn read_extension(&mut self, extension: &ParsedExtension<'_>) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    match name {
                        GeneralName::DNSName(name) => {
                            self.dns_names.push(one_line(name.as_bytes()));
                        }
                        GeneralName::IPAddress(bytes) => self.ip_addresses.extend(address(bytes)),
                        _ => {}
                    }
                }
            }
            ParsedExtension::BasicConstraints(constraints) => {
                self.is_ca = constraints.ca;
                self.path_length = constraints.path_len_constraint;
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.for_servers = usage.server_auth || usage.any;
            }
            _ => {}
        }
    }

    /// One line for people: subject, names, last day, key and short fingerprint.
    pub fn summary(&self) -> String {
        format!(
            "{}, {}, until {}, {}, {}",
            self.subject,
            self.names(),
            self.validity.not_after.date(),
            self.public_key,
            self.fingerprint.short()
        )
    }

    /// The covered names for people: `www.example.net, 192.0.2.1`, or `no name`. After ten, the
    /// number of the others.
    pub fn names(&self) -> String {
        let all: Vec<String> = self
            .dns_names
            .iter()
            .cloned()
            .chain(self.ip_addresses.iter().map(ToString::to_string))
            .collect();
        match all.len() {
            0 => "no name".into(),
            1..=10 => all.join(", "),
            more => format!("{} and {} more", all[..10].join(", "), more - 10),
        }
    }

    /// Why current clients refuse it, whatever else is right: a short RSA key, a signature by SHA-1 or MD5.
    pub(crate) fn weakness(&self) -> Option<String> {
        if self.public_key.rsa_bits().is_some_and(|bits| bits < 2048) {
            return Some(format!("weak key: {}", self.key_type()));
        }
        let digest = self.signed.algorithm.weak_digest().filter(|_| !self.is_self_issued())?;
        Some(format!("weak signature: by {digest}"))
    }

    /// Kind of the key: `EC P-256`, `RSA 2048`, `Ed25519`.
    pub fn key_type(&self) -> String {
        self.public_key.to_string()
    }

    /// Whether it covers a DNS name or an IP address (see [`covers`](super::covers)).
    pub fn covers(&self, name: &str) -> bool {
        super::covers(&self.dns_names, &self.ip_addresses, name)
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject_name == self.issuer_name
    }

    /// Whether it names `other`'s subject as its issuer. Says nothing about the signature.
    pub(super) fn names_as_issuer(&self, other: &Self) -> bool {
        self.issuer_name == other.subject_name
    }

    pub(super) fn has_subject_of(&self, other: &Self) -> bool {
        self.subject_name == other.subject_name
    }

    pub(super) fn signed_by(&self, issuer: &Self) -> Verdict {
        self.signed.verify(&issuer.public_key)
    }

    /// Its canonical PEM: LF, 64 columns.
    pub fn pem(&self) -> Vec<u8> {
        std::mem::take(&mut *pem::encode("CERTIFICATE", &self.der))
    }
}

/// One line of a certificate diff. Holds nothing of any key but its kind.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DiffRow {
    /// `subject`, `names`, `issuer`, `serial`, `not before`, `not after`, `key`, `sha256`.
    pub field: &'static str,
    /// What the host has; `None` when it has no certificate.
    pub old: Option<String>,
    /// What it shall have.
    pub new: String,
}

impl DiffRow {
    /// Whether both sides say the same.
    pub fn is_same(&self) -> bool {
        self.old.as_deref() == Some(self.new.as_str())
    }
}

/// What `--diff` shows, always the same rows in the same order.
pub fn describe_diff(old: Option<&Certificate>, new: &Certificate) -> Vec<DiffRow> {
    type Field = (&'static str, fn(&Certificate) -> String);
    const FIELDS: [Field; 8] = [
        ("subject", |certificate| certificate.subject.clone()),
        ("names", Certificate::names),
        ("issuer", |certificate| certificate.issuer.clone()),
        ("serial", |certificate| certificate.serial.clone()),
        ("not before", |certificate| certificate.validity.not_before.to_string()),
        ("not after", |certificate| certificate.validity.not_after.to_string()),
        ("key", Certificate::key_type),
        ("sha256", |certificate| certificate.fingerprint.to_string()),
    ];
    FIELDS
        .iter()
        .map(|(field, value)| DiffRow { field, old: old.map(value), new: value(new) })
        .collect()
}

fn algorithm(parsed: &X509Certificate<'_>) -> Algorithm {
    use x509_parser::signature_algorithm::SignatureAlgorithm;
    let identifier = &parsed.signature_algorithm;
    let pss = match SignatureAlgorithm::try_from(identifier) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
            Some(parameters.hash_algorithm_oid().to_id_string())
        }
        _ => None,
    };
    Algorithm::by_oid(&identifier.algorithm.to_id_string(), pss.as_deref())
}

fn serial(raw: &[u8]) -> String {
    let digits = hex::encode_upper(raw);
    let stripped = digits.strip_prefix("00").filter(|rest| !rest.is_empty()).unwrap_or(&digits);
    stripped.to_owned()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|four| Ipv4Addr::from(four).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).into()),
        _ => None,
    }
}

fn shown(name: &X509Name<'_>) -> String {
    match one_line(name.to_string().as_bytes()) {
        empty if empty.is_empty() => "(no subject)".into(),
        text => text,
    }
}

fn one_line(bytes: &[u8]) -> String {
    printable(bytes, 1024).replace(['\n', '\t'], " ")
}

fn comparable(name: &X509Name<'_>) -> Name {
    name.iter_attributes()
        .map(|attribute| {
            let value = match attribute.as_str() {
                Ok(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase(),
                Err(_) => hex::encode(attribute.as_slice()),
            };
            (attribute.attr_type().to_id_string(), value)
        })
        .collect()
}
