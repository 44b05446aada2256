//! Verifying one host: every probe, every address, as events.

use super::emit::{Emitter, millis};
use crate::event::Kind;
use crate::model::{Endpoint, Fingerprint, HostName, Timestamp, Via};
use crate::plan::desired::ProbeWant;
use crate::plan::inspection::{Look, LookFailure};
use crate::verify::{
    Attempt, Dial, Expectation, Patience, Phase, Probe, Refusal, Seen, SignatureChoice, Tcp,
    Verdict, ask, not_connected, verify,
};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The ways to reach an endpoint of one host.
#[derive(Clone)]
pub(crate) struct Dialers {
    /// Through the SSH link to the host, where there is one.
    pub host: Option<Arc<dyn Dial>>,
    /// Through the link to its last jump host, where there is one.
    pub bastion: Option<Arc<dyn Dial>>,
}

impl Dialers {
    fn pick(&self, via: Via) -> Result<Arc<dyn Dial>, &'static str> {
        match via {
            Via::Controller => Ok(Arc::new(Tcp)),
            Via::Host => self.host.clone().ok_or("there is no SSH connection to the host"),
            Via::Bastion => {
                self.bastion.clone().ok_or("the host is reached directly, without a bastion")
            }
        }
    }
}

/// A probe that did not show what was wanted.
#[derive(Clone, Debug)]
pub(crate) struct Unverified {
    /// What was seen, one line, with endpoint and name.
    pub words: String,
    /// What to look at.
    pub advice: Vec<String>,
    /// The run was told to stop before there was an answer.
    pub cancelled: bool,
    /// Nothing was served at all: no certificate, old or new.
    pub nothing_served: bool,
}

/// What all probes of a host showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verified {
    /// One line for the step.
    pub detail: String,
    /// What is not as it should be and fails nothing.
    pub notes: Vec<String>,
    /// No place shows the certificate, for all went with a configuration that was removed.
    pub all_gone: bool,
}

/// A handshake to make, and the leaf that was served there before, if any.
#[derive(Clone, Debug)]
pub(crate) struct Sought {
    /// Where, and what must be seen.
    pub probe: ProbeWant,
    /// What was served before.
    pub old: Option<Fingerprint>,
    /// Its kind of key, where the new one has another: clients that ask for that kind must not get it any more.
    pub old_kind: Option<SignatureChoice>,
}

/// Makes every handshake of `places`, one after another, and wants its leaf each time.
///
/// An empty list is verified by definition; the caller says loudly that nothing was looked at.
///
/// # Errors
/// The first probe that does not show its leaf; of alternatives, when none of them does.
pub(crate) async fn verify_all(
    host: &HostName,
    places: &[Sought],
    dialers: &Dialers,
    now: Timestamp,
    cancel: &CancellationToken,
    emitter: &Emitter,
) -> Result<Verified, Unverified> {
    let mut verified = Verified::default();
    let mut seen = Vec::new();
    // Of alternatives one suffices: a failure counts once no other of its group is left.
    let mut satisfied: Vec<&str> = Vec::new();
    let mut failed: Vec<(&str, Unverified)> = Vec::new();
    let began = Instant::now();
    for sought in places {
        let want = &sought.probe;
        let group = want.alternatives.as_deref();
        if group.is_some_and(|group| satisfied.contains(&group)) {
            continue;
        }
        let shown = verify_one(host, sought, began, dialers, now, cancel, emitter);
        match (shown.await, group) {
            (Ok((places, notes)), group) => {
                seen.extend(places);
                verified.notes.extend(notes);
                satisfied.extend(group);
            }
            (Err(unverified), Some(group)) if !unverified.cancelled => {
                failed.push((group, unverified));
            }
            (Err(unverified), _) => return Err(unverified),
        }
    }
    failed.retain(|(group, _)| !satisfied.contains(group));
    if !failed.is_empty() {
        return Err(Unverified::none_of(failed.into_iter().map(|(_, unverified)| unverified)));
    }
    verified.all_gone = !places.is_empty() && seen.is_empty();
    verified.detail = match (places, seen.as_slice()) {
        ([], _) => "no handshake: verification is off".to_owned(),
        (_, []) => "nothing is served there any more".to_owned(),
        ([only, ..], [one]) => format!("{} served on {one}", only.probe.leaf.short()),
        (_, many) => format!("new certificates served on {}", many.join(", ")),
    };
    Ok(verified)
}

/// One probe at every address that it asks for: the places that showed the leaf, and notes. `began`: the end of the reload.
async fn verify_one(
    host: &HostName,
    sought: &Sought,
    began: Instant,
    dialers: &Dialers,
    now: Timestamp,
    cancel: &CancellationToken,
    emitter: &Emitter,
) -> Result<(Vec<String>, Vec<String>), Unverified> {
    let want = &sought.probe;
    if let Some(why) = &want.beyond_judging {
        return Err(Unverified::beyond_judging(want, why));
    }
    let dial = dialers.pick(want.via).map_err(|why| Unverified::unreachable(want, why))?;
    let expect = expectation(want, sought.old, now);
    let (mut places, mut told) = (Vec::new(), Vec::new());
    let failed = |attempt: Attempt| emitter.host(host, event(want, None, attempt));
    let places_to_look = tokio::select! {
        found = targets(want, &*dial, failed) => found?,
        () = cancel.cancelled() => return Err(unverified(want, None, Verdict::Cancelled)),
    };
    for address in places_to_look {
        let probe = probe(want, address);
        let mut report = |attempt: Attempt| emitter.host(host, event(want, address, attempt));
        let patience = Patience {
            not_before: began + want.not_before,
            early: began + want.settle,
            ..Patience::new(want.backoff, want.consecutive)
        };
        let verdict = verify(&probe, &expect, patience, cancel, &*dial, &mut report).await;
        match verdict {
            Verdict::Verified { notes, .. } => {
                if let Some(kind) = sought.old_kind {
                    let probe = Probe { signature: kind, ..probe };
                    let expect = Expectation { chain: None, ..expect.clone() };
                    let patience = Patience::new(want.backoff, want.consecutive);
                    let verdict = verify(&probe, &expect, patience, cancel, &*dial, &mut report);
                    match verdict.await {
                        Verdict::Verified { .. } => {}
                        wrong => return Err(unverified(want, address, wrong).of_kind(kind)),
                    }
                }
                let place = place(want, address);
                told.extend(notes.into_iter().map(|note| format!("{place}: {note}")));
                places.push(place);
            }
            Verdict::Wrong { seen, words, .. }
                if want.may_go && !matches!(seen, Seen::OldOne(_)) =>
            {
                told.push(format!(
                    "{}: {words}; that fails nothing, as a configuration file was removed with which the place may \
                     have come",
                    place(want, address)
                ));
            }
            wrong => return Err(unverified(want, address, wrong)),
        }
    }
    Ok((places, told))
}

/// What each probe shows now, with one look each and no retries: `Err` says why there is none.
pub(crate) async fn look(probes: &[ProbeWant], dialers: &Dialers) -> Vec<Look> {
    let looks = probes.iter().map(|want| async move {
        let dial = dialers.pick(want.via).map_err(|why| LookFailure::NoWay(why.to_owned()))?;
        let mut shown = Err(LookFailure::NoWay("the name has no address".to_owned()));
        for address in resolved(want, &*dial).await.map_err(LookFailure::Refused)? {
            shown = ask(&probe(want, address), &*dial).await.map_err(LookFailure::Refused);
            // Of several addresses the first that does not show the leaf speaks for all.
            if !shown.as_ref().is_ok_and(|served| served.leaf == want.leaf) {
                break;
            }
        }
        shown
    });
    futures::future::join_all(looks).await
}

impl Unverified {
    /// Shown, but that is no proof.
    pub(crate) fn not_proven(words: String) -> Self {
        let advice = "name a place of this host in `verify:` (`via: host`), or let the reload start new workers";
        Self { words, advice: vec![advice.to_owned()], cancelled: false, nothing_served: false }
    }

    /// Of several places where one would have sufficed, none showed it.
    fn none_of(failed: impl Iterator<Item = Self>) -> Self {
        let failed: Vec<Self> = failed.collect();
        let words: Vec<&str> = failed.iter().map(|one| one.words.as_str()).collect();
        let mut advice: Vec<String> = failed.iter().flat_map(|one| one.advice.clone()).collect();
        advice.insert(0, "name the place where the certificate is served in `verify:`".to_owned());
        advice.dedup();
        Self {
            words: words.join("; "),
            advice,
            cancelled: false,
            nothing_served: failed.iter().all(|one| one.nothing_served),
        }
    }

    /// Seen by clients that ask for this kind of key.
    fn of_kind(mut self, kind: SignatureChoice) -> Self {
        let kind = kind.name();
        self.words = format!("{}; so it is for clients that ask for an {kind} key", self.words);
        if !self.cancelled {
            let advice = format!(
                "the service keeps a certificate of each kind of key until it is restarted: give the task a `reload` \
                 that restarts it, or a new certificate with an {kind} key again"
            );
            self.advice.insert(0, advice);
        }
        self
    }

    fn beyond_judging(want: &ProbeWant, why: &str) -> Self {
        Self {
            words: format!("{}: not looked at, since {why}", place(want, None)),
            advice: vec![
                "look with a client that knows such keys, as `openssl s_client`".to_owned(),
            ],
            cancelled: false,
            nothing_served: false,
        }
    }

    fn unreachable(want: &ProbeWant, why: &str) -> Self {
        Self {
            words: format!("{}: {why}", place(want, None)),
            advice: vec!["choose another `via:` for this endpoint".to_owned()],
            cancelled: false,
            nothing_served: true,
        }
    }
}

/// The addresses to look at, with as many tries as a look has: `report` hears of those that failed.
async fn targets(
    want: &ProbeWant,
    dial: &dyn Dial,
    report: impl Fn(Attempt),
) -> Result<Vec<Option<SocketAddr>>, Unverified> {
    let mut waits = want.backoff.waits();
    let mut number = 0;
    loop {
        number += 1;
        let refusal = match resolved(want, dial).await {
            Ok(found) => return Ok(found),
            Err(refusal) => refusal,
        };
        let next_wait = waits.next();
        report(Attempt {
            number,
            of: want.backoff.attempts.max(1),
            seen: None,
            matched: false,
            detail: refusal.describe(),
            next_wait,
        });
        let Some(wait) = next_wait else {
            let (words, advice) = (refusal.describe(), refusal.advice());
            let verdict =
                Verdict::Wrong { seen: Seen::Refused(refusal), attempts: number, words, advice };
            return Err(unverified(want, None, verdict));
        };
        tokio::time::sleep(wait).await;
    }
}

/// Every address, where the probe asks for all; `None` stands for the first that answers.
async fn resolved(want: &ProbeWant, dial: &dyn Dial) -> Result<Vec<Option<SocketAddr>>, Refusal> {
    if !want.all_addresses {
        return Ok(vec![None]);
    }
    let Endpoint { host, port } = &want.endpoint;
    let late = Refusal::Timeout { phase: Phase::Connect, after: want.timeout };
    let found = tokio::time::timeout(want.timeout, dial.addresses(host, *port)).await;
    match found.map_err(|_| late)? {
        Ok(list) => Ok(list.into_iter().map(Some).collect()),
        Err(error) => Err(not_connected(host, &error)),
    }
}

fn probe(want: &ProbeWant, address: Option<SocketAddr>) -> Probe {
    Probe {
        endpoint: want.endpoint.clone(),
        server_name: want.server_name.clone(),
        starttls: want.starttls,
        timeout: want.timeout,
        address,
        signature: want.signature,
    }
}

fn expectation(want: &ProbeWant, old: Option<Fingerprint>, now: Timestamp) -> Expectation {
    Expectation {
        old: old.filter(|old| *old != want.leaf),
        chain: want.chain.clone(),
        trust: want.trust.clone(),
        names: want.names.clone(),
        ..Expectation::leaf(want.leaf, now)
    }
}

/// `www.example.net (10.0.0.1:443)` or the endpoint alone.
fn place(want: &ProbeWant, address: Option<SocketAddr>) -> String {
    let endpoint = address.map_or_else(|| want.endpoint.to_string(), |a| a.to_string());
    let starttls = match want.starttls.name() {
        "none" => String::new(),
        name => format!(" STARTTLS {name}"),
    };
    match &want.server_name {
        Some(name) if *name != want.endpoint.host => format!("{endpoint}{starttls} as {name}"),
        _ => format!("{endpoint}{starttls}"),
    }
}

fn event(want: &ProbeWant, address: Option<SocketAddr>, attempt: Attempt) -> Kind {
    let mut endpoint = want.endpoint.clone();
    if let Some(address) = address {
        endpoint.host = address.ip().to_string();
    }
    Kind::VerifyAttempt {
        endpoint,
        server_name: want.server_name.clone(),
        attempt: attempt.number,
        attempts: attempt.of,
        seen: attempt.seen,
        matched: attempt.matched,
        detail: attempt.detail,
        next_wait_ms: attempt.next_wait.map(millis),
    }
}

fn unverified(want: &ProbeWant, address: Option<SocketAddr>, verdict: Verdict) -> Unverified {
    match verdict {
        Verdict::Wrong { seen, words, advice, attempts } => Unverified {
            words: format!(
                "{}: {words} ({})",
                place(want, address),
                crate::model::text::plural(attempts as usize, "attempt")
            ),
            advice,
            cancelled: false,
            nothing_served: matches!(seen, Seen::Refused(_)),
        },
        Verdict::Cancelled | Verdict::Verified { .. } => Unverified {
            words: format!("{}: stopped before there was an answer", place(want, address)),
            advice: Vec::new(),
            cancelled: true,
            nothing_served: false,
        },
    }
}
