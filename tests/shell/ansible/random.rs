//! Inventories and patterns made at random, the same in every run.

use crate::ansible::inventories::differences;
use crate::ansible::oracle::{Ansible, Site, flags};
use std::fmt::Write;

/// A small generator, so that a failing case can be made again from its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Numerical Recipes' LCG; the upper bits are good enough here.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const GROUPS: [&str; 7] = ["web", "db", "prod", "alpha", "zeta", "g-1", "m_2"];
const HOSTS: [&str; 9] =
    ["h1", "h2", "h3", "a.example.net", "z9", "r[1:3]", "p[01:02]x:2200", "10.0.0.1", "lone"];
const VALUES: [&str; 14] = [
    "1",
    "True",
    "yes",
    "0644",
    "'two words'",
    "\"q'q\"",
    "[1,2]",
    "a#b",
    "x=y",
    "1.50",
    "None",
    "\"{'k': [1]}\"",
    "\"{{ v }}\"",
    "\\\\x",
];

fn host_line(dice: &mut Dice, out: &mut String) {
    out.push_str(dice.pick(&HOSTS));
    for _ in 0..dice.roll(3) {
        write!(out, " {}={}", dice.pick(&["v", "w", "ansible_host"]), dice.pick(&VALUES))
            .expect("text");
    }
    out.push_str(dice.pick(&["\n", "\n", " # note\n", "\n\n"]));
}

/// An INI file: sections in any order, groups only within later names, so that there is no loop.
fn ini(dice: &mut Dice) -> String {
    let mut out = String::new();
    for _ in 0..dice.roll(3) {
        host_line(dice, &mut out);
    }
    let mut sections: Vec<(usize, usize)> =
        (0..GROUPS.len()).flat_map(|group| [(group, 0), (group, 1), (group, 2)]).collect();
    for at in (1..sections.len()).rev() {
        sections.swap(at, dice.roll(at + 1));
    }
    for (group, kind) in sections {
        let name = GROUPS[group];
        match kind {
            0 => {
                writeln!(out, "[{name}]").expect("text");
                for _ in 0..dice.roll(4) {
                    host_line(dice, &mut out);
                }
            }
            1 if dice.roll(2) == 0 && group + 1 < GROUPS.len() => {
                writeln!(out, "[{name}:children]").expect("text");
                for _ in 0..dice.roll(3) {
                    let child = group + 1 + dice.roll(GROUPS.len() - group - 1);
                    writeln!(out, "{}", GROUPS[child]).expect("text");
                }
            }
            2 if dice.roll(2) == 0 => {
                writeln!(out, "[{name}:vars]").expect("text");
                for _ in 0..=dice.roll(2) {
                    let value = dice.pick(&VALUES);
                    writeln!(out, "{} = {value}", dice.pick(&["v", "w", "x"])).expect("text");
                }
                if dice.roll(4) == 0 {
                    writeln!(out, "ansible_group_priority={}", dice.roll(20)).expect("text");
                }
            }
            _ => {}
        }
    }
    out
}

/// A pattern of names that exist, with the marks and the separators of patterns.
fn pattern(dice: &mut Dice) -> String {
    let separator = dice.pick(&[":", ","]);
    let parts: Vec<String> = (0..=dice.roll(3))
        .map(|index| {
            let mark = if index == 0 { "" } else { dice.pick(&["", "", "!", "&"]) };
            let name =
                dice.pick(&["web", "db", "prod", "alpha", "all", "h*", "*1", "~[hr]", "zeta", "*"]);
            format!("{mark}{name}")
        })
        .collect();
    parts.join(separator)
}

#[test]
fn random_inventories_agree() {
    let Some(mut ansible) = Ansible::start() else { return };
    let mut found = Vec::new();
    for seed in 1..=15 {
        let mut dice = Dice(seed);
        let text = ini(&mut dice);
        let site = Site::new(&[("hosts", &text)]);
        let inventory = site.load(&["hosts"]).unwrap_or_else(|shown| panic!("{shown}\n{text}"));
        let differing = differences(&mut ansible, &site, &["hosts"], &inventory);
        found.extend(differing.into_iter().map(|shown| format!("seed {seed}: {shown}\n{text}")));
        let sources = site.sources(&["hosts"]);
        for _ in 0..3 {
            let pattern = pattern(&mut dice);
            let mut args = flags(&sources);
            args.extend(["--list-hosts", &pattern]);
            let answer = ansible.ask("ansible", &args, site.path());
            let theirs: Vec<&str> = answer
                .stdout
                .lines()
                .filter(|line| line.starts_with("    "))
                .map(str::trim)
                .collect();
            // A pattern that matches nothing is an error here.
            let Ok(hosts) = inventory.select(&pattern) else { continue };
            let mut ours: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
            let mut theirs_sorted = theirs.clone();
            // Ansible gives the hosts of grandchildren in no order.
            ours.sort_unstable();
            theirs_sorted.sort_unstable();
            if ours != theirs_sorted {
                found.push(format!(
                    "seed {seed}: {pattern}: Ansible {theirs:?}, certroll {hosts:?}\n{text}"
                ));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n\n{}", found.len(), found.join("\n"));
}
