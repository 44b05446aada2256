//! SMTP (RFC 5321, RFC 3207) and LMTP (RFC 2033), which differs in one word. The reply format with
//! its three digits is FTP's too.

use super::dialogue::{Dialogue, starts_with_word};
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

/// The name that we give: `.invalid` belongs to nobody (RFC 6761 §6.4), and no mail follows.
const NAME: &str = "certroll.invalid";

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>, hello: &str) -> Result<(), Refusal> {
    dialogue.enter(Phase::Greeting);
    let greeting = reply(dialogue).await?;
    if greeting.code != 220 {
        return Err(dialogue.refused(&greeting.text()));
    }
    dialogue.enter(Phase::Capabilities);
    dialogue.send(format!("{hello} {NAME}\r\n").as_bytes()).await?;
    let capabilities = reply(dialogue).await?;
    if capabilities.code != 250 {
        return Err(dialogue.refused(&capabilities.text()));
    }
    // The first line is the server's name.
    if !capabilities.lines.iter().skip(1).any(|line| starts_with_word(line, "STARTTLS")) {
        return Err(dialogue.not_offered());
    }
    dialogue.enter(Phase::Upgrade);
    dialogue.send(b"STARTTLS\r\n").await?;
    let consent = reply(dialogue).await?;
    if consent.code != 220 {
        return Err(dialogue.refused(&consent.text()));
    }
    Ok(())
}

/// A reply of one or more lines, without codes.
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<Vec<u8>>,
}

impl Reply {
    /// The code and what was said with it, in one line.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = format!("{} ", self.code).into_bytes();
        text.extend_from_slice(&self.lines.join(&b' '));
        text
    }
}

/// `250-first`, `250-next`, `250 last` (RFC 5321 §4.2.1): every line has the code.
pub(super) async fn reply(dialogue: &mut Dialogue<'_>) -> Result<Reply, Refusal> {
    let mut reply = Reply { code: 0, lines: Vec::new() };
    loop {
        let line = dialogue.line().await?;
        let code = code_of(&line).ok_or_else(|| dialogue.unexpected(&line))?;
        if !reply.lines.is_empty() && code != reply.code {
            return Err(dialogue.unexpected(&line));
        }
        reply.code = code;
        reply.lines.push(line.get(4..).unwrap_or_default().to_vec());
        match line.get(3) {
            Some(b'-') => {}
            Some(b' ') | None => return Ok(reply),
            Some(_) => return Err(dialogue.unexpected(&line)),
        }
    }
}

pub(super) fn code_of(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
