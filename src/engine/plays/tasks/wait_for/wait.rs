//! The arguments of `wait_for` for one host.

use super::super::action::{Action, Failed};
use crate::playbook::WaitFor;
use crate::source::Node;
use fancy_regex::Regex;
use std::time::Duration;

/// What is waited for, rendered.
pub(super) struct Wait {
    pub(super) what: What,
    pub(super) present: bool,
    pub(super) delay: Duration,
    pub(super) timeout: Duration,
    pub(super) pause: Duration,
    pub(super) message: Option<String>,
    pub(super) search: Option<Regex>,
}

/// Where one looks.
pub(super) enum What {
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
    pub(super) fn read(action: &Action<'_>, spec: &WaitFor) -> Result<Self, Failed> {
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
        let search = match (&spec.search, action.text(spec.search.as_ref())?) {
            (Some(node), Some(_)) if !present => {
                let message = "search_regex goes with the states present and started";
                return Err(Failed::value(node, message));
            }
            (Some(node), Some(text)) => Some(
                Regex::new(&format!("(?m){text}"))
                    .map_err(|_| Failed::value(node, "this is no regular expression"))?,
            ),
            _ => None,
        };
        Ok(Self {
            what,
            present,
            search,
            delay: duration(spec.delay.as_ref(), 0.0)?,
            timeout: duration(spec.timeout.as_ref(), 300.0)?,
            pause: duration(spec.sleep.as_ref(), 1.0)?.max(Duration::from_millis(50)),
            message: action.text(spec.message.as_ref())?,
        })
    }
}
