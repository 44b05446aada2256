//! The operator's own checks, after the handshake: a failure rolls the host back.

use crate::engine::connection::HostConnection;
use crate::engine::context::Context;
use crate::host::CommandResult;
use crate::host::{CommandRequest, StepFailure};
use crate::model::Step;
use crate::model::text::chain;
use crate::model::text::printable;
use crate::plan::desired::{CheckWant, DesiredState};
use crate::remote::{self, command};
use crate::transport::local;

/// Runs the checks in order and stops at the first that fails.
///
/// # Errors
/// The check that failed, as a step failure for the rollback.
pub(super) async fn run(
    desired: &DesiredState,
    connection: Option<&HostConnection>,
    context: &Context,
) -> Result<(), StepFailure> {
    if desired.checks.is_empty() {
        return Ok(());
    }
    let running = context.emitter.step(&desired.host, Step::Checks);
    for check in &desired.checks {
        let outcome = one(check, connection, context).await;
        match outcome {
            Ok(result) if result.success() => {}
            Ok(result) => return Err(failed(check, &result)),
            Err(why) => return Err(step_failure(check, why, None, String::new())),
        }
    }
    let commands: Vec<String> =
        desired.checks.iter().map(|check| format!("`{}`", check.command)).collect();
    running.end(format!("{} passed", commands.join(", ")));
    Ok(())
}

async fn one(
    check: &CheckWant,
    connection: Option<&HostConnection>,
    context: &Context,
) -> Result<CommandResult, String> {
    let request = CommandRequest {
        command: check.command.clone(),
        chdir: None,
        env: Vec::new(),
        stdin: None,
        allow_input_log: false,
        timeout: check.timeout,
        creates: None,
        removes: None,
    };
    let work = async {
        let process = if check.on_host {
            let connection = connection.ok_or("no command can be run on this kind of target")?;
            connection.sh().await.map_err(|error| error.to_string())?
        } else {
            let started = local::start(&remote::launch(None)).await;
            started.map_err(|error| chain(&error))?
        };
        command::run(process, &request).await.map_err(|error| error.to_string())
    };
    tokio::select! {
        result = work => result,
        () = context.stop.hard().cancelled() => Err("cut off by the second interrupt".to_owned()),
    }
}

fn failed(check: &CheckWant, result: &CommandResult) -> StepFailure {
    let why = if result.late {
        "timed out".to_owned()
    } else if result.absent {
        "there is no such program".to_owned()
    } else {
        format!("exited with code {}", result.rc)
    };
    let output = [result.stdout.as_slice(), result.stderr.as_slice()].concat();
    let rc = Some(result.rc).filter(|_| !result.absent);
    step_failure(check, why, rc, printable(&output, 4096))
}

fn step_failure(check: &CheckWant, why: String, rc: Option<i32>, output: String) -> StepFailure {
    let place = if check.on_host { "on the host" } else { "on the controller" };
    StepFailure {
        check: None,
        step: Step::Checks,
        why: format!("`{}` {place}: {why}", check.command),
        service: None,
        rc,
        output,
    }
}
