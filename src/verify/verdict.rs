//! Repeats the handshake until the certificate that is wanted is served, or says what is instead.

use crate::model::text::plural;
use crate::model::{Backoff, Fingerprint, Timestamp};
use crate::verify::ask::ask;
use crate::verify::chain::{ChainFault, chain_faults, subject_of};
use crate::verify::dial::Dial;
use crate::verify::probe::{Probe, Served, SignatureChoice};
use crate::verify::refusal::Refusal;
use crate::verify::trust::Roots;
use rustls::pki_types::{CertificateDer, ServerName};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What must be served.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// SHA-256 of the leaf.
    pub leaf: Fingerprint,
    /// The certificate before the change, to tell it from a stranger.
    pub old: Option<Fingerprint>,
    /// What was deployed behind the leaf, in order and without it. A chain served otherwise is noted.
    pub chain: Option<Vec<Fingerprint>>,
    /// Roots to which the chain must lead. `None`: not looked at.
    pub trust: Option<Roots>,
    /// DNS names and addresses that the leaf must cover.
    pub names: Vec<String>,
    /// The present, for dates.
    pub now: Timestamp,
}

impl Expectation {
    /// That leaf and nothing more.
    pub fn leaf(leaf: Fingerprint, now: Timestamp) -> Self {
        Self { leaf, old: None, chain: None, trust: None, names: Vec::new(), now }
    }
}

/// How a verification ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The wanted certificate is served.
    Verified {
        /// Tries that it took.
        attempts: u32,
        /// What was served at last.
        served: Box<Served>,
        /// What is not as it should be and fails nothing: the chain as served, dates.
        notes: Vec<String>,
    },
    /// It is not.
    Wrong {
        /// What was seen at the last try.
        seen: Seen,
        /// Tries made.
        attempts: u32,
        /// What was seen, one line.
        words: String,
        /// What to look at, one line each.
        advice: Vec<String>,
    },
    /// The token was cancelled before there was an answer.
    Cancelled,
}

/// What a failed verification saw last.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The certificate before the change.
    OldOne(Box<Served>),
    /// A certificate that is neither.
    Other {
        /// What was served.
        served: Box<Served>,
        /// Its subject, printable.
        subject: String,
    },
    /// The wanted leaf, but names or trust are not as asked for.
    Unfit(Box<Served>),
    /// No certificate.
    Refused(Refusal),
}

/// One try, for the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Of how many at most.
    pub of: u32,
    /// The leaf that was served, when there was one.
    pub seen: Option<Fingerprint>,
    /// Whether everything is as wanted.
    pub matched: bool,
    /// What was seen, one line.
    pub detail: String,
    /// Wait until the next try, at most; `None` at the last.
    pub next_wait: Option<Duration>,
}

/// How often to look, and when.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Nothing connects before.
    pub not_before: Instant,
    /// Until when a service is looked at that usually needs a moment: at once, and then after 5, 10, 20 ms and so on. What
    /// is wrong until then is no try and not told. The tries begin at this moment, if it was not right before; before the
    /// second one these looks go on for a second.
    pub early: Instant,
    /// How many tries there are, and the waits between them.
    pub backoff: Backoff,
    /// How many handshakes of a try must be right, each in a fresh connection (0 counts as 1): with several machines
    /// behind an address one right answer proves little.
    pub consecutive: u32,
}

impl Patience {
    /// The tries begin at once.
    pub fn new(backoff: Backoff, consecutive: u32) -> Self {
        let now = Instant::now();
        Self { not_before: now, early: now, backoff, consecutive }
    }
}

/// The wait after the first look that is no try. Each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// A busy host needs longer than it usually does, but seldom as long as this.
const LONGER_MOMENT: Duration = Duration::from_secs(1);

/// Tries until `expect` is met, as often as `patience` says. Stops at the first success and at once when `cancel` is
/// cancelled. A server without TLS ([`Refusal::is_hopeless`]) and a leaf that is right but unfit get one more try, not
/// all. `on_attempt` hears of each try as it ends, before the wait.
pub async fn verify(
    probe: &Probe,
    expect: &Expectation,
    patience: Patience,
    cancel: &CancellationToken,
    dial: &dyn Dial,
    on_attempt: &mut (dyn FnMut(Attempt) + Send),
) -> Verdict {
    let work = tries(probe, expect, patience, dial, on_attempt);
    // An answer that is there already wins over a cancel that comes in the same moment.
    tokio::select! {
        biased;
        verdict = work => verdict,
        () = cancel.cancelled() => Verdict::Cancelled,
    }
}

async fn tries(
    probe: &Probe,
    expect: &Expectation,
    patience: Patience,
    dial: &dyn Dial,
    on_attempt: &mut (dyn FnMut(Attempt) + Send),
) -> Verdict {
    let Patience { not_before, early, backoff, consecutive } = patience;
    sleep_until(not_before).await;
    let mut waits = backoff.waits();
    let mut number = 0;
    let mut was_hopeless = false;
    let needs_a_moment = Instant::now() < early;
    let mut looks = Looks { probe, expect, consecutive, dial, wait: Duration::ZERO };
    let mut seen = if needs_a_moment { looks.until(early).await } else { None };
    loop {
        number += 1;
        let tried = match seen.take() {
            Some(right) => right,
            None => one_try(probe, expect, consecutive, dial).await,
        };
        let hopeless = tried.is_hopeless();
        let given_up = tried.is_right() || (hopeless && was_hopeless);
        let next_wait = if given_up { None } else { waits.next() };
        was_hopeless = hopeless;
        on_attempt(Attempt {
            number,
            of: backoff.attempts.max(1),
            seen: tried.leaf(),
            matched: tried.is_right(),
            detail: tried.describe(expect, consecutive),
            next_wait,
        });
        match next_wait {
            Some(wait) if needs_a_moment && number == 1 => {
                let due = Instant::now() + wait;
                seen = looks.until(due.min(Instant::now() + LONGER_MOMENT)).await;
                if seen.is_none() {
                    sleep_until(due).await;
                }
            }
            Some(wait) => tokio::time::sleep(wait).await,
            None => return tried.verdict(expect, number, consecutive),
        }
    }
}

/// Looks beside the tries: the first that is right is one of them, all others never were.
struct Looks<'a> {
    probe: &'a Probe,
    expect: &'a Expectation,
    consecutive: u32,
    dial: &'a dyn Dial,
    /// Before the next look.
    wait: Duration,
}

impl Looks<'_> {
    /// Looks until one is right, or it is `end`.
    async fn until(&mut self, end: Instant) -> Option<Tried> {
        let looks = async {
            loop {
                tokio::time::sleep(self.wait).await;
                self.wait = (2 * self.wait).max(FIRST_WAIT);
                let tried = one_try(self.probe, self.expect, self.consecutive, self.dial).await;
                if tried.is_right() {
                    return tried;
                }
            }
        };
        timeout_at(end, looks).await.ok()
    }
}

/// The last handshake of a try, judged.
enum Tried {
    Right(Box<Served>),
    OldOne(Box<Served>, u32),
    Other(Box<Served>, u32),
    Unfit(Box<Served>, String),
    Refused(Refusal, u32),
}

async fn one_try(probe: &Probe, expect: &Expectation, consecutive: u32, dial: &dyn Dial) -> Tried {
    let mut answer = 1;
    loop {
        let served = match ask(probe, dial).await {
            Ok(served) => Box::new(served),
            Err(refusal) => return Tried::Refused(refusal, answer),
        };
        if served.leaf != expect.leaf {
            return if expect.old == Some(served.leaf) {
                Tried::OldOne(served, answer)
            } else {
                Tried::Other(served, answer)
            };
        }
        if let Some(why) = unfit(&served, expect) {
            return Tried::Unfit(served, why);
        }
        if answer >= consecutive {
            return Tried::Right(served);
        }
        answer += 1;
    }
}

impl Tried {
    fn is_right(&self) -> bool {
        matches!(self, Self::Right(_))
    }

    fn is_hopeless(&self) -> bool {
        match self {
            Self::Refused(refusal, _) => refusal.is_hopeless(),
            Self::Unfit(..) => true,
            Self::Right(_) | Self::OldOne(..) | Self::Other(..) => false,
        }
    }

    fn leaf(&self) -> Option<Fingerprint> {
        match self {
            Self::Right(served)
            | Self::OldOne(served, _)
            | Self::Other(served, _)
            | Self::Unfit(served, _) => Some(served.leaf),
            Self::Refused(Refusal::BadSignature { leaf }, _) => Some(*leaf),
            Self::Refused(..) => None,
        }
    }

    fn describe(&self, expect: &Expectation, consecutive: u32) -> String {
        let (words, answer) = match self {
            Self::Right(served) => {
                let times = match consecutive {
                    0 | 1 => String::new(),
                    n => format!(", {} in a row", plural(n as usize, "answer")),
                };
                let words =
                    format!("{} is served ({}{times})", served.leaf.short(), served.protocol);
                return words;
            }
            Self::Unfit(_, why) => return why.clone(),
            Self::OldOne(served, answer) => {
                let words = format!("the old certificate {} is still served", served.leaf.short());
                (words + &lacking(served), *answer)
            }
            Self::Other(served, answer) => (
                format!(
                    "another certificate is served: {} '{}' instead of {}{}",
                    served.leaf.short(),
                    served.chain.first().map(|der| subject_of(der)).unwrap_or_default(),
                    expect.leaf.short(),
                    lacking(served),
                ),
                *answer,
            ),
            Self::Refused(refusal, answer) => (refusal.describe(), *answer),
        };
        if consecutive > 1 && answer > 1 {
            format!("{words} (answer {answer} of {consecutive})")
        } else {
            words
        }
    }

    fn advice(&self) -> Vec<String> {
        let (lines, answer): (Vec<String>, u32) = match self {
            Self::Right(_) => (Vec::new(), 1),
            Self::OldOne(_, answer) => (
                vec![
                    "the service has not loaded the new files: does its configuration name them, and did the reload work (its log)?".to_owned(),
                    "a service that loads late needs more attempts or a longer backoff".to_owned(),
                ],
                *answer,
            ),
            Self::Other(served, answer) => {
                let subject = served.chain.first().map(|der| subject_of(der)).unwrap_or_default();
                let line = if subject == "TRAEFIK DEFAULT CERT" {
                    "traefik could not load the pair and serves its own: see its log"
                } else if served.lacks.is_some() {
                    "the service has another certificate loaded and not this one: does its configuration name the deployed pair too, and could it load it (its log)?"
                } else {
                    "another virtual host, listener or machine answers: check endpoint and server_name"
                };
                (vec![line.to_owned()], *answer)
            }
            Self::Unfit(..) => (
                vec!["the deployed certificate itself is not what the playbook asks for: check names, chain and roots".to_owned()],
                1,
            ),
            Self::Refused(refusal, answer) => (refusal.advice(), *answer),
        };
        let mut advice = lines;
        if answer > 1 {
            advice.insert(
                0,
                "answers differ from one connection to the next: several processes or machines answer, and not all are renewed".to_owned(),
            );
        }
        advice
    }

    fn verdict(self, expect: &Expectation, attempts: u32, consecutive: u32) -> Verdict {
        let words = self.describe(expect, consecutive);
        let advice = self.advice();
        let seen = match self {
            Self::Right(served) => {
                let notes = notes(&served, expect);
                return Verdict::Verified { attempts, served, notes };
            }
            Self::OldOne(served, _) => Seen::OldOne(served),
            Self::Other(served, _) => {
                let subject = served.chain.first().map(|der| subject_of(der)).unwrap_or_default();
                Seen::Other { served, subject }
            }
            Self::Unfit(served, _) => Seen::Unfit(served),
            Self::Refused(refusal, _) => Seen::Refused(refusal),
        };
        Verdict::Wrong { seen, attempts, words, advice }
    }
}

/// Says that the server has no certificate with a key of the kind that is wanted.
fn lacking(served: &Served) -> String {
    let kind = served.lacks.map(SignatureChoice::name);
    kind.map_or_else(String::new, |kind| format!(", and none with an {kind} key"))
}

/// What is asked for beyond the leaf and not so.
fn unfit(served: &Served, expect: &Expectation) -> Option<String> {
    let der = served.chain.first()?;
    let missing: Vec<&str> =
        expect.names.iter().map(String::as_str).filter(|name| !covers(der, name)).collect();
    if !missing.is_empty() {
        return Some(format!(
            "{} is served, but it does not cover {}",
            served.leaf.short(),
            missing.join(", ")
        ));
    }
    let untrusted = expect.trust.as_ref()?.check(&served.chain, expect.now).err()?;
    Some(format!("{} is served, but {untrusted}", served.leaf.short()))
}

/// RFC 6125 / RFC 9525: DNS names and addresses among the subject alternative names; the common name
/// counts for nothing.
fn covers(leaf: &[u8], name: &str) -> bool {
    let der = CertificateDer::from(leaf);
    let Ok(name) = ServerName::try_from(name.trim_end_matches('.')) else { return false };
    EndEntityCert::try_from(&der)
        .is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(&name).is_ok())
}

fn notes(served: &Served, expect: &Expectation) -> Vec<String> {
    let as_deployed = expect.chain.as_ref().is_none_or(|chain| *chain == served.rest());
    // A leaf that was deployed without a chain, and is served so, may well come from a root.
    let alone = expect.chain.as_ref().is_some_and(Vec::is_empty) && expect.trust.is_none();
    let mut notes: Vec<String> = chain_faults(&served.chain, expect.now, expect.trust.as_ref())
        .iter()
        .filter(|fault| !(as_deployed && alone && matches!(fault, ChainFault::Missing { .. })))
        .map(ToString::to_string)
        .collect();
    if !as_deployed {
        notes.push(format!(
            "the leaf is the deployed one, the chain behind it is not ({} served, {} deployed)",
            served.rest().len(),
            expect.chain.as_ref().map_or(0, Vec::len),
        ));
    }
    notes.extend(served.chain.first().and_then(|der| date_note(der, expect.now)));
    if served.older_only {
        notes.push(
            "the server offers no modern cipher suite or group (ECDHE with AES-GCM or ChaCha20): its certificate and key were seen, the handshake was not completed"
                .to_owned(),
        );
    }
    if served.wants_client_certificate {
        notes.push("the server asks for a client certificate".to_owned());
    }
    notes
}

fn date_note(leaf: &[u8], now: Timestamp) -> Option<String> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let from = Timestamp::from_unix(leaf.validity().not_before.timestamp());
    let to = Timestamp::from_unix(leaf.validity().not_after.timestamp());
    if now > to {
        Some(format!("the served certificate expired on {}", to.date()))
    } else if now < from {
        Some(format!("the served certificate is not valid before {}", from.date()))
    } else {
        None
    }
}
