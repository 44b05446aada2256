//! Files of variables that playbooks name: `vars_files` and `include_vars`. Each is read once per run.

use super::iteration::{all_true, iterations};
use super::play_scope::PlayScope;
use crate::load;
use crate::playbook::{IncludeVars, Task};
use crate::source::{Diagnostic, Diagnostics, Node, Value, Vars};
use crate::template::{Decrypt, Scope, TemplateError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The files that were read.
pub(crate) struct VarsFiles {
    decrypt: Decrypt,
    read: Mutex<HashMap<PathBuf, Arc<Vars>>>,
    /// What is odd in them.
    warnings: Mutex<Diagnostics>,
}

impl VarsFiles {
    pub(super) fn new(decrypt: Decrypt) -> Self {
        Self { decrypt, read: Mutex::default(), warnings: Mutex::default() }
    }

    /// What was odd in the files of variables that were read since the last call.
    pub(crate) fn take_warnings(&self) -> Diagnostics {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `vars_files` of a play add to a host's variables.
    pub(super) fn of_play(
        &self,
        play: &PlayScope,
        scope: &Scope,
    ) -> Result<Vec<Arc<Vars>>, Diagnostics> {
        let mut layers = Vec::new();
        let mut found = Diagnostics::default();
        for entry in &play.files {
            match self.vars_file(play, scope, entry) {
                Ok(Some(layer)) => layers.push(layer),
                Ok(None) => {}
                Err(problems) => found.extend(problems),
            }
        }
        if found.has_errors() { Err(found) } else { Ok(layers) }
    }

    /// What `include_vars` sets on a host, once for each item of its loop; `None`: only the run can tell.
    ///
    /// # Errors
    /// A file that is not there or cannot be read.
    pub(crate) fn for_host(
        &self,
        include: &IncludeVars,
        task: &Task,
        scope: &Scope,
    ) -> Result<Option<Vars>, Diagnostics> {
        let mut vars = Vars::new();
        let told = |error: TemplateError| match error {
            TemplateError::NotYetKnown(_) => Ok(None),
            TemplateError::Wrong(problem) => Err(Diagnostics(vec![*problem])),
        };
        let list = match iterations(task.looping.as_ref(), scope) {
            Ok(list) => list,
            Err(error) => return told(error),
        };
        for (scope, _) in list {
            match all_true(&task.when, &scope) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => return told(error),
            }
            match self.in_scope(include, &scope) {
                Ok(more) => vars.extend(more),
                Err(error) => return error.map_or(Ok(None), Err),
            }
        }
        Ok(Some(vars))
    }

    /// What `include_vars` sets in one scope.
    ///
    /// # Errors
    /// As [`for_host`](Self::for_host); nothing: only the run can tell.
    pub(crate) fn in_scope(
        &self,
        include: &IncludeVars,
        scope: &Scope,
    ) -> Result<Vars, Option<Diagnostics>> {
        let text = scope.text(&include.path).map_err(|error| match error {
            TemplateError::NotYetKnown(_) => None,
            TemplateError::Wrong(problem) => Some(Diagnostics(vec![*problem])),
        })?;
        let path =
            vars_path(&include.path, &text, scope).map_err(|problem| Some(problem.into()))?;
        let files = match include.directory {
            false => vec![path],
            true => load::files_below(&path).map_err(|problem| Some(problem.into()))?,
        };
        let mut vars = Vars::new();
        for file in files {
            let read = self.read(file, &include.path).map_err(Some)?;
            vars.extend(Vars::clone(&read));
        }
        Ok(match &include.name {
            None => vars,
            Some(name) => {
                let entries = vars.into_iter().map(|(key, value)| (Node::text(key), value));
                Vars::from([(name.clone(), Node::made(Value::Map(entries.collect())))])
            }
        })
    }

    /// One entry: a file, or a list of which the first that exists counts.
    fn vars_file(
        &self,
        play: &PlayScope,
        scope: &Scope,
        entry: &Node,
    ) -> Result<Option<Arc<Vars>>, Diagnostics> {
        let choices = entry.as_list().unwrap_or_else(|| std::slice::from_ref(entry));
        let mut missing = Vec::new();
        for choice in choices {
            let name = match scope.text(choice) {
                Ok(name) => name,
                // A name that only the run sets: Ansible reads the file then, so do we.
                Err(TemplateError::NotYetKnown(_)) => return Ok(None),
                Err(error) => return Err(Diagnostics(vec![error.diagnostic()])),
            };
            let path = play.directory.join(&name);
            if choices.len() > 1 && !path.exists() {
                missing.push(name);
                continue;
            }
            return self.read(path, choice).map(Some);
        }
        let problem = format!("none of the files exists: {}", missing.join(", "));
        Err(Diagnostics(vec![Diagnostic::error(problem).at(entry.span.as_ref())]))
    }

    fn read(&self, path: PathBuf, named: &Node) -> Result<Arc<Vars>, Diagnostics> {
        let mut files = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(&path) {
            return Ok(Arc::clone(known));
        }
        let (vars, warnings) = load::vars_file(&path, &*self.decrypt).map_err(|problems| {
            let place = |problem: Diagnostic| match problem.span {
                Some(_) => problem,
                None => problem.at(named.span.as_ref()),
            };
            Diagnostics(problems.0.into_iter().map(place).collect())
        })?;
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
        let vars = Arc::new(vars);
        files.insert(path, Arc::clone(&vars));
        Ok(vars)
    }
}

/// The file of variables that a task names, as `load` finds it.
fn vars_path(name: &Node, text: &str, scope: &Scope) -> Result<PathBuf, Diagnostic> {
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let directories = scope.search_path();
    load::find(&directories, "vars", text).ok_or_else(|| {
        let looked: Vec<String> =
            directories.iter().map(|directory| directory.display().to_string()).collect();
        Diagnostic::error(format!("there is no file of variables '{text}'"))
            .at(name.span.as_ref())
            .help(format!("looked in {}, each with `vars/` before it", looked.join(", ")))
    })
}
