//! What can be wrong with material, and what is worth saying about material that is right.

use crate::model::Timestamp;
use crate::source::Diagnostic;
use std::fmt;

/// Which of the operator's files is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `source.cert`.
    Certificate,
    /// `source.chain`.
    Chain,
    /// `source.key`.
    Key,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate file",
            Self::Chain => "chain file",
            Self::Key => "key file",
        })
    }
}

/// What is wrong with one PEM block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockProblem {
    /// The file ends, or another block begins, before the END line.
    #[error("is truncated: it has no END line")]
    Truncated,
    /// BEGIN, body and END are not lines of their own.
    #[error("has lost its line ends: BEGIN, body and END are not on lines of their own")]
    LineEnds,
    /// The END line names another label.
    #[error("ends with the wrong label '{0}'")]
    WrongEnd(String),
    /// Not base64.
    #[error("holds something that is not base64")]
    NotBase64,
    /// BEGIN and END with nothing between.
    #[error("is empty")]
    Empty,
    /// Not the structure that the label promises.
    #[error("cannot be decoded as {0}")]
    NotDer(&'static str),
}

/// Something that stops the run before any host is contacted. Messages never hold key bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// No byte, or only blanks.
    #[error("the {0} is empty")]
    Empty(Part),
    /// Binary DER instead of PEM.
    #[error("the {0} is DER (binary), not PEM")]
    Der(Part),
    /// A PKCS#12 container.
    #[error("the {0} is a PKCS#12 container (.p12, .pfx), not PEM")]
    Pkcs12(Part),
    /// Not the structure of a keystore.
    #[error("it cannot be decoded as a PKCS#12 keystore")]
    NotKeystore,
    /// A keystore with a password, and none was given.
    #[error("the PKCS#12 keystore has a password, and none was given")]
    KeystoreLocked,
    /// The password does not open it.
    #[error("the password is wrong for the PKCS#12 keystore")]
    WrongKeystorePassword,
    /// A keystore that is sealed in a way that is not read here.
    #[error("the PKCS#12 keystore is of a kind that is not supported: {0}")]
    UnsupportedKeystore(String),
    /// Keys alone, or nothing.
    #[error("the PKCS#12 keystore holds no certificate")]
    EmptyKeystore,
    /// No PEM block at all.
    #[error("the {0} holds no PEM block")]
    NotPem(Part),
    /// PEM blocks, but none of the wanted kind. Holds the first label found.
    #[error("the {part} holds no {wanted}, only '{found}'")]
    WrongLabel {
        /// Which file.
        part: Part,
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// The label of the first block.
        found: String,
    },
    /// One block is bad.
    #[error("PEM block {block} of the {part} (line {line}) {problem}")]
    Block {
        /// Which file.
        part: Part,
        /// Counts from 1.
        block: usize,
        /// Line of its BEGIN, from 1.
        line: usize,
        /// What is wrong.
        problem: BlockProblem,
    },
    /// A private key among the certificates.
    #[error("the {part} holds a private key too (PEM block {block}, line {line})")]
    KeyAmongCertificates {
        /// Which file.
        part: Part,
        /// Counts from 1.
        block: usize,
        /// Line of its BEGIN, from 1.
        line: usize,
    },
    /// More than one private key.
    #[error("the key file holds {0} private keys")]
    SeveralKeys(usize),
    /// The key needs a passphrase and none was given.
    #[error("the private key is encrypted and no passphrase was given")]
    KeyEncrypted,
    /// The passphrase does not open it.
    #[error("the passphrase is wrong for the private key")]
    WrongPassphrase,
    /// The encryption is not one that is read here.
    #[error("the private key is encrypted in a way that is not supported: {0}")]
    UnsupportedEncryption(String),
    /// The key is of a kind that is not read here.
    #[error("the private key is of an unsupported kind: {0}")]
    UnsupportedKey(String),
    /// The key's own numbers contradict each other.
    #[error("the private key is damaged: {0}")]
    DamagedKey(&'static str),
    /// The pair does not belong together.
    #[error("the private key ({key}) does not belong to the certificate of {subject} ({leaf})")]
    KeyMismatch {
        /// Kind of the key.
        key: String,
        /// Kind of the certificate's key.
        leaf: String,
        /// Subject of the leaf.
        subject: String,
    },
    /// An intermediate or root where the server's certificate should be.
    #[error("{subject} is a CA certificate, not a server's")]
    CaAsLeaf {
        /// Its subject.
        subject: String,
    },
    /// Certificates were given beside the leaf and none of them issued it.
    #[error("none of the chain's certificates issued {subject} (its issuer is {issuer})")]
    ChainNotIssuer {
        /// Subject of the leaf.
        subject: String,
        /// Issuer that the leaf names.
        issuer: String,
    },
    /// Subject and issuer names fit, the signature does not.
    #[error("the signature on {subject} was not made by the {issuer} in the chain")]
    BadSignature {
        /// The signed certificate.
        subject: String,
        /// The one that carries its issuer's name.
        issuer: String,
    },
    /// An issuer without `CA:TRUE` (RFC 5280 §4.2.1.9).
    #[error("{subject} issued a certificate of the chain but is not a CA")]
    IssuerNotCa {
        /// Its subject.
        subject: String,
    },
    /// More intermediates below than the path length constraint allows (RFC 5280 §4.2.1.9).
    #[error("{subject} allows at most {allowed} intermediates below it, the chain has {found}")]
    PathTooLong {
        /// Subject of the constrained CA.
        subject: String,
        /// Its constraint.
        allowed: u32,
        /// What the chain has.
        found: u32,
    },
    /// Past its last second.
    #[error("{subject} expired on {not_after}")]
    Expired {
        /// Its subject.
        subject: String,
        /// Its last second.
        not_after: Timestamp,
    },
    /// Before its first second.
    #[error("{subject} is not valid before {not_before}")]
    NotYetValid {
        /// Its subject.
        subject: String,
        /// Its first second.
        not_before: Timestamp,
    },
    /// The certificate does not cover a name (RFC 9525; the common name does not count).
    #[error("the certificate does not cover '{name}'; it covers {covered}")]
    NameNotCovered {
        /// The wanted name or address.
        name: String,
        /// What it covers, for people.
        covered: String,
    },
}

impl MaterialError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Empty(_) => "check that the step that writes this file has finished".into(),
            Self::Der(Part::Key) => {
                "convert it: openssl pkey -inform DER -in FILE -out FILE.pem".into()
            }
            Self::Der(_) => "convert it: openssl x509 -inform DER -in FILE -out FILE.pem".into(),
            Self::NotKeystore => "is it a .p12 or .pfx file, or the base64 of one?".into(),
            Self::KeystoreLocked => {
                "give it: `key_passphrase`, from a vault, or `key_passphrase_file`".into()
            }
            Self::WrongKeystorePassword => "try it by hand: openssl pkcs12 -in FILE -noout".into(),
            Self::UnsupportedKeystore(_) => {
                "write it again: openssl pkcs12 -in FILE -legacy -nodes | openssl pkcs12 -export -out FILE.new".into()
            }
            Self::EmptyKeystore => "export it again, with the certificate and its key".into(),
            Self::Pkcs12(Part::Key) => {
                "name it in `source.pkcs12` instead, which gives certificate and key".into()
            }
            Self::Pkcs12(_) => {
                "name it in `source.pkcs12` instead of `source.cert`".into()
            }
            Self::NotPem(_) => "a PEM file has lines such as -----BEGIN CERTIFICATE-----".into(),
            Self::WrongLabel { found, .. } if found.ends_with("PRIVATE KEY") => {
                "are the paths of certificate and key swapped?".into()
            }
            Self::WrongLabel { found, .. } if found == "CERTIFICATE" => {
                "are the paths of certificate and key swapped?".into()
            }
            Self::WrongLabel { found, .. } if found.contains("REQUEST") => {
                "this is a signing request; the certificate is what the CA returns for it".into()
            }
            Self::WrongLabel { found, .. } if found == "PKCS7" => {
                "convert it: openssl pkcs7 -print_certs -in FILE -out FILE.pem".into()
            }
            Self::WrongLabel { .. } => return None,
            Self::Block { problem: BlockProblem::Truncated, .. } => {
                "the file was cut off or is still being written; copy it again".into()
            }
            Self::Block { problem: BlockProblem::LineEnds, .. } => {
                "write the text with its line ends: a shell keeps them only within quotes \
                 (printf '%s\\n' \"$PEM\"), and `\\n` as two characters has to be undone first"
                    .into()
            }
            Self::Block { .. } => "fetch the file again from where it was issued".into(),
            Self::KeyAmongCertificates { .. } => {
                "name the same file as `source.key` too, or take the key out of it".into()
            }
            Self::SeveralKeys(_) => "keep the one that belongs to the certificate".into(),
            Self::KeyEncrypted => {
                "give the passphrase, or store the key without one: openssl pkey -in FILE -out FILE"
                    .into()
            }
            Self::WrongPassphrase => "try it by hand: openssl pkey -in FILE -noout".into(),
            Self::UnsupportedEncryption(_) => {
                "encrypt it again: openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out FILE.new"
                    .into()
            }
            Self::UnsupportedKey(kind) if kind.contains("OpenSSH") => {
                "convert it: ssh-keygen -p -m PEM -f FILE".into()
            }
            Self::UnsupportedKey(_) => {
                "RSA, EC P-256, P-384, P-521, Ed25519 and ML-DSA keys are supported".into()
            }
            Self::DamagedKey(_) => "fetch the key again from where it was made".into(),
            Self::KeyMismatch { .. } => {
                "take certificate and key from the same issuance; this pair would end in an outage"
                    .into()
            }
            Self::CaAsLeaf { .. } => {
                "the file for `source.cert` begins with the server's own".into()
            }
            Self::ChainNotIssuer { .. } | Self::BadSignature { .. } => {
                "take the chain that the CA delivered with this certificate".into()
            }
            Self::IssuerNotCa { .. } | Self::PathTooLong { .. } => {
                "clients refuse this chain: ask the CA for the right one".into()
            }
            Self::Expired { .. } => "renew it first".into(),
            Self::NotYetValid { .. } => "deploy it later, or set the controller's clock".into(),
            Self::NameNotCovered { .. } => {
                "issue a certificate for that name, or correct `verify.server_name`".into()
            }
        })
    }

    /// As a finding about input; the caller adds the place with [`Diagnostic::at`].
    pub fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.to_string());
        match self.remedy() {
            Some(remedy) => diagnostic.help(remedy),
            None => diagnostic,
        }
    }
}

/// Something that the operator should know; the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The files' order was not leaf, issuer, issuer's issuer …; it is now.
    Reordered,
    /// The same certificate was there more than once.
    DuplicateDropped {
        /// Its subject.
        subject: String,
    },
    /// The chain includes its self-signed root, which clients must have anyway.
    RootInChain {
        /// Its subject.
        subject: String,
    },
    /// A further certificate for a CA of the chain (cross-signing); kept at the end.
    AlternativeIssuer {
        /// Its subject.
        subject: String,
    },
    /// A certificate that issues nothing of the chain was left out.
    NotInChain {
        /// Its subject.
        subject: String,
    },
    /// The leaf was issued by a CA and no intermediate was given.
    NoIntermediates {
        /// The issuer that the leaf names.
        issuer: String,
    },
    /// The leaf is its own issuer.
    SelfSigned {
        /// Its subject.
        subject: String,
    },
    /// The self-signed leaf is a CA certificate: some clients refuse it as a server's.
    SelfSignedCa {
        /// Its subject.
        subject: String,
    },
    /// Ends within the warning time.
    ExpiresSoon {
        /// Its subject.
        subject: String,
        /// Its last second.
        not_after: Timestamp,
        /// Whole days left.
        days: i64,
    },
    /// The root in the chain has expired (harmless for clients that have a newer one).
    RootExpired {
        /// Its subject.
        subject: String,
        /// Its last second.
        not_after: Timestamp,
    },
    /// RSA below 2048 bits.
    WeakKey {
        /// Its subject.
        subject: String,
        /// Such as `RSA 1024`.
        key_type: String,
    },
    /// Signed with SHA-1 or MD5.
    WeakSignature {
        /// Its subject.
        subject: String,
        /// Such as `SHA-1`.
        digest: &'static str,
    },
    /// The signature's algorithm is not one that is verified here.
    SignatureNotChecked {
        /// The signed certificate.
        subject: String,
        /// Name or OID.
        algorithm: String,
    },
    /// Extended key usage without serverAuth.
    NotForServers {
        /// Its subject.
        subject: String,
    },
    /// The certificate file holds the key as well; only its certificates were taken.
    KeyAmongCertificates,
    /// The key was opened with the passphrase; hosts receive it unencrypted.
    KeyDecrypted,
    /// A PEM block of another kind was left out.
    BlockIgnored {
        /// Which file.
        part: Part,
        /// Its label.
        label: String,
    },
}

impl Note {
    /// Whether it is a warning rather than information.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::NotInChain { .. }
            | Self::NoIntermediates { .. }
            | Self::SelfSignedCa { .. }
            | Self::ExpiresSoon { .. }
            | Self::RootExpired { .. }
            | Self::WeakKey { .. }
            | Self::WeakSignature { .. }
            | Self::SignatureNotChecked { .. }
            | Self::NotForServers { .. } => true,
            Self::Reordered
            | Self::DuplicateDropped { .. }
            | Self::RootInChain { .. }
            | Self::AlternativeIssuer { .. }
            | Self::SelfSigned { .. }
            | Self::KeyAmongCertificates
            | Self::KeyDecrypted
            | Self::BlockIgnored { .. } => false,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reordered => {
                f.write_str("the certificates were not in order; they go out leaf first")
            }
            Self::DuplicateDropped { subject } => {
                write!(f, "{subject} was there twice; it goes out once")
            }
            Self::RootInChain { subject } => {
                write!(
                    f,
                    "the chain includes the root {subject}, which clients have to have anyway"
                )
            }
            Self::AlternativeIssuer { subject } => {
                write!(f, "the chain has a further certificate of {subject}; it goes out last")
            }
            Self::NotInChain { subject } => {
                write!(f, "{subject} does not belong to the chain and is left out")
            }
            Self::NoIntermediates { issuer } => write!(
                f,
                "no intermediate is given; clients that do not know {issuer} cannot verify it"
            ),
            Self::SelfSigned { subject } => write!(f, "{subject} is self-signed"),
            Self::SelfSignedCa { subject } => write!(
                f,
                "{subject} is self-signed and marked as a CA; some clients refuse it as a server's"
            ),
            Self::ExpiresSoon { subject, not_after, days } => {
                write!(f, "{subject} expires on {not_after}, in {}", plural_days(*days))
            }
            Self::RootExpired { subject, not_after } => {
                write!(f, "the root {subject} in the chain expired on {not_after}")
            }
            Self::WeakKey { subject, key_type } => {
                write!(f, "{subject} has a weak key ({key_type}); current OpenSSL refuses it")
            }
            Self::WeakSignature { subject, digest } => {
                write!(f, "{subject} is signed with {digest}; current clients refuse it")
            }
            Self::SignatureNotChecked { subject, algorithm } => {
                write!(f, "the signature on {subject} was not checked ({algorithm})")
            }
            Self::NotForServers { subject } => {
                write!(f, "{subject} is not meant for servers (no serverAuth in its key usage)")
            }
            Self::KeyAmongCertificates => {
                f.write_str("the certificate file holds a key too; only its certificates are taken")
            }
            Self::KeyDecrypted => {
                f.write_str("the key is stored encrypted here and goes out unencrypted")
            }
            Self::BlockIgnored { part, label } => {
                write!(f, "the PEM block '{label}' of the {part} is left out")
            }
        }
    }
}

fn plural_days(days: i64) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}
