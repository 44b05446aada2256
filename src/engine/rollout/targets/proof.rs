//! Looks at the host itself where a handshake from elsewhere proves nothing.

use crate::engine::connection::HostConnection;
use crate::engine::verification;
use crate::host::{CommandResult, InspectCommand, Inspection, InspectionVariant};
use crate::model::Timestamp;
use crate::plan::build::build;
use crate::plan::evidence::{Evidence, Seen};
use crate::plan::host_plan::HostPlan;
use crate::plan::inspection::HostView;
use crate::plan::proof;
use crate::plan::request::CertificateRequest;
use crate::remote;

/// A plan whose handshakes prove as much as can be had: with looks at the host itself for those that showed
/// the new leaf before anything was done.
pub(super) async fn sought(
    wanted: &CertificateRequest,
    mut view: HostView,
    connection: &HostConnection,
    now: Timestamp,
) -> (HostView, HostPlan) {
    let mut plan = build(&view, now);
    let candidates = proof::candidates(&plan, wanted);
    let places: Vec<_> = candidates.iter().map(|one| one.probe.clone()).collect();
    let looks = verification::look(&places, &connection.dialers()).await;
    let mut said: Vec<(usize, String)> = Vec::new();
    let mut settled: Vec<usize> = Vec::new();
    let mut found = false;
    for (candidate, look) in candidates.iter().zip(looks) {
        if settled.contains(&candidate.for_probe) {
            continue;
        }
        let place = &candidate.probe.endpoint;
        let words = match look {
            Ok(served) if served.leaf == candidate.probe.leaf => {
                settled.push(candidate.for_probe);
                format!("so did the host itself ({place} from there)")
            }
            Ok(served) if proof::is_the_service(&candidate.probe, &served, &view) => {
                settled.push(candidate.for_probe);
                let known = |one: &crate::plan::desired::ProbeWant| {
                    one.endpoint == candidate.probe.endpoint
                        && one.via == candidate.probe.via
                        && one.leaf == candidate.probe.leaf
                        && one.server_name == candidate.probe.server_name
                };
                if !view.desired().probes.iter().any(known) {
                    view.add_place(candidate.probe.clone(), Ok(served));
                    found = true;
                }
                continue;
            }
            Ok(_) => format!("{place} on the host itself is another service's"),
            Err(why) => format!("the host itself tells nothing on {place} ({why})"),
        };
        // The likeliest place comes first; what is said of the others adds little.
        let told = said.iter_mut().find(|(index, _)| *index == candidate.for_probe);
        match told {
            Some((_, old)) if settled.contains(&candidate.for_probe) => *old = words,
            Some(_) => {}
            None => said.push((candidate.for_probe, words)),
        }
    }
    if found {
        plan = build(&view, now);
    }
    let there = usable(connection, proof::evidence(&plan, &view)).await;
    proof::judge(&mut plan, &said, &there);
    (view, plan)
}

/// What of it is there now, and would show the change.
async fn usable(
    connection: &HostConnection,
    possible: Vec<(String, Evidence)>,
) -> Vec<(String, Evidence)> {
    let asked: Vec<Evidence> = possible.iter().map(|(_, one)| one.clone()).collect();
    // Where nobody can tell, nothing is proven, and that is said.
    let seen = evidence(connection, &asked).await.unwrap_or_default();
    let could = possible.into_iter().zip(seen);
    could.filter(|((_, one), seen)| one.could_prove(seen.as_ref())).map(|(one, _)| one).collect()
}

/// What shows now where `asked` says to look.
///
/// # Errors
/// The host did not tell.
pub(super) async fn evidence(
    connection: &HostConnection,
    asked: &[Evidence],
) -> Result<Vec<Option<Seen>>, String> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut variant = InspectionVariant::default();
    for one in asked {
        match one {
            Evidence::Workers(query) => variant.workers.push(query.clone()),
            Evidence::Loaded { command, .. } => variant.commands.push(InspectCommand {
                command: command.clone(),
                only_if_running: None,
                in_container: None,
                for_user_of: None,
                unless_mounts: false,
            }),
        }
    }
    let request = Inspection { variants: vec![variant], ..Inspection::default() };
    let process = connection.sh().await.map_err(|error| error.to_string())?;
    let facts = remote::inspect(process, &request).await.map_err(|error| error.to_string())?;
    let (mut workers, mut commands) = (facts.workers.into_iter(), facts.commands.into_iter());
    let told = |result: CommandResult| String::from_utf8_lossy(&result.stdout).into_owned();
    let seen = asked.iter().map(|one| match one {
        Evidence::Workers(_) => workers.next().flatten().map(Seen::Workers),
        Evidence::Loaded { .. } => {
            commands.next().filter(CommandResult::success).map(told).map(Seen::Told)
        }
    });
    Ok(seen.collect())
}
