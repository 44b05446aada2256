//! The protocol with one thing done wrong: what must be found out.

/// One thing done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The controller confirms without a handshake.
    ConfirmBeforeVerify,
    /// The next contact ignores journals.
    NoRecovery,
    /// Files are renamed before the journal says how to undo that.
    RenameBeforeJournal,
    /// The journal says so, but not on disk yet.
    NoFlushBeforeTheRenames,
    /// `done` comes to be on disk before the renames.
    NoFlushOfTheRenames,
    /// Old files are removed before `done` is on disk.
    NoFlushOfTheRecord,
    /// The same, by a contact that finds a record which its writer had not flushed yet.
    NoFlushOfARecordThatIsFound,
    /// The journal is removed before the restored files are on disk.
    NoFlushOfTheRestores,
    /// Old files are removed before the journal is renamed.
    RecordAfterCleanUp,
    /// `done` is said before the journal is renamed.
    DoneBeforeRecord,
    /// The way back removes its journal first.
    JournalForgottenFirst,
    /// The way back does not tell the service.
    NoReloadOnTheWayBack,
    /// Nobody goes back when the program dies.
    NoGuard,
    /// A guard does not end a program that stands still.
    GuardWithoutLimit,
    /// The host waits for the controller's word for ever.
    NoTimers,
    /// A contact does not care who is at work.
    NoLock,
    /// The controller takes the end of the conversation for success.
    SilenceIsSuccess,
    /// The controller takes the end of the conversation for "nothing changed".
    SilenceIsFailure,
}

impl Mutation {
    pub const ALL: [Self; 18] = [
        Self::ConfirmBeforeVerify,
        Self::NoRecovery,
        Self::RenameBeforeJournal,
        Self::NoFlushBeforeTheRenames,
        Self::NoFlushOfTheRenames,
        Self::NoFlushOfTheRecord,
        Self::NoFlushOfARecordThatIsFound,
        Self::NoFlushOfTheRestores,
        Self::RecordAfterCleanUp,
        Self::DoneBeforeRecord,
        Self::JournalForgottenFirst,
        Self::NoReloadOnTheWayBack,
        Self::NoGuard,
        Self::GuardWithoutLimit,
        Self::NoTimers,
        Self::NoLock,
        Self::SilenceIsSuccess,
        Self::SilenceIsFailure,
    ];
}
