//! How a question for a password is recognised among what a program says on stderr.

/// What asks for the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Text of our own, random, so that nothing else can look like it.
    Marker(String),
    /// `su` has its own text: a last line that ends in a colon.
    Colon,
}

impl Prompt {
    /// The question that stands last in `stderr`, if one does.
    pub(super) fn question<'a>(&self, stderr: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Marker(marker) => {
                let mut windows = stderr.windows(marker.len());
                windows.rfind(|window| *window == marker.as_bytes())
            }
            Self::Colon => {
                let line = stderr.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
                let text = line.trim_ascii_end();
                // The second is the full-width colon of East Asian translations.
                let asks = [":", "\u{ff1a}"].iter().any(|end| text.ends_with(end.as_bytes()));
                // The beginning of a message, which su writes in pieces.
                let speaks = [&b"su:"[..], b"su-rs:"].contains(&text);
                (asks && !speaks).then_some(line)
            }
        }
    }

    /// The texts by which a question shows, for who must not see it.
    pub(super) fn shown(&self, question: &[u8]) -> Vec<Vec<u8>> {
        match self {
            // sudo-rs puts words of its own around it.
            Self::Marker(marker) => {
                vec![format!("[sudo: {marker}] Password: ").into(), marker.clone().into()]
            }
            Self::Colon => vec![question.to_vec()],
        }
    }
}

/// `text` without any of the `hidden` pieces.
pub(super) fn without(mut text: Vec<u8>, hidden: &[Vec<u8>]) -> Vec<u8> {
    for piece in hidden.iter().filter(|piece| !piece.is_empty()) {
        let mut rest = std::mem::take(&mut text);
        while let Some(at) = rest.windows(piece.len()).position(|window| window == *piece) {
            text.extend_from_slice(&rest[..at]);
            rest.drain(..at + piece.len());
        }
        text.extend(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_from_what_is_said() {
        let marker = Prompt::Marker("[m 1]".into());
        assert_eq!(marker.question(b"noise [m "), None);
        assert_eq!(marker.question(b"Sorry, try again.\n[m 1]"), Some(&b"[m 1]"[..]));
        assert_eq!(marker.question(b"[sudo: [m 1]] Password: "), Some(&b"[m 1]"[..]));
        assert_eq!(Prompt::Colon.question(b"noise:\nPassword: "), Some(&b"Password: "[..]));
        assert_eq!(Prompt::Colon.question("密码：".as_bytes()), Some("密码：".as_bytes()));
        assert_eq!(Prompt::Colon.question(b"Password: \nsu: no"), None);
        assert_eq!(Prompt::Colon.question(b"Password: \nsu: "), None, "and then more");
        assert_eq!(Prompt::Colon.question(b""), None);
    }

    #[test]
    fn prompts_are_not_shown() {
        let marker = Prompt::Marker("[m 1]".into());
        let said = b"[sudo: [m 1]] Password: no\n[m 1]end".to_vec();
        assert_eq!(without(said, &marker.shown(b"[m 1]")), b"no\nend");
    }
}
