//! Where the cursor stands in a command line: in which verb, and what may stand there.

use clap::{Arg, Command};

/// What may stand under the cursor.
pub(super) enum Expected<'c> {
    /// A verb.
    Verbs,
    /// A flag.
    Flags,
    /// A value of this argument.
    Value(&'c Arg),
}

/// Where the cursor stands.
pub(super) struct Position<'c> {
    /// The verb.
    pub(super) command: &'c Command,
    /// What may stand there.
    pub(super) expected: Vec<Expected<'c>>,
    /// What stands before the value in the same word, as `--limit=`.
    pub(super) before: String,
    /// What was typed of the value.
    pub(super) typed: String,
}

impl<'c> Position<'c> {
    /// Of the last of the words; the first is the program.
    pub(super) fn of(root: &'c Command, words: &[String]) -> Self {
        let Some((last, before)) = words.split_last().filter(|(_, before)| !before.is_empty())
        else {
            return Self {
                command: root,
                expected: Vec::new(),
                before: String::new(),
                typed: String::new(),
            };
        };
        let mut command = root;
        let (mut positional, mut only_values) = (0, false);
        let mut pending: Option<&Arg> = None;
        for word in &before[1..] {
            if pending.take().is_some() {
                continue;
            }
            match word.as_str() {
                "--" if !only_values => only_values = true,
                flag if !only_values && flag.starts_with('-') && flag.len() > 1 => {
                    pending = waits_for_value(command, flag);
                }
                name if positional == 0 && !only_values && verb(command, name).is_some() => {
                    command = verb(command, name).unwrap_or(command);
                }
                _ => positional += 1,
            }
        }
        let at = |expected: Vec<Expected<'c>>, before: &str, typed: &str| Self {
            command,
            expected,
            before: before.to_owned(),
            typed: typed.to_owned(),
        };
        if let Some(arg) = pending {
            return at(vec![Expected::Value(arg)], "", last);
        }
        if !only_values && last.starts_with('-') {
            return match last.split_once('=').filter(|_| last.starts_with("--")) {
                Some((flag, typed)) => {
                    let arg = long(command, flag).filter(|arg| takes_value(arg));
                    at(arg.map(Expected::Value).into_iter().collect(), &format!("{flag}="), typed)
                }
                None => at(vec![Expected::Flags], "", last),
            };
        }
        let mut expected = Vec::new();
        if positional == 0 && command.has_subcommands() {
            expected.push(Expected::Verbs);
        }
        let mut values = command.get_positionals();
        let here = values.nth(positional);
        let repeated = || command.get_positionals().last().filter(|arg| is_repeated(arg));
        expected.extend(here.or_else(repeated).map(Expected::Value));
        at(expected, "", last)
    }
}

fn verb<'c>(command: &'c Command, name: &str) -> Option<&'c Command> {
    command.get_subcommands().find(|verb| verb.get_name() == name)
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn is_repeated(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
        || matches!(arg.get_action(), clap::ArgAction::Append)
}

fn long<'c>(command: &'c Command, flag: &str) -> Option<&'c Arg> {
    let name = flag.strip_prefix("--")?;
    command.get_arguments().find(|arg| {
        let aliases = arg.get_all_aliases().unwrap_or_default();
        arg.get_long() == Some(name) || aliases.contains(&name)
    })
}

/// The argument whose value is the next word.
fn waits_for_value<'c>(command: &'c Command, flag: &str) -> Option<&'c Arg> {
    if flag.starts_with("--") {
        return long(command, flag).filter(|arg| takes_value(arg));
    }
    let mut letters = flag.chars().skip(1);
    while let Some(letter) = letters.next() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        if takes_value(arg) {
            // `-ihosts`: it has it.
            return letters.next().is_none().then_some(arg);
        }
    }
    None
}
