//! All profiles of a run: the built-in ones and the operator's own.

use super::format;
use super::profile::Profile;
use crate::load;
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Node, SourceFile, yaml};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("builtin/", $name, ".yml")))),*]
    };
}

/// Name and text of every built-in profile, in the order in which they are listed.
pub(super) const BUILT_IN: [(&str, &str); 68] = built_in![
    "nginx",
    "apache",
    "haproxy",
    "haproxy-runtime",
    "postfix",
    "postfix-chain",
    "dovecot",
    "caddy",
    "caddy-api",
    "traefik",
    "envoy",
    "hitch",
    "lighttpd",
    "mosquitto",
    "389-ds",
    "bind",
    "cockpit",
    "coturn",
    "cups",
    "cyrus",
    "dnsdist",
    "ejabberd",
    "etcd",
    "exim",
    "freeradius",
    "h2o",
    "icinga2",
    "influxdb",
    "inspircd",
    "jetty",
    "kamailio",
    "knot",
    "kresd",
    "mariadb",
    "memcached",
    "mumble",
    "nats",
    "nghttpx",
    "ngircd",
    "node-exporter",
    "nsd",
    "opensmtpd",
    "postgresql",
    "pound",
    "proftpd",
    "prosody",
    "pure-ftpd",
    "rabbitmq",
    "redis",
    "rsyslog",
    "sendmail",
    "slapd",
    "squid",
    "stunnel",
    "syslog-ng",
    "tomcat",
    "unbound",
    "valkey",
    "vsftpd",
    "znc",
    "tomcat-keystore",
    "proxmox",
    "synology",
    "unifi-network",
    "unifi-os",
    "openwrt",
    "qnap",
    "files",
];

/// What describes the stores that a task may name in place of a service: nothing of theirs is a file or a process of a
/// host.
const STORES: [(&str, &str); 3] = [
    ("kubernetes", include_str!("stores/kubernetes.yml")),
    ("bigip", include_str!("stores/bigip.yml")),
    ("windows", include_str!("stores/windows.yml")),
];

/// The profile of a store. Nobody names it: the task has a key of its own for each.
///
/// # Errors
/// There is none of that name; a test reads each.
pub(crate) fn of_store(name: &str) -> Result<Profile, Diagnostics> {
    let mut found = Diagnostics::default();
    let text = STORES.iter().find(|(known, _)| *known == name);
    let source = text.map(|(_, text)| SourceFile::new(format!("built-in profile {name}"), *text));
    let draft = source.as_ref().and_then(|source| Draft::parse(source, true, &mut found));
    match (draft, source) {
        (Some(draft), Some(source)) => format::read(name, &draft.root, &source, true),
        _ => Err(found),
    }
}

/// What describes each store.
pub(super) fn stores() -> impl Iterator<Item = Profile> {
    STORES.into_iter().filter_map(|(name, _)| of_store(name).ok())
}

/// Every profile by its name.
#[derive(Clone, Debug)]
pub struct Profiles {
    all: IndexMap<String, Entry>,
}

/// Where a profile is.
#[derive(Clone, Debug)]
enum Entry {
    /// Place in [`BUILT_IN`]. Only what is asked for is read: the texts of all take longer than the rest of a short run.
    BuiltIn(usize),
    /// Shared with the requests of all hosts.
    Own(Arc<Profile>),
}

/// A parsed file.
struct Draft {
    source: Arc<SourceFile>,
    root: Node,
    built_in: bool,
}

/// A built-in profile, once for a process. It is the same in any company, as it extends no profile of the operator's. A test reads
/// each, so there is nothing to say of them.
struct BuiltIn {
    draft: OnceLock<Option<Draft>>,
    profile: OnceLock<Option<Arc<Profile>>>,
}

static READ: [BuiltIn; BUILT_IN.len()] =
    [const { BuiltIn { draft: OnceLock::new(), profile: OnceLock::new() } }; BUILT_IN.len()];

fn built_in_draft(place: usize) -> Option<&'static Draft> {
    let ((name, text), known) = (BUILT_IN.get(place)?, READ.get(place)?);
    let parse = || {
        let source = SourceFile::new(format!("built-in profile {name}"), *text);
        Draft::parse(&source, true, &mut Diagnostics::default())
    };
    known.draft.get_or_init(parse).as_ref()
}

fn built_in(place: usize) -> Option<&'static Arc<Profile>> {
    let ((name, _), known) = (BUILT_IN.get(place)?, READ.get(place)?);
    let read = || {
        let draft = built_in_draft(place)?;
        let root = Library { own: &[] }.extended(name, draft).ok()?;
        format::read(name, &root, &draft.source, true).ok().map(Arc::new)
    };
    known.profile.get_or_init(read).as_ref()
}

impl Profiles {
    /// The built-in profiles and every `NAME.yml` or `NAME.yaml` of these directories (`services/`
    /// beside the playbooks; one that does not exist is empty). A later file replaces an earlier
    /// profile of the same name, and may extend it.
    ///
    /// # Errors
    /// Every error of every file, at its place. Warnings come with the profiles.
    pub fn load(dirs: &[PathBuf]) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut found = Diagnostics::default();
        let mut files = Vec::new();
        for dir in dirs {
            match yaml_files(dir) {
                Ok(paths) => {
                    for path in paths {
                        match load::read_text(&path) {
                            Ok(file) => files.push(file),
                            Err(problem) => found.push(problem),
                        }
                    }
                }
                Err(problem) => found.push(problem),
            }
        }
        match Self::from_sources(&files) {
            Ok((profiles, more)) => {
                found.extend(more);
                found.into_result(profiles)
            }
            Err(more) => {
                found.extend(more);
                Err(found)
            }
        }
    }

    /// The built-in profiles and these texts; the name of each is its file's without the ending.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_sources(files: &[Arc<SourceFile>]) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut found = Diagnostics::default();
        let mut own: Vec<(String, Draft)> = Vec::new();
        for source in files {
            let name = stem(&source.name);
            let Some(draft) = Draft::parse(source, false, &mut found) else { continue };
            if let Err(problem) = check_name(&name) {
                found.push(problem.at(&crate::source::Span::at(source, 1, 1)));
            }
            own.retain(|(known, _)| *known != name);
            own.push((name, draft));
        }
        let named = |(place, (name, _)): (usize, &(&str, &str))| {
            ((*name).to_owned(), Entry::BuiltIn(place))
        };
        let mut all: IndexMap<String, Entry> = BUILT_IN.iter().enumerate().map(named).collect();
        let library = Library { own: &own };
        for (name, draft) in &own {
            let read = library
                .extended(name, draft)
                .map_err(Diagnostics::from)
                .and_then(|root| format::read(name, &root, &draft.source, false));
            match read {
                Ok(profile) => {
                    all.insert(name.clone(), Entry::Own(Arc::new(profile)));
                }
                Err(more) => found.extend(more),
            }
        }
        found.into_result(Self { all })
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// An error without a place (the caller adds it) that lists the names and the nearest one.
    pub fn find(&self, name: &str) -> Result<&Profile, Diagnostic> {
        self.shared(name).map(Arc::as_ref)
    }

    /// The same, for who keeps it.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) fn shared(&self, name: &str) -> Result<&Arc<Profile>, Diagnostic> {
        self.all.get(name).and_then(Entry::profile).ok_or_else(|| {
            let known = || self.all.keys().map(String::as_str);
            let diagnostic = Diagnostic::error(format!("there is no service profile '{name}'"))
                .help(format!("profiles: {}", known().collect::<Vec<_>>().join(", ")))
                .help("your own go to services/NAME.yml beside the playbook");
            match nearest(name, known()) {
                Some(near) => diagnostic.label(format!("did you mean '{near}'?")),
                None => diagnostic,
            }
        })
    }

    /// Every profile: the built-in ones in their order, then the operator's own by name.
    pub fn all(&self) -> impl Iterator<Item = &Profile> {
        self.all.values().filter_map(Entry::profile).map(Arc::as_ref)
    }
}

impl Entry {
    fn profile(&self) -> Option<&Arc<Profile>> {
        match self {
            Self::BuiltIn(place) => built_in(*place),
            Self::Own(profile) => Some(profile),
        }
    }
}

impl Draft {
    /// `None` when it cannot be used; the reasons are in `found`.
    fn parse(source: &Arc<SourceFile>, built_in: bool, found: &mut Diagnostics) -> Option<Self> {
        let root = match yaml::parse(source) {
            Ok((root, warnings)) => {
                found.extend(warnings);
                root
            }
            Err(errors) => {
                found.extend(errors);
                return None;
            }
        };
        // The built-in ones are checked by a test, once for all.
        let checked = if built_in { Diagnostics::default() } else { format::check(&root) };
        let usable = !checked.has_errors();
        found.extend(checked);
        usable.then(|| Self { source: Arc::clone(source), root, built_in })
    }
}

/// What a profile may extend: the operator's own ones and, below them, the built-in ones.
struct Library<'a> {
    own: &'a [(String, Draft)],
}

impl Library<'_> {
    /// The node with everything that it extends under it.
    fn extended(&self, name: &str, draft: &Draft) -> Result<Node, Diagnostic> {
        let mut chain = vec![draft];
        let mut names = vec![name];
        let mut last = draft;
        while let Some(base) = last.root.entry("extends") {
            let wanted = base.as_str().unwrap_or_default();
            // A profile may extend the built-in one whose name it takes.
            let own = self.own.iter().find(|(known, other)| {
                known == wanted && !std::ptr::eq(other, last) && !last.built_in
            });
            let own = own.map(|(known, draft)| (known.as_str(), draft));
            let Some((base_name, next)) = own.or_else(|| base_of_all(wanted)) else {
                return Err(self.no_such_base(wanted, base));
            };
            if chain.iter().any(|known| std::ptr::eq(*known, next)) {
                names.push(base_name);
                return Err(Diagnostic::error(format!(
                    "the profiles extend each other in a circle: {}",
                    names.join(" → ")
                ))
                .at(base.span.as_ref()));
            }
            chain.push(next);
            names.push(base_name);
            last = next;
        }
        let mut layers = chain.iter().rev().map(|draft| draft.root.clone());
        let bottom = layers.next().unwrap_or_else(|| draft.root.clone());
        Ok(layers.fold(bottom, |below, above| format::extend(&below, &above)))
    }

    fn no_such_base(&self, wanted: &str, place: &Node) -> Diagnostic {
        let own = || self.own.iter().map(|(name, _)| name.as_str());
        let known = || BUILT_IN.iter().map(|(name, _)| *name).chain(own());
        let diagnostic = Diagnostic::error(format!("there is no profile '{wanted}' to extend"))
            .at(place.span.as_ref())
            .help(format!("profiles: {}", known().collect::<Vec<_>>().join(", ")));
        match nearest(wanted, known()) {
            Some(near) => diagnostic.label(format!("did you mean '{near}'?")),
            None => diagnostic,
        }
    }
}

fn base_of_all(wanted: &str) -> Option<(&'static str, &'static Draft)> {
    let place = BUILT_IN.iter().position(|(known, _)| *known == wanted)?;
    Some((BUILT_IN.get(place)?.0, built_in_draft(place)?))
}

fn check_name(name: &str) -> Result<(), Diagnostic> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if !name.is_empty() && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Diagnostic::error(format!("'{name}' is not a valid profile name"))
        .help("the file's name is the profile's: lower-case letters, digits, - and _"))
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let mut paths = load::entries(dir)?;
    paths.retain(|path| {
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml")
    });
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profiles_are_as_the_table_says() {
        for (name, text) in BUILT_IN.into_iter().chain(STORES) {
            let source = SourceFile::new(name, text);
            let (root, warnings) = yaml::parse(&source).unwrap();
            assert!(warnings.0.is_empty(), "{name}: {warnings:?}");
            let found = format::check(&root);
            assert!(found.0.is_empty(), "{name}: {found:?}");
        }
        (0..BUILT_IN.len()).for_each(|place| assert!(built_in(place).is_some(), "{place}"));
        STORES.iter().for_each(|(name, _)| assert!(of_store(name).is_ok(), "{name}"));
    }
}
