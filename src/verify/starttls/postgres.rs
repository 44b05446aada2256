//! PostgreSQL: SSLRequest, answered by one byte (protocol documentation, "SSL Session Encryption").

use super::dialogue::Dialogue;
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

/// Length 8, then 1234 and 5679 in place of a protocol version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    dialogue.enter(Phase::Upgrade);
    dialogue.send(&SSL_REQUEST).await?;
    let answer = dialogue.bytes(1).await?;
    match answer.as_slice() {
        // Exactly one byte: what waits behind it is an injection (CVE-2021-23222).
        b"S" => Ok(()),
        b"N" => Err(dialogue.not_offered()),
        // An ErrorResponse, of a server that could not start a process or is older than SSL.
        b"E" => Err(dialogue.refused(&error_text(dialogue.buffered()))),
        _ => {
            // Enough to tell a TLS alert and other greetings.
            let mut reply = answer;
            reply.extend_from_slice(dialogue.buffered());
            Err(dialogue.unexpected(&reply))
        }
    }
}

/// SQLSTATE and message of `E` length (field-type text NUL)…, as far as it has arrived; the rest is
/// not waited for.
fn error_text(buffered: &[u8]) -> Vec<u8> {
    let fields = match buffered {
        [0, _, _, _, fields @ ..] => fields,
        text => text,
    };
    let field = |kind: u8| fields.split(|byte| *byte == 0).find_map(|f| f.strip_prefix(&[kind]));
    match (field(b'C'), field(b'M')) {
        (Some(code), Some(message)) => [code, b" ", message].concat(),
        _ => fields.to_vec(),
    }
}
