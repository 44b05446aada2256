//! The host: its disk, its service, and the steps of the program, of its guard and of a next contact.

use crate::model::mutation::Mutation;

/// The bytes under a live name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bytes {
    Old,
    New,
    /// Renamed into place, but power was lost before they were flushed.
    Torn,
}

/// One destination and what is beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct File {
    pub live: Bytes,
    /// The old file in the stage.
    pub kept: bool,
    /// The new file in the stage.
    pub staged: bool,
}

/// The journal by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Journal {
    None,
    /// `j.ID`
    Open {
        armed: bool,
    },
    /// `undo.ID`
    Claimed {
        armed: bool,
    },
    /// `done.ID`
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    pub files: [File; 2],
    pub journal: Journal,
}

impl Disk {
    pub const FRESH: Self = Self {
        files: [File { live: Bytes::Old, kept: false, staged: false }; 2],
        journal: Journal::None,
    };

    /// The pair, if it is one.
    pub fn pair(&self) -> Option<Bytes> {
        let [first, second] = self.files;
        (first.live == second.live && first.live != Bytes::Torn).then_some(first.live)
    }

    /// No trace of a transaction.
    pub fn is_swept(&self) -> bool {
        self.journal == Journal::None && self.files.iter().all(|file| !file.kept && !file.staged)
    }
}

/// What a process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    // The transaction.
    WriteJournal,
    StartGuard,
    WriteNew,
    KeepOld,
    AwaitCommit,
    Arm,
    FlushArmed,
    Rename(usize),
    FlushRenames,
    Reload,
    AwaitConfirm,
    Record,
    FlushRecord,
    StopGuard,
    Finish,
    Clear,
    // Nothing live has changed.
    DropStage,
    ForgetStage,
    // The way back.
    Claim,
    RemoveNew,
    Restore(usize),
    FlushRestores,
    ReloadOld,
    Sweep,
    Forget,
    // The next contact.
    Look,
    FlushFound,
}

/// How a transaction's program ends, which is its terminal reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Staged,
    Committed,
    Done,
    RolledBack,
    Aborted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    Off,
    Watching,
    AtWork(Step),
}

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Program,
    Guard,
    Contact,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    pub disk: Disk,
    pub flushed: Disk,
    /// The new files' bytes are on disk.
    pub bytes_flushed: bool,
    /// What the service has loaded; `None`: it is down.
    pub service: Option<Bytes>,
    pub program: Option<Step>,
    /// The program stands still.
    pub frozen: bool,
    pub guard: Guard,
    pub contact: Option<Step>,
    /// Whoever goes back has seen that the service may have loaded new files.
    touched: bool,
    /// The way back did not find what it needs.
    pub lost: bool,
}

impl Host {
    pub const FRESH: Self = Self {
        disk: Disk::FRESH,
        flushed: Disk::FRESH,
        bytes_flushed: false,
        service: Some(Bytes::Old),
        program: Some(Step::WriteJournal),
        frozen: false,
        guard: Guard::Off,
        contact: None,
        touched: false,
        lost: false,
    };

    /// Files may have been renamed, and that does not stand yet.
    pub fn is_unfinished(&self) -> bool {
        let armed = [Journal::Open { armed: true }, Journal::Claimed { armed: true }];
        armed.contains(&self.disk.journal)
    }

    /// Each service serves what the files say, and those are one pair.
    pub fn is_whole(&self) -> bool {
        self.disk.pair().is_some() && self.service == self.disk.pair()
    }

    /// All processes end at once. `mask` says which files, and whether the journal, are as flushed.
    pub fn lose_power(&mut self, mask: u8) {
        for (index, file) in self.disk.files.iter_mut().enumerate() {
            if mask & (1 << index) != 0 {
                *file = self.flushed.files[index];
            }
            if file.live == Bytes::New && !self.bytes_flushed {
                file.live = Bytes::Torn;
            }
        }
        if mask & 4 != 0 {
            self.disk.journal = self.flushed.journal;
        }
        self.flushed = self.disk;
        self.program = None;
        self.contact = None;
        self.frozen = false;
        self.guard = Guard::Off;
        // It is started by the boot, on what is there.
        self.service = self.disk.pair();
    }

    fn flush_files(&mut self) {
        self.flushed.files = self.disk.files;
        self.bytes_flushed = true;
    }

    fn remove_stage(&mut self) {
        for file in &mut self.disk.files {
            (file.kept, file.staged) = (false, false);
        }
    }

    /// Takes a step that waits for nobody: what comes next, and what is replied.
    pub fn take(
        &mut self,
        step: Step,
        who: Who,
        mutation: Option<Mutation>,
    ) -> (Option<Step>, Option<Reply>) {
        let is = |which: Mutation| mutation == Some(which);
        let next = match step {
            Step::WriteJournal => {
                self.disk.journal = Journal::Open { armed: false };
                Step::StartGuard
            }
            Step::StartGuard => {
                if !is(Mutation::NoGuard) {
                    self.guard = Guard::Watching;
                }
                Step::WriteNew
            }
            Step::WriteNew => {
                self.disk.files.iter_mut().for_each(|file| file.staged = true);
                Step::KeepOld
            }
            Step::KeepOld => {
                self.disk.files.iter_mut().for_each(|file| file.kept = true);
                return (Some(Step::AwaitCommit), Some(Reply::Staged));
            }
            Step::Arm => {
                self.disk.journal = Journal::Open { armed: true };
                Step::FlushArmed
            }
            Step::FlushArmed => {
                if !is(Mutation::NoFlushBeforeTheRenames) {
                    self.flush_files();
                    self.flushed.journal = self.disk.journal;
                }
                let early = is(Mutation::RenameBeforeJournal);
                if early { Step::FlushRenames } else { Step::Rename(0) }
            }
            Step::Rename(index) => {
                let file = &mut self.disk.files[index];
                (file.live, file.staged) = (Bytes::New, false);
                match index {
                    0 => Step::Rename(1),
                    _ if is(Mutation::RenameBeforeJournal) => Step::Arm,
                    _ => Step::FlushRenames,
                }
            }
            Step::FlushRenames => {
                if !is(Mutation::NoFlushOfTheRenames) {
                    self.flush_files();
                }
                Step::Reload
            }
            Step::Reload => {
                if self.disk.pair().is_none() {
                    return (Some(Step::RemoveNew), None);
                }
                self.service = self.disk.pair();
                return (Some(Step::AwaitConfirm), Some(Reply::Committed));
            }
            Step::Record => {
                self.disk.journal = Journal::Done;
                Step::FlushRecord
            }
            Step::FlushRecord => {
                if !is(Mutation::NoFlushOfTheRecord) {
                    self.flushed.journal = self.disk.journal;
                }
                Step::StopGuard
            }
            Step::StopGuard => {
                self.guard = Guard::Off;
                if is(Mutation::RecordAfterCleanUp) { Step::Clear } else { Step::Finish }
            }
            Step::Finish => {
                self.remove_stage();
                if !is(Mutation::RecordAfterCleanUp) {
                    self.flush_files();
                    Step::Clear
                } else {
                    Step::Record
                }
            }
            Step::Clear => {
                self.disk.journal = Journal::None;
                let told =
                    (who == Who::Program && !is(Mutation::DoneBeforeRecord)).then_some(Reply::Done);
                return (None, told);
            }
            Step::DropStage => {
                self.remove_stage();
                Step::ForgetStage
            }
            Step::ForgetStage => {
                self.disk.journal = Journal::None;
                self.guard = Guard::Off;
                return (None, Some(Reply::Aborted));
            }
            Step::Claim => {
                if let Journal::Open { armed } = self.disk.journal {
                    self.disk.journal = Journal::Claimed { armed };
                }
                Step::RemoveNew
            }
            Step::RemoveNew => {
                let armed = matches!(
                    self.disk.journal,
                    Journal::Open { armed: true } | Journal::Claimed { armed: true }
                );
                self.touched = armed && !self.disk.files.iter().all(|file| file.staged);
                self.disk.files.iter_mut().for_each(|file| file.staged = false);
                if is(Mutation::JournalForgottenFirst) {
                    self.disk.journal = Journal::None;
                }
                if armed { Step::Restore(0) } else { Step::Sweep }
            }
            Step::Restore(index) => {
                let file = &mut self.disk.files[index];
                if file.live != Bytes::Old {
                    self.lost |= !file.kept;
                    if file.kept {
                        (file.live, file.kept) = (Bytes::Old, false);
                    }
                }
                if index == 0 { Step::Restore(1) } else { Step::FlushRestores }
            }
            Step::FlushRestores => {
                if !is(Mutation::NoFlushOfTheRestores) {
                    self.flush_files();
                }
                Step::ReloadOld
            }
            Step::ReloadOld => {
                // A service that is down is started.
                if self.touched && !is(Mutation::NoReloadOnTheWayBack) {
                    self.service = self.disk.pair();
                }
                Step::Sweep
            }
            Step::Sweep => {
                self.remove_stage();
                Step::Forget
            }
            Step::Forget => {
                self.disk.journal = Journal::None;
                self.flushed.journal = Journal::None;
                if who == Who::Program {
                    self.guard = Guard::Off;
                }
                return (None, (who == Who::Program).then_some(Reply::RolledBack));
            }
            Step::Look => match self.disk.journal {
                _ if is(Mutation::NoRecovery) => return (None, None),
                Journal::None => {
                    self.remove_stage();
                    return (None, None);
                }
                Journal::Open { .. } => Step::Claim,
                Journal::Claimed { .. } => Step::RemoveNew,
                Journal::Done => Step::FlushFound,
            },
            Step::FlushFound => {
                if !is(Mutation::NoFlushOfARecordThatIsFound) {
                    self.flushed.journal = self.disk.journal;
                }
                Step::Finish
            }
            // These wait for a word.
            Step::AwaitCommit | Step::AwaitConfirm => step,
        };
        (Some(next), None)
    }
}
