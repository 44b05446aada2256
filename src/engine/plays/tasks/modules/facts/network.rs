//! Interfaces and addresses of a host (Ansible, `module_utils/facts/network/linux.py`).

use super::said::Said;
use serde_json::{Map, Value as Json, json};
use std::net::Ipv4Addr;

/// Nothing where the host has no `ip`, as in Ansible.
pub(super) fn facts(said: &Said<'_>) -> Map<String, Json> {
    let mut facts = Map::new();
    if said.each("device ").next().is_none() {
        return facts;
    }
    let mut default4 = route(said.line("route4", 0), "8.8.8.8");
    let mut default6 = route(said.line("route6", 0), "2404:6800:400a:800::1012");
    let (mut names, mut all4, mut all6) = (Vec::new(), Vec::new(), Vec::new());
    for (device, lines) in said.each("device ") {
        let mut seen = interface(device, lines);
        let mac = seen.get("macaddress").cloned().unwrap_or_else(|| json!("00:00:00:00:00:00"));
        for words in lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            let Some((kind, address)) = address(&words) else { continue };
            let is_default =
                |route: &Map<String, Json>| route.get("address") == address.get("address");
            let more = |route: &mut Map<String, Json>, names: &[&str]| {
                for name in names {
                    route.extend(
                        address.get(*name).map(|value| ((*name).to_owned(), value.clone())),
                    );
                }
                route.insert("macaddress".to_owned(), mac.clone());
                for name in ["mtu", "type"] {
                    route.extend(seen.get(name).map(|value| (name.to_owned(), value.clone())));
                }
            };
            let text = address.get("address").and_then(Json::as_str).unwrap_or_default().to_owned();
            if kind == "inet" {
                if is_default(&default4) {
                    more(&mut default4, &["broadcast", "netmask", "network", "prefix"]);
                    let alias = words.last().copied().unwrap_or_default();
                    default4.insert("alias".to_owned(), json!(alias));
                }
                if !text.starts_with("127.") {
                    all4.push(json!(text));
                }
                let first = !words.contains(&"secondary") && !seen.contains_key("ipv4");
                if first {
                    seen.insert("ipv4".to_owned(), Json::Object(address));
                } else {
                    push(&mut seen, "ipv4_secondaries", address);
                }
            } else {
                if is_default(&default6) {
                    more(&mut default6, &["prefix", "scope"]);
                }
                if text != "::1" {
                    all6.push(json!(text));
                }
                push(&mut seen, "ipv6", address);
            }
        }
        let name = device.replace(':', "_");
        names.push(json!(name));
        facts.insert(name.replace(['-', '.'], "_"), Json::Object(seen));
    }
    facts.insert("interfaces".to_owned(), Json::Array(names));
    facts.insert("default_ipv4".to_owned(), Json::Object(default4));
    facts.insert("default_ipv6".to_owned(), Json::Object(default6));
    facts.insert("all_ipv4_addresses".to_owned(), Json::Array(all4));
    facts.insert("all_ipv6_addresses".to_owned(), Json::Array(all6));
    facts
}

/// One more item of a list, which begins with it.
fn push(map: &mut Map<String, Json>, name: &str, item: Map<String, Json>) {
    match map.get_mut(name) {
        Some(Json::Array(items)) => items.push(Json::Object(item)),
        _ => drop(map.insert(name.to_owned(), json!([item]))),
    }
}

/// Where packets for `target` leave.
fn route(line: &str, target: &str) -> Map<String, Json> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut route = Map::new();
    if words.first() != Some(&target) {
        return route;
    }
    for pair in words.windows(2) {
        let name = match pair[0] {
            "dev" => "interface",
            "src" => "address",
            "via" if pair[1] != target => "gateway",
            _ => continue,
        };
        route.insert(name.to_owned(), json!(pair[1]));
    }
    route
}

fn interface(device: &str, lines: &[&str]) -> Map<String, Json> {
    let value = |name: &str| {
        let found = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(str::trim).filter(|value| !value.is_empty())
    };
    let mut seen = Map::from_iter([("device".to_owned(), json!(device))]);
    if let Some(mac) = value("address").filter(|mac| *mac != "00:00:00:00:00:00") {
        seen.insert("macaddress".to_owned(), json!(mac));
    }
    if let Some(Ok(mtu)) = value("mtu").map(str::parse::<u64>) {
        seen.insert("mtu".to_owned(), json!(mtu));
    }
    if let Some(state) = value("operstate") {
        seen.insert("active".to_owned(), json!(state != "down"));
    }
    let kind = value("kind").or_else(|| {
        value("type").map(|number| match number {
            "1" => "ether",
            "32" => "infiniband",
            "512" => "ppp",
            "772" => "loopback",
            "65534" => "tunnel",
            _ => "unknown",
        })
    });
    seen.extend(kind.map(|kind| ("type".to_owned(), json!(kind))));
    seen
}

/// The kind and the parts of an address of `ip addr show`.
fn address<'w>(words: &[&'w str]) -> Option<(&'w str, Map<String, Json>)> {
    let kind = *words.first()?;
    let address = *words.get(1)?;
    let made = match kind {
        "inet" => {
            let (text, prefix) = address.split_once('/').unwrap_or((address, "32"));
            let ip: Ipv4Addr = text.parse().ok()?;
            let length: u32 = prefix.parse().ok().filter(|length| *length <= 32)?;
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            let broadcast = match words.get(2) {
                Some(&"brd") if address.contains('/') => words.get(3).copied().unwrap_or_default(),
                _ => "",
            };
            json!({
                "address": text, "broadcast": broadcast, "netmask": Ipv4Addr::from(mask).to_string(),
                "network": Ipv4Addr::from(u32::from(ip) & mask).to_string(), "prefix": prefix,
            })
        }
        "inet6" => {
            let (text, prefix, scope) = match words.get(2) {
                Some(&"peer") => (address, words.get(3)?.split_once('/')?.1, words.get(5)?),
                _ => {
                    let (text, prefix) = address.split_once('/')?;
                    (text, prefix, words.get(3)?)
                }
            };
            json!({"address": text, "prefix": prefix, "scope": scope})
        }
        _ => return None,
    };
    match made {
        Json::Object(map) => Some((kind, map)),
        _ => None,
    }
}
