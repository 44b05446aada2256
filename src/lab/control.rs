//! How the commands of a simulated service reach it: shell scripts that write a request into a named
//! pipe and read the answer from another one. Nothing but `sh`, `mkfifo`, `cat` and `rm` is needed.

use anyhow::{Context, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;

/// What a command prints and ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code.
    pub code: u8,
    /// Lines on standard error when it failed, on standard output otherwise.
    pub lines: Vec<String>,
}

impl Answer {
    /// It went well.
    pub fn yes(line: impl Into<String>) -> Self {
        Self { code: 0, lines: vec![line.into()] }
    }

    /// It did not.
    pub fn no(lines: Vec<String>) -> Self {
        Self { code: 1, lines }
    }
}

/// Asks the service and prints what it says; `RUN` and `NAME` are filled in.
const ASK: &str = r#"#!/bin/sh
# Asks the simulated service of NAME, which lives in the process that runs the lab.
umask 077
run='RUN'
if ! kill -0 "$(cat "$run/service.pid" 2>/dev/null)" 2>/dev/null; then
    echo "the service of NAME is not running" >&2
    exit 1
fi
reply="$run/reply.$$"
mkfifo "$reply" || exit 1
trap 'rm -f "$reply"' EXIT
trap 'exit 1' HUP INT TERM
printf '%s\n' "$reply" "$@" . >"$run/control"
code=1
while IFS= read -r line; do
    case $line in
        "exit "*) code=${line#exit } ;;
        "out "*) printf '%s\n' "${line#out }" ;;
        "err "*) printf '%s\n' "${line#err }" >&2 ;;
    esac
done <"$reply"
exit "$code"
"#;

/// The service is another process, which does not see what is mounted for the check alone: the check looks for itself.
const READS_PEM: &str = r#"for file in "$@"; do
    IFS= read -r first <"$file" || [ -n "$first" ] || exit 1
    case $first in "-----BEGIN "*) ;; *) echo "$file: not PEM" >&2; exit 1 ;; esac
done
"#;

/// Writes the commands `check` and `reload` of a service and the pipe on which they ask it.
///
/// # Errors
/// The directory cannot be written, or there is no `mkfifo`.
pub(super) fn install(
    bin: &Path,
    run: &Path,
    name: &str,
    [check, reload]: [&str; 2],
) -> anyhow::Result<()> {
    let fill = |text: &str| text.replace("RUN", &run.display().to_string()).replace("NAME", name);
    let ask = bin.join("ask-service");
    script(&ask, &fill(ASK))?;
    let ask = ask.display();
    script(
        &bin.join(check),
        &format!(
            "#!/bin/sh\n# {check} CERT KEY: would the service take these files? Reads them and its whole \
             configuration; changes nothing.\n{READS_PEM}exec '{ask}' check \"$@\"\n"
        ),
    )?;
    script(
        &bin.join(reload),
        &format!(
            "#!/bin/sh\n# {reload}: read the configuration and the live files again. Without this \
             the service goes on with what it has.\nexec '{ask}' reload\n"
        ),
    )?;
    fs::write(run.join("service.pid"), format!("{}\n", std::process::id()))?;
    let made = std::process::Command::new("mkfifo").arg(run.join("control")).output();
    let made = made.context("cannot run mkfifo")?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "mkfifo failed: {}", said.trim());
    Ok(())
}

fn script(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Opens the pipe on which requests come. Open for writing as well, so that it never ends.
///
/// # Errors
/// It is not there.
pub(super) fn open(run: &Path) -> std::io::Result<pipe::Receiver> {
    let file = fs::OpenOptions::new().read(true).write(true).open(run.join("control"))?;
    pipe::Receiver::from_file(file)
}

/// Answers requests until the task is dropped.
pub(super) async fn serve(
    requests: pipe::Receiver,
    run: PathBuf,
    answer: impl Fn(&[String]) -> Answer,
) {
    let mut lines = BufReader::new(requests).lines();
    let mut words = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line != "." {
            words.push(line);
            continue;
        }
        let request = std::mem::take(&mut words);
        let Some((reply, request)) = request.split_first() else { continue };
        if let Some(reply) = own_pipe(&run, reply) {
            tell(&reply, &answer(request)).await;
        }
    }
}

/// Only pipes beside the control pipe are written to.
fn own_pipe(run: &Path, reply: &str) -> Option<PathBuf> {
    let reply = Path::new(reply);
    let name = reply.file_name()?.to_str()?;
    (reply.parent()? == run && name.starts_with("reply.")).then(|| reply.to_owned())
}

async fn tell(reply: &Path, answer: &Answer) {
    let stream = if answer.code == 0 { "out" } else { "err" };
    let lines = answer.lines.iter().flat_map(|line| line.lines());
    let mut text: String = lines.map(|line| format!("{stream} {line}\n")).collect();
    text.push_str(&format!("exit {}\n", answer.code));
    // The script opens its end right after it has asked; if it was killed, nobody ever does.
    for _ in 0..400 {
        if let Ok(mut pipe) = pipe::OpenOptions::new().open_sender(reply) {
            let _ = pipe.write_all(text.as_bytes()).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
