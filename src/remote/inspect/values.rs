//! Values in the replies of an inspection: texts, lists, PEM blocks, ends of commands.

use crate::host::CommandResult;
use crate::material::{Certificate, certificates_in};
use crate::model::text::printable;
use crate::remote::conversation::{BadReply, Reply};
use std::sync::Arc;

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

/// As much of a command's output is told.
const PEEKED: usize = 64 << 10;
/// Ended by SIGPIPE.
const PIPE_CLOSED: i32 = 128 + 13;

/// What a command said, and how it ended: `rc=N cut=- out=HEX`, where `cut` is a code when it was ended for its time.
pub(super) fn peeked(reply: &Reply) -> Taken<CommandResult> {
    let mut rc: i32 = number(reply, "rc")?;
    let cut: Option<i32> = reply.maybe_number("cut").map_err(BadReply::into_words)?;
    let stdout = reply.bytes("out").map_err(BadReply::into_words)?;
    let too_much_output = rc == PIPE_CLOSED && stdout.len() >= PEEKED;
    if too_much_output {
        rc = 125;
    }
    Ok(CommandResult {
        rc,
        signal: (cut.is_none() && rc > 128).then(|| rc - 128),
        late: cut.is_some(),
        too_much_output,
        stdout,
        ..CommandResult::default()
    })
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
        let result = |said: &[u8], rc: &str, cut: &str| {
            let words = format!("cmd rc={rc} cut={cut} out={}", hex::encode(said));
            peeked(&Reply::parse(words.as_bytes()).unwrap())
        };
        let fine = result(b"one\ntwo\n", "0", "-").unwrap();
        assert_eq!(
            (fine.stdout.as_slice(), fine.rc, fine.success()),
            (&b"one\ntwo\n"[..], 0, true)
        );
        assert_eq!(result(b"", "7", "-").unwrap().rc, 7);
        assert_eq!(result(b"x", "137", "-").unwrap().signal, Some(9));
        let late = result(b"x", "124", "124").unwrap();
        assert_eq!((late.stdout.as_slice(), late.rc, late.late), (&b"x"[..], 124, true));
        let flood = result(&[b'y'; PEEKED], "141", "-").unwrap();
        assert_eq!((flood.rc, flood.too_much_output, flood.success()), (125, true, false));
        assert!(result(&[b'y'; PEEKED], "0", "-").unwrap().success());
        assert!(result(b"", "", "-").is_err() && result(b"", "x", "-").is_err());
    }
}
