//! What a module that works on hosts is: its name, its arguments, their types.

/// A module.
#[derive(Debug)]
pub(crate) struct Definition {
    /// As tasks write it.
    pub(crate) name: &'static str,
    /// Other names of it.
    pub(super) aliases: &'static [&'static str],
    /// What it takes.
    pub(super) arguments: &'static [Argument],
    /// Of these exactly one is given.
    pub(super) one_of: &'static [&'static str],
    /// Of each of these at most one is given.
    pub(super) exclusive: &'static [&'static [&'static str]],
}

/// An argument.
#[derive(Debug)]
pub(crate) struct Argument {
    /// Its name.
    pub(super) name: &'static str,
    /// Other names of it.
    pub(super) aliases: &'static [&'static str],
    /// What it may be.
    pub(super) kind: Kind,
    /// Without it nothing can be done.
    pub(super) required: bool,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// Text, or a value that is written as JSON.
    Content,
    /// A path on the host: absolute, or from the home directory.
    Path,
    /// true or false.
    Flag,
    /// A whole number in this range.
    Number(i64, i64),
    /// Permission bits in octal or as `chmod` takes them, or `preserve`.
    Mode,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A list of texts, or one text with commas.
    Words,
    /// Anything, as it is.
    Any,
    /// A mapping.
    Entries,
    /// Taken, and without effect.
    Accepted,
}

/// An argument of this kind.
pub(super) const fn of(name: &'static str, kind: Kind) -> Argument {
    Argument { name, aliases: &[], kind, required: false }
}

impl Argument {
    /// The same, without which nothing can be done.
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The same, with other names.
    pub(super) const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }
}
