//! `--list`, `--graph` and `--host` print the same, character by character.

mod ini;
mod sources;
mod variables;

use crate::ansible::oracle::{Ansible, Site, flags};
use certroll::testing::inventory::Inventory;

struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// The first file when empty.
    sources: &'static [&'static str],
}

const fn ini(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, files, sources: &[] }
}

/// What the two print for one inventory; nothing when they agree.
pub(crate) fn differences(
    ansible: &mut Ansible,
    site: &Site,
    sources: &[&str],
    inventory: &Inventory,
) -> Vec<String> {
    let paths = site.sources(sources);
    let host = inventory.hosts().first().map(ToString::to_string);
    let mut asked: Vec<(Vec<&str>, String)> = vec![
        (vec!["--list"], inventory.list_json(false, None)),
        (vec!["--list", "--export"], inventory.list_json(true, None)),
        (vec!["--graph"], inventory.graph("all", false).unwrap_or_default()),
        (vec!["--graph", "--vars"], inventory.graph("all", true).unwrap_or_default()),
    ];
    if let Some(host) = &host {
        let printed = inventory.host_json(host).unwrap_or_default();
        asked.push((vec!["--host", host], printed));
    }
    let mut found = Vec::new();
    for (what, ours) in asked {
        let password = site.path().join("password").display().to_string();
        let mut args = flags(&paths);
        args.extend(&what);
        if site.path().join("password").exists() {
            args.extend(["--vault-password-file", &password]);
        }
        let answer = ansible.ask("ansible-inventory", &args, site.path());
        let (theirs, ours) = (answer.stdout.trim_end(), ours.trim_end());
        if theirs != ours {
            found.push(format!(
                "{} (Ansible: exit {})\n{}\n{}",
                what.join(" "),
                answer.code,
                by_line(theirs, ours),
                answer.stderr.trim_end(),
            ));
        }
    }
    found
}

/// Lines that only one of two texts has, in the style of `diff`.
pub(crate) fn by_line(theirs: &str, ours: &str) -> String {
    let (left, right): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let start = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let rest = left.len().min(right.len()) - start;
    let end = left.iter().rev().zip(right.iter().rev()).take(rest).take_while(|(a, b)| a == b);
    let end = end.count();
    let of = |lines: &[&str], mark: &str| -> String {
        let differing = &lines[start..lines.len() - end];
        differing.iter().map(|line| format!("  {mark} {line}\n")).collect()
    };
    of(&left, "Ansible ") + &of(&right, "certroll")
}

#[track_caller]
fn agree(cases: &[Case]) {
    let Some(mut ansible) = Ansible::start() else { return };
    let mut found = Vec::new();
    for case in cases {
        let site = Site::new(case.files);
        let first = [case.files.first().map_or("", |(name, _)| *name)];
        let sources = if case.sources.is_empty() { &first[..] } else { case.sources };
        match site.load(sources) {
            Err(refused) => found.push(format!("{}: refused\n{refused}", case.name)),
            Ok(inventory) => {
                let differing = differences(&mut ansible, &site, sources, &inventory);
                found.extend(differing.into_iter().map(|text| format!("{}: {text}", case.name)));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n\n{}", found.len(), found.join("\n"));
}
