//! POP3: `STLS` (RFC 2595 §4), after `CAPA` (RFC 2449), which old servers do not know.

use super::dialogue::{Dialogue, starts_with_word};
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    dialogue.enter(Phase::Greeting);
    if let Status::No(line) = status(dialogue).await? {
        return Err(dialogue.refused(&line));
    }
    dialogue.enter(Phase::Capabilities);
    dialogue.send(b"CAPA\r\n").await?;
    if let Status::Yes = status(dialogue).await? {
        let mut offered = false;
        loop {
            let line = dialogue.line().await?;
            if line == b"." {
                break;
            }
            offered |= starts_with_word(&line, "STLS");
        }
        if !offered {
            return Err(dialogue.not_offered());
        }
    }
    dialogue.enter(Phase::Upgrade);
    dialogue.send(b"STLS\r\n").await?;
    match status(dialogue).await? {
        Status::Yes => Ok(()),
        Status::No(line) => Err(dialogue.refused(&line)),
    }
}

enum Status {
    Yes,
    No(Vec<u8>),
}

async fn status(dialogue: &mut Dialogue<'_>) -> Result<Status, Refusal> {
    let line = dialogue.line().await?;
    if starts_with_word(&line, "+OK") {
        Ok(Status::Yes)
    } else if starts_with_word(&line, "-ERR") {
        Ok(Status::No(line))
    } else {
        Err(dialogue.unexpected(&line))
    }
}
