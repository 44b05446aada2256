//! The `certificate` task: its keys as written, and its plain types once rendered.

use super::reader::{Reader, wrong_type};
use super::values::Values;
use crate::model::{Backoff, CommandLine, Endpoint, FileMode, StartTls, Via};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostics, Node, Span, Value};
use crate::template::Scope;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The task as written. Every value is still a template.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    keys: Keys,
    span: Option<Span>,
}

#[derive(Clone, Debug, Default)]
struct Keys {
    service: Option<Node>,
    source: Option<Node>,
    dest: Option<Node>,
    certificates: Option<Node>,
    owner: Option<Node>,
    group: Option<Node>,
    mode: Option<Node>,
    key_owner: Option<Node>,
    key_group: Option<Node>,
    key_mode: Option<Node>,
    validate: Option<Node>,
    reload: Option<Node>,
    verify: Option<Node>,
    checks: Option<Node>,
    confirm: Option<Node>,
    backups: Option<Node>,
    validate_timeout: Option<Node>,
    reload_timeout: Option<Node>,
    confirm_timeout: Option<Node>,
    warn_days: Option<Node>,
}

const SOURCE: [&str; 5] = ["cert", "chain", "key", "key_passphrase", "key_passphrase_file"];
const DEST: [&str; 4] = ["cert", "chain", "key", "combined"];
const PAIR: [&str; 2] = ["source", "dest"];
const VERIFY: [&str; 11] = [
    "endpoint",
    "server_name",
    "starttls",
    "via",
    "timeout",
    "attempts",
    "backoff",
    "max_backoff",
    "trust",
    "addresses",
    "consecutive",
];
/// `True` is how YAML 1.1 reads an unquoted `on`.
const CHECK: [&str; 5] = ["command", "shell", "on", "timeout", "True"];

impl CertificateSpec {
    /// Reads the keys; unknown ones are errors, also in the mappings within.
    pub(super) fn parse(node: &Node, found: &mut Diagnostics) -> Option<Self> {
        let mut reader = Reader::new(node, "certificate", found)?;
        let keys = Keys {
            service: reader.node("service"),
            source: reader.node("source"),
            dest: reader.node("dest"),
            certificates: reader.node("certificates"),
            owner: reader.node("owner"),
            group: reader.node("group"),
            mode: reader.node("mode"),
            key_owner: reader.node("key_owner"),
            key_group: reader.node("key_group"),
            key_mode: reader.node("key_mode"),
            validate: reader.node("validate"),
            reload: reader.node("reload"),
            verify: reader.node("verify"),
            checks: reader.node("checks"),
            confirm: reader.node("confirm"),
            backups: reader.node("backups"),
            validate_timeout: reader.node("validate_timeout"),
            reload_timeout: reader.node("reload_timeout"),
            confirm_timeout: reader.node("confirm_timeout"),
            warn_days: reader.node("warn_days"),
        };
        reader.finish(found);
        keys.check_shape(node, found);
        Some(Self { keys, span: node.span.clone() })
    }
}

impl Keys {
    /// What can be told without variables.
    fn check_shape(&self, node: &Node, found: &mut Diagnostics) {
        use crate::source::Diagnostic;
        if self.service.is_none() {
            let problem = Diagnostic::error("certificate needs 'service'").at(node.span.as_ref());
            found.push(problem.help("`certroll services` lists them; `files` is the general one"));
        }
        match (&self.source, &self.certificates) {
            (None, None) => {
                let problem =
                    Diagnostic::error("certificate needs 'source', or a list 'certificates'");
                found.push(problem.at(node.span.as_ref()).help("source: {cert: FILE, key: FILE}"));
            }
            (Some(_), Some(both)) => {
                let problem =
                    Diagnostic::error("'certificates' takes the place of 'source' and 'dest'");
                found.push(problem.at(both.span.as_ref()).help("keep one of the two"));
            }
            _ => {}
        }
        known(self.source.as_ref(), "source", &SOURCE, found);
        known(self.dest.as_ref(), "dest", &DEST, found);
        for pair in self.certificates.iter().filter_map(Node::as_list).flatten() {
            known(Some(pair), "certificates", &PAIR, found);
            known(pair.entry("source"), "source", &SOURCE, found);
            known(pair.entry("dest"), "dest", &DEST, found);
        }
        match self.verify.as_ref().map(|verify| (verify, &verify.value)) {
            Some((_, Value::List(items))) => {
                for item in items.iter().filter(|item| item.as_map().is_some()) {
                    known(Some(item), "verify", &VERIFY, found);
                }
            }
            Some((verify, Value::Map(_))) => known(Some(verify), "verify", &VERIFY, found),
            _ => {}
        }
        for check in self.checks.iter().filter_map(Node::as_list).flatten() {
            known(Some(check), "checks", &CHECK, found);
        }
    }
}

/// Reports keys of a mapping that are not in `allowed`.
fn known(node: Option<&Node>, what: &'static str, allowed: &[&str], found: &mut Diagnostics) {
    use crate::source::Diagnostic;
    let Some(node) = node else { return };
    let Some(entries) = node.as_map() else {
        let templated = node.as_str().is_some_and(crate::template::is_template);
        if !templated {
            found.push(wrong_type(what, "a mapping", node));
        }
        return;
    };
    for (name, _) in entries {
        let text = name.as_str().unwrap_or_default();
        if allowed.contains(&text) {
            continue;
        }
        let problem = Diagnostic::error(format!("unknown key '{text}' in '{what}'"))
            .at(name.span.as_ref())
            .label("not known here");
        let problem = match nearest(text, allowed.iter().copied()) {
            Some(near) => problem.help(format!("did you mean '{near}'?")),
            None => problem,
        };
        let shown: Vec<&str> = allowed.iter().copied().filter(|key| *key != "True").collect();
        found.push(problem.help(format!("known keys: {}", shown.join(", "))));
    }
}

/// The task for one host, rendered.
#[derive(Clone, Debug)]
pub struct CertificateTask {
    /// Profile names, in order.
    pub services: Vec<String>,
    /// One per certificate.
    pub pairs: Vec<Pair>,
    /// Owners and modes as the task says.
    pub ownership: Ownership,
    /// `None`: as the profile says.
    pub validate: Option<Validation>,
    /// `None`: as the profile says.
    pub reload: Option<ReloadChoice>,
    /// Where to look.
    pub verify: VerifyChoice,
    /// The operator's own checks.
    pub checks: Vec<Check>,
    /// Who confirms.
    pub confirm: Confirm,
    /// Generations to keep.
    pub backups: u32,
    /// Limit of each validation.
    pub validate_timeout: Duration,
    /// Limit of each reload.
    pub reload_timeout: Duration,
    /// How long the host waits for the confirmation.
    pub confirm_timeout: Option<Duration>,
    /// Certificates that end within this time are worth a warning.
    pub expiry_warning: Duration,
    /// Where the task is.
    pub span: Option<Span>,
}

/// One certificate: files here, and there.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Certificate file on the controller.
    pub cert: PathBuf,
    /// Intermediates in a file of their own.
    pub chain: Option<PathBuf>,
    /// Key; `None`: the host keeps its own.
    pub key: Option<PathBuf>,
    /// Opens an encrypted key.
    pub passphrase: Option<Passphrase>,
    /// Destinations; the profile fills in what is missing.
    pub dest: Dest,
    /// Where it is written.
    pub span: Option<Span>,
}

/// Where the passphrase of a key comes from.
#[derive(Clone, Debug)]
pub enum Passphrase {
    /// A variable, which belongs in a vault.
    Given(crate::model::Secret<String>),
    /// A file on the controller.
    File(PathBuf),
}

/// Paths on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dest {
    /// Certificate file.
    pub cert: Option<String>,
    /// Intermediates in a file of their own.
    pub chain: Option<String>,
    /// Key file.
    pub key: Option<String>,
    /// Everything in one file.
    pub combined: Option<String>,
}

/// Owners and modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Of certificate files, and of keys without `key_owner`.
    pub owner: Option<String>,
    /// Likewise.
    pub group: Option<String>,
    /// Of certificate files only.
    pub mode: Option<FileMode>,
    /// Of files that hold a key.
    pub key_owner: Option<String>,
    /// Of files that hold a key.
    pub key_group: Option<String>,
    /// Of files that hold a key.
    pub key_mode: Option<FileMode>,
}

/// `validate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validation {
    /// `false`.
    Off,
    /// `boot`: the service itself, started in private namespaces.
    Boot,
    /// A command.
    Command(CommandLine),
}

/// `reload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadChoice {
    /// `none` or `false`: the service notices by itself.
    None,
    /// A command.
    Command(CommandLine),
}

/// `verify`.
#[derive(Clone, Debug)]
pub enum VerifyChoice {
    /// The profile's usual places.
    Profile,
    /// `false`.
    Off,
    /// These.
    Endpoints(Vec<VerifySpec>),
}

/// One endpoint to look at.
#[derive(Clone, Debug)]
pub struct VerifySpec {
    /// `None`: the profile's ports on the host's address.
    pub endpoint: Option<Endpoint>,
    /// SNI.
    pub server_name: Option<String>,
    /// `None`: as the profile says for that port, else none.
    pub starttls: Option<StartTls>,
    /// From where.
    pub via: Via,
    /// Per attempt.
    pub timeout: Duration,
    /// Attempts and waits.
    pub backoff: Backoff,
    /// Roots to which the chain must lead.
    pub trust: Option<Trust>,
    /// Every address of the name.
    pub all_addresses: bool,
    /// Equal answers in a row.
    pub consecutive: u32,
}

impl Default for VerifySpec {
    fn default() -> Self {
        Self {
            endpoint: None,
            server_name: None,
            starttls: None,
            via: Via::Controller,
            timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            trust: None,
            all_addresses: false,
            consecutive: 1,
        }
    }
}

/// `trust`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The controller's own roots.
    System,
    /// Roots in this file.
    File(PathBuf),
}

/// One check of the operator's own.
#[derive(Clone, Debug)]
pub struct Check {
    /// What to run.
    pub command: CommandLine,
    /// Where.
    pub on: CheckOn,
    /// Limit.
    pub timeout: Duration,
}

/// Where a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOn {
    /// Here.
    Controller,
    /// There.
    Host,
}

/// Who confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// certroll, after the checks.
    Auto,
    /// A person, batch by batch.
    Prompt,
}

/// Why a task could not be rendered for a host.
#[derive(Clone, Debug)]
pub enum RenderError {
    /// Everything that is wrong.
    Wrong(Diagnostics),
    /// It needs a name that only the run sets.
    NotYetKnown(String),
}

/// Renders the task for one host. `directory` is where relative source paths start.
///
/// # Errors
/// All problems of the task at once.
pub fn render(
    spec: &CertificateSpec,
    scope: &Scope,
    directory: &Path,
) -> Result<CertificateTask, RenderError> {
    let keys = &spec.keys;
    let mut values = Values::new(scope);
    let task = CertificateTask {
        services: services(keys.service.as_ref(), &mut values),
        pairs: pairs(spec, directory, &mut values),
        ownership: Ownership {
            owner: values.text(keys.owner.as_ref()),
            group: values.text(keys.group.as_ref()),
            mode: values.mode(keys.mode.as_ref()),
            key_owner: values.text(keys.key_owner.as_ref()),
            key_group: values.text(keys.key_group.as_ref()),
            key_mode: values.mode(keys.key_mode.as_ref()),
        },
        validate: validation(keys.validate.as_ref(), &mut values),
        reload: reload(keys.reload.as_ref(), &mut values),
        verify: verify(keys.verify.as_ref(), directory, &mut values),
        checks: checks(keys.checks.as_ref(), &mut values),
        confirm: confirm(keys.confirm.as_ref(), &mut values),
        backups: values
            .number(keys.backups.as_ref(), 0..=1000)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(3),
        validate_timeout: limit(keys.validate_timeout.as_ref(), 30, &mut values),
        reload_timeout: limit(keys.reload_timeout.as_ref(), 30, &mut values),
        confirm_timeout: values.duration(keys.confirm_timeout.as_ref()),
        expiry_warning: {
            let days = values.number(keys.warn_days.as_ref(), 0..=3650).unwrap_or(21);
            Duration::from_secs(86_400 * u64::try_from(days).unwrap_or(0))
        },
        span: spec.span.clone(),
    };
    if values.found.has_errors() {
        return Err(RenderError::Wrong(values.found));
    }
    match values.not_yet_known {
        Some(name) => Err(RenderError::NotYetKnown(name)),
        None => Ok(task),
    }
}

fn limit(node: Option<&Node>, default: u64, values: &mut Values<'_>) -> Duration {
    let limit = values.duration(node).unwrap_or(Duration::from_secs(default));
    if limit < Duration::from_secs(1)
        && let Some(node) = node
    {
        values.wrong(node, "this limit is too short", "at least one second");
    }
    limit
}

fn services(node: Option<&Node>, values: &mut Values<'_>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let names = match values.json(node) {
        Some(serde_json::Value::String(name)) => vec![name],
        Some(serde_json::Value::Array(items)) if !items.is_empty() => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(_) => {
            values.wrong(
                node,
                "'service' takes a name or a list of names",
                "`certroll services` lists them",
            );
            Vec::new()
        }
        None => Vec::new(),
    };
    names.iter().map(|name| name.trim().to_owned()).collect()
}

fn pairs(spec: &CertificateSpec, directory: &Path, values: &mut Values<'_>) -> Vec<Pair> {
    let keys = &spec.keys;
    let Some(list) = &keys.certificates else {
        let Some(source) = &keys.source else { return Vec::new() };
        return pair(source, keys.dest.as_ref(), directory, values).into_iter().collect();
    };
    // A template may give the whole list.
    let rendered;
    let items = match &list.value {
        Value::List(items) => items,
        _ => {
            let Some(value) = values.json(list) else { return Vec::new() };
            rendered = from_json(&value, list.span.as_ref());
            match &rendered.value {
                Value::List(items) => items,
                _ => {
                    values.wrong(list, "'certificates' takes a list", "");
                    return Vec::new();
                }
            }
        }
    };
    if items.is_empty() {
        values.wrong(list, "'certificates' is empty", "");
    }
    let mut pairs = Vec::new();
    for item in items {
        match item.entry("source") {
            Some(source) => pairs.extend(pair(source, item.entry("dest"), directory, values)),
            None => values.wrong(item, "each certificate needs 'source' and 'dest'", ""),
        }
    }
    pairs
}

fn pair(
    source: &Node,
    dest: Option<&Node>,
    directory: &Path,
    values: &mut Values<'_>,
) -> Option<Pair> {
    let mut path = |key| {
        let node = source.entry(key).filter(|node| node.value != Value::Null);
        values.text(node).map(|text| local_path(&text, directory))
    };
    let (cert, chain, key) = (path("cert"), path("chain"), path("key"));
    let passphrase_file = path("key_passphrase_file").map(Passphrase::File);
    let given = values.text(source.entry("key_passphrase"));
    let passphrase = given.map(|text| Passphrase::Given(text.into())).or(passphrase_file);
    let mut remote = |key| values.text(dest.and_then(|dest| dest.entry(key)));
    let dest = Dest {
        cert: remote("cert"),
        chain: remote("chain"),
        key: remote("key"),
        combined: remote("combined"),
    };
    if source.entry("cert").is_none() {
        values.wrong(source, "'source' needs 'cert'", "source: {cert: FILE, key: FILE}");
    }
    for path in [&dest.cert, &dest.chain, &dest.key, &dest.combined].into_iter().flatten() {
        if let Err(error) = crate::model::RemotePath::new(path.as_bytes().to_vec()) {
            values.wrong(source, format!("dest '{path}': {error}"), "paths on hosts are absolute");
        }
    }
    Some(Pair { cert: cert?, chain, key, passphrase, dest, span: source.span.clone() })
}

/// `~` is the home directory, as in Ansible; other relative paths start beside the playbook.
fn local_path(text: &str, directory: &Path) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => directory.join(text),
    }
}

fn from_json(value: &serde_json::Value, span: Option<&Span>) -> Node {
    use serde_json::Value as Json;
    let inner = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Unsafe(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(|item| from_json(item, span)).collect()),
        Json::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| (Node::text(key.as_str()), from_json(value, span)))
                .collect(),
        ),
    };
    Node { value: inner, span: span.cloned() }
}

fn validation(node: Option<&Node>, values: &mut Values<'_>) -> Option<Validation> {
    let node = node?;
    match &node.value {
        Value::Bool(false) => Some(Validation::Off),
        Value::Bool(true) => None,
        _ if matches!(node.as_str(), Some("false" | "none")) => Some(Validation::Off),
        _ if node.as_str() == Some("boot") => Some(Validation::Boot),
        _ => values.command(node).map(Validation::Command),
    }
}

fn reload(node: Option<&Node>, values: &mut Values<'_>) -> Option<ReloadChoice> {
    let node = node?;
    match &node.value {
        Value::Bool(false) => Some(ReloadChoice::None),
        Value::Bool(true) => None,
        _ if matches!(node.as_str(), Some("none" | "false")) => Some(ReloadChoice::None),
        _ => values.command(node).map(ReloadChoice::Command),
    }
}

fn confirm(node: Option<&Node>, values: &mut Values<'_>) -> Confirm {
    let Some(node) = node else { return Confirm::Auto };
    match values.text(Some(node)).as_deref() {
        Some("prompt") => Confirm::Prompt,
        Some("auto") | None => Confirm::Auto,
        Some(_) => {
            values.wrong(node, "'confirm' takes auto or prompt", "");
            Confirm::Auto
        }
    }
}

fn verify(node: Option<&Node>, directory: &Path, values: &mut Values<'_>) -> VerifyChoice {
    let Some(node) = node else { return VerifyChoice::Profile };
    match &node.value {
        Value::Bool(false) => VerifyChoice::Off,
        Value::Bool(true) => VerifyChoice::Profile,
        Value::List(items) => {
            let specs = items.iter().flat_map(|item| endpoint_specs(item, directory, values));
            VerifyChoice::Endpoints(specs.collect())
        }
        Value::Map(_) => VerifyChoice::Endpoints(endpoint_specs(node, directory, values)),
        _ if matches!(node.as_str(), Some("none" | "false")) => VerifyChoice::Off,
        _ => VerifyChoice::Endpoints(endpoint_specs(node, directory, values)),
    }
}

/// One mapping may name several endpoints; a bare text is an endpoint.
fn endpoint_specs(node: &Node, directory: &Path, values: &mut Values<'_>) -> Vec<VerifySpec> {
    if node.as_map().is_none() {
        let endpoint = endpoints(node, values);
        return endpoint
            .into_iter()
            .map(|endpoint| VerifySpec { endpoint: Some(endpoint), ..VerifySpec::default() })
            .collect();
    }
    let entry = |key| node.entry(key).filter(|node| node.value != Value::Null);
    let starttls = entry("starttls").and_then(|node| {
        let name = values.text(Some(node))?;
        let known = StartTls::by_name(&name);
        if known.is_none() {
            let names: Vec<_> = StartTls::NAMES.iter().map(|(name, _)| *name).collect();
            values.wrong(
                node,
                format!("'{name}' is no STARTTLS protocol"),
                &format!("known: {}", names.join(", ")),
            );
        }
        known
    });
    let via = entry("via").and_then(|node| {
        let name = values.text(Some(node))?;
        match name.as_str() {
            "controller" => Some(Via::Controller),
            "host" => Some(Via::Host),
            "bastion" => Some(Via::Bastion),
            _ => {
                values.wrong(
                    node,
                    format!("'via' takes controller, host or bastion, not '{name}'"),
                    "",
                );
                None
            }
        }
    });
    let trust = entry("trust").and_then(|node| match &node.value {
        Value::Bool(false) => None,
        Value::Bool(true) => Some(Trust::System),
        _ => match values.text(Some(node))?.as_str() {
            "system" => Some(Trust::System),
            "none" => None,
            path => Some(Trust::File(local_path(path, directory))),
        },
    });
    let addresses = entry("addresses").and_then(|node| {
        let text = values.text(Some(node))?;
        let known = matches!(text.as_str(), "all" | "first");
        if !known {
            values.wrong(node, format!("'addresses' takes all or first, not '{text}'"), "");
        }
        known.then_some(text == "all")
    });
    let consecutive =
        values.number(entry("consecutive"), 1..=1000).and_then(|n| u32::try_from(n).ok());
    let spec = VerifySpec {
        endpoint: None,
        server_name: values.text(entry("server_name")),
        starttls,
        via: via.unwrap_or_default(),
        timeout: values.duration(entry("timeout")).unwrap_or(Duration::from_secs(10)),
        backoff: values.backoff(entry("attempts"), entry("backoff"), entry("max_backoff")),
        trust,
        all_addresses: addresses.unwrap_or(false),
        consecutive: consecutive.unwrap_or(1),
    };
    match entry("endpoint") {
        None => vec![spec],
        Some(node) => endpoints(node, values)
            .into_iter()
            .map(|endpoint| VerifySpec { endpoint: Some(endpoint), ..spec.clone() })
            .collect(),
    }
}

fn endpoints(node: &Node, values: &mut Values<'_>) -> Vec<Endpoint> {
    let texts = match values.json(node) {
        Some(serde_json::Value::String(text)) => vec![text],
        Some(serde_json::Value::Array(items)) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(_) => {
            values.wrong(node, "'endpoint' takes HOST:PORT or a list of them", "");
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut endpoints = Vec::new();
    for text in texts {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(error) => values.wrong(node, error.to_string(), ""),
        }
    }
    endpoints
}

fn checks(node: Option<&Node>, values: &mut Values<'_>) -> Vec<Check> {
    let Some(node) = node else { return Vec::new() };
    let Some(items) = node.as_list() else {
        values.wrong(node, "'checks' takes a list", "checks: [{command: […], on: controller}]");
        return Vec::new();
    };
    items.iter().filter_map(|item| check(item, values)).collect()
}

fn check(node: &Node, values: &mut Values<'_>) -> Option<Check> {
    let command = match (node.entry("command"), node.entry("shell")) {
        (Some(command), None) => values.command(command)?,
        (None, Some(shell)) => CommandLine::Shell(values.text(Some(shell))?),
        _ => {
            values.wrong(node, "a check needs either 'command' or 'shell'", "");
            return None;
        }
    };
    let on = match node.entry("on").or_else(|| node.entry("True")) {
        None => CheckOn::Controller,
        Some(on) => match values.text(Some(on)).as_deref() {
            Some("controller") => CheckOn::Controller,
            Some("host") => CheckOn::Host,
            _ => {
                values.wrong(on, "'on' takes controller or host", "");
                return None;
            }
        },
    };
    Some(Check { command, on, timeout: limit(node.entry("timeout"), 30, values) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::render::render as shown;
    use crate::source::{SourceFile, Vars, yaml};
    use crate::template::Templates;
    use std::sync::Arc;

    fn rendered(text: &str) -> Result<CertificateTask, RenderError> {
        let (node, _) = yaml::parse(&SourceFile::new("task.yml", text)).unwrap();
        let mut found = Diagnostics::default();
        let spec = CertificateSpec::parse(&node, &mut found).unwrap();
        assert!(!found.has_errors(), "{}", shown(&found, false, 100));
        let templates = Templates::new(PathBuf::from("."), Arc::new(|_| Err("no".to_owned())));
        let vars = Vars::from([
            ("host".to_owned(), Node::text("h1")),
            ("odd".to_owned(), Node::text("a b; $(c) 'd")),
        ]);
        let scope =
            Scope::new(templates, vec![Arc::new(vars)]).mark_unknown(["later".to_owned()].into());
        render(&spec, &scope, Path::new("/play"))
    }

    fn refused(text: &str) -> String {
        match rendered(text) {
            Err(RenderError::Wrong(found)) => shown(&found, false, 100),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn every_key_becomes_its_type() {
        let task = rendered(
            "service: [postfix, dovecot]\nsource: {cert: 'c/{{ host }}.pem', key: /k.pem}\n\
             dest: {cert: /etc/c.pem, key: /etc/k.pem}\nowner: root\nmode: '0644'\nkey_mode: 0600\n\
             validate: postfix check\nreload: [postfix, reload, '{{ odd }}']\nconfirm: prompt\nbackups: 5\n\
             validate_timeout: 1m\nverify:\n- {endpoint: ['{{ host }}:25', 'x:587'], starttls: smtp, attempts: 5, \
             backoff: 2s, max_backoff: 2s}\n- '[::1]:993'\nchecks:\n- {command: CHECK, on: host}\n"
                .replace("CHECK", "'curl -f {{ odd }}'")
                .as_str(),
        )
        .unwrap();
        assert_eq!(task.services, ["postfix", "dovecot"]);
        assert_eq!(task.pairs[0].cert, Path::new("/play/c/h1.pem"));
        assert_eq!(task.pairs[0].key.as_deref(), Some(Path::new("/k.pem")));
        assert_eq!(task.ownership.key_mode, Some(FileMode::new(0o600)));
        let argv =
            |words: &[&str]| CommandLine::Argv(words.iter().map(|&w| w.to_owned()).collect());
        assert_eq!(task.validate, Some(Validation::Command(argv(&["postfix", "check"]))));
        let reload = argv(&["postfix", "reload", "a b; $(c) 'd"]);
        assert_eq!(task.reload, Some(ReloadChoice::Command(reload)));
        assert_eq!(task.checks[0].command, argv(&["curl", "-f", "a b; $(c) 'd"]));
        assert_eq!(task.validate_timeout, Duration::from_secs(60));
        let VerifyChoice::Endpoints(specs) = &task.verify else { panic!() };
        let places: Vec<_> =
            specs.iter().map(|s| s.endpoint.as_ref().unwrap().to_string()).collect();
        assert_eq!(places, ["h1:25", "x:587", "[::1]:993"]);
        assert_eq!(specs[0].backoff.waits().map(|w| w.as_secs()).collect::<Vec<_>>(), [2, 2, 2, 2]);
    }

    #[test]
    fn every_wrong_value_is_told_at_once() {
        insta::assert_snapshot!(refused(
            "service: nginx\nsource: {cert: a.pem}\ndest: {cert: relative.pem}\nmode: 640\n\
             verify: {endpoint: nowhere, timeout: soon, starttls: tls}\nconfirm: maybe\nowner: '{{ hots }}'\n"
        ));
    }

    #[test]
    fn what_the_run_will_set_is_not_an_error() {
        let result = rendered("service: nginx\nsource: {cert: '{{ later.stdout }}'}\n");
        assert!(matches!(result, Err(RenderError::NotYetKnown(name)) if name == "later"));
    }
}
