//! Commands of a task's own that are an engine's.

use crate::host::{Container, Engine};
use crate::model::CommandLine;

/// A command that begins with an engine's name is one of the host, and `exec` in it names a container:
/// the container, and what is run in there.
pub(in crate::plan) fn engine_exec(command: &CommandLine) -> Option<(Container, CommandLine)> {
    let CommandLine::Argv(words) = command else { return None };
    let (program, rest) = words.split_first()?;
    let engine = Engine::of_program(program)?;
    let rest = rest.strip_prefix(&["container".to_owned()]).unwrap_or(rest);
    let rest = rest.strip_prefix(&["exec".to_owned()])?;
    let plain = ["-i", "-t", "-it", "-ti", "--interactive", "--tty"];
    let skip = rest.iter().take_while(|word| plain.contains(&word.as_str())).count();
    let (name, inner) = rest.get(skip..)?.split_first()?;
    // Any other option may change what runs, and as whom.
    if name.starts_with('-') || inner.is_empty() {
        return None;
    }
    let container = Container { name: name.clone(), engine: Some(engine), user: None };
    Some((container, CommandLine::Argv(inner.to_vec())))
}

/// Whether the command's program is an engine: it is run on the host, whatever the task says of containers.
pub(in crate::plan) fn is_engine_command(command: &CommandLine) -> bool {
    let first = match command {
        CommandLine::Argv(words) => words.first().map(String::as_str),
        CommandLine::Shell(text) => text.split_whitespace().next(),
    };
    first.and_then(Engine::of_program).is_some()
}
