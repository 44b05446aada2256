//! Every key of a profile is obeyed: another value changes what is asked of a host, what is verified, or what
//! the plan tells.

use crate::common::world::{DEBIAN, NOW, facts, nothing, resolve, view, wanted};
use certroll::testing::host::{CommandResult, Container, HostFacts};
use certroll::testing::plan::build::build;
use certroll::testing::plan::inspection::ask_for_plan;
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::plan::rows::rows;
use certroll::testing::plan::transaction::transaction;
use certroll::testing::plan::variants::Variants;
use certroll::testing::playbook::certificate::{
    InContainer, SingleFiles, Validation, VerifyChoice,
};
use certroll::testing::services::{Profile, Profiles, json_schema, list, show};
use certroll::testing::source::SourceFile;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// One certificate for all: with a new one each time everything would differ each time.
static WANTED: LazyLock<CertificateRequest> = LazyLock::new(|| wanted(&["nginx"]));

fn base() -> Value {
    json!({
        "description": "one",
        "settings": {"socket": "/run/a"},
        "layout": {"cert": "leaf", "chain": "separate", "key": "separate"},
        "dest": {"cert": "/e/c.pem", "key": "/e/k.pem", "chain": "/e/ch.pem"},
        "reads": "www",
        "reload_reads_as": "root",
        "modes": {"cert": "0644", "key": "0600", "dir": "0755"},
        "owners": {"cert": "root:root", "key": "root:root", "dir": "root:root"},
        "order": ["key", "chain", "cert"],
        "validate": [{
            "command": ["check", "{cert}", "{socket}"], "via": "staged", "as_user": "www",
            "scratch_home": false, "net_private": false, "refuse_output": ["bad"],
            "discard_output": false, "optional": false, "covers": ["pem"]
        }],
        "seal": {
            "tmpfs": ["/var/x"], "mkdir": [{"path": "/var/x/y", "owner": "a:a", "mode": "0700"}],
            "start": ["svc"], "port": 4443, "starttls": "none"
        },
        "reload": {"command": ["load"], "exit_code": "config_loaded", "can_stop_service": false,
            "replaces_workers": false},
        "program": "svc", "reload_costs": "nothing",
        "running": {"pidfile": "/run/p.pid", "process": "svc", "unit": "svc"},
        "verify": [{"port": 443, "starttls": "none", "settle": "1s",
                    "not_before": "1s"}],
        "discover": {"command": ["show"], "patterns": ["(?<cert>\\S+\\.pem)"], "relative_to": "/e"},
        "loaded": ["told"],
        "self_reload": "never",
        "caveats": ["careful"]
    })
}

/// Another value for each key; further keys that must be so for it to matter, in both.
fn other(path: &str) -> Option<(Value, Vec<(&'static str, Value)>)> {
    let without = |path| vec![(path, Value::Null)];
    let plain = |value| (value, Vec::new());
    Some(match path {
        "description" => plain(json!("two")),
        "extends" => plain(json!("nginx")),
        "settings" => plain(json!({"socket": "/run/b"})),
        "layout" | "dest" | "modes" | "owners" | "validate" | "seal" | "reload" | "running"
        | "verify" | "discover" | "seal.mkdir" | "container" | "import" => return None,
        "import.command" => (json!(["other", "{cert}"]), importing()),
        "import.store" => (json!("elsewhere"), importing()),
        "export" => (json!(["give", "{cert}", "{key}"]), importing()),
        "experimental" => plain(json!("a document")),
        "overwrites" => plain(json!("it does")),
        "measured" => plain(json!("2.0")),
        "layout.cert" => (json!("fullchain"), Vec::new()),
        // The task names the files then: what `dest` has must go with the layout.
        "layout.chain" => {
            (json!("in_cert"), vec![("dest", Value::Null), ("layout.cert", json!("fullchain"))])
        }
        "layout.key" => (json!("first"), vec![("dest", Value::Null)]),
        "dest.cert" | "dest.key" | "dest.chain" => plain(json!("/f/other.pem")),
        "reads" | "reload_reads_as" => plain(json!("other")),
        "modes.cert" | "modes.key" | "modes.dir" => plain(json!("0640")),
        "owners.cert" | "owners.key" | "owners.dir" => plain(json!("other:other")),
        "order" => plain(json!(["cert", "key", "chain"])),
        "validate.command" => plain(json!(["other", "{cert}"])),
        "validate.via" => plain(json!("live")),
        "validate.template" => (json!("b: {cert}"), vec![("validate.via", json!("template"))]),
        "validate.as_user" => plain(json!("other")),
        "validate.scratch_home"
        | "validate.net_private"
        | "validate.discard_output"
        | "validate.optional" => plain(json!(true)),
        "validate.refuse_output" => plain(json!(["worse"])),
        "validate.covers" => plain(json!(["pair"])),
        "seal.tmpfs" => plain(json!(["/var/z"])),
        "seal.mkdir.path" => plain(json!("/var/x/z")),
        "seal.mkdir.owner" => plain(json!("b:b")),
        "seal.mkdir.mode" => plain(json!("0750")),
        "seal.start" => plain(json!(["other"])),
        "seal.port" => plain(json!(4444)),
        "seal.starttls" => plain(json!("smtp")),
        "reload.command" => plain(json!(["other"])),
        "reload.exit_code" => plain(json!("meaningless")),
        "reload.can_stop_service" => plain(json!(true)),
        "reload.replaces_workers" => plain(json!(true)),
        "container.reload" => (json!(["other"]), vec![("container", json!({"reload": ["one"]}))]),
        "container.signal" => (json!("USR2"), vec![("container", json!({"signal": "HUP"}))]),
        "recover" => plain(json!(["start"])),
        "program" => plain(json!("other")),
        "reload_costs" => plain(json!("everything")),
        "running.pidfile" => plain(json!("/run/q.pid")),
        "running.process" => (json!("other"), without("running.pidfile")),
        "running.unit" => (
            json!("other"),
            vec![("running.pidfile", Value::Null), ("running.process", Value::Null)],
        ),
        "verify.port" => plain(json!(8443)),
        "verify.starttls" => plain(json!("smtp")),
        "verify.settle" => plain(json!("9s")),
        "verify.not_before" => plain(json!("8s")),
        "discover.command" => plain(json!(["other"])),
        "discover.patterns" => plain(json!(["(?<cert>\\S+\\.crt)"])),
        "discover.relative_to" => plain(json!("/f")),
        "loaded" => plain(json!(["other"])),
        "self_reload" => plain(json!("on_rename")),
        "caveats" => plain(json!(["very careful"])),
        _ => panic!("the key '{path}' is new: give it another value here"),
    })
}

/// A spool in place of files.
fn importing() -> Vec<(&'static str, Value)> {
    vec![
        ("import", json!({"command": ["take", "{cert}"], "store": "a store"})),
        ("modes", Value::Null),
    ]
}

/// Sets, or with null removes, the value at a path; of lists the first item.
fn set(root: &mut Value, path: &str, value: Value) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let root = if root.is_array() { &mut root[0] } else { root };
    match (rest, value) {
        ("", Value::Null) => drop(root.as_object_mut().expect("a mapping").remove(first)),
        ("", value) => root[first] = value,
        (rest, value) => set(&mut root[first], rest, value),
    }
}

/// Every key below a schema, dotted.
fn keys(schema: &Value, above: &str, found: &mut BTreeSet<String>) {
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        // Families and variants of commands are no keys of their own.
        if matches!(name.as_str(), "default" | "debian" | "redhat" | "alpine") {
            keys(below, above, found);
            continue;
        }
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        keys(below, &path, found);
        found.insert(path);
    }
    for part in schema["anyOf"].as_array().into_iter().flatten().chain(schema.get("items")) {
        keys(part, above, found);
    }
}

fn profile(text: &Value) -> Profile {
    let file = SourceFile::new("services/own.yml", text.to_string());
    let (profiles, _) =
        Profiles::from_sources(&[file]).unwrap_or_else(|why| panic!("{text}: {why:?}"));
    profiles.find("own").expect("it is there").clone()
}

/// What becomes of a profile: requests, verification, the table, the list. `forget`: a fault that can be planted.
fn becomes(text: &Value, path: &str, forget: &dyn Fn(&mut Profile)) -> String {
    let mut profile = profile(text);
    forget(&mut profile);
    let profile = Arc::new(profile);
    let mut shown = String::new();
    for (validate, verify) in [
        (None, VerifyChoice::Profile),
        (None, VerifyChoice::Off),
        (Some(Validation::Boot), VerifyChoice::Profile),
    ] {
        let mut wanted = WANTED.clone();
        wanted.profiles = vec![Arc::clone(&profile)];
        if path.starts_with("layout.") && text["dest"].is_null() {
            let dest = &mut wanted.certificate.pairs[0].dest;
            dest.cert = Some("/t/c.pem".parse().expect("a path"));
            let key = "/t/k.pem".parse().expect("a path");
            dest.key = Some(key).filter(|_| path == "layout.chain");
        }
        if path.starts_with("container.") {
            let container = Container { name: "web".to_owned(), engine: None, user: None };
            let single_files = SingleFiles::Block;
            wanted.certificate.services[0].container =
                Some(InContainer { container, single_files });
            let variants = Variants::of(&wanted).expect("complete");
            return format!(
                "{:?}",
                variants.of_kind(DEBIAN).expect("complete").services[0].container
            );
        }
        wanted.certificate.validate = validate;
        wanted.certificate.verify = verify;
        let variants = match Variants::of(&wanted) {
            Ok(variants) => variants,
            Err(why) => return why.to_string(),
        };
        let Ok(desired) = resolve(&wanted, DEBIAN) else {
            shown.push_str(&format!("{:?}", variants.impossible()));
            continue;
        };
        let mut facts: HostFacts = facts(&desired);
        for there in &mut facts.files {
            there.missing_directories = vec!["/e".parse().expect("a path")];
        }
        if desired.services[0].discover.is_some()
            && let Some(last) = facts.commands.last_mut()
        {
            *last = CommandResult { stdout: b"a.pem b.crt".to_vec(), ..CommandResult::default() };
        }
        let seen = vec![nothing(); desired.probes.len()];
        let view = view(&desired, &facts, &seen);
        let plan = build(&view, NOW);
        let request = transaction(&view, &plan, "test", Duration::ZERO);
        let rows = rows(&view, &plan, NOW);
        // The id is new each time.
        let request = format!("{request:?}").replace(request.id.as_str(), "ID");
        let caveats = &desired.services[0].caveats;
        // Asked of the host when a handshake proves nothing.
        let service = &desired.services[0];
        let evidence = (&service.workers, &service.loaded, &service.overwrites);
        shown.push_str(&format!(
            "{:?}\n{request}\n{:?}\n{rows:?}\n{caveats:?}\n{evidence:?}\n",
            ask_for_plan(&variants),
            plan.places
        ));
    }
    let listed = Profiles::from_sources(&[SourceFile::new("services/own.yml", text.to_string())]);
    let listed = listed.expect("as before").0;
    let own = list(&listed).into_iter().find(|row| row.name == "own");
    // Nothing acts on these two: people read them.
    let page = show(&profile);
    let measured = page.lines().find(|line| line.trim_start().starts_with("measured on "));
    format!("{shown}{}{measured:?}", own.expect("it is listed").description)
}

/// Keys of which another value, which `spoil` may replace, changes nothing.
fn ignored(
    spoil: &dyn Fn(&str, &Value, Value) -> Value,
    forget: &dyn Fn(&mut Profile),
) -> Vec<String> {
    let mut found = BTreeSet::new();
    keys(&json_schema(), "", &mut found);
    assert!(found.contains("validate.covers") && found.contains("seal.mkdir.mode"), "{found:?}");
    let mut ignored = Vec::new();
    for path in found {
        let Some((value, further)) = other(&path) else { continue };
        let mut before = base();
        for (path, value) in further {
            set(&mut before, path, value);
        }
        if path == "validate.template" {
            set(&mut before, &path, json!("a: {cert}"));
        }
        let mut after = before.clone();
        set(&mut after, &path, value);
        let after = spoil(&path, &before, after);
        if becomes(&before, &path, forget) == becomes(&after, &path, forget) {
            ignored.push(path);
        }
    }
    ignored
}

#[test]
fn another_value_of_any_key_changes_something() {
    let ignored = ignored(&|_, _, after| after, &|_| {});
    assert!(ignored.is_empty(), "keys that change nothing: {ignored:?}");
}

/// The control: whatever the key, that it was not read is found.
#[test]
fn a_key_that_nothing_reads_is_found() {
    let nobody = |_: &mut Profile| {};
    let all = ignored(&|_, before, _| before.clone(), &nobody);
    let mut known = BTreeSet::new();
    keys(&json_schema(), "", &mut known);
    known.retain(|path| other(path).is_some());
    assert_eq!(all, known.into_iter().collect::<Vec<_>>());
    // As the review found two of them: read into the profile, and looked at by nobody.
    let forgets_order = |profile: &mut Profile| profile.order = Vec::new();
    assert_eq!(ignored(&|_, _, after| after, &forgets_order), ["order"]);
    let forgets_caveats = |profile: &mut Profile| profile.caveats = Vec::new();
    assert_eq!(ignored(&|_, _, after| after, &forgets_caveats), ["caveats"]);
}
