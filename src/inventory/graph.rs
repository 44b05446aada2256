//! Groups within groups: membership, depth, loops.

use super::model::Inventory;
use crate::model::HostName;
use indexmap::IndexSet;

/// Hosts of a group: its own as written, then those of its children as attached, level by level.
pub(super) fn members(inventory: &Inventory, group: &str) -> Vec<HostName> {
    let mut found: IndexSet<HostName> = IndexSet::new();
    let mut seen: IndexSet<&str> = IndexSet::new();
    let mut level = vec![group];
    while !level.is_empty() {
        let mut next = Vec::new();
        for name in level {
            let Some((name, group)) = inventory.groups.get_key_value(name) else { continue };
            if !seen.insert(name) {
                continue;
            }
            found.extend(group.hosts.iter().cloned());
            next.extend(group.children.iter().map(String::as_str));
        }
        level = next;
    }
    found.into_iter().collect()
}

/// Whether making `child` a child of `parent` would close a loop.
pub(super) fn would_loop(inventory: &Inventory, parent: &str, child: &str) -> bool {
    parent == child || descends(inventory, parent, child)
}

/// Whether `name` is somewhere below `above`.
fn descends(inventory: &Inventory, name: &str, above: &str) -> bool {
    let mut waiting = vec![above];
    let mut seen = IndexSet::new();
    while let Some(group) = waiting.pop() {
        if !seen.insert(group) {
            continue;
        }
        for child in inventory.groups.get(group).into_iter().flat_map(|group| &group.children) {
            if child == name {
                return true;
            }
            waiting.push(child);
        }
    }
    false
}

/// Once everything is read: attaches loose groups to `all`, hosts without a group to `ungrouped`, and computes
/// depths and each host's groups.
pub(super) fn complete(inventory: &mut Inventory) {
    for name in ["all", "ungrouped"] {
        inventory.groups.entry(name.to_owned()).or_default();
    }
    let has_parent: IndexSet<String> = inventory
        .groups
        .iter()
        .filter(|(name, _)| *name != "all")
        .flat_map(|(_, group)| group.children.iter().cloned())
        .collect();
    let loose: Vec<String> = inventory
        .groups
        .keys()
        .filter(|name| *name != "all" && !has_parent.contains(*name))
        .cloned()
        .collect();
    let grouped: IndexSet<HostName> = inventory
        .groups
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "all" | "ungrouped"))
        .flat_map(|(_, group)| group.hosts.iter().cloned())
        .collect();
    // Those that are listed there come first, then those of `all` and of no group at all.
    let listed = inventory.groups.get("ungrouped").map(|group| group.hosts.clone());
    let everybody = listed.unwrap_or_default().into_iter().chain(inventory.hosts.keys().cloned());
    let ungrouped: IndexSet<HostName> = everybody.filter(|host| !grouped.contains(host)).collect();
    if let Some(group) = inventory.groups.get_mut("ungrouped") {
        group.hosts = ungrouped;
    }
    if let Some(all) = inventory.groups.get_mut("all") {
        let first = (!all.children.iter().any(|child| child == "ungrouped"))
            .then(|| "ungrouped".to_owned());
        let mut children: IndexSet<String> = first.into_iter().collect();
        children.extend(all.children.iter().cloned());
        children.extend(loose);
        all.children = children;
    }
    depths(inventory);
    memberships(inventory);
}

/// The longest way from `all`: a group is settled once all of its parents are (there are no loops).
fn depths(inventory: &mut Inventory) {
    let groups = &mut inventory.groups;
    let mut parents = vec![0_usize; groups.len()];
    for group in groups.values() {
        for child in group.children.iter().filter_map(|child| groups.get_index_of(child)) {
            parents[child] += 1;
        }
    }
    let mut settled: Vec<usize> = (0..parents.len()).filter(|&index| parents[index] == 0).collect();
    while let Some(index) = settled.pop() {
        let below = groups[index].depth + 1;
        let children: Vec<usize> =
            groups[index].children.iter().filter_map(|child| groups.get_index_of(child)).collect();
        for child in children {
            groups[child].depth = groups[child].depth.max(below);
            parents[child] -= 1;
            if parents[child] == 0 {
                settled.push(child);
            }
        }
    }
}

fn memberships(inventory: &mut Inventory) {
    let names: Vec<String> =
        inventory.groups.keys().filter(|name| *name != "all").cloned().collect();
    for name in names {
        for host in members(inventory, &name) {
            if let Some(host) = inventory.hosts.get_mut(&host) {
                host.groups.push(name.clone());
            }
        }
    }
    for host in inventory.hosts.values_mut() {
        host.groups.sort();
    }
}
