//! How a program, its request and a PFX get to PowerShell, and how its answer comes back.
//!
//! The command line means the same to cmd.exe and to PowerShell: nothing in it is special to either. All else goes by
//! standard input in short lines of base64, each part with its digest, so that what was cut off is not run. The answer is
//! one line with a mark of its own: whatever else a console prints around it (CRLF, a byte order mark, progress as CLIXML) is
//! not it.

use super::answer::{Outer, Refused};
use super::program::{BOOTSTRAP, Program};
use crate::model::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// More than any answer has; a longer one is none.
pub(crate) const LONGEST_ANSWER: usize = 2 << 20;
/// Longer lines of input were seen to break.
const LINE: usize = 960;
const MARK: &str = "@certroll1";

/// What the SSH server is asked to run.
pub(crate) fn command_line() -> String {
    let units: Vec<u8> = BOOTSTRAP.encode_utf16().flat_map(u16::to_le_bytes).collect();
    format!("powershell -NoProfile -NonInteractive -EncodedCommand {}", STANDARD.encode(units))
}

/// What it reads: the program, the request, and a PFX or nothing.
pub(crate) fn input(program: Program, request: &[u8], pfx: &[u8]) -> Secret<Vec<u8>> {
    let parts = [program.text().as_bytes(), request, pfx];
    let length: usize = parts.iter().map(|part| part.len() * 3 / 2 + 200).sum();
    let mut all = Vec::with_capacity(length);
    for part in parts {
        let text = Zeroizing::new(STANDARD.encode(part));
        for line in text.as_bytes().chunks(LINE) {
            all.extend_from_slice(line);
            all.push(b'\n');
        }
        all.push(b'.');
        all.extend_from_slice(digest(part).as_bytes());
        all.push(b'\n');
    }
    Secret::new(all)
}

/// As .NET's `BitConverter` prints it.
fn digest(part: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, part);
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join("-")
}

/// Why there is no answer in what was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misread {
    /// There is none at all.
    Missing,
    /// There is one, and it is not what such a program answers.
    Garbage(&'static str),
}

/// The answer to the request with this nonce.
pub(crate) fn answer<T: DeserializeOwned>(
    printed: &[u8],
    nonce: &str,
) -> Result<Result<T, Refused>, Misread> {
    let lines = printed.split(|byte| *byte == b'\n');
    let mut found = lines.filter_map(|line| {
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = line.strip_prefix(MARK.as_bytes())?.strip_prefix(b" ")?;
        rest.strip_prefix(nonce.as_bytes())?.strip_prefix(b" ")
    });
    let body = found.next().ok_or(Misread::Missing)?;
    if found.next().is_some() {
        return Err(Misread::Garbage("it answered twice"));
    }
    let body = body.strip_suffix(b" .").ok_or(Misread::Garbage("its answer is cut off"))?;
    let json = STANDARD.decode(body).map_err(|_| Misread::Garbage("its answer is no base64"))?;
    let wrong = Misread::Garbage("its answer is not what was asked");
    let outer: Outer<T> = serde_json::from_slice(&json).map_err(|_| wrong.clone())?;
    outer.read().ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_short_and_plain() {
        let line = command_line();
        assert!(line.len() <= 2_000, "{}", line.len());
        let plain = |c: char| c.is_ascii_alphanumeric() || " -+/=".contains(c);
        assert!(line.chars().all(plain), "{line}");
    }

    #[test]
    fn input_has_short_lines_and_three_ends() {
        let input = input(Program::Begin, b"{}", &[7; 5000]);
        let text = String::from_utf8(input.expose().clone()).unwrap();
        assert!(text.lines().all(|line| line.len() <= 1_000));
        let ends: Vec<&str> = text.lines().filter(|line| line.starts_with('.')).collect();
        assert_eq!(ends.len(), 3);
        assert_eq!(ends[1], format!(".{}", digest(b"{}")));
        assert!(digest(b"").starts_with("E3-B0-C4-42-"));
    }

    fn line(nonce: &str, json: &str) -> String {
        format!("{MARK} {nonce} {} .", STANDARD.encode(json))
    }

    #[test]
    fn the_answer_is_found_in_the_noise() {
        let good = line("n1", r#"{"ok":{"done":true}}"#);
        for printed in [
            format!("{good}\n"),
            format!("\u{feff}{good}\r\n"),
            format!("#< CLIXML\r\n{good}\r\n<Objs Version=\"1.1.0.1\"></Objs>"),
            format!("{}\n{good}", line("n0", "{}")),
        ] {
            let answer = answer::<serde_json::Value>(printed.as_bytes(), "n1").unwrap();
            assert_eq!(answer.unwrap()["done"], true, "{printed}");
        }
        let refused = line("n1", r#"{"error":"role","why":"W\\u001b\\nx"}"#);
        let refused = answer::<serde_json::Value>(refused.as_bytes(), "n1").unwrap();
        let Err(Refused::Role(who)) = refused else { panic!("{refused:?}") };
        assert!(!who.contains(['\u{1b}', '\n']), "{who}");
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let read = |printed: String| answer::<super::super::Done>(printed.as_bytes(), "n1");
        assert_eq!(read("'powershell' is not recognized".into()).unwrap_err(), Misread::Missing);
        let whole = line("n1", r#"{"ok":{"done":true}}"#);
        assert!(read(whole.clone()).is_ok_and(|answer| answer.is_ok()));
        for wrong in [
            whole[..whole.len() - 2].to_owned(),
            format!("{whole}\n{whole}"),
            format!("{MARK} n1 %%% ."),
            line("n1", "[]"),
            line("n1", "{}"),
            line("n1", r#"{"ok":{"done":1}}"#),
        ] {
            assert!(matches!(read(wrong.clone()), Err(Misread::Garbage(_))), "{wrong}");
        }
    }
}
