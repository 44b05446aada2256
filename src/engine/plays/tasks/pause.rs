//! `pause`: waits, or asks. The play pauses once, whatever the number of hosts.

use super::action::{Action, Done, Failed};
use crate::source::Node;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn perform(
    action: &Action<'_>,
    duration: Option<&Node>,
    unit: u64,
    prompt: Option<&Node>,
) -> Result<Done, Failed> {
    let seconds = action.seconds(duration)?.map(|count| count * unit as f64);
    let prompt = action.text(prompt)?;
    if action.check {
        return Ok(action.in_check_mode());
    }
    let stop = &action.context.stop;
    let Some(seconds) = seconds else {
        let operator = Arc::clone(&action.context.operator);
        let text = prompt.unwrap_or_else(|| "Press return to continue".to_owned());
        let asked = tokio::task::spawn_blocking(move || operator.wait_for_return(&text));
        let answer = tokio::select! {
            answer = asked => answer,
            () = stop.soft().cancelled() => return Err(Failed::module("interrupted")),
        };
        let answer = answer.map_err(|error| Failed::module(error.to_string()))?;
        let text =
            answer.map_err(|error| Failed::module(format!("there is no one to ask: {error}")))?;
        let value = Map::from_iter([("user_input".to_owned(), json!(text))]);
        return Ok(Done { value, ..Done::default() });
    };
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => {}
        () = stop.soft().cancelled() => return Err(Failed::module("interrupted")),
    }
    let message = prompt.unwrap_or_else(|| format!("paused for {seconds} s"));
    Ok(Done { message: Some(message), ..Done::default() })
}
