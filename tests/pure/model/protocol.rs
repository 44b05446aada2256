//! Controller, link and host together: what can happen next, and what must never be.

use crate::model::host::{Bytes, Guard, Host, Journal, Reply, Step, Who};
use crate::model::mutation::Mutation;
use stateright::{Model, Property};

/// The protocol, as it is or with one thing done wrong, and how many faults may happen in all.
pub struct Protocol {
    pub mutation: Option<Mutation>,
    pub faults: u8,
}

/// What the controller tells the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Changed,
    RolledBack,
    Failed,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    AwaitStaged,
    /// Others of the batch decide.
    Barrier,
    AwaitCommitted,
    Verify,
    AwaitDone,
    AwaitRolledBack,
    Over(Outcome),
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    Commit,
    Abort,
    Confirm,
    Rollback,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub host: Host,
    controller: Controller,
    /// On their way, in order.
    words: Vec<Word>,
    replies: Vec<Reply>,
    /// Packets vanish.
    cut: bool,
    faults: u8,
    /// A handshake has shown the new certificate.
    verified: bool,
    /// Since the last contact ended: power was lost, the guard was killed.
    unguarded: bool,
    /// A contact has ended, and no fault came after.
    settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A process takes its next step.
    Takes(Who),
    /// The service refuses the new files, and says so.
    ReloadFails,
    /// The reload ends well, but the service did not load the new files, or died of them.
    ReloadLies(Option<Bytes>),
    /// A word is read by the program.
    Hears,
    EndOfInput,
    /// The program's own timer.
    TimeIsUp,
    GuardBegins,
    /// The program outlived its time.
    GuardKills,
    /// The controller reads a reply.
    Reads,
    /// The controller's conversation ends.
    Closed,
    /// The batch goes on, or not.
    Decides(bool),
    /// What the handshake shows.
    Sees(bool),
    /// Somebody comes to this host again.
    ContactBegins,
    // Faults.
    ProgramDies,
    GuardDies,
    ContactDies,
    ControllerDies,
    ProgramFreezes,
    LinkIsCut,
    PowerIsLost(u8),
    /// Packets that a cut link still held.
    WordsAreLost,
    RepliesAreLost,
}

/// What must be possible, or the model would be empty.
pub const POSSIBLE: [&str; 6] = [
    "possible: changed",
    "possible: rolled back",
    "possible: failed",
    "possible: unknown, and it is new",
    "possible: unknown, and it is old",
    "possible: in between for a moment",
];

impl State {
    /// Nobody is at work, and no word or timer can move anything.
    fn idle(&self, protocol: &Protocol) -> bool {
        let mut actions = Vec::new();
        protocol.progress(self, &mut actions);
        actions.is_empty()
    }

    /// At rest after a contact, or without any trace.
    fn at_rest(&self) -> bool {
        let nobody = self.host.program.is_none()
            && self.host.contact.is_none()
            && !matches!(self.host.guard, Guard::AtWork(_));
        nobody && self.host.disk.is_swept() && (self.settled || !self.unguarded)
    }

    fn outcome(&self) -> Option<Outcome> {
        match self.controller {
            Controller::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    fn fault(&mut self) {
        self.faults -= 1;
        self.settled = false;
    }
}

impl Protocol {
    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// What happens sooner or later unless something else does.
    fn progress(&self, state: &State, actions: &mut Vec<Action>) {
        let host = &state.host;
        match host.program {
            Some(_) if host.frozen => {}
            Some(Step::AwaitCommit | Step::AwaitConfirm) => {
                if !state.cut && !state.words.is_empty() {
                    actions.push(Action::Hears);
                }
                let over = matches!(state.controller, Controller::Over(_) | Controller::Dead);
                if !state.cut && state.words.is_empty() && over {
                    actions.push(Action::EndOfInput);
                }
                if !self.is(Mutation::NoTimers) {
                    actions.push(Action::TimeIsUp);
                }
            }
            Some(_) => actions.push(Action::Takes(Who::Program)),
            None => {}
        }
        if host.contact.is_some() {
            actions.push(Action::Takes(Who::Contact));
        }
        match host.guard {
            Guard::AtWork(_) => actions.push(Action::Takes(Who::Guard)),
            Guard::Watching if matches!(host.disk.journal, Journal::Open { .. }) => {
                if host.program.is_none() && host.contact.is_none() {
                    actions.push(Action::GuardBegins);
                }
                let limited = !self.is(Mutation::GuardWithoutLimit) && !self.is(Mutation::NoTimers);
                if host.program.is_some() && host.frozen && limited {
                    actions.push(Action::GuardKills);
                }
            }
            _ => {}
        }
        match state.controller {
            Controller::Barrier => actions.extend([Action::Decides(true), Action::Decides(false)]),
            Controller::Verify => {
                actions.push(Action::Sees(false));
                if host.service == Some(Bytes::New) || self.is(Mutation::ConfirmBeforeVerify) {
                    actions.push(Action::Sees(true));
                }
            }
            Controller::Over(_) | Controller::Dead => {}
            _ => {
                if !state.cut && !state.replies.is_empty() {
                    actions.push(Action::Reads);
                }
                if state.cut || (state.replies.is_empty() && host.program.is_none()) {
                    actions.push(Action::Closed);
                }
            }
        }
    }

    /// What may happen or not.
    fn chances(&self, state: &State, actions: &mut Vec<Action>) {
        let host = &state.host;
        let waiting = matches!(host.program, Some(Step::AwaitCommit | Step::AwaitConfirm));
        if host.program == Some(Step::Reload) && !host.frozen {
            let lies = [Some(Bytes::Old), None].map(Action::ReloadLies);
            actions.extend([Action::ReloadFails].into_iter().chain(lies));
        }
        if state.cut {
            // What was under way may still arrive, now or later, or never.
            if waiting && !host.frozen {
                actions.push(Action::EndOfInput);
                if !state.words.is_empty() {
                    actions.push(Action::Hears);
                }
            }
            if !state.words.is_empty() {
                actions.push(Action::WordsAreLost);
            }
            if !state.replies.is_empty() {
                actions.push(Action::RepliesAreLost);
                let reading = !matches!(state.controller, Controller::Over(_) | Controller::Dead);
                let busy = matches!(state.controller, Controller::Barrier | Controller::Verify);
                if reading && !busy {
                    actions.push(Action::Reads);
                }
            }
        }
        if host.guard == Guard::Watching && host.program.is_some() && !host.frozen {
            actions.push(Action::GuardKills);
        }
        let locked = host.program.is_some() || matches!(host.guard, Guard::AtWork(_));
        if host.contact.is_none() && !state.settled && (!locked || self.is(Mutation::NoLock)) {
            actions.push(Action::ContactBegins);
        }
        if state.faults == 0 {
            return;
        }
        if host.program.is_some() {
            actions.push(Action::ProgramDies);
        }
        let freezable = host.guard == Guard::Watching
            && host.program.is_some()
            && !host.frozen
            && matches!(host.disk.journal, Journal::Open { .. });
        if freezable {
            actions.push(Action::ProgramFreezes);
        }
        if host.guard != Guard::Off {
            actions.push(Action::GuardDies);
        }
        if host.contact.is_some() {
            actions.push(Action::ContactDies);
        }
        if !matches!(state.controller, Controller::Over(_) | Controller::Dead) {
            actions.push(Action::ControllerDies);
            if !state.cut {
                actions.push(Action::LinkIsCut);
            }
        }
        actions.extend((0..8).map(Action::PowerIsLost));
    }

    /// The program, the guard or a contact takes its next step.
    fn takes(&self, state: &mut State, who: Who) {
        let host = &mut state.host;
        let step = match (who, host.guard) {
            (Who::Program, _) => host.program,
            (Who::Contact, _) => host.contact,
            (Who::Guard, Guard::AtWork(step)) => Some(step),
            (Who::Guard, _) => None,
        };
        let Some(step) = step else { return };
        let (next, reply) = host.take(step, who, self.mutation);
        match who {
            Who::Program => host.program = next,
            Who::Contact => host.contact = next,
            Who::Guard => host.guard = next.map_or(Guard::Off, Guard::AtWork),
        }
        if who == Who::Contact && next.is_none() {
            state.settled = true;
            state.unguarded = false;
        }
        state.replies.extend(reply);
    }

    fn hears(&self, state: &mut State) {
        let word = state.words.remove(0);
        let next = match (state.host.program, word) {
            (Some(Step::AwaitCommit), Word::Commit) if self.is(Mutation::RenameBeforeJournal) => {
                Step::Rename(0)
            }
            (Some(Step::AwaitCommit), Word::Commit) => Step::Arm,
            (Some(Step::AwaitCommit), _) => Step::DropStage,
            (_, Word::Confirm) => {
                if self.is(Mutation::DoneBeforeRecord) {
                    state.replies.push(Reply::Done);
                }
                let cleans_first = self.is(Mutation::RecordAfterCleanUp);
                if cleans_first { Step::Finish } else { Step::Record }
            }
            _ => Step::RemoveNew,
        };
        state.host.program = Some(next);
    }

    /// No word will come.
    fn goes_back(state: &mut State) {
        state.words.clear();
        let waits_for_commit = state.host.program == Some(Step::AwaitCommit);
        let next = if waits_for_commit { Step::DropStage } else { Step::RemoveNew };
        state.host.program = Some(next);
    }

    fn reads(state: &mut State) {
        let reply = state.replies.remove(0);
        state.controller = match (state.controller, reply) {
            (Controller::AwaitStaged, Reply::Staged) => Controller::Barrier,
            (Controller::AwaitCommitted, Reply::Committed) => Controller::Verify,
            (Controller::AwaitDone, Reply::Done) => Controller::Over(Outcome::Changed),
            (_, Reply::Aborted) => Controller::Over(Outcome::Failed),
            (_, Reply::RolledBack) => Controller::Over(Outcome::RolledBack),
            (_, _) => Controller::Over(Outcome::Unknown),
        };
    }

    fn closed(&self, state: &mut State) {
        let outcome = match state.controller {
            _ if self.is(Mutation::SilenceIsSuccess) => Outcome::Changed,
            _ if self.is(Mutation::SilenceIsFailure) => Outcome::Failed,
            Controller::AwaitStaged => Outcome::Failed,
            _ => Outcome::Unknown,
        };
        state.controller = Controller::Over(outcome);
    }

    fn says(state: &mut State, word: Word, then: Controller) {
        state.words.push(word);
        state.controller = then;
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            host: Host::FRESH,
            controller: Controller::AwaitStaged,
            words: Vec::new(),
            replies: Vec::new(),
            cut: false,
            faults: self.faults,
            verified: false,
            unguarded: false,
            settled: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.progress(state, actions);
        self.chances(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Takes(who) => self.takes(&mut state, who),
            Action::ReloadFails => state.host.program = Some(Step::RemoveNew),
            Action::ReloadLies(service) => {
                state.host.service = service;
                state.host.program = Some(Step::AwaitConfirm);
                state.replies.push(Reply::Committed);
            }
            Action::Hears => self.hears(&mut state),
            Action::EndOfInput | Action::TimeIsUp => Self::goes_back(&mut state),
            Action::GuardBegins => state.host.guard = Guard::AtWork(Step::Claim),
            Action::GuardKills => (state.host.program, state.host.frozen) = (None, false),
            Action::Reads => Self::reads(&mut state),
            Action::Closed => self.closed(&mut state),
            Action::Decides(true) => {
                Self::says(&mut state, Word::Commit, Controller::AwaitCommitted)
            }
            Action::Decides(false) => {
                Self::says(&mut state, Word::Abort, Controller::AwaitCommitted)
            }
            Action::Sees(true) => {
                state.verified |= state.host.service == Some(Bytes::New);
                Self::says(&mut state, Word::Confirm, Controller::AwaitDone);
            }
            Action::Sees(false) => {
                Self::says(&mut state, Word::Rollback, Controller::AwaitRolledBack);
            }
            Action::ContactBegins => state.host.contact = Some(Step::Look),
            Action::WordsAreLost => state.words.clear(),
            Action::RepliesAreLost => state.replies.clear(),
            fault => {
                state.fault();
                match fault {
                    Action::ProgramDies => {
                        (state.host.program, state.host.frozen) = (None, false);
                    }
                    Action::GuardDies => (state.host.guard, state.unguarded) = (Guard::Off, true),
                    Action::ContactDies => (state.host.contact, state.unguarded) = (None, true),
                    Action::ControllerDies => state.controller = Controller::Dead,
                    Action::ProgramFreezes => state.host.frozen = true,
                    Action::LinkIsCut => state.cut = true,
                    Action::PowerIsLost(mask) => {
                        state.host.lose_power(mask);
                        state.words.clear();
                        (state.cut, state.unguarded) = (true, true);
                    }
                    _ => return None,
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "hosts settle by themselves unless power was lost",
                |protocol, state: &State| {
                    // Files and service are right and the lock is free, if only the clearing up is left.
                    let well = state.host.is_whole()
                        && state.host.program.is_none()
                        && !state.host.is_unfinished();
                    !state.idle(protocol) || state.unguarded || well
                },
            ),
            Property::always(
                "a contact leaves no trace and nothing in between",
                |_, state: &State| {
                    let ended = state.settled && state.host.contact.is_none();
                    !ended || (state.host.is_whole() && state.host.disk.is_swept())
                },
            ),
            Property::always("nobody is kept out for ever", |protocol, state: &State| {
                !state.idle(protocol) || state.unguarded || state.host.program.is_none()
            }),
            Property::always("the way back finds the old files", |_, state: &State| {
                !state.host.lost
            }),
            Property::always("what stays was verified", |_, state: &State| {
                !state.at_rest() || state.host.disk.pair() != Some(Bytes::New) || state.verified
            }),
            Property::always("the operator is told the truth", |_, state: &State| {
                let is = state.host.disk.pair();
                !state.at_rest()
                    || match state.outcome() {
                        Some(Outcome::Changed) => is == Some(Bytes::New),
                        Some(Outcome::RolledBack | Outcome::Failed) => is == Some(Bytes::Old),
                        Some(Outcome::Unknown) | None => is.is_some(),
                    }
            }),
            Property::sometimes(POSSIBLE[0], |_, state: &State| {
                state.at_rest() && state.outcome() == Some(Outcome::Changed)
            }),
            Property::sometimes(POSSIBLE[1], |_, state: &State| {
                state.at_rest() && state.outcome() == Some(Outcome::RolledBack)
            }),
            Property::sometimes(POSSIBLE[2], |_, state: &State| {
                state.at_rest() && state.outcome() == Some(Outcome::Failed)
            }),
            Property::sometimes(POSSIBLE[3], |_, state: &State| {
                let unknown = state.at_rest() && state.outcome() == Some(Outcome::Unknown);
                unknown && state.host.disk.pair() == Some(Bytes::New)
            }),
            Property::sometimes(POSSIBLE[4], |_, state: &State| {
                let unknown = state.at_rest() && state.outcome() == Some(Outcome::Unknown);
                unknown && state.host.disk.pair() == Some(Bytes::Old)
            }),
            Property::sometimes(POSSIBLE[5], |_, state: &State| state.host.disk.pair().is_none()),
        ]
    }
}
