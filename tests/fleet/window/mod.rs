//! The change window on real hosts: a plan that is reviewed and applied to the letter, the record of a run, and a run
//! that is taken back. Batches of nginx and postfix over sshd and sudo; what is served is asked of openssl.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod records;
mod reviewed;
mod secrets;
mod taking_back;

use crate::chaos::ground::Ground;
use crate::common::fleet::Ran;
use serde_json::Value;

/// The events of a kind.
fn of(ran: &Ran, kind: &str) -> Vec<Value> {
    ran.events().into_iter().filter(|event| event["event"] == kind).collect()
}

/// The hosts of each batch, in order.
fn batches(ran: &Ran) -> Vec<Vec<String>> {
    let names = |event: &Value| {
        let hosts = event["hosts"].as_array().unwrap();
        hosts.iter().map(|host| host.as_str().unwrap().to_owned()).collect()
    };
    of(ran, "batch_start").iter().map(names).collect()
}

/// The name of the run.
fn run_of(ran: &Ran) -> String {
    ran.events()[0]["run"].as_str().unwrap().to_owned()
}

/// What a host's nginx holds and serves, if that is one generation whole.
fn nginx(ground: &Ground, host: &str) -> String {
    let part = &ground.look(host).services[0];
    assert!(part.certificate == part.key && part.key == part.served, "{host}: {part:?}");
    part.served.clone()
}

/// The newest worker process of a host's nginx, as a reload brings a newer one and the ones before it go a while later, and each file
/// with its times.
fn traces(ground: &Ground, host: &str) -> String {
    let workers = "ps -eo pid,args | sed -n 's/^ *\\([0-9]*\\) nginx: worker process$/\\1/p' | sort -n | tail -n 1";
    ground.sh(host, workers) + &ground.fleet.snapshot_with_times(host, &["/etc/nginx/tls"])
}

/// How often sshd was connected to.
fn logins(ground: &Ground, host: &str) -> String {
    ground.sh(host, "grep -c 'Connection from' /var/log/sshd.log || true")
}
