//! The same stories on every kind of host: Debian's releases, other tools, other shells as `sh`, other SSH servers.
//!
//! Debian 12 and 13 are tried always, the rest by `tests/run.sh --releases all`, which writes `docs/hosts.md` from what
//! it saw.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod stories;

use crate::services_rollout::connected;
use crate::services_rollout::main_job::{renewed, rolled_back};
use crate::services_rollout::service::{
    APACHE, CADDY, DOVECOT, ENVOY, HAPROXY, NGINX, POSTFIX, Service, TRAEFIK,
};
use crate::services_rollout::site::{Host, Hosts};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

type Story = fn(&Host);

/// What every kind of host is tried with, on nginx.
const STORIES: [(&str, Story); 7] = [
    ("apply, and a quiet second apply", stories::quiet_the_second_time),
    ("owners, modes and access lists kept", stories::attributes_kept),
    ("the reload fails", stories::reload_false),
    ("another certificate is seen", stories::wrong_verify),
    ("thirty pairs at once", stories::thirty_pairs),
    ("the controller dies in a reload", stories::killed_in_a_reload),
    ("an account that `become` may not use is named", stories::become_refused),
];

/// Every service of a release: renewed with each type of key, a second run quiet; old bytes after a failure.
const SERVICES: [(&str, Story); 9] = [
    ("nginx", |host| of_the_field(host, &NGINX)),
    ("apache", |host| of_the_field(host, &APACHE)),
    ("haproxy", |host| of_the_field(host, &HAPROXY)),
    ("postfix", |host| of_the_field(host, &POSTFIX)),
    ("dovecot", |host| of_the_field(host, &DOVECOT)),
    ("caddy", |host| of_the_field(host, &CADDY)),
    ("traefik", |host| of_the_field(host, &TRAEFIK)),
    ("envoy", |host| of_the_field(host, &ENVOY)),
    ("what a reload costs those who are connected", connected::as_the_profiles_say),
];

fn of_the_field(host: &Host, service: &Service) {
    host.as_new(service);
    renewed(host, service);
    host.as_new(service);
    rolled_back(host, service);
}

/// Tries all stories, three at a time, and fails when any did. With `CERTROLL_TEST_HOSTS_PAGE=DIRECTORY` a file there
/// tells how each ended, for `tests/fleet/hosts_page.py`.
fn try_all(kind: &str, hosts: &'static Hosts, stories: &[(&str, Story)]) {
    let left = Mutex::new(stories.iter());
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((name, story)) = next else { return };
                    let Some(host) = hosts.host(&[&NGINX]) else { return };
                    let well = catch_unwind(AssertUnwindSafe(|| story(&host))).is_ok();
                    ended.lock().unwrap().push((*name, well));
                }
            });
        }
    });
    let ended = ended.into_inner().unwrap();
    if let Some(directory) = std::env::var_os("CERTROLL_TEST_HOSTS_PAGE") {
        let mut text = String::new();
        for (name, well) in &ended {
            writeln!(text, "{} {name}", if *well { "ok" } else { "FAILED" }).unwrap();
        }
        std::fs::write(std::path::Path::new(&directory).join(kind), text).unwrap();
    }
    let failed: Vec<_> = ended.iter().filter(|(_, well)| !well).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{kind}: {failed:?}");
}

/// `KIND: options of fleet up; services to bring up; stories beside those on nginx`: a test for each kind of host.
macro_rules! kinds {
    ($($(#[$ignored:meta])? $kind:ident: $options:expr, $services:expr, $more:expr;)*) => {$(
        #[test]
        $(#[$ignored])?
        fn $kind() {
            static HOSTS: Hosts = Hosts::new(&$services, &$options);
            let more: &[(&str, Story)] = &$more;
            try_all(stringify!($kind), &HOSTS, &[&STORIES, more].concat());
        }
    )*};
}

kinds! {
    // The services of the machine's own release have tests/fleet/services_rollout to themselves.
    bookworm: ["--release", "bookworm"], ["nginx"], [];
    trixie: ["--release", "trixie"], ["all"], SERVICES;
    #[ignore = "tests/run.sh --releases all"]
    sid: ["--release", "sid"], ["all"], SERVICES;
    #[ignore = "tests/run.sh --releases all"]
    bookworm_toybox: ["--release", "bookworm", "--tools", "toybox"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    trixie_sudo_rs: ["--release", "trixie", "--tools", "sudo-rs"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    sid_sudo_rs: ["--release", "sid", "--tools", "sudo-rs"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    trixie_uutils: ["--release", "trixie", "--tools", "uutils"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    sid_uutils: ["--release", "sid", "--tools", "uutils"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    trixie_busybox: ["--release", "trixie", "--tools", "busybox"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    sid_busybox: ["--release", "sid", "--tools", "busybox"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    trixie_zsh: ["--release", "trixie", "--shell", "zsh"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    trixie_mksh: ["--release", "trixie", "--shell", "mksh"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    trixie_dropbear: ["--release", "trixie", "--sshd", "dropbear"], ["nginx"], [];
    #[ignore = "tests/run.sh --releases all"]
    sid_dropbear: ["--release", "sid", "--sshd", "dropbear"], ["nginx"], [];
}
