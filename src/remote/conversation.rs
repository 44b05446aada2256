//! The lines between the controller and a program on a host: sent as they are, read with bounds.
//!
//! Only lines that carry the program's nonce count; everything else is noise. Whatever the host does
//! (falls silent, floods, closes, talks nonsense) ends in a [`RemoteError`] that says during which
//! step and whether files may have changed.

use super::encode::decode;
use super::error::RemoteError;
use super::heartbeat::Heartbeat;
use super::packed::{BROUGHT, Packed};
use super::program::{ANEW, Program, READY, TRANSACTING, Then};
use crate::model::text::printable;
use crate::model::{Fingerprint, Step};
use crate::transport::{Ending, Process, Stdin, Stdout};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// A reply line may hold this much: inspected certificates come in one.
const LINE_LIMIT: usize = 1 << 20;
/// All output of one program, noise included.
const TOTAL_LIMIT: usize = 16 << 20;
/// Noise kept to explain why no program answered.
const NOISE_KEPT: usize = 2 << 10;
/// For the start of the shell, and in addition to every limit of the host: it may be loaded.
pub(super) const MARGIN: Duration = Duration::from_secs(30);

/// A running program and what has been read of it.
#[derive(Debug)]
pub(super) struct Conversation {
    stdin: Option<Stdin>,
    /// Has the input meanwhile.
    heartbeat: Option<Heartbeat>,
    stdout: Stdout,
    ending: Ending,
    /// What the lines that count begin with.
    mark: Vec<u8>,
    buffer: Vec<u8>,
    total: usize,
    noise: Vec<u8>,
    booted: bool,
    /// Whether the shell was brought the transaction together with an earlier program.
    brought: bool,
    /// Whether it has the parts of a packed program in it.
    packed: bool,
    /// For errors: what is being waited for.
    pub(super) during: Step,
    /// For errors: whether files may have been renamed.
    pub(super) may_have_changed: bool,
}

/// A shell on a host that waits for a program: it has just started, or has run one that leaves nothing behind in it.
/// It holds nothing on the host; dropped, it ends.
#[derive(Debug)]
pub struct Shell(Conversation);

impl From<Process> for Shell {
    /// `process` runs [`BOOTSTRAP`](super::BOOTSTRAP).
    fn from(process: Process) -> Self {
        let (stdin, stdout, ending) = process.split();
        Self(Conversation {
            stdin: Some(stdin),
            heartbeat: None,
            stdout,
            ending,
            mark: Vec::new(),
            buffer: Vec::new(),
            total: 0,
            noise: Vec::new(),
            booted: false,
            brought: false,
            packed: false,
            during: Step::Connect,
            may_have_changed: false,
        })
    }
}

impl Shell {
    /// Ends it, and gives it a moment to be gone: some servers open no second channel beside it.
    pub(crate) async fn end(self) {
        self.0.finish().await;
    }
}

/// One reply of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Its first word.
    pub(super) kind: String,
    fields: Vec<(String, String)>,
}

/// A field that is missing or has a value that it cannot have.
#[derive(Debug)]
pub(super) struct BadReply(String);

impl Conversation {
    /// Sends the program and its request. The request's lines must end in a newline.
    pub(super) async fn open(
        shell: Shell,
        program: &Program,
        nonce: &str,
        request: &str,
        during: Step,
        then: Then,
    ) -> Result<Self, RemoteError> {
        let mut conversation = Self {
            mark: format!("@certroll1 {nonce} ").into_bytes(),
            total: 0,
            during,
            may_have_changed: false,
            ..shell.0
        };
        let is_there = conversation.brought && std::ptr::eq(program, &*TRANSACTING);
        let framed = if is_there { BROUGHT.to_owned() } else { program.framed(then) };
        let anew = if conversation.packed && !is_there { ANEW } else { "" };
        (conversation.brought, conversation.packed) = (false, false);
        conversation.send(format!("{anew}{framed}{request}").as_bytes()).await?;
        Ok(conversation)
    }

    /// The same with a compressed program. A host that cannot unpack it says so, and then it is
    /// [sent plain](Self::send_plain).
    pub(super) async fn open_packed(
        shell: Shell,
        program: &Packed,
        nonce: &str,
        request: &str,
        during: Step,
        brings_transaction: bool,
    ) -> Result<Self, RemoteError> {
        let was_packed = shell.0.packed;
        let mut conversation = Self {
            mark: format!("@certroll1 {nonce} ").into_bytes(),
            total: 0,
            during,
            may_have_changed: false,
            brought: brings_transaction,
            packed: true,
            ..shell.0
        };
        let anew = if was_packed { ANEW } else { "" };
        let sent = [anew.as_bytes(), &program.framed(nonce), request.as_bytes()].concat();
        conversation.send(&sent).await?;
        Ok(conversation)
    }

    /// To a host that could not unpack the program.
    pub(super) async fn send_plain(
        &mut self,
        program: &Program,
        request: &str,
    ) -> Result<(), RemoteError> {
        (self.brought, self.packed) = (false, false);
        self.send(format!("{}{request}", program.framed(Then::Another)).as_bytes()).await
    }

    /// Whether the shell has run a program already: it is there, and takes nothing for a password.
    pub(super) fn has_answered(&self) -> bool {
        self.booted
    }

    /// The program said its last word, and the shell waits for [another](Then::Another).
    pub(super) fn into_shell(self) -> Shell {
        Shell(self)
    }

    /// Writes to the program. That it has ended is told by the next reply, or by its absence.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        if let Some(heartbeat) = self.heartbeat.take() {
            self.stdin = heartbeat.end().await;
        }
        let Some(stdin) = &mut self.stdin else { return Ok(()) };
        let written = async {
            stdin.write_all(bytes).await?;
            stdin.flush().await
        };
        match tokio::time::timeout(MARGIN, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                self.stdin = None;
                Ok(())
            }
            Err(_) => Err(self.silent(MARGIN)),
        }
    }

    /// Sends `beat` at intervals until something else is sent or this is dropped.
    pub(super) fn beat(&mut self, beat: &'static [u8], every: Duration) {
        self.heartbeat = self.stdin.take().map(|stdin| Heartbeat::start(stdin, beat, every));
    }

    /// The next reply, which must come within `limit` and a margin.
    pub(super) async fn next(&mut self, limit: Duration) -> Result<Reply, RemoteError> {
        let limit = limit + MARGIN;
        let deadline = Instant::now() + limit;
        loop {
            let line = match timeout_at(deadline, self.line()).await {
                Ok(line) => line?,
                Err(_) => return Err(self.silent(limit)),
            };
            if let Some(rest) = line.strip_prefix(&self.mark[..]) {
                let reply = Reply::parse(rest);
                let reply = reply.ok_or_else(|| self.garbage("a line that is not a reply"))?;
                return self.unless_it_cannot_run(reply);
            }
            if line == READY.as_bytes() {
                self.booted = true;
                self.noise.clear();
            } else {
                let room = NOISE_KEPT.saturating_sub(self.noise.len());
                self.noise.extend(line.iter().take(room));
                self.noise.extend((room > 0).then_some(b'\n'));
            }
        }
    }

    /// Any program may say first that this host lacks what it needs.
    fn unless_it_cannot_run(&mut self, reply: Reply) -> Result<Reply, RemoteError> {
        let name = |field| reply.text(field).map(|name| printable(name.as_bytes(), 100));
        let error = match reply.kind.as_str() {
            "missing" => name("name").map(|name| RemoteError::ToolMissing { name }),
            "unfit" => name("shell").map(|name| RemoteError::ShellUnfit { name }),
            _ => return Ok(reply),
        };
        Err(error.unwrap_or_else(|bad| self.garbage(bad.into_words())))
    }

    async fn line(&mut self) -> Result<Vec<u8>, RemoteError> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                line.pop();
                return Ok(line);
            }
            searched = self.buffer.len();
            if searched > LINE_LIMIT {
                return Err(self.too_much(LINE_LIMIT));
            }
            self.buffer.reserve(16 << 10);
            match self.stdout.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(self.closed().await),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Err(self.closed().await);
                }
                Err(_) => return Err(self.too_much(TOTAL_LIMIT)),
                Ok(count) => {
                    self.total += count;
                    if self.total > TOTAL_LIMIT {
                        return Err(self.too_much(TOTAL_LIMIT));
                    }
                }
            }
        }
    }

    /// The program said its last word and is given a moment to end by itself.
    pub(super) async fn finish(self) {
        let Self { stdin, heartbeat, stdout, ending, .. } = self;
        drop((stdin, heartbeat));
        let _ = tokio::time::timeout(Duration::from_secs(5), ending.exit()).await;
        drop(stdout);
    }

    pub(super) fn garbage(&self, what: impl Into<String>) -> RemoteError {
        RemoteError::Garbage {
            during: self.during,
            may_have_changed: self.may_have_changed,
            what: what.into(),
        }
    }

    fn silent(&self, limit: Duration) -> RemoteError {
        RemoteError::Silent {
            during: self.during,
            may_have_changed: self.may_have_changed,
            seconds: limit.as_secs(),
        }
    }

    fn too_much(&self, limit: usize) -> RemoteError {
        RemoteError::TooMuchOutput {
            during: self.during,
            may_have_changed: self.may_have_changed,
            limit,
        }
    }

    async fn closed(&mut self) -> RemoteError {
        // Standard error may come a little later than the end of output.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.ending.exit()).await;
        let mut noise = std::mem::take(&mut self.noise);
        noise.extend(std::mem::take(&mut self.buffer).into_iter().take(NOISE_KEPT));
        noise.extend(self.ending.stderr_tail().await);
        let refusal = if self.booted { None } else { self.ending.refusal(&noise) };
        let noise = printable(&noise, NOISE_KEPT).trim().to_owned();
        if let Some(refusal) = refusal {
            RemoteError::Refused(Box::new(refusal))
        } else if self.booted {
            RemoteError::Closed {
                during: self.during,
                may_have_changed: self.may_have_changed,
                noise,
            }
        } else {
            // Who is ended before a word by a limit, or killed, leaves nothing else.
            let end = || self.ending.ended().map(|exit| format!("it ended with {exit}"));
            let noise = if noise.is_empty() { end().unwrap_or_default() } else { noise };
            RemoteError::NoBoot { noise }
        }
    }
}

impl Reply {
    pub(super) fn parse(rest: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(rest).ok()?;
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let kind = words.next()?.to_owned();
        let field = |word: &str| {
            word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Some(Self { kind, fields: words.map(field).collect::<Option<_>>()? })
    }

    /// A field's text, where it is there.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    /// All fields, as they came.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field's text.
    pub(super) fn text(&self, name: &str) -> Result<&str, BadReply> {
        self.find(name).ok_or_else(|| BadReply(format!("'{}' without {name}", self.kind())))
    }

    /// A number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, BadReply> {
        self.text(name)?.parse().map_err(|_| self.bad(name))
    }

    /// A number, or `None` for `-` or nothing.
    pub(super) fn maybe_number<T: std::str::FromStr>(
        &self,
        name: &str,
    ) -> Result<Option<T>, BadReply> {
        match self.find(name) {
            None | Some("-" | "") => Ok(None),
            Some(_) => self.number(name).map(Some),
        }
    }

    /// `1`, `0`, or `-` for cannot tell.
    pub(super) fn maybe_bool(&self, name: &str) -> Result<Option<bool>, BadReply> {
        match self.find(name) {
            Some("1") => Ok(Some(true)),
            Some("0") => Ok(Some(false)),
            None | Some("-") => Ok(None),
            Some(_) => Err(self.bad(name)),
        }
    }

    /// Bytes in hex; nothing when the field is not there.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, BadReply> {
        hex::decode(self.find(name).unwrap_or_default()).map_err(|_| self.bad(name))
    }

    /// What was said, as text for people, of which the end is kept: in hex, or behind a dot as texts travel.
    pub(super) fn words(&self, name: &str) -> Result<String, BadReply> {
        let plain = self.find(name).and_then(|text| text.strip_prefix('.'));
        let bytes = match plain {
            Some(text) => decode(text).ok_or_else(|| self.bad(name))?,
            None => self.bytes(name)?,
        };
        Ok(printable(&bytes, 4096))
    }

    /// Digests with commas between.
    pub(super) fn digests(&self, name: &str) -> Result<Vec<Option<Fingerprint>>, BadReply> {
        let list = self.text(name)?.split(',').filter(|word| !word.is_empty());
        list.map(|word| match word {
            "absent" => Ok(None),
            word => word.parse().map(Some).map_err(|_| self.bad(name)),
        })
        .collect()
    }

    /// The kind, safe to show.
    pub(super) fn kind(&self) -> String {
        printable(self.kind.as_bytes(), 40)
    }

    fn bad(&self, name: &str) -> BadReply {
        BadReply(format!("'{}' has an invalid '{name}'", self.kind()))
    }
}

impl BadReply {
    pub(super) fn new(words: &str) -> Self {
        Self(words.to_owned())
    }

    /// For [`Conversation::garbage`].
    pub(super) fn into_words(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Launch, local};

    async fn run(script: &str) -> Conversation {
        let launch = Launch::new(format!("sh -c '{script}'"), READY);
        let process = local::start(&launch).await.unwrap();
        let program = Program::new(&[]);
        Conversation::open(process.into(), &program, "N", "go\n", Step::Stage, Then::End)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn noise_and_other_nonces_are_passed_over() {
        let mut host = run(
            "echo hi; echo @certroll1 X done; echo @certroll1 - boot; echo @certroll1 N ok a=1 b=- c=6869 d=.hi%040you%012",
        )
        .await;
        let reply = host.next(Duration::ZERO).await.unwrap();
        assert_eq!(reply.kind, "ok");
        assert_eq!(reply.number::<u32>("a").unwrap(), 1);
        assert_eq!(reply.maybe_bool("b").unwrap(), None);
        assert_eq!(reply.words("c").unwrap(), "hi");
        assert_eq!(reply.words("d").unwrap(), "hi you\n");
        assert_eq!(reply.maybe_bool("c").unwrap_err().into_words(), "'ok' has an invalid 'c'");
    }

    #[tokio::test]
    async fn without_boot_the_noise_explains() {
        for (said, words) in [
            ("Out of order", "no shell answered: Out of order"),
            ("", "no shell answered: it ended with exit code 1"),
            (
                "Password change required but no TTY available.",
                "the password of this account has expired, log in by hand and change it: Password change required but no \
                 TTY available.",
            ),
            (
                "This account is currently not available.",
                "this account has no usable login shell on the host: This account is currently not \
                 available.",
            ),
        ] {
            let mut host = run(&format!("echo {said}; exit 1")).await;
            assert_eq!(host.next(Duration::ZERO).await.unwrap_err().to_string(), words);
        }
    }

    #[tokio::test]
    async fn an_end_after_boot_is_told_with_its_last_words() {
        let mut host = run("echo @certroll1 - boot; echo oops >&2").await;
        host.may_have_changed = true;
        let error = host.next(Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), "the connection ended during stage: oops");
        assert!(matches!(error, RemoteError::Closed { may_have_changed: true, .. }));
    }

    #[tokio::test]
    async fn endless_lines_and_endless_noise_end() {
        let patience = Duration::from_secs(60);
        let error = run("exec tr \"\\\\000\" x </dev/zero").await.next(patience).await;
        assert!(matches!(error, Err(RemoteError::TooMuchOutput { limit: LINE_LIMIT, .. })));
        // Long lines: many short ones take longer than a busy machine has.
        let error = run("exec yes $(printf %01000d 0)").await.next(patience).await;
        assert!(matches!(error, Err(RemoteError::TooMuchOutput { limit: TOTAL_LIMIT, .. })));
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_told() {
        let error = run("echo @certroll1 N done x").await.next(Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, RemoteError::Garbage { .. }));
        let mut host = run("sleep 60").await;
        tokio::time::pause();
        let error = host.next(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer during stage for 31 s");
    }
}
