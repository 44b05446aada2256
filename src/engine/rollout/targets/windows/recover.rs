//! What a dead run left, settled by the machine's own journal.

use super::asking::{insist, refused, unanswered};
use super::place::Windows;
use crate::engine::rollout::target::{NotBegun, Recovery};
use crate::model::Step;
use crate::model::text::printable;
use crate::windows::{Program, Refused, Undone};
use serde_json::json;

/// Undoes what was begun and whose time is over.
pub(super) async fn recover(
    target: &Windows,
    recovery: &Recovery<'_>,
) -> Result<Vec<String>, NotBegun> {
    let task = recovery.task;
    let running = recovery.emitter.step(recovery.host, Step::Recover);
    let request = json!({"id": ""});
    let answer = insist::<Undone>(&target.connection, Program::Undo, &request, &[]).await;
    let answer = answer.map_err(|silent| NotBegun::Failed(unanswered(task, silent)))?;
    let undone = answer.map_err(|why| {
        let failure = refused(target, task, Step::Recover, &why);
        match why {
            Refused::Held(holder) => NotBegun::Busy { holder, failure },
            _ => NotBegun::Failed(failure),
        }
    })?;
    let Some(words) = words(&undone) else {
        running.end("nothing to recover");
        return Ok(Vec::new());
    };
    running.end(words.clone());
    Ok(vec![words])
}

/// What was settled; `None`: nothing was left.
fn words(undone: &Undone) -> Option<String> {
    let by = printable(undone.by.as_bytes(), 300);
    let by = if by.is_empty() { by } else { format!(" of {by}") };
    let what = match undone.words.as_str() {
        "nothing" => return None,
        "back" => "the reference names the old certificate again",
        "never" => "nothing referred to the new certificate yet",
        _ => "left alone, as something else refers to another certificate by now",
    };
    let left =
        if undone.left { "; the new certificate stays, because http.sys uses it" } else { "" };
    Some(format!("the change{by} was never confirmed: {what}{left}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_words() {
        let undone = |words: &str, left| Undone { words: words.into(), left, by: "run 7".into() };
        assert_eq!(words(&undone("nothing", false)), None);
        for (said, expected) in
            [("back", "old certificate again"), ("never", "yet"), ("other", "left alone")]
        {
            let words = words(&undone(said, false)).unwrap();
            assert!(words.contains(expected) && words.contains("of run 7"), "{words}");
        }
        assert!(words(&undone("other", true)).unwrap().contains("stays"));
    }
}
