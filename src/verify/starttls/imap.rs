//! IMAP (RFC 9051 §6.2.1, RFC 3501).

use super::dialogue::{Dialogue, starts_with_word};
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    dialogue.enter(Phase::Greeting);
    let greeting = response(dialogue).await?;
    let Some(status) = greeting.strip_prefix(b"* ") else {
        return Err(dialogue.unexpected(&greeting));
    };
    // After PREAUTH there is no way back to where STARTTLS is allowed.
    if starts_with_word(status, "BYE") || starts_with_word(status, "PREAUTH") {
        return Err(dialogue.refused(&greeting));
    }
    if !starts_with_word(status, "OK") {
        return Err(dialogue.unexpected(&greeting));
    }
    dialogue.enter(Phase::Capabilities);
    dialogue.send(b"a1 CAPABILITY\r\n").await?;
    let mut offered = false;
    let answer = loop {
        let line = response(dialogue).await?;
        match line.strip_prefix(b"* ") {
            Some(untagged) if starts_with_word(untagged, "CAPABILITY") => {
                offered = untagged
                    .split(|byte| *byte == b' ')
                    .any(|word| word.eq_ignore_ascii_case(b"STARTTLS"));
            }
            Some(untagged) if starts_with_word(untagged, "BYE") => {
                return Err(dialogue.refused(&line));
            }
            Some(_) => {}
            None => break line,
        }
    };
    accepted(dialogue, &answer, b"a1 ")?;
    if !offered {
        return Err(dialogue.not_offered());
    }
    dialogue.enter(Phase::Upgrade);
    dialogue.send(b"a2 STARTTLS\r\n").await?;
    let answer = loop {
        let line = response(dialogue).await?;
        match line.strip_prefix(b"* ") {
            Some(untagged) if starts_with_word(untagged, "BYE") => {
                return Err(dialogue.refused(&line));
            }
            Some(_) => {}
            None => break line,
        }
    };
    accepted(dialogue, &answer, b"a2 ")
}

fn accepted(dialogue: &Dialogue<'_>, line: &[u8], tag: &[u8]) -> Result<(), Refusal> {
    let Some(status) = line.strip_prefix(tag) else {
        return Err(dialogue.unexpected(line));
    };
    if starts_with_word(status, "OK") {
        Ok(())
    } else if starts_with_word(status, "NO") || starts_with_word(status, "BAD") {
        Err(dialogue.refused(line))
    } else {
        Err(dialogue.unexpected(line))
    }
}

/// A response with its literals (RFC 9051 §4.3): a line that ends in `{N}` goes on after N bytes.
pub(super) async fn response(dialogue: &mut Dialogue<'_>) -> Result<Vec<u8>, Refusal> {
    let mut whole = dialogue.line().await?;
    while let Some(length) = literal(&whole) {
        whole.push(b' ');
        whole.extend(dialogue.bytes(length).await?);
        let rest = dialogue.line().await?;
        // The rest alone decides whether another literal follows; the literal's own bytes do not.
        if literal(&rest).is_none() {
            whole.push(b' ');
            whole.extend(rest);
            return Ok(whole);
        }
        whole.push(b' ');
        whole.extend(rest);
    }
    Ok(whole)
}

/// `…{12}`, `…{12+}` (RFC 7888 and ManageSieve), `…~{12}`.
pub(super) fn literal(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = &inner[open + 1..];
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_from_text() {
        assert_eq!(literal(b"* OK {12}"), Some(12));
        assert_eq!(literal(b"\"X\" {3+}"), Some(3));
        for line in ["* OK {}", "* OK {x}", "{12} * OK", "* OK 12}", "{99999999999}"] {
            assert_eq!(literal(line.as_bytes()), None, "{line}");
        }
    }
}
