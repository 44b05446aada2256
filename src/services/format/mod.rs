//! From YAML nodes to a [`Profile`]: first everything is checked against the table of keys, every
//! error at its place; then the checked values are read.

mod placeholders;
mod table;
mod values;

use super::keys::PROFILE;
use super::profile::{CertFile, ChainPlace, KeyPlace, Modes, Profile, Reads, SelfReload};
use crate::source::{Diagnostic, Diagnostics, Mapping, Node, SourceFile, Value};
use std::sync::Arc;
use table::check_map;
use values::{
    by_family, one_or_list, read_command, read_discover, read_import, read_in_container,
    read_layout, read_modes, read_order, read_owners, read_paths, read_reload, read_running,
    read_seal, read_settings, read_step, read_verify, text, texts,
};

/// Checks one file's nodes against the table. The file is one mapping.
pub(super) fn check(root: &Node) -> Diagnostics {
    let mut found = Diagnostics::default();
    check_map(root, PROFILE, "a profile", &mut found);
    // What it extends may have settings of its own: then it is looked at once more, whole.
    if root.entry("extends").is_none() {
        placeholders::check(root, &mut found);
    }
    found
}

/// The child's keys over the parent's. `settings`, `layout`, `modes`, `names` and `running` are merged
/// key by key; every other key replaces the parent's value as a whole.
pub(super) fn extend(parent: &Node, child: &Node) -> Node {
    const MERGED: [&str; 5] = ["settings", "layout", "modes", "names", "running"];
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

fn reads(who: String) -> Reads {
    match who.as_str() {
        "root" => Reads::Root,
        "process_user" => Reads::ProcessUser,
        _ => Reads::User(who),
    }
}

/// Reads a checked (and extended) node, and checks what concerns several keys.
pub(super) fn read(
    name: &str,
    root: &Node,
    source: &Arc<SourceFile>,
    built_in: bool,
) -> Result<Profile, Diagnostics> {
    let layout = read_layout(root.entry("layout"));
    let mut profile = Profile {
        name: name.to_owned(),
        description: text(root, "description").unwrap_or_default(),
        source: Arc::clone(source),
        built_in,
        extends: text(root, "extends"),
        settings: read_settings(root.entry("settings")),
        layout,
        dest: by_family(root.entry("dest"), read_paths),
        reads: text(root, "reads").map_or(Reads::Root, reads),
        reload_reads_as: text(root, "reload_reads_as").map(reads),
        modes: read_modes(root.entry("modes"), layout, read_import(root).is_some()),
        owners: by_family(root.entry("owners"), read_owners),
        order: read_order(root.entry("order")),
        import: read_import(root),
        experimental: text(root, "experimental").filter(|words| !words.is_empty()),
        measured: text(root, "measured").filter(|words| !words.is_empty()),
        validate: one_or_list(root.entry("validate")).iter().filter_map(read_step).collect(),
        seal: root.entry("seal").and_then(read_seal),
        reload: read_reload(root.entry("reload")),
        in_container: root.entry("container").and_then(read_in_container),
        recover: root.entry("recover").and_then(read_command),
        program: by_family(root.entry("program"), |node| node.as_str().map(str::to_owned)),
        reload_costs: text(root, "reload_costs"),
        overwrites: text(root, "overwrites"),
        running: read_running(root.entry("running")),
        verify: one_or_list(root.entry("verify")).iter().filter_map(read_verify).collect(),
        discover: root.entry("discover").and_then(read_discover),
        loaded: root.entry("loaded").and_then(read_command),
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
    check_import(&profile, root, &mut found);
    if root.entry("extends").is_some() {
        placeholders::check(root, &mut found);
    }
    placeholders::fill(&mut profile);
    found.into_result(profile).map(|(profile, _)| profile)
}

/// Whether nobody but its owner may enter the spool, and what else an import wants.
fn check_import(profile: &Profile, root: &Node, found: &mut Diagnostics) {
    let place = |key: &str| root.entry(key).unwrap_or(root).span.as_ref();
    if profile.import.is_none() {
        if root.entry("export").and_then(read_command).is_some() {
            let problem = "`export` goes with `import`, and only with it";
            found.push(Diagnostic::error(problem).at(place("export")));
        }
        return;
    }
    let Modes { cert, key, dir } = profile.modes;
    if [cert, key, dir].iter().any(|mode| mode.bits() & 0o077 != 0) {
        found.push(
            Diagnostic::error("the files of an `import` are a spool that its owner alone may read")
                .at(place("modes"))
                .help("leave `modes` out: files are 0600 and the directory is 0700 then"),
        );
    }
}

/// What concerns several keys.
fn check_together(profile: &Profile, root: &Node, found: &mut Diagnostics) {
    let place = |key: &str| root.entry(key).unwrap_or(root).span.as_ref();
    if root.entry("reload").is_none() {
        found.push(
            Diagnostic::error("the profile does not say how the service loads its files")
                .at(root.span.as_ref())
                .help("add `reload: {command: […]}`, or `reload: none` when it picks up new files by itself, or `reload: required` when each task has to say"),
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
    if let Some(container) = root.entry("container")
        && (container.entry("reload").is_some() == container.entry("signal").is_some()
            || read_in_container(container).is_none())
    {
        found.push(
            Diagnostic::error("`container` takes either `reload`, one command, or `signal`")
                .at(container.span.as_ref()),
        );
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
        if matches!(text(node, "via").as_deref(), Some("staged" | "template"))
            && placeholders::used(node).iter().any(|(name, _)| name == "certs")
        {
            found.push(
                Diagnostic::error("`{certs}` are the live files: this step looks at staged ones")
                    .at(node.span.as_ref())
                    .help("use `{cert}`: the step is run for each pair"),
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
