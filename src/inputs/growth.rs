//! What includes add to a play: each file or role is read once for each way in which it is included, and its tasks
//! have the same places whoever asks first, the preflight or the run.

use super::iteration::{all_true, iterations};
use super::place::{Place, Section};
use crate::playbook::{self, Include, Loop, RolePlaces, Task};
use crate::source::{Diagnostics, Vars};
use crate::template::{Scope, TemplateError, Templates};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The places of added tasks begin here; a play has fewer of its own.
const FIRST: usize = usize::MAX / 2;

/// Tasks with their places.
pub(crate) type Added = Vec<(Place, Arc<Task>)>;

/// What was added so far.
#[derive(Default)]
pub(crate) struct Growth {
    places: RolePlaces,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: usize,
    tasks: HashMap<Way, Result<Arc<Added>, Diagnostics>>,
    handlers: Vec<(Place, Arc<Task>)>,
}

/// By which task, and with what, something was included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    place: Place,
    names: Vec<Option<String>>,
    params: String,
}

/// One inclusion on one host: what is to be read, and the variables that it gets.
#[derive(Clone, Debug)]
pub(crate) struct Inclusion {
    /// What tells it apart.
    pub way: Way,
    params: Vars,
    /// What is shown for the item of a loop.
    pub label: Option<String>,
}

impl Inclusion {
    /// The file or the role.
    pub(crate) fn name(&self) -> &str {
        self.way.names.first().and_then(Option::as_deref).unwrap_or_default()
    }
}

/// What a host includes by a task: nothing where its condition is false.
///
/// # Errors
/// What is wrong, or not known yet.
pub(crate) fn inclusions(
    place: Place,
    task: &Task,
    include: &Include,
    scope: &Scope,
) -> Result<Vec<Inclusion>, TemplateError> {
    let mut all = Vec::new();
    for (scope, label) in iterations(task.looping.as_ref(), scope)? {
        if !all_true(&task.when, &scope)? {
            continue;
        }
        let mut names = Vec::new();
        for node in include.nodes() {
            names.push(scope.text_unless_omitted(node)?);
        }
        let mut params = include.vars.clone();
        if let Some(looping) = &task.looping {
            params.extend(item(looping, &scope));
        }
        // Two hosts share an inclusion when they would see the same.
        let params_text = format!("{params:?}");
        let way = Way { place, names, params: params_text };
        all.push(Inclusion { way, params, label });
    }
    Ok(all)
}

/// The variables of a loop's item.
fn item(looping: &Loop, scope: &Scope) -> Vars {
    let names = [
        Some(looping.variable.as_str()),
        looping.index.as_deref(),
        looping.extended.then_some("ansible_loop"),
    ];
    let kept = names.into_iter().flatten();
    kept.filter_map(|name| Some((name.to_owned(), scope.raw(name)?.clone()))).collect()
}

impl Growth {
    /// Nothing added yet; roles are looked for in these places, too.
    pub(crate) fn new(places: RolePlaces) -> Self {
        Self { places, known: Mutex::default() }
    }

    /// Nothing added yet; roles are looked for in the same places.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.places.clone())
    }

    /// The tasks of an inclusion in a play whose relative paths start in `directory`.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub(crate) fn tasks(
        &self,
        directory: &Path,
        templates: &Templates,
        include: &Include,
        inclusion: &Inclusion,
    ) -> Result<Arc<Added>, Diagnostics> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = known.tasks.get(&inclusion.way) {
            return tasks.clone();
        }
        let read = playbook::grow(
            include,
            &inclusion.way.names,
            inclusion.params.clone(),
            directory,
            templates,
            &self.places,
        );
        let place = inclusion.way.place;
        let added = read.map(|(tasks, handlers)| {
            let mut placed = |task: Task, section: Section| {
                known.next += 1;
                (Place { section, index: FIRST + known.next, ..place }, Arc::new(task))
            };
            let tasks = tasks.into_iter().map(|task| placed(task, Section::Tasks)).collect();
            let handlers: Added =
                handlers.into_iter().map(|task| placed(task, Section::Handlers)).collect();
            known.handlers.extend(handlers);
            Arc::new(tasks)
        });
        known.tasks.insert(inclusion.way.clone(), added.clone());
        added
    }

    /// The handlers that were added to a play.
    pub(crate) fn handlers(&self, book: usize, play: usize) -> Added {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_play = |place: &Place| place.book == book && place.play == play;
        known.handlers.iter().filter(|(place, _)| of_play(place)).cloned().collect()
    }

    /// The tasks that were added to a play.
    pub(crate) fn of_play(&self, book: usize, play: usize) -> Added {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_play = |place: &Place| place.book == book && place.play == play;
        let added = known.tasks.values().flatten().flat_map(|added| added.iter());
        added.filter(|(place, _)| of_play(place)).cloned().collect()
    }
}
