//! One question to PowerShell, and its answer.

use super::place::Windows;
use crate::engine::connection::{ConnectionError, HostConnection};
use crate::engine::failure::{self, HostFailure};
use crate::model::text::printable;
use crate::model::{Secret, Step};
use crate::transport::Process;
use crate::windows::wire::{self, Misread};
use crate::windows::{Program, Refused};
use rand::Rng;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

/// For one program: it waits for another for a minute at most.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often a question without an answer is asked anew, and how long is waited in between.
const TRIES: usize = 6;
const BETWEEN: Duration = Duration::from_secs(2);

/// Why there is no answer.
pub(super) enum Silent {
    /// Nothing was sent.
    NotSent(ConnectionError),
    /// It was sent, and then nothing came, or something that is no answer.
    Unclear(String),
}

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(error) => error.fmt(f),
            Self::Unclear(why) => f.write_str(why),
        }
    }
}

/// Asks once.
pub(super) async fn ask<T: DeserializeOwned>(
    target: &HostConnection,
    program: Program,
    request: &Value,
    pfx: &[u8],
) -> Result<Result<T, Refused>, Silent> {
    let nonce = format!("{:032x}", rand::rng().random::<u128>());
    let mut request = request.clone();
    request["nonce"] = Value::String(nonce.clone());
    let json = Zeroizing::new(request.to_string().into_bytes());
    let input = wire::input(program, &json, pfx);
    let started = target.line(wire::command_line()).await;
    let process = started.map_err(Silent::NotSent)?;
    match tokio::time::timeout(PATIENCE, converse(process, &input, &nonce)).await {
        Ok(answer) => answer.map_err(Silent::Unclear),
        Err(_) => Err(Silent::Unclear(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Asks until there is an answer. Only for what may be asked twice.
pub(super) async fn insist<T: DeserializeOwned>(
    target: &HostConnection,
    program: Program,
    request: &Value,
    pfx: &[u8],
) -> Result<Result<T, Refused>, Silent> {
    let mut tries = TRIES;
    loop {
        let answer = ask(target, program, request, pfx).await;
        tries -= 1;
        let is_final = match &answer {
            Ok(_) => true,
            Err(Silent::NotSent(ConnectionError::Connect(error))) => error.is_final(),
            Err(Silent::NotSent(_)) => true,
            Err(Silent::Unclear(_)) => false,
        };
        if is_final || tries == 0 {
            return answer;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn converse<T: DeserializeOwned>(
    process: Process,
    input: &Secret<Vec<u8>>,
    nonce: &str,
) -> Result<Result<T, Refused>, String> {
    let (mut stdin, mut stdout, ending) = process.split();
    let write = async {
        // A program that has read enough, or none that was ever there, does not read the rest.
        let _ = stdin.write_all(input.expose()).await;
        let _ = stdin.shutdown().await;
        std::future::pending::<Infallible>().await
    };
    let read = async {
        let mut printed = Vec::new();
        let mut chunk = vec![0; 32 << 10];
        loop {
            let count = match stdout.read(&mut chunk).await {
                Ok(0) => return Ok((printed, None)),
                Ok(count) => count,
                Err(error) => return Ok((printed, Some(error.to_string()))),
            };
            printed.extend_from_slice(&chunk[..count]);
            if printed.len() > wire::LONGEST_ANSWER {
                return Err("it printed more than any answer has".to_owned());
            }
        }
    };
    let (printed, cut) = tokio::select! {
        never = write => match never {},
        read = read => read?,
    };
    match wire::answer(&printed, nonce) {
        Ok(answer) => Ok(answer),
        Err(Misread::Garbage(why)) => Err(format!("PowerShell: {why}")),
        Err(Misread::Missing) => {
            let exit = ending.exit().await;
            let said = [printed, ending.stderr_tail().await].concat();
            let said = printable(&said, 300).split_whitespace().collect::<Vec<_>>().join(" ");
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            let end = cut.unwrap_or_else(|| exit.to_string());
            Err(format!("PowerShell gave no answer ({end}){said}"))
        }
    }
}

/// A question before anything was changed had no answer.
pub(super) fn unanswered(task: &str, silent: Silent) -> HostFailure {
    match silent {
        Silent::NotSent(error) => error.ended(task),
        Silent::Unclear(why) => untouched(task, Step::Inspect, why),
    }
}

/// A program would not do what was asked, before anything was changed.
pub(super) fn refused(target: &Windows, task: &str, step: Step, refused: &Refused) -> HostFailure {
    let what = target.describe();
    let why = match refused {
        Refused::Role(who) => {
            let why = format!("{who} is no administrator there, or logs in without that role");
            let mut ended = failure::refused(task, why);
            let advice = "log in as a member of Administrators: their public keys belong into administrators_authorized_keys";
            ended.failure.advice.push(advice.to_owned());
            return ended;
        }
        Refused::Busy => "another program of certroll has run there for a minute".to_owned(),
        Refused::Held(by) => format!("another run is changing something there ({by})"),
        Refused::Stale => format!("{what} was changed since it was looked at"),
        Refused::Gone => "the change is not there any more: it was undone".to_owned(),
        Refused::Use => format!("{what} is not there, or not only once"),
        Refused::Pfx(why) => format!("the certificate was not taken with a usable key: {why}"),
        Refused::Undone(why) | Refused::Failed(why) => why.clone(),
    };
    untouched(task, step, why)
}

/// A failure before anything refers to the new certificate.
pub(super) fn untouched(task: &str, step: Step, why: impl Into<String>) -> HostFailure {
    let mut ended = failure::before_commit(task, step, why);
    "untouched: nothing refers to the new certificate".clone_into(&mut ended.failure.state);
    ended
}
