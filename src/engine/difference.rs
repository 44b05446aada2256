//! What `--diff` shows of a file's content. No key is in it, nor what was encrypted.

use crate::model::text::printable;
use crate::template::Opened;
use similar::{ChangeTag, TextDiff};

/// Larger files, and those with other bytes than text, are only counted.
pub(crate) const SHOWN: usize = 64 << 10;
/// How much of the difference is shown.
const LIMIT: usize = 16 << 10;

/// The difference of two contents, as unified lines; nothing where they are the same.
/// Lines that hold a value of a vault are hidden, and so is whatever was in such a file before: it may be the value of
/// yesterday. `secret`: no line is shown at all.
pub(crate) fn difference(
    path: &str,
    before: &[u8],
    after: &[u8],
    secret: bool,
    opened: &Opened,
) -> Option<String> {
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
    let shown = unified(&path, old, new, opened);
    let cut = shown.len() > LIMIT;
    let kept: String = shown.chars().take(LIMIT).collect();
    let shown = printable(kept.as_bytes(), LIMIT * 4).trim_end().to_owned();
    Some(if cut { format!("{shown}\n[…]") } else { shown })
}

const HIDDEN: &str = "[hidden: a value out of a vault]";

fn unified(path: &str, old: &str, new: &str, opened: &Opened) -> String {
    let lines = TextDiff::from_lines(old, new);
    let has_secret = old.lines().chain(new.lines()).any(|line| opened.is_in(line));
    if !has_secret {
        return lines.unified_diff().context_radius(3).header(path, path).to_string();
    }
    let mut text = format!("--- {path}\n+++ {path}\n");
    for hunk in lines.unified_diff().context_radius(3).iter_hunks() {
        text.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches('\n');
            let is_hidden = change.tag() == ChangeTag::Delete || opened.is_in(line);
            text.push_str(&format!("{}{}\n", change.tag(), if is_hidden { HIDDEN } else { line }));
        }
    }
    text
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
        let none = Opened::default();
        let shown = difference("/etc/x", b"a\nb\nc\n", b"a\nB\nc\n", false, &none).unwrap();
        assert_eq!(shown, "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c");
        assert_eq!(difference("/etc/x", b"a", b"a", false, &none), None);
        let key = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n";
        for (before, after) in [(&key[..], &b""[..]), (b"", key)] {
            let shown = difference("/k", before, after, false, &none).unwrap();
            assert!(!shown.contains("MHcC") && shown.contains("a private key"), "{shown}");
        }
        let shown = difference("/v", b"x", b"hunter2", true, &none).unwrap();
        assert_eq!(shown, "/v: 1 bytes → 7 bytes (not shown: it was encrypted)");
        assert!(
            difference("/b", b"\xff", b"x", false, &none)
                .unwrap()
                .ends_with("(not shown: not text)")
        );
    }

    #[test]
    fn values_of_a_vault_are_hidden_and_so_is_what_they_replace() {
        use crate::source::{Node, SourceFile, Span, Value, Vars};
        use crate::template::{Scope, Templates};
        use std::sync::Arc;
        let decrypt: crate::template::Decrypt = Arc::new(|_| Ok("hunter3".to_owned()));
        let templates = Templates::new(std::path::PathBuf::from("."), decrypt);
        let file = Arc::new(SourceFile {
            name: "vault.yml".into(),
            text: "user: shopadmin\n".into(),
            secret: true,
        });
        let user =
            Node { value: Value::Text("shopadmin".into()), span: Some(Span::at(&file, 1, 7)) };
        let vars = Vars::from([
            ("user".to_owned(), user),
            ("password".to_owned(), Node::made(Value::Vault("armour".into()))),
        ]);
        let scope = Scope::new(templates, vec![Arc::new(vars)]);
        let template = "user = {{ user }}\npassword = {{ password }}\nport = 2\n";
        let new = scope.text(&Node::made(Value::Text(template.into()))).unwrap();
        let old = "user = shopadmin\npassword = hunter2\nport = 1\n";

        let shown =
            difference("/etc/x", old.as_bytes(), new.as_bytes(), false, &scope.opened()).unwrap();

        let hidden = HIDDEN;
        assert_eq!(
            shown,
            format!(
                "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n {hidden}\n-{hidden}\n-{hidden}\n+{hidden}\n+port = 2"
            )
        );
    }
}
