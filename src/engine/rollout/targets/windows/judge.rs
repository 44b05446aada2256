//! Whether what a machine has may be changed, and what has to be said of a change.

use super::place::{Windows, chain, leaf, unconfirmed};
use crate::material::Bundle;
use crate::model::Step;
use crate::model::text::printable;
use crate::plan::host_plan::{Decision, HostPlan};
use crate::playbook::certificate::WindowsUse;
use crate::windows::{HttpEntry, Seen, Thumbprint, Use, entries};

/// `sslFlags`: by the name that a client asks for.
const BY_NAME: i64 = 1;
/// `sslFlags`: out of a directory of PFX files.
const CENTRAL: i64 = 2;
/// Names in one sentence.
const SHOWN: usize = 8;

/// Blocks the plan where the change cannot be made, and notes what it means.
pub(super) fn judge(target: &Windows, seen: &Seen, bundle: &Bundle, plan: &mut HostPlan) {
    let block = |plan: &mut HostPlan, why: String| {
        plan.decision = Decision::Blocked { step: Step::Inspect, why, check: None };
    };
    let what = target.describe();
    let Some(used) = &seen.used else {
        let said = seen.why_missing();
        let why = match said.strip_prefix("use|") {
            Some("0") => format!("there is no such thing as {what}"),
            Some(count) => format!("{what} is there {count} times"),
            None => format!("{what} cannot be read: {said}"),
        };
        return block(plan, why);
    };
    if bundle.key.is_none() {
        return block(
            plan,
            "the store takes no certificate without its key: name it in `source.key`".to_owned(),
        );
    }
    if used.flags & CENTRAL != 0 {
        return block(
            plan,
            format!(
                "{what} takes its certificate out of the central store, a directory of PFX files: roll those files out"
            ),
        );
    }
    if target.wanted.used == WindowsUse::WinRm && common_name(bundle).is_none() {
        return block(
            plan,
            format!("{what} wants a certificate with a common name (CN), and this has none"),
        );
    }
    if seen.new && !seen.new_key {
        let new = Thumbprint::of(&bundle.leaf.der);
        return block(
            plan,
            format!(
                "certificate {new} is in the store {} without its key: remove it there",
                target.wanted.store
            ),
        );
    }
    if let Some(by) = unconfirmed(seen) {
        let by = printable(by.as_bytes(), 300);
        plan.notes.push(format!(
            "{what} names a certificate of a change that is not confirmed yet ({by})"
        ));
    }
    if let Some(why) = overruled(target, seen, used, plan) {
        return block(plan, why);
    }
    let notes = [
        about_readers(target, seen, used),
        about_chain(seen, bundle),
        neighbours(target, seen, used),
    ];
    plan.notes.extend(notes.into_iter().flatten());
}

/// The subject's common name.
pub(super) fn common_name(bundle: &Bundle) -> Option<&str> {
    let subject = bundle.leaf.subject.as_str();
    let mut parts = subject.rsplit(", ");
    parts.find_map(|part| part.strip_prefix("CN=")).filter(|name| !name.is_empty())
}

/// An entry of http.sys for the address has another certificate: clients may get that one whatever name they ask for. What
/// is served now tells.
fn overruled(target: &Windows, seen: &Seen, used: &Use, plan: &mut HostPlan) -> Option<String> {
    let WindowsUse::Iis { binding, .. } = &target.wanted.used else { return None };
    if used.flags & BY_NAME == 0 {
        return None;
    }
    let entry = rivals(binding, used, &seen.http).into_iter().next()?;
    let HttpEntry { at, thumbprint } = &entry;
    let named = leaf(seen).map(|leaf| leaf.fingerprint);
    let served: Vec<_> = plan.places.iter().filter_map(|place| place.before.leaf()).collect();
    if !served.is_empty() && served.iter().all(|served| Some(*served) != named) {
        return Some(format!(
            "http.sys has an entry for {at} with another certificate ({thumbprint}), and what is served is not the \
             certificate of the binding: the entry overrules it. Remove it if it is stale: netsh http delete sslcert ipport={at}"
        ));
    }
    plan.notes.push(format!(
        "http.sys has an entry for {at} with another certificate ({}): clients that ask for no name get that one",
        thumbprint.short()
    ));
    None
}

/// Entries for addresses on the binding's port that name another certificate than it does.
fn rivals(binding: &str, used: &Use, printed: &str) -> Vec<HttpEntry> {
    let port = port_of(binding);
    let mut all = entries(printed);
    all.retain(|entry| {
        entry.is_for_address() && entry.port() == port && Some(entry.thumbprint) != used.thumbprint
    });
    all
}

fn port_of(binding: &str) -> Option<u16> {
    let (rest, _) = binding.rsplit_once(':')?;
    rest.rsplit_once(':')?.1.parse().ok()
}

/// `IP:port`.
fn address_of(binding: &str) -> &str {
    binding.rsplit_once(':').map_or(binding, |(address, _)| address)
}

fn about_readers(target: &Windows, seen: &Seen, used: &Use) -> Option<String> {
    let names = |readers: &[String]| {
        let shown = readers.iter().take(SHOWN).map(|sid| printable(sid.as_bytes(), 100));
        shown.collect::<Vec<_>>().join(", ")
    };
    let store = used.store.as_deref().unwrap_or("My");
    if used.thumbprint.is_none() {
        Some(format!(
            "{} names no certificate yet: the new key gets no readers but the store's own",
            target.describe()
        ))
    } else if seen.leaf.is_empty() || !seen.key {
        let store = printable(store.as_bytes(), 100);
        Some(format!(
            "the certificate in use is not in the store {store} with its key: who may read that key is not known, so the new \
             key gets no readers but the store's own"
        ))
    } else if seen.readers.is_empty() {
        Some("the file of the key in use was not found: the new key gets no readers but the store's own".to_owned())
    } else {
        Some(format!("the new key gets the readers of the old one: {}", names(&seen.readers)))
    }
}

fn about_chain(seen: &Seen, bundle: &Bundle) -> Option<String> {
    let known = |one: &String| seen.chain.iter().any(|known| known.eq_ignore_ascii_case(one));
    let missing = chain(bundle).iter().filter(|one| !known(one)).count();
    (missing > 0).then(|| {
        format!("intermediates are added to LocalMachine\\CA for the whole machine: {missing}")
    })
}

/// Other bindings of the same address without SNI: they have one certificate together.
fn neighbours(target: &Windows, seen: &Seen, used: &Use) -> Option<String> {
    let WindowsUse::Iis { binding, .. } = &target.wanted.used else { return None };
    if used.flags & BY_NAME != 0 {
        return None;
    }
    let others = seen.others.iter().filter(|other| {
        other.binding != *binding
            && other.flags & (BY_NAME | CENTRAL) == 0
            && address_of(&other.binding) == address_of(binding)
    });
    let others: Vec<String> = others
        .take(SHOWN)
        .map(|other| {
            format!("{} of {}", printable(other.binding.as_bytes(), 300), site_of(&other.owner))
        })
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "without SNI there is one certificate for an address: {} change with it",
            others.join(", ")
        )
    })
}

/// The site's name out of a path like `/system.applicationHost/sites/site[@name='Shop' and @id='2']`.
fn site_of(owner: &str) -> String {
    let name = owner.split("@name='").nth(1).and_then(|rest| rest.split('\'').next());
    format!("'{}'", printable(name.unwrap_or("?").as_bytes(), 300))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(thumbprint: Thumbprint, flags: i64) -> Use {
        Use { thumbprint: Some(thumbprint), store: None, flags, rest: None }
    }

    #[test]
    fn rivals_are_for_addresses_on_the_port_with_another_certificate() {
        let (own, other) = (Thumbprint::of(b"own"), Thumbprint::of(b"other"));
        let table = format!(
            "  IP:port : 0.0.0.0:443\n  Hash : {own}\n\n  IP:port : 10.0.0.5:443\n  Hash : {other}\n\n  \
             IP:port : 0.0.0.0:8443\n  Hash : {other}\n\n  Hostname:port : x.test:443\n  Hash : {other}\n"
        );
        let found = rivals("*:443:www.example.net", &used(own, BY_NAME), &table);
        let places: Vec<&str> = found.iter().map(|entry| entry.at.as_str()).collect();
        assert_eq!(places, ["10.0.0.5:443"]);
    }

    #[test]
    fn parts_of_bindings() {
        assert_eq!(port_of("[::1]:443:www"), Some(443));
        assert_eq!(address_of("*:443:www"), "*:443");
        assert_eq!(site_of("/sites/site[@name='Shop' and @id='2']"), "'Shop'");
        assert_eq!(site_of("\u{1b}"), "'?'");
    }
}
