//! After a roll back: whether the host serves its old certificate again, and what is done when it does not.
//!
//! The files are the old ones by then. "Rolled back" is said of what was seen: every endpoint that showed a certificate
//! before has to show it again. A service that does not, or that is down, is restarted once, and looked at again.

use super::target::{Job, Observed};
use crate::engine::context::Context;
use crate::engine::failure::HostFailure;
use crate::engine::verification::{self, Dialers, Sought};
use crate::model::{Outcome, Step, Timestamp};
use crate::plan::desired::{DesiredState, ProbeWant};
use crate::plan::host_plan::HostPlan;
use crate::plan::transaction::revival;

/// Looks at a host that went back from a change made at `since`, and says how it is.
pub(super) async fn looked_back(
    mut failure: HostFailure,
    job: &Job,
    observed: &Observed,
    since: Timestamp,
    context: &Context,
) -> HostFailure {
    let (Outcome::RolledBack(step) | Outcome::NotRestored(step)) = failure.outcome else {
        return failure;
    };
    let desired = observed.view.desired();
    let running = context.emitter.step(&desired.host, Step::Rollback);
    let dialers = job.target.dialers();
    let mut down = std::mem::take(&mut failure.down);
    let mut seen = old_is_served(desired, &observed.plan, &dialers, context).await;
    let mut words = Vec::new();
    let wrong: Vec<String> = [seen.wrong.clone(), down.clone()].concat();
    if !wrong.is_empty() && !seen.cancelled {
        match job.target.revive(job, observed, &wrong).await {
            Ok(Some(revived)) => {
                words.push(revived.words);
                down.retain(|name| {
                    revived.still_down.contains(name) || !revived.tried.contains(name)
                });
                if !seen.wrong.is_empty() {
                    seen = old_is_served(desired, &observed.plan, &dialers, context).await;
                }
            }
            Ok(None) => {}
            Err(why) => words.push(format!("it could not be restarted: {why}")),
        }
    }
    if seen.cancelled || (seen.wrong.is_empty() && down.is_empty()) {
        failure.outcome = Outcome::RolledBack(step);
        words.push(seen.words);
    } else {
        failure.outcome = Outcome::NotRestored(step);
        if seen.wrong.is_empty() {
            words.push(format!("{} is down since {since}", down.join(" and ")));
        } else {
            words.push(format!("{} (since {since})", seen.words));
        }
        let wrong: Vec<String> = [seen.wrong, down].concat();
        failure.failure.advice.insert(0, to_type(observed, &wrong));
    }
    let words = words.join("; ");
    failure.failure.state.push_str(&format!("; {words}"));
    running.end(words);
    failure
}

/// The first thing to do about services that do not serve their old files.
fn to_type(observed: &Observed, wrong: &[String]) -> String {
    let commands = revival(&observed.view, wrong, "", std::time::Duration::ZERO);
    let commands = commands.map(|request| request.services).unwrap_or_default();
    let commands: Vec<String> = commands
        .iter()
        .filter_map(|service| Some(format!("`{}`", service.reload.as_ref()?.command.brief())))
        .collect();
    let how = match commands.as_slice() {
        [] => "restart it by hand on the host".to_owned(),
        commands => format!("run {} on the host", commands.join(" and ")),
    };
    format!(
        "the files are the old ones and the service does not serve them: {how}, read its log, then look again \
         with `certroll status`"
    )
}

/// What was seen after a roll back.
struct Seen {
    words: String,
    /// The services of which an endpoint does not show what it showed before.
    wrong: Vec<String>,
    /// The run was told to stop before there was an answer.
    cancelled: bool,
}

/// Whether each endpoint shows again what it showed before the change.
async fn old_is_served(
    desired: &DesiredState,
    plan: &HostPlan,
    dialers: &Dialers,
    context: &Context,
) -> Seen {
    let mut services: Vec<(&str, Vec<Sought>)> = Vec::new();
    for place in &plan.places {
        let Some(leaf) = place.before.leaf() else { continue };
        // Asked as before the change, for the new leaf's kind of key: the same question has the same answer.
        let probe = place.probe.clone();
        let probe = ProbeWant {
            leaf,
            beyond_judging: None,
            chain: None,
            trust: None,
            names: Vec::new(),
            ..probe
        };
        let sought = Sought { probe, old: None, old_kind: None };
        let name = place.probe.service.as_str();
        match services.iter_mut().find(|(known, _)| *known == name) {
            Some((_, places)) => places.push(sought),
            None => services.push((name, vec![sought])),
        }
    }
    if services.is_empty() {
        let words =
            "nothing was served before the change, so there is nothing to compare".to_owned();
        return Seen { words, wrong: Vec::new(), cancelled: false };
    }
    let mut unseen = Vec::new();
    let mut wrong = Vec::new();
    for (name, places) in services {
        let looked = verification::verify_all(
            &desired.host,
            &places,
            dialers,
            context.identity.now,
            context.stop.hard(),
            &context.emitter,
        )
        .await;
        match looked {
            Ok(_) => {}
            Err(cut) if cut.cancelled => {
                return Seen { words: cut.words, wrong: Vec::new(), cancelled: true };
            }
            Err(unverified) => {
                unseen.push(unverified.words);
                wrong.push(name.to_owned());
            }
        }
    }
    let words = match unseen.as_slice() {
        [] => "the old certificate is served again".to_owned(),
        unseen => format!("BUT the old certificate is not seen: {}", unseen.join("; ")),
    };
    Seen { words, wrong, cancelled: false }
}
