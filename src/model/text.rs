//! Making untrusted bytes safe to show.

/// Bytes from a host as text that is safe for a terminal and a log.
///
/// Invalid UTF-8 becomes U+FFFD. Control characters other than newline and tab
/// (C0, DEL, C1) and bidirectional overrides are dropped, so no escape sequence survives. Carriage
/// returns end a line. At most the last `limit` bytes are kept. What looks like the body of a key is
/// withheld: a check that prints the file it was given must not print it here.
pub fn printable(bytes: &[u8], limit: usize) -> String {
    let tail = &bytes[bytes.len().saturating_sub(limit)..];
    let text: String = String::from_utf8_lossy(tail)
        .replace("\r\n", "\n")
        .chars()
        .map(|c| if c == '\r' { '\n' } else { c })
        .filter(|c| *c == '\n' || *c == '\t' || !(c.is_control() || is_bidi_control(*c)))
        .collect();
    withhold_keys(text)
}

/// What stands in place of a key.
const WITHHELD: &str = "[withheld]";
/// Lines of PEM have 64 characters (RFC 7468 §2).
const PEM_LINE: usize = 60;

/// `: TEXT`, or nothing where there is no text.
pub fn after_colon(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Replaces private key blocks, and everything that could be a part of one: long runs of base64 and the
/// shorter lines of base64 around them, for an output may be cut in the middle of a key.
fn withhold_keys(text: String) -> String {
    if !text.contains("PRIVATE KEY") && longest_run(&text) < PEM_LINE {
        return text;
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let mut hidden = vec![false; lines.len()];
    let mut inside = false;
    for (line, hide) in lines.iter().zip(&mut hidden) {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        *hide = inside && !line.contains("-----END") || longest_run(line) >= PEM_LINE;
        inside = (inside || begins) && !line.contains("-----END");
    }
    // The beginning of the block may be cut off.
    for at in 1..lines.len() {
        let ends = lines[at].contains("-----END") && lines[at].contains("PRIVATE KEY");
        hidden[at - 1] |= ends && is_base64(lines[at - 1]);
    }
    let spread = |hidden: &mut [bool], at: usize, from: usize| {
        if hidden[from] && is_base64(lines[at]) {
            hidden[at] = true;
        }
    };
    (1..lines.len()).for_each(|at| spread(&mut hidden, at, at - 1));
    (1..lines.len()).rev().for_each(|at| spread(&mut hidden, at - 1, at));
    let shown = lines.iter().zip(&hidden).map(|(line, hide)| if *hide { WITHHELD } else { *line });
    shown.collect::<Vec<_>>().join("\n")
}

fn is_base64_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

fn is_base64(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.chars().all(is_base64_char)
}

/// Length of the longest run of base64 that is no hexadecimal digest and no path.
fn longest_run(text: &str) -> usize {
    text.split(|c| !is_base64_char(c))
        .filter(|run| {
            let any = |is: fn(&u8) -> bool| run.bytes().any(|byte| is(&byte));
            any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit)
        })
        .map(str::len)
        .max()
        .unwrap_or(0)
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

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n\
        OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n\
        1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_withheld_wherever_the_output_was_cut() {
        for limit in 1..KEY.len() {
            let shown = printable(format!("before\n{KEY}after 1\n").as_bytes(), limit);
            for line in KEY.lines().filter(|line| !line.starts_with("---")) {
                for end in [line, &line[line.len() - 20..]] {
                    assert!(limit < 40 || !shown.contains(end), "{limit}: {shown}");
                }
            }
        }
        let bare = KEY.lines().nth(1).unwrap();
        assert_eq!(printable(format!("bad line {bare} given").as_bytes(), 500), "[withheld]");
    }

    #[test]
    fn digests_and_paths_are_shown() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let path = "/etc/ssl/certs/a-long-directory/with/several/parts/in/it/certificate.pem";
        let text = format!("{digest}\n{path}\nok\n");
        assert_eq!(printable(text.as_bytes(), 500), text);
    }
}
