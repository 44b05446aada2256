//! Looking at a device: what the profile serves, and whether it may be changed now.

use super::held::{self, Wanted};
use super::line::Line;
use super::look::look;
use super::looked::{Looked, Now};
use super::place::BigIp;
use crate::bigip::{Entry, is_name};
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Asked, Job, Observed, Target};
use crate::engine::rollout::targets::store;
use crate::engine::verification;
use crate::host::HostFacts;
use crate::model::Step;
use crate::plan::build::build;
use crate::plan::earlier::earlier;
use crate::plan::host_plan::{Decision, HostPlan};
use crate::plan::inspection::HostView;
use crate::plan::proof::judge as judge_proof;
use crate::plan::request::Material;

/// Looks at the device and at what is served. Changes nothing.
pub(super) async fn status(target: &BigIp, job: &Job) -> Result<(HostView, Looked), HostFailure> {
    let line = Line::new(target, job.host(), job.task());
    let running = job.emitter.step(job.host(), Step::Connect);
    let dialers = target.dialers();
    let (looked, looks) =
        tokio::join!(look(target, &line), verification::look(job.variants.probes(), &dialers));
    let looked = looked?;
    running.end(line.describe());
    let running = job.emitter.step(job.host(), Step::Inspect);
    let refuse = |why: String| failure::before_commit(job.task(), Step::Inspect, why);
    let mut facts = facts(&looked);
    let desired = job.variants.desired(&facts).map_err(|why| refuse(why.to_string()))?;
    let material = material(job).map_err(refuse)?;
    let entry = entry(target, &looked, Some(material)).ok();
    facts.files = held::files(&looked, entry, &Wanted { desired: &desired, material });
    let view = HostView::read(desired, facts, looks).map_err(|why| refuse(why.to_string()))?;
    running.end("asked");
    Ok((view, looked))
}

fn facts(looked: &Looked) -> HostFacts {
    let mut facts = store::a_store();
    facts.user.clone_from(&looked.user);
    facts.journals = looked.now.iter().map(Now::journal).collect();
    facts.lock = looked.now.as_ref().and_then(Now::lock);
    facts
}

/// The task's one pair.
pub(super) fn material(job: &Job) -> Result<&Material, String> {
    let first = job.wanted.materials.first();
    first.map(|material| &**material).ok_or_else(|| "the task has no certificate".to_owned())
}

/// Looks at the device for a task whose pair is not at hand. Changes nothing.
pub(super) async fn held(target: &BigIp, asked: &Asked<'_>) -> Result<HostFacts, HostFailure> {
    let line = Line::new(target, asked.host, asked.task);
    let running = asked.emitter.step(asked.host, Step::Connect);
    let looked = look(target, &line).await?;
    running.end(line.describe());
    let mut facts = facts(&looked);
    let entry = entry(target, &looked, None).ok();
    let here = asked.request.variants.iter().filter(|variant| variant.kinds.contains(&facts.kind));
    facts.files = here
        .flat_map(|variant| &variant.files)
        .map(|path| {
            let is_key = path.as_bytes().ends_with(b"/key");
            held::file(&looked, entry, path, is_key, |entry| held::as_it_is(&looked, entry, is_key))
        })
        .collect();
    Ok(facts)
}

/// As [`status`], and plans.
pub(super) async fn observe(target: &BigIp, job: &Job) -> Result<Observed, HostFailure> {
    let refuse = |why: String| failure::before_commit(job.task(), Step::Inspect, why);
    let (view, looked) = status(target, job).await?;
    let view = match &job.earlier {
        None => view,
        Some(to) => {
            let desired = earlier(&view, to).map_err(|why| refuse(why.to_string()))?;
            view.with_desired(desired)
        }
    };
    let mut plan = build(&view, job.identity.now);
    judge_proof(&mut plan, &[], &[]);
    if plan.decision == Decision::Change {
        judge(target, job, &looked, &mut plan);
    }
    target.remember(looked);
    Ok(Observed { view, plan })
}

/// The entry that the task is about.
///
/// # Errors
/// There is none, or more than one.
pub(super) fn entry<'a>(
    target: &BigIp,
    looked: &'a Looked,
    material: Option<&Material>,
) -> Result<&'a Entry, String> {
    let name = &target.wanted.profile;
    let profile = looked.profile.as_ref().map_err(|why| format!("profile {name}: {why}"))?;
    let entries = &profile.entries;
    let names = || entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ");
    if profile.inherits || entries.is_empty() {
        return Err(format!(
            "profile {name} has no cert-key-chain of its own and takes its parent's, which others use too: make an \
             entry in it first"
        ));
    }
    if let Some(wanted) = &target.wanted.entry {
        let found = entries.iter().find(|entry| entry.name == *wanted);
        return found
            .ok_or_else(|| format!("profile {name} has no entry {wanted}; it has {}", names()));
    }
    if let [only] = entries.as_slice() {
        return Ok(only);
    }
    let of_key = material.map(|material| material.leaf.public_key.rsa_bits().is_some());
    let fits = |entry: &&Entry| {
        let object = looked.object(&entry.cert);
        object.is_some_and(|object| Some(object.is_rsa) == of_key)
    };
    let mut fitting = entries.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(format!(
            "profile {name} has several entries ({}), and not one of them alone has this kind of key: say which in \
             `bigip.entry`",
            names()
        )),
    }
}

/// Whether the profile may be changed now, and what has to be said of it.
fn judge(target: &BigIp, job: &Job, looked: &Looked, plan: &mut HostPlan) {
    match obstacle(target, job, looked) {
        Some(why) => plan.decision = Decision::Blocked { step: Step::Inspect, why, check: None },
        None => plan.notes.extend(remarks(target, looked)),
    }
}

fn obstacle(target: &BigIp, job: &Job, looked: &Looked) -> Option<String> {
    if !looked.running {
        return Some(
            "mcpd is not ready (`show sys mcp-state` does not say `phase running`)".to_owned(),
        );
    }
    if !looked.active {
        return Some(format!(
            "this unit is not the active one ({}): name the active unit, whose configuration the others take",
            looked.failover
        ));
    }
    let material = material(job).ok();
    let entry = match entry(target, looked, material) {
        Ok(entry) => entry,
        Err(why) => return Some(why),
    };
    let named = [&entry.name, &entry.cert, &entry.key, &entry.chain];
    if let Some(odd) = named.into_iter().find(|name| !is_name(name)) {
        let odd = crate::model::text::printable(odd.as_bytes(), 100);
        return Some(format!("'{odd}' is a name that certroll cannot pass back to tmsh as it is"));
    }
    if entry.passphrase {
        return Some(format!(
            "the key of entry {} has a passphrase, which would stay for the new one: there is no way to say otherwise \
             that was read or tried",
            entry.name
        ));
    }
    if job.earlier.is_none() && material.is_some_and(|material| material.bundle.key.is_none()) {
        return Some("a BIG-IP takes the certificate with its key: say `source.key`".to_owned());
    }
    None
}

fn remarks(target: &BigIp, looked: &Looked) -> Vec<String> {
    let mut notes = Vec::new();
    let sync = &looked.sync;
    match &target.wanted.sync_group {
        Some(group) if looked.in_sync => {
            notes.push(format!("device group {group} is synchronised after the confirmation"));
        }
        Some(group) => notes.push(format!(
            "device group {group} is NOT synchronised afterwards, as it is not in sync before ({sync}): unfinished work of \
             others would go live"
        )),
        None if sync.eq_ignore_ascii_case("standalone") => {}
        None => notes.push(format!(
            "the other units ({sync}) serve the old certificate after a failover until their group is synchronised: \
             `bigip.sync_group` does it"
        )),
    }
    notes
}
