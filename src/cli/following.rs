//! `apply --resume RUN` and `rollback --run RUN`: the command line of an earlier run, with who takes part.

use super::args::{ApplyArgs, RollbackArgs, RunArgs};
use super::earlier::Earlier;
use super::failure::Failure;
use super::saved_plan::{self, ToDo};
use super::session::Followed;
use crate::event::RunStart;
use crate::inputs::roster::Roster;
use crate::journal::SavedPlan;
use crate::model::Timestamp;
use crate::source::Diagnostic;
use std::path::PathBuf;

/// A run that follows another.
pub(super) struct Following {
    /// The command line of that one, with what was given besides now.
    pub(super) run: RunArgs,
    /// Who takes part.
    pub(super) roster: Roster,
    /// The saved plan that it carried out, and where that is.
    pub(super) plan: Option<(SavedPlan, PathBuf)>,
    /// What it follows.
    pub(super) followed: Followed,
}

/// Goes on with the run `run`.
///
/// # Errors
/// There is no such run, it cannot be resumed, or flags were given that it has settled.
pub(super) fn resume(run: &str, given: &ApplyArgs, now: Timestamp) -> Result<Following, Failure> {
    let mut given_run = given.run.clone();
    let earlier = begin(run, &mut given_run, "apply --resume", &["apply"])?;
    let (start, name) = (&earlier.start, &earlier.start.run);
    let remedy = format!(
        "a resumed run does the same as the one before: `certroll apply` with `--limit @failed:{name}` and without \
         --resume does the rest with what is there now"
    );
    let Some(inputs) = earlier.inputs.clone() else {
        let problem = format!("the record of run {name} does not tell what it was given");
        return Err(Diagnostic::error(problem).help(remedy).into());
    };
    let mut args = command_line(start, &given_run)?;
    let plays = earlier.where_it_was()?;
    let origin = format!("run {name}");
    let mut following = Following {
        roster: Roster { origin: origin.clone(), plays, open: true, ..Roster::default() },
        run: args.run.clone(),
        plan: None,
        followed: Followed { run: name.clone(), inputs: Some(inputs), narrowed: false, remedy },
    };
    args.plan_max_age = given.plan_max_age;
    if let Some(ToDo { args: planned, plan, roster }) = saved_plan::to_do(&args, now)? {
        // Who takes part is settled by the plan; where they had come to, by the run.
        let mut plays = roster.plays;
        for (play, was) in plays.iter_mut().zip(following.roster.plays) {
            (play.batches, play.done, play.in_flight) = (was.batches, was.done, was.in_flight);
        }
        following.roster = Roster { origin, plays, ..roster };
        following.plan = Some((plan, args.run.playbooks[0].clone()));
        following.run = planned.run;
    }
    following.narrow(&given_run);
    Ok(following)
}

/// Takes back what the run `run` has changed.
///
/// # Errors
/// There is no such run, it has changed nothing, or flags were given that it has settled.
pub(super) fn take_back(run: &str, given: &RollbackArgs) -> Result<Following, Failure> {
    let mut given_run = given.run.clone();
    let earlier = begin(run, &mut given_run, "rollback --run", &["apply", "rollback"])?;
    let (start, name) = (&earlier.start, &earlier.start.run);
    let (undo, plays) = earlier.to_undo();
    if undo.is_empty() {
        let problem = format!(
            "run {name} has changed no certificate on any host: nothing is to be taken back"
        );
        let help = format!("`certroll history show {name}` shows what became of its hosts");
        return Err(Diagnostic::error(problem).help(help).into());
    }
    let mut args = command_line(start, &given_run)?;
    if let Some(path) = args.run.playbooks.iter().find(|path| SavedPlan::is_one(path)).cloned() {
        // Its playbooks are what is run; what was reviewed was the way there.
        args = saved_plan::command_line(&saved_plan::read(&path)?, &path, &given_run)?;
    }
    let roster =
        Roster { origin: format!("run {name}"), plays, undo: Some(undo), ..Roster::default() };
    let followed =
        Followed { run: name.clone(), inputs: None, narrowed: false, remedy: String::new() };
    let mut following = Following { run: args.run, roster, plan: None, followed };
    following.narrow(&given_run);
    Ok(following)
}

impl Following {
    fn narrow(&mut self, given: &RunArgs) {
        if let Some(limit) = &given.inventory.limit {
            self.run.inventory.limit = Some(limit.clone());
            self.roster.narrowed = true;
            self.followed.narrowed = true;
        }
    }
}

/// Finds the run, and sees that nothing was given that it has settled.
fn begin(run: &str, given: &mut RunArgs, what: &str, verbs: &[&str]) -> Result<Earlier, Failure> {
    let found = saved_plan::settled(given, what);
    if found.has_errors() {
        return Err(found.into());
    }
    let earlier = Earlier::find(run, &given.playbooks, verbs)?;
    saved_plan::anchor(given);
    Ok(earlier)
}

/// The command line of the run, in the directory where it was typed.
fn command_line(start: &RunStart, given: &RunArgs) -> Result<ApplyArgs, Failure> {
    saved_plan::given_again(start, given, &format!("run {}", start.run))?;
    saved_plan::enter(&start.directory);
    saved_plan::again(start, given)
}
