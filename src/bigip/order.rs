//! Orders to the program on the device, and its answers.

use crate::model::Secret;
use crate::model::text::printable;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use zeroize::Zeroizing;

/// What runs on the device.
pub(crate) const PROGRAM: &str = include_str!("device.sh");

/// What is shown of an answer in a message.
const SHOWN: usize = 600;

/// The lines that the program reads.
pub(crate) struct Orders(Zeroizing<String>);

impl Orders {
    /// Those of a verb, about what lies in a directory of the device.
    pub(crate) fn new(verb: &str, directory: &str) -> Self {
        let orders = Self(Zeroizing::new(String::new()));
        orders.and("verb", verb).and("dir", directory)
    }

    /// One more. A value is one line.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name} {value}");
        self
    }

    /// Bytes, which may be secret.
    pub(crate) fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        let text = Zeroizing::new(STANDARD.encode(bytes));
        let _ = writeln!(self.0, "{name} {}", *text);
        self
    }

    /// What is written to the program.
    pub(crate) fn input(mut self) -> Secret<Vec<u8>> {
        self.0.push_str("go\n");
        Secret::new(self.0.as_bytes().to_vec())
    }
}

/// What the program has answered, in its order.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<(String, String)>);

impl Answers {
    /// Reads its output. Lines that are no answers are noise; what is cut off or is no text is none.
    ///
    /// # Errors
    /// There is not one answer, with what came instead.
    pub(crate) fn read(output: &[u8]) -> Result<Self, String> {
        let lines = output.split(|byte| *byte == b'\n');
        let answers: Vec<(String, String)> = lines.filter_map(answer).collect();
        if answers.is_empty() {
            let said = printable(output, SHOWN);
            return Err(format!("the device did not answer as it should: {}", said.trim()));
        }
        Ok(Self(answers))
    }

    /// The first answer of that kind.
    pub(crate) fn find(&self, kind: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == kind).map(|(_, text)| text.as_str())
    }

    /// Every answer of that kind.
    pub(crate) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == kind).map(|(_, text)| text.as_str())
    }

    /// The last one: how it ended.
    pub(crate) fn end(&self) -> (&str, &str) {
        self.0.last().map_or(("", ""), |(kind, text)| (kind.as_str(), text.as_str()))
    }
}

/// `@KIND BASE64`; the text is printable but for its line ends.
fn answer(line: &[u8]) -> Option<(String, String)> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (kind, body) =
        line.strip_prefix('@')?.split_once(' ').unwrap_or((line.strip_prefix('@')?, ""));
    let plain = |byte: u8| byte.is_ascii_lowercase();
    if kind.is_empty() || kind.len() > 20 || !kind.bytes().all(plain) {
        return None;
    }
    let bytes = STANDARD.decode(body.trim()).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    Some((kind.to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_lines_and_cannot_hold_another() {
        let orders =
            Orders::new("look", "/shared/x").and("holder", "a\nverb confirm").bytes("key", b"k");
        let input = orders.input();
        assert_eq!(
            String::from_utf8_lossy(input.expose()),
            "verb look\ndir /shared/x\nholder averb confirm\nkey aw==\ngo\n"
        );
    }

    #[test]
    fn answers_are_told_from_noise() {
        let output =
            b"Last login\r\n@who cm9vdAo=\r\nx\n@well \n@Odd eA==\n@cut eA=\n@esc G1szMW1h\n";
        let answers = Answers::read(output).unwrap();
        assert_eq!(answers.find("who"), Some("root\n"));
        assert_eq!(answers.find("well"), Some(""));
        assert_eq!(answers.find("cut"), None);
        assert_eq!(answers.end(), ("esc", "[31ma"));
        let garbage =
            Answers::read(b"\x1b[2JSyntax Error: unexpected argument \"exec\"\n").unwrap_err();
        assert!(garbage.contains("Syntax Error") && !garbage.contains('\x1b'), "{garbage}");
    }
}
