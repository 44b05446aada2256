//! Reads what was checked.

use crate::host::{Family, FileRole};
use crate::model::{CommandLine, FileMode, RemotePath, StartTls};
use crate::services::family::ByFamily;
use crate::services::keys::families;
use crate::services::pattern::Pattern;
use crate::services::profile::{
    AsUser, CertFile, ChainPlace, CommandSpec, Covers, Discover, ExitCode, Import, InContainer,
    KeyPlace, Layout, MakeDir, Modes, Owner, Owners, Paths, Reload, Running, SealedBoot,
    ValidateStep, VerifyDefault, Via,
};
use crate::source::{Node, Value};
use std::time::Duration;

pub(super) fn read_layout(node: Option<&Node>) -> Layout {
    let word = |key: &str| node.and_then(|node| text(node, key));
    Layout {
        cert: match word("cert").as_deref() {
            Some("leaf") => CertFile::Leaf,
            _ => CertFile::Fullchain,
        },
        chain: match word("chain").as_deref() {
            Some("separate") => ChainPlace::Separate,
            Some("none") => ChainPlace::None,
            _ => ChainPlace::InCert,
        },
        key: match word("key").as_deref() {
            Some("first") => KeyPlace::First,
            Some("last") => KeyPlace::Last,
            Some("pkcs12") => KeyPlace::Pkcs12,
            _ => KeyPlace::Separate,
        },
    }
}

pub(super) fn read_in_container(node: &Node) -> Option<InContainer> {
    let signal = text(node, "signal").map(InContainer::Signal);
    signal.or_else(|| Some(InContainer::Reload(command_line(node.entry("reload")?)?)))
}

pub(super) fn read_settings(node: Option<&Node>) -> Vec<(String, String)> {
    let entries = node.and_then(Node::as_map).into_iter().flatten();
    entries
        .filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.as_str()?.to_owned())))
        .collect()
}

pub(super) fn read_paths(node: &Node) -> Option<Paths> {
    Some(Paths { cert: path(node, "cert")?, key: path(node, "key"), chain: path(node, "chain") })
}

/// `spool`: the files are only the way into a store.
pub(super) fn read_modes(node: Option<&Node>, layout: Layout, spool: bool) -> Modes {
    let mode = |key: &str, default| {
        node.and_then(|node| node.entry(key)?.as_str().and_then(FileMode::parse_octal))
            .unwrap_or(FileMode::new(default))
    };
    // A file with a key inside is never readable by all unless the profile says so.
    let cert = if layout.key == KeyPlace::Separate && !spool { 0o644 } else { 0o600 };
    let dir = if spool { 0o700 } else { 0o755 };
    Modes { cert: mode("cert", cert), key: mode("key", 0o600), dir: mode("dir", dir) }
}

pub(super) fn read_owners(node: &Node) -> Option<Owners> {
    let one = |key: &str| node.entry(key)?.as_str().and_then(owner);
    Some(Owners {
        cert: one("cert").unwrap_or_else(Owner::root),
        key: one("key").unwrap_or_else(Owner::root),
        dir: one("dir").unwrap_or_else(Owner::root),
    })
}

/// Key first: a service that reads in between then finds a certificate that it knows. What is not named comes in that
/// order, before what is named last: a watcher reads all when it sees that.
pub(super) fn read_order(node: Option<&Node>) -> Vec<FileRole> {
    let role = |name: &str| match name {
        "cert" => FileRole::Certificate,
        "key" => FileRole::Key,
        _ => FileRole::Chain,
    };
    let named = node.and_then(Node::as_list).into_iter().flatten().filter_map(Node::as_str);
    let mut order: Vec<FileRole> = named.map(role).collect();
    let last = order.pop().unwrap_or(FileRole::Certificate);
    for other in [FileRole::Key, FileRole::Chain, FileRole::Certificate] {
        if other != last && !order.contains(&other) {
            order.push(other);
        }
    }
    order.push(last);
    order
}

pub(super) fn read_import(root: &Node) -> Option<Import> {
    let node = root.entry("import")?;
    Some(Import {
        command: read_command(node.entry("command")?)?,
        store: text(node, "store")?,
        export: root.entry("export").and_then(read_command),
    })
}

pub(super) fn read_step(node: &Node) -> Option<ValidateStep> {
    Some(ValidateStep {
        command: read_command(node.entry("command")?)?,
        via: match text(node, "via").as_deref() {
            Some("staged") => Via::Staged,
            Some("live") => Via::Live,
            Some("template") => Via::Template(text(node, "template")?),
            _ => Via::MountNamespace,
        },
        as_user: text(node, "as_user").map(|user| match user.as_str() {
            AsUser::OF_PROCESS => AsUser::OfProcess,
            _ => AsUser::Named(user),
        }),
        scratch_home: flag(node, "scratch_home"),
        net_private: flag(node, "net_private"),
        refuse_output: texts(node, "refuse_output"),
        discard_output: flag(node, "discard_output"),
        optional: flag(node, "optional"),
        covers: texts(node, "covers")
            .iter()
            .filter_map(|name| Covers::NAMES.iter().find(|(known, _)| known == name))
            .map(|(_, value)| *value)
            .collect(),
    })
}

pub(super) fn read_seal(node: &Node) -> Option<SealedBoot> {
    let mkdir = |node: &Node| match node.as_str() {
        Some(path) => Some(MakeDir { path: directory(path)?, owner: None, mode: None }),
        None => Some(MakeDir {
            path: directory(node.entry("path")?.as_str()?)?,
            owner: node.entry("owner").and_then(|node| owner(node.as_str()?)),
            mode: node.entry("mode").and_then(|node| FileMode::parse_octal(node.as_str()?)),
        }),
    };
    Some(SealedBoot {
        tmpfs: texts(node, "tmpfs").iter().filter_map(|path| directory(path)).collect(),
        mkdir: one_or_list(node.entry("mkdir")).iter().filter_map(mkdir).collect(),
        start: read_command(node.entry("start")?)?,
        port: port(node.entry("port")?)?,
        starttls: starttls(node),
    })
}

pub(super) fn read_reload(node: Option<&Node>) -> Reload {
    let Some(node) = node else { return Reload::Required };
    let command = node.entry("command").and_then(read_command);
    match (node.as_str(), command) {
        (Some("none"), _) => Reload::None,
        (_, None) => Reload::Required,
        (_, Some(command)) => Reload::Command {
            command,
            exit_code: match text(node, "exit_code").as_deref() {
                Some("config_loaded") => ExitCode::ConfigLoaded,
                Some("config_loaded_if_systemd") => ExitCode::ConfigLoadedIfSystemd,
                _ => ExitCode::Meaningless,
            },
            can_stop_service: flag(node, "can_stop_service"),
            replaces_workers: flag(node, "replaces_workers"),
        },
    }
}

pub(super) fn read_running(node: Option<&Node>) -> Running {
    let value = |key: &str| {
        by_family(node.and_then(|node| node.entry(key)), |node| node.as_str().map(str::to_owned))
    };
    let pidfile =
        by_family(node.and_then(|node| node.entry("pidfile")), |node| node.as_str()?.parse().ok());
    Running { pidfile, process: value("process"), unit: value("unit") }
}

pub(super) fn read_verify(node: &Node) -> Option<VerifyDefault> {
    Some(VerifyDefault {
        port: port(node.entry("port")?)?,
        starttls: starttls(node),
        settle: node.entry("settle").and_then(duration).unwrap_or_default(),
        not_before: node.entry("not_before").and_then(duration).unwrap_or_default(),
    })
}

pub(super) fn read_discover(node: &Node) -> Option<Discover> {
    Some(Discover {
        command: read_command(node.entry("command")?)?,
        patterns: texts(node, "patterns").into_iter().map(Pattern::new).collect(),
        relative_to: text(node, "relative_to"),
    })
}

pub(super) fn read_command(node: &Node) -> Option<CommandSpec> {
    if let Some(command) = command_line(node) {
        return (node.as_str() != Some("none")).then_some(CommandSpec::Always(command));
    }
    let variant = |key: &str| node.entry(key).and_then(read_command).map(Box::new);
    let init = CommandSpec::Init { systemd: variant("systemd"), plain: variant("plain") };
    match init {
        CommandSpec::Init { systemd: None, plain: None } => {
            let variants = by_family(Some(node), |node| read_command(node).map(Box::new));
            (!variants.is_empty()).then_some(CommandSpec::Family(variants))
        }
        init => Some(init),
    }
}

/// The command itself, without variants. Text is split as a POSIX shell splits words, but nothing
/// else of a shell happens to it.
pub(super) fn command_line(node: &Node) -> Option<CommandLine> {
    match (&node.value, node.entry("shell")) {
        (_, Some(shell)) => Some(CommandLine::Shell(shell.as_str()?.to_owned())),
        (Value::List(items), None) => {
            let argv: Option<Vec<String>> =
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            argv.map(CommandLine::Argv)
        }
        (Value::Text(text) | Value::Unsafe(text), None) => {
            shlex::split(text).map(CommandLine::Argv)
        }
        _ => None,
    }
}

/// A mapping that has a family among its keys.
pub(super) fn is_by_family(node: &Node) -> bool {
    families().any(|family| node.entry(family).is_some())
}

pub(super) fn by_family<T>(node: Option<&Node>, read: impl Fn(&Node) -> Option<T>) -> ByFamily<T> {
    let Some(node) = node else { return ByFamily::default() };
    if !is_by_family(node) {
        return ByFamily { default: read(node), families: Vec::new() };
    }
    let mut values = ByFamily::default();
    for (name, family) in Family::NAMES {
        match node.entry(name).and_then(&read) {
            Some(value) if family == Family::Other => values.default = Some(value),
            Some(value) => values.families.push((family, value)),
            None => {}
        }
    }
    values
}

/// The items of a list; of one mapping, itself; of a word such as `none`, nothing.
pub(super) fn one_or_list(node: Option<&Node>) -> &[Node] {
    match node {
        None => &[],
        Some(node) => match &node.value {
            Value::List(items) => items,
            Value::Map(_) => std::slice::from_ref(node),
            _ => &[],
        },
    }
}

pub(super) fn text(node: &Node, key: &str) -> Option<String> {
    node.entry(key)?.as_str().map(str::to_owned)
}

/// A file's path; one that is none was refused before.
fn path(node: &Node, key: &str) -> Option<RemotePath> {
    node.entry(key)?.as_str()?.parse().ok()
}

fn directory(path: &str) -> Option<RemotePath> {
    RemotePath::of_directory(path).ok()
}

pub(super) fn texts(node: &Node, key: &str) -> Vec<String> {
    let items = node.entry(key).and_then(Node::as_list).into_iter().flatten();
    items.filter_map(Node::as_str).map(str::to_owned).collect()
}

fn flag(node: &Node, key: &str) -> bool {
    matches!(node.entry(key).map(|node| &node.value), Some(Value::Bool(true)))
}

pub(super) fn port(node: &Node) -> Option<u16> {
    match node.value {
        Value::Int(number) => u16::try_from(number).ok().filter(|port| *port != 0),
        _ => None,
    }
}

fn starttls(node: &Node) -> StartTls {
    text(node, "starttls").and_then(|name| StartTls::by_name(&name)).unwrap_or_default()
}

pub(super) fn duration(node: &Node) -> Option<Duration> {
    humantime::parse_duration(node.as_str()?).ok()
}

pub(super) fn owner(text: &str) -> Option<Owner> {
    let fits = |name: &str| {
        !name.is_empty()
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-$@".contains(&b))
    };
    let (user, group) = text.split_once(':')?;
    (fits(user) && fits(group)).then(|| Owner { user: user.to_owned(), group: group.to_owned() })
}

pub(super) fn is_path(path: &str) -> bool {
    path.parse::<RemotePath>().is_ok() && is_plain(path)
}

pub(super) fn is_directory(path: &str) -> bool {
    RemotePath::of_directory(path).is_ok() && is_plain(path)
}

fn is_plain(path: &str) -> bool {
    !path.contains(|c: char| c.is_control()) && !path.split('/').any(|part| part == "..")
}
