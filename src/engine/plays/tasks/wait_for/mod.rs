//! `wait_for`: a port, seen from the host, or a file on it, and what is to be in it.

mod search;
mod wait;

use self::wait::{Wait, What};
use super::action::{Action, Done, Failed, ModuleFailure};
use super::command;
use crate::host::CommandRequest;
use crate::model::CommandLine;
use crate::model::command::quote;
use crate::playbook::WaitFor;
use serde_json::{Map, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

pub(super) async fn perform(action: &Action<'_>, spec: &WaitFor) -> Result<Done, Failed> {
    let wait = Wait::read(action, spec)?;
    if action.check {
        return Ok(action.in_check_mode());
    }
    let begun = Instant::now();
    sleep(wait.delay).await;
    let found = match &wait.what {
        What::Nothing => {
            sleep(wait.timeout).await;
            true
        }
        _ if wait.search.is_some() => return search::perform(action, &wait, begun).await,
        What::Port { host, port } => port_is(action, &wait, host, *port, begun).await,
        What::File(path) => file_is(action, &wait, path).await?,
    };
    let elapsed = begun.elapsed().as_secs();
    if found {
        let value = Map::from_iter([("elapsed".to_owned(), json!(elapsed))]);
        return Ok(Done { value, ..Done::default() });
    }
    let message = wait.message.unwrap_or_else(|| {
        let state = if wait.present { "there" } else { "gone" };
        format!("{} was not {state} within {} s", wait.what, wait.timeout.as_secs())
    });
    let value = Map::from_iter([("elapsed".to_owned(), json!(elapsed))]);
    Err(ModuleFailure { message, command: None, value }.into())
}

/// Looks from where the task runs: through the SSH connection, or from the controller.
async fn port_is(action: &Action<'_>, wait: &Wait, host: &str, port: u16, begun: Instant) -> bool {
    let deadline = begun + wait.timeout;
    let Some(dial) = action.connection.dialers().host else { return false };
    loop {
        let open = match timeout_at(deadline, dial.dial(host, port)).await {
            Ok(answer) => answer.is_ok(),
            Err(_) => false,
        };
        if open == wait.present {
            return true;
        }
        if Instant::now() + wait.pause >= deadline {
            return false;
        }
        tokio::select! {
            () = sleep(wait.pause) => {}
            () = action.context.stop.soft().cancelled() => return false,
        }
    }
}

/// One program on the host looks again and again; no connection per look.
async fn file_is(action: &Action<'_>, wait: &Wait, path: &str) -> Result<bool, Failed> {
    let wanted = if wait.present { "!" } else { "" };
    let pause = wait.pause.as_secs().max(1);
    let request = CommandRequest {
        command: CommandLine::Shell(format!(
            "while {wanted} test -e {}; do sleep {pause}; done",
            quote(path)
        )),
        chdir: None,
        env: Vec::new(),
        stdin: None,
        allow_input_log: false,
        timeout: wait.timeout.max(Duration::from_secs(1)),
        creates: None,
        removes: None,
    };
    Ok(command::run(action, &request).await?.success())
}
