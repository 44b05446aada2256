//! Values in the replies of an inspection: texts, lists, PEM blocks, ends of commands.

use crate::host::{CommandResult, ProcessName};
use crate::material::{Certificate, certificates_in};
use crate::model::text::printable;
use crate::remote::conversation::{BadReply, Reply};
use std::sync::Arc;

/// Processes of one service.
const MOST_PROCESSES: usize = 65_536;

pub(super) type Taken<T> = Result<T, String>;

/// The certificates whose bodies are in `certs`; what is none is left out.
pub(super) fn certificates(reply: &Reply) -> Taken<Vec<Arc<Certificate>>> {
    let mut pem = Vec::new();
    let bodies = reply.find("certs").unwrap_or_default().split(',');
    for body in bodies.filter(|body| !matches!(*body, "" | "-")) {
        pem.extend(pem_block("CERTIFICATE", body)?);
    }
    Ok(certificates_in(&pem).into_iter().map(Arc::new).collect())
}

pub(super) fn pem_block(label: &str, body: &str) -> Taken<Vec<u8>> {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if !body.bytes().all(base64) {
        return Err("a block that is not base64".to_owned());
    }
    let mut pem = format!("-----BEGIN {label}-----\n").into_bytes();
    for line in body.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    Ok(pem)
}

/// `PID:BEGAN,PID:BEGAN`; of a service with very many, not all.
pub(super) fn process_names(reply: &Reply, name: &str) -> Taken<Vec<ProcessName>> {
    let words = reply.find(name).unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let read = |word: &str| {
        let (pid, began) = word.split_once(':')?;
        let began = printable(began.as_bytes(), 100);
        Some(ProcessName { pid: pid.parse().ok()?, began })
    };
    words
        .take(MOST_PROCESSES)
        .map(|word| read(word).ok_or("an invalid process".to_owned()))
        .collect()
}

/// What a command said, its end, and how it ended: `…\n@rc=N\n`, before that `\n@late\n` perhaps.
pub(super) fn peeked(mut said: Vec<u8>) -> CommandResult {
    let mut result = CommandResult::default();
    match strip_line(&mut said, b"@rc=").and_then(|digits| digits.parse().ok()) {
        Some(rc) => {
            result.rc = rc;
            result.late = strip_line(&mut said, b"@late").is_some();
            if result.late {
                result.rc = 124;
            } else if rc > 128 {
                result.signal = Some(rc - 128);
            }
        }
        // It was cut off before it could tell.
        None => (result.rc, result.too_much_output) = (125, true),
    }
    result.stdout = said;
    result
}

/// Takes the last line off if it begins with `start`, and gives the rest of that line.
fn strip_line(text: &mut Vec<u8>, start: &[u8]) -> Option<String> {
    let line_end = text.len().checked_sub(1).filter(|end| text[*end] == b'\n')?;
    let line_start = text[..line_end].iter().rposition(|byte| *byte == b'\n')?;
    let rest = text[line_start + 1..line_end].strip_prefix(start)?;
    let rest = String::from_utf8(rest.to_vec()).ok()?;
    text.truncate(line_start);
    Some(rest)
}

pub(super) fn number<T: std::str::FromStr>(reply: &Reply, name: &str) -> Taken<T> {
    reply.number(name).map_err(BadReply::into_words)
}

/// `A*B`, or `-` for unknown.
pub(super) fn product(reply: &Reply, name: &str) -> Taken<Option<u64>> {
    let value = reply.find(name).unwrap_or("-");
    let Some((count, size)) = value.split_once('*') else { return Ok(None) };
    let parse = |text: &str| text.parse::<u64>().map_err(|_| format!("an invalid {name}"));
    Ok(Some(parse(count)?.saturating_mul(parse(size)?)))
}

/// A field's text, safe to show.
pub(super) fn text(reply: &Reply, name: &str) -> Taken<String> {
    Ok(printable(&bytes(reply, name)?, 4096))
}

/// A field's bytes.
pub(super) fn bytes(reply: &Reply, name: &str) -> Taken<Vec<u8>> {
    let word = reply.text(name).map_err(BadReply::into_words)?;
    decode(word).ok_or_else(|| format!("'{}' has an invalid '{name}'", reply.kind()))
}

/// A field's list of bytes.
pub(super) fn list(reply: &Reply, name: &str) -> Taken<Vec<Vec<u8>>> {
    let words = reply.find(name).unwrap_or_default().split(';').filter(|word| !word.is_empty());
    words.map(|word| decode(word).ok_or_else(|| format!("an invalid {name}"))).collect()
}

/// The other way of [`encode`](crate::remote::encode). `None` for what that cannot have made.
fn decode(word: &str) -> Option<Vec<u8>> {
    if word == "%" {
        return Some(Vec::new());
    }
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            out.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..3)?).ok()?;
        out.push(u8::from_str_radix(digits, 8).ok()?);
        rest = &after[3..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::encode::encode;

    #[test]
    fn texts_come_back() {
        let every: Vec<u8> = (1..=255).collect();
        for bytes in [&every[..], b"", b"plain", b"%", b"a\nb"] {
            assert_eq!(decode(&encode(bytes)).as_deref(), Some(bytes));
        }
        for bad in ["%1", "%9zz", "%777", "a%"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn how_a_command_ended() {
        let result = |said: &[u8]| peeked(said.to_vec());
        let fine = result(b"one\ntwo\n\n@rc=0\n");
        assert_eq!(
            (fine.stdout.as_slice(), fine.rc, fine.success()),
            (&b"one\ntwo\n"[..], 0, true)
        );
        assert_eq!(result(b"\n@rc=7\n").rc, 7);
        assert_eq!(result(b"x\n@rc=137\n").signal, Some(9));
        let late = result(b"x\n@late\n\n@rc=137\n");
        assert_eq!((late.stdout.as_slice(), late.rc, late.late), (&b"x"[..], 124, true));
        assert!(result(b"yyyyyyyy").too_much_output);
        assert!(!result(b"@rc=0").success());
    }
}
