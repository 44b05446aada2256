//! A command as the author wrote it: an argument vector, or a text for a shell.

use std::fmt;

/// What to run. `Argv` never passes through a shell: an argument stays one argument whatever
/// characters it holds. `Shell` is run by `/bin/sh -c` because the author wrote `shell:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommandLine {
    /// The program and its arguments.
    Argv(Vec<String>),
    /// One text for `/bin/sh -c`.
    Shell(String),
}

/// Why a command cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// No argument, an empty program name or an empty text.
    #[error("the command is empty")]
    Empty,
    /// Neither `execve` nor `sh -c` can carry a NUL.
    #[error("the command holds a NUL character")]
    Nul,
}

impl CommandLine {
    /// Checks that the command can be handed to `execve` (argv) or `sh -c` (shell).
    ///
    /// # Errors
    /// An empty command, or a NUL character anywhere.
    pub fn check(&self) -> Result<(), BadCommand> {
        let (empty, nul) = match self {
            Self::Argv(argv) => (
                argv.first().is_none_or(String::is_empty),
                argv.iter().any(|argument| argument.contains('\0')),
            ),
            Self::Shell(text) => (text.trim().is_empty(), text.contains('\0')),
        };
        match (empty, nul) {
            (true, _) => Err(BadCommand::Empty),
            (false, true) => Err(BadCommand::Nul),
            (false, false) => Ok(()),
        }
    }

    /// Replaces every `{name}` for which `value` knows a value, in one pass: what a value holds is
    /// never expanded again. An argument stays one argument; in shell text the value is quoted.
    /// Unknown names stay as they are, because braces are common in shell and awk.
    pub fn expand(&self, value: impl Fn(&str) -> Option<String>) -> Self {
        self.expand_lists(|name| value(name).map(|value| vec![value]))
    }

    /// As [`expand`](Self::expand), with any number of values: an argument that is nothing but the
    /// placeholder becomes one argument each; in shell text they stand apart by blanks.
    pub fn expand_lists(&self, values: impl Fn(&str) -> Option<Vec<String>>) -> Self {
        match self {
            Self::Argv(argv) => {
                let words = argv.iter().flat_map(|argument| match whole(argument, &values) {
                    Some(list) => list,
                    None => vec![replace(argument, &|name| match values(name)?.as_slice() {
                        [only] => Some(only.clone()),
                        _ => None,
                    })],
                });
                Self::Argv(words.collect())
            }
            Self::Shell(text) => Self::Shell(replace(text, &|name| {
                let quoted: Vec<String> = values(name)?.iter().map(|value| quote(value)).collect();
                Some(quoted.join(" "))
            })),
        }
    }

    /// In one line: a shell text that begins with a comment is called what that says.
    pub fn brief(&self) -> String {
        match self {
            Self::Shell(text) => match text.trim_start().strip_prefix("# ") {
                Some(comment) => comment.lines().next().unwrap_or_default().to_owned(),
                None => self.to_string(),
            },
            Self::Argv(_) => self.to_string(),
        }
    }

    /// The vector to execute: `Shell` becomes `/bin/sh -c TEXT`.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Argv(argv) => argv.clone(),
            Self::Shell(text) => vec!["/bin/sh".into(), "-c".into(), text.clone()],
        }
    }
}

/// As a person would type it: arguments quoted for a POSIX shell where needed, shell text as is.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(text) => f.write_str(text),
            Self::Argv(argv) => {
                for (index, argument) in argv.iter().enumerate() {
                    if index > 0 {
                        f.write_str(" ")?;
                    }
                    f.write_str(&quote_if_needed(argument))?;
                }
                Ok(())
            }
        }
    }
}

/// As Ansible spells it: a list of arguments, or a text.
impl serde::Serialize for CommandLine {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Argv(argv) => argv.serialize(serializer),
            Self::Shell(text) => text.serialize(serializer),
        }
    }
}

/// Single-quoted for a POSIX shell, whatever `text` holds (except NUL, which no shell can carry).
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A part of a text with placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// `{name}`, without the braces.
    Name(&'a str),
}

/// The parts of `text`; `{name}` of lower-case letters and `_` is a placeholder where that name is known.
pub(crate) fn pieces<'a>(text: &'a str, known: impl Fn(&str) -> bool) -> Vec<Piece<'a>> {
    let (mut pieces, mut begin, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = text[at..].find('{').map(|open| at + open) {
        at = open + 1;
        if let Some(name) = placeholder(&text[open..]).filter(|name| known(name)) {
            pieces.push(Piece::Text(&text[begin..open]));
            pieces.push(Piece::Name(name));
            at = open + name.len() + 2;
            begin = at;
        }
    }
    pieces.push(Piece::Text(&text[begin..]));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

/// The text with its placeholders replaced where `value` knows the name.
pub(crate) fn replace(text: &str, value: &impl Fn(&str) -> Option<String>) -> String {
    pieces(text, |name| value(name).is_some())
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Name(name) => value(name).unwrap_or_default(),
        })
        .collect()
}

/// The values of an argument that is nothing but a placeholder.
fn whole(argument: &str, values: &impl Fn(&str) -> Option<Vec<String>>) -> Option<Vec<String>> {
    let name = placeholder(argument).filter(|name| name.len() + 2 == argument.len())?;
    values(name)
}

/// The name of the placeholder that `text` starts with.
fn placeholder(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.split_once('}')?.0;
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    fits.then_some(name)
}

fn quote_if_needed(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        quote(argument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn argv(arguments: &[&str]) -> CommandLine {
        CommandLine::Argv(arguments.iter().map(|&argument| argument.to_owned()).collect())
    }

    #[test]
    fn expansion_is_one_pass_and_leaves_unknown_braces() {
        let values = |name: &str| match name {
            "cert" => Some("/a {key}".to_owned()),
            "key" => Some("/it's".to_owned()),
            _ => None,
        };
        assert_eq!(
            argv(&["x", "{cert}", "-k={key}", "{print $1}", "{}", "{"]).expand(values),
            argv(&["x", "/a {key}", "-k=/it's", "{print $1}", "{}", "{"])
        );
        assert_eq!(
            CommandLine::Shell("cat {cert} {key}; f() { :; }".into()).expand(values),
            CommandLine::Shell(r"cat '/a {key}' '/it'\''s'; f() { :; }".into())
        );
    }

    #[test]
    fn a_list_becomes_so_many_words() {
        let values = |name: &str| {
            (name == "certs").then(|| vec!["/a {certs}".to_owned(), "/it's".to_owned()])
        };
        assert_eq!(
            argv(&["x", "{certs}", "-c={certs}"]).expand_lists(values),
            argv(&["x", "/a {certs}", "/it's", "-c={certs}"])
        );
        assert_eq!(
            CommandLine::Shell("for f in {certs}; do cat {cert}; done".into()).expand_lists(values),
            CommandLine::Shell(r"for f in '/a {certs}' '/it'\''s'; do cat {cert}; done".into())
        );
    }

    #[test]
    fn a_text_with_a_title_is_called_by_it() {
        let brief = |text: &str| CommandLine::Shell(text.into()).brief();
        assert_eq!(brief("# asks the service\nnc -U /x\n"), "asks the service");
        assert_eq!(brief("nc -U /x # asks"), "nc -U /x # asks");
    }

    #[test]
    fn display_can_be_pasted() {
        assert_eq!(
            argv(&["nginx", "-t", "a b", "", "$(x)"]).to_string(),
            "nginx -t 'a b' '' '$(x)'"
        );
    }

    #[test]
    fn what_cannot_run_is_refused() {
        assert_eq!(argv(&[]).check(), Err(BadCommand::Empty));
        assert_eq!(argv(&["", "a"]).check(), Err(BadCommand::Empty));
        assert_eq!(argv(&["a", "b\0"]).check(), Err(BadCommand::Nul));
        assert_eq!(CommandLine::Shell("  ".into()).check(), Err(BadCommand::Empty));
        assert_eq!(argv(&["a", ""]).check(), Ok(()));
    }

    proptest! {
        #[test]
        fn a_value_stays_one_argument(value in any::<String>()) {
            let expanded = argv(&["p", "{cert}", "-x={cert}"]).expand(|_| Some(value.clone()));
            prop_assert_eq!(
                expanded,
                CommandLine::Argv(vec!["p".into(), value.clone(), format!("-x={value}")])
            );
        }

        #[test]
        fn a_value_in_shell_text_is_one_word(value in "[^\0]*") {
            let CommandLine::Shell(text) =
                CommandLine::Shell("p {cert}".into()).expand(|_| Some(value.clone()))
            else { unreachable!() };
            prop_assert_eq!(shlex::split(&text), Some(vec!["p".to_owned(), value]));
        }
    }
}
