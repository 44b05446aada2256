//! Which of a host's command results answers which question: the order of the inspection's request.

use super::desired::{Desired, PrecheckWant, ServiceWant};
use crate::host::{CommandResult, HostFacts};

/// What a host answered about one service.
pub(super) struct Answers<'a> {
    pub service: &'a ServiceWant,
    /// Checks of the untouched configuration.
    pub prechecks: Vec<(&'a PrecheckWant, &'a CommandResult)>,
    /// What its configuration says.
    pub discovery: Option<&'a CommandResult>,
    /// Whether it runs; `None`: cannot tell.
    pub up: Option<bool>,
}

/// Service by service, as `engine::certificate::request` asks.
pub(super) fn answers<'a>(desired: &'a Desired, facts: &'a HostFacts) -> Vec<Answers<'a>> {
    let mut results = facts.commands.iter();
    let mut running = facts.running.iter();
    let services = desired.services.iter();
    services
        .map(|service| {
            let checks = service.prechecks.iter();
            Answers {
                service,
                prechecks: checks.filter_map(|check| Some((check, results.next()?))).collect(),
                discovery: service.discover.as_ref().and_then(|_| results.next()),
                up: service.running.as_ref().and_then(|_| running.next().copied().flatten()),
            }
        })
        .collect()
}
