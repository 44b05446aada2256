//! The chain as served: missing, mis-ordered, needless and wrong certificates behind the leaf.
//!
//! Most clients mend such a chain by themselves, some (older ones, many machines) refuse it: the
//! classic mistake that works in every browser. So these are remarks, never failures.

use crate::model::Timestamp;
use crate::model::text::printable;
use crate::verify::trust::Roots;
use std::fmt;
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Something wrong with a served chain. Names are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChainFault {
    /// A certificate cannot be read.
    Unreadable {
        /// 0 is the leaf.
        place: usize,
    },
    /// The issuer of a certificate was not sent, and is no root that is known here.
    Missing {
        /// Name of the issuer.
        issuer: String,
    },
    /// All are there but not each followed by its issuer (RFC 5246 §7.4.2; RFC 8446 §4.4.2 only advises it).
    Misordered,
    /// A certificate has the issuer's name but another key.
    WrongIssuer {
        /// Name of both.
        issuer: String,
    },
    /// A certificate does not belong to the chain.
    Extra {
        /// Its name.
        subject: String,
    },
    /// A certificate was sent twice.
    Duplicate {
        /// Its name.
        subject: String,
    },
    /// The root was sent: clients have their own and ignore it.
    NeedlessRoot {
        /// Its name.
        subject: String,
    },
    /// A certificate behind the leaf has expired.
    Expired {
        /// Its name.
        subject: String,
        /// Last day.
        not_after: Timestamp,
    },
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { place: 0 } => write!(f, "the served leaf cannot be read"),
            Self::Unreadable { place } => {
                write!(f, "certificate {} of the served chain cannot be read", place + 1)
            }
            Self::Missing { issuer } => {
                write!(
                    f,
                    "the server does not send the intermediate '{issuer}': many clients will refuse"
                )
            }
            Self::Misordered => {
                write!(f, "the served chain is not in order: some clients will refuse")
            }
            Self::WrongIssuer { issuer } => {
                write!(
                    f,
                    "the served '{issuer}' has another key than the one that signed: clients will refuse"
                )
            }
            Self::Extra { subject } => {
                write!(f, "the served certificate '{subject}' does not belong to the chain")
            }
            Self::Duplicate { subject } => write!(f, "'{subject}' is served twice"),
            Self::NeedlessRoot { subject } => {
                write!(f, "the server sends the root '{subject}', which no client needs")
            }
            Self::Expired { subject, not_after } => {
                write!(f, "the served intermediate '{subject}' has expired on {}", not_after.date())
            }
        }
    }
}

/// Certificates that are looked at. No real chain is as long, and a hostile one costs no time: each
/// signature in it is tried against all of them.
const LONGEST: usize = 16;

/// The issuer of a leaf that is served alone, unless that issued itself.
pub(crate) fn missing_issuer(chain: &[Vec<u8>], now: Timestamp) -> Option<String> {
    let faults = chain_faults(chain, now, None);
    faults.into_iter().find_map(|fault| match fault {
        ChainFault::Missing { issuer } => Some(issuer),
        _ => None,
    })
}

/// Looks at a chain as served, leaf first. `roots`, where given, decide whether the last issuer had
/// to be sent; without them only a leaf that comes alone is suspected.
///
/// Signatures by algorithms that cannot be checked here (P-521) count as right. Certificates behind
/// the sixteenth are not looked at.
pub(crate) fn chain_faults(
    chain: &[Vec<u8>],
    now: Timestamp,
    roots: Option<&Roots>,
) -> Vec<ChainFault> {
    let chain = &chain[..chain.len().min(LONGEST)];
    let mut faults = Vec::new();
    let mut certificates = Vec::new();
    for (place, der) in chain.iter().enumerate() {
        match X509Certificate::from_der(der) {
            Ok((_, certificate)) => certificates.push(certificate),
            Err(_) => faults.push(ChainFault::Unreadable { place }),
        }
    }
    if !faults.is_empty() || certificates.is_empty() {
        return faults;
    }
    let walk = walk(&certificates);
    faults.extend(walk.end_fault(&certificates, roots));
    if walk.path.windows(2).any(|pair| pair[1] < pair[0]) {
        faults.push(ChainFault::Misordered);
    }
    for (place, certificate) in certificates.iter().enumerate().skip(1) {
        let subject = name(certificate.subject());
        if chain[..place].contains(&chain[place]) {
            faults.push(ChainFault::Duplicate { subject });
        } else if !walk.path.contains(&place) {
            if !walk.wrong.contains(&place) {
                faults.push(ChainFault::Extra { subject });
            }
        } else if is_root(certificate) {
            faults.push(ChainFault::NeedlessRoot { subject });
        } else if certificate.validity().not_after.timestamp() < now.unix() {
            let not_after = Timestamp::from_unix(certificate.validity().not_after.timestamp());
            faults.push(ChainFault::Expired { subject, not_after });
        }
    }
    faults
}

/// The subject of a certificate in DER, printable, `(unreadable)` when it is none.
pub(crate) fn subject_of(der: &[u8]) -> String {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => name(certificate.subject()),
        Err(_) => "(unreadable)".to_owned(),
    }
}

struct Walk {
    /// Places from the leaf upwards.
    path: Vec<usize>,
    /// Places with the right name and the wrong key.
    wrong: Vec<usize>,
}

/// From the leaf to the issuer of each as far as they were sent.
fn walk(certificates: &[X509Certificate<'_>]) -> Walk {
    let mut walk = Walk { path: vec![0], wrong: Vec::new() };
    let mut current = 0;
    while !is_root(&certificates[current]) {
        let issuer = certificates[current].issuer().as_raw();
        let named = (1..certificates.len())
            .filter(|place| !walk.path.contains(place))
            .filter(|place| certificates[*place].subject().as_raw() == issuer);
        let (signers, others): (Vec<_>, Vec<_>) =
            named.partition(|place| signed_by(&certificates[current], &certificates[*place]));
        match signers.first() {
            Some(signer) => {
                walk.path.push(*signer);
                current = *signer;
            }
            None => {
                walk.wrong = others;
                break;
            }
        }
    }
    walk
}

impl Walk {
    fn end_fault(
        &self,
        certificates: &[X509Certificate<'_>],
        roots: Option<&Roots>,
    ) -> Option<ChainFault> {
        let last = &certificates[*self.path.last()?];
        let issuer = name(last.issuer());
        if !self.wrong.is_empty() {
            return Some(ChainFault::WrongIssuer { issuer });
        }
        let missing = match roots {
            _ if is_root(last) => false,
            Some(roots) => !roots.has_subject(last.issuer().as_raw()),
            None => self.path.len() == 1,
        };
        missing.then_some(ChainFault::Missing { issuer })
    }
}

fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

fn signed_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    match certificate.verify_signature(Some(issuer.public_key())) {
        Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => true,
        Err(_) => false,
    }
}

fn name(name: &X509Name<'_>) -> String {
    const LIMIT: usize = 200;
    let text = match name.iter_common_name().next().and_then(|value| value.as_str().ok()) {
        Some(common) => common.to_owned(),
        None => name.to_string(),
    };
    printable(text.as_bytes(), LIMIT).replace(['\n', '\t'], " ")
}
