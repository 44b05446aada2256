//! `{name}` in a profile's commands: those that every profile knows, and its own `settings`.

use super::values::{command_line, one_or_list, read_settings};
use crate::model::CommandLine;
use crate::services::keys::PLACEHOLDERS;
use crate::services::profile::{CommandSpec, Profile, Reload};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Node, Span};

/// An argument that looks like a placeholder and is none is a misspelt one. In shell text braces are
/// common, so nothing is said about them there.
pub(super) fn check(root: &Node, found: &mut Diagnostics) {
    let settings = read_settings(root.entry("settings"));
    let own = settings.iter().map(|(name, _)| name.as_str());
    let known: Vec<&str> = PLACEHOLDERS.into_iter().chain(own).collect();
    for (word, span) in used(root) {
        if known.contains(&word.as_str()) {
            continue;
        }
        let names: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
        let diagnostic = Diagnostic::error(format!("unknown placeholder '{{{word}}}'"))
            .at(span.as_ref())
            .help(format!("placeholders: {}", names.join(", ")));
        found.push(match nearest(&word, known.iter().copied()) {
            Some(near) => diagnostic.label(format!("did you mean '{{{near}}}'?")),
            None => diagnostic,
        });
    }
}

/// The placeholders in the commands of a profile, or of one of its parts: arguments that are nothing
/// else, and `{certs}` in shell text.
pub(super) fn used(node: &Node) -> Vec<(String, Option<Span>)> {
    let mut words = Vec::new();
    for (key, value) in node.as_map().into_iter().flatten() {
        match key.as_str().unwrap_or_default() {
            "command" | "start" | "recover" | "loaded" | "export" => in_command(value, &mut words),
            "validate" | "seal" | "reload" | "discover" | "import" => {
                one_or_list(Some(value)).iter().for_each(|part| words.extend(used(part)));
            }
            _ => {}
        }
    }
    words
}

fn in_command(node: &Node, words: &mut Vec<(String, Option<Span>)>) {
    let mut tell = |word: &str| words.push((word.to_owned(), node.span.clone()));
    match command_line(node) {
        Some(CommandLine::Argv(argv)) => {
            let inner = |word: &String| {
                word.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).map(str::to_owned)
            };
            let name = |word: &String| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            };
            argv.iter().filter_map(inner).filter(name).for_each(|word| tell(&word));
        }
        Some(CommandLine::Shell(text)) if text.contains("{certs}") => tell("certs"),
        Some(CommandLine::Shell(_)) => {}
        None => {
            let variants = node.as_map().into_iter().flatten();
            variants.for_each(|(_, variant)| in_command(variant, words));
        }
    }
}

/// Puts the settings into every command.
pub(super) fn fill(profile: &mut Profile) {
    let settings = std::mem::take(&mut profile.settings);
    let value = |name: &str| {
        settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let steps = profile.validate.iter_mut().map(|step| &mut step.command);
    let seal = profile.seal.iter_mut().map(|seal| &mut seal.start);
    let discover = profile.discover.iter_mut().map(|discover| &mut discover.command);
    let reload = match &mut profile.reload {
        Reload::Command { command, .. } => Some(command),
        Reload::None | Reload::Required => None,
    };
    let all = steps.chain(seal).chain(discover).chain(reload).chain(&mut profile.recover);
    let import = profile.import.iter_mut();
    let import = import.flat_map(|one| std::iter::once(&mut one.command).chain(&mut one.export));
    all.chain(&mut profile.loaded).chain(import).for_each(|spec| fill_command(spec, &value));
    profile.settings = settings;
}

fn fill_command(spec: &mut CommandSpec, value: &impl Fn(&str) -> Option<String>) {
    match spec {
        CommandSpec::Always(command) => *command = command.expand(value),
        CommandSpec::Init { systemd, plain } => {
            let variants = systemd.iter_mut().chain(plain);
            variants.for_each(|variant| fill_command(variant, value));
        }
        CommandSpec::Family(variants) => {
            let families = variants.families.iter_mut().map(|(_, variant)| variant);
            variants.default.iter_mut().chain(families).for_each(|v| fill_command(v, value));
        }
    }
}
