//! Every service of the field as the real program on a real host: the new certificate is served, a
//! second run is quiet, whatever goes wrong leaves the old bytes and the old certificate.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

#[path = "../common/mod.rs"]
mod common;

mod added;
mod caddy_api;
mod examples;
mod haproxy_runtime;

mod kinds;
mod looking;
mod main_job;
mod outage;
mod service;
mod several;
mod site;
mod watchers;

/// What the hosts of `site` run, and further options of `fleet up`.
const SERVICES: [&str; 1] = ["all"];
const OPTIONS: [&str; 0] = [];
