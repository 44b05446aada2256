//! Sessions with a real sshd: configuration, log-ins, host keys, jumps, shells, sudo, dying links.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod as_ssh;
mod basics;
mod becoming;
mod host_keys;
mod jumps;
mod links;
mod logins;
mod recorded;
mod shells;
mod short_lived;
mod short_numbers;
mod ssh_config;
mod ssh_config_keywords;
mod ssh_config_random;
mod turns;

use certroll::testing::clock;
use certroll::testing::model::Secret;
use certroll::testing::transport::{Connector, Launch, Session};
use tokio::io::AsyncReadExt;

fn connector() -> Connector {
    Connector::new(clock::now())
}

fn secret(text: &str) -> Option<Secret<String>> {
    Some(text.to_owned().into())
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

async fn output(session: &Session, launch: &Launch) -> String {
    let mut process = session.start(launch).await.unwrap();
    let mut text = String::new();
    process.stdout.read_to_string(&mut text).await.unwrap();
    let exit = process.exit().await;
    let said = String::from_utf8_lossy(&process.stderr_tail().await).into_owned();
    assert!(exit.success(), "{exit}: {text}{said}");
    text
}

async fn whoami(session: &Session) -> String {
    output(session, &Launch::new("id -un", "")).await.trim().to_owned()
}
