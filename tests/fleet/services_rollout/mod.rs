//! Every service of the field as the real program on a real host: the new certificate is served, a
//! second run is quiet, whatever goes wrong leaves the old bytes and the old certificate.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod added;
mod apart;
mod blind_checks;
mod caddy_api;
pub(crate) mod connected;
mod examples;
mod haproxy_runtime;
mod imports;
mod kinds;
mod left_open;
mod loaded;
mod looking;
pub(crate) mod main_job;
mod outage;
mod overwritten;
mod running_user;
pub(crate) mod service;
pub(crate) mod several;
pub(crate) mod site;
mod watchers;
mod way_back;
#[cfg(feature = "kubernetes")]
mod with_a_cluster;
