//! OpenSSH's client configuration: `~/.ssh/config`, `/etc/ssh/ssh_config` and what they include.
//!
//! Files are read once, and every error is told with its place; then [`SshConfig::lookup`] says
//! what holds for one host. `tests/ssh/transport/ssh_config.rs` compares with `ssh -G`, case by case.

mod controller;
mod criteria;
mod evaluate;
mod glob;
pub(super) mod keyword;
mod lookup;
mod parse;
mod services;
pub(super) mod settings;
pub(super) mod tokens;
mod words;

pub use controller::Controller;
pub use lookup::Lookup;
pub use settings::{AddressFamily, Checking, Hop, Proxy, Settings};

use crate::source::{Diagnostics, SourceFile};
use lookup::Inner;
use parse::{Entry, Owner, Reader};
use settings::Setting;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The system's file.
const SYSTEM: &str = "/etc/ssh/ssh_config";

/// Which files to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Files {
    /// The user's, then the system's.
    #[default]
    Standard,
    /// This one only (`ssh -F`).
    Only(PathBuf),
    /// None (`ssh -F none`).
    None,
}

impl From<&str> for Files {
    /// What `-F` takes.
    fn from(text: &str) -> Self {
        if text.eq_ignore_ascii_case("none") { Self::None } else { Self::Only(text.into()) }
    }
}

/// A configuration, read and ready to be asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SshConfig(Arc<Inner>);

impl SshConfig {
    /// Reads the files. A file that [`Files::Only`] names has to exist.
    ///
    /// # Errors
    /// Every unreadable file and wrong line; warnings come with the configuration.
    pub fn load(controller: Controller, files: &Files) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut found = Diagnostics::default();
        let mut read = |path: &Path, owner, check_owner| {
            let mut reader = Reader::new(&controller, owner);
            let entries = reader.file(path, check_owner, 0);
            found.extend(reader.found);
            entries
        };
        let files = match files {
            Files::None => Vec::new(),
            Files::Only(path) => {
                let path = controller.expand_tilde(&path.to_string_lossy());
                if let Err(error) = std::fs::metadata(&path) {
                    let text =
                        format!("cannot read the SSH configuration {}: {error}", path.display());
                    return Err(crate::source::Diagnostic::error(text).into());
                }
                vec![read(&path, Owner::User, false)]
            }
            Files::Standard => vec![
                read(&controller.home.join(".ssh/config"), Owner::User, true),
                read(Path::new(SYSTEM), Owner::System, false),
            ],
        };
        found.into_result(Self::new(controller, files))
    }

    /// Reads a text in place of files; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(
        controller: Controller,
        name: &str,
        text: &str,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut reader = Reader::new(&controller, Owner::User);
        let entries = reader.text(&SourceFile::new(name, text), 0);
        let found = reader.found;
        found.into_result(Self::new(controller, vec![entries]))
    }

    fn new(controller: Controller, files: Vec<Vec<Entry>>) -> Self {
        Self(Arc::new(Inner { controller, files, executed: Default::default() }))
    }

    /// The machine and account that the configuration was read for.
    pub fn controller(&self) -> &Controller {
        &self.0.controller
    }

    /// What holds for `host`, a name as one would give it to `ssh`.
    ///
    /// # Errors
    /// An unknown token in `HostName`; a `Match exec` that cannot be run.
    pub fn lookup(&self, host: &str) -> Result<Lookup, String> {
        self.lookup_with(host, &[])
    }

    /// The same with settings in front that win, as options on `ssh`'s command line do.
    pub(super) fn lookup_with(&self, host: &str, first: &[Setting]) -> Result<Lookup, String> {
        evaluate::lookup(&self.0, host, first)
    }
}

/// Reads one `Key=Value` or `Key Value`, as `ssh -o` takes it.
pub(super) fn option(text: &str) -> Result<Option<Setting>, String> {
    let text = text.trim();
    let mut rest = Some(text);
    let written = words::next_word(&mut rest).filter(|word| !word.is_empty());
    let written = written.ok_or_else(|| format!("'{text}' is no Key=Value"))?;
    let keyword = written.to_ascii_lowercase();
    let rest = rest.map(str::trim_start).filter(|rest| !rest.is_empty());
    let rest = rest.ok_or_else(|| format!("'{written}' has no value"))?;
    let arguments =
        words::arguments(rest).ok_or_else(|| format!("'{written}': a quote is not closed"))?;
    if matches!(keyword.as_str(), "host" | "match" | "include") {
        return Err(format!("'{written}' belongs into a file"));
    }
    if keyword == "ignoreunknown" {
        return Ok(None);
    }
    match keyword::read(&keyword, rest, &arguments, None) {
        Ok(keyword::Read::Setting(setting)) => Ok(Some(setting)),
        Ok(keyword::Read::WithoutEffect) => Ok(None),
        Ok(keyword::Read::Unknown(Some(near))) => {
            Err(format!("OpenSSH has no keyword '{written}': did you mean {near}?"))
        }
        Ok(keyword::Read::Unknown(None)) => Err(format!("OpenSSH has no keyword '{written}'")),
        Err(problem) => Err(format!("{written}: {problem}")),
    }
}
