//! What can be wrong with a simulated host, for tests of whoever talks to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One thing that goes wrong. Texts are looked for in single lines of a program's output.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nobody listens: connections are refused.
    Refuse,
    /// Connections are taken, and then there is silence.
    Mute,
    /// Programs are said to be started, and never are.
    NeverAnswer,
    /// Programs run, but no byte of their input reaches them, and no end of it.
    IgnoreInput,
    /// The window for input is small and never opened again. For connections made after it is set.
    StarveWindow,
    /// The link breaks when this many bytes of input came; none beyond them reaches the program.
    CutAfterInput(u64),
    /// The link breaks in place of the line with this text.
    CutBefore(String),
    /// The link breaks right after the line with this text.
    CutAfter(String),
    /// The link breaks in the middle of the line with this text.
    CutAmid(String),
    /// The channel is closed without an exit code after the line with this text; the link stays.
    CloseAfter(String),
    /// After the line with this text comes output without end.
    FloodAfter(String),
    /// After the line with this text nothing more is said, and the channel stays.
    SilenceAfter(String),
    /// Each line of output, with its newline, is replaced.
    Rewrite(Rewriter),
    /// Input and output travel in pieces of this many bytes with this wait after each.
    Slow {
        /// Bytes in each piece.
        bytes: usize,
        /// Wait after it.
        wait: Duration,
    },
}

/// What a line is replaced by.
#[derive(Clone)]
pub struct Rewriter(Arc<Rewrite>);

type Rewrite = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

impl Fault {
    /// Whether output has to be looked at line by line.
    pub(super) fn is_about_lines(&self) -> bool {
        match self {
            Self::Refuse
            | Self::Mute
            | Self::NeverAnswer
            | Self::IgnoreInput
            | Self::StarveWindow
            | Self::CutAfterInput(_)
            | Self::Slow { .. } => false,
            Self::CutBefore(_)
            | Self::CutAfter(_)
            | Self::CutAmid(_)
            | Self::CloseAfter(_)
            | Self::FloodAfter(_)
            | Self::SilenceAfter(_)
            | Self::Rewrite(_) => true,
        }
    }

    /// Each line of output becomes what `rewrite` makes of it.
    pub fn rewrite(rewrite: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Rewrite(Rewriter(Arc::new(rewrite)))
    }

    /// `from` is replaced by `to` wherever it stands in a line of output.
    pub fn replace(from: impl Into<String>, to: impl Into<String>) -> Self {
        let (from, to) = (from.into(), to.into());
        Self::rewrite(move |line| match std::str::from_utf8(line) {
            Ok(text) => text.replace(&from, &to).into_bytes(),
            Err(_) => line.to_vec(),
        })
    }
}

impl fmt::Debug for Rewriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What is done instead of passing output on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Send(Vec<u8>),
    Cut,
    Close,
    Flood,
    Silence,
}

/// A program's output, line by line, with a fault in it.
pub(super) struct Output {
    fault: Fault,
    line: Vec<u8>,
}

impl Output {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, line: Vec::new() }
    }

    /// Takes output and gives what is to be done because of it. Nothing follows an act that is no `Send`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Act> {
        let mut acts = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.act(line, &mut acts);
            }
        }
        acts
    }

    /// The last line, which has no end.
    pub(super) fn end(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.act(line, &mut acts);
        }
        acts
    }

    fn act(&self, line: Vec<u8>, acts: &mut Vec<Act>) {
        let says = |text: &str| line.windows(text.len().max(1)).any(|part| part == text.as_bytes());
        match &self.fault {
            Fault::CutBefore(text) if says(text) => acts.push(Act::Cut),
            Fault::CutAfter(text) if says(text) => acts.extend([Act::Send(line), Act::Cut]),
            Fault::CutAmid(text) if says(text) => {
                let half = line[..line.len() / 2].to_vec();
                acts.extend([Act::Send(half), Act::Cut]);
            }
            Fault::CloseAfter(text) if says(text) => acts.extend([Act::Send(line), Act::Close]),
            Fault::FloodAfter(text) if says(text) => acts.extend([Act::Send(line), Act::Flood]),
            Fault::SilenceAfter(text) if says(text) => {
                acts.extend([Act::Send(line), Act::Silence]);
            }
            Fault::Rewrite(rewriter) => acts.push(Act::Send((rewriter.0)(&line))),
            _ => acts.push(Act::Send(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(fault: Fault, pieces: &[&str]) -> Vec<Act> {
        let mut output = Output::new(fault);
        let mut all: Vec<Act> =
            pieces.iter().flat_map(|piece| output.feed(piece.as_bytes())).collect();
        all.extend(output.end());
        all
    }

    fn send(text: &str) -> Act {
        Act::Send(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_are_found_across_pieces() {
        let found = acts(Fault::CutAfter("staged".into()), &["hello\nsta", "ged\nmore\n"]);
        assert_eq!(found, [send("hello\n"), send("staged\n"), Act::Cut, send("more\n")]);
        let found = acts(Fault::CutAmid("staged".into()), &["staged!\n"]);
        assert_eq!(found, [send("stag"), Act::Cut]);
        assert_eq!(acts(Fault::CutBefore("b".into()), &["a\nb"]), [send("a\n"), Act::Cut]);
    }

    #[test]
    fn lines_are_replaced() {
        assert_eq!(acts(Fault::replace("a", "xyz"), &["b", "a\nc"]), [send("bxyz\n"), send("c")]);
    }
}
