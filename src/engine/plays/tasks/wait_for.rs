//! `wait_for`: a port, seen from the host, or a file on it.

use super::action::{Action, Done, Failed, ModuleFailure};
use super::command;
use crate::host::CommandRequest;
use crate::model::CommandLine;
use crate::model::command::quote;
use crate::playbook::WaitFor;
use crate::source::Node;
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

struct Wait {
    what: What,
    present: bool,
    delay: Duration,
    timeout: Duration,
    pause: Duration,
    message: Option<String>,
}

enum What {
    Nothing,
    Port { host: String, port: u16 },
    File(String),
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Port { host, port } => write!(f, "port {port} of {host}"),
            Self::File(path) => write!(f, "{path}"),
        }
    }
}

impl Wait {
    fn read(action: &Action<'_>, spec: &WaitFor) -> Result<Self, Failed> {
        let duration = |node: Option<&Node>, default: f64| {
            action.seconds(node).map(|given| Duration::from_secs_f64(given.unwrap_or(default)))
        };
        let what = match (&spec.port, action.text(spec.path.as_ref())?) {
            (None, None) => What::Nothing,
            (None, Some(path)) => What::File(path),
            (Some(node), None) => {
                let text = action.text(Some(node))?.unwrap_or_default();
                let port = text.trim().parse().ok().filter(|port| *port != 0);
                let port =
                    port.ok_or_else(|| Failed::value(node, "expected a port from 1 to 65535"))?;
                let host = action.text(spec.host.as_ref())?;
                What::Port { host: host.unwrap_or_else(|| "127.0.0.1".to_owned()), port }
            }
            (Some(node), Some(_)) => {
                return Err(Failed::value(node, "wait_for takes a port or a path, not both"));
            }
        };
        let state = action.text(spec.state.as_ref())?;
        let present = match state.as_deref() {
            None | Some("started" | "present") => true,
            Some("stopped" | "absent" | "drained") => false,
            Some(other) => {
                let message =
                    format!("state '{other}' is not one of started, stopped, present, absent");
                return Err(match &spec.state {
                    Some(node) => Failed::value(node, message),
                    None => Failed::module(message),
                });
            }
        };
        Ok(Self {
            what,
            present,
            delay: duration(spec.delay.as_ref(), 0.0)?,
            timeout: duration(spec.timeout.as_ref(), 300.0)?,
            pause: duration(spec.sleep.as_ref(), 1.0)?.max(Duration::from_millis(50)),
            message: action.text(spec.message.as_ref())?,
        })
    }
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
        timeout: wait.timeout.max(Duration::from_secs(1)),
        creates: None,
        removes: None,
    };
    Ok(command::run(action, &request).await?.success())
}
