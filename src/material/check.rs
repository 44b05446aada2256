//! Everything that must hold before any host is contacted, all problems at once.

use super::certificate::{self, Certificate};
use super::error::{MaterialError, Note, Part};
use super::signature::Verdict;
use super::{Bundle, PrivateKey};
use crate::model::{Secret, Timestamp};
use std::time::Duration;

/// What is to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Leaf, and perhaps its issuers.
    pub cert_pem: &'a [u8],
    /// Issuers in a file of their own.
    pub chain_pem: Option<&'a [u8]>,
    /// `None`: the host keeps its key.
    pub key: Option<&'a Secret<Vec<u8>>>,
    /// For an encrypted key.
    pub passphrase: Option<&'a Secret<String>>,
    /// Names or addresses that the leaf must cover.
    pub server_names: &'a [String],
    /// The moment of the run.
    pub now: Timestamp,
    /// A certificate that ends within this time is worth a warning.
    pub warn: Duration,
}

/// Checks the material: the key belongs to the leaf; the chain leads upwards from it, each
/// signature verified; nothing has expired or is not valid yet; the leaf covers every
/// server name and is no CA's. Order and duplicates are put right, with a note.
///
/// # Errors
/// Every problem found, in the order: files, leaf and key, chain, dates, names.
pub fn check(input: &Input<'_>) -> Result<Bundle, Vec<MaterialError>> {
    let mut findings = Findings::default();
    let (own, extra) = read_certificates(input, &mut findings);
    let key = match input.key.map(|file| PrivateKey::from_pem(file, input.passphrase)) {
        None => None,
        Some(Ok(key)) => {
            if key.was_encrypted() {
                findings.notes.push(Note::KeyDecrypted);
            }
            Some(key)
        }
        Some(Err(problem)) => {
            findings.problems.push(problem);
            None
        }
    };
    let given: Vec<Certificate> = own.into_iter().chain(extra).collect();
    let Some(leaf) = choose_leaf(&given, key.as_ref()) else {
        return Err(findings.problems);
    };
    check_leaf(&leaf, key.as_ref(), &mut findings);
    let chain = order_chain(&leaf, &given, &mut findings);
    check_chain(&leaf, &chain, &mut findings);
    check_dates(&leaf, &chain, input, &mut findings);
    for name in input.server_names.iter().filter(|name| !leaf.covers(name)) {
        findings
            .problems
            .push(MaterialError::NameNotCovered { name: name.clone(), covered: leaf.names() });
    }
    if findings.problems.is_empty() {
        Ok(Bundle { leaf, chain, key, notes: findings.notes })
    } else {
        Err(findings.problems)
    }
}

#[derive(Default)]
struct Findings {
    problems: Vec<MaterialError>,
    notes: Vec<Note>,
}

fn read_certificates(
    input: &Input<'_>,
    findings: &mut Findings,
) -> (Vec<Certificate>, Vec<Certificate>) {
    let mut read = |part: Part, pem: &[u8]| {
        let contents = certificate::read(part, pem);
        findings.problems.extend(contents.problems);
        // With a key file named, a combined file may serve as the source of both.
        if input.key.is_none() {
            findings.problems.extend(contents.keys);
        } else if !contents.keys.is_empty() {
            findings.notes.push(Note::KeyAmongCertificates);
        }
        findings.notes.extend(
            contents
                .ignored
                .into_iter()
                .filter(|_| !contents.certificates.is_empty())
                .map(|label| Note::BlockIgnored { part, label }),
        );
        contents.certificates
    };
    let own = read(Part::Certificate, input.cert_pem);
    let extra = input.chain_pem.map(|pem| read(Part::Chain, pem)).unwrap_or_default();
    (own, extra)
}

/// The certificate of the key; without one that fits, the first that is not a CA's; else the
/// first of all, for the messages.
fn choose_leaf(given: &[Certificate], key: Option<&PrivateKey>) -> Option<Certificate> {
    key.and_then(|key| given.iter().find(|one| one.public_key == *key.public()))
        .or_else(|| given.iter().find(|one| !one.is_ca))
        .or_else(|| given.first())
        .cloned()
}

fn check_leaf(leaf: &Certificate, key: Option<&PrivateKey>, findings: &mut Findings) {
    let subject = || leaf.subject.clone();
    if let Some(key) = key.filter(|key| *key.public() != leaf.public_key) {
        findings.problems.push(MaterialError::KeyMismatch {
            key: key.public().to_string(),
            leaf: leaf.key_type(),
            subject: subject(),
        });
    }
    match (leaf.is_ca, leaf.is_self_issued()) {
        (true, false) => findings.problems.push(MaterialError::CaAsLeaf { subject: subject() }),
        // `openssl req -x509` marks every certificate as a CA's: only worth a warning when the
        // key shows that it is the server's own.
        (true, true) if key.is_some_and(|key| *key.public() == leaf.public_key) => {
            findings.notes.push(Note::SelfSignedCa { subject: subject() });
        }
        (true, true) => findings.problems.push(MaterialError::CaAsLeaf { subject: subject() }),
        (false, true) => findings.notes.push(Note::SelfSigned { subject: subject() }),
        (false, false) => {}
    }
    if !leaf.for_servers {
        findings.notes.push(Note::NotForServers { subject: subject() });
    }
}

/// The issuers upwards from the leaf. Names lead the way; of several candidates (cross-signing,
/// a renewed CA) the one whose key fits is taken.
fn order_chain(
    leaf: &Certificate,
    given: &[Certificate],
    findings: &mut Findings,
) -> Vec<Certificate> {
    let mut distinct: Vec<&Certificate> = Vec::new();
    for one in given {
        if distinct.iter().any(|known| known.der == one.der) {
            let note = Note::DuplicateDropped { subject: one.subject.clone() };
            if !findings.notes.contains(&note) {
                findings.notes.push(note);
            }
        } else {
            distinct.push(one);
        }
    }
    let mut pool: Vec<&Certificate> =
        distinct.iter().copied().filter(|one| one.der != leaf.der).collect();
    let mut path = vec![leaf];
    while let Some(last) = path.last().copied().filter(|last| !last.is_self_issued()) {
        let fits = |one: &&Certificate| last.names_as_issuer(one);
        let best = pool
            .iter()
            .position(|one| fits(one) && last.signed_by(one) != Verdict::Bad)
            .or_else(|| pool.iter().position(fits));
        match best {
            Some(index) => path.push(pool.remove(index)),
            None => break,
        }
    }
    if path.len() == 1 && !pool.is_empty() && !leaf.is_self_issued() {
        findings.problems.push(MaterialError::ChainNotIssuer {
            subject: leaf.subject.clone(),
            issuer: leaf.issuer.clone(),
        });
        return Vec::new();
    }
    for other in pool {
        let twin = path.iter().any(|one| one.has_subject_of(other) && one.spki == other.spki);
        let issued = path
            .iter()
            .any(|one| one.names_as_issuer(other) && one.signed_by(other) != Verdict::Bad);
        let subject = other.subject.clone();
        if twin || issued {
            findings.notes.push(Note::AlternativeIssuer { subject });
            path.push(other);
        } else {
            findings.notes.push(Note::NotInChain { subject });
        }
    }
    distinct.retain(|one| path.contains(one));
    if distinct != path {
        findings.notes.push(Note::Reordered);
    }
    path.into_iter().skip(1).cloned().collect()
}

fn check_chain(leaf: &Certificate, chain: &[Certificate], findings: &mut Findings) {
    if chain.is_empty() && !leaf.is_self_issued() && findings.problems.is_empty() {
        findings.notes.push(Note::NoIntermediates { issuer: leaf.issuer.clone() });
    }
    let mut child = leaf;
    for (below, issuer) in chain.iter().enumerate() {
        // Alternatives at the end are no part of the path that is followed here.
        if !child.names_as_issuer(issuer) || child.is_self_issued() {
            break;
        }
        check_link(child, issuer, findings);
        let below = u32::try_from(below).unwrap_or(u32::MAX);
        match issuer.path_length {
            Some(allowed) if below > allowed => {
                findings.problems.push(MaterialError::PathTooLong {
                    subject: issuer.subject.clone(),
                    allowed,
                    found: below,
                })
            }
            _ => {}
        }
        if issuer.is_self_issued() {
            findings.notes.push(Note::RootInChain { subject: issuer.subject.clone() });
        }
        child = issuer;
    }
    for one in std::iter::once(leaf).chain(chain) {
        if one.public_key.rsa_bits().is_some_and(|bits| bits < 2048) {
            findings
                .notes
                .push(Note::WeakKey { subject: one.subject.clone(), key_type: one.key_type() });
        }
        // Nobody verifies a root's signature on itself.
        if let Some(digest) = one.signed.algorithm.weak_digest().filter(|_| !one.is_self_issued()) {
            findings.notes.push(Note::WeakSignature { subject: one.subject.clone(), digest });
        }
    }
}

fn check_link(child: &Certificate, issuer: &Certificate, findings: &mut Findings) {
    match child.signed_by(issuer) {
        Verdict::Good => {}
        Verdict::Bad => findings.problems.push(MaterialError::BadSignature {
            subject: child.subject.clone(),
            issuer: issuer.subject.clone(),
        }),
        Verdict::NotChecked(algorithm) => findings
            .notes
            .push(Note::SignatureNotChecked { subject: child.subject.clone(), algorithm }),
    }
    if !issuer.is_ca {
        findings.problems.push(MaterialError::IssuerNotCa { subject: issuer.subject.clone() });
    }
}

fn check_dates(
    leaf: &Certificate,
    chain: &[Certificate],
    input: &Input<'_>,
    findings: &mut Findings,
) {
    let soon = i64::try_from(input.warn.as_secs()).unwrap_or(i64::MAX);
    let limit = Timestamp::from_unix(input.now.unix().saturating_add(soon));
    for (index, one) in std::iter::once(leaf).chain(chain).enumerate() {
        let subject = one.subject.clone();
        let not_after = one.validity.not_after;
        let is_root = index > 0 && one.is_self_issued();
        if input.now < one.validity.not_before {
            let not_before = one.validity.not_before;
            findings.problems.push(MaterialError::NotYetValid { subject, not_before });
        } else if input.now > not_after && is_root {
            findings.notes.push(Note::RootExpired { subject, not_after });
        } else if input.now > not_after {
            findings.problems.push(MaterialError::Expired { subject, not_after });
        } else if not_after < limit && !is_root {
            let days = one.validity.days_left(input.now);
            findings.notes.push(Note::ExpiresSoon { subject, not_after, days });
        }
    }
}
