//! Hosts on which systemd is process 1: the services are Debian's units, a login is a session of logind's, and
//! a host that lost its power boots.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod boot;
mod sessions;
mod units;

use crate::services_rollout::service::Service;
use crate::services_rollout::site::{Host, Hosts};

/// A host on which systemd runs the `services`.
fn host(services: &[&Service]) -> Option<Host> {
    static HOSTS: Hosts = Hosts::new(
        &["nginx", "apache", "postfix", "haproxy", "dovecot", "caddy"],
        &["--init", "systemd"],
    );
    HOSTS.host(services)
}
