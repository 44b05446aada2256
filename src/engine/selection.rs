//! Which tasks of a run are chosen: `--tags`, `--skip-tags`, `--start-at-task`.

use super::project::{Options, Project};
use crate::playbook::Task;

/// The place of a task: playbook, play, task.
pub type Place = (usize, usize, usize);

/// Indices of the tasks of a play that run.
pub fn tasks(project: &Project, book: usize, play: usize) -> Vec<usize> {
    let start = project.options.start_at_task.as_deref().and_then(|name| find(project, name));
    let all = &project.books[book].playbook.plays[play].tasks;
    let chosen = |index: &usize| {
        start.is_none_or(|start| (book, play, *index) >= start)
            && is_chosen(&all[*index], &project.options)
    };
    (0..all.len()).filter(chosen).collect()
}

/// Whether tags choose a task.
pub fn is_chosen(task: &Task, options: &Options) -> bool {
    task.is_selected(&options.tags, &options.skip_tags)
}

/// The first task of that name, or whose name fits the pattern (Ansible, `--start-at-task`).
pub fn find(project: &Project, name: &str) -> Option<Place> {
    let pattern = crate::inventory::glob(name);
    let fits = |task: &Task| {
        let title = task.title();
        let matches = |pattern: &fancy_regex::Regex| pattern.is_match(&title).unwrap_or(false);
        title == name || pattern.as_ref().is_some_and(matches)
    };
    project.books.iter().enumerate().find_map(|(book, loaded)| {
        loaded.playbook.plays.iter().enumerate().find_map(|(play, parsed)| {
            let task = parsed.tasks.iter().position(fits)?;
            Some((book, play, task))
        })
    })
}
