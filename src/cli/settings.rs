//! Ansible's settings: what the environment and `ansible.cfg` say where the command line says nothing.
//!
//! Precedence, strongest first: variables, keywords of plays and tasks, the command line, the environment, the
//! file, the default (Ansible, `config/manager.py`). The first three are known elsewhere; here the last three
//! fill in the flags that were not given.

use super::ansible_cfg::{self, ConfigFile};
use super::args::{ConnectionArgs, InventorySource};
use crate::source::{Diagnostic, Diagnostics, Span};
use std::path::{Path, PathBuf};

/// What kind of value a setting has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Number,
    /// A file: `~` is the home directory; relative to the file that names it, or the current directory.
    Path,
    /// Files, separated by commas.
    Paths,
    /// Directories, separated by colons.
    Directories,
    /// Texts, separated by commas.
    List,
}

/// One setting that certroll obeys.
struct Setting {
    name: &'static str,
    environment: &'static [&'static str],
    /// Sections and keys; the first that is there counts.
    file: &'static [(&'static str, &'static str)],
    kind: Kind,
    default: &'static str,
}

const fn setting(
    name: &'static str,
    kind: Kind,
    environment: &'static [&'static str],
    file: &'static [(&'static str, &'static str)],
    default: &'static str,
) -> Setting {
    Setting { name, environment, file, kind, default }
}

const BECOME: &str = "privilege_escalation";
const SSH: &str = "ssh_connection";

/// Every setting, in the order in which `certroll config` shows them.
#[rustfmt::skip]
const SETTINGS: &[Setting] = &[
    setting("inventory", Kind::Paths, &["ANSIBLE_INVENTORY"], &[("defaults", "inventory")], "/etc/ansible/hosts, if it exists"),
    setting("remote_user", Kind::Text, &["ANSIBLE_REMOTE_USER"], &[("defaults", "remote_user")], "as ssh decides"),
    setting("remote_port", Kind::Number, &["ANSIBLE_REMOTE_PORT"], &[("defaults", "remote_port")], "as ssh decides"),
    setting("private_key_file", Kind::Path, &["ANSIBLE_PRIVATE_KEY_FILE"], &[("defaults", "private_key_file")], "as ssh decides"),
    setting("connection", Kind::Text, &["ANSIBLE_TRANSPORT"], &[("defaults", "transport")], "ssh"),
    setting("ask_pass", Kind::Flag, &["ANSIBLE_ASK_PASS"], &[("defaults", "ask_pass")], "false"),
    setting("connection_password_file", Kind::Path, &["ANSIBLE_CONNECTION_PASSWORD_FILE"], &[("defaults", "connection_password_file")], "none"),
    setting("host_key_checking", Kind::Flag, &["ANSIBLE_SSH_HOST_KEY_CHECKING", "ANSIBLE_HOST_KEY_CHECKING"], &[(SSH, "host_key_checking"), ("defaults", "host_key_checking")], "true"),
    setting("ssh_args", Kind::Text, &["ANSIBLE_SSH_ARGS"], &[(SSH, "ssh_args")], "none"),
    setting("ssh_common_args", Kind::Text, &["ANSIBLE_SSH_COMMON_ARGS"], &[(SSH, "ssh_common_args")], "none"),
    setting("ssh_extra_args", Kind::Text, &["ANSIBLE_SSH_EXTRA_ARGS"], &[(SSH, "ssh_extra_args")], "none"),
    setting("timeout", Kind::Number, &["ANSIBLE_SSH_TIMEOUT", "ANSIBLE_TIMEOUT"], &[(SSH, "timeout"), ("defaults", "timeout")], "10"),
    setting("retries", Kind::Number, &["ANSIBLE_SSH_RETRIES"], &[(SSH, "retries"), ("connection", "retries")], "0"),
    setting("become", Kind::Flag, &["ANSIBLE_BECOME"], &[(BECOME, "become")], "false"),
    setting("become_user", Kind::Text, &["ANSIBLE_BECOME_USER"], &[(BECOME, "become_user")], "root"),
    setting("become_method", Kind::Text, &["ANSIBLE_BECOME_METHOD"], &[(BECOME, "become_method")], "sudo"),
    setting("become_flags", Kind::Text, &["ANSIBLE_BECOME_FLAGS"], &[(BECOME, "become_flags")], "the method's"),
    setting("become_exe", Kind::Text, &["ANSIBLE_BECOME_EXE"], &[(BECOME, "become_exe")], "the method's"),
    setting("become_ask_pass", Kind::Flag, &["ANSIBLE_BECOME_ASK_PASS"], &[(BECOME, "become_ask_pass")], "false"),
    setting("become_password_file", Kind::Path, &["ANSIBLE_BECOME_PASSWORD_FILE"], &[("defaults", "become_password_file")], "none"),
    setting("ask_vault_pass", Kind::Flag, &["ANSIBLE_ASK_VAULT_PASS"], &[("defaults", "ask_vault_pass")], "false"),
    setting("vault_password_file", Kind::Path, &["ANSIBLE_VAULT_PASSWORD_FILE"], &[("defaults", "vault_password_file")], "none"),
    setting("vault_identity_list", Kind::List, &["ANSIBLE_VAULT_IDENTITY_LIST"], &[("defaults", "vault_identity_list")], "none"),
    setting("forks", Kind::Number, &["ANSIBLE_FORKS"], &[("defaults", "forks")], "50"),
    setting("force_handlers", Kind::Flag, &["ANSIBLE_FORCE_HANDLERS"], &[("defaults", "force_handlers")], "false"),
    setting("any_errors_fatal", Kind::Flag, &["ANSIBLE_ANY_ERRORS_FATAL"], &[("defaults", "any_errors_fatal")], "false"),
    setting("roles_path", Kind::Directories, &["ANSIBLE_ROLES_PATH"], &[("defaults", "roles_path")], "~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles"),
    setting("collections_path", Kind::Directories, &["ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_COLLECTIONS_PATHS"], &[("defaults", "collections_path"), ("defaults", "collections_paths")], "~/.ansible/collections:/usr/share/ansible/collections"),
    setting("run_tags", Kind::List, &["ANSIBLE_RUN_TAGS"], &[("tags", "run")], "all"),
    setting("skip_tags", Kind::List, &["ANSIBLE_SKIP_TAGS"], &[("tags", "skip")], "none"),
];

/// A setting that changes what a playbook means, and that certroll does not have.
struct Unsupported {
    environment: &'static str,
    file: (&'static str, &'static str),
    /// With one of these, in lower case, nothing is different.
    neutral: &'static [&'static str],
    remedy: &'static str,
}

const fn unsupported(
    environment: &'static str,
    file: (&'static str, &'static str),
    neutral: &'static [&'static str],
    remedy: &'static str,
) -> Unsupported {
    Unsupported { environment, file, neutral, remedy }
}

#[rustfmt::skip]
const UNSUPPORTED: &[Unsupported] = &[
    unsupported("ANSIBLE_HASH_BEHAVIOUR", ("defaults", "hash_behaviour"), &["replace"], "mappings are replaced: use the filter `combine`"),
    unsupported("ANSIBLE_STRATEGY", ("defaults", "strategy"), &["linear", "ansible.builtin.linear", "host_pinned", "free"], "every task runs on a whole batch before the next"),
    unsupported("ANSIBLE_JINJA2_EXTENSIONS", ("defaults", "jinja2_extensions"), &[""], "templates have no extensions"),
    unsupported("ANSIBLE_PRECEDENCE", ("defaults", "precedence"), &[""], "variables have Ansible's usual precedence"),
    unsupported("ANSIBLE_ALLOW_BROKEN_CONDITIONALS", ("defaults", "allow_broken_conditionals"), &["false", "no", "off", "0"], "a condition must give true or false"),
    unsupported("ANSIBLE_ERROR_ON_UNDEFINED_VARS", ("defaults", "error_on_undefined_vars"), &["true", "yes", "on", "1"], "an undefined name is an error: use `default`"),
    unsupported("ANSIBLE_EXECUTABLE", ("defaults", "executable"), &["/bin/sh"], "programs on hosts run under /bin/sh"),
    unsupported("ANSIBLE_TASK_TIMEOUT", ("defaults", "task_timeout"), &["0"], "give the tasks a `timeout`"),
    unsupported("ANSIBLE_SSH_EXECUTABLE", (SSH, "ssh_executable"), &["ssh", "/usr/bin/ssh"], "certroll speaks SSH itself"),
    unsupported("ANSIBLE_PKCS11_PROVIDER", (SSH, "pkcs11_provider"), &[""], "load the token into an agent (ssh-add -s)"),
    unsupported("ANSIBLE_INVENTORY_ENABLED", ("inventory", "enable_plugins"), &["host_list, script, auto, yaml, ini, toml", "ini", "yaml, ini"], "inventories are read as INI, YAML, programs and lists of hosts"),
    unsupported("ANSIBLE_VAULT_ID_MATCH", ("defaults", "vault_id_match"), &["false", "no", "off", "0"], "every vault password is tried on every vault"),
    unsupported("ANSIBLE_BECOME_PASS", ("sudo_become_plugin", "password"), &[""], "use -K, --become-password-file, or `ansible_become_password` from a vault"),
];

/// Where a value comes from.
#[derive(Clone)]
enum Origin {
    CommandLine,
    Environment(&'static str),
    File(Span),
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Environment(name) => write!(f, "environment: {name}"),
            Self::File(span) => write!(f, "{}:{}", span.file.name, span.line),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One line of `certroll config`.
pub(super) struct Row {
    /// The setting.
    pub(super) name: &'static str,
    /// Its value as text.
    pub(super) value: String,
    /// Where it comes from.
    pub(super) origin: String,
}

struct Found {
    setting: &'static Setting,
    text: String,
    origin: Origin,
}

/// What environment and file say.
pub(super) struct Settings {
    found: Vec<Found>,
    file: Option<PathBuf>,
    /// What is set there without effect.
    pub(super) warnings: Diagnostics,
}

/// Settings of a run that are no flags of a connection or an inventory.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSettings {
    /// `forks`.
    pub(super) forks: Option<u16>,
    /// `force_handlers`.
    pub(super) force_handlers: bool,
    /// `any_errors_fatal` of plays that do not say.
    pub(super) any_errors_fatal: bool,
    /// `roles_path`.
    pub(super) roles_path: Vec<PathBuf>,
    /// `collections_path`.
    pub(super) collections_path: Vec<PathBuf>,
    /// `[tags] run`.
    pub(super) tags: Vec<String>,
    /// `[tags] skip`.
    pub(super) skip_tags: Vec<String>,
}

impl Settings {
    /// Reads environment and file.
    ///
    /// # Errors
    /// A file that cannot be read; values of the wrong kind, each with its place.
    pub(super) fn read() -> Result<Self, Diagnostics> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let named = variable("ANSIBLE_CONFIG").map(PathBuf::from);
        let mut warnings = Diagnostics::default();
        let file = ansible_cfg::read(named.as_deref(), home.as_deref(), &mut warnings)?;
        Self::from_parts(&variable, &file, warnings)
    }

    fn from_parts(
        variable: &dyn Fn(&str) -> Option<String>,
        file: &ConfigFile,
        mut warnings: Diagnostics,
    ) -> Result<Self, Diagnostics> {
        let mut found = Vec::new();
        let mut problems = Diagnostics::default();
        for setting in SETTINGS {
            let given = setting
                .environment
                .iter()
                .find_map(|&name| Some((variable(name)?, Origin::Environment(name))));
            let written = || {
                let entry =
                    setting.file.iter().find_map(|(section, key)| file.get(section, key))?;
                Some((unquoted(&entry.value).to_owned(), Origin::File(entry.span.clone())))
            };
            let Some((text, origin)) = given.or_else(written) else { continue };
            if text.is_empty() && setting.kind != Kind::Text {
                continue;
            }
            let base = match &origin {
                Origin::File(_) => file.path.as_deref().and_then(Path::parent),
                _ => None,
            };
            match checked(setting.kind, &text, base) {
                Ok(text) => found.push(Found { setting, text, origin }),
                Err(why) => problems.push(placed(
                    Diagnostic::error(format!("{} ({origin}): {why}", setting.name)),
                    &origin,
                )),
            }
        }
        for one in UNSUPPORTED {
            let given = variable(one.environment)
                .map(|value| (value, Origin::Environment(one.environment)));
            let written = file
                .get(one.file.0, one.file.1)
                .map(|entry| (entry.value.clone(), Origin::File(entry.span.clone())));
            let Some((value, origin)) = given.or(written) else { continue };
            if one.neutral.contains(&value.trim().to_lowercase().as_str()) {
                continue;
            }
            let message = format!("certroll does not support the setting '{}'", one.file.1);
            let message = match &origin {
                Origin::File(_) => message,
                _ => format!("{message} ({origin})"),
            };
            warnings.push(placed(Diagnostic::warning(message).help(one.remedy), &origin));
        }
        if problems.has_errors() {
            return Err(problems);
        }
        Ok(Self { found, file: file.path.clone(), warnings })
    }

    /// The file that was read.
    pub(super) fn file(&self) -> Option<String> {
        let file = std::path::absolute(self.file.as_ref()?).ok()?;
        Some(file.display().to_string())
    }

    fn text(&self, name: &str) -> Option<String> {
        let found = self.found.iter().find(|found| found.setting.name == name);
        found.map(|found| found.text.clone())
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text == "true")
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn directories(&self, name: &str) -> Vec<PathBuf> {
        let text = self.text(name).unwrap_or_default();
        text.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect()
    }

    /// Fills in where hosts and vault passwords come from.
    pub(super) fn fill_sources(&self, source: &mut InventorySource) {
        if source.sources.is_empty() {
            source.sources = self.list("inventory");
        }
        // As in Ansible, passwords of the command line are further ones.
        let files = self.text("vault_password_file").map(PathBuf::from);
        let files = files.filter(|file| !source.vault_password_files.contains(file));
        source.vault_password_files.extend(files);
        let mut ids = self.list("vault_identity_list");
        ids.retain(|id| !source.vault_ids.contains(id));
        source.vault_ids.splice(..0, ids);
        source.ask_vault_pass |= self.flag("ask_vault_pass").unwrap_or(false);
    }

    /// Fills in how to log in and become.
    pub(super) fn fill_connection(&self, args: &mut ConnectionArgs) {
        let fill = |slot: &mut Option<String>, name| *slot = slot.take().or(self.text(name));
        fill(&mut args.user, "remote_user");
        fill(&mut args.connection, "connection");
        fill(&mut args.become_user, "become_user");
        fill(&mut args.become_method, "become_method");
        fill(&mut args.ssh_common_args, "ssh_common_args");
        fill(&mut args.ssh_extra_args, "ssh_extra_args");
        fill(&mut args.more.ssh_args, "ssh_args");
        fill(&mut args.more.become_flags, "become_flags");
        fill(&mut args.more.become_exe, "become_exe");
        let path = |slot: &mut Option<PathBuf>, name| {
            *slot = slot.take().or(self.text(name).map(PathBuf::from));
        };
        path(&mut args.private_key, "private_key_file");
        path(&mut args.connection_password_file, "connection_password_file");
        path(&mut args.become_password_file, "become_password_file");
        args.becoming |= self.flag("become").unwrap_or(false);
        args.ask_pass |= self.flag("ask_pass").unwrap_or(false);
        args.ask_become_pass |= self.flag("become_ask_pass").unwrap_or(false);
        args.timeout = args.timeout.or(self.number("timeout"));
        args.more.port = self.number("remote_port");
        args.more.retries = self.number("retries");
        args.more.host_key_checking = self.flag("host_key_checking");
    }

    /// What a run has besides.
    pub(super) fn of_run(&self) -> RunSettings {
        RunSettings {
            forks: self.number("forks"),
            force_handlers: self.flag("force_handlers").unwrap_or(false),
            any_errors_fatal: self.flag("any_errors_fatal").unwrap_or(false),
            roles_path: self.directories("roles_path"),
            collections_path: self.directories("collections_path"),
            tags: self.list("run_tags"),
            skip_tags: self.list("skip_tags"),
        }
    }

    /// Every setting with its value and where it comes from; `given` are those of the command line.
    pub(super) fn rows(&self, given: &[(&'static str, String)]) -> Vec<Row> {
        let rows = SETTINGS.iter().map(|setting| {
            let flag = given.iter().find(|(name, _)| *name == setting.name);
            let found = self.found.iter().find(|found| found.setting.name == setting.name);
            let (value, origin) = match (flag, found) {
                (Some((_, value)), _) => (value.clone(), Origin::CommandLine),
                (None, Some(found)) => (found.text.clone(), found.origin.clone()),
                (None, None) => (setting.default.to_owned(), Origin::Default),
            };
            Row { name: setting.name, value: value.replace('\n', " "), origin: origin.to_string() }
        });
        let file = self.file.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
        let origin = match std::env::var_os("ANSIBLE_CONFIG") {
            Some(_) => Origin::Environment("ANSIBLE_CONFIG"),
            None => Origin::Default,
        };
        let first = Row { name: "configuration file", value: file, origin: origin.to_string() };
        std::iter::once(first).chain(rows).collect()
    }
}

fn placed(problem: Diagnostic, origin: &Origin) -> Diagnostic {
    match origin {
        Origin::File(span) => problem.at(span),
        _ => problem,
    }
}

fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// The value in one spelling: flags as `true` and `false`, paths whole, lists with bare commas.
fn checked(kind: Kind, text: &str, base: Option<&Path>) -> Result<String, String> {
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    Ok(match kind {
        Kind::Text => text.to_owned(),
        Kind::Flag => match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => "true".to_owned(),
            "false" | "no" | "off" | "n" | "f" | "0" => "false".to_owned(),
            _ => return Err(format!("expected true or false, not '{text}'")),
        },
        Kind::Number => match text.trim().parse::<u16>() {
            Ok(number) => number.to_string(),
            Err(_) => return Err(format!("expected a whole number, not '{text}'")),
        },
        Kind::Path => path(text.trim(), base),
        Kind::Paths => parts().map(|part| path(part, base)).collect::<Vec<_>>().join(","),
        Kind::Directories => {
            let parts = text.split(':').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| path(part, base)).collect::<Vec<_>>().join(":")
        }
        Kind::List => parts().collect::<Vec<_>>().join(","),
    })
}

fn path(text: &str, base: Option<&Path>) -> String {
    let text = match std::env::current_dir() {
        Ok(here) => text.replace("{{CWD}}", &here.display().to_string()),
        Err(_) => text.to_owned(),
    };
    if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        return Path::new(&home).join(rest).display().to_string();
    }
    base.map_or(text.clone(), |base| base.join(&text).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ansible.cfg");
        std::fs::write(&path, text).unwrap();
        let mut warnings = Diagnostics::default();
        let file = ansible_cfg::read(Some(&path), None, &mut warnings).unwrap();
        let variable = |name: &str| {
            let known = environment.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        Settings::from_parts(&variable, &file, warnings)
            .map_err(|found| found.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_environment_beats_the_file_and_flags_beat_both() {
        let text =
            "[defaults]\nforks = 7\nremote_user = 'file'\n[privilege_escalation]\nbecome = yes\n";
        let settings = read(text, &[("ANSIBLE_REMOTE_USER", "environment")]).unwrap();
        let mut args = ConnectionArgs::default();
        settings.fill_connection(&mut args);
        assert_eq!((args.user.as_deref(), args.becoming), (Some("environment"), true));
        assert_eq!(settings.of_run().forks, Some(7));
        let mut given = ConnectionArgs { user: Some("flag".into()), ..ConnectionArgs::default() };
        settings.fill_connection(&mut given);
        assert_eq!(given.user.as_deref(), Some("flag"));
    }

    #[test]
    fn wrong_values_have_their_place() {
        let problem = read("[defaults]\nforks = many\n", &[]).err().unwrap();
        assert!(problem.contains("ansible.cfg:2:1"), "{problem}");
        assert!(problem.contains("expected a whole number, not 'many'"), "{problem}");
    }

    #[test]
    fn what_would_change_the_meaning_is_warned_about() {
        let settings =
            read("[defaults]\nhash_behaviour = merge\ngathering = smart\n", &[]).unwrap();
        let shown: Vec<String> =
            settings.warnings.0.iter().map(|one| one.message.clone()).collect();
        assert_eq!(shown, ["certroll does not support the setting 'hash_behaviour'"]);
        assert!(read("[defaults]\nhash_behaviour = replace\n", &[]).unwrap().warnings.0.is_empty());
    }

    #[test]
    fn an_inventory_is_a_list_of_paths() {
        let settings = read("[defaults]\ninventory = one, /two\n", &[]).unwrap();
        let list = settings.list("inventory");
        assert!(list[0].ends_with("/one") && list[0].starts_with('/'), "{list:?}");
        assert_eq!(list[1], "/two");
        let settings = read("", &[("ANSIBLE_INVENTORY", "a,b")]).unwrap();
        assert_eq!(settings.list("inventory"), ["a", "b"]);
    }
}
