//! `command` and `shell`.

use super::action::{Action, Done, Failed, ModuleFailure};
use crate::engine::failure;
use crate::host::CommandRequest;
use crate::host::CommandResult;
use crate::model::text::printable;
use crate::model::{CommandLine, RemotePath, Secret};
use crate::playbook::{COMMAND_TIMEOUT, CommandSpec, rendered_words};
use crate::remote::{self};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// How much of an output is shown.
const SHOWN: usize = 16 * 1024;

pub(super) async fn perform(action: &Action<'_>, spec: &CommandSpec) -> Result<Done, Failed> {
    let request = request(action, spec)?;
    if action.check {
        return Ok(action.in_check_mode());
    }
    let result = run(action, &request).await?;
    judge(&request, spec.other_shell, &result)
}

fn request(action: &Action<'_>, spec: &CommandSpec) -> Result<CommandRequest, Failed> {
    let mut words = Vec::with_capacity(spec.words.len());
    for (index, word) in spec.words.iter().enumerate() {
        let Some(text) = action.text(Some(word))? else { continue };
        let more = rendered_words(word, spec.loose.contains(&index), text);
        words.extend(
            more.ok_or_else(|| Failed::module("the command has a quote that is not closed"))?,
        );
    }
    let command =
        if spec.shell { CommandLine::Shell(words.join(" ")) } else { CommandLine::Argv(words) };
    command.check().map_err(|error| Failed::module(error.to_string()))?;
    let chdir = action.text(spec.chdir.as_ref())?.map(RemotePath::of_directory);
    let chdir = chdir.transpose().map_err(|error| Failed::module(format!("chdir: {error}")))?;
    let timeout = action.seconds(spec.timeout.as_ref())?;
    Ok(CommandRequest {
        command,
        chdir,
        env: action.environment()?,
        stdin: action.text(spec.stdin.as_ref())?.map(|text| stdin(text, spec.stdin_newline)),
        allow_input_log: spec.allow_input_log,
        timeout: timeout.map_or(COMMAND_TIMEOUT, Duration::from_secs_f64),
        creates: action.text(spec.creates.as_ref())?,
        removes: action.text(spec.removes.as_ref())?,
    })
}

/// Ansible adds a newline to what is written to a program unless told otherwise.
fn stdin(mut text: String, newline: bool) -> Secret<Vec<u8>> {
    if newline {
        text.push('\n');
    }
    Secret::new(text.into_bytes())
}

/// Runs a request where the action runs.
pub(super) async fn run(
    action: &Action<'_>,
    request: &CommandRequest,
) -> Result<CommandResult, Failed> {
    let title = action.title.to_owned();
    let work = async {
        let process = action.connection.sh().await.map_err(|error| error.ended(&title))?;
        remote::command::run(process, request)
            .await
            .map_err(|error| failure::remote(&title, action.host, &error, None))
    };
    tokio::select! {
        result = work => result.map_err(|ended| Failed::Host(Box::new(ended))),
        () = action.context.stop.hard().cancelled() => {
            Err(Failed::module("cut off by the second interrupt"))
        }
    }
}

/// As Ansible registers it: a list of words, or the text of a shell.
fn cmd(command: &CommandLine, other_shell: bool) -> Json {
    match command {
        CommandLine::Argv(words) if other_shell => json!(words.last()),
        CommandLine::Argv(words) => json!(words),
        CommandLine::Shell(text) => json!(text),
    }
}

/// `start`, `end` and `delta`, as Python writes moments and spans.
fn times(moments: &[Option<String>; 2]) -> Option<[(String, Json); 3]> {
    let [begun, ended] = moments.each_ref().map(|text| moment(text.as_deref()?));
    let ((start, from), (end, to)) = (begun?, ended?);
    let micros = to.saturating_sub(from).max(0);
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let delta = format!("{hours}:{minutes:02}:{:02}.{micros:06}", seconds % 60);
    Some(
        [("start", start), ("end", end), ("delta", delta)]
            .map(|(key, text)| (key.to_owned(), json!(text))),
    )
}

/// A moment as Python writes it, and in microseconds.
fn moment(text: &str) -> Option<(String, i64)> {
    let mut parts = text.split('_');
    let (date, time) = (parts.next()?, parts.next()?);
    let seconds: i64 =
        parts.next()?.parse().ok().filter(|seconds| (0..1 << 40).contains(seconds))?;
    let nanos: i64 =
        parts.next()?.parse().ok().filter(|nanos| (0..1_000_000_000).contains(nanos))?;
    let micros = nanos / 1000;
    let plain = |text: &str, mark: char| text.chars().all(|c| c.is_ascii_digit() || c == mark);
    let fits = date.len() == 10 && time.len() == 8 && plain(date, '-') && plain(time, ':');
    fits.then(|| (format!("{date} {time}.{micros:06}"), seconds * 1_000_000 + micros))
}

/// Which file made it needless, in Ansible's words.
fn needless(request: &CommandRequest) -> (String, String) {
    let (path, state) = match (&request.creates, &request.removes) {
        (Some(path), _) => (path.as_str(), "exists"),
        (None, Some(path)) => (path.as_str(), "does not exist"),
        (None, None) => ("", "exists"),
    };
    (
        format!("skipped, since {path} {state}"),
        format!("Did not run command since '{path}' {state}"),
    )
}

fn judge(
    request: &CommandRequest,
    other_shell: bool,
    result: &CommandResult,
) -> Result<Done, Failed> {
    let command = &request.command;
    let stdout = printable(&result.stdout, SHOWN).trim_end_matches('\n').to_owned();
    let stderr = printable(&result.stderr, SHOWN).trim_end_matches('\n').to_owned();
    let lines = |text: &str| json!(text.lines().collect::<Vec<_>>());
    let value = [
        ("cmd", cmd(command, other_shell)),
        ("rc", json!(result.rc)),
        ("stdout_lines", lines(&stdout)),
        ("stderr_lines", lines(&stderr)),
        ("stdout", json!(stdout)),
        ("stderr", json!(stderr)),
    ];
    let mut value: Map<String, Json> =
        value.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    if result.skipped {
        let (stdout, message) = needless(request);
        value.insert("stdout_lines".to_owned(), lines(&stdout));
        value.insert("stdout".to_owned(), json!(stdout));
        value.insert("msg".to_owned(), json!(message));
        let message = Some("nothing to do, because of `creates` or `removes`".to_owned());
        return Ok(Done { message, value, ..Done::default() });
    }
    if result.absent {
        // As Ansible, which did not get to run anything.
        value.insert("rc".to_owned(), json!(2));
        value.insert("msg".to_owned(), json!("Error executing command."));
        let message = match command {
            CommandLine::Argv(words) => words.first().map(String::as_str).unwrap_or_default(),
            CommandLine::Shell(_) => "sh",
        };
        let message = format!("there is no program '{message}' on the host");
        return Err(ModuleFailure { message, command: None, value }.into());
    }
    value.extend(times(&result.moments).into_iter().flatten());
    value.insert("msg".to_owned(), json!(""));
    let output = [stdout, stderr].into_iter().filter(|text| !text.is_empty());
    let output = output.collect::<Vec<_>>().join("\n");
    if result.success() {
        let output = Some(output).filter(|text| !text.is_empty());
        return Ok(Done { changed: true, output, value, ..Done::default() });
    }
    let message = if result.late {
        "timed out; its whole process group was killed".to_owned()
    } else if result.too_much_output {
        "printed too much output and was killed".to_owned()
    } else if let Some(signal) = result.signal {
        format!("killed by signal {signal}")
    } else {
        format!("exited with code {}", result.rc)
    };
    value.insert("msg".to_owned(), json!(message));
    let command = Some((command.to_string(), result.rc, output));
    Err(ModuleFailure { message, command, value }.into())
}
