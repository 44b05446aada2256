//! From YAML nodes to a [`Profile`]: first everything is checked against the table of keys, every
//! error at its place; then the checked values are read.

use super::choose::Files;
use super::keys::{Key, Kind, PROFILE, families};
use super::profile::{
    ByFamily, CertFile, ChainPlace, CommandSpec, Covers, Discover, ExitCode, Family, FileRole,
    KeyPlace, Layout, MakeDir, Modes, NameRule, Names, Owner, Owners, Paths, Profile, Reads,
    Reload, Running, SealedBoot, SelfReload, ValidateStep, VerifyDefault, Via,
};
use crate::model::text::printable;
use crate::model::{CommandLine, FileMode, StartTls};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Mapping, Node, SourceFile, Value};
use std::sync::Arc;
use std::time::Duration;

/// Checks one file's nodes against the table. The file is one mapping.
pub(super) fn check(root: &Node) -> Diagnostics {
    let mut found = Diagnostics::default();
    check_map(root, PROFILE, "a profile", &mut found);
    found
}

/// The child's keys over the parent's. `layout`, `modes`, `names` and `running` are merged key by
/// key; every other key replaces the parent's value as a whole.
pub(super) fn extend(parent: &Node, child: &Node) -> Node {
    const MERGED: [&str; 4] = ["layout", "modes", "names", "running"];
    let mut merged: Mapping = parent.as_map().cloned().unwrap_or_default();
    for (key, value) in child.as_map().into_iter().flatten() {
        let name = key.as_str().unwrap_or_default();
        match merged.iter_mut().find(|(known, _)| known.as_str() == Some(name)) {
            Some((_, old)) if MERGED.contains(&name) => *old = overlay(old, value),
            Some((_, old)) => *old = value.clone(),
            None => merged.push((key.clone(), value.clone())),
        }
    }
    Node { value: Value::Map(merged), span: child.span.clone() }
}

fn overlay(parent: &Node, child: &Node) -> Node {
    let (Some(old), Some(new)) = (parent.as_map(), child.as_map()) else { return child.clone() };
    let mut merged = old.clone();
    for (key, value) in new {
        match merged.iter_mut().find(|(known, _)| known.as_str() == key.as_str()) {
            Some((_, old)) => *old = value.clone(),
            None => merged.push((key.clone(), value.clone())),
        }
    }
    Node { value: Value::Map(merged), span: child.span.clone() }
}

/// Reads a checked (and extended) node, and checks what concerns several keys.
pub(super) fn read(
    name: &str,
    root: &Node,
    source: &Arc<SourceFile>,
    built_in: bool,
) -> Result<Profile, Diagnostics> {
    let layout = read_layout(root.entry("layout"));
    let profile = Profile {
        name: name.to_owned(),
        description: text(root, "description").unwrap_or_default(),
        source: Arc::clone(source),
        built_in,
        extends: text(root, "extends"),
        layout,
        dest: by_family(root.entry("dest"), read_paths),
        reads: match text(root, "reads").as_deref() {
            None | Some("root") => Reads::Root,
            Some("process_user") => Reads::ProcessUser,
            Some(user) => Reads::User(user.to_owned()),
        },
        modes: read_modes(root.entry("modes"), layout),
        owners: by_family(root.entry("owners"), read_owners),
        names: read_names(root.entry("names")),
        order: read_order(root.entry("order")),
        validate: one_or_list(root.entry("validate")).iter().filter_map(read_step).collect(),
        seal: root.entry("seal").and_then(read_seal),
        reload: read_reload(root.entry("reload")),
        recover: root.entry("recover").and_then(read_command),
        running: read_running(root.entry("running")),
        verify: one_or_list(root.entry("verify")).iter().filter_map(read_verify).collect(),
        discover: root.entry("discover").and_then(read_discover),
        self_reload: match text(root, "self_reload").as_deref() {
            Some("per_new_process") => SelfReload::PerNewProcess,
            Some("on_rename") => SelfReload::OnRename,
            Some("on_config_change") => SelfReload::OnConfigChange,
            _ => SelfReload::Never,
        },
        caveats: texts(root, "caveats"),
    };
    let mut found = Diagnostics::default();
    check_together(&profile, root, &mut found);
    found.into_result(profile).map(|(profile, _)| profile)
}

// What concerns several keys.

fn check_together(profile: &Profile, root: &Node, found: &mut Diagnostics) {
    let place = |key: &str| root.entry(key).unwrap_or(root).span.as_ref();
    if root.entry("reload").is_none() {
        found.push(
            Diagnostic::error("the profile does not say how the service loads its files")
                .at(root.span.as_ref())
                .help("add `reload: {command: […]}`, or `reload: none` when it notices by itself, or `reload: required` when each task has to say"),
        );
    }
    let all = profile.dest.default.iter().chain(profile.dest.families.iter().map(|(_, p)| p));
    for paths in all {
        let separate = profile.layout.key == KeyPlace::Separate;
        if separate != paths.key.is_some() {
            let message = if separate {
                "`dest` has no `key`, but the layout puts the key into a file of its own"
            } else {
                "`dest` has a `key`, but the layout puts the key into the certificate file"
            };
            found.push(Diagnostic::error(message).at(place("dest")));
        }
        if (profile.layout.chain == ChainPlace::Separate) != paths.chain.is_some() {
            found.push(
                Diagnostic::error(
                    "`dest.chain` goes with `layout.chain: separate`, and only with it",
                )
                .at(place("dest")),
            );
        }
    }
    let steps = one_or_list(root.entry("validate"));
    for node in steps {
        let via_template = text(node, "via").as_deref() == Some("template");
        if via_template != node.entry("template").is_some() {
            found.push(
                Diagnostic::error("`template` goes with `via: template`, and only with it")
                    .at(node.span.as_ref()),
            );
        }
    }
    let layout = profile.layout;
    if layout.cert == CertFile::Leaf && layout.chain == ChainPlace::InCert {
        found.push(
            Diagnostic::error("`cert: leaf` with `chain: in_cert` contradict each other")
                .at(place("layout"))
                .help("`cert: fullchain` has the intermediates in the certificate file"),
        );
    }
}

// Against the table.

fn check_map(node: &Node, keys: &[Key], what: &str, found: &mut Diagnostics) {
    let Some(entries) = node.as_map() else {
        return mismatch(node, &format!("{what} is a mapping"), found);
    };
    for (name, value) in entries {
        let word = name.as_str().unwrap_or_default();
        match keys.iter().find(|key| key.name == word) {
            Some(key) => check_kind(value, key.kind, key.name, found),
            None => found.push(unknown(name, keys.iter().map(|key| key.name), what)),
        }
    }
    for key in keys.iter().filter(|key| key.required && node.entry(key.name).is_none()) {
        found.push(
            Diagnostic::error(format!("{what} needs `{}`: {}", key.name, key.about))
                .at(node.span.as_ref()),
        );
    }
}

fn check_kind(node: &Node, kind: Kind, name: &str, found: &mut Diagnostics) {
    match kind {
        Kind::Text => match node.as_str() {
            Some(text) if text.contains('\0') => {
                mismatch(node, "no NUL character is allowed", found)
            }
            Some(_) => {}
            None => mismatch(node, &format!("`{name}` is text"), found),
        },
        Kind::Pattern => check_pattern(node, name, found),
        Kind::Path => match node.as_str() {
            Some(path) if is_path(path) => {}
            _ => mismatch(
                node,
                &format!("`{name}` is an absolute path without `..`, such as /etc/ssl/site.pem"),
                found,
            ),
        },
        Kind::Owner => {
            if node.as_str().and_then(owner).is_none() {
                mismatch(node, &format!("`{name}` is user:group, such as root:ssl-cert"), found);
            }
        }
        Kind::Mode => {
            if node.as_str().and_then(FileMode::parse_octal).is_none() {
                mismatch(
                    node,
                    &format!("`{name}` is octal digits in quotes, such as \"0640\""),
                    found,
                );
            }
        }
        Kind::Port => {
            if port(node).is_none() {
                let problem = match node.value {
                    Value::Int(number) => format!("{number} is no TCP port"),
                    _ => format!("`{name}` is a TCP port, not {}", node.kind()),
                };
                found.push(Diagnostic::error(problem).at(node.span.as_ref()));
            }
        }
        Kind::Duration => {
            if duration(node).is_none() {
                mismatch(node, &format!("`{name}` is a time such as 150ms or 2s"), found);
            }
        }
        Kind::Bool => {
            if !matches!(node.value, Value::Bool(_)) {
                mismatch(node, &format!("`{name}` is true or false"), found);
            }
        }
        Kind::Word(words) => check_word(node, words, name, found),
        Kind::List(item) => match node.as_list() {
            Some(items) => items.iter().for_each(|one| check_kind(one, *item, name, found)),
            None => mismatch(node, &format!("`{name}` is a list"), found),
        },
        Kind::OneOrList(item) => match node.as_list() {
            Some(items) => items.iter().for_each(|one| check_kind(one, *item, name, found)),
            None => check_kind(node, *item, name, found),
        },
        Kind::Map(keys) => check_map(node, keys, &format!("`{name}`"), found),
        Kind::ByFamily(item) if is_by_family(node) => {
            let known: Vec<&str> = families().collect();
            check_variants(node, &known, name, found, &|value, found| {
                check_kind(value, *item, name, found);
            });
        }
        Kind::ByFamily(item) => check_kind(node, *item, name, found),
        Kind::Command => check_command(node, name, found),
        Kind::WordOr(words, other) => match node.as_str() {
            Some(word) if words.contains(&word) => {}
            // A command may be text; any other text is a misspelt word.
            Some(_) if !matches!(other, Kind::Command) => check_word(node, words, name, found),
            _ if node.value == Value::Null => check_word(node, words, name, found),
            _ => check_kind(node, *other, name, found),
        },
        Kind::PathOrMap(keys) => match node.as_map() {
            Some(_) => check_map(node, keys, &format!("`{name}`"), found),
            None => check_kind(node, Kind::Path, name, found),
        },
    }
}

fn check_word(node: &Node, words: &[&str], name: &str, found: &mut Diagnostics) {
    match node.as_str() {
        Some(word) if words.contains(&word) => {}
        Some(word) => {
            let diagnostic = Diagnostic::error(format!("`{name}` cannot be '{word}'"))
                .at(node.span.as_ref())
                .help(format!("allowed: {}", words.join(", ")));
            found.push(match nearest(word, words.iter().copied()) {
                Some(near) => diagnostic.label(format!("did you mean '{near}'?")),
                None => diagnostic,
            });
        }
        None => mismatch(node, &format!("`{name}` is one of: {}", words.join(", ")), found),
    }
}

fn check_command(node: &Node, name: &str, found: &mut Diagnostics) {
    if node.as_map().is_some() && node.entry("shell").is_none() {
        return check_command_variants(node, name, found);
    }
    if let Some((key, _)) =
        node.as_map().into_iter().flatten().find(|(key, _)| key.as_str() != Some("shell"))
    {
        found.push(Diagnostic::error("nothing else stands beside `shell`").at(key.span.as_ref()));
    }
    let Some(command) = command_line(node) else {
        return mismatch(
            node,
            &format!("`{name}` is an argument list, text, {{shell: TEXT}}, or variants of these"),
            found,
        );
    };
    if let Err(problem) = command.check() {
        return found.push(Diagnostic::error(problem.to_string()).at(node.span.as_ref()));
    }
    if let CommandLine::Argv(argv) = &command {
        for argument in argv {
            let word = argument.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let looks = |word: &&str| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            };
            if let Some(word) = word.filter(looks).filter(|word| !Files::NAMES.contains(word)) {
                let diagnostic = Diagnostic::error(format!("unknown placeholder '{{{word}}}'"))
                    .at(node.span.as_ref())
                    .help("placeholders: {cert}, {key}, {chain}, {template}");
                found.push(match nearest(word, Files::NAMES) {
                    Some(near) => diagnostic.label(format!("did you mean '{{{near}}}'?")),
                    None => diagnostic,
                });
            }
        }
    }
}

fn check_command_variants(node: &Node, name: &str, found: &mut Diagnostics) {
    let known: Vec<&str> = ["systemd", "plain"].into_iter().chain(families()).collect();
    check_variants(node, &known, name, found, &|value, found| check_command(value, name, found));
    let entries = node.as_map().into_iter().flatten();
    let init = entries.filter_map(|(key, _)| key.as_str()).filter(|key| known[..2].contains(key));
    match (init.count(), node.as_map().map_or(0, Vec::len)) {
        (_, 0) => mismatch(node, &format!("`{name}` needs a command"), found),
        (some, all) if some != 0 && some != all => found.push(
            Diagnostic::error("variants by init system and by distribution are mixed")
                .at(node.span.as_ref())
                .help("nest them: {debian: {systemd: […], plain: […]}}"),
        ),
        _ => {}
    }
}

/// Each value of a mapping whose keys are variants.
fn check_variants(
    node: &Node,
    known: &[&str],
    name: &str,
    found: &mut Diagnostics,
    each: &dyn Fn(&Node, &mut Diagnostics),
) {
    for (key, value) in node.as_map().into_iter().flatten() {
        if known.contains(&key.as_str().unwrap_or_default()) {
            each(value, found);
        } else {
            found.push(unknown(key, known.iter().copied(), &format!("`{name}`")));
        }
    }
}

fn check_pattern(node: &Node, name: &str, found: &mut Diagnostics) {
    let Some(pattern) = node.as_str() else {
        return mismatch(node, &format!("`{name}` holds regular expressions"), found);
    };
    match fancy_regex::Regex::new(pattern) {
        Err(problem) => found.push(
            Diagnostic::error(format!("bad regular expression: {problem}")).at(node.span.as_ref()),
        ),
        Ok(regex) => {
            let roles = ["cert", "key", "chain", "pem"];
            if !regex.capture_names().flatten().any(|name| roles.contains(&name)) {
                found.push(
                    Diagnostic::error("the pattern has none of the named groups")
                        .at(node.span.as_ref())
                        .help("groups: (?<cert>…), (?<key>…), (?<chain>…), (?<pem>…)"),
                );
            }
        }
    }
}

fn unknown<'a>(
    name: &Node,
    known: impl Iterator<Item = &'a str> + Clone,
    what: &str,
) -> Diagnostic {
    let word = name.as_str().unwrap_or_default();
    let diagnostic = Diagnostic::error(format!("{what} has no key '{word}'"))
        .at(name.span.as_ref())
        .help(format!("keys: {}", known.clone().collect::<Vec<_>>().join(", ")));
    match nearest(word, known) {
        Some(near) => diagnostic.label(format!("did you mean '{near}'?")),
        None => diagnostic,
    }
}

fn mismatch(node: &Node, expected: &str, found: &mut Diagnostics) {
    let actual = match &node.value {
        Value::Text(text) | Value::Unsafe(text) if text.chars().count() <= 60 => {
            format!("'{}'", printable(text.as_bytes(), 240).replace('\n', "⏎"))
        }
        _ => node.kind().to_owned(),
    };
    found.push(Diagnostic::error(format!("{expected}, not {actual}")).at(node.span.as_ref()));
}

// Reading what was checked.

fn read_layout(node: Option<&Node>) -> Layout {
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
            _ => KeyPlace::Separate,
        },
    }
}

fn read_paths(node: &Node) -> Option<Paths> {
    Some(Paths { cert: text(node, "cert")?, key: text(node, "key"), chain: text(node, "chain") })
}

fn read_modes(node: Option<&Node>, layout: Layout) -> Modes {
    let mode = |key: &str, default| {
        node.and_then(|node| node.entry(key)?.as_str().and_then(FileMode::parse_octal))
            .unwrap_or(FileMode::new(default))
    };
    // A file with a key inside is never readable by all unless the profile says so.
    let cert = if layout.key == KeyPlace::Separate { 0o644 } else { 0o600 };
    Modes { cert: mode("cert", cert), key: mode("key", 0o600), dir: mode("dir", 0o755) }
}

fn read_owners(node: &Node) -> Option<Owners> {
    let one = |key: &str| node.entry(key)?.as_str().and_then(owner);
    Some(Owners {
        cert: one("cert").unwrap_or_else(Owner::root),
        key: one("key").unwrap_or_else(Owner::root),
        dir: one("dir").unwrap_or_else(Owner::root),
    })
}

fn read_names(node: Option<&Node>) -> Names {
    let rule = |key: &str, default| match node.and_then(|node| text(node, key)).as_deref() {
        Some("dot") => NameRule::Dot,
        Some("outside") => NameRule::Outside,
        _ => default,
    };
    Names { temp: rule("temp", NameRule::Dot), backup: rule("backup", NameRule::Outside) }
}

/// Key first: a service that reads in between then finds a certificate that it knows. What is
/// not named follows in that order.
fn read_order(node: Option<&Node>) -> Vec<FileRole> {
    let named = node.and_then(Node::as_list).into_iter().flatten().filter_map(Node::as_str);
    let mut order: Vec<FileRole> = Vec::new();
    let default = ["key", "chain", "cert"];
    for name in named.chain(default) {
        let role = match name {
            "cert" => FileRole::Cert,
            "key" => FileRole::Key,
            _ => FileRole::Chain,
        };
        if !order.contains(&role) {
            order.push(role);
        }
    }
    order
}

fn read_step(node: &Node) -> Option<ValidateStep> {
    Some(ValidateStep {
        command: read_command(node.entry("command")?)?,
        via: match text(node, "via").as_deref() {
            Some("staged") => Via::Staged,
            Some("live") => Via::Live,
            Some("template") => Via::Template(text(node, "template")?),
            _ => Via::MountNamespace,
        },
        as_user: text(node, "as_user"),
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

fn read_seal(node: &Node) -> Option<SealedBoot> {
    let mkdir = |node: &Node| match node.as_str() {
        Some(path) => Some(MakeDir { path: path.to_owned(), owner: None, mode: None }),
        None => Some(MakeDir {
            path: text(node, "path")?,
            owner: node.entry("owner").and_then(|node| owner(node.as_str()?)),
            mode: node.entry("mode").and_then(|node| FileMode::parse_octal(node.as_str()?)),
        }),
    };
    Some(SealedBoot {
        tmpfs: texts(node, "tmpfs"),
        mkdir: one_or_list(node.entry("mkdir")).iter().filter_map(mkdir).collect(),
        start: read_command(node.entry("start")?)?,
        port: port(node.entry("port")?)?,
        starttls: starttls(node),
    })
}

fn read_reload(node: Option<&Node>) -> Reload {
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
        },
    }
}

fn read_running(node: Option<&Node>) -> Running {
    let value = |key: &str| {
        by_family(node.and_then(|node| node.entry(key)), |node| node.as_str().map(str::to_owned))
    };
    Running { pidfile: value("pidfile"), process: value("process"), unit: value("unit") }
}

fn read_verify(node: &Node) -> Option<VerifyDefault> {
    Some(VerifyDefault {
        port: port(node.entry("port")?)?,
        starttls: starttls(node),
        settle: node.entry("settle").and_then(duration).unwrap_or_default(),
    })
}

fn read_discover(node: &Node) -> Option<Discover> {
    let patterns = texts(node, "patterns");
    Some(Discover {
        command: read_command(node.entry("command")?)?,
        patterns: patterns
            .iter()
            .filter_map(|pattern| fancy_regex::Regex::new(pattern).ok())
            .collect(),
        relative_to: text(node, "relative_to"),
    })
}

fn read_command(node: &Node) -> Option<CommandSpec> {
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
fn command_line(node: &Node) -> Option<CommandLine> {
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
fn is_by_family(node: &Node) -> bool {
    families().any(|family| node.entry(family).is_some())
}

fn by_family<T>(node: Option<&Node>, read: impl Fn(&Node) -> Option<T>) -> ByFamily<T> {
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
fn one_or_list(node: Option<&Node>) -> &[Node] {
    match node {
        None => &[],
        Some(node) => match &node.value {
            Value::List(items) => items,
            Value::Map(_) => std::slice::from_ref(node),
            _ => &[],
        },
    }
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.entry(key)?.as_str().map(str::to_owned)
}

fn texts(node: &Node, key: &str) -> Vec<String> {
    let items = node.entry(key).and_then(Node::as_list).into_iter().flatten();
    items.filter_map(Node::as_str).map(str::to_owned).collect()
}

fn flag(node: &Node, key: &str) -> bool {
    matches!(node.entry(key).map(|node| &node.value), Some(Value::Bool(true)))
}

fn port(node: &Node) -> Option<u16> {
    match node.value {
        Value::Int(number) => u16::try_from(number).ok().filter(|port| *port != 0),
        _ => None,
    }
}

fn starttls(node: &Node) -> StartTls {
    text(node, "starttls").and_then(|name| StartTls::by_name(&name)).unwrap_or_default()
}

fn duration(node: &Node) -> Option<Duration> {
    humantime::parse_duration(node.as_str()?).ok()
}

fn owner(text: &str) -> Option<Owner> {
    let fits = |name: &str| {
        !name.is_empty()
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-$@".contains(&b))
    };
    let (user, group) = text.split_once(':')?;
    (fits(user) && fits(group)).then(|| Owner { user: user.to_owned(), group: group.to_owned() })
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains(|c: char| c.is_control())
        && !path.split('/').any(|part| part == "..")
}
