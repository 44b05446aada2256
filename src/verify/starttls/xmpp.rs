//! XMPP (RFC 6120 §5): clients' and, on port 5269, servers' streams.

use super::dialogue::{Dialogue, LINE};
use super::xml::{Scanned, Token, scan};
use crate::verify::probe::{Phase, Probe};
use crate::verify::refusal::Refusal;

const TLS: &[u8] = b"urn:ietf:params:xml:ns:xmpp-tls";
const STREAMS: &[u8] = b"http://etherx.jabber.org/streams";
const REQUEST: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

pub(super) async fn upgrade(dialogue: &mut Dialogue<'_>, probe: &Probe) -> Result<(), Refusal> {
    dialogue.enter(Phase::Greeting);
    dialogue.send(&header(probe)).await?;
    stream_opened(dialogue).await?;
    dialogue.enter(Phase::Capabilities);
    if !starttls_offered(dialogue).await? {
        return Err(dialogue.not_offered());
    }
    dialogue.enter(Phase::Upgrade);
    dialogue.send(REQUEST).await?;
    let (name, namespace, empty) = opened(dialogue).await?;
    if local(&name) != b"proceed" || namespace != TLS {
        return Err(refusal(dialogue, &name, empty).await);
    }
    if !empty {
        // `<proceed …></proceed>`
        if token(dialogue).await? != Token::Close {
            return Err(dialogue.unexpected_buffer());
        }
    }
    // Blanks between stanzas are keep-alives (RFC 6120 §4.6.1).
    let blanks = dialogue.buffered().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    dialogue.consume(blanks);
    Ok(())
}

fn header(probe: &Probe) -> Vec<u8> {
    let content = if probe.endpoint.port == 5269 { "jabber:server" } else { "jabber:client" };
    let mut to = String::new();
    for c in probe.name().chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '\'' => to.push_str("&apos;"),
            '"' => to.push_str("&quot;"),
            c => to.push(c),
        }
    }
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{content}' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{to}' version='1.0'>"
    )
    .into_bytes()
}

async fn stream_opened(dialogue: &mut Dialogue<'_>) -> Result<(), Refusal> {
    let (name, namespace, empty) = opened(dialogue).await?;
    if local(&name) != b"stream" || namespace != STREAMS || empty {
        return Err(dialogue.unexpected(&name));
    }
    Ok(())
}

/// Reads `<stream:features>` to its end.
async fn starttls_offered(dialogue: &mut Dialogue<'_>) -> Result<bool, Refusal> {
    let (name, _, empty) = opened(dialogue).await?;
    if local(&name) != b"features" {
        return Err(refusal(dialogue, &name, empty).await);
    }
    let mut offered = false;
    let mut depth = u32::from(!empty);
    while depth > 0 {
        match token(dialogue).await? {
            Token::Open { name, namespace, empty } => {
                offered |= depth == 1 && local(&name) == b"starttls" && namespace == TLS;
                depth += u32::from(!empty);
            }
            Token::Close => depth -= 1,
            Token::Text(_) | Token::Declaration => {}
        }
    }
    Ok(offered)
}

/// `<failure/>` and `<stream:error><host-unknown …/><text>…`: the names inside say why.
async fn refusal(dialogue: &mut Dialogue<'_>, name: &[u8], empty: bool) -> Refusal {
    if !matches!(local(name), b"failure" | b"error") {
        return dialogue.unexpected(name);
    }
    let mut reply = local(name).to_vec();
    if !empty {
        // What has arrived is enough; the rest is not waited for.
        while let Scanned::Token(token, taken) = scan(dialogue.buffered()) {
            dialogue.consume(taken);
            let word = match token {
                Token::Open { name, .. } => local(&name).to_vec(),
                Token::Text(text) => text,
                Token::Close | Token::Declaration => continue,
            };
            reply.push(b' ');
            reply.extend(word);
        }
    }
    dialogue.refused(&reply)
}

/// The next opening tag: blanks and the XML declaration may come before it.
async fn opened(dialogue: &mut Dialogue<'_>) -> Result<(Vec<u8>, Vec<u8>, bool), Refusal> {
    loop {
        match token(dialogue).await? {
            Token::Open { name, namespace, empty } => return Ok((name, namespace, empty)),
            Token::Declaration => {}
            Token::Text(text) if text.trim_ascii().is_empty() => {}
            Token::Text(text) => return Err(dialogue.unexpected(&text)),
            Token::Close => return Err(dialogue.unexpected(b"</stream>")),
        }
    }
}

async fn token(dialogue: &mut Dialogue<'_>) -> Result<Token, Refusal> {
    loop {
        match scan(dialogue.buffered()) {
            Scanned::Token(token, taken) => {
                dialogue.consume(taken);
                return Ok(token);
            }
            Scanned::NeedsMore if dialogue.buffered().len() > LINE => {
                return Err(dialogue.endless());
            }
            Scanned::NeedsMore => dialogue.fill().await?,
            Scanned::Malformed => return Err(dialogue.unexpected_buffer()),
        }
    }
}

fn local(name: &[u8]) -> &[u8] {
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}
