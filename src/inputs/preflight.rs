//! Before any connection: every host × task is rendered and every certificate checked, all errors at once.

use super::Inputs;
use super::given::Given;
use super::iteration::{all_true, iterations};
use super::play_scope::PlayScope;
use super::project::Options;
use super::selection::{ChosenTask, PlayAt};
use super::verb::Verb;
use super::wants;
use crate::event::RunInputs;
use crate::event::planned::PlanRow;
use crate::model::text::plural;
use crate::model::{Fingerprint, HostName};
use crate::plan::request::CertificateRequest;
use crate::playbook::certificate::{CertificateTask, Confirm, RenderError};
use crate::playbook::modules::{self, ModuleTask};
use crate::playbook::{Task, TaskKind};
use crate::source::{Diagnostic, Diagnostics, Node};
use crate::template::{Scope, TemplateError};
use indexmap::{IndexMap, IndexSet};

/// What the preflight of a run found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// One line each, for the operator.
    pub warnings: Vec<String>,
    /// What the run is given.
    pub inputs: RunInputs,
}

/// The preflight of a run.
struct Preflight<'a> {
    inputs: &'a Inputs,
    /// Somebody can be asked.
    operator: bool,
    report: Report,
    given: Given,
}

/// Checks everything that can be checked without a connection. `operator`: somebody can be asked.
///
/// # Errors
/// All errors, each once with the hosts that it concerns.
pub(crate) fn check(inputs: &Inputs, operator: bool) -> Result<Findings, Diagnostics> {
    let (report, given) = (Report::default(), Given::default());
    let mut preflight = Preflight { inputs, operator, report, given };
    preflight.start();
    let mut any = false;
    for at in inputs.project.plays() {
        match at.hosts(&inputs.variables) {
            Ok(hosts) => {
                any |= !hosts.is_empty();
                preflight.roster(at);
                preflight.play(at, &hosts);
                let selected = at.selected(&inputs.variables).unwrap_or_default();
                preflight.given.plays.push(selected);
            }
            Err(problem) => preflight.report.add(problem, None),
        }
    }
    let Preflight { mut report, given, .. } = preflight;
    let odd = inputs.variables.files.take_warnings().0;
    report.warn(odd.into_iter().map(|warning| warning.to_string()));
    if inputs.project.options.verb.runs_plays() {
        inputs.variables.begin();
    }
    // A fleet that is smaller than its shards leaves some of them without a host.
    let may_be_empty = |options: &Options| options.allow_empty || options.shard.is_some();
    if !any && report.problems.is_empty() && !may_be_empty(&inputs.project.options) {
        report.add(nobody(inputs), None);
    }
    let warnings = report.end()?;
    Ok(Findings { warnings, inputs: given.end(&inputs.project) })
}

fn nobody(inputs: &Inputs) -> Diagnostic {
    let message = match &inputs.project.options.limit {
        Some(limit) => format!("--limit '{limit}' leaves no hosts in any play"),
        None => "no play matches any host".to_owned(),
    };
    Diagnostic::error(message)
        .help("`--list-hosts` shows the hosts of each play")
        .help("with `--allow-empty` this is not an error")
}

impl Preflight<'_> {
    fn start(&mut self) {
        let project = &self.inputs.project;
        let Some(name) = &project.options.start_at_task else { return };
        if project.find_task(name).is_some() {
            return;
        }
        let titles: Vec<String> =
            project.plays().flat_map(PlayAt::all_tasks).map(|chosen| chosen.task.title()).collect();
        let near = crate::source::diagnostic::nearest(name, titles.iter().map(String::as_str));
        let problem = Diagnostic::error(format!("--start-at-task: no task is called '{name}'"));
        self.report.add(
            match near {
                Some(near) => problem.help(format!("did you mean '{near}'?")),
                None => problem.help("`--list-tasks` shows the tasks of each play"),
            },
            None,
        );
    }

    /// Says which hosts joined or left since what settled the run.
    fn roster(&mut self, at: PlayAt<'_>) {
        let Some(roster) = &self.inputs.project.options.roster else { return };
        if let Ok(selected) = at.selected(&self.inputs.variables) {
            self.report.warn(roster.differences(at.number(), &selected));
        }
    }

    fn play(&mut self, at: PlayAt<'_>, hosts: &[HostName]) {
        let vars = PlayScope::new(at.book, at.play, hosts);
        let tasks: Vec<ChosenTask<'_>> = at.possible_tasks().collect();
        self.include(at, &vars, hosts, &tasks);
        let handlers: Vec<ChosenTask<'_>> = at.handlers().collect();
        let added: Vec<ChosenTask<'_>> = at.all_added().collect();
        let every = || tasks.iter().chain(&handlers);
        let sets: Vec<&str> = every().chain(&added).flat_map(|chosen| chosen.task.sets()).collect();
        self.inputs.variables.foresee(hosts, &sets);
        for host in hosts {
            let variables = &self.inputs.variables;
            for (chosen, scope) in at.foresee(variables, &vars, host, every().cloned()) {
                match scope {
                    Ok(scope) => self.task(&vars, &chosen, host, &scope),
                    Err(problems) => self.report.extend(problems, host),
                }
            }
        }
    }

    /// Reads what every host will include, as far as that can be told: handlers and the names that are set there are
    /// known before anything is checked.
    fn include(
        &self,
        at: PlayAt<'_>,
        vars: &PlayScope,
        hosts: &[HostName],
        tasks: &[ChosenTask<'_>],
    ) {
        if !tasks.iter().any(|chosen| matches!(chosen.task.kind, TaskKind::Include(_))) {
            return;
        }
        for host in hosts {
            at.foresee(&self.inputs.variables, vars, host, tasks.iter().cloned());
        }
    }

    fn task(&mut self, vars: &PlayScope, chosen: &ChosenTask<'_>, host: &HostName, scope: &Scope) {
        let task = &chosen.task;
        if let TaskKind::Include(_) = task.kind {
            // The walk has rendered what it includes.
            return;
        }
        let iterations = match iterations(task.looping.as_ref(), scope) {
            Ok(iterations) => iterations,
            Err(TemplateError::Wrong(problem)) => return self.report.add(*problem, Some(host)),
            Err(TemplateError::NotYetKnown(_)) => return,
        };
        let mut index = 0;
        for (scope, _) in iterations {
            match all_true(&task.when, &scope) {
                Ok(true) => {}
                Ok(false) | Err(TemplateError::NotYetKnown(_)) => continue,
                Err(TemplateError::Wrong(problem)) => {
                    self.report.add(*problem, Some(host));
                    continue;
                }
            }
            for node in task.templates() {
                if let Err(TemplateError::Wrong(problem)) = scope.render_unless_omitted(node) {
                    self.report.add(*problem, Some(host));
                }
            }
            for wanted in &task.notify {
                if let Err(problem) = self.handler(vars, chosen, host, wanted, &scope) {
                    self.report.add(*problem, Some(host));
                }
            }
            if let TaskKind::Module(module) = &task.kind {
                self.module(module, host, &scope);
            }
            if let TaskKind::Certificate(spec) = &task.kind {
                match wants::want(&self.inputs.bundles, chosen, spec, host, &scope) {
                    Ok(want) => {
                        if let Err(problem) = self.as_reviewed(chosen, &want.wanted, index) {
                            self.report.add(*problem, Some(host));
                        }
                        index += 1;
                        self.given.add(&want.wanted, &scope);
                        self.report.warn(want.warnings);
                        if let Some(problem) = self.nobody_to_ask(&want.wanted.certificate) {
                            self.report.add(problem, Some(host));
                        }
                    }
                    // Its hosts are asked all the same, and told apart from what could be compared.
                    Err(RenderError::Wrong(_))
                        if self.inputs.project.options.verb == Verb::Status
                            && wants::holding(chosen, spec, host, &scope).is_some() => {}
                    // Nor does a repair need any certificate.
                    Err(RenderError::Wrong(_))
                        if self.inputs.project.options.verb == Verb::Recover
                            && wants::paths(chosen, spec, &scope).is_ok() => {}
                    Err(RenderError::Wrong(problems)) => self.report.extend(problems, host),
                    Err(RenderError::NotYetKnown(name)) => {
                        let title = task.title();
                        self.report.warn([format!(
                            "task '{title}' needs '{name}', which is known only when the play runs: its \
                             certificates are checked then"
                        )]);
                    }
                }
            }
        }
    }

    /// The arguments are right, and the files that they name can be read.
    fn module(&mut self, module: &ModuleTask, host: &HostName, scope: &Scope) {
        let arguments = match module.render(scope) {
            Ok(arguments) => arguments,
            Err(RenderError::NotYetKnown(_)) => return,
            Err(RenderError::Wrong(problems)) => return self.report.extend(problems, host),
        };
        if let Err(TemplateError::Wrong(problem)) = modules::content(module, &arguments, scope) {
            self.report.add(*problem, Some(host));
        }
    }

    /// The names of a handler, rendered with what it sees itself.
    fn answers_to(&self, vars: &PlayScope, host: &HostName, handler: &Task) -> Vec<String> {
        let scope = Some(handler).filter(|handler| handler.is_called_by_template());
        let scope = scope.map(|handler| self.inputs.variables.task_scope(vars, host, handler));
        handler.answers_to(scope.and_then(Result::ok).as_ref())
    }

    /// Each notified name is a handler's. Names may be templates, on either side.
    fn handler(
        &self,
        vars: &PlayScope,
        chosen: &ChosenTask<'_>,
        host: &HostName,
        wanted: &Node,
        scope: &Scope,
    ) -> Result<(), Box<Diagnostic>> {
        // Whatever else is wrong with the name is said where it is rendered.
        let Ok(names) = scope.texts_unless_omitted(wanted) else { return Ok(()) };
        let known: Vec<String> =
            chosen.at.handlers().flat_map(|one| self.answers_to(vars, host, &one.task)).collect();
        let Some(name) = names.into_iter().find(|name| !known.contains(name)) else {
            return Ok(());
        };
        let problem = Diagnostic::error(format!("there is no handler '{name}'"));
        let problem = problem.at(wanted.span.as_ref());
        let near = crate::source::diagnostic::nearest(&name, known.iter().map(String::as_str));
        Err(Box::new(match near {
            Some(near) => problem.help(format!("did you mean '{near}'?")),
            None => problem.help("define it under `handlers:` of this play"),
        }))
    }

    /// The material is the one that was reviewed, where a plan is carried out: nothing else is sent to any host.
    fn as_reviewed(
        &self,
        chosen: &ChosenTask<'_>,
        wanted: &CertificateRequest,
        index: usize,
    ) -> Result<(), Box<Diagnostic>> {
        let roster = self.inputs.project.options.roster.as_ref();
        let Some(reviewed) = roster.and_then(|roster| roster.reviewed.as_ref()) else {
            return Ok(());
        };
        let problem = |message: String| {
            let problem = Diagnostic::error(message).at(wanted.certificate.span.as_ref());
            Box::new(
                problem.help("make a new plan and have it reviewed: `certroll plan --out FILE`"),
            )
        };
        let Some(task) = reviewed.get(&wanted.host, chosen.task.place(), index) else {
            let title = &wanted.task;
            return Err(problem(format!("task '{title}' is not in the plan of this host")));
        };
        let configs = wanted.configs.iter().map(|config| config.content.digest);
        let contents: Vec<Fingerprint> =
            wanted.materials.iter().flat_map(|one| one.digests()).chain(configs).collect();
        let leaves: Vec<Fingerprint> =
            wanted.materials.iter().map(|one| one.leaf.fingerprint).collect();
        // What a file with its own key in it will be only the host can say, and it is asked again.
        let keeps_key = wanted.materials.iter().any(|one| one.bundle.key.is_none());
        let is_wanted = |row: &PlanRow| {
            row.wanted.as_ref().is_some_and(|leaf| leaves.contains(&leaf.fingerprint))
        };
        let odd = |row: &&PlanRow| {
            row.after.is_some_and(|after| !contents.contains(&after))
                && !(keeps_key && is_wanted(row))
        };
        let Some(row) = task.rows.iter().find(odd) else { return Ok(()) };
        let listed: Vec<String> = leaves.iter().map(Fingerprint::to_string).collect();
        let now = listed.join(", ");
        let mut planned = task.rows.iter().filter_map(|row| Some(row.wanted.as_ref()?.fingerprint));
        Err(problem(match (planned.find(|leaf| !leaves.contains(leaf)), row.after) {
            (Some(then), _) => {
                format!("the plan was made for certificate {then}, and now it is {now}")
            }
            (None, Some(after)) => format!(
                "{}: the certificate is the one of the plan ({now}), but its key or chain is written otherwise: the plan \
                 has a file with sha256 {after}",
                row.file
            ),
            // The row was found by what it has there.
            (None, None) => format!("{}: the plan has other content", row.file),
        }))
    }

    /// A change that waits for a person is not begun where there is none: it would be made and rolled back.
    fn nobody_to_ask(&self, certificate: &CertificateTask) -> Option<Diagnostic> {
        let changes = self.inputs.project.options.verb.changes();
        let asks = changes && certificate.confirm == Confirm::Prompt;
        (asks && !self.operator).then(|| {
            Diagnostic::error(
                "`confirm: prompt` needs a person, but standard input is not a terminal",
            )
            .at(certificate.span.as_ref())
            .help("run it from a terminal, or say `confirm: auto`")
        })
    }
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

    /// The warnings.
    ///
    /// # Errors
    /// Whatever is wrong.
    fn end(self) -> Result<Vec<String>, Diagnostics> {
        if self.problems.is_empty() {
            return Ok(self.warnings.into_iter().collect());
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
