//! Reads the files: every line checked, blocks and included files in place, nothing decided yet.

use super::controller::Controller;
use super::criteria::{self, Criterion};
use super::keyword::{self, Read};
use super::settings::Setting;
use super::tokens::expand_include;
use super::{glob, words};
use crate::source::{Diagnostic, Diagnostics, SourceFile, Span};
use crate::transport::host_key::pattern;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Includes within includes, as in OpenSSH.
const DEPTH: usize = 16;

/// One line.
#[derive(Debug)]
pub(super) enum Entry {
    /// `Host`.
    Host(Vec<String>),
    /// `Match`.
    Match(Vec<Criterion>, Span),
    /// `Include`: the files in order.
    Include(Vec<Vec<Entry>>),
    /// Anything else that has an effect.
    Set(Setting),
}

/// Whose file it is: that decides where relative includes are, and who may write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    System,
}

/// Reads files and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) controller: &'a Controller,
    pub(super) owner: Owner,
    pub(super) found: Diagnostics,
    /// `IgnoreUnknown`, so far.
    ignored: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(controller: &'a Controller, owner: Owner) -> Self {
        Self { controller, owner, found: Diagnostics::default(), ignored: Vec::new() }
    }

    /// The entries of a file; nothing when it does not exist and need not.
    pub(super) fn file(&mut self, path: &Path, check_owner: bool, depth: usize) -> Vec<Entry> {
        let name = path.display();
        if depth > DEPTH {
            let text = format!("{name}: more than {DEPTH} levels of Include");
            self.found.push(Diagnostic::error(text).help("does a file include itself?"));
            return Vec::new();
        }
        if check_owner && let Err(problem) = trusted(path) {
            self.found.push(Diagnostic::error(format!("{name}: {problem}")).help(format!(
                "others could redirect connections with it, so OpenSSH refuses it too: chmod go-w {name}"
            )));
            return Vec::new();
        }
        match std::fs::read(path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let source = SourceFile::new(name.to_string(), text);
                self.text(&source, depth)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.found.push(Diagnostic::error(format!("cannot read {name}: {error}")));
                Vec::new()
            }
        }
    }

    /// The entries of a text.
    pub(super) fn text(&mut self, source: &Arc<SourceFile>, depth: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (line, number) in source.text.split('\n').zip(1..) {
            let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\u{c}']);
            let start = line.len() - line.trim_start_matches([' ', '\t', '\r']).len();
            let span = Span::at(source, number, line[..start].chars().count() + 1)
                .with_length(line[start..].chars().count());
            match self.line(line, &span, depth) {
                Ok(entry) => entries.extend(entry),
                Err(finding) => self.found.push(finding.at(&span)),
            }
        }
        entries
    }

    fn line(&mut self, line: &str, span: &Span, depth: usize) -> Result<Option<Entry>, Diagnostic> {
        let mut rest = Some(line);
        let mut word = words::next_word(&mut rest);
        if word.as_deref() == Some("") {
            word = words::next_word(&mut rest);
        }
        let written = match word {
            Some(word) if !word.is_empty() && !word.starts_with('#') => word,
            _ => return Ok(None),
        };
        let keyword = written.to_ascii_lowercase();
        let rest = rest.map(str::trim_start).filter(|rest| !rest.is_empty()).ok_or_else(|| {
            Diagnostic::error(format!("'{written}' has no argument"))
                .help("name a value, or drop the line")
        })?;
        let wrong = |problem: String| Diagnostic::error(format!("{written}: {problem}"));
        let unclosed = || wrong("a quote is not closed".into());
        let arguments = words::arguments(rest).ok_or_else(unclosed)?;
        match keyword.as_str() {
            "host" => {
                if arguments.iter().any(String::is_empty) {
                    return Err(wrong("a pattern is empty".into()));
                }
                Ok(Some(Entry::Host(arguments)))
            }
            "match" => {
                let criteria = criteria::read(rest, &mut self.found, span).map_err(wrong)?;
                Ok(Some(Entry::Match(criteria, span.clone())))
            }
            "include" => self.include(&arguments, depth).map(Some).map_err(wrong),
            "ignoreunknown" => {
                self.ignored.extend(arguments);
                Ok(None)
            }
            _ => match keyword::read(&keyword, rest, &arguments, Some(span)).map_err(wrong)? {
                Read::Setting(setting) => Ok(Some(Entry::Set(setting))),
                Read::WithoutEffect => Ok(None),
                Read::Unknown(nearest) => self.unknown(&written, &keyword, nearest),
            },
        }
    }

    fn unknown(
        &self,
        written: &str,
        keyword: &str,
        nearest: Option<&str>,
    ) -> Result<Option<Entry>, Diagnostic> {
        let is_ignored = |list: &String| pattern::list_matches(&list.to_ascii_lowercase(), keyword);
        if self.ignored.iter().any(is_ignored) {
            return Ok(None);
        }
        let finding = Diagnostic::error(format!("OpenSSH has no keyword '{written}'"));
        Err(match nearest {
            Some(nearest) => finding.help(format!("did you mean {nearest}?")),
            None => finding.help(format!(
                "if it is another program's, write before it: IgnoreUnknown {written}"
            )),
        })
    }

    fn include(&mut self, arguments: &[String], depth: usize) -> Result<Entry, String> {
        let mut files = Vec::new();
        for argument in arguments {
            if argument.is_empty() {
                return Err("its argument is empty".into());
            }
            if argument.starts_with('~') && self.owner == Owner::System {
                return Err(format!(
                    "'{argument}': there is no home in the system's configuration"
                ));
            }
            let base = match self.owner {
                Owner::User => self.controller.home.join(".ssh"),
                Owner::System => PathBuf::from("/etc/ssh"),
            };
            // Joined to a base, an absolute path stands for itself.
            let argument = expand_include(argument, self.controller)?;
            let pattern = base.join(self.controller.expand_tilde(&argument));
            for path in glob::files(&pattern) {
                if path.is_dir() {
                    continue;
                }
                files.push(self.file(&path, true, depth + 1));
            }
        }
        Ok(Entry::Include(files))
    }
}

/// Whether nobody but its owner, who must be root or the user, can write to a file. A group of
/// which the user is the only member, by its number, is as good as the user (as in Debian).
fn trusted(path: &Path) -> Result<(), &'static str> {
    let Ok(about) = std::fs::metadata(path) else { return Ok(()) };
    let own = std::fs::metadata("/proc/self").map_or(about.uid(), |own| own.uid());
    if about.uid() != 0 && about.uid() != own {
        return Err("another account owns it");
    }
    let private_group = about.gid() == about.uid();
    if about.mode() & 0o002 != 0 || (about.mode() & 0o020 != 0 && !private_group) {
        return Err("others may write to it");
    }
    Ok(())
}
