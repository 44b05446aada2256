//! PEM text (RFC 7468, lax): finds blocks, and says which one is bad and why.

use super::error::{BlockProblem, MaterialError, Part};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block between a BEGIN and an END line.
pub(super) struct Block {
    /// What stands after `BEGIN`: a few words.
    pub(super) label: String,
    /// Counts blocks from 1.
    pub(super) number: usize,
    /// Line of BEGIN, from 1.
    pub(super) line: usize,
    /// RFC 1421 headers (`Proc-Type`, `DEK-Info`) of old encrypted keys.
    pub(super) headers: Vec<(String, String)>,
    /// The decoded bytes, wiped when dropped: they may be a key.
    pub(super) der: Result<Zeroizing<Vec<u8>>, BlockProblem>,
}

impl Block {
    pub(super) fn is_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    pub(super) fn is_certificate(&self) -> bool {
        matches!(self.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE")
    }

    pub(super) fn error(&self, part: Part, problem: BlockProblem) -> MaterialError {
        MaterialError::Block { part, block: self.number, line: self.line, problem }
    }
}

/// Every block in order; text around them is skipped.
pub(super) fn blocks(text: &[u8]) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<Open> = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        match Line::of(line, open.is_some()) {
            Line::Begin(label) => {
                found.extend(open.take().map(|block| block.close(Err(BlockProblem::Truncated))));
                open = Some(Open::new(label, found.len() + 1, index + 1));
            }
            Line::End(label) => found.extend(open.take().map(|block| {
                let ended = if label == block.label {
                    Ok(())
                } else {
                    Err(BlockProblem::WrongEnd(label.to_owned()))
                };
                block.close(ended)
            })),
            Line::Joined(labels) => {
                found.extend(open.take().map(|block| block.close(Err(BlockProblem::LineEnds))));
                for label in labels {
                    let number = found.len() + 1;
                    let block = Open::new(label, number, index + 1);
                    found.push(block.close(Err(BlockProblem::LineEnds)));
                }
            }
            Line::Other => {
                if let Some(block) = &mut open {
                    block.add(line);
                }
            }
        }
    }
    found.extend(open.map(|block| block.close(Err(BlockProblem::Truncated))));
    found
}

/// What a line of a file is to PEM.
enum Line<'a> {
    Begin(&'a str),
    End(&'a str),
    /// Markers and other text on one line: line ends were lost. The labels that begin there.
    Joined(Vec<&'a str>),
    Other,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

impl<'a> Line<'a> {
    /// Outside a block only a line that starts with a marker counts: words about PEM are skipped.
    fn of(line: &'a [u8], in_block: bool) -> Self {
        let Ok(line) = std::str::from_utf8(line) else { return Self::Other };
        let starts = line.starts_with(BEGIN) || line.starts_with(END);
        if !starts && !(in_block && (line.contains(BEGIN) || line.contains(END))) {
            return Self::Other;
        }
        match (marker(line, BEGIN), marker(line, END)) {
            (Some((label, "")), _) => Self::Begin(label),
            (_, Some((label, ""))) => Self::End(label),
            (None, None) if !in_block => Self::Other,
            _ => Self::Joined(
                line.match_indices(BEGIN)
                    .filter_map(|(at, _)| Some(marker(&line[at..], BEGIN)?.0))
                    .collect(),
            ),
        }
    }
}

/// The label of a marker at the start of `line`, and what follows it there.
fn marker<'a>(line: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
    let (label, rest) = line.strip_prefix(start)?.split_once(DASHES)?;
    is_label(label.trim()).then_some((label.trim(), rest))
}

/// A few short words in capitals (RFC 7468 §2 allows more, nobody uses it). Messages show labels, so
/// nothing that could be a part of a key's body is one.
fn is_label(text: &str) -> bool {
    let is_word = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        (1..=14).contains(&word.len()) && word.bytes().all(plain)
    };
    text.len() <= 40 && text.split(' ').all(is_word)
}

/// Why a text without a single block is not PEM.
pub(super) fn not_pem(part: Part, text: &[u8]) -> MaterialError {
    let content = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    if content.is_empty() {
        return MaterialError::Empty(part);
    }
    // SEQUENCE with a long length; PKCS#12 goes on with INTEGER 3 (RFC 7292 §4).
    match text {
        [0x30, 0x82, _, _, 2, 1, 3, ..] | [0x30, 0x81, _, 2, 1, 3, ..] => {
            MaterialError::Pkcs12(part)
        }
        [0x30, 0x80..=0x84, ..] => MaterialError::Der(part),
        [0x30, length, rest @ ..] if usize::from(*length) == rest.len() => MaterialError::Der(part),
        _ => MaterialError::NotPem(part),
    }
}

/// Canonical PEM: LF, 64 columns.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<Vec<u8>> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // The exact size up front: a growing buffer would leave copies of a key behind.
    let size = body.len() + body.len().div_ceil(64) + 2 * label.len() + 32;
    let mut out = Zeroizing::new(Vec::with_capacity(size));
    out.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body.as_bytes().chunks(64) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    out
}

struct Open {
    label: String,
    number: usize,
    line: usize,
    headers: Vec<(String, String)>,
    body: Zeroizing<Vec<u8>>,
}

impl Open {
    fn new(label: &str, number: usize, line: usize) -> Self {
        // Large enough for any key, so that growing leaves no copy behind.
        let body = Zeroizing::new(Vec::with_capacity(16 * 1024));
        Self { label: label.to_owned(), number, line, headers: Vec::new(), body }
    }

    fn add(&mut self, line: &[u8]) {
        let header = std::str::from_utf8(line).ok().and_then(|text| text.split_once(':'));
        match header {
            Some((name, value)) if self.body.is_empty() => {
                self.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => self.body.extend_from_slice(line),
        }
    }

    fn close(self, ended: Result<(), BlockProblem>) -> Block {
        let Self { label, number, line, headers, body } = self;
        let der = ended.and_then(|()| {
            if body.is_empty() {
                return Err(BlockProblem::Empty);
            }
            STANDARD.decode(&*body).map(Zeroizing::new).map_err(|_| BlockProblem::NotBase64)
        });
        Block { label, number, line, headers, der }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Vec<(String, usize, Result<usize, BlockProblem>)> {
        blocks(text.as_bytes())
            .into_iter()
            .map(|block| (block.label, block.line, block.der.map(|der| der.len())))
            .collect()
    }

    #[test]
    fn blocks_are_found_among_other_text() {
        assert_eq!(
            outline(
                "\u{feff}-----BEGIN A-----\r\nAAAA\r\n-----END A-----\r\nwords\n -----BEGIN B-----\nAAAA\nAAAA\n-----END B----- "
            ),
            [("A".into(), 1, Ok(3)), ("B".into(), 5, Ok(6))]
        );
    }

    #[test]
    fn each_kind_of_damage_has_its_name() {
        assert_eq!(
            outline(
                "-----BEGIN A-----\nAAAA\n-----BEGIN B-----\n-----END B-----\n-----BEGIN C-----\n!\n-----END C-----\n-----BEGIN D-----\nAAAA\n-----END E-----\n-----BEGIN F-----\nAA"
            ),
            [
                ("A".into(), 1, Err(BlockProblem::Truncated)),
                ("B".into(), 3, Err(BlockProblem::Empty)),
                ("C".into(), 5, Err(BlockProblem::NotBase64)),
                ("D".into(), 8, Err(BlockProblem::WrongEnd("E".into()))),
                ("F".into(), 11, Err(BlockProblem::Truncated)),
            ]
        );
    }

    const BODY: &str = "MC4CAQAwBQYDK2VwBCIEIL6QoQKbyRMHJ1PLMzSiLFZZT4zlUFLNBqlWmIoSqCRD";

    #[test]
    fn lost_line_ends_are_told_and_nothing_of_the_line_is_kept() {
        let key = |separator: &str| {
            ["-----BEGIN PRIVATE KEY-----", BODY, "-----END PRIVATE KEY-----"].join(separator)
        };
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        let lost = |label: &str, line: usize| (label.to_owned(), line, Err(BlockProblem::LineEnds));
        for separator in [" ", "", "\r", "\\n", "\\r\\n", "\t"] {
            assert_eq!(outline(&key(separator)), [lost("PRIVATE KEY", 1)], "{separator:?}");
            let flat =
                format!("{}{separator}{}", certificate.replace('\n', separator), key(separator));
            assert_eq!(outline(&flat), [lost("CERTIFICATE", 1), lost("PRIVATE KEY", 1)]);
            assert_eq!(
                outline(&format!("{certificate}{}", key(separator))),
                [lost("CERTIFICATE", 1), lost("PRIVATE KEY", 3)]
            );
        }
        let (begin, rest) =
            key("\n").split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        for joined in [format!("{begin}{rest}"), format!("{begin}\n{}", rest.replace('\n', ""))] {
            assert_eq!(outline(&joined), [lost("PRIVATE KEY", 1)], "{joined}");
        }
    }

    #[test]
    fn no_part_of_a_body_is_a_label() {
        for line in [format!("-----BEGIN {BODY}-----"), format!("-----BEGIN {}-----", &BODY[..20])]
        {
            assert_eq!(outline(&format!("{line}\nAAAA\n-----END {BODY}-----")), []);
        }
        let wrong_end = format!("-----BEGIN A-----\nAAAA\n-----END {BODY}-----");
        assert_eq!(outline(&wrong_end), [("A".to_owned(), 1, Err(BlockProblem::LineEnds))]);
        assert_eq!(outline("the file begins with -----BEGIN A-----\n-----BEGIN-----\n"), []);
    }

    #[test]
    fn encoding_is_canonical() {
        assert_eq!(
            String::from_utf8_lossy(&encode("X", &[0; 50])),
            format!("-----BEGIN X-----\n{}\nAAA=\n-----END X-----\n", "A".repeat(64))
        );
    }
}
