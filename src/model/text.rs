//! Making untrusted bytes safe to show.

/// Bytes from a host as text that is safe for a terminal and a log.
///
/// Invalid UTF-8 becomes U+FFFD. Control characters other than newline and tab
/// (C0, DEL, C1) and bidirectional overrides are dropped, so no escape sequence survives. Carriage
/// returns end a line. At most the last `limit` bytes are kept. What looks like the body of a key is
/// withheld: a check that prints the file it was given must not print it here.
pub(crate) fn printable(bytes: &[u8], limit: usize) -> String {
    // A cut may make a key unrecognisable: so it comes last.
    let text = readable(&bytes[bytes.len().saturating_sub(limit.saturating_add(MARGIN))..]);
    let text = withhold_keys(text);
    let mut from = text.len().saturating_sub(limit);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

/// Bytes looked at before the first that is shown: more than the longest private key in PEM (RSA 16384).
const MARGIN: usize = 16 * 1024;

fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .replace("\r\n", "\n")
        .chars()
        .map(|c| if c == '\r' { '\n' } else { c })
        .filter(|c| *c == '\n' || *c == '\t' || !(c.is_control() || is_bidi_control(*c)))
        .collect()
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What stands in place of a key.
const WITHHELD: &str = "[withheld]";
/// Lines of PEM have 64 characters (RFC 7468 §2).
const PEM_LINE: usize = 60;

/// `: TEXT`, or nothing where there is no text.
pub(crate) fn after_colon(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Replaces private key blocks, and everything that could be a part of one: long runs of base64 and the
/// shorter lines of base64 around them, for an output may be cut in the middle of a key.
pub(crate) fn withhold_keys(text: String) -> String {
    if !may_hold_a_key(&text) {
        return text;
    }
    let hidden = withheld_lines(&text);
    let shown = text.split('\n').zip(hidden).map(|(line, hide)| if hide { WITHHELD } else { line });
    shown.collect::<Vec<_>>().join("\n")
}

fn may_hold_a_key(text: &str) -> bool {
    text.contains(PRIVATE_KEY) || longest_run(text) >= PEM_LINE
}

const PRIVATE_KEY: &str = "PRIVATE KEY";
const DASHES: &str = "-----";

/// Which lines of a text hold a part of a private key, or could: see [`withhold_keys`].
pub(crate) fn withheld_lines(text: &str) -> Vec<bool> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut hidden = vec![false; lines.len()];
    if !may_hold_a_key(text) {
        return hidden;
    }
    let mut inside = false;
    for (line, hide) in lines.iter().zip(&mut hidden) {
        let marked = line.contains(PRIVATE_KEY);
        let begins = marked && line.contains("-----BEGIN");
        let ends = line.contains("-----END");
        *hide = inside && !ends
            || longest_run(line) >= PEM_LINE
            || marked && line.contains(DASHES) && !is_bare_marker(line);
        inside = (inside || begins) && !ends;
    }
    // The beginning of the block may be cut off.
    for at in 1..lines.len() {
        let ends = lines[at].contains("-----END") && lines[at].contains(PRIVATE_KEY);
        hidden[at - 1] |= ends && is_base64(lines[at - 1]);
    }
    let spread = |hidden: &mut [bool], at: usize, from: usize| {
        if hidden[from] && is_base64(lines[at]) {
            hidden[at] = true;
        }
    };
    (1..lines.len()).for_each(|at| spread(&mut hidden, at, at - 1));
    (1..lines.len()).rev().for_each(|at| spread(&mut hidden, at - 1, at));
    hidden
}

/// Whether a line that mentions a private key has nothing but words beside its marker: a body that lost
/// its line ends stands on the marker's own line.
fn is_bare_marker(line: &str) -> bool {
    let Some(begin) = line.find("-----BEGIN ").or_else(|| line.find("-----END ")) else {
        return true;
    };
    let marker = line[begin..].trim_start_matches('-');
    marker.split_once(DASHES).is_none_or(|(_, rest)| {
        let is_word =
            |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || ",.;:)'".contains(c));
        // Words of a sentence about the marker, or a quote's end.
        rest.split_whitespace().all(is_word)
    })
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
pub(crate) fn plural(count: usize, noun: &str) -> String {
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
        // Both what is cut here and what the host had cut before.
        for at in 1..KEY.len() {
            let text = format!("before\n{KEY}after 1\n");
            for shown in [
                printable(text.as_bytes(), at),
                printable(&text.as_bytes()[text.len() - at.max(60)..], 500),
            ] {
                for line in KEY.lines().filter(|line| !line.starts_with("---")) {
                    for end in [line, &line[line.len() - 20..]] {
                        assert!(!shown.contains(end), "{at}: {shown}");
                    }
                }
            }
        }
        let bare = KEY.lines().nth(1).unwrap();
        assert_eq!(printable(format!("bad line {bare} given").as_bytes(), 500), "[withheld]");
    }

    #[test]
    fn a_key_that_lost_its_line_ends_is_withheld_however_it_is_wrapped() {
        let body: String = KEY.lines().filter(|line| !line.starts_with("---")).collect();
        for width in [16, 40, 48, 64, 1000] {
            for separator in [" ", "", "\\n", "\r", "\t"] {
                let chunks: Vec<&str> = body
                    .as_bytes()
                    .chunks(width)
                    .map(|c| std::str::from_utf8(c).unwrap())
                    .collect();
                let flat = format!(
                    "key: '-----BEGIN PRIVATE KEY-----{separator}{}{separator}-----END PRIVATE KEY-----'",
                    chunks.join(separator)
                );
                for limit in [30, 64, 100, 500] {
                    let shown = printable(format!("before\n{flat}\nafter 1\n").as_bytes(), limit);
                    let leaks = chunks.iter().any(|chunk| shown.contains(chunk));
                    assert!(
                        !leaks && shown.ends_with("after 1\n"),
                        "{width} {separator:?}: {shown}"
                    );
                }
            }
        }
        let words = "put it between '-----BEGIN PRIVATE KEY-----' and the end";
        assert_eq!(printable(words.as_bytes(), 500), words);
    }

    #[test]
    fn digests_and_paths_are_shown() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let path = "/etc/ssl/certs/a-long-directory/with/several/parts/in/it/certificate.pem";
        let text = format!("{digest}\n{path}\nok\n");
        assert_eq!(printable(text.as_bytes(), 500), text);
    }
}
