//! `lookup('first_found', …)`: the first of several files that exists.
//!
//! Source: Ansible, `plugins/lookup/first_found.py`.

use crate::load;
use crate::template::filters::bad;
use minijinja::Error;
use minijinja::value::{Kwargs, Value, ValueKind};
use std::path::{Path, PathBuf};

/// Candidates in their order, and whether none of them may exist.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    names: Vec<String>,
    skip: bool,
}

impl Candidates {
    /// Terms are names, lists of them, and mappings with `files`, `paths` and `skip`; the call may have these
    /// as options.
    ///
    /// # Errors
    /// Another kind of term, an unknown key.
    pub(super) fn of(terms: &[Value], options: &Kwargs) -> Result<Self, Error> {
        let mut all = Self::default();
        let files = options.get::<Option<Value>>("files")?;
        let paths = options.get::<Option<Value>>("paths")?;
        all.skip = options.get::<Option<bool>>("skip")?.unwrap_or(false);
        match files.filter(|_| terms.is_empty()) {
            Some(files) => all.within(&words(&files, &[',', ';'])?, paths.as_ref())?,
            None => all.add(terms, paths.as_ref())?,
        }
        Ok(all)
    }

    fn add(&mut self, terms: &[Value], paths: Option<&Value>) -> Result<(), Error> {
        for term in terms {
            match term.kind() {
                ValueKind::String => self.within(&words(term, &[',', ';'])?, paths)?,
                ValueKind::Seq | ValueKind::Iterable => {
                    self.add(&term.try_iter()?.collect::<Vec<_>>(), paths)?;
                }
                ValueKind::Map => self.described(term)?,
                kind => {
                    return Err(bad(format!("first_found takes names of files, not a {kind}")));
                }
            }
        }
        Ok(())
    }

    fn described(&mut self, term: &Value) -> Result<(), Error> {
        for key in term.try_iter()? {
            if !matches!(key.as_str(), Some("files" | "paths" | "skip")) {
                return Err(bad(format!("first_found takes files, paths and skip, not '{key}'")));
            }
        }
        let part = |name: &str| term.get_attr(name).ok().filter(|value| !value.is_undefined());
        // As in Ansible the last mapping decides.
        self.skip = part("skip").is_some_and(|skip| skip.is_true());
        let files = part("files").map(|files| words(&files, &[',', ';'])).transpose()?;
        self.within(&files.unwrap_or_default(), part("paths").as_ref())
    }

    fn within(&mut self, files: &[String], paths: Option<&Value>) -> Result<(), Error> {
        let paths = paths.map(|paths| words(paths, &[',', ':', ';'])).transpose()?;
        match paths.filter(|paths| !paths.is_empty()) {
            None => self.names.extend_from_slice(files),
            Some(paths) => self.names.extend(paths.iter().flat_map(|path| {
                files.iter().map(move |file| Path::new(path).join(file).display().to_string())
            })),
        }
        Ok(())
    }

    /// The first that exists; nothing with `skip`.
    ///
    /// # Errors
    /// None does.
    pub(super) fn found(&self, directories: &[PathBuf]) -> Result<Option<Value>, Error> {
        let found = self.names.iter().find_map(|name| {
            let absolute = Path::new(name);
            if absolute.is_absolute() {
                return absolute.exists().then(|| absolute.to_owned());
            }
            ["files", "vars", "templates", "tasks"]
                .iter()
                .find_map(|folder| load::find(directories, folder, name))
        });
        match found {
            Some(path) => Ok(Some(Value::from(path.display().to_string()))),
            None if self.skip => Ok(None),
            None => Err(bad(format!("none of these files exists: {}", self.names.join(", ")))),
        }
    }
}

/// A list of texts, or one text that separators split.
fn words(value: &Value, separators: &[char]) -> Result<Vec<String>, Error> {
    let texts: Vec<String> = match value.as_str() {
        Some(text) => vec![text.to_owned()],
        None => value.try_iter()?.map(|text| text.to_string()).collect(),
    };
    let words = texts.iter().flat_map(|text| text.split(separators));
    Ok(words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
}
