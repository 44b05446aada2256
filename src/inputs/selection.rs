//! The one walk over plays and tasks, and which tasks are chosen: `--tags`, `--skip-tags`, `--start-at-task`.

use super::growth::{self, inclusions};
pub(crate) use super::place::{Place, Section};
use super::play_scope::PlayScope;
use super::project::{Book, Options, Project};
use super::variables::Variables;
use crate::model::HostName;
use crate::model::glob::Glob;
use crate::playbook::{Meta, Part, Play, Task, TaskKind};
use crate::source::{Diagnostic, Diagnostics, Node};
use crate::template::{ANYTHING, Scope, TemplateError};
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

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
#[derive(Clone)]
pub(crate) struct ChosenTask<'p> {
    /// Where it stands.
    pub place: Place,
    /// Its play.
    pub at: PlayAt<'p>,
    /// The task.
    pub task: Arc<Task>,
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

    /// A task or handler of a walk, in its play.
    pub(crate) fn chosen(&self, place: Place, task: Arc<Task>) -> ChosenTask<'_> {
        let book = &self.books[place.book];
        let play = &book.playbook.plays[place.play];
        let at =
            PlayAt { project: self, book_index: place.book, play_index: place.play, book, play };
        ChosenTask { place, at, task }
    }

    /// The first task of that name, or whose name fits the pattern (Ansible, `--start-at-task`).
    pub(crate) fn find_task(&self, name: &str) -> Option<Place> {
        let pattern = Glob::new(name);
        let fits = |chosen: &ChosenTask<'_>| {
            let title = chosen.task.title();
            let own = chosen.task.name.as_ref().and_then(Node::as_str).unwrap_or(&title);
            let fits = |title: &str| {
                title == name || pattern.as_ref().is_some_and(|pattern| pattern.is_match(title))
            };
            fits(&title) || fits(own)
        };
        self.plays().flat_map(PlayAt::all_tasks).find(fits).map(|chosen| chosen.place)
    }
}

impl<'p> PlayAt<'p> {
    /// Its playbook's number among those of the project, from 0.
    pub(crate) fn book_index(self) -> usize {
        self.book_index
    }

    /// Whether profiles that were never run on the real thing may be used.
    pub(crate) fn allows_experimental(self) -> bool {
        self.project.options.allow_experimental
    }

    /// Where its relative paths start.
    pub(crate) fn directory(self) -> &'p Path {
        self.play.directory.as_deref().unwrap_or(&self.book.playbook.directory)
    }

    /// Every task, chosen or not.
    pub(crate) fn all_tasks(self) -> impl Iterator<Item = ChosenTask<'p>> {
        self.section(Section::Tasks, &self.play.tasks)
    }

    /// The handlers, those that includes added behind the others.
    pub(crate) fn handlers(self) -> impl Iterator<Item = ChosenTask<'p>> {
        let added = self.project.growth.handlers(self.book_index, self.play_index);
        let added =
            added.into_iter().map(move |(place, task)| ChosenTask { place, at: self, task });
        self.section(Section::Handlers, &self.play.handlers).chain(added)
    }

    fn section(
        self,
        section: Section,
        tasks: &'p [Arc<Task>],
    ) -> impl Iterator<Item = ChosenTask<'p>> {
        tasks.iter().enumerate().map(move |(index, task)| {
            let (book, play) = (self.book_index, self.play_index);
            let place = Place { book, play, section, index };
            ChosenTask { place, at: self, task: Arc::clone(task) }
        })
    }

    /// The chosen ones among the tasks that an inclusion adds.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub(crate) fn added(
        self,
        include: &crate::playbook::Include,
        inclusion: &growth::Inclusion,
    ) -> Result<Vec<ChosenTask<'p>>, Diagnostics> {
        let added = self.project.growth.tasks(
            self.directory(),
            &self.book.templates,
            include,
            inclusion,
        )?;
        let options = &self.project.options;
        let chosen = added.iter().filter(|(_, task)| is_chosen(task, options));
        Ok(chosen
            .map(|(place, task)| ChosenTask { place: *place, at: self, task: Arc::clone(task) })
            .collect())
    }

    /// All tasks that includes have added so far.
    pub(crate) fn all_added(self) -> impl Iterator<Item = ChosenTask<'p>> {
        let added = self.project.growth.of_play(self.book_index, self.play_index);
        added.into_iter().map(move |(place, task)| ChosenTask { place, at: self, task })
    }

    /// The tasks that run; the first gathers facts where something has asked for them.
    pub(crate) fn tasks(self) -> impl Iterator<Item = ChosenTask<'p>> {
        let mut asked = self.project.books.iter().map(|book| book.templates.needs_facts());
        let needed = self.play.gathers || asked.any(|asked| asked);
        self.gathering().filter(|_| needed).into_iter().chain(self.own_tasks())
    }

    /// The tasks that may run: whether facts are needed shows while these are looked at.
    pub(crate) fn possible_tasks(self) -> impl Iterator<Item = ChosenTask<'p>> {
        self.gathering().into_iter().chain(self.own_tasks())
    }

    fn gathering(self) -> Option<ChosenTask<'p>> {
        let task = Arc::clone(self.play.gathering.as_ref()?);
        let (book, play) = (self.book_index, self.play_index);
        let place = Place { book, play, section: Section::Gathering, index: 0 };
        is_chosen(&task, &self.project.options).then_some(ChosenTask { place, at: self, task })
    }

    fn own_tasks(self) -> impl Iterator<Item = ChosenTask<'p>> {
        let options = &self.project.options;
        let start = options.start_at_task.as_deref().and_then(|name| self.project.find_task(name));
        self.all_tasks().filter(move |chosen| {
            start.is_none_or(|start| chosen.place >= start) && is_chosen(&chosen.task, options)
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
        let mut seen = Vec::new();
        let mut ahead: VecDeque<ChosenTask<'p>> = tasks.into_iter().collect();
        while let Some(chosen) = ahead.pop_front() {
            let task = Arc::clone(&chosen.task);
            let mut unknown = later.clone();
            if task.around.blocks.iter().any(|(_, part)| *part == Part::Rescue) {
                unknown.extend(RESCUE_VARIABLES.map(str::to_owned));
            }
            let scope = variables.task_scope(vars, host, &task);
            let scope = scope.map(|scope| scope.mark_unknown(unknown));
            later.extend(task.sets().map(str::to_owned));
            match (&task.kind, &scope) {
                (TaskKind::Include(include), Ok(scope)) => {
                    match self.foresee_include(&chosen, include, scope) {
                        Ok(Some(added)) => {
                            added.into_iter().rev().for_each(|one| ahead.push_front(one))
                        }
                        // What it would set is anybody's guess.
                        Ok(None) => {
                            later.extend([ANYTHING.to_owned()]);
                            variables.foresee_anything(host);
                        }
                        Err(problems) => {
                            seen.push((chosen, Err(problems)));
                            continue;
                        }
                    }
                }
                (TaskKind::IncludeVars(include), Ok(scope)) => {
                    match variables.files.for_host(include, &task, scope) {
                        Ok(Some(values)) => {
                            for (name, value) in values {
                                variables.set(host, &name, value);
                            }
                        }
                        Ok(None) => {
                            later.extend([ANYTHING.to_owned()]);
                            variables.foresee_anything(host);
                        }
                        Err(problems) => {
                            seen.push((chosen, Err(problems)));
                            continue;
                        }
                    }
                }
                _ => {}
            }
            seen.push((chosen, scope));
        }
        seen
    }

    /// What a host will include by a task; `None`: only the run can tell.
    fn foresee_include(
        self,
        chosen: &ChosenTask<'p>,
        include: &crate::playbook::Include,
        scope: &Scope,
    ) -> Result<Option<Vec<ChosenTask<'p>>>, Diagnostics> {
        let list = match inclusions(chosen.place, &chosen.task, include, scope) {
            Ok(list) => list,
            Err(TemplateError::NotYetKnown(_)) => return Ok(None),
            Err(TemplateError::Wrong(problem)) => return Err(Diagnostics(vec![*problem])),
        };
        let mut all = Vec::new();
        for inclusion in list {
            all.extend(self.added(include, &inclusion)?);
        }
        Ok(Some(all))
    }
}

/// Known in a `rescue`: the task that failed, and its result.
pub(crate) const RESCUE_VARIABLES: [&str; 2] = ["ansible_failed_task", "ansible_failed_result"];

fn is_chosen(task: &Task, options: &Options) -> bool {
    // The end of a section is nobody's task.
    matches!(task.kind, TaskKind::Meta(Meta::EndSection))
        || task.is_selected(&options.tags, &options.skip_tags)
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
