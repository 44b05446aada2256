//! What a run left on the device that is gone: the job there has ended with a reboot, or could not undo.

use super::line::Line;
use super::looked::now;
use super::place::BigIp;
use crate::engine::failure;
use crate::engine::rollout::target::{NotBegun, Recovery};
use crate::model::Step;
use crate::model::text::printable;

/// Settles it.
pub(super) async fn recover(
    target: &BigIp,
    recovery: &Recovery<'_>,
) -> Result<Vec<String>, NotBegun> {
    let running = recovery.emitter.step(recovery.host, Step::Recover);
    let line = Line::new(target, recovery.host, recovery.task);
    let answers = line.ask(line.orders("recover")).await.map_err(NotBegun::Failed)?;
    let fail = |why: String| failure::before_commit(recovery.task, Step::Recover, why);
    let words = match answers.end() {
        ("nothing", _) => {
            running.end("nothing to recover");
            return Ok(Vec::new());
        }
        ("busy", _) => {
            let holder = answers.find("now").map(now).map_or_else(String::new, |now| now.holder);
            let failure = fail(format!("another run is changing this device ({holder})"));
            return Err(NotBegun::Busy { holder, failure });
        }
        ("well", _) => {
            "a confirmed change was saved: the run that confirmed it had ended before".to_owned()
        }
        ("undone", text) if text.starts_with("old") => {
            "an unconfirmed change was undone: the entry points to the old objects".to_owned()
        }
        ("undone", text) if text.starts_with("foreign") => {
            "an unconfirmed change was left alone: the entry points to something else since"
                .to_owned()
        }
        (_, text) => {
            let said = printable(text.as_bytes(), 400);
            return Err(NotBegun::Failed(fail(format!(
                "what an earlier run left could not be undone: {said}"
            ))));
        }
    };
    running.end(words.clone());
    Ok(vec![words])
}
