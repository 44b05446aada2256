//! Which of a service's usual places count: those that turned out to serve the certificate in question, for
//! not everybody has something listening on port 587. Those that the operator named all count.

use super::desired::ProbeWant;
use super::host_plan::{PlannedPlace, SeenBefore};
use super::inspection::HostView;
use crate::model::Fingerprint;

/// The places that must show the new leaf, and what is to be said about them.
pub(super) struct Decided {
    pub places: Vec<PlannedPlace>,
    pub notes: Vec<String>,
}

/// Chooses among the usual places of each service by what they served; the operator's own all count.
pub(super) fn decide(view: &HostView) -> Decided {
    let mut decided = Decided { places: Vec::new(), notes: Vec::new() };
    let seen: Vec<(&ProbeWant, SeenBefore)> =
        view.places().map(|place| (place.probe, place.before())).collect();
    let looks: Vec<(&ProbeWant, &SeenBefore)> =
        seen.iter().map(|(probe, before)| (*probe, before)).collect();
    let mut done: Vec<&str> = Vec::new();
    for (probe, shown) in &looks {
        let Some(group) = probe.alternatives.as_deref() else {
            decided.keep(probe, shown, None);
            if let SeenBefore::Nothing(why) = shown {
                let place = &probe.endpoint;
                decided.notes.push(format!("before the change {place} served nothing: {why}"));
            }
            continue;
        };
        if done.contains(&group) {
            continue;
        }
        done.push(group);
        let members: Vec<(&ProbeWant, &SeenBefore)> = looks
            .iter()
            .filter(|(other, _)| other.alternatives.as_deref() == Some(group))
            .copied()
            .collect();
        decided.group(&members, &view.leaves_on_disk(probe.pair), group);
    }
    decided
}

impl Decided {
    fn keep(&mut self, probe: &ProbeWant, seen: &SeenBefore, alternatives: Option<&str>) {
        let alternatives = alternatives.map(str::to_owned);
        let probe = ProbeWant { alternatives, ..probe.clone() };
        self.places.push(PlannedPlace { probe, before: seen.clone() });
    }

    fn group(
        &mut self,
        members: &[(&ProbeWant, &SeenBefore)],
        on_disk: &[Fingerprint],
        group: &str,
    ) {
        let ours = |(probe, seen): &&(&ProbeWant, &SeenBefore)| {
            seen.leaf().is_some_and(|leaf| leaf == probe.leaf || on_disk.contains(&leaf))
        };
        let any = |(_, seen): &&(&ProbeWant, &SeenBefore)| seen.leaf().is_some();
        let mut chosen: Vec<_> = members.iter().filter(ours).collect();
        if chosen.is_empty() {
            chosen = members.iter().filter(any).collect();
            if !chosen.is_empty() && !on_disk.is_empty() {
                let places: Vec<String> =
                    chosen.iter().map(|(probe, _)| probe.endpoint.to_string()).collect();
                self.notes.push(format!(
                    "{} serves another certificate than the file holds; it must show the new one after \
                     the change (if it is not the place to look at, name that in `verify:`)",
                    places.join(", ")
                ));
            }
        }
        match (chosen.as_slice(), members) {
            ([], [(probe, seen)]) => {
                let why = match seen {
                    SeenBefore::Nothing(why) => why.as_str(),
                    SeenBefore::Leaf(_) => "",
                };
                self.notes.push(format!(
                    "nothing is served on {} now ({why}); after the change it must show the new \
                     certificate, or the host is rolled back (name another place in `verify:`)",
                    probe.endpoint
                ));
                self.keep(probe, seen, None);
            }
            ([], several) => {
                let places: Vec<String> =
                    several.iter().map(|(probe, _)| probe.endpoint.to_string()).collect();
                self.notes.push(format!(
                    "nothing is served on any of {} now; after the change one of them must show the new \
                     certificate, or the host is rolled back (name the place in `verify:`)",
                    places.join(", ")
                ));
                for (probe, seen) in several {
                    self.keep(probe, seen, Some(group));
                }
            }
            (some, _) => {
                for (probe, seen) in some {
                    self.keep(probe, seen, None);
                }
            }
        }
    }
}
