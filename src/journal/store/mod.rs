//! The directory of records: one file per run, named by its moment and the run's name.

use super::read::{self, Listed, Reading, State};
use super::record::Record;
use crate::event::RunStart;
use crate::model::Timestamp;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names of records end so.
const ENDING: &str = ".jsonl";

/// The records of one user.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    directory: PathBuf,
}

/// No run has that name, or several begin so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSuchRun {
    /// None.
    #[error("no run '{0}' is recorded")]
    None(String),
    /// Several; the names.
    #[error("'{0}' may be each of these runs: {1}")]
    Several(String, String),
}

impl Store {
    /// The records in a directory, which need not exist yet.
    pub(crate) fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// `$XDG_STATE_HOME/certroll/runs`, by default below `~/.local/state` (XDG Base Directory Specification
    /// 0.8); none without either variable. A relative path is not heeded, as the specification asks.
    pub(crate) fn usual(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
        Some(Self::at(state.join("certroll/runs")))
    }

    /// Where the records are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Begins the record of a run, at a time since 1970. Directory and file are for their owner alone.
    ///
    /// # Errors
    /// The directory cannot be made or written, or is another user's.
    pub(crate) fn begin(&self, start: &RunStart, at: Duration) -> io::Result<Record> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        self.close_to_others()?;
        // Runs of the same second keep their order.
        let second = compact(Timestamp::from_unix(i64::try_from(at.as_secs()).unwrap_or(i64::MAX)));
        let second = second.trim_end_matches('Z');
        let micros = at.subsec_micros();
        let name = format!("{second}.{micros:06}Z-{}{ENDING}", start.run);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(self.directory.join(name))?;
        file.lock()?;
        // So that the name itself is not lost with the power.
        fs::File::open(&self.directory)?.sync_all()?;
        Ok(Record::new(file))
    }

    /// A directory that was made by hand may be open to others.
    fn close_to_others(&self) -> io::Result<()> {
        let found = fs::metadata(&self.directory)?;
        let probe = tempfile::tempfile_in(&self.directory)?.metadata()?;
        if found.uid() != probe.uid() {
            let why = "it belongs to another user";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        if found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// The records, oldest first. Files that are none are left out.
    ///
    /// # Errors
    /// The directory cannot be read; that it does not exist is none.
    pub(crate) fn list(&self) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for path in self.paths()? {
            // One that was pruned meanwhile, or cannot be read, hides no other.
            if let Ok(Some(one)) = read::ends(path) {
                listed.push(one);
            }
        }
        Ok(listed)
    }

    /// The run whose name begins with `name`; `last` is the last one for which `fits`.
    ///
    /// # Errors
    /// The directory cannot be read; no run has that name, or several have.
    pub(crate) fn find(
        &self,
        name: &str,
        fits: impl Fn(&RunStart) -> bool,
    ) -> Result<Listed, FindError> {
        if name == "last" {
            let paths = self.paths()?.into_iter().rev();
            let mut found = paths.filter_map(|path| read::ends(path).ok().flatten());
            let last = found.find(|one| fits(&one.start));
            return last.ok_or_else(|| NoSuchRun::None(name.to_owned()).into());
        }
        let mut found = Vec::new();
        for path in self.paths()? {
            let run = run_of(&path).unwrap_or_default();
            if !name.is_empty()
                && run.starts_with(name)
                && let Some(one) = read::ends(path)?
            {
                found.push(one);
            }
        }
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(NoSuchRun::None(name.to_owned()).into()),
            (Some(one), true) => Ok(one),
            (Some(one), false) => {
                found.push(one);
                let names: Vec<&str> = found.iter().map(|one| one.start.run.as_str()).collect();
                Err(NoSuchRun::Several(name.to_owned(), names.join(", ")).into())
            }
        }
    }

    /// Every event of a record.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(&self, listed: &Listed) -> io::Result<Reading> {
        read::whole(&listed.path)
    }

    /// Removes the oldest records: those beyond the `keep` newest, and those that began before `oldest`. A run
    /// that goes on keeps its record. Returns how many were removed.
    ///
    /// # Errors
    /// The directory cannot be read, or a record not removed.
    pub(crate) fn prune(&self, keep: usize, oldest: Timestamp) -> io::Result<usize> {
        let paths = self.paths()?;
        let oldest = compact(oldest);
        let oldest = oldest.trim_end_matches('Z');
        let beyond = paths.len().saturating_sub(keep);
        let mut removed = 0;
        for (index, path) in paths.into_iter().enumerate() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if index >= beyond && name.as_str() >= oldest {
                break;
            }
            if !matches!(read::ends(path.clone()), Ok(Some(Listed { state: State::Running, .. }))) {
                fs::remove_file(path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The files, oldest first: their names begin with their moments.
    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if run_of(&path).is_some() {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// Why a run was not found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    /// By its name.
    #[error(transparent)]
    Name(#[from] NoSuchRun),
    /// The records cannot be read.
    #[error("the records cannot be read")]
    Io(#[from] io::Error),
}

/// The name of the run that a record is of.
fn run_of(path: &Path) -> Option<&str> {
    let (_, run) = path.file_name()?.to_str()?.strip_suffix(ENDING)?.split_once("Z-")?;
    (!run.is_empty()).then_some(run)
}

/// `20261124T101500Z`.
fn compact(moment: Timestamp) -> String {
    moment.to_string().replace(['-', ':'], "")
}

#[cfg(test)]
mod tests;
