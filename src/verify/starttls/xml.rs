//! A pull scanner for the little XML that XMPP allows (RFC 6120 §11.1: no comments, no processing
//! instructions, no DTD, five entities). It works on what has arrived and asks for more.

/// A piece of the stream. Prefixes stay part of names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `<?xml …?>`
    Declaration,
    /// `<name …>` or `<name …/>`
    Open { name: Vec<u8>, namespace: Vec<u8>, empty: bool },
    /// `</name>`
    Close,
    /// Character data, as sent.
    Text(Vec<u8>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// A token and the bytes that it took.
    Token(Token, usize),
    /// The buffer ends within a token.
    NeedsMore,
    /// Not XML, or more of it than XMPP allows.
    Malformed,
}

/// The next token at the start of `bytes`.
pub(super) fn scan(bytes: &[u8]) -> Scanned {
    match bytes.first() {
        None => Scanned::NeedsMore,
        Some(b'<') => markup(bytes),
        Some(_) => {
            let end = bytes.iter().position(|byte| *byte == b'<').unwrap_or(bytes.len());
            Scanned::Token(Token::Text(bytes[..end].to_vec()), end)
        }
    }
}

fn markup(bytes: &[u8]) -> Scanned {
    match bytes.get(1) {
        None => Scanned::NeedsMore,
        Some(b'!') => Scanned::Malformed,
        Some(b'?') => match bytes.windows(2).position(|pair| pair == b"?>") {
            Some(at) if bytes.starts_with(b"<?xml") => Scanned::Token(Token::Declaration, at + 2),
            Some(_) => Scanned::Malformed,
            None => Scanned::NeedsMore,
        },
        Some(b'/') => match bytes.iter().position(|byte| *byte == b'>') {
            Some(at) => Scanned::Token(Token::Close, at + 1),
            None => Scanned::NeedsMore,
        },
        Some(_) => open(bytes),
    }
}

/// `<name a='v' b="v">`: the end is the first `>` outside quotes.
fn open(bytes: &[u8]) -> Scanned {
    let mut quote = None;
    let mut end = None;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'>') => {
                end = Some(at);
                break;
            }
            // Neither in a tag nor in an attribute's value.
            (_, b'<') => return Scanned::Malformed,
            _ => {}
        }
    }
    let Some(end) = end else { return Scanned::NeedsMore };
    let inner = &bytes[1..end];
    let (inner, empty) = match inner.strip_suffix(b"/") {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let length = inner.iter().position(u8::is_ascii_whitespace).unwrap_or(inner.len());
    let (name, attributes) = inner.split_at(length);
    if !is_name(name) {
        return Scanned::Malformed;
    }
    let Some(namespace) = namespace_of(name, attributes) else { return Scanned::Malformed };
    Scanned::Token(Token::Open { name: name.to_vec(), namespace, empty }, end + 1)
}

fn is_name(name: &[u8]) -> bool {
    let first = name
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_' || *byte >= 0x80);
    first
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte) || *byte >= 0x80)
}

/// The value of `xmlns`, or of `xmlns:PREFIX` for a prefixed name; empty when the tag has none.
/// `None` for attributes that are none.
fn namespace_of(name: &[u8], mut attributes: &[u8]) -> Option<Vec<u8>> {
    let wanted = match name.iter().position(|byte| *byte == b':') {
        Some(colon) => [b"xmlns:", &name[..colon]].concat(),
        None => b"xmlns".to_vec(),
    };
    let mut namespace = Vec::new();
    loop {
        attributes = attributes.trim_ascii_start();
        if attributes.is_empty() {
            return Some(namespace);
        }
        let equals = attributes.iter().position(|byte| *byte == b'=')?;
        let key = attributes[..equals].trim_ascii_end();
        let value = attributes[equals + 1..].trim_ascii_start();
        let quote = value.first().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let length = value[1..].iter().position(|byte| byte == quote)?;
        if !is_name(key) {
            return None;
        }
        if key == wanted {
            namespace = value[1..=length].to_vec();
        }
        attributes = &value[length + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(mut bytes: &[u8]) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Scanned::Token(token, taken) = scan(bytes) {
            tokens.push(token);
            bytes = &bytes[taken..];
        }
        tokens
    }

    fn opened(name: &str, namespace: &str, empty: bool) -> Token {
        Token::Open { name: name.into(), namespace: namespace.into(), empty }
    }

    #[test]
    fn a_stream_header_and_features() {
        let text = b"<?xml version='1.0'?><stream:stream id='a>b' xmlns:stream=\"urn:s\" xmlns='jabber:client'>\
            <stream:features><starttls xmlns='urn:t'><required/></starttls></stream:features>";
        assert_eq!(
            tokens(text),
            [
                Token::Declaration,
                opened("stream:stream", "urn:s", false),
                opened("stream:features", "", false),
                opened("starttls", "urn:t", false),
                opened("required", "", true),
                Token::Close,
                Token::Close,
            ]
        );
    }

    #[test]
    fn every_cut_needs_more_and_nothing_else() {
        let text = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        for cut in 0..text.len() {
            assert_eq!(scan(&text[..cut]), Scanned::NeedsMore, "{cut}");
        }
        assert!(matches!(scan(text), Scanned::Token(_, taken) if taken == text.len()));
    }

    #[test]
    fn what_xmpp_forbids_is_malformed() {
        for text in
            ["<!DOCTYPE x>", "<!-- c -->", "<?php x?>", "< a>", "<a b>", "<a b=c>", "<a <b>"]
        {
            assert_eq!(scan(text.as_bytes()), Scanned::Malformed, "{text}");
        }
    }
}
