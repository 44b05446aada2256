//! The values that arguments may have: hosts, groups, tags, tasks, profiles, methods, runs.
//!
//! What is encrypted stays closed, and what cannot be read has no candidates.

use crate::cli::args::{InventorySource, RunArgs};
use crate::cli::settings::Settings;
use crate::cli::{history, project};
use crate::inputs::project::Project;
use crate::inputs::verb::Verb;
use crate::inventory::{self, Inventory, LoadOptions};
use crate::services::Profiles;
use clap::{Arg, ArgMatches, Command, FromArgMatches};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A word, and what it is.
type Candidate = (String, String);

/// What the command line says so far.
pub(super) struct Values<'c> {
    command: &'c Command,
    matches: Option<ArgMatches>,
}

impl<'c> Values<'c> {
    /// Of a line that need not be right yet; its last word is not read.
    pub(super) fn of(command: &'c Command, words: &[String]) -> Self {
        let before = words.split_last().map(|(_, before)| before).unwrap_or_default();
        // A flag that waits for the word under the cursor has no value yet.
        let before = match before.split_last() {
            Some((flag, before)) if flag.starts_with('-') => before,
            _ => before,
        };
        let lenient = command.clone().ignore_errors(true).arg_required_else_help(false);
        let matches = lenient.try_get_matches_from(before).ok();
        Self { command, matches }
    }

    /// What an argument of a verb may be; none: this is not known here.
    pub(super) fn of_arg(&self, verb: &str, arg: &Arg, typed: &str) -> Option<Vec<Candidate>> {
        let possible = arg.get_possible_values();
        if !possible.is_empty() {
            let about = |value: &clap::builder::PossibleValue| {
                let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                (value.get_name().to_owned(), help)
            };
            return Some(possible.iter().filter(|one| !one.is_hide_set()).map(about).collect());
        }
        match (verb, arg.get_id().as_str()) {
            (_, "limit" | "pattern") => Some(self.patterns(typed)),
            ("inventory", "host") => Some(bare(self.hosts())),
            ("inventory", "group") => Some(bare(self.groups())),
            (_, "tags" | "skip_tags") => Some(self.tags(typed)),
            (_, "start_at_task") => Some(bare(self.titles())),
            (_, "become_method") => Some(bare(["sudo", "doas", "su"].map(str::to_owned))),
            (_, "connection") => Some(bare(["ssh", "local"].map(str::to_owned))),
            ("services", "show") => Some(self.profiles()),
            (_, "resume" | "of_run" | "run") => Some(runs()),
            ("man", "verb") => Some(self.verbs()),
            _ => None,
        }
    }

    fn verbs(&self) -> Vec<Candidate> {
        bare(self.command.get_subcommands().map(|verb| verb.get_name().to_owned()))
    }

    /// The arguments of the verb.
    fn verb(&self) -> Option<&ArgMatches> {
        let mut matches = self.matches.as_ref()?;
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        Some(matches)
    }

    fn inventory(&self) -> Option<Inventory> {
        let settings = Settings::read().ok()?;
        let mut source = InventorySource::from_arg_matches(self.verb()?).ok()?;
        settings.fill_sources(&mut source);
        // A file that is encrypted as a whole holds no host's name.
        let closed = |_: &str| Ok("{}".to_owned());
        let options = LoadOptions { playbook_directories: Vec::new(), decrypt: &closed };
        let mut sources = project::named_sources(&source);
        // A key that only asks runs no program of the inventory.
        sources.retain(|source| !inventory::runs_a_program(Path::new(source)));
        inventory::load(&sources, &options).ok().map(|(loaded, _)| loaded)
    }

    fn hosts(&self) -> Vec<String> {
        let inventory = self.inventory().unwrap_or_default();
        inventory.hosts().iter().map(ToString::to_string).collect()
    }

    fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> =
            self.inventory().unwrap_or_default().groups().into_keys().collect();
        if !groups.iter().any(|group| group == "all") {
            groups.push("all".to_owned());
        }
        groups
    }

    /// Hosts and groups for the last part of a pattern.
    fn patterns(&self, typed: &str) -> Vec<Candidate> {
        let part = typed.rfind([',', ':']).map_or(0, |at| at + 1);
        let sign = typed[part..].starts_with(['!', '&']);
        let before = &typed[..part + usize::from(sign)];
        let earlier = ["failed", "unreachable", "changed"].map(|word| {
            (format!("{before}@{word}"), "of the last run; @WORD:RUN of another".to_owned())
        });
        let groups =
            self.groups().into_iter().map(|name| (format!("{before}{name}"), "group".to_owned()));
        let hosts =
            self.hosts().into_iter().map(|name| (format!("{before}{name}"), "host".to_owned()));
        let mut seen = BTreeSet::new();
        let all = groups.chain(hosts).chain(earlier);
        all.filter(|(word, _)| seen.insert(word.clone())).collect()
    }

    fn project(&self) -> Option<Project> {
        let mut run = RunArgs::from_arg_matches(self.verb()?).ok()?;
        Settings::read().ok()?.fill_sources(&mut run.inventory);
        // Nobody is asked, and no program of an inventory or for passwords is run: tags and names are the playbook's.
        run.inventory.sources = vec!["localhost,".to_owned()];
        run.inventory.ask_vault_pass = false;
        run.inventory.vault_ids.clear();
        run.inventory.vault_password_files.clear();
        (run.tags, run.skip_tags, run.start_at_task) = (Vec::new(), Vec::new(), None);
        project::load(&run, Verb::Plan).ok().map(|loaded| loaded.project)
    }

    /// Tags for the last part of a list.
    fn tags(&self, typed: &str) -> Vec<Candidate> {
        let before = &typed[..typed.rfind(',').map_or(0, |at| at + 1)];
        let Some(project) = self.project() else { return Vec::new() };
        let tasks = project.plays().flat_map(|at| at.all_tasks().chain(at.handlers()));
        let tags: BTreeSet<String> = tasks.flat_map(|chosen| chosen.task.tags.clone()).collect();
        bare(tags.into_iter().map(|tag| format!("{before}{tag}")))
    }

    fn titles(&self) -> Vec<String> {
        let Some(project) = self.project() else { return Vec::new() };
        project.plays().flat_map(|at| at.all_tasks()).map(|chosen| chosen.task.title()).collect()
    }

    fn profiles(&self) -> Vec<Candidate> {
        let dir = self.verb().and_then(|verb| verb.try_get_one::<PathBuf>("dir").ok().flatten());
        let dir = dir.cloned().unwrap_or_else(|| PathBuf::from("services"));
        let Ok((profiles, _)) = Profiles::load(&[dir]) else { return Vec::new() };
        let rows = crate::services::list(&profiles);
        rows.into_iter().map(|row| (row.name, row.description)).collect()
    }
}

fn bare(words: impl IntoIterator<Item = String>) -> Vec<Candidate> {
    words.into_iter().map(|word| (word, String::new())).collect()
}

/// The runs that are recorded.
fn runs() -> Vec<Candidate> {
    let listed = history::store().ok().and_then(|store| store.list().ok()).unwrap_or_default();
    let run = |listed: &crate::journal::Listed| {
        let name: String = listed.start.run.chars().take(8).collect();
        (name, format!("{} {}", listed.start.command, listed.start.playbooks.join(" ")))
    };
    let last = ("last".to_owned(), "the last one".to_owned());
    listed.iter().map(run).chain([last]).collect()
}
