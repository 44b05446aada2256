//! LDAP: the StartTLS extended operation (RFC 4511 §4.14), in the little BER that it needs.

use super::dialogue::{Dialogue, LINE};
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

/// `LDAPMessage { 1, [APPLICATION 23] { [0] "1.3.6.1.4.1.1466.20037" } }`
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    dialogue.enter(Phase::Upgrade);
    dialogue.send(REQUEST).await?;
    let message = message(dialogue).await?;
    let Some(response) = parse(&message) else {
        return Err(dialogue.unexpected(&message));
    };
    match response.code {
        0 if response.id == 1 => Ok(()),
        0 => Err(dialogue.unexpected(&message)),
        code => {
            let mut reply = format!("result {code} ({})", result_name(code)).into_bytes();
            if !response.text.is_empty() {
                reply.extend_from_slice(b": ");
                reply.extend_from_slice(response.text);
            }
            Err(dialogue.refused(&reply))
        }
    }
}

/// One LDAPMessage with its header.
async fn message(dialogue: &mut Dialogue<'_>) -> Result<Vec<u8>, Refusal> {
    loop {
        match header(dialogue.buffered()) {
            Some(Ok((start, length))) if length <= LINE => {
                return dialogue.bytes(start + length).await;
            }
            Some(Ok(_)) => return Err(dialogue.endless()),
            Some(Err(NotLdap)) => return Err(dialogue.unexpected_buffer()),
            None => dialogue.fill().await?,
        }
    }
}

struct NotLdap;

/// Where the content starts and how long it is; `None` when more bytes are needed.
fn header(bytes: &[u8]) -> Option<Result<(usize, usize), NotLdap>> {
    if *bytes.first()? != 0x30 {
        return Some(Err(NotLdap));
    }
    match *bytes.get(1)? {
        short if short < 0x80 => Some(Ok((2, usize::from(short)))),
        // Up to four bytes of length; the indefinite form is not allowed (RFC 4511 §5.1).
        long @ 0x81..=0x84 => {
            let count = usize::from(long - 0x80);
            let digits = bytes.get(2..2 + count)?;
            let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            Some(Ok((2 + count, length)))
        }
        _ => Some(Err(NotLdap)),
    }
}

struct Response<'a> {
    id: u8,
    code: u8,
    text: &'a [u8],
}

/// `SEQUENCE { messageID, [APPLICATION 24] { resultCode, matchedDN, diagnosticMessage, … } }`. A
/// notice of disconnection is one as well, with message 0 (§4.4.1).
fn parse(message: &[u8]) -> Option<Response<'_>> {
    let (0x30, content, _) = element(message)? else { return None };
    let (0x02, id, rest) = element(content)? else { return None };
    let (0x78, operation, _) = element(rest)? else { return None };
    let (0x0a, code, rest) = element(operation)? else { return None };
    let (0x04, _, rest) = element(rest)? else { return None };
    let (0x04, text, _) = element(rest)? else { return None };
    let ([id], [code]) = (id, code) else { return None };
    Some(Response { id: *id, code: *code, text })
}

/// Tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let tag = *bytes.first()?;
    let (start, length) = match *bytes.get(1)? {
        short if short < 0x80 => (2, usize::from(short)),
        long @ 0x81..=0x84 => {
            let count = usize::from(long - 0x80);
            let digits = bytes.get(2..2 + count)?;
            (2 + count, digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))
        }
        _ => return None,
    };
    let end = start.checked_add(length)?;
    Some((tag, bytes.get(start..end)?, bytes.get(end..)?))
}

fn result_name(code: u8) -> &'static str {
    match code {
        1 => "operations error",
        2 => "protocol error",
        8 => "stronger authentication required",
        13 => "confidentiality required",
        51 => "busy",
        52 => "unavailable",
        53 => "unwilling to perform",
        80 => "other",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lengths_in_the_request_are_right() {
        assert!(matches!(header(REQUEST), Some(Ok((2, length))) if length + 2 == REQUEST.len()));
    }

    #[test]
    fn replies_are_read() {
        let consent = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert!(parse(consent).is_some_and(|r| r.id == 1 && r.code == 0 && r.text.is_empty()));
        // Active Directory writes every length in four bytes.
        let long = b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x34\x04\x00\x04\x00";
        assert!(parse(long).is_some_and(|r| r.code == 52));
        assert!(parse(&consent[..10]).is_none());
        assert!(parse(b"\x30\x84\xff\xff\xff\xff").is_none());
    }
}
