//! `uri`: a request of HTTP, made here and carried to the server from where the task runs: through the host's SSH
//! connection, or from the controller with `delegate_to: localhost`. No program on the host sees a header or a body.

mod address;
mod answer;
mod exchange;
mod request;

use self::exchange::{Answered, exchange};
use self::request::Request;
use super::super::action::{Action, Done, Failed, ModuleFailure};
use super::look;
use crate::model::Secret;
use crate::playbook::modules::{Arguments, ModuleTask};
use crate::verify::{ClientPair, Roots, TlsClient};
use serde_json::{Map, json};
use tokio::time::Instant;

/// Where distributions have the roots that a host trusts, in one file.
const TRUSTED: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(super) async fn perform(
    action: &Action<'_>,
    task: &ModuleTask,
    arguments: &Arguments,
) -> Result<Done, Failed> {
    let request = Request::of(action, task, arguments).await?;
    if action.check {
        return Ok(action.in_check_mode());
    }
    for (name, runs_where) in [("creates", false), ("removes", true)] {
        let Some(path) = arguments.text(name) else { continue };
        if look::exists(action, path).await? != runs_where {
            let why = if runs_where { "does not exist" } else { "exists" };
            let said = format!("skipped, since '{path}' {why}");
            let value = Map::from_iter([("stdout".to_owned(), json!(said))]);
            return Ok(Done { message: Some(said), value, ..Done::default() });
        }
    }
    let tls = match request.may_be_encrypted() {
        true => Some(client(action, arguments).await?),
        false => None,
    };
    let Some(dial) = action.connection.dialers().host else {
        return Err(Failed::module("there is no way to connect from where the task runs"));
    };
    let begun = Instant::now();
    let work = tokio::time::timeout(request.timeout, exchange(&request, &*dial, tls.as_ref()));
    let answered = tokio::select! {
        answered = work => match answered {
            Ok(answered) => answered,
            Err(_) => Answered::Nothing("timed out".to_owned()),
        },
        () = action.context.stop.hard().cancelled() => {
            return Err(Failed::module("cut off by the second interrupt"));
        }
    };
    let told = answer::registered(&request, answered, begun.elapsed().as_secs());
    match told.refused {
        None => Ok(Done { value: told.value, message: Some(told.message), ..Done::default() }),
        Some(message) => Err(ModuleFailure { message, command: None, value: told.value }.into()),
    }
}

/// Whom the connection trusts: the roots of the machine that it starts from, or those of `ca_path` there.
async fn client(action: &Action<'_>, arguments: &Arguments) -> Result<TlsClient, Failed> {
    let roots = match (arguments.flag("validate_certs"), arguments.text("ca_path")) {
        (Some(false), _) => None,
        (_, Some(path)) => Some(roots_in(action, path).await?.ok_or_else(|| {
            Failed::module(format!("ca_path: {path} does not exist where the task runs"))
        })?),
        (_, None) => Some(trusted(action).await?),
    };
    let own = match arguments.text("client_cert") {
        None => None,
        Some(cert) => {
            let key = arguments.text("client_key").unwrap_or(cert);
            let (cert, key) = (secret(action, cert).await?, secret(action, key).await?);
            Some(ClientPair { cert, key })
        }
    };
    TlsClient::new(roots, own.as_ref()).map_err(Failed::module)
}

async fn trusted(action: &Action<'_>) -> Result<Roots, Failed> {
    if action.connection.is_local() {
        return Roots::system().map_err(|error| Failed::module(error.to_string()));
    }
    for path in TRUSTED {
        if let Some(roots) = roots_in(action, path).await? {
            return Ok(roots);
        }
    }
    Err(Failed::module(format!(
        "there are no root certificates where the task runs ({}): install ca-certificates there, name a file in \
         `ca_path`, or say `validate_certs: false`",
        TRUSTED.join(", ")
    )))
}

async fn roots_in(action: &Action<'_>, path: &str) -> Result<Option<Roots>, Failed> {
    let Some((text, _)) = look::read(action, path).await? else { return Ok(None) };
    let roots = Roots::from_pem(text.expose());
    Ok(Some(roots.map_err(|error| Failed::module(format!("{path}: {error}")))?))
}

async fn secret(action: &Action<'_>, path: &str) -> Result<Secret<Vec<u8>>, Failed> {
    let found = look::read(action, path).await?;
    let found = found.map(|(content, _)| content);
    found.ok_or_else(|| Failed::module(format!("{path} does not exist where the task runs")))
}
