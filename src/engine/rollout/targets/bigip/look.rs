//! A look at the device.

use super::line::Line;
use super::looked::{self, Looked};
use super::place::BigIp;
use crate::bigip::is_name;
use crate::engine::failure::HostFailure;
use std::collections::BTreeSet;

/// Objects that one answer has room for.
const AT_ONCE: usize = 6;
/// Objects that are looked at.
const MOST: usize = 48;

/// Looks. Changes nothing.
///
/// # Errors
/// The device cannot be reached, or does not answer as it should.
pub(super) async fn look(target: &BigIp, line: &Line) -> Result<Looked, HostFailure> {
    let wanted = &target.wanted;
    let orders =
        line.orders("look").and("partition", wanted.partition()).and("profile", &wanted.profile);
    let answers = line.ask(orders).await?;
    let mut looked = looked::read(wanted, &answers);
    let entries = looked.profile.iter().flat_map(|profile| &profile.entries);
    let entries = entries.chain(looked.earlier.iter().map(|before| &before.entry));
    let names = entries.flat_map(|entry| [entry.cert.clone(), entry.chain.clone()]);
    let names = names.filter(|name| *name != "none" && is_name(name)).collect::<BTreeSet<_>>();
    let names: Vec<String> = names.into_iter().take(MOST).collect();
    for part in names.chunks(AT_ONCE).filter(|_| looked.running) {
        let orders = line.orders("objects");
        let orders = part.iter().fold(orders, |orders, name| orders.and("object", name));
        looked.objects.extend(looked::objects(&line.ask(orders).await?));
    }
    // What was deleted since is nothing that could come back.
    let known = &looked.objects;
    looked.earlier.retain(|before| known.contains_key(&before.entry.cert));
    Ok(looked)
}
