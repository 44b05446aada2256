//! A single command on a host, outside a transaction.

use super::conversation::{BadReply, Conversation, Reply};
use super::encode::{BadRequest, argv, encode, is_plain_text, seconds};
use super::error::RemoteError;
use super::program::{COMMANDING, Then, nonce};
use super::sealing;
use crate::host::CommandRequest;
use crate::host::CommandResult;
use crate::host::StepFailure;
use crate::model::Step;
use crate::transport::Process;
use std::time::Duration;
use zeroize::Zeroizing;

/// What the host sends of each end of a stream.
const PART: usize = 64 << 10;

/// Runs a command on the host that `process` runs [`BOOTSTRAP`](super::BOOTSTRAP) on. A failing command is a
/// result and no error.
///
/// # Errors
/// See [`RemoteError`]. Once it had been started, what it did is unknown.
pub(crate) async fn run(
    process: Process,
    request: &CommandRequest,
) -> Result<CommandResult, RemoteError> {
    let nonce = nonce();
    let text = word(request, &nonce)?;
    let mut host =
        Conversation::open(process.into(), &COMMANDING, &nonce, &text, Step::Task, Then::End)
            .await?;
    let mut result = CommandResult::default();
    let mut limit = Duration::ZERO;
    loop {
        let reply = host.next(limit).await?;
        match take(&reply, &mut result) {
            Err(bad) => return Err(host.garbage(bad.into_words())),
            Ok(Some(Err(error))) => return Err(error),
            Ok(Some(Ok(()))) => break,
            Ok(None) if reply.kind == "hello" => {
                host.may_have_changed = true;
                limit = request.timeout;
                if let Some(input) = &request.stdin {
                    let lines = sealing::answer(&reply, input.expose());
                    host.send(&lines.map_err(|bad| host.garbage(bad.into_words()))?).await?;
                }
            }
            Ok(None) => {}
        }
    }
    host.finish().await;
    Ok(result)
}

fn word(request: &CommandRequest, nonce: &str) -> Result<Zeroizing<String>, BadRequest> {
    let mut text = Zeroizing::new(format!("tx {nonce} -\n"));
    let mut line = |name: &str, bytes: &[u8]| {
        text.push_str(&format!("{name} {}\n", encode(bytes)));
    };
    if let Some(directory) = &request.chdir {
        line("chdir", directory.as_bytes());
    }
    for (name, value) in &request.env {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let digit = name.bytes().next().is_none_or(|byte| byte.is_ascii_digit());
        if digit || !name.bytes().all(plain) || value.contains('\0') {
            return Err(BadRequest::new(format!("'{name}' cannot be set in an environment")));
        }
        line("env", format!("{name}={value}").as_bytes());
    }
    for (name, pattern) in [("creates", &request.creates), ("removes", &request.removes)] {
        match pattern {
            Some(pattern) if pattern.is_empty() || pattern.contains('\0') => {
                return Err(BadRequest::new(format!("{name}: no pattern")));
            }
            Some(pattern) => line(name, pattern.as_bytes()),
            None => {}
        }
    }
    if let Some(input) = &request.stdin {
        line("input", if is_plain_text(input.expose()) { b"text" } else { b"base64" });
        if request.allow_input_log {
            text.push_str("open\n");
        }
    }
    let (limit, argv) = (seconds(request.timeout), argv(&request.command)?);
    text.push_str(&format!("run {limit} {argv}\ngo\n"));
    Ok(text)
}

fn take(
    reply: &Reply,
    result: &mut CommandResult,
) -> Result<Option<Result<(), RemoteError>>, BadReply> {
    match reply.kind.as_str() {
        "hello" => {}
        "out" => result.stdout = stream(reply)?,
        "err" => result.stderr = stream(reply)?,
        "skipped" => {
            result.skipped = true;
            return Ok(Some(Ok(())));
        }
        "absent" => {
            result.absent = true;
            return Ok(Some(Ok(())));
        }
        "done" => {
            result.rc = reply.number("rc")?;
            result.signal = (129..=192).contains(&result.rc).then_some(result.rc - 128);
            result.moments = ["begun", "ended"]
                .map(|name| reply.find(name).filter(|text| text.len() < 64).map(str::to_owned));
            result.late = reply.find("cut") == Some("124");
            result.too_much_output = reply.find("cut") == Some("125");
            return Ok(Some(Ok(())));
        }
        "failed" => {
            return Ok(Some(Err(RemoteError::Failed(StepFailure {
                check: None,
                step: Step::Task,
                why: match reply.text("why")? {
                    sealing::INPUT_RECORDED => sealing::recorded("the standard input"),
                    why => why.replace('_', " "),
                },
                service: None,
                rc: None,
                output: String::new(),
            }))));
        }
        _ => return Err(BadReply::new(&format!("'{}' was not expected", reply.kind()))),
    }
    Ok(None)
}

/// Both ends of a stream; what lies between them is left out, and said.
fn stream(reply: &Reply) -> Result<Vec<u8>, BadReply> {
    let size: usize = reply.number("size")?;
    let mut bytes = reply.bytes("head")?;
    let tail = reply.bytes("tail")?;
    if let Some(gap) = size.checked_sub(2 * PART).filter(|gap| *gap > 0) {
        bytes.extend(format!("\n[… {gap} bytes left out …]\n").as_bytes());
    }
    let fresh = size.saturating_sub(PART).min(PART);
    bytes.extend(&tail[tail.len().saturating_sub(fresh)..]);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommandLine, RemotePath};
    use crate::remote::program::launch;
    use crate::transport::local;

    fn request(argv: &[&str]) -> CommandRequest {
        CommandRequest {
            command: CommandLine::Argv(argv.iter().map(|&word| word.to_owned()).collect()),
            chdir: None,
            env: Vec::new(),
            stdin: None,
            allow_input_log: false,
            timeout: Duration::from_secs(20),
            creates: None,
            removes: None,
        }
    }

    async fn sh(request: &CommandRequest) -> Result<CommandResult, RemoteError> {
        run(local::start(&launch(None)).await.unwrap(), request).await
    }

    #[tokio::test]
    async fn streams_exit_code_directory_and_environment() {
        let mut wanted =
            request(&["sh", "-c", "pwd; printf '%s\\n' \"$A\"; umask; echo no >&2; exit 3"]);
        wanted.chdir = Some(RemotePath::new("/usr/lib").unwrap());
        wanted.env = vec![("A".into(), "it's \\0101 $x\n%".into()), ("IFS".into(), "x".into())];
        let result = sh(&wanted).await.unwrap();
        let mask = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
        let mask = String::from_utf8(mask).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&result.stdout),
            format!("/usr/lib\nit's \\0101 $x\n%\n{mask}")
        );
        assert_eq!((result.rc, result.stderr.as_slice()), (3, &b"no\n"[..]));
        assert!(!result.success() && !result.skipped && !result.late);
    }

    #[tokio::test]
    async fn input_of_any_bytes() {
        let every: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for bytes in [&b"text\n.x\n"[..], b"", b"no newline", b"back\\slash\n", b".\n", &every] {
            let wanted = CommandRequest { stdin: Some(bytes.to_vec().into()), ..request(&["cat"]) };
            let result = sh(&wanted).await.unwrap();
            assert!(result.stdout == bytes, "{} of {}", result.stdout.len(), bytes.len());
        }
        let wanted = CommandRequest { stdin: Some(every.into()), ..request(&["true"]) };
        assert!(sh(&wanted).await.unwrap().success());
    }

    #[tokio::test]
    async fn creates_and_removes_skip() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a b.pem"), "").unwrap();
        let pattern = Some(format!("{}/a *.pem", dir.path().display()));
        let none = Some(format!("{}/*.key", dir.path().display()));
        for (creates, removes, skipped) in [
            (&pattern, &None, true),
            (&none, &None, false),
            (&None, &pattern, false),
            (&None, &none, true),
        ] {
            let wanted = CommandRequest {
                creates: creates.clone(),
                removes: removes.clone(),
                ..request(&["true"])
            };
            assert_eq!(sh(&wanted).await.unwrap().skipped, skipped, "{creates:?} {removes:?}");
        }
    }

    #[tokio::test]
    async fn what_hangs_or_floods_is_ended_as_a_whole() {
        let hung = CommandRequest {
            timeout: Duration::from_secs(1),
            ..request(&["sh", "-c", "trap '' TERM; echo begun; sleep 1000 & wait"])
        };
        let result = sh(&hung).await.unwrap();
        assert!(result.late && !result.success());
        assert_eq!(result.stdout, b"begun\n");
        let flood = sh(&request(&["yes"])).await.unwrap();
        assert!(flood.too_much_output && flood.stdout.len() > 2 * PART && !flood.success());
        assert!(String::from_utf8_lossy(&flood.stdout).contains("bytes left out"));
    }

    #[tokio::test]
    async fn what_cannot_run_says_why() {
        let missing = sh(&request(&["/no/such/program"])).await.unwrap();
        assert!(missing.absent && !missing.success());
        let killed = sh(&request(&["sh", "-c", "kill -9 $$"])).await.unwrap();
        assert_eq!((killed.rc, killed.signal), (137, Some(9)));
        let lost = CommandRequest {
            chdir: Some(RemotePath::new("/no/such/directory").unwrap()),
            ..request(&["true"])
        };
        assert_eq!(sh(&lost).await.unwrap_err().to_string(), "task failed: no such directory");
        let odd = CommandRequest { env: vec![("a;b".into(), String::new())], ..request(&["true"]) };
        assert!(matches!(sh(&odd).await, Err(RemoteError::BadRequest(_))));
    }
}
