//! Hosts on which systemd is process 1: the services are Debian's units, a login is a session of logind's, and
//! a host that lost its power boots.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

#[path = "../common/mod.rs"]
mod common;

mod boot;
#[allow(dead_code, reason = "shared with the hosts without systemd")]
#[path = "../services_rollout/service.rs"]
mod service;
mod sessions;
#[allow(dead_code, reason = "shared with the hosts without systemd")]
#[path = "../services_rollout/site.rs"]
mod site;
mod units;

/// What the hosts of `site` run, and further options of `fleet up`.
const SERVICES: [&str; 6] = ["nginx", "apache", "postfix", "haproxy", "dovecot", "caddy"];
const OPTIONS: [&str; 2] = ["--init", "systemd"];
