//! What `--diff` shows of a file's content. No key is in it, nor what was encrypted.

use crate::model::text::printable;
use similar::TextDiff;

/// Larger files, and those with other bytes than text, are only counted.
pub(crate) const SHOWN: usize = 64 << 10;
/// How much of the difference is shown.
const LIMIT: usize = 16 << 10;

/// The difference of two contents, as unified lines; nothing where they are the same.
pub(crate) fn difference(path: &str, before: &[u8], after: &[u8], secret: bool) -> Option<String> {
    if before == after {
        return None;
    }
    let path = printable(path.as_bytes(), 500);
    let hidden =
        |why: &str| Some(format!("{path}: {} bytes → {} bytes ({why})", before.len(), after.len()));
    if secret {
        return hidden("not shown: it was encrypted");
    }
    if holds_key(before) || holds_key(after) {
        return hidden("not shown: a private key is in it");
    }
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text: &&str| !text.contains('\0'));
    let (Some(old), Some(new)) = (text(before), text(after)) else {
        return hidden("not shown: not text");
    };
    if before.len() > SHOWN || after.len() > SHOWN {
        return hidden("not shown: too long");
    }
    let lines = TextDiff::from_lines(old, new);
    let shown = lines.unified_diff().context_radius(3).header(&path, &path).to_string();
    let cut = shown.len() > LIMIT;
    let kept: String = shown.chars().take(LIMIT).collect();
    let shown = printable(kept.as_bytes(), LIMIT * 4).trim_end().to_owned();
    Some(if cut { format!("{shown}\n[…]") } else { shown })
}

/// PEM is what keys are written in; a key in another form is no text.
fn holds_key(bytes: &[u8]) -> bool {
    let mark = b"PRIVATE KEY";
    bytes.windows(mark.len()).any(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_and_keys_are_not() {
        let shown = difference("/etc/x", b"a\nb\nc\n", b"a\nB\nc\n", false).unwrap();
        assert_eq!(shown, "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c");
        assert_eq!(difference("/etc/x", b"a", b"a", false), None);
        let key = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n";
        for (before, after) in [(&key[..], &b""[..]), (b"", key)] {
            let shown = difference("/k", before, after, false).unwrap();
            assert!(!shown.contains("MHcC") && shown.contains("a private key"), "{shown}");
        }
        let shown = difference("/v", b"x", b"hunter2", true).unwrap();
        assert_eq!(shown, "/v: 1 bytes → 7 bytes (not shown: it was encrypted)");
        assert!(difference("/b", b"\xff", b"x", false).unwrap().ends_with("(not shown: not text)"));
    }
}
