//! What is asked of a host, in a few readings: what runs, what its configuration names and where it listens; the files
//! that were named and those that might be certificates; what is in directories that were named; which keys there are.

use super::listening::{self, Listening};
use crate::host::{
    CommandResult, FileFacts, FileRole, FileState, HostFacts, HostKind, InspectCommand, Inspection,
    InspectionVariant, StateDirs, TimedCommand,
};
use crate::model::{CommandLine, RemotePath};
use crate::services::{Discovered, Profile, Profiles, Resolved, Running as Signs, choose};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For each command: services print their configuration in less than a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// Files that are read of those that no service names.
pub(super) const MOST_FILES: usize = 300;
/// Paths that one service may name, and directories that are listed: what a host says is bounded.
const MOST_NAMED: usize = 600;
const MOST_DIRECTORIES: usize = 20;
/// Files that are read in one go.
const MOST_READ: usize = 1500;

/// Paths of files that look like certificates, outside the places where roots, and certbot's older ones, are kept.
const CANDIDATES: &str = "find /etc /opt /srv /usr/local/etc /var/lib -xdev \
    \\( -path /etc/ssl/certs -o -path /etc/letsencrypt/archive -o -path /etc/ca-certificates -o -path /etc/pki/ca-trust \
    -o -path /var/lib/dpkg -o -path /var/lib/ca-certificates -o -path /var/lib/docker -o -path /var/lib/containers \
    -o -name .certroll -o -name '.certroll-*' -o -name node_modules \\) -prune -o \
    \\( -type f -o -type l \\) \\( -name '*.pem' -o -name '*.crt' -o -name '*.cer' -o -name '*.cert' -o -name '*.key' \
    -o -name '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].[0-9]' \\) \
    -print 2>/dev/null | head -n 301";

/// The questions to a host of any kind.
pub(crate) struct Questions {
    services: Vec<Service>,
    dirs: Option<StateDirs>,
}

/// A service that is looked for, as it is on each kind of host.
struct Service {
    profile: Profile,
    kinds: Vec<(HostKind, Resolved)>,
}

/// A service as the first reading shows it.
pub(crate) struct Running<'a> {
    /// Its profile.
    pub profile: &'a Profile,
    /// Name of its processes, where the profile knows it.
    pub process: Option<String>,
    /// Whether it runs; none: the host cannot tell.
    pub is_up: Option<bool>,
    /// The paths that its configuration names; none: it did not tell.
    pub named: Option<Vec<Discovered>>,
}

/// What a host has told so far.
pub(crate) struct Readings<'a> {
    /// Services that run, or whose configuration names something.
    pub services: Vec<Running<'a>>,
    /// Ports that somebody listens on.
    pub listening: BTreeMap<u16, Listening>,
    /// Files that might be certificates and that nobody names.
    pub candidates: Vec<RemotePath>,
    /// There were more of these than are read.
    pub has_more: bool,
    /// The files, each once, as they are.
    pub files: Vec<FileFacts>,
    dirs: Option<StateDirs>,
}

impl Questions {
    /// For the services that are known; of profiles that tell the same service in another way the first.
    pub(crate) fn new(profiles: &Profiles, dirs: Option<StateDirs>) -> Self {
        let mut services: Vec<Service> = Vec::new();
        for profile in profiles.all() {
            let same = |known: &Service| {
                let (own, other) = (&profile.running, &known.profile.running);
                profile.extends.as_ref() == Some(&known.profile.name) || own == other
            };
            let nothing_known = profile.running == Signs::default();
            if nothing_known || services.iter().any(same) {
                continue;
            }
            let kinds = HostKind::all().map(|kind| (kind, choose(profile, kind))).collect();
            services.push(Service { profile: profile.clone(), kinds });
        }
        Self { services, dirs }
    }

    /// The first reading.
    pub(crate) fn first(&self) -> Inspection {
        let variants = HostKind::all().map(|kind| self.variant(kind)).collect();
        Inspection { variants, dirs: self.dirs.clone(), ..Inspection::default() }
    }

    fn variant(&self, kind: HostKind) -> InspectionVariant {
        let mut variant = InspectionVariant { kinds: vec![kind], ..InspectionVariant::default() };
        variant.commands = vec![asked(listening::COMMAND, None), asked(CANDIDATES, None)];
        for resolved in self.services.iter().map(|service| service.on(kind)) {
            let running = resolved.running();
            let place = running.as_ref().map(|_| variant.running.len());
            variant.running.extend(running);
            if let Some(command) = &resolved.discover {
                variant.commands.push(InspectCommand {
                    command: TimedCommand { command: command.clone(), timeout: PATIENCE },
                    only_if_running: place,
                    in_container: None,
                    for_user_of: None,
                    unless_mounts: false,
                });
            }
        }
        variant
    }

    /// What the first reading said.
    pub(crate) fn take(&self, facts: &HostFacts) -> Readings<'_> {
        let told = |result: &CommandResult| String::from_utf8_lossy(&result.stdout).into_owned();
        let mut commands = facts.commands.iter();
        let ports = commands.next().map(|result| listening::listening(&told(result)));
        let paths = commands.next().map(told).unwrap_or_default();
        let mut candidates: Vec<RemotePath> =
            paths.lines().filter_map(|path| RemotePath::new(path).ok()).collect();
        let mut running = facts.running.iter();
        let mut services = Vec::new();
        for service in &self.services {
            let resolved = service.on(facts.kind);
            let is_up = resolved.running().and_then(|_| running.next().copied().flatten());
            let result = resolved.discover.as_ref().and_then(|_| commands.next());
            let how = service.profile.discover.as_ref();
            let named = how.zip(result).and_then(|(how, result)| {
                // `grep` exits with 1 where it finds nothing, and with 2 where one of several files is not there.
                let in_part = result.rc == 2 && !result.stdout.is_empty();
                let ended =
                    (matches!(result.rc, 0 | 1) || in_part) && !result.late && !result.skipped;
                ended.then(|| {
                    let mut paths = how.paths(&told(result));
                    paths.truncate(MOST_NAMED);
                    paths
                })
            });
            let process = resolved.process.clone();
            services.push(Running { profile: &service.profile, process, is_up, named });
        }
        services.retain(|service| {
            service.is_up == Some(true) || service.named.as_ref().is_some_and(|all| !all.is_empty())
        });
        let named = |path: &RemotePath| {
            let mut all = services.iter().filter_map(|service| service.named.as_ref()).flatten();
            all.any(|one| path.to_str().is_some_and(|path| one.names(path)))
        };
        let has_more = candidates.len() > MOST_FILES;
        candidates.truncate(MOST_FILES);
        candidates.retain(|path| !named(path));
        Readings {
            services,
            listening: ports.unwrap_or_default(),
            candidates,
            has_more,
            files: Vec::new(),
            dirs: self.dirs.clone(),
        }
    }
}

impl Service {
    fn on(&self, kind: HostKind) -> &Resolved {
        let known = self.kinds.iter().find(|(known, _)| *known == kind);
        // Every kind is there: `HostKind::all` made them.
        &known.unwrap_or(&self.kinds[0]).1
    }
}

impl Readings<'_> {
    /// The second reading: every file that was named or might be a certificate.
    pub(crate) fn second(&self) -> Inspection {
        let named = self.services.iter().filter_map(|service| service.named.as_ref()).flatten();
        let mut files: Vec<RemotePath> =
            named.filter_map(|one| RemotePath::new(one.path.as_str()).ok()).collect();
        files.extend(self.candidates.iter().cloned());
        self.reading(files)
    }

    /// Takes what a later reading said; a file that was read again is known better.
    pub(crate) fn take(&mut self, facts: HostFacts) {
        let again: BTreeSet<&RemotePath> = facts.files.iter().map(|file| &file.path).collect();
        self.files.retain(|known| !again.contains(&known.path));
        self.files.extend(facts.files);
    }

    /// The last reading: the public halves of the keys, which `openssl` on the host tells; none: there is no key.
    pub(crate) fn keys(&self) -> Option<Inspection> {
        let holds_key = |file: &&FileFacts| file.file().is_some_and(|file| file.holds_key);
        let files: Vec<RemotePath> =
            self.files.iter().filter(holds_key).map(|file| file.path.clone()).collect();
        let public_keys = (0..files.len()).collect();
        let variant = InspectionVariant { files, public_keys, ..InspectionVariant::default() };
        (!variant.files.is_empty()).then(|| self.inspection(variant))
    }

    /// Lists the directories that were named in place of files; none: there are none.
    pub(crate) fn directories(&self) -> Option<Inspection> {
        let directories = self.files.iter().filter(|file| file.state == FileState::Directory);
        let commands: Vec<InspectCommand> = directories
            .take(MOST_DIRECTORIES)
            .map(|file| {
                let words =
                    ["find", "-H", &file.path.to_string(), "-maxdepth", "1", "!", "-type", "d"];
                let command = CommandLine::Argv(words.map(str::to_owned).to_vec());
                let command = TimedCommand { command, timeout: PATIENCE };
                InspectCommand {
                    command,
                    only_if_running: None,
                    in_container: None,
                    for_user_of: None,
                    unless_mounts: false,
                }
            })
            .collect();
        let variant = InspectionVariant { commands, ..InspectionVariant::default() };
        (!variant.commands.is_empty()).then(|| self.inspection(variant))
    }

    /// The third reading: the files in these directories.
    pub(crate) fn third(&self, listed: &HostFacts) -> Inspection {
        let texts = listed.commands.iter().map(|result| String::from_utf8_lossy(&result.stdout));
        let mut files = Vec::new();
        for text in texts {
            files.extend(text.lines().filter_map(|path| RemotePath::new(path).ok()));
        }
        files.truncate(MOST_FILES);
        self.reading(files)
    }

    fn reading(&self, mut files: Vec<RemotePath>) -> Inspection {
        files.sort();
        files.dedup();
        let known: BTreeSet<&RemotePath> = self.files.iter().map(|file| &file.path).collect();
        files.retain(|path| !known.contains(path));
        files.truncate(MOST_READ);
        self.inspection(InspectionVariant { files, ..InspectionVariant::default() })
    }

    fn inspection(&self, variant: InspectionVariant) -> Inspection {
        Inspection { variants: vec![variant], dirs: self.dirs.clone(), ..Inspection::default() }
    }

    /// The services that name a file, by the role that they name it for.
    pub(super) fn readers(&self, path: &RemotePath) -> Vec<(&Running<'_>, FileRole)> {
        let path = path.to_string();
        let mut readers = Vec::new();
        for service in &self.services {
            let mut named = service.named.iter().flatten();
            if let Some(one) = named.find(|one| one.names(&path)) {
                readers.push((service, one.role));
            }
        }
        readers
    }
}

impl Running<'_> {
    /// Whether its processes are among these.
    pub(super) fn listens(&self, at: &Listening) -> bool {
        self.process.as_ref().is_some_and(|process| at.processes.contains(process))
    }
}

fn asked(shell: &str, only_if_running: Option<usize>) -> InspectCommand {
    let command = CommandLine::Shell(shell.to_owned());
    let command = TimedCommand { command, timeout: PATIENCE };
    InspectCommand {
        command,
        only_if_running,
        in_container: None,
        for_user_of: None,
        unless_mounts: false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Findings;
    use super::*;

    #[test]
    fn what_a_host_says_is_bounded() {
        let (profiles, _) = Profiles::load(&[]).expect("the built-in profiles are right");
        let questions = Questions::new(&profiles, None);
        let told = |text: String| CommandResult { stdout: text.into(), ..CommandResult::default() };
        let ports = (1..20_000)
            .map(|port| format!("LISTEN 0 1 *:{port} *:* users:((\"nginx\",pid=1,fd=1))\n"));
        let paths = |what: &str| {
            (0..5000).map(|n| format!("{what}/etc/nginx/{n}.pem;\n")).collect::<String>()
        };
        let variant = questions.variant(HostKind::default());
        let facts = HostFacts {
            commands: std::iter::once(told(ports.collect()))
                .chain(std::iter::once(told(paths("").replace(';', ""))))
                .chain(variant.commands.iter().skip(2).map(|_| told(paths("ssl_certificate "))))
                .collect(),
            running: vec![Some(true); variant.running.len()],
            ..HostFacts::default()
        };

        let readings = questions.take(&facts);

        let nginx = readings.services.iter().find(|one| one.profile.name == "nginx");
        let named = nginx.and_then(|nginx| nginx.named.as_ref()).expect("it told");
        assert_eq!(named.len(), MOST_NAMED);
        assert!(readings.candidates.len() <= MOST_FILES && readings.has_more);
        assert!(readings.second().variants[0].files.len() <= MOST_READ);
        // The control: there is something to ask.
        let asked = Findings::of(&readings).asked().len();
        assert!((1..=1000).contains(&asked), "{asked}");
    }
}
