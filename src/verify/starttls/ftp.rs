//! FTP: `AUTH TLS` on the control connection (RFC 4217 §4, RFC 959 §4.2).

use super::dialogue::Dialogue;
use super::smtp::{Reply, code_of};
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    dialogue.enter(Phase::Greeting);
    // 120 "ready in nnn minutes" promises a second reply (RFC 959 §5.4).
    let mut greeting = reply(dialogue).await?;
    while greeting.code == 120 {
        greeting = reply(dialogue).await?;
    }
    if greeting.code != 220 {
        return Err(dialogue.refused(&greeting.text()));
    }
    dialogue.enter(Phase::Upgrade);
    dialogue.send(b"AUTH TLS\r\n").await?;
    let consent = reply(dialogue).await?;
    match consent.code {
        234 => Ok(()),
        // Unknown or unimplemented command.
        500 | 502 => Err(dialogue.not_offered()),
        _ => Err(dialogue.refused(&consent.text())),
    }
}

/// `220-first`, then lines of any form, until a line with the same code and a blank.
async fn reply(dialogue: &mut Dialogue<'_>) -> Result<Reply, Refusal> {
    let first = dialogue.line().await?;
    let code = code_of(&first).ok_or_else(|| dialogue.unexpected(&first))?;
    let mut reply = Reply { code, lines: vec![first.get(4..).unwrap_or_default().to_vec()] };
    match first.get(3) {
        None | Some(b' ') => return Ok(reply),
        Some(b'-') => {}
        Some(_) => return Err(dialogue.unexpected(&first)),
    }
    loop {
        let line = dialogue.line().await?;
        let last = code_of(&line) == Some(code) && matches!(line.get(3), None | Some(b' '));
        reply.lines.push(if last { line.get(4..).unwrap_or_default().to_vec() } else { line });
        if last {
            return Ok(reply);
        }
    }
}
