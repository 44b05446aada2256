//! What a certificate task wants of a host: the task rendered, its profiles found, its files checked.

use super::bundles::{Bundles, uncovered};
use super::project::Book;
use super::selection::ChosenTask;
use crate::host::{Attributes, Inspection};
use crate::model::{Fingerprint, HostName, RemotePath};
use crate::plan::destinations::{ask_what_is_there, destinations};
use crate::plan::error::PlanError;
use crate::plan::held::HeldTask;
use crate::plan::left_open::{is_left_open, is_open};
use crate::plan::request::{CertificateRequest, ConfigContent, Content, Material};
use crate::plan::variants::Variants;
use crate::playbook::certificate::{
    self, CertificateSpec, CertificateTask, Pair, RenderError, Store, Trust, VerifyChoice,
};
use crate::services::{self, Profile};
use crate::source::{Diagnostic, Diagnostics, Node};
use crate::template::{Scope, TemplateError};
use crate::verify::Roots;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A task for one host, and what deserves attention.
pub(crate) struct Want {
    /// The task.
    pub wanted: Arc<CertificateRequest>,
    /// The same, made concrete for each kind of host.
    pub variants: Arc<Variants>,
    /// One line each; the same for many hosts as a rule.
    pub warnings: Vec<String>,
}

/// Renders a task for a host and checks everything that the controller can check.
///
/// # Errors
/// Everything that is wrong; or a name that only the run sets.
pub(crate) fn want(
    bundles: &Bundles,
    chosen: &ChosenTask<'_>,
    spec: &CertificateSpec,
    host: &HostName,
    scope: &Scope,
) -> Result<Want, RenderError> {
    let (book, task) = (chosen.at.book, &chosen.task);
    let rendered = certificate::render(spec, scope, chosen.at.directory())?;
    let mut found = Diagnostics::default();
    let profiles = profiles(book, &rendered, &mut found);
    let mut warnings = Vec::new();
    let mut notes = Vec::new();
    let pairs = rendered.pairs.len();
    let (mut materials, mut seals) = (Vec::with_capacity(pairs), Vec::with_capacity(pairs));
    if let Some((from, path)) =
        rendered.pairs.iter().flat_map(|pair| bundles.not_fetched(pair)).next()
    {
        return Err(RenderError::NotYetKnown(format!("{path} of {from}")));
    }
    for pair in &rendered.pairs {
        match bundles.load(chosen.place, pair, rendered.expiry_warning) {
            Ok(loaded) => {
                warnings.extend(loaded.warnings.iter().cloned());
                notes.extend(loaded.notes.iter().cloned());
                found.extend(incomplete(&rendered, pair, &loaded.material));
                materials.push(Arc::clone(&loaded.material));
            }
            Err(problems) => found.extend(problems),
        }
        match bundles.seal(pair) {
            Ok(seal) => seals.push(seal),
            Err(problem) => found.push(problem),
        }
    }
    if !found.has_errors() {
        check_names(&rendered, &materials, &mut found);
    }
    let configs = configs(&rendered, scope, task.no_log, &mut found)?;
    let roots = roots(bundles, &rendered, &mut found);
    if found.has_errors() {
        return Err(RenderError::Wrong(found));
    }
    let span = rendered.span.clone();
    let wanted = CertificateRequest {
        host: host.clone(),
        address: address(host, scope),
        task: task.title(),
        certificate: rendered.into(),
        materials,
        configs,
        seals,
        profiles,
        roots,
        allow_experimental: chosen.at.allows_experimental(),
        notes,
    };
    let variants = match Variants::of(&wanted) {
        Ok(variants) => {
            // Which files are meant may be told by the host.
            let is_open = |why: &&PlanError| {
                matches!(why, PlanError::NoDestination { .. }) && is_left_open(&wanted)
            };
            let impossible = variants.impossible().filter(|why| !is_open(why)).cloned();
            impossible.map_or(Ok(variants), Err)
        }
        Err(why) => Err(why),
    };
    let variants = variants.map_err(|why| {
        let problem = Diagnostic::error(why.to_string()).at(span.as_ref());
        RenderError::Wrong(Diagnostics(vec![problem]))
    })?;
    let (wanted, variants) = bundles.alike.hold(wanted, variants);
    Ok(Want { wanted, variants, warnings })
}

/// The files of `with`, rendered for the host.
///
/// # Errors
/// One needs a name that only the run sets.
fn configs(
    rendered: &CertificateTask,
    scope: &Scope,
    no_log: bool,
    found: &mut Diagnostics,
) -> Result<Vec<ConfigContent>, RenderError> {
    let mut configs = Vec::new();
    for file in &rendered.with {
        match certificate::config_content(file, scope) {
            Ok(content) => {
                let digest = Fingerprint::of(content.bytes.expose());
                configs.push(ConfigContent {
                    path: file.path.clone(),
                    content: Content { bytes: Arc::new(content.bytes), digest },
                    hidden: no_log || content.secret,
                    wanted: Attributes {
                        owner: file.owner.clone(),
                        group: file.group.clone(),
                        mode: file.mode,
                    },
                });
            }
            Err(TemplateError::Wrong(problem)) => found.push(*problem),
            Err(TemplateError::NotYetKnown(name)) => return Err(RenderError::NotYetKnown(name)),
        }
    }
    Ok(configs)
}

/// What a task may have left, and where.
pub(crate) struct Places {
    /// Where its files can be.
    pub files: BTreeSet<RemotePath>,
    /// The services whose configuration tells of more such places, where the task leaves open which files are meant.
    pub told_by: Vec<Arc<Profile>>,
    /// What takes the pair in place of files.
    pub store: Option<Store>,
}

/// Where the task's files can be on a host. Looks at no certificate and asks for no command: a host can
/// be repaired without them.
///
/// # Errors
/// Values that are wrong, or a name that only the run sets.
pub(crate) fn paths(
    chosen: &ChosenTask<'_>,
    spec: &CertificateSpec,
    scope: &Scope,
) -> Result<Places, RenderError> {
    let book = chosen.at.book;
    let rendered = certificate::render(spec, scope, chosen.at.directory())?;
    let mut found = Diagnostics::default();
    let profiles = profiles(book, &rendered, &mut found);
    if found.has_errors() {
        Err(RenderError::Wrong(found))
    } else {
        let files = destinations(&rendered, &profiles);
        let told_by = if is_open(&rendered, &profiles) { profiles } else { Vec::new() };
        Ok(Places { files, told_by, store: rendered.store })
    }
}

/// A task as far as it can be told without its certificates.
pub(crate) struct Holding {
    /// The task.
    pub task: HeldTask,
    /// The services, joined by `, `.
    pub services: String,
    /// What to ask of the host.
    pub request: Inspection,
}

/// What can be asked of a host without a look at any certificate; `None` where more than the certificates is wrong.
pub(crate) fn holding(
    chosen: &ChosenTask<'_>,
    spec: &CertificateSpec,
    host: &HostName,
    scope: &Scope,
) -> Option<Holding> {
    let rendered = certificate::render(spec, scope, chosen.at.directory()).ok()?;
    let mut found = Diagnostics::default();
    let profiles = profiles(chosen.at.book, &rendered, &mut found);
    if found.has_errors() {
        return None;
    }
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let services = names.join(", ");
    let request = ask_what_is_there(&rendered, &profiles);
    let (host, title) = (host.clone(), chosen.task.title());
    let address = address(&host, scope);
    let task = HeldTask { host, address, title, certificate: rendered, profiles };
    Some(Holding { task, services, request })
}

/// Where a host is reached from the controller.
fn address(host: &HostName, scope: &Scope) -> String {
    let address = scope.text(&Node::made(crate::source::Value::Text("{{ ansible_host }}".into())));
    address.unwrap_or_else(|_| host.as_str().to_owned())
}

fn profiles(book: &Book, rendered: &CertificateTask, found: &mut Diagnostics) -> Vec<Arc<Profile>> {
    if let Some(store) = &rendered.store {
        return match services::of_store(store.profile()) {
            Ok(profile) => vec![Arc::new(profile)],
            Err(problems) => {
                found.extend(problems);
                Vec::new()
            }
        };
    }
    let mut profiles = Vec::with_capacity(rendered.services.len());
    for service in &rendered.services {
        match book.profiles.shared(&service.name) {
            Ok(profile) => profiles.push(Arc::clone(profile)),
            Err(problem) => found.push(problem.at(rendered.span.as_ref())),
        }
    }
    profiles
}

/// What is wrong with a chain that must be there.
fn incomplete(rendered: &CertificateTask, pair: &Pair, material: &Material) -> Diagnostics {
    let missing = material.bundle.missing_issuer().filter(|_| rendered.chain_required);
    let problem = missing.map(|issuer| {
        let message = format!(
            "the intermediate '{issuer}' is missing, and the task says `chain: required` (cert: {})",
            pair.cert.label()
        );
        let help = "put it behind the certificate in the same file, or name its file in `source.chain`";
        Diagnostic::error(message).at(pair.span.as_ref()).help(help)
    });
    Diagnostics(problem.into_iter().collect())
}

/// Every name that a handshake will ask for is covered by one of the certificates.
fn check_names(rendered: &CertificateTask, materials: &[Arc<Material>], found: &mut Diagnostics) {
    let VerifyChoice::Endpoints(specs) = &rendered.verify else { return };
    for name in specs.iter().filter_map(|spec| spec.server_name.as_deref()) {
        if let Some(problem) = uncovered(name, materials) {
            let mut problem = problem.at(rendered.span.as_ref());
            let files = rendered.pairs.iter().map(|pair| pair.cert.label());
            let files = files.collect::<Vec<_>>().join(", ");
            problem.message = format!("{} (cert: {files})", problem.message);
            found.push(problem);
        }
    }
}

fn roots(
    bundles: &Bundles,
    rendered: &CertificateTask,
    found: &mut Diagnostics,
) -> Vec<(Trust, Roots)> {
    let VerifyChoice::Endpoints(specs) = &rendered.verify else { return Vec::new() };
    let mut roots: Vec<(Trust, Roots)> = Vec::new();
    for trust in specs.iter().filter_map(|spec| spec.trust.as_ref()) {
        if roots.iter().any(|(known, _)| known == trust) {
            continue;
        }
        match bundles.roots(trust) {
            Ok(loaded) => roots.push((trust.clone(), loaded)),
            Err(problem) => found.push(problem.at(rendered.span.as_ref())),
        }
    }
    roots
}
