//! ManageSieve (RFC 5804 §2.2): the capabilities are the greeting.

use super::dialogue::{Dialogue, starts_with_word};
use super::imap::response;
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    dialogue.enter(Phase::Greeting);
    let mut offered = false;
    loop {
        let line = response(dialogue).await?;
        if line.starts_with(b"\"") || line.starts_with(b"{") {
            offered |= is_starttls(&line);
            continue;
        }
        if accepted(dialogue, &line)? {
            break;
        }
    }
    if !offered {
        return Err(dialogue.not_offered());
    }
    dialogue.enter(Phase::Upgrade);
    dialogue.send(b"STARTTLS\r\n").await?;
    let line = response(dialogue).await?;
    accepted(dialogue, &line).map(drop)
}

/// `"STARTTLS"`, or the same as a literal, which arrives here as `{8} STARTTLS`.
fn is_starttls(line: &[u8]) -> bool {
    let name = match line.iter().position(|byte| *byte == b' ') {
        Some(blank) if line.starts_with(b"{") => &line[blank + 1..],
        _ => line.strip_prefix(b"\"").unwrap_or(line),
    };
    starts_with_word(name, "STARTTLS")
}

/// `OK`, else the refusal that `NO`, `BYE` or anything else means.
fn accepted(dialogue: &Dialogue<'_>, line: &[u8]) -> Result<bool, Refusal> {
    if starts_with_word(line, "OK") {
        Ok(true)
    } else if starts_with_word(line, "NO") || starts_with_word(line, "BYE") {
        Err(dialogue.refused(line))
    } else {
        Err(dialogue.unexpected(line))
    }
}
