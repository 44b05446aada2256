//! The one walk over plays and tasks, and which tasks are chosen: `--tags`, `--skip-tags`, `--start-at-task`.

use super::project::{Book, Options, Project};
use super::variables::{PlayScope, Variables};
use crate::model::HostName;
use crate::model::glob::Glob;
use crate::playbook::{Play, Task};
use crate::source::{Diagnostic, Diagnostics, Node};
use crate::template::{Scope, TemplateError};
use std::collections::HashSet;
use std::sync::Arc;

/// Where a task stands in the project. Ordered as tasks run; indices from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The playbook.
    pub book: usize,
    /// The play in it.
    pub play: usize,
    /// The list in the play.
    pub section: Section,
    /// The task in the list.
    pub index: usize,
}

/// The lists of tasks of a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Section {
    /// Pre-tasks, tasks and post-tasks.
    Tasks,
    /// Handlers.
    Handlers,
}

/// A play with what it stands in.
#[derive(Clone, Copy)]
pub(crate) struct PlayAt<'p> {
    project: &'p Project,
    book_index: usize,
    play_index: usize,
    /// Its playbook.
    pub book: &'p Book,
    /// The play.
    pub play: &'p Play,
}

/// A task or handler with what it stands in: its play's keywords are inherited.
#[derive(Clone, Copy)]
pub(crate) struct ChosenTask<'p> {
    /// Where it stands.
    pub place: Place,
    /// Its play.
    pub at: PlayAt<'p>,
    /// The task.
    pub task: &'p Task,
}

impl Project {
    /// Every play of every playbook, in the order in which they run.
    pub(crate) fn plays(&self) -> impl Iterator<Item = PlayAt<'_>> {
        self.books.iter().enumerate().flat_map(move |(book_index, book)| {
            book.playbook.plays.iter().enumerate().map(move |(play_index, play)| PlayAt {
                project: self,
                book_index,
                play_index,
                book,
                play,
            })
        })
    }

    /// The task or handler at a place that a walk gave.
    pub(crate) fn task_at(&self, place: Place) -> ChosenTask<'_> {
        let book = &self.books[place.book];
        let play = &book.playbook.plays[place.play];
        let at =
            PlayAt { project: self, book_index: place.book, play_index: place.play, book, play };
        let task = match place.section {
            Section::Tasks => &play.tasks[place.index],
            Section::Handlers => &play.handlers[place.index],
        };
        ChosenTask { place, at, task }
    }

    /// The first task of that name, or whose name fits the pattern (Ansible, `--start-at-task`).
    pub(crate) fn find_task(&self, name: &str) -> Option<Place> {
        let pattern = Glob::new(name);
        let fits = |chosen: &ChosenTask<'_>| {
            let title = chosen.task.title();
            title == name || pattern.as_ref().is_some_and(|pattern| pattern.is_match(&title))
        };
        self.plays().flat_map(PlayAt::all_tasks).find(fits).map(|chosen| chosen.place)
    }
}

impl<'p> PlayAt<'p> {
    /// Its playbook's number among those of the project, from 0.
    pub(crate) fn book_index(self) -> usize {
        self.book_index
    }

    /// Every task, chosen or not.
    pub(crate) fn all_tasks(self) -> impl Iterator<Item = ChosenTask<'p>> {
        self.section(Section::Tasks, &self.play.tasks)
    }

    /// The handlers.
    pub(crate) fn handlers(self) -> impl Iterator<Item = ChosenTask<'p>> {
        self.section(Section::Handlers, &self.play.handlers)
    }

    fn section(self, section: Section, tasks: &'p [Task]) -> impl Iterator<Item = ChosenTask<'p>> {
        tasks.iter().enumerate().map(move |(index, task)| {
            let (book, play) = (self.book_index, self.play_index);
            ChosenTask { place: Place { book, play, section, index }, at: self, task }
        })
    }

    /// The tasks that run.
    pub(crate) fn tasks(self) -> impl Iterator<Item = ChosenTask<'p>> {
        let options = &self.project.options;
        let start = options.start_at_task.as_deref().and_then(|name| self.project.find_task(name));
        self.all_tasks().filter(move |chosen| {
            start.is_none_or(|start| chosen.place >= start) && is_chosen(chosen.task, options)
        })
    }

    /// Its number among the plays of all playbooks, from 0.
    pub(crate) fn number(self) -> usize {
        let earlier = self.project.books[..self.book_index].iter();
        earlier.map(|book| book.playbook.plays.len()).sum::<usize>() + self.play_index
    }

    /// Its hosts that take part: within the limit and the shard in the pattern's order; where an earlier run or a plan
    /// has settled that, those.
    ///
    /// # Errors
    /// As [`selected`](Self::selected).
    pub(crate) fn hosts(self, variables: &Variables) -> Result<Vec<HostName>, Diagnostic> {
        let selected = self.selected(variables)?;
        Ok(match &self.project.options.roster {
            None => selected,
            Some(roster) => roster.taking_part(self.number(), selected),
        })
    }

    /// The hosts of its pattern, within the limit and the shard, in the pattern's order.
    ///
    /// # Errors
    /// A pattern that cannot be rendered, is wrong, or matches nothing.
    pub(crate) fn selected(self, variables: &Variables) -> Result<Vec<HostName>, Diagnostic> {
        let Project { inventory, options, .. } = self.project;
        let scope = variables.bare_scope(self.book, self.play);
        let pattern = pattern(&scope, &self.play.hosts)?;
        let place = self.play.hosts.span.as_ref();
        let selected = match inventory.select(&pattern) {
            Ok(hosts) => hosts,
            Err(_) if options.allow_empty => return Ok(Vec::new()),
            Err(error) => {
                let problem = Diagnostic::error(error.to_string()).at(place);
                let problem = problem.label("no host for this play");
                return Err(match inventory.sources.as_slice() {
                    [] => problem.help("no inventory was given: `-i FILE`"),
                    sources => problem.help(format!("inventory: {}", sources.join(", "))),
                }
                .help("`certroll inventory --graph` shows groups and hosts; `--allow-empty` skips such plays"));
            }
        };
        let mut hosts = match &options.limit {
            None => selected,
            Some(limit) => inventory
                .limited(selected, limit)
                .map_err(|error| Diagnostic::error(format!("--limit: {error}")))?,
        };
        if let Some(shard) = options.shard {
            hosts.retain(|host| shard.takes(host));
        }
        Ok(hosts)
    }

    /// What `host` would see in each of `tasks` before any of them has run: the names that earlier ones set are
    /// not known yet.
    pub(crate) fn foresee(
        self,
        variables: &Arc<Variables>,
        vars: &PlayScope,
        host: &HostName,
        tasks: impl IntoIterator<Item = ChosenTask<'p>>,
    ) -> Vec<(ChosenTask<'p>, Result<Scope, Diagnostics>)> {
        let mut later: HashSet<String> = variables.foreseen(host);
        let see = |chosen: ChosenTask<'p>| {
            let scope = variables.task_scope(vars, host, chosen.task);
            let scope = scope.map(|scope| scope.mark_unknown(later.clone()));
            later.extend(chosen.task.sets().map(str::to_owned));
            (chosen, scope)
        };
        tasks.into_iter().map(see).collect()
    }
}

fn is_chosen(task: &Task, options: &Options) -> bool {
    task.is_selected(&options.tags, &options.skip_tags)
}

fn pattern(scope: &Scope, node: &Node) -> Result<String, Diagnostic> {
    let value = scope.render(node).map_err(TemplateError::diagnostic)?;
    match value {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Array(items) => {
            let parts = items.iter().map(|item| item.as_str().map(str::to_owned));
            let parts: Option<Vec<String>> = parts.collect();
            parts.map(|parts| parts.join(",")).ok_or_else(|| bad_pattern(node))
        }
        _ => Err(bad_pattern(node)),
    }
}

fn bad_pattern(node: &Node) -> Diagnostic {
    Diagnostic::error("a host pattern is text or a list of texts").at(node.span.as_ref())
}
