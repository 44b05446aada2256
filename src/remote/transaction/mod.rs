//! One transaction with a host: stage, commit, confirm; or back.
//!
//! The host decides alone what it does without a word: end of input, silence and signals discard the stage
//! before the commit and go back after it. So dropping a [`Transaction`] is always safe.

mod expanding;
mod replies;
mod request;
mod seeding;

use super::conversation::{BadReply, Conversation, MARGIN, Shell};
use super::error::RemoteError;
use super::program::{Program, RECOVERING, TRANSACTING, Then, nonce};
use crate::host::{Committed, Recovered, Staged};
use crate::host::{Content, RolledBack};
use crate::host::{StateDirs, TransactionRequest};
use crate::model::{Fingerprint, RemotePath, Step};
use crate::transport::Process;
use replies::Replies;
use request::{Waits, Worded, sealed_bodies, wanted, word};
use std::time::Duration;

/// For a reply during the recovery of earlier transactions: their services' time limits are theirs.
const RECOVERY: Duration = Duration::from_secs(600);

/// Files in all, in bytes as sent, for which no answer of the host is awaited: they fit into a pipe.
const AT_ONCE: usize = 32 << 10;

/// A host with a stage, or with new files that are not confirmed yet.
#[derive(Debug)]
pub struct Transaction {
    conversation: Conversation,
    request: TransactionRequest,
    order: Vec<usize>,
    checks: Vec<(usize, usize)>,
    limits: Waits,
}

impl Transaction {
    /// Locks the host, settles what earlier runs left, compares, stages and checks. Nothing live
    /// changes.
    ///
    /// # Errors
    /// See [`RemoteError`]; nothing live has changed.
    pub async fn begin(
        shell: impl Into<Shell>,
        request: TransactionRequest,
    ) -> Result<(Self, Staged), RemoteError> {
        Self::begin_with(&TRANSACTING, shell, request).await
    }

    /// The same; `entered` is told of each step that the host enters after the lock: stage, validate.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn begin_telling(
        shell: impl Into<Shell>,
        request: TransactionRequest,
        entered: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(Self, Staged), RemoteError> {
        Self::open(&TRANSACTING, shell.into(), request, entered).await
    }

    /// The same with a given program: one that tests can stop at every step.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn begin_with(
        program: &Program,
        shell: impl Into<Shell>,
        request: TransactionRequest,
    ) -> Result<(Self, Staged), RemoteError> {
        Self::open(program, shell.into(), request, &mut |_| {}).await
    }

    async fn open(
        program: &Program,
        shell: Shell,
        request: TransactionRequest,
        entered: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(Self, Staged), RemoteError> {
        let nonce = nonce();
        let Worded { text, bodies, sealing, order, checks, limits } = word(&request, &nonce)?;
        let conversation =
            Conversation::open(shell, program, &nonce, &text, Step::Lock, Then::End).await?;
        let mut begun = Self { conversation, request, order, checks, limits };
        // A shell that has answered is the right one, and nobody asks it for a password any more: files that need not
        // wait in its pipe for long go at once.
        let mut bodies = Some(bodies);
        if sealing.is_none()
            && begun.conversation.has_answered()
            && let Some(bodies) = bodies.take_if(|bodies| bodies.len() <= AT_ONCE)
        {
            begun.conversation.send(&bodies).await?;
        }
        let mut recovered = Vec::new();
        let mut replies = begun.until("hello", begun.limits.hello).await?;
        recovered.append(&mut replies.recovered);
        entered(Step::Stage);
        begun.conversation.during = Step::Stage;
        if let Some(sealing) = sealing {
            let agreed = replies.key.as_deref().and_then(|key| sealing.agree(key));
            let seal =
                agreed.ok_or_else(|| begun.garbage(BadReply::new("no key to seal bodies for")))?;
            bodies = Some(sealed_bodies(&begun.request, &begun.order, &seal)?);
        }
        if let Some(bodies) = bodies {
            begun.conversation.send(&bodies).await?;
        }
        // The host has them: no copy and no reference stays until the verdict.
        begun.request.files.iter_mut().for_each(|file| file.content = Content::Keep);
        let replies = begun.follow("staged", begun.limits.staged, entered).await?;
        let staged = Staged {
            recovered,
            validations: replies.validations,
            files: begun.in_request_order(replies.files).map_err(|bad| begun.garbage(bad))?,
        };
        begun.conversation.during = Step::Barrier;
        Ok((begun, staged))
    }

    /// Tells the host at intervals that the controller is still there, until the commit: it may hold its
    /// stage for longer than [`Limits::stage`](crate::host::Limits::stage) then.
    pub fn keep_alive(&mut self, every: Duration) {
        self.conversation.beat(b"alive\n", every);
    }

    /// Renames the files into place and tells the services.
    ///
    /// # Errors
    /// The host went back, or its state is unknown, as the error says.
    pub async fn commit(&mut self) -> Result<Committed, RemoteError> {
        self.commit_telling(&mut |_| {}).await
    }

    /// The same; `entered` is told when the first service is about to be reloaded.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub(crate) async fn commit_telling(
        &mut self,
        entered: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Committed, RemoteError> {
        self.conversation.during = Step::Commit;
        self.conversation.may_have_changed = !self.request.files.is_empty();
        self.conversation.send(b"commit\n").await?;
        let replies = self.follow("committed", self.limits.committed, entered).await?;
        let committed = Committed {
            validations: replies.validations,
            reloads: replies.reloads,
            files: self.in_request_order(replies.files).map_err(|bad| self.garbage(bad))?,
            guarded: replies.guarded,
        };
        self.conversation.during = Step::Confirm;
        Ok(committed)
    }

    /// The change stays.
    ///
    /// # Errors
    /// The host had gone back before the word arrived, or did not acknowledge it.
    pub async fn confirm(self) -> Result<(), RemoteError> {
        self.confirmed(b"confirm\n").await?.finish().await;
        Ok(())
    }

    /// The same, and a shell for what comes next on the host: a new one in the place of the one that did this.
    ///
    /// # Errors
    /// As [`confirm`](Self::confirm).
    pub async fn confirm_and_go_on(self) -> Result<Shell, RemoteError> {
        Ok(self.confirmed(b"confirm_next\n").await?.into_shell())
    }

    async fn confirmed(mut self, verdict: &[u8]) -> Result<Conversation, RemoteError> {
        self.conversation.during = Step::Confirm;
        self.conversation.send(verdict).await?;
        self.until("done", self.limits.ended).await?;
        Ok(self.conversation)
    }

    /// Puts the old files back and tells the services again.
    ///
    /// # Errors
    /// The host did not acknowledge it.
    pub async fn rollback(mut self) -> Result<RolledBack, RemoteError> {
        self.conversation.during = Step::Rollback;
        self.conversation.send(b"rollback\n").await?;
        match self.until("rolled_back", self.limits.ended).await {
            Ok(replies) => {
                self.conversation.finish().await;
                Ok(replies.back)
            }
            // It had gone back by itself, which is what was wanted.
            Err(RemoteError::RolledBack { failure, mut rollback }) => {
                rollback.by_itself = Some(failure.why);
                Ok(rollback)
            }
            Err(error) => Err(error),
        }
    }

    /// Discards the stage.
    ///
    /// # Errors
    /// The host did not acknowledge it. It has changed nothing.
    pub async fn abort(mut self) -> Result<(), RemoteError> {
        self.conversation.send(b"abort\n").await?;
        match self.until("aborted", self.limits.ended).await {
            Ok(_) | Err(RemoteError::Aborted { .. }) => {
                self.conversation.finish().await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads replies up to one of this kind.
    async fn until(&mut self, kind: &str, limit: Duration) -> Result<Replies, RemoteError> {
        self.follow(kind, limit, &mut |_| {}).await
    }

    /// The same; `entered` is told of each step that the host enters meanwhile.
    async fn follow(
        &mut self,
        kind: &str,
        limit: Duration,
        entered: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Replies, RemoteError> {
        let mut replies = Replies::default();
        let mut limit = limit;
        loop {
            let reply = self.conversation.next(limit).await?;
            match reply.kind.as_str() {
                "validating" => entered(Step::Validate),
                "reloading" => entered(Step::Reload),
                _ => {}
            }
            let ended = replies.take(&reply, kind, &self.request, &self.order, &self.checks);
            match ended {
                Err(bad) => return Err(self.garbage(bad)),
                Ok(Some(Ok(()))) => return Ok(replies),
                Ok(Some(Err(error))) => return Err(error),
                Ok(None) if replies.recovering => limit = limit.max(RECOVERY),
                Ok(None) => {}
            }
        }
    }

    /// The host's digests, if they are the wanted ones.
    fn in_request_order(
        &self,
        files: Vec<Option<Fingerprint>>,
    ) -> Result<Vec<Option<Fingerprint>>, BadReply> {
        if files != wanted(&self.request, &self.order) {
            return Err(BadReply::new("other digests than asked for"));
        }
        let mut placed: Vec<_> = self.order.iter().copied().zip(files).collect();
        placed.sort_by_key(|(index, _)| *index);
        Ok(placed.into_iter().map(|(_, digest)| digest).collect())
    }

    fn garbage(&self, bad: BadReply) -> RemoteError {
        self.conversation.garbage(bad.into_words())
    }
}

/// Settles what earlier runs left on a host, and removes staging directories without a journal beside
/// `files`.
///
/// # Errors
/// See [`RemoteError`]: `Busy` when somebody works there.
pub(crate) async fn recover(
    process: Process,
    holder: &str,
    lock: Duration,
    files: &[RemotePath],
    dirs: Option<&StateDirs>,
) -> Result<Vec<Recovered>, RemoteError> {
    recover_with(&RECOVERING, process, holder, lock, files, dirs).await
}

/// The same with a given program: one that tests can stop at every step.
///
/// # Errors
/// As [`recover`].
pub async fn recover_with(
    program: &Program,
    process: Process,
    holder: &str,
    lock: Duration,
    files: &[RemotePath],
    dirs: Option<&StateDirs>,
) -> Result<Vec<Recovered>, RemoteError> {
    let nonce = nonce();
    let text = request::recovery(&nonce, holder, lock, files, dirs);
    let mut conversation =
        Conversation::open(process.into(), program, &nonce, &text, Step::Recover, Then::End)
            .await?;
    let mut replies = Replies::default();
    let mut limit = lock + MARGIN;
    loop {
        let reply = conversation.next(limit).await?;
        match replies.take_recovery(&reply) {
            Err(bad) => return Err(conversation.garbage(bad.into_words())),
            Ok(Some(Ok(()))) => break,
            Ok(Some(Err(error))) => return Err(error),
            Ok(None) => limit = RECOVERY,
        }
    }
    conversation.finish().await;
    Ok(replies.recovered)
}
