//! One module's request to one host, and why a host may refuse it.

use super::super::action::{Action, Failed, ModuleFailure};
use crate::engine::failure;
use crate::host::{ModuleReply, ModuleRequest};
use crate::remote;
use serde_json::{Map, json};

/// Asks the host's program.
pub(super) async fn ask(
    action: &Action<'_>,
    request: &ModuleRequest,
) -> Result<ModuleReply, Failed> {
    let title = action.title.to_owned();
    let work = async {
        let process = action.connection.sh().await.map_err(|error| error.ended(&title))?;
        remote::module::run(process, request)
            .await
            .map_err(|error| failure::remote(&title, action.host, &error, None))
    };
    let answer = tokio::select! {
        answer = work => answer.map_err(|ended| Failed::Host(Box::new(ended)))?,
        () = action.context.stop.hard().cancelled() => {
            return Err(Failed::module("cut off by the second interrupt"));
        }
    };
    answer.map_err(|refusal| {
        let said = refusal.output.trim();
        let message = match said.lines().next() {
            Some(first) => format!("{}: {first}", refusal.why),
            None => refusal.why.clone(),
        };
        let mut value = Map::from_iter([("msg".to_owned(), json!(message))]);
        if !said.is_empty() {
            value.insert("stderr".to_owned(), json!(said));
        }
        ModuleFailure { message, command: None, value }.into()
    })
}
