//! Profiles as text for `certroll services`. Pure: the caller writes it.

use super::family::ByFamily;
use super::profile::{
    AsUser, CertFile, ChainPlace, CommandSpec, Covers, ExitCode, InContainer, KeyPlace, Paths,
    Profile, Reload, SelfReload, ValidateStep, VerifyDefault,
};
use super::registry::{Profiles, stores};
use crate::host::{Family, FileRole};
use crate::model::StartTls;
use std::fmt::Write;

/// One line of `certroll services`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ListRow {
    /// What playbooks write after `service:`.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// `built-in`, or the file it comes from.
    pub origin: String,
    /// What its own check covers before the commit, in words.
    pub checked_on_host: Vec<&'static str>,
    /// `reload`, `none` or `required`.
    pub reload: &'static str,
    /// What it was written from, where it was never run on the real thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<String>,
}

/// Every profile, in the order of [`Profiles::all`], and what describes the stores that tasks name in place of one.
pub fn list(profiles: &Profiles) -> Vec<ListRow> {
    let stores: Vec<Profile> = stores().collect();
    profiles
        .all()
        .chain(&stores)
        .map(|profile| ListRow {
            name: profile.name.clone(),
            description: profile.description.clone(),
            origin: origin(profile),
            checked_on_host: profile.covers().into_iter().map(Covers::describe).collect(),
            reload: match profile.reload {
                Reload::None => "none",
                Reload::Required => "required",
                Reload::Command { .. } => "reload",
            },
            experimental: profile.experimental.clone(),
        })
        .collect()
}

/// Everything about one profile, for people. Ends with a line end.
pub fn show(profile: &Profile) -> String {
    let mut page = Page::default();
    page.line("", &format!("{}: {}", profile.name, profile.description));
    page.row("from", &origin(profile));
    if let Some(written) = &profile.experimental {
        page.row("experimental", &format!("never run on the real thing; written from {written}"));
    }
    if let Some(versions) = &profile.measured {
        page.row("measured on", versions);
    }
    if let Some(base) = &profile.extends {
        page.row("extends", base);
    }
    for (name, value) in &profile.settings {
        page.row("settings", &format!("{name}: {value}"));
    }
    page.row("files", &layout(profile));
    each_family(&profile.dest, |family, paths| page.row_for("paths", family, &paths_text(paths)));
    each_family(&profile.program, |family, program| page.row_for("program", family, program));
    page.row("modes", &modes(profile));
    each_family(&profile.owners, |family, owners| {
        let text = format!("cert {}, key {}, directory {}", owners.cert, owners.key, owners.dir);
        page.row_for("owners", family, &text);
    });
    page.row("key read by", profile.reads.describe());
    if let Some(reads) = &profile.reload_reads_as {
        page.row("at a reload", reads.describe());
    }
    page.row("commit order", &order(profile));
    for step in &profile.validate {
        validate(&mut page, step);
    }
    page.row("checked", &profile.coverage());
    if let Some(seal) = &profile.seal {
        commands(&mut page, "sealed boot", &seal.start);
        page.row("", &format!("handshake inside on port {}{}", seal.port, starttls(seal.starttls)));
    }
    if let Some(import) = &profile.import {
        commands(&mut page, "import", &import.command);
        page.row("", &format!("the files are a spool; the pair is used in {}", import.store));
        match &import.export {
            Some(export) => commands(&mut page, "export", export),
            None => page.row("export", "none: the store does not give its key away"),
        }
    }
    reload(&mut page, &profile.reload);
    if let Some(costs) = &profile.reload_costs {
        page.row("", &format!("those who are connected: {costs}"));
    }
    match &profile.in_container {
        Some(InContainer::Reload(command)) => page.row("in container", &command.brief()),
        Some(InContainer::Signal(signal)) => {
            page.row("in container", &format!("{signal} to its first process"));
        }
        None => {}
    }
    if let Some(recover) = &profile.recover {
        commands(&mut page, "recover", recover);
    }
    if let Some(text) = self_reload(profile.self_reload) {
        page.row("watches", text);
    }
    for verify in &profile.verify {
        page.row("verify", &verify_text(*verify));
    }
    if let Some(discover) = &profile.discover {
        commands(&mut page, "paths in use", &discover.command);
    }
    if let Some(loaded) = &profile.loaded {
        commands(&mut page, "has loaded", loaded);
    }
    for caveat in &profile.caveats {
        page.row("caveat", caveat);
    }
    page.text
}

/// Lines with a label; the same label is written once.
#[derive(Default)]
struct Page {
    text: String,
    label: String,
}

impl Page {
    fn line(&mut self, label: &str, value: &str) {
        let separator = if label.is_empty() { "" } else { "  " };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{label}{separator}{value}");
    }

    /// A value of several lines keeps them, each indented.
    fn row(&mut self, label: &str, value: &str) {
        let mut lines = value.lines();
        self.row_line(label, lines.next().unwrap_or_default());
        for line in lines {
            self.row_line(label, line);
        }
    }

    fn row_line(&mut self, label: &str, value: &str) {
        let shown = if label == self.label { "" } else { label };
        let label_column = format!("  {shown:<12}");
        self.line(&label_column, value);
        if !label.is_empty() {
            label.clone_into(&mut self.label);
        }
    }

    fn row_for(&mut self, label: &str, family: Option<&str>, value: &str) {
        match family {
            Some(family) => self.row(label, &format!("{family}: {value}")),
            None => self.row(label, value),
        }
    }
}

/// The default first, without a name when it is alone.
fn each_family<T>(values: &ByFamily<T>, mut each: impl FnMut(Option<&str>, &T)) {
    let alone = values.families.is_empty();
    if let Some(value) = &values.default {
        each((!alone).then_some("default"), value);
    }
    for (family, value) in &values.families {
        each(Some(family_name(*family)), value);
    }
}

fn family_name(family: Family) -> &'static str {
    Family::NAMES.iter().find(|(_, known)| *known == family).map_or("default", |(name, _)| name)
}

fn origin(profile: &Profile) -> String {
    if profile.built_in { "built-in".into() } else { profile.source.name.clone() }
}

fn layout(profile: &Profile) -> String {
    let layout = profile.layout;
    let certificates = match (layout.cert, layout.chain) {
        (CertFile::Fullchain, _) | (CertFile::Leaf, ChainPlace::InCert) => "leaf and chain",
        (CertFile::Leaf, ChainPlace::Separate) => "leaf, with the chain in a file of its own",
        (CertFile::Leaf, ChainPlace::None) => "leaf alone",
    };
    match layout.key {
        KeyPlace::Separate => format!("{certificates}; the key in a file of its own"),
        KeyPlace::First => format!("one file: key, then {certificates}"),
        KeyPlace::Last => format!("one file: {certificates}, then the key"),
        KeyPlace::Pkcs12 => format!("a PKCS#12 keystore: {certificates}, and the key"),
    }
}

fn paths_text(paths: &Paths) -> String {
    let others = [("key", &paths.key), ("chain", &paths.chain)];
    let others =
        others.iter().filter_map(|(name, path)| Some(format!(", {name} {}", (*path).as_ref()?)));
    std::iter::once(format!("cert {}", paths.cert)).chain(others).collect()
}

fn modes(profile: &Profile) -> String {
    let modes = profile.modes;
    match profile.layout.key {
        KeyPlace::Separate => {
            format!("cert {}, key {}, directory {}", modes.cert, modes.key, modes.dir)
        }
        KeyPlace::First | KeyPlace::Last | KeyPlace::Pkcs12 => {
            format!("file {}, directory {}", modes.cert, modes.dir)
        }
    }
}

fn order(profile: &Profile) -> String {
    let roles = profile.layout.roles();
    let names: Vec<&str> = profile
        .order
        .iter()
        .filter(|role| roles.contains(role))
        .map(|role| match role {
            FileRole::Certificate | FileRole::Combined => "cert",
            FileRole::Key => "key",
            FileRole::Chain => "chain",
            FileRole::Config => "config",
        })
        .collect();
    names.join(", ")
}

fn validate(page: &mut Page, step: &ValidateStep) {
    commands(page, "validate", &step.command);
    let mut about = step.via.describe().to_owned();
    if let Some(user) = &step.as_user {
        match user {
            AsUser::Named(user) => drop(write!(about, ", as user {user}")),
            AsUser::OfProcess => about.push_str(", as the user who runs it"),
        }
    }
    if step.net_private {
        about.push_str(", without the network");
    }
    if !step.refuse_output.is_empty() {
        let _ = write!(about, "; refused when it prints '{}'", step.refuse_output.join("' or '"));
    }
    if step.optional {
        about.push_str("; skipped where the program is missing");
    }
    page.row("", &about);
    let covers: Vec<&str> = step.covers.iter().map(|covers| covers.describe()).collect();
    let covers = if covers.is_empty() { "nothing".into() } else { covers.join(", ") };
    page.row("", &format!("covers: {covers}"));
}

fn reload(page: &mut Page, reload: &Reload) {
    match reload {
        Reload::None => page.row("reload", "none: the service picks up new files by itself"),
        Reload::Required => page.row("reload", "each task says it"),
        Reload::Command { command, exit_code, can_stop_service, replaces_workers } => {
            commands(page, "reload", command);
            page.row("", match exit_code {
                ExitCode::ConfigLoaded => "exit code 0: the configuration was loaded",
                ExitCode::ConfigLoadedIfSystemd => {
                    "exit code 0: the configuration was loaded (with systemd), else it proves nothing"
                }
                ExitCode::Meaningless => "exit code 0 proves nothing; the handshake tells",
            });
            if *can_stop_service {
                page.row("", "a bad certificate can bring the service down");
            }
            if *replaces_workers {
                page.row("", "new worker processes replace the old ones");
            }
        }
    }
}

/// One row for each variant.
fn commands(page: &mut Page, label: &str, spec: &CommandSpec) {
    let mut rows = Vec::new();
    variants(spec, String::new(), &mut rows);
    for row in rows {
        page.row(label, &row);
    }
}

fn variants(spec: &CommandSpec, condition: String, rows: &mut Vec<String>) {
    let and = |name: &str| {
        if condition.is_empty() { name.to_owned() } else { format!("{condition}, {name}") }
    };
    match spec {
        CommandSpec::Always(command) if condition.is_empty() => rows.push(command.to_string()),
        CommandSpec::Always(command) => rows.push(format!("{condition}: {command}")),
        CommandSpec::Init { systemd, plain } => {
            for (name, variant) in [("with systemd", systemd), ("without systemd", plain)] {
                if let Some(variant) = variant {
                    variants(variant, and(name), rows);
                }
            }
        }
        CommandSpec::Family(families) => {
            if let Some(variant) = &families.default {
                variants(variant, and("default"), rows);
            }
            for (family, variant) in &families.families {
                variants(variant, and(family_name(*family)), rows);
            }
        }
    }
}

fn self_reload(how: SelfReload) -> Option<&'static str> {
    match how {
        SelfReload::Never => None,
        SelfReload::PerNewProcess => Some("each new process reads the files by itself"),
        SelfReload::OnRename => Some("loads the files when they are renamed into place"),
        SelfReload::OnConfigChange => {
            Some("loads the files when its dynamic configuration changes")
        }
    }
}

fn verify_text(verify: VerifyDefault) -> String {
    let settle = match verify.settle {
        settle if settle.is_zero() => String::new(),
        settle => {
            format!(", usually served {} after the reload", humantime::format_duration(settle))
        }
    };
    let not_before = match verify.not_before {
        wait if wait.is_zero() => String::new(),
        wait => format!(", not asked for the first {}", humantime::format_duration(wait)),
    };
    format!("port {}{}{settle}{not_before}", verify.port, starttls(verify.starttls))
}

fn starttls(starttls: StartTls) -> String {
    match starttls {
        StartTls::None => String::new(),
        other => format!(" with STARTTLS ({})", other.name()),
    }
}
