//! The keys of a certificate task as written. Unknown ones are told with the nearest right name.

use crate::playbook::reader::{Reader, wrong_type};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Node, Span, Value};

/// The task as written. Every value is still a template.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    pub(super) keys: Keys,
    pub(super) span: Option<Span>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    pub(super) service: Option<Node>,
    pub(super) kubernetes: Option<Node>,
    pub(super) bigip: Option<Node>,
    pub(super) windows: Option<Node>,
    pub(super) source: Option<Node>,
    pub(super) dest: Option<Node>,
    pub(super) certificates: Option<Node>,
    pub(super) with: Option<Node>,
    pub(super) owner: Option<Node>,
    pub(super) group: Option<Node>,
    pub(super) mode: Option<Node>,
    pub(super) key_owner: Option<Node>,
    pub(super) key_group: Option<Node>,
    pub(super) key_mode: Option<Node>,
    pub(super) validate: Option<Node>,
    pub(super) reload: Option<Node>,
    pub(super) verify: Option<Node>,
    pub(super) checks: Option<Node>,
    pub(super) confirm: Option<Node>,
    pub(super) backups: Option<Node>,
    pub(super) boot_guard: Option<Node>,
    pub(super) allow_input_log: Option<Node>,
    pub(super) allow_no_way_back: Option<Node>,
    pub(super) when_stopped: Option<Node>,
    pub(super) chain: Option<Node>,
    pub(super) lock_timeout: Option<Node>,
    pub(super) validate_timeout: Option<Node>,
    pub(super) reload_timeout: Option<Node>,
    pub(super) confirm_timeout: Option<Node>,
    pub(super) warn_days: Option<Node>,
}

pub(super) const SERVICE: [&str; 6] =
    ["name", "container", "engine", "user", "restart", "in_place"];
pub(super) const SOURCE: [&str; 8] = [
    "host",
    "cert",
    "chain",
    "key",
    "directory",
    "pkcs12",
    "key_passphrase",
    "key_passphrase_file",
];
pub(super) const CONTENT: [&str; 2] = ["content", "command"];
pub(super) const DEST: [&str; 11] = [
    "cert",
    "chain",
    "key",
    "combined",
    "pkcs12",
    "password",
    "password_file",
    "alias",
    "cert_der",
    "key_der",
    "hashed",
];
pub(super) const PAIR: [&str; 3] = ["source", "dest", "service"];
pub(super) const WITH: [&str; 7] =
    ["template", "copy", "content", "dest", "owner", "group", "mode"];
pub(super) const VERIFY: [&str; 12] = [
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
    "proof",
];
/// `True` is how YAML 1.1 reads an unquoted `on`.
const CHECK: [&str; 5] = ["command", "shell", "on", "timeout", "True"];

impl CertificateSpec {
    /// Reads the keys; unknown ones are errors, also in the mappings within.
    pub(in crate::playbook) fn parse(node: &Node, found: &mut Diagnostics) -> Option<Self> {
        let mut reader = Reader::new(node, "certificate", found)?;
        let keys = Keys {
            service: reader.node("service"),
            kubernetes: reader.node("kubernetes"),
            bigip: reader.node("bigip"),
            windows: reader.node("windows"),
            source: reader.node("source"),
            dest: reader.node("dest"),
            certificates: reader.node("certificates"),
            with: reader.node("with"),
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
            boot_guard: reader.node("boot_guard"),
            allow_input_log: reader.node("allow_input_log"),
            allow_no_way_back: reader.node("allow_no_way_back"),
            when_stopped: reader.node("when_stopped"),
            chain: reader.node("chain"),
            lock_timeout: reader.node("lock_timeout"),
            validate_timeout: reader.node("validate_timeout"),
            reload_timeout: reader.node("reload_timeout"),
            confirm_timeout: reader.node("confirm_timeout"),
            warn_days: reader.node("warn_days"),
        };
        reader.finish(found);
        keys.check_shape(node, found);
        without_meaning(&keys, found);
        Some(Self { keys, span: node.span.clone() })
    }

    /// Whether a pair of it may be files of another host.
    pub(crate) fn may_read_hosts(&self) -> bool {
        let may = |source: &Node| source.as_map().is_none() || source.entry("host").is_some();
        let list = self.keys.certificates.as_ref();
        let of_list = |list: &Node| match list.as_list() {
            Some(items) => items.iter().any(|item| item.entry("source").is_none_or(may)),
            None => true,
        };
        self.keys.source.as_ref().is_some_and(may) || list.is_some_and(of_list)
    }
}

impl Keys {
    /// Every entry of `certificates` says which service reads it.
    fn each_has_a_service(&self) -> bool {
        let items = self.certificates.as_ref().and_then(Node::as_list);
        items.is_some_and(|items| items.iter().all(|item| item.entry("service").is_some()))
    }

    /// What can be told without variables.
    fn check_shape(&self, node: &Node, found: &mut Diagnostics) {
        if self.service.is_none() && self.stores().next().is_none() && !self.each_has_a_service() {
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
        for file in self.with.iter().filter_map(Node::as_list).flatten() {
            known(Some(file), "with", &WITH, found);
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

/// What takes the pair in place of files on the host.
#[derive(Clone, Copy, Debug)]
pub(super) enum StoreKind {
    Cluster,
    BigIp,
    Windows,
}

/// The key that names one.
pub(super) struct StoreKey {
    pub(super) kind: StoreKind,
    /// As written.
    pub(super) name: &'static str,
    /// What it names, in words.
    pub(super) what: &'static str,
    /// The keys of its mapping.
    pub(super) keys: &'static [&'static str],
    /// The keys about files and services that mean something there all the same.
    also: &'static [&'static str],
}

static KUBERNETES: StoreKey = StoreKey {
    kind: StoreKind::Cluster,
    name: "kubernetes",
    what: "a secret of a cluster",
    keys: &["kubeconfig", "context", "namespace", "secret", "keep_previous", "take_over", "create"],
    also: &[],
};

static BIGIP: StoreKey = StoreKey {
    kind: StoreKind::BigIp,
    name: "bigip",
    what: "a profile of a BIG-IP",
    keys: &["profile", "entry", "sync_group"],
    also: &["backups"],
};

static WINDOWS: StoreKey = StoreKey {
    kind: StoreKind::Windows,
    name: "windows",
    what: "a certificate store of Windows",
    keys: &["iis", "rdp", "winrm", "store"],
    also: &[],
};

impl Keys {
    /// Each key that names a store, as far as it is written.
    pub(super) fn stores(&self) -> impl Iterator<Item = (&'static StoreKey, &Node)> {
        let all =
            [(&KUBERNETES, &self.kubernetes), (&BIGIP, &self.bigip), (&WINDOWS, &self.windows)];
        let written = |node: &&Node| node.value != Value::Null;
        all.into_iter().filter_map(move |(key, node)| Some((key, node.as_ref().filter(written)?)))
    }

    /// Keys about files on the host and processes there.
    fn about_services(&self) -> [(&'static str, &Option<Node>); 19] {
        [
            ("service", &self.service),
            ("dest", &self.dest),
            ("certificates", &self.certificates),
            ("with", &self.with),
            ("owner", &self.owner),
            ("group", &self.group),
            ("mode", &self.mode),
            ("key_owner", &self.key_owner),
            ("key_group", &self.key_group),
            ("key_mode", &self.key_mode),
            ("validate", &self.validate),
            ("reload", &self.reload),
            ("backups", &self.backups),
            ("boot_guard", &self.boot_guard),
            ("allow_input_log", &self.allow_input_log),
            ("allow_no_way_back", &self.allow_no_way_back),
            ("when_stopped", &self.when_stopped),
            ("validate_timeout", &self.validate_timeout),
            ("reload_timeout", &self.reload_timeout),
        ]
    }
}

/// What has no meaning where something else than files takes the pair; and only one thing does.
fn without_meaning(keys: &Keys, found: &mut Diagnostics) {
    let mut stores = keys.stores();
    let Some((key, mapping)) = stores.next() else { return };
    known(Some(mapping), key.name, key.keys, found);
    for (other, node) in stores {
        let problem = format!("'{}' and '{}' both take the pair", key.name, other.name);
        let problem = Diagnostic::error(problem).at(node.span.as_ref());
        found.push(problem.help("one task, one place: write two tasks"));
    }
    for (name, node) in keys.about_services() {
        let Some(node) = node.as_ref().filter(|_| !key.also.contains(&name)) else { continue };
        let problem = Diagnostic::error(format!("'{name}' has no meaning for {}", key.what));
        let help = format!("leave it out where there is '{}'", key.name);
        found.push(problem.at(node.span.as_ref()).help(help));
    }
}

/// Reports keys of a mapping that are not in `allowed`.
/// Unknown keys of a mapping; a template is looked at when it is rendered.
pub(super) fn known(
    node: Option<&Node>,
    what: &'static str,
    allowed: &[&str],
    found: &mut Diagnostics,
) {
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
