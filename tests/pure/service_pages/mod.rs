//! Every built-in profile has its page in `docs/services/`, and what a page says of files, checks, reload and
//! ports is what the profile says. `CERTROLL_BLESS=1` writes the tables anew.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod started;

use certroll::testing::host::Family;
use certroll::testing::services::{
    ByFamily, CommandSpec, ExitCode, KeyPlace, Owners, Paths, Profile, Profiles, Reload,
};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Variants of a service share its page.
fn page(profile: &str) -> PathBuf {
    let name = match profile {
        "haproxy-runtime" => "haproxy",
        "caddy-api" => "caddy",
        "postfix-chain" => "postfix",
        "proxmox" | "synology" | "unifi-network" | "unifi-os" | "openwrt" | "qnap" => "devices",
        name => name,
    };
    root().join(format!("docs/services/{name}.md"))
}

fn family(family: Family) -> &'static str {
    Family::NAMES.iter().find(|(_, known)| *known == family).unwrap().0
}

fn each<T>(values: &ByFamily<T>) -> Vec<(Option<&'static str>, &T)> {
    let default = values.default.iter().map(|value| (None, value));
    let families = values.families.iter().map(|(name, value)| (Some(family(*name)), value));
    families.chain(default).collect()
}

fn paths(paths: &Paths, profile: &Profile) -> String {
    let owners: &Owners =
        &each(&profile.owners).first().map(|(_, o)| (*o).clone()).unwrap_or_default();
    let mut text = format!("`{}` {} {}", paths.cert, owners.cert, profile.modes.cert);
    if let Some(key) = &paths.key {
        write!(text, ", `{key}` {} {}", owners.key, profile.modes.key).unwrap();
    }
    text
}

fn files(profile: &Profile) -> String {
    let known = each(&profile.dest);
    if known.is_empty() {
        let modes = profile.modes;
        return format!(
            "each task says where; root:root, certificate {}, key {}",
            modes.cert, modes.key
        );
    }
    let one = |(name, value): (Option<&str>, &Paths)| match name {
        None => paths(value, profile),
        Some(name) => format!("{name}: {}", paths(value, profile)),
    };
    known.into_iter().map(one).collect::<Vec<_>>().join("<br>")
}

fn content(profile: &Profile) -> &'static str {
    match profile.layout.key {
        KeyPlace::Separate => "leaf and chain in one file, the key in another",
        KeyPlace::First => "one file: key, leaf, chain",
        KeyPlace::Last => "one file: leaf, chain, key",
        KeyPlace::Pkcs12 => "a PKCS#12 keystore: key, leaf, chain",
    }
}

fn commands(spec: &CommandSpec, when: &str, found: &mut Vec<String>) {
    let and =
        |more: &str| if when.is_empty() { more.to_owned() } else { format!("{when}, {more}") };
    match spec {
        CommandSpec::Always(command) => {
            let told = command.brief().replace('|', "\\|");
            // A title is no command.
            let titled = told != command.to_string().replace('|', "\\|");
            let command = if titled { told } else { format!("`{told}`") };
            found.push(if when.is_empty() { command } else { format!("{when}: {command}") });
        }
        CommandSpec::Init { systemd, plain } => {
            for (name, variant) in [("systemd", systemd), ("without", plain)] {
                if let Some(variant) = variant {
                    commands(variant, &and(name), found);
                }
            }
        }
        CommandSpec::Family(variants) => {
            for (name, variant) in each(variants) {
                commands(variant, &and(name.unwrap_or("else")), found);
            }
        }
    }
}

fn command(spec: &CommandSpec) -> String {
    let mut found = Vec::new();
    commands(spec, "", &mut found);
    found.join("<br>")
}

/// When an `apply` runs the checks before anything live changes, where mount namespaces can be had.
fn when_checked(profile: &Profile) -> String {
    // It sees the live files alone.
    let is_blind = |via: &str| via.ends_with("live configuration");
    let blind: Vec<bool> =
        profile.validate.iter().map(|step| is_blind(step.via.describe())).collect();
    let checks = if blind.len() > 1 { "each check once" } else { "the check, once" };
    if blind.iter().all(|blind| *blind) {
        format!(
            "{checks}, on the untouched host, because it sees no staged file; once more after the switch"
        )
    } else if blind.contains(&true) {
        format!("{checks}, on the staged files or, if it does not see those, on the untouched host")
    } else {
        format!("{checks}, on the staged files")
    }
}

fn table(profile: &Profile) -> String {
    let mut text = "| | |\n|---|---|\n".to_owned();
    let mut row = |name: &str, value: &str| writeln!(text, "| {name} | {value} |").unwrap();
    if let Some(written) = &profile.experimental {
        row("experimental", &format!("never run on the real thing; written from {written}"));
    }
    row("content", content(profile));
    row("files, unless the task says otherwise", &files(profile));
    row("key read by", profile.reads.describe());
    if let Some(reads) = &profile.reload_reads_as {
        row("at a reload read by", reads.describe());
    }
    let checks: Vec<String> = profile
        .validate
        .iter()
        .map(|step| format!("{} {}", command(&step.command), step.via.describe()))
        .collect();
    row(
        "checked before the change",
        if checks.is_empty() { "nothing on the host" } else { "" }.to_owned().as_str(),
    );
    for check in checks {
        row("", &check);
    }
    let covers: Vec<&str> =
        profile.covers().into_iter().map(certroll::testing::services::Covers::describe).collect();
    row(
        "which covers",
        if covers.is_empty() { "nothing".to_owned() } else { covers.join(", ") }.as_str(),
    );
    for (name, value) in started::rows(profile, &when_checked(profile)) {
        row(name, &value);
    }
    if let Some(import) = &profile.import {
        row(&format!("imported into {}", import.store), &command(&import.command));
        let export = import.export.as_ref().map(command);
        row(
            "exported first, where the spool is empty",
            &export.unwrap_or_else(|| "never".to_owned()),
        );
    }
    match &profile.reload {
        Reload::None if profile.import.is_some() => row("reload", "none: the import does it"),
        Reload::None => row("reload", "none: it picks up new files by itself"),
        Reload::Required => row("reload", "each task says it"),
        Reload::Command { command: spec, exit_code, .. } => {
            row("reload", &command(spec));
            row(
                "its exit code 0 proves",
                match exit_code {
                    ExitCode::ConfigLoaded => "that the new files were loaded",
                    ExitCode::ConfigLoadedIfSystemd => {
                        "with systemd that they were loaded, else nothing"
                    }
                    ExitCode::Meaningless => "nothing",
                },
            );
        }
    }
    if let Some(recover) = &profile.recover {
        row("when it died", &command(recover));
    }
    let places: Vec<String> = profile
        .verify
        .iter()
        .map(|place| match place.starttls.name() {
            "none" => place.port.to_string(),
            name => format!("{} (STARTTLS {name})", place.port),
        })
        .collect();
    row("seen at port", &places.join(", "));
    text.replace("| checked before the change |  |\n|  | ", "| checked before the change | ")
}

#[test]
fn every_profile_has_its_page_and_the_facts_agree() {
    let (profiles, _) = Profiles::from_sources(&[]).unwrap();
    let index = fs::read_to_string(root().join("docs/services.md")).unwrap();
    for profile in profiles.all() {
        let path = page(&profile.name);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let begin = format!("<!-- profile {} -->\n", profile.name);
        let (before, rest) =
            text.split_once(&begin).unwrap_or_else(|| panic!("{}: no {begin}", path.display()));
        let (found, after) = rest.split_once("<!-- end -->").unwrap();
        let wanted = table(profile);
        if std::env::var_os("CERTROLL_BLESS").is_some() {
            fs::write(&path, format!("{before}{begin}{wanted}<!-- end -->{after}")).unwrap();
        } else {
            assert!(
                found == wanted,
                "{}: run this test once with CERTROLL_BLESS=1 and read the difference",
                path.display()
            );
        }
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(
            index.contains(&format!("(services/{file})")),
            "docs/services.md does not link to {file}"
        );
    }
}

/// A page for each, with what a reader looks for; its commands name playbooks that exist.
#[test]
fn every_page_has_the_same_parts() {
    for entry in fs::read_dir(root().join("docs/services")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for part in [
            "## Roll it out",
            "## What is checked",
            "## What the reload does",
            "## What is seen",
            "## What goes wrong",
            "## Traps",
        ] {
            assert!(text.contains(&format!("\n{part}")), "{}: {part}", path.display());
        }
        let named = text.split("playbooks/").skip(1).map(|rest| rest.split(".yml").next().unwrap());
        let mut count = 0;
        for name in named {
            assert!(
                root().join(format!("playbooks/{name}.yml")).exists(),
                "{}: {name}",
                path.display()
            );
            count += 1;
        }
        assert!(count > 0, "{}: no playbook", path.display());
    }
}

/// What was measured is what the pages say.
#[test]
fn the_pages_are_what_was_measured() {
    if !crate::common::have(&["python3"]) {
        return;
    }
    let mut command = std::process::Command::new(root().join("tests/measure/measure"));
    let output = command.args(["--page", "--check"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "run tests/measure/measure --page and read the difference: {told}"
    );
}
