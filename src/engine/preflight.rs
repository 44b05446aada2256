//! Before any connection: every host × task is rendered and every certificate checked, all errors at once.

use super::project::{Book, Mode, Project};
use super::run::Run;
use super::selection;
use super::task::{self, rounds};
use super::variables::{PlayScope, Variables};
use super::wants;
use crate::model::HostName;
use crate::model::text::plural;
use crate::playbook::certificate::{CertificateTask, Confirm, RenderError};
use crate::playbook::{Play, Task, TaskKind};
use crate::source::{Diagnostic, Diagnostics, Node};
use crate::template::{Scope, TemplateError};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashSet;
use std::sync::Arc;

/// What the preflight of a run found.
#[derive(Debug, Default)]
pub struct Findings {
    /// One line each, for the operator.
    pub warnings: Vec<String>,
}

/// Checks everything that can be checked without a connection.
///
/// # Errors
/// All errors, each once with the hosts that it concerns.
pub fn check(run: &Run) -> Result<Findings, Diagnostics> {
    let mut report = Report::default();
    check_start(run, &mut report);
    let mut any = false;
    for (book, loaded) in run.project.books.iter().enumerate() {
        for (play, parsed) in loaded.playbook.plays.iter().enumerate() {
            match hosts(&run.project, &run.variables, book, play) {
                Ok(hosts) => {
                    any |= !hosts.is_empty();
                    check_handlers(parsed, &mut report);
                    let chosen = selection::tasks(&run.project, book, play);
                    check_play(run, loaded, parsed, &chosen, &hosts, &mut report);
                }
                Err(problem) => report.add(problem, None),
            }
        }
    }
    if !any && report.problems.is_empty() && !run.project.options.allow_empty {
        report.add(nobody(run), None);
    }
    report.end()
}

fn nobody(run: &Run) -> Diagnostic {
    let message = match &run.project.options.limit {
        Some(limit) => format!("--limit '{limit}' leaves no host in any play"),
        None => "no play has a host".to_owned(),
    };
    Diagnostic::error(message)
        .help("`--list-hosts` shows the hosts of each play")
        .help("`--allow-empty` makes this no error")
}

fn check_start(run: &Run, report: &mut Report) {
    let Some(name) = &run.project.options.start_at_task else { return };
    if selection::find(&run.project, name).is_none() {
        let plays = run.project.books.iter().flat_map(|book| &book.playbook.plays);
        let titles: Vec<String> =
            plays.flat_map(|play| play.tasks.iter().map(Task::title)).collect();
        let near = crate::source::diagnostic::nearest(name, titles.iter().map(String::as_str));
        let problem = Diagnostic::error(format!("--start-at-task: no task is called '{name}'"));
        report.add(
            match near {
                Some(near) => problem.help(format!("did you mean '{near}'?")),
                None => problem.help("`--list-tasks` shows the tasks of each play"),
            },
            None,
        );
    }
}

/// Hosts of a play, within the limit, in the pattern's order.
///
/// # Errors
/// A pattern that cannot be rendered, is wrong, or matches nothing.
pub fn hosts(
    project: &Project,
    variables: &Variables,
    book: usize,
    play: usize,
) -> Result<Vec<HostName>, Diagnostic> {
    let loaded = &project.books[book];
    let parsed = &loaded.playbook.plays[play];
    let scope = variables.bare_scope(loaded, parsed);
    let pattern = pattern(&scope, &parsed.hosts)?;
    let inventory = &project.inventory;
    let place = parsed.hosts.span.as_ref();
    let selected = match inventory.select(&pattern) {
        Ok(hosts) => hosts,
        Err(_) if project.options.allow_empty => return Ok(Vec::new()),
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
    match &project.options.limit {
        None => Ok(selected),
        Some(limit) => inventory
            .limited(selected, limit)
            .map_err(|error| Diagnostic::error(format!("--limit: {error}"))),
    }
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

fn check_handlers(play: &Play, report: &mut Report) {
    let names: Vec<String> = play
        .handlers
        .iter()
        .flat_map(|handler| [vec![handler.title()], handler.listen.clone()].concat())
        .collect();
    for wanted in play.tasks.iter().chain(&play.handlers).flat_map(|task| &task.notify) {
        let Some(text) = wanted.as_str().filter(|text| !crate::template::is_template(text)) else {
            continue;
        };
        if names.iter().any(|name| name == text) {
            continue;
        }
        let problem = Diagnostic::error(format!("no handler is called '{text}'"));
        let problem = problem.at(wanted.span.as_ref());
        let near = crate::source::diagnostic::nearest(text, names.iter().map(String::as_str));
        report.add(
            match near {
                Some(near) => problem.help(format!("did you mean '{near}'?")),
                None => problem.help("handlers stand in the play's `handlers:`"),
            },
            None,
        );
    }
}

fn check_play(
    run: &Run,
    book: &Book,
    play: &Play,
    chosen: &[usize],
    hosts: &[HostName],
    report: &mut Report,
) {
    let vars = PlayScope::new(book, play, hosts);
    let tasks: Vec<&Task> =
        chosen.iter().map(|index| &play.tasks[*index]).chain(&play.handlers).collect();
    for host in hosts {
        // Names that earlier tasks set when they run.
        let mut later = HashSet::new();
        for task in &tasks {
            match run.variables.task_scope(&vars, host, task) {
                Ok(scope) => {
                    let scope = scope.mark_unknown(later.clone());
                    check_task(run, book, task, host, &scope, report);
                }
                Err(problems) => report.extend(problems, host),
            }
            later.extend(task.register.clone());
            if let TaskKind::SetFact(vars) = &task.kind {
                later.extend(vars.keys().cloned());
            }
        }
    }
}

fn check_task(
    run: &Run,
    book: &Book,
    task: &Task,
    host: &HostName,
    scope: &Scope,
    report: &mut Report,
) {
    let rounds = match rounds(task.looping.as_ref(), scope) {
        Ok(rounds) => rounds,
        Err(TemplateError::Wrong(problem)) => return report.add(*problem, Some(host)),
        Err(TemplateError::NotYetKnown(_)) => return,
    };
    for (scope, _) in rounds {
        match task::holds(&task.when, &scope) {
            Ok(true) => {}
            Ok(false) | Err(TemplateError::NotYetKnown(_)) => continue,
            Err(TemplateError::Wrong(problem)) => {
                report.add(*problem, Some(host));
                continue;
            }
        }
        for node in templates(task) {
            if let Err(TemplateError::Wrong(problem)) = scope.render(node) {
                report.add(*problem, Some(host));
            }
        }
        if let TaskKind::Certificate(spec) = &task.kind {
            match wants::want(run, book, task, spec, host, &scope) {
                Ok(want) => {
                    report.warn(want.warnings);
                    if let Some(problem) = nobody_to_ask(run, &want.wanted.certificate) {
                        report.add(problem, Some(host));
                    }
                }
                Err(RenderError::Wrong(problems)) => report.extend(problems, host),
                Err(RenderError::NotYetKnown(name)) => {
                    let title = task.title();
                    report.warn([format!(
                        "task '{title}' needs '{name}', which is known only when the play runs: its \
                         certificates are checked then"
                    )]);
                }
            }
        }
    }
}

/// A change that waits for a person is not begun where there is none: it would be made and taken back.
fn nobody_to_ask(run: &Run, certificate: &CertificateTask) -> Option<Diagnostic> {
    let changes = match run.project.options.mode {
        Mode::Apply | Mode::Earlier(_) => true,
        Mode::Plan | Mode::Survey => false,
    };
    let asks = changes && certificate.confirm == Confirm::Prompt;
    (asks && !run.operator.is_there()).then(|| {
        Diagnostic::error("`confirm: prompt` needs a person, but standard input is no terminal")
            .at(certificate.span.as_ref())
            .help("run it from a terminal, or say `confirm: auto`")
    })
}

/// The values of a task that every host can render before the run. What may depend on the task's own
/// result (`until`, `changed_when`, …) is left out.
fn templates(task: &Task) -> Vec<&Node> {
    let mut nodes: Vec<&Node> = task.name.iter().chain(&task.delegate_to).collect();
    nodes.extend(task.notify.iter());
    nodes.extend(task.environment.values());
    let becoming = &task.becoming;
    let account =
        [&becoming.enabled, &becoming.user, &becoming.method, &becoming.flags, &becoming.exe];
    nodes.extend(account.into_iter().flatten());
    match &task.kind {
        TaskKind::Command(command) => {
            nodes.extend(&command.words);
            let more = [
                &command.chdir,
                &command.creates,
                &command.removes,
                &command.stdin,
                &command.timeout,
            ];
            nodes.extend(more.into_iter().flatten());
        }
        TaskKind::Debug { message, .. } | TaskKind::Fail { message } => nodes.extend(message),
        TaskKind::Pause { duration, prompt, .. } => nodes.extend(duration.iter().chain(prompt)),
        TaskKind::WaitFor(wait) => {
            let more = [
                &wait.host,
                &wait.port,
                &wait.path,
                &wait.state,
                &wait.delay,
                &wait.timeout,
                &wait.sleep,
                &wait.message,
            ];
            nodes.extend(more.into_iter().flatten());
        }
        TaskKind::SetFact(vars) => nodes.extend(vars.values()),
        TaskKind::Assert { fail_message, success_message, .. } => {
            nodes.extend(fail_message.iter().chain(success_message));
        }
        TaskKind::Certificate(_) | TaskKind::Meta(_) => {}
    }
    nodes
}

/// Message, and file, line and column where it has a place.
type What = (String, Option<(String, usize, usize)>);

/// Errors by what and where, each with its hosts.
#[derive(Default)]
struct Report {
    problems: IndexMap<What, (Diagnostic, IndexSet<HostName>)>,
    warnings: IndexSet<String>,
}

impl Report {
    fn add(&mut self, problem: Diagnostic, host: Option<&HostName>) {
        let place = problem.span.as_ref();
        let place = place.map(|span| (span.file.name.clone(), span.line, span.column));
        let entry = self.problems.entry((problem.message.clone(), place));
        let (_, hosts) = entry.or_insert_with(|| (problem, IndexSet::new()));
        hosts.extend(host.cloned());
    }

    fn extend(&mut self, problems: Diagnostics, host: &HostName) {
        for problem in problems.0 {
            self.add(problem, Some(host));
        }
    }

    fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    fn end(self) -> Result<Findings, Diagnostics> {
        if self.problems.is_empty() {
            return Ok(Findings { warnings: self.warnings.into_iter().collect() });
        }
        let problems = self.problems.into_values().map(|(problem, hosts)| {
            if hosts.is_empty() {
                return problem;
            }
            let shown: Vec<&str> = hosts.iter().take(5).map(HostName::as_str).collect();
            let more = hosts.len().saturating_sub(5);
            let more = if more > 0 {
                format!(" and {} more", plural(more, "host"))
            } else {
                String::new()
            };
            problem.help(format!("for {}{more}", shown.join(", ")))
        });
        Err(Diagnostics(problems.collect()))
    }
}

impl Variables {
    /// Variables that are there without any host: for a play's `hosts`.
    pub fn bare_scope(&self, book: &Book, play: &Play) -> Scope {
        let layers = vec![Arc::new(play.vars.clone()), self.extra_layer()];
        Scope::new(Arc::clone(&book.templates), layers)
    }
}
