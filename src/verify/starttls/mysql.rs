//! MySQL and MariaDB: SSLRequest after the server's greeting (protocol documentation, "Protocol::SSLRequest").

use super::dialogue::{Dialogue, LINE};
use crate::verify::probe::Phase;
use crate::verify::refusal::Refusal;

const CLIENT_PROTOCOL_41: u32 = 0x200;
const CLIENT_SSL: u32 = 0x800;
const CLIENT_SECURE_CONNECTION: u32 = 0x8000;
/// 16 MiB, what the clients say; no packet of that size ever comes.
const MAX_PACKET: u32 = 0x0100_0000;
/// `utf8mb4_general_ci`, known to all versions.
const CHARSET: u8 = 45;

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    dialogue.enter(Phase::Greeting);
    let header = dialogue.bytes(4).await?;
    let length =
        usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
    // A greeting has some 80 bytes and sequence number 0: everything else is another protocol.
    if length == 0 || length > LINE || header[3] != 0 {
        let mut reply = header;
        reply.extend_from_slice(dialogue.buffered());
        return Err(dialogue.unexpected(&reply));
    }
    let packet = dialogue.bytes(length).await?;
    match packet.first() {
        Some(10) => {}
        // Error: code (2 bytes), then text.
        Some(0xff) => {
            let code = u16::from_le_bytes([
                packet.get(1).copied().unwrap_or(0),
                packet.get(2).copied().unwrap_or(0),
            ]);
            let mut reply = format!("error {code}: ").into_bytes();
            reply.extend_from_slice(packet.get(3..).unwrap_or_default());
            return Err(dialogue.refused(&reply));
        }
        _ => return Err(dialogue.unexpected(&packet)),
    }
    let capabilities = lower_capabilities(&packet).ok_or_else(|| dialogue.unexpected(&packet))?;
    if u32::from(capabilities) & CLIENT_SSL == 0 {
        return Err(dialogue.not_offered());
    }
    dialogue.enter(Phase::Upgrade);
    // The server says nothing to this: what is buffered now came before we asked.
    dialogue.end()?;
    dialogue.send(&ssl_request()).await
}

/// version, server version NUL, thread 4, salt 8, filler 1, capabilities 2, …
fn lower_capabilities(packet: &[u8]) -> Option<u16> {
    let version_end = packet.get(1..)?.iter().position(|byte| *byte == 0)? + 1;
    let at = version_end + 1 + 4 + 8 + 1;
    Some(u16::from_le_bytes([*packet.get(at)?, *packet.get(at + 1)?]))
}

fn ssl_request() -> Vec<u8> {
    let mut packet = vec![32, 0, 0, 1];
    let capabilities = CLIENT_PROTOCOL_41 | CLIENT_SSL | CLIENT_SECURE_CONNECTION;
    packet.extend_from_slice(&capabilities.to_le_bytes());
    packet.extend_from_slice(&MAX_PACKET.to_le_bytes());
    packet.push(CHARSET);
    packet.extend_from_slice(&[0; 23]);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_documented() {
        let packet = ssl_request();
        assert_eq!(packet.len(), 36);
        assert_eq!(packet[..8], [0x20, 0, 0, 1, 0x00, 0x8a, 0, 0]);
    }

    #[test]
    fn capabilities_are_found_behind_the_version() {
        let mut packet = b"\x0a5.5.5-10.11.6-MariaDB\0\x01\0\0\0saltsalt\0".to_vec();
        packet.extend_from_slice(&[0xfe, 0xff, 45]);
        assert_eq!(lower_capabilities(&packet), Some(0xfffe));
        assert_eq!(lower_capabilities(b"\x0a5.5"), None);
    }
}
