//! From a profile and a kind of host to concrete commands and paths.

use super::profile::{
    ChainPlace, CommandSpec, Covers, Discover, Discovered, ExitCode, KeyPlace, Layout, Owners,
    Paths, Profile, Reload, SealedBoot, ValidateStep, Via,
};
use crate::host::{FileRole, HostKind, RunningCheck, TimedCommand};
use crate::model::{CommandLine, RemotePath, StartTls};
use std::time::Duration;

/// A profile made concrete for one kind of host. Commands still hold placeholders: expand them
/// with [`Files::expand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Default destinations.
    pub dest: Option<Paths>,
    /// Owners of new files.
    pub owners: Owners,
    /// The checks, in order. Steps without a command for this host are left out.
    pub validate: Vec<ResolvedStep>,
    /// The sealed boot, where it can be started on this host.
    pub seal: Option<ResolvedSeal>,
    /// Takes the pair up into the store, where the files are a spool.
    pub import: Option<CommandLine>,
    /// Writes the pair that the store has.
    pub export: Option<CommandLine>,
    /// The reload.
    pub reload: ResolvedReload,
    /// Run when the service was up before and is down now.
    pub recover: Option<CommandLine>,
    /// The program without which it is not installed.
    pub program: Option<String>,
    /// Pid file.
    pub pidfile: Option<RemotePath>,
    /// Process name.
    pub process: Option<String>,
    /// systemd unit, on hosts with systemd.
    pub unit: Option<String>,
    /// Prints the service's configuration.
    pub discover: Option<CommandLine>,
    /// Prints what the running service has loaded.
    pub loaded: Option<CommandLine>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedStep {
    /// With placeholders.
    pub command: CommandLine,
    /// Everything else about it.
    pub step: ValidateStep,
}

impl ResolvedStep {
    /// What it covers.
    pub fn covers(&self) -> &[Covers] {
        &self.step.covers
    }
}

/// A sealed boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSeal {
    /// Starts the service.
    pub start: CommandLine,
    /// The directories.
    pub recipe: SealedBoot,
}

impl ResolvedSeal {
    /// What precedes the handshake inside.
    pub fn starttls(&self) -> StartTls {
        self.recipe.starttls
    }
}

impl Resolved {
    /// How to tell that the service runs. By the pid file where there is one: a process of the same name may belong to
    /// a container, and a unit of its name may only be a wrapper (Debian's postfix.service is always active).
    pub(crate) fn running(&self) -> Option<RunningCheck> {
        let unit = || {
            self.unit.as_ref().map(|unit| {
                let words = ["systemctl", "is-active", "--quiet", unit];
                RunningCheck::Command(TimedCommand {
                    command: CommandLine::Argv(words.map(str::to_owned).to_vec()),
                    timeout: Duration::from_secs(10),
                })
            })
        };
        let pidfile = self.pidfile.clone().map(RunningCheck::PidFile);
        pidfile.or_else(|| self.process.clone().map(RunningCheck::Process)).or_else(unit)
    }
}

/// The reload on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedReload {
    /// Nothing to run.
    None,
    /// The task has to say: the profile knows no command (for this kind of host).
    Required,
    /// A command.
    Command {
        /// With placeholders.
        command: CommandLine,
        /// Whether exit code 0 proves that the new configuration was loaded.
        proves_loaded: bool,
        /// A bad certificate can end the service.
        can_stop_service: bool,
    },
}

/// Picks the variants of `profile` for `host`.
pub fn choose(profile: &Profile, host: HostKind) -> Resolved {
    let family = host.family;
    Resolved {
        dest: profile.dest.get(family).cloned(),
        owners: profile.owners.get(family).cloned().unwrap_or_default(),
        validate: profile
            .validate
            .iter()
            .filter_map(|step| {
                let command = step.command.on(host)?.clone();
                Some(ResolvedStep { command, step: step.clone() })
            })
            .collect(),
        seal: profile.seal.as_ref().and_then(|recipe| {
            let start = recipe.start.on(host)?.clone();
            Some(ResolvedSeal { start, recipe: recipe.clone() })
        }),
        import: profile.import.as_ref().and_then(|import| import.command.on(host)).cloned(),
        export: profile
            .import
            .as_ref()
            .and_then(|import| import.export.as_ref()?.on(host))
            .cloned(),
        reload: resolve_reload(&profile.reload, host),
        recover: profile.recover.as_ref().and_then(|spec| spec.on(host)).cloned(),
        program: profile.program.get(family).cloned(),
        pidfile: profile.running.pidfile.get(family).cloned(),
        process: profile.running.process.get(family).cloned(),
        unit: profile.running.unit.get(family).filter(|_| host.systemd).cloned(),
        discover: profile.discover.as_ref().and_then(|spec| spec.command.on(host)).cloned(),
        loaded: profile.loaded.as_ref().and_then(|spec| spec.on(host)).cloned(),
    }
}

fn resolve_reload(reload: &Reload, host: HostKind) -> ResolvedReload {
    match reload {
        Reload::None => ResolvedReload::None,
        Reload::Required => ResolvedReload::Required,
        Reload::Command { command, exit_code, can_stop_service, .. } => match command.on(host) {
            None => ResolvedReload::Required,
            Some(command) => ResolvedReload::Command {
                command: command.clone(),
                proves_loaded: match exit_code {
                    ExitCode::ConfigLoaded => true,
                    ExitCode::ConfigLoadedIfSystemd => host.systemd,
                    ExitCode::Meaningless => false,
                },
                can_stop_service: *can_stop_service,
            },
        },
    }
}

impl CommandSpec {
    /// The command for that kind of host, if there is one.
    pub fn on(&self, host: HostKind) -> Option<&CommandLine> {
        match self {
            Self::Always(command) => Some(command),
            Self::Init { systemd, plain } => {
                let chosen =
                    if host.systemd { systemd.as_ref().or(plain.as_ref()) } else { plain.as_ref() };
                chosen?.on(host)
            }
            Self::Family(variants) => variants.get(host.family)?.on(host),
        }
    }
}

/// The paths that placeholders stand for: the live ones, or the staged ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `{cert}`.
    pub cert: RemotePath,
    /// `{key}`.
    pub key: RemotePath,
    /// `{chain}`.
    pub chain: RemotePath,
}

impl Files {
    /// Placeholders in profiles.
    pub const NAMES: [&'static str; 4] = ["cert", "key", "chain", "template"];

    /// Of these paths; what has no file of its own is in the certificate file.
    pub fn of(paths: &Paths) -> Self {
        Self {
            cert: paths.cert.clone(),
            key: paths.key.as_ref().unwrap_or(&paths.cert).clone(),
            chain: paths.chain.as_ref().unwrap_or(&paths.cert).clone(),
        }
    }

    /// The command with its placeholders replaced; an argument stays one argument.
    pub fn expand(&self, command: &CommandLine) -> CommandLine {
        command.expand(|name| self.value(name))
    }

    /// What `{name}` stands for.
    pub fn value(&self, name: &str) -> Option<String> {
        let path = match name {
            "cert" => &self.cert,
            "key" => &self.key,
            "chain" => &self.chain,
            _ => return None,
        };
        path.to_str().map(str::to_owned)
    }
}

impl Layout {
    /// The files that this layout makes, in no particular order.
    pub fn roles(self) -> Vec<FileRole> {
        let mut roles = vec![FileRole::Certificate];
        if self.key == KeyPlace::Separate {
            roles.push(FileRole::Key);
        }
        if self.chain == ChainPlace::Separate {
            roles.push(FileRole::Chain);
        }
        roles
    }
}

impl Via {
    /// For people: how the staged files were shown to the check.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::MountNamespace => "over the staged files in a private mount namespace",
            Self::Staged => "over the staged files",
            Self::Live => "over the live configuration",
            Self::Template(_) => "over a throwaway configuration with the staged files",
        }
    }
}

impl Discover {
    /// The paths in the command's output, each once. At most 10 000 lines of at most 4096 bytes
    /// are looked at: the output is a host's.
    pub fn paths(&self, output: &str) -> Vec<Discovered> {
        const ROLES: [(&str, FileRole); 4] = [
            ("cert", FileRole::Certificate),
            ("key", FileRole::Key),
            ("chain", FileRole::Chain),
            ("pem", FileRole::Combined),
        ];
        let mut found: Vec<Discovered> = Vec::new();
        let lines = output.lines().take(10_000).filter(|line| line.len() <= 4096);
        for line in lines {
            for captures in self.patterns.iter().flat_map(|one| one.captures_iter(line)) {
                // A pattern that gives up on a hostile line has found nothing there.
                let Ok(captures) = captures else { break };
                for (name, role) in ROLES {
                    let Some(path) = captures.name(name) else { continue };
                    let path = self.absolute(path.as_str());
                    let one = Discovered { role, path };
                    if !found.contains(&one) {
                        found.push(one);
                    }
                }
            }
        }
        found
    }

    /// Without the slash that directories may be written with.
    fn absolute(&self, path: &str) -> String {
        let path = Some(path.trim_end_matches('/')).filter(|rest| !rest.is_empty()).unwrap_or(path);
        match &self.relative_to {
            Some(base) if !path.starts_with('/') => {
                format!("{}/{path}", base.trim_end_matches('/'))
            }
            _ => path.to_owned(),
        }
    }
}

impl Discovered {
    /// Whether the service would read `path`: it is this path, or lies in this directory.
    pub fn names(&self, path: &str) -> bool {
        let own = self.path.trim_end_matches('/');
        path == own
            || (self.role == FileRole::Combined
                && path.strip_prefix(own).is_some_and(|rest| {
                    rest.strip_prefix('/').is_some_and(|name| !name.contains('/'))
                }))
    }
}
