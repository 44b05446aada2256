//! `--list-hosts` and `--list-tasks`: what a run would go over.

use super::args::RunArgs;
use crate::engine::project::Project;
use crate::engine::variables::Variables;
use crate::engine::{preflight, selection};
use crate::report::list::{PlayListing, PlaybookListing, TaskListing, What, render};
use crate::source::Diagnostics;
use std::sync::Arc;

/// The listing that the flags ask for; `None`: they ask for none.
///
/// # Errors
/// Host patterns that are wrong.
pub(super) fn listing(args: &RunArgs, project: &Project) -> Result<Option<String>, Diagnostics> {
    let what = What { hosts: args.list_hosts, tasks: args.list_tasks };
    if !what.hosts && !what.tasks {
        return Ok(None);
    }
    let variables = Arc::new(Variables::new(project));
    let mut found = Diagnostics::default();
    let mut books = Vec::new();
    for (index, book) in project.books.iter().enumerate() {
        let mut listing =
            PlaybookListing { playbook: book.playbook.name.clone(), plays: Vec::new() };
        for (number, play) in book.playbook.plays.iter().enumerate() {
            let hosts = match preflight::hosts(project, &variables, index, number) {
                Ok(hosts) => hosts,
                Err(problem) => {
                    found.push(problem);
                    continue;
                }
            };
            let patterns = match play.hosts.as_list() {
                Some(list) => list.iter().filter_map(|one| one.as_str()).collect(),
                None => Vec::from_iter(play.hosts.as_str()),
            };
            let tasks = selection::tasks(project, index, number).into_iter().map(|task| {
                let task = &play.tasks[task];
                TaskListing { name: task.title(), tags: task.tags.clone() }
            });
            listing.plays.push(PlayListing {
                patterns: patterns.into_iter().map(str::to_owned).collect(),
                name: play.name.clone(),
                tags: play.tags.clone(),
                hosts,
                tasks: tasks.collect(),
            });
        }
        books.push(listing);
    }
    if found.has_errors() { Err(found) } else { Ok(Some(render(&books, what))) }
}
