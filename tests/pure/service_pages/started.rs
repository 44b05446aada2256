//! What a profile starts on a host before anything live changes: the processes that `tests/measure/measure --started` counted
//! on the real program, and what each command is needed for.

use certroll::testing::host::{Family, HostKind};
use certroll::testing::model::CommandLine;
use certroll::testing::services::{Profile, Profiles, choose};
use serde_json::Value;
use std::fmt::Write;
use std::fs;

const COUNTED: &str = "tests/measure/results/started.json";

/// Why a profile's command starts what it starts, where its kind alone does not say it.
const WHY: &[(&str, &str, &str)] = &[
    (
        "389-ds",
        "export",
        "`pk12util` takes the pair out of the database, under a password that `openssl rand` makes; `openssl` and `sed` make PEM of it; `mktemp` and `rm` are for the directory in between",
    ),
    (
        "apache",
        "check",
        "`apache2ctl` sets Apache's environment and makes its directories in `/run`, without which `apache2 -t` fails; `id` is its own",
    ),
    (
        "apache",
        "names",
        "Only Apache can tell which files its virtual hosts name; `apache2ctl` sets its environment, and `id` is its own",
    ),
    ("bind", "names", "It resolves the includes, and prints no key"),
    (
        "caddy-api",
        "check",
        "`curl` reads the configuration that runs, and `caddy` loads it with the staged files",
    ),
    ("caddy-api", "names", "`curl` asks the admin API, and `tr` breaks its answer into lines"),
    (
        "dovecot",
        "check",
        "`doveconf` reads the configuration and opens the files; it asks `managesieve` for its capabilities by itself",
    ),
    (
        "dovecot",
        "names",
        "`doveconf` resolves includes and defaults, and asks `managesieve` by itself; `sed` marks the sections",
    ),
    (
        "envoy",
        "loaded",
        "`curl` asks the admin interface, and `grep` keeps the serial numbers alone",
    ),
    ("exim", "names", "Exim itself resolves its macros and includes"),
    (
        "freeradius",
        "check",
        "FreeRADIUS loads the pair as it does at its start; the second process is a copy that it makes of itself",
    ),
    (
        "h2o",
        "check",
        "`h2o` loads the pair, and asks for an OCSP response by a script of its own (`perl`, `openssl`), in vain without a network; `ocsp-update-interval: 0` in its configuration spares that",
    ),
    ("haproxy", "names", "`grep` finds the lines with `crt`, and `awk` the files of a `crt-list`"),
    (
        "haproxy",
        "loaded",
        "`socat` asks the runtime API, and `sed` keeps the fingerprints alone; the shell forks for their pipe",
    ),
    (
        "haproxy-runtime",
        "check",
        "`haproxy -c` loads the pair, and `socat` asks the runtime API whether it knows the file",
    ),
    ("haproxy-runtime", "names", "As for `haproxy`"),
    ("haproxy-runtime", "loaded", "As for `haproxy`"),
    (
        "icinga2",
        "check",
        "`icinga2` loads everything as it does at its start; it asks `uname` for the platform by itself",
    ),
    (
        "jetty",
        "check",
        "`keytool` opens the keystore, with the password that `cat`, `sed` and `tail` find in the configuration",
    ),
    (
        "nginx",
        "names",
        "`nginx -T` resolves the includes; `sed`, `tr` and `grep` keep everything else on the host",
    ),
    (
        "postfix",
        "check",
        "`postconf` reads the configuration, and `posttls-finger` loads the staged pair",
    ),
    ("postfix", "names", "`postconf -x` resolves what the settings refer to"),
    (
        "postfix-chain",
        "check",
        "`postconf` reads the configuration, and `posttls-finger` loads the staged pair",
    ),
    ("postfix-chain", "names", "`postconf -x` resolves what the settings refer to"),
    (
        "proftpd",
        "check",
        "`cat` hands `proftpd` its configuration, with the control socket switched off behind it; the shell forks for their pipe",
    ),
    ("slapd", "names", "The configuration is a part of its database, which only the server reads"),
    (
        "tomcat",
        "check",
        "`catalina.sh` sets Java's environment (`dirname`, `uname` and a fork are its own), and `java` opens the keystore as Tomcat does",
    ),
    (
        "tomcat-keystore",
        "export",
        "`keytool` takes the entry out of the keystore; `openssl` and `sed` make PEM of leaf, chain and key; `mktemp` and `rm` are for the directory in between",
    ),
];

fn counted() -> Value {
    serde_json::from_str(&fs::read_to_string(super::root().join(COUNTED)).unwrap()).unwrap()
}

/// What is counted for a profile: a name in the results, and its commands on the kind of host that they are counted on.
fn commands(profile: &Profile) -> Vec<(&'static str, Vec<CommandLine>)> {
    let debian = choose(profile, HostKind { systemd: false, family: Family::Debian });
    let checks = debian.validate.into_iter().map(|step| step.command).collect();
    let one = |command: Option<CommandLine>| command.into_iter().collect();
    vec![
        ("check", checks),
        ("names", one(debian.discover)),
        ("loaded", one(debian.loaded)),
        ("export", one(debian.export)),
    ]
}

/// `: N processes (…)`, and why; where it was not counted, that.
fn told(profile: &Profile, purpose: &str) -> String {
    if profile.experimental.is_some() {
        return ", not counted, as it was never run on the real thing".to_owned();
    }
    let every = counted();
    let runs = every[&profile.name][purpose].as_array().unwrap_or_else(|| {
        panic!("{}: {purpose} was not counted: tests/measure/measure --started", profile.name)
    });
    let mut programs: Vec<(&str, u64)> = Vec::new();
    for run in runs {
        for (program, count) in run["programs"].as_object().unwrap() {
            let count = count.as_u64().unwrap();
            match programs.iter_mut().find(|(known, _)| known == program) {
                Some((_, all)) => *all += count,
                None => programs.push((program, count)),
            }
        }
    }
    let all: u64 = programs.iter().map(|(_, count)| count).sum();
    let mut text = if all == 1 { ": 1 process".to_owned() } else { format!(": {all} processes") };
    for (index, (program, count)) in programs.iter().enumerate() {
        let before = if index == 0 { " (" } else { ", " };
        let times = if *count == 1 { String::new() } else { format!("{count} × ") };
        write!(text, "{before}{times}`{program}`").unwrap();
    }
    format!("{text}). {}", why(profile, purpose, &programs))
}

fn why(profile: &Profile, purpose: &str, programs: &[(&str, u64)]) -> String {
    let own = WHY.iter().find(|(name, what, _)| *name == profile.name && *what == purpose);
    if let Some((_, _, why)) = own {
        return (*why).to_owned();
    }
    match (purpose, programs) {
        ("names", [("grep" | "find", 1)]) => {
            "Only lines that name certificates leave the host".to_owned()
        }
        ("check", [(_, 1)]) => {
            "No other program reads its configuration as the service does".to_owned()
        }
        _ => panic!("{}: no word in WHY on what {purpose} is needed for", profile.name),
    }
}

/// The rows of a profile's table. `checks`: when its checks run.
pub(super) fn rows(profile: &Profile, checks: &str) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for (purpose, commands) in commands(profile) {
        let (name, what) = match (purpose, commands.is_empty()) {
            ("check", true) => {
                rows.push(("started before the switch", "nothing".to_owned()));
                continue;
            }
            (_, true) => continue,
            ("check", _) => ("started before the switch", checks),
            ("names", _) => (
                "in `plan`, and where `dest` is left out or no handshake tells",
                "which files the configuration names",
            ),
            ("loaded", _) => ("where no handshake can prove a change", "what is loaded"),
            _ => ("where the spool holds no way back", "the export"),
        };
        rows.push((name, format!("{what}{}", told(profile, purpose))));
    }
    rows
}

/// A command that was changed since is to be counted again.
#[test]
fn what_was_counted_are_the_commands_of_today() {
    let (profiles, _) = Profiles::from_sources(&[]).unwrap();
    let every = counted();
    for (name, found) in every.as_object().unwrap() {
        let profile = profiles.find(name).unwrap_or_else(|_| panic!("{name} is no profile"));
        for (purpose, commands) in commands(profile) {
            let wanted: Vec<Value> = commands.iter().map(|command| command.argv().into()).collect();
            let runs = found[purpose].as_array().cloned().unwrap_or_default();
            let counted: Vec<Value> = runs.iter().map(|run| run["argv"].clone()).collect();
            assert!(
                counted == wanted,
                "{name}: {purpose}: run tests/measure/measure --started {name}"
            );
        }
    }
    for (name, purpose, _) in WHY {
        assert!(every[name][purpose].is_array(), "{name}: {purpose} is not counted");
    }
}
