//! Requests in the words that the program on the host reads: texts, bodies, commands, times.

use super::error::RemoteError;
use crate::host::{RunningCheck, StateDirs, TimedCommand};
use crate::model::command::CommandLine;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;
use zeroize::Zeroizing;

/// Why a request cannot be put into words.
#[derive(Debug)]
pub(super) struct BadRequest(String);

impl BadRequest {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<BadRequest> for RemoteError {
    fn from(BadRequest(why): BadRequest) -> Self {
        Self::BadRequest(why)
    }
}

/// A text as the program's `dec` reads it: one word, whatever bytes it holds.
pub(super) fn encode(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "%".to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/._=:,@+-".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:03o}"));
        }
    }
    out
}

/// The other way: what the program's `enc` writes; `None` for what it never writes.
pub(super) fn decode(word: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    if word == "%" {
        return Some(out);
    }
    let mut rest = word.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match first {
            b'%' => {
                let digits = std::str::from_utf8(tail.get(..3)?).ok()?;
                out.push(u8::from_str_radix(digits, 8).ok()?);
                &tail[3..]
            }
            byte => {
                out.push(*byte);
                tail
            }
        };
    }
    Some(out)
}

/// A list of texts as the program's `words` reads it.
pub(super) fn encode_all<T: AsRef<[u8]>>(texts: &[T]) -> String {
    texts.iter().map(|text| encode(text.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Lines that `read` takes and `echo` gives back byte for byte in every shell: what base64 and PEM
/// are made of. (`echo` of dash expands backslashes, `printf` of mksh is a program.)
pub(super) fn is_plain_text(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n') && *byte != b'\\';
    // A first word like `-n` would be an option; PEM's own lines begin with five dashes. A lone dot
    // is the end.
    let odd = |line: &[u8]| line == b"." || (line.starts_with(b"-") && !line.starts_with(b"-----"));
    bytes.ends_with(b"\n")
        && bytes.iter().all(plain)
        && !bytes.split(|byte| *byte == b'\n').any(odd)
}

/// Where journals and locks are, if not at the usual places.
pub(super) fn places(dirs: Option<&StateDirs>) -> Vec<String> {
    dirs.map_or_else(Vec::new, |dirs| {
        vec![
            format!("state {}", encode(dirs.state.as_bytes())),
            format!("run {}", encode(dirs.run.as_bytes())),
        ]
    })
}

/// Who we are, for whoever finds the host locked.
pub(super) fn note(holder: &str) -> String {
    let line: String = holder.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("note {}", hex::encode(line))
}

/// Whole seconds, at least one.
pub(super) fn seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).clamp(1, 1_000_000)
}

/// How to see that a service runs, as `running` of `sh/run.sh` reads it.
pub(super) fn running_words(check: &RunningCheck) -> Result<String, BadRequest> {
    Ok(match check {
        RunningCheck::PidFile(path) => format!("pidfile {}", encode(path.as_bytes())),
        RunningCheck::Process(name) => format!("process {}", encode(name.as_bytes())),
        RunningCheck::Command(command) => format!("command {}", timed(command)?),
        RunningCheck::First { pid, started, otherwise } => {
            format!("first {pid} {} {}", encode(started.as_bytes()), timed(otherwise)?)
        }
    })
}

/// Seconds and arguments.
pub(super) fn timed(command: &TimedCommand) -> Result<String, BadRequest> {
    Ok(format!("{} {}", seconds(command.timeout), argv(&command.command)?))
}

/// A command's encoded arguments.
pub(super) fn argv(command: &CommandLine) -> Result<String, BadRequest> {
    command.check().map_err(|error| BadRequest(error.to_string()))?;
    Ok(encode_all(&command.argv()))
}

/// The bytes as lines, then a lone dot. `into` must have room: a moved buffer would not be wiped.
pub(super) fn body(bytes: &[u8], into: &mut Vec<u8>) {
    if is_plain_text(bytes) {
        into.extend_from_slice(bytes);
    } else {
        let mut line = Zeroizing::new([0; 76]);
        for chunk in bytes.chunks(57) {
            // 57 bytes are 76 characters, so the slice is never too short.
            let length = STANDARD.encode_slice(chunk, &mut line[..]).unwrap_or_default();
            into.extend_from_slice(&line[..length]);
            into.push(b'\n');
        }
    }
    into.extend_from_slice(b".\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let every: Vec<u8> = (1..=255).collect();
        for bytes in [&every[..], b"", b"%", b"a b\n"] {
            assert_eq!(decode(&encode(bytes)).as_deref(), Some(bytes));
        }
        for word in ["%4", "%999", "%é12"] {
            assert_eq!(decode(word), None, "{word}");
        }
    }

    #[test]
    fn plain_text_is_what_echo_repeats() {
        assert!(is_plain_text(b"-----BEGIN CERTIFICATE-----\nab+/=\n"));
        for bytes in [&b"a"[..], b"a\\n\n", b"-n\n", b"\xff\n", b"a\0\n", b"a\n.\n", b""] {
            assert!(!is_plain_text(bytes), "{bytes:?}");
        }
        assert!(is_plain_text(b"subject=CN = *.example.com, O = \"x\"\n..\n"));
    }
}
