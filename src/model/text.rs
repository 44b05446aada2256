//! Making untrusted bytes safe to show.

/// Bytes from a host as text that is safe for a terminal and a log.
///
/// Invalid UTF-8 becomes U+FFFD. Control characters other than newline and tab
/// (C0, DEL, C1) and bidirectional overrides are dropped, so no escape sequence survives. Carriage
/// returns end a line. At most the last `limit` bytes are kept.
pub fn printable(bytes: &[u8], limit: usize) -> String {
    let tail = &bytes[bytes.len().saturating_sub(limit)..];
    String::from_utf8_lossy(tail)
        .replace("\r\n", "\n")
        .chars()
        .map(|c| if c == '\r' { '\n' } else { c })
        .filter(|c| *c == '\n' || *c == '\t' || !(c.is_control() || is_bidi_control(*c)))
        .collect()
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1 host`, `2 hosts`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_survive() {
        assert_eq!(
            printable(b"\x1b[31mred\x1b[0m\x07 \xff ok\r\nnext", 100),
            "[31mred[0m \u{fffd} ok\nnext"
        );
        assert_eq!(printable("a\u{202e}b\u{9b}1mc".as_bytes(), 100), "ab1mc");
        assert_eq!(printable(b"0123456789", 4), "6789");
    }
}
