//! The keys of a profile, once: the reader checks files against this table, and the JSON Schema is
//! made of it.

use crate::host::Family;
use serde_json::{Map, Value, json};

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A regular expression with at least one of the named groups of `discover`.
    Pattern,
    /// A file's absolute path.
    Path,
    /// A directory's absolute path.
    Directory,
    /// `user:group`.
    Owner,
    /// Octal digits as text.
    Mode,
    /// 1 to 65535.
    Port,
    /// `150ms`, `2s`.
    Duration,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these.
    List(&'static Kind),
    /// One of these, or a list of them.
    OneOrList(&'static Kind),
    /// A mapping with these keys.
    Map(&'static [Key]),
    /// One of these, or a mapping from distribution families to these.
    ByFamily(&'static Kind),
    /// A command, see [`super::format`].
    Command,
    /// One of these words, or the other kind.
    WordOr(&'static [&'static str], &'static Kind),
    /// A directory, or a mapping with these keys.
    DirectoryOrMap(&'static [Key]),
    /// A mapping from names of the author's own to texts.
    Settings,
}

/// A key of a mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: false, about }
}

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: true, about }
}

const STARTTLS: Kind = Kind::Word(&[
    "none", "smtp", "lmtp", "imap", "pop3", "sieve", "ldap", "ftp", "postgres", "mysql", "xmpp",
]);

/// A profile's own keys.
pub(super) const PROFILE: &[Key] = &[
    key("description", Kind::Text, "one line for `certroll services`"),
    key("extends", Kind::Text, "name of a profile whose keys count where this one has none"),
    key(
        "settings",
        Kind::Settings,
        "what `{name}` stands for in the commands, for a profile that extends this one to change",
    ),
    key("layout", Kind::Map(LAYOUT), "which file holds what"),
    key(
        "dest",
        Kind::WordOr(&["none"], &Kind::ByFamily(&Kind::Map(PATHS))),
        "default destinations on the host",
    ),
    key("reads", Kind::Text, "who opens the key: `root`, `process_user`, or a user's name"),
    key(
        "reload_reads_as",
        Kind::Text,
        "who opens the key at a reload, where that is not who opens it at the start: as `reads`",
    ),
    key("modes", Kind::Map(MODES), "modes of new files"),
    key("owners", Kind::ByFamily(&Kind::Map(OWNERS)), "owners of new files"),
    key(
        "order",
        Kind::List(&Kind::Word(&["cert", "key", "chain"])),
        "in which order the files are renamed into place; a service that watches for renames sees the last alone",
    ),
    key(
        "import",
        Kind::WordOr(&["none"], &Kind::Map(IMPORT)),
        "the files are a spool: this imports the pair into a store of the service's own, before the reload",
    ),
    key(
        "export",
        Kind::WordOr(&["none"], &Kind::Command),
        "writes the pair that the store has now to `{cert}` and `{key}`, as the files would hold it; run where the spool has no way back yet",
    ),
    key(
        "experimental",
        Kind::Text,
        "what this profile was written from, where it was never run on the real thing; a run needs --allow-experimental. Empty: it was tried",
    ),
    key("measured", Kind::Text, "the versions of the service for which this was found to be so"),
    key(
        "validate",
        Kind::WordOr(&["none"], &Kind::OneOrList(&Kind::Map(STEP))),
        "checks over the staged files",
    ),
    key("seal", Kind::WordOr(&["none"], &Kind::Map(SEAL)), "recipe of the sealed boot"),
    key(
        "reload",
        Kind::WordOr(&["none", "required"], &Kind::Map(RELOAD)),
        "how the service loads the files",
    ),
    key(
        "container",
        Kind::Map(CONTAINER),
        "how it is told in a container, where that is not by the reload without systemd, run in there",
    ),
    key(
        "recover",
        Kind::WordOr(&["none"], &Kind::Command),
        "run when the service was up before and is down now",
    ),
    key("reload_costs", Kind::Text, "what a reload costs those who are connected; plan prints it"),
    key(
        "overwrites",
        Kind::Text,
        "that, and when, the service itself replaces files that it dislikes: said where a way back finds its files instead",
    ),
    key(
        "program",
        Kind::ByFamily(&Kind::Text),
        "the program without which the service is not installed",
    ),
    key("running", Kind::Map(RUNNING), "how a running service is recognised"),
    key(
        "verify",
        Kind::WordOr(&["none"], &Kind::OneOrList(&Kind::Map(VERIFY))),
        "where the certificate can be seen",
    ),
    key(
        "discover",
        Kind::WordOr(&["none"], &Kind::Map(DISCOVER)),
        "reads the paths in use out of the configuration",
    ),
    key(
        "loaded",
        Kind::WordOr(&["none"], &Kind::Command),
        "prints the SHA-256, SHA-1 or serial numbers of the certificates that the running service has loaded, in hex",
    ),
    key(
        "self_reload",
        Kind::Word(&["never", "per_new_process", "on_rename", "on_config_change"]),
        "whether the service picks files up unasked",
    ),
    key("caveats", Kind::List(&Kind::Text), "what the operator should know; plan prints them"),
];

const IMPORT: &[Key] = &[
    required("command", Kind::Command, "imports the pair; may be run again after it was killed"),
    required("store", Kind::Text, "where the pair lies then, in a few words for plan"),
];

const LAYOUT: &[Key] = &[
    key("cert", Kind::Word(&["fullchain", "leaf"]), "content of the certificate file"),
    key("chain", Kind::Word(&["in_cert", "separate", "none"]), "place of the intermediates"),
    key(
        "key",
        Kind::Word(&["separate", "first", "last", "pkcs12"]),
        "a file of its own, inside the certificate file, or both in one PKCS#12 keystore",
    ),
];

const PATHS: &[Key] = &[
    required("cert", Kind::Path, "the certificate file"),
    key("key", Kind::Path, "the key file"),
    key("chain", Kind::Path, "the file of intermediates"),
];

const MODES: &[Key] = &[
    key("cert", Kind::Mode, "certificate and chain; the one file when the key is inside"),
    key("key", Kind::Mode, "the key file"),
    key("dir", Kind::Mode, "a directory made for them"),
];

const OWNERS: &[Key] = &[
    key("cert", Kind::Owner, "certificate and chain; the one file when the key is inside"),
    key("key", Kind::Owner, "the key file"),
    key("dir", Kind::Owner, "a directory made for them"),
];

const STEP: &[Key] = &[
    required("command", Kind::Command, "exit code 0 accepts, all else refuses"),
    key(
        "via",
        Kind::Word(&["mount_namespace", "staged", "live", "template"]),
        "how it sees the staged files",
    ),
    key("template", Kind::Text, "the throwaway configuration, for `via: template`"),
    key(
        "as_user",
        Kind::Text,
        "run as that user instead of root; `process_user`: as whoever runs the service",
    ),
    key("scratch_home", Kind::Bool, "HOME is an empty directory"),
    key("net_private", Kind::Bool, "in a network namespace of its own"),
    key(
        "refuse_output",
        Kind::List(&Kind::Text),
        "output that means refused whatever the exit code",
    ),
    key("discard_output", Kind::Bool, "the output is never shown"),
    key("optional", Kind::Bool, "a host without the program skips the step, and says so"),
    key(
        "covers",
        Kind::List(&Kind::Word(&[
            "config",
            "files_exist",
            "leaf_pem",
            "pem",
            "pair_same_type",
            "pair",
            "readable",
        ])),
        "what it was measured to check",
    ),
];

const SEAL: &[Key] = &[
    key("tmpfs", Kind::List(&Kind::Directory), "directories hidden under an empty tmpfs"),
    key("mkdir", Kind::List(&Kind::DirectoryOrMap(MKDIR)), "directories made in them"),
    required("start", Kind::Command, "starts the service"),
    required("port", Kind::Port, "where it listens"),
    key("starttls", STARTTLS, "what precedes the handshake"),
];

const MKDIR: &[Key] = &[
    required("path", Kind::Directory, "the directory"),
    key("owner", Kind::Owner, "root:root without"),
    key("mode", Kind::Mode, "0755 without"),
];

const RELOAD: &[Key] = &[
    required("command", Kind::Command, "makes the service load the files"),
    key(
        "exit_code",
        Kind::Word(&["config_loaded", "config_loaded_if_systemd", "meaningless"]),
        "what 0 proves",
    ),
    key("can_stop_service", Kind::Bool, "a bad certificate can bring the service down"),
    key(
        "replaces_workers",
        Kind::Bool,
        "only new workers of the main process serve after it, and only what they or it read anew",
    ),
];

const CONTAINER: &[Key] = &[
    key("reload", Kind::Command, "a program in there"),
    key(
        "signal",
        Kind::Word(&["HUP", "USR1", "USR2", "TERM", "WINCH"]),
        "to its first process, from the host",
    ),
];

const RUNNING: &[Key] = &[
    key("pidfile", Kind::ByFamily(&Kind::Path), "its pid file"),
    key("process", Kind::ByFamily(&Kind::Text), "name of its process"),
    key("unit", Kind::ByFamily(&Kind::Text), "its systemd unit"),
];

const VERIFY: &[Key] = &[
    required("port", Kind::Port, "TCP port"),
    key("starttls", STARTTLS, "what precedes the handshake"),
    key(
        "settle",
        Kind::Duration,
        "how long after the reload the new certificate is usually served",
    ),
    key(
        "not_before",
        Kind::Duration,
        "how long after the reload nothing connects: the service is still taking it in",
    ),
];

const DISCOVER: &[Key] = &[
    required("command", Kind::Command, "prints the configuration; never one that prints keys"),
    required(
        "patterns",
        Kind::List(&Kind::Pattern),
        "regular expressions with the named groups cert, key, chain, pem",
    ),
    key("relative_to", Kind::Directory, "what relative paths start from"),
];

/// What `{name}` means in every profile: the files of a pair, the template's file, and the certificate
/// files of all pairs.
pub(super) const PLACEHOLDERS: [&str; 5] = ["cert", "key", "chain", "template", "certs"];

/// Names of families in profiles.
pub(super) fn families() -> impl Iterator<Item = &'static str> {
    Family::NAMES.iter().map(|(name, _)| *name)
}

/// The JSON Schema (draft 2020-12) of a profile, as `docs/service-profile.schema.json` has it.
pub fn json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "certroll service profile",
    });
    let body = map_schema(PROFILE);
    if let (Some(all), Value::Object(body)) = (schema.as_object_mut(), body) {
        all.extend(body);
        all.insert("$defs".into(), json!({ "command": command_schema() }));
    }
    schema
}

fn map_schema(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let mut schema = kind_schema(key.kind);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".into(), key.about.into());
        }
        properties.insert(key.name.into(), schema);
    }
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if let Some(schema) = schema.as_object_mut().filter(|_| !required.is_empty()) {
        schema.insert("required".into(), json!(required));
    }
    schema
}

fn kind_schema(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Pattern => json!({ "type": "string" }),
        Kind::Path | Kind::Directory => json!({ "type": "string", "pattern": "^/" }),
        Kind::Owner => json!({ "type": "string", "pattern": "^[^:]+:[^:]+$" }),
        Kind::Mode => json!({ "type": "string", "pattern": "^[0-7]{3,4}$" }),
        Kind::Port => json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
        Kind::Duration => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::List(item) => json!({ "type": "array", "items": kind_schema(*item) }),
        Kind::OneOrList(item) => {
            let item = kind_schema(*item);
            json!({ "anyOf": [item, { "type": "array", "items": item }] })
        }
        Kind::Map(keys) => map_schema(keys),
        Kind::ByFamily(item) => {
            let item = kind_schema(*item);
            json!({ "anyOf": [item, families_schema(&item)] })
        }
        Kind::Command => json!({ "$ref": "#/$defs/command" }),
        Kind::WordOr(words, other) => {
            json!({ "anyOf": [{ "enum": words }, kind_schema(*other)] })
        }
        Kind::DirectoryOrMap(keys) => {
            json!({ "anyOf": [kind_schema(Kind::Directory), map_schema(keys)] })
        }
        Kind::Settings => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z_]+$", "not": { "enum": PLACEHOLDERS } },
            "additionalProperties": { "type": "string" },
        }),
    }
}

fn families_schema(item: &Value) -> Value {
    let properties: Map<String, Value> =
        families().map(|name| (name.to_owned(), item.clone())).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn command_schema() -> Value {
    let reference = json!({ "$ref": "#/$defs/command" });
    let text = json!({ "type": "string", "minLength": 1 });
    json!({
        "description": "an argument list, a text split as a shell would but run without one, {shell: TEXT}, or variants",
        "anyOf": [
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            text,
            { "type": "object", "additionalProperties": false, "required": ["shell"], "properties": { "shell": text } },
            { "type": "object", "additionalProperties": false, "minProperties": 1, "properties": { "systemd": reference, "plain": reference } },
            families_schema(&reference),
        ],
    })
}

/// The words of [`Kind::Word`] lists that stand for enums elsewhere cannot drift from them.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StartTls;
    use crate::services::Covers;

    #[test]
    fn words_are_those_of_the_types() {
        let starttls: Vec<&str> = StartTls::NAMES.iter().map(|(name, _)| *name).collect();
        let covers: Vec<&str> = Covers::NAMES.iter().map(|(name, _)| *name).collect();
        let Kind::Word(known) = STARTTLS else { unreachable!() };
        assert_eq!(known, starttls);
        let step = STEP.iter().find(|key| key.name == "covers").expect("a key of steps");
        let Kind::List(Kind::Word(known)) = step.kind else { unreachable!() };
        assert_eq!(*known, covers);
    }
}
