//! Certificates, chains, keys and trusted roots of the controller: each file read and checked once per run.

use super::acme;
use super::alike::Alike;
use super::selection::Place;
use crate::load;
use crate::material::{self, Input, MaterialError, keystore};
use crate::model::{FileMode, Fingerprint, HostName, RemotePath, Secret, Timestamp};
use crate::plan::request::{KeystoreSeal, Material};
use crate::playbook::certificate::{AcmePart, Pair, Passphrase, SourceText, Trust};
use crate::source::{Diagnostic, Diagnostics};
use crate::template::Decrypt;
use crate::vault;
use crate::verify::Roots;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A checked certificate with its chain and, unless the host keeps its own, its key.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The material, with the file contents made of it.
    pub material: Arc<Material>,
    /// What deserves attention, one line each.
    pub warnings: Vec<String>,
    /// What was put right or is good to know.
    pub notes: Vec<String>,
}

/// What was loaded so far. A key is wiped when the last task that uses it is done; see [`Bundles::done_with`].
pub(crate) struct Bundles {
    now: Timestamp,
    decrypt: Decrypt,
    known: Mutex<HashMap<Files, Known>>,
    /// What commands printed: each is asked once. Dropped with the last certificate that it is needed for.
    printed: Mutex<HashMap<Named, Secret<Vec<u8>>>>,
    /// What was read of other hosts, or why it could not be. Dropped likewise.
    fetched: Mutex<HashMap<Named, Fetched>>,
    roots: Mutex<Vec<(Trust, Result<Roots, Diagnostic>)>>,
    pub(super) alike: Alike,
}

/// The bytes of a file of another host, or why they could not be read.
type Fetched = Result<Secret<Vec<u8>>, String>;

/// How long a command that prints a certificate or key may take. It may have to ask somebody.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

struct Known {
    loaded: Result<Arc<Loaded>, Problems>,
    /// Tasks that asked for it and are not done.
    users: HashSet<Place>,
}

/// A file, the digest of a content, a command in its directory, or a part of a directory.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Named {
    File(PathBuf),
    Content(Fingerprint),
    Command(Vec<String>, PathBuf),
    Acme(PathBuf, AcmePart),
    OnHost(HostName, RemotePath),
}

impl From<&SourceText> for Named {
    fn from(text: &SourceText) -> Self {
        match text {
            SourceText::File(path) => Self::File(path.clone()),
            SourceText::Content(text) => Self::Content(Fingerprint::of(text.expose().as_bytes())),
            SourceText::Command(argv, directory) => Self::Command(argv.clone(), directory.clone()),
            SourceText::Acme(directory, part) => Self::Acme(directory.clone(), *part),
            SourceText::OnHost(host, path) => Self::OnHost(host.clone(), path.clone()),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Files {
    cert: Named,
    chain: Option<Named>,
    key: Option<Named>,
    from_keystore: bool,
    passphrase: Option<Fingerprint>,
    warn: Duration,
}

/// What a problem is about. Where that is written differs between the tasks that share the files.
#[derive(Clone, Copy)]
enum Part {
    Pair,
    Cert,
    Chain,
    Key,
}

type Problems = Vec<(Part, Diagnostic)>;

impl Bundles {
    /// Nothing loaded yet; dates are judged at `now`.
    pub(crate) fn new(now: Timestamp, decrypt: Decrypt) -> Self {
        Self {
            now,
            decrypt,
            known: Mutex::default(),
            printed: Mutex::default(),
            fetched: Mutex::default(),
            roots: Mutex::default(),
            alike: Alike::default(),
        }
    }

    /// The material of one certificate, for the task at `user`. Warns about a certificate that ends within `warn`.
    ///
    /// # Errors
    /// Everything that is wrong with the files, at the place that names them.
    pub(crate) fn load(
        &self,
        user: Place,
        pair: &Pair,
        warn: Duration,
    ) -> Result<Arc<Loaded>, Diagnostics> {
        let passphrase = self.passphrase(pair)?;
        let files = Files {
            cert: Named::from(&pair.cert),
            chain: pair.chain.as_ref().map(Named::from),
            key: pair.key.as_ref().map(Named::from),
            from_keystore: pair.from_keystore,
            passphrase: passphrase.as_ref().map(|text| Fingerprint::of(text.expose().as_bytes())),
            warn,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(files).or_insert_with(|| Known {
            loaded: self.read(pair, passphrase.as_ref(), warn).map(Arc::new),
            users: HashSet::new(),
        });
        entry.users.insert(user);
        let loaded = entry.loaded.clone();
        drop(known);
        loaded.map_err(|problems| {
            let placed = problems.into_iter().map(|(part, problem)| {
                let place = match part {
                    Part::Pair => None,
                    Part::Cert => pair.places.cert.as_ref(),
                    Part::Chain => pair.places.chain.as_ref(),
                    Part::Key => pair.places.key.as_ref(),
                };
                problem.at(place.or(pair.span.as_ref()))
            });
            Diagnostics(placed.collect())
        })
    }

    /// The task will not be run any more: what no other task uses is dropped, and its keys are wiped with the last
    /// host's copy.
    pub(crate) fn done_with(&self, user: Place) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, entry| {
            let used = entry.users.remove(&user);
            !used || !entry.users.is_empty()
        });
        let needed = |name: &Named| {
            let names = |files: &Files| {
                [Some(&files.cert), files.chain.as_ref(), files.key.as_ref()].contains(&Some(name))
            };
            known.keys().any(names)
        };
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        printed.retain(|name, _| needed(name));
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.retain(|name, _| needed(name));
    }

    /// The files of other hosts that a pair needs and nobody has read yet.
    pub(crate) fn not_fetched(&self, pair: &Pair) -> Vec<(HostName, RemotePath)> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = [Some(&pair.cert), pair.chain.as_ref(), pair.key.as_ref()];
        let parts = parts.into_iter().flatten().filter_map(|part| match part {
            SourceText::OnHost(host, path) if !fetched.contains_key(&Named::from(part)) => {
                Some((host.clone(), path.clone()))
            }
            _ => None,
        });
        parts.collect()
    }

    /// What a file of another host holds, or why that is not known.
    pub(crate) fn fetched(&self, host: &HostName, path: &RemotePath, read: Fetched) {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.insert(Named::OnHost(host.clone(), path.clone()), read);
    }

    /// The roots that `trust` names.
    ///
    /// # Errors
    /// They cannot be read, or there are none.
    pub(crate) fn roots(&self, trust: &Trust) -> Result<Roots, Diagnostic> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = roots.iter().find(|(known, _)| known == trust) {
            return known.clone();
        }
        let loaded = read_roots(trust);
        roots.push((trust.clone(), loaded.clone()));
        loaded
    }

    fn passphrase(&self, pair: &Pair) -> Result<Option<Secret<String>>, Diagnostics> {
        let one = |problem: Diagnostic| Diagnostics(vec![problem.at(pair.span.as_ref())]);
        pair.passphrase.as_ref().map(|given| self.password(given)).transpose().map_err(one)
    }

    fn password(&self, given: &Passphrase) -> Result<Secret<String>, Diagnostic> {
        match given {
            Passphrase::Given(text) => Ok(text.clone()),
            Passphrase::File(path) => {
                let (bytes, _) = self.bytes(path)?;
                let text = std::str::from_utf8(bytes.expose())
                    .map_err(|_| Diagnostic::error(format!("{}: not UTF-8", path.display())))?;
                Ok(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
            }
        }
    }

    /// How the keystore of a pair is sealed, if its task says.
    ///
    /// # Errors
    /// The password cannot be read, or is one that would not open a keystore again.
    pub(crate) fn seal(&self, pair: &Pair) -> Result<Option<KeystoreSeal>, Diagnostic> {
        let Some(store) = &pair.keystore else { return Ok(None) };
        let placed = |problem: Diagnostic| problem.at(pair.span.as_ref());
        let password = self.password(&store.password).map_err(placed)?;
        if let Some(problem) = keystore::password_problem(password.expose(), &store.alias) {
            return Err(placed(Diagnostic::error(problem)));
        }
        Ok(Some(KeystoreSeal { password, alias: store.alias.clone() }))
    }

    /// What a source holds.
    fn text(&self, source: &SourceText) -> Result<(Secret<Vec<u8>>, FileMode), Diagnostic> {
        match source {
            SourceText::File(path) => self.bytes(path),
            SourceText::Content(text) => {
                let text = text.expose();
                let opened =
                    match vault::is_vault(text) {
                        true => Secret::new((self.decrypt)(text).map_err(|why| {
                            Diagnostic::error(format!("{}: {why}", source.label()))
                        })?),
                        false => Secret::new(text.clone()),
                    };
                Ok((Secret::new(opened.expose().clone().into_bytes()), FileMode::new(0o600)))
            }
            SourceText::Command(argv, directory) => {
                let mut known = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(text) = known.get(&Named::from(source)) {
                    return Ok((text.clone(), FileMode::new(0o600)));
                }
                let printed = printed(argv, directory).map_err(|why| {
                    Diagnostic::error(format!("{}: {why}", source.label()))
                        .help("it runs without a shell and without input, beside the playbook")
                })?;
                known.insert(Named::from(source), printed.clone());
                Ok((printed, FileMode::new(0o600)))
            }
            SourceText::OnHost(..) => {
                let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
                let read = fetched.get(&Named::from(source)).cloned();
                let read = read.unwrap_or_else(|| Err("it was not read".to_owned()));
                let wrong = |why| Diagnostic::error(format!("{}: {why}", source.label()));
                Ok((read.map_err(wrong)?, FileMode::new(0o600)))
            }
            SourceText::Acme(directory, part) => {
                let files = acme::newest(directory)?;
                self.bytes(match part {
                    AcmePart::FullChain => &files.fullchain,
                    AcmePart::Key => &files.key,
                })
            }
        }
    }

    /// A file's bytes, decrypted when it is a vault text.
    fn bytes(&self, path: &Path) -> Result<(Secret<Vec<u8>>, FileMode), Diagnostic> {
        let (bytes, mode) = load::read_bytes(path)?;
        match std::str::from_utf8(bytes.expose()).ok().filter(|text| vault::is_vault(text)) {
            None => Ok((bytes, mode)),
            Some(sealed) => (self.decrypt)(sealed)
                .map(|text| (Secret::new(text.into_bytes()), FileMode::new(0o600)))
                .map_err(|why| Diagnostic::error(format!("{}: {why}", path.display()))),
        }
    }

    fn read(
        &self,
        pair: &Pair,
        passphrase: Option<&Secret<String>>,
        warn: Duration,
    ) -> Result<Loaded, Problems> {
        let found = settled(pair).map_err(|problem| vec![(Part::Pair, problem)])?;
        let pair = &found;
        let mut problems = Problems::new();
        let mut keep = |part: Part, source: &SourceText| match self.text(source) {
            Ok(read) => Some(read),
            Err(problem) => {
                // Certificate and key may come out of one command or keystore.
                if !problems.iter().any(|(_, known)| *known == problem) {
                    problems.push((part, problem));
                }
                None
            }
        };
        let cert = keep(Part::Cert, &pair.cert);
        let chain = pair.chain.as_ref().map(|chain| keep(Part::Chain, chain));
        let key = pair.key.as_ref().map(|key| keep(Part::Key, key));
        let (Some((cert, _)), true) = (cert, problems.is_empty()) else {
            return Err(problems);
        };
        let (chain, mut key) = (chain.flatten(), key.flatten());
        let mut cert = cert;
        if pair.from_keystore {
            let opened = keystore::open(&cert, passphrase)
                .map_err(|error| vec![(Part::Cert, located(&error, pair))])?;
            cert = Secret::new(opened.certificates);
            key = match (key, opened.key) {
                (Some((_, mode)), Some(inside)) => Some((inside, mode)),
                (Some(_), None) => {
                    let message = format!("{}: the keystore holds no key", pair.cert.label());
                    let problem = Diagnostic::error(message);
                    let problem = problem.help("`key: keep` leaves the key that the host has");
                    return Err(vec![(Part::Cert, problem)]);
                }
                (None, _) => None,
            };
        }
        let passphrase = passphrase.filter(|_| !pair.from_keystore);
        let input = Input {
            cert_pem: cert.expose(),
            chain_pem: chain.as_ref().map(|(bytes, _)| bytes.expose().as_slice()),
            key: key.as_ref().map(|(bytes, _)| bytes),
            passphrase,
            server_names: &[],
            now: self.now,
            warn,
        };
        let bundle = material::check(&input).map_err(|errors| {
            errors.iter().map(|error| (Part::Pair, located(error, pair))).collect::<Problems>()
        })?;
        let label = pair.cert.label();
        let (warnings, notes): (Vec<_>, Vec<_>) =
            bundle.notes.iter().partition(|note| note.is_warning());
        let lines = |list: Vec<&material::Note>| {
            list.iter().map(|note| format!("{label}: {note}")).collect()
        };
        let (mut warnings, notes): (Vec<String>, _) = (lines(warnings), lines(notes));
        if let (Some(SourceText::File(path)), Some((_, mode))) = (&pair.key, &key)
            && mode.bits() & 0o044 != 0
        {
            let path = path.display();
            warnings.push(format!(
                "{path}: others can read this private key (mode {mode}); chmod 600 {path}"
            ));
        }
        Ok(Loaded { material: Arc::new(Material::new(Arc::new(bundle))), warnings, notes })
    }
}

/// The pair with the files of one look into an ACME client's directory: two looks could see a renewal between them.
fn settled(pair: &Pair) -> Result<Pair, Diagnostic> {
    let mut pair = pair.clone();
    if let SourceText::Acme(directory, _) = &pair.cert {
        let files = acme::newest(directory)?;
        pair.cert = SourceText::File(files.fullchain);
        if let Some(SourceText::Acme(..)) = &pair.key {
            pair.key = Some(SourceText::File(files.key));
        }
    }
    Ok(pair)
}

/// What a command prints.
fn printed(argv: &[String], directory: &Path) -> Result<Secret<Vec<u8>>, String> {
    let (program, arguments) = argv.split_first().ok_or("the command is empty")?;
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut command = std::process::Command::new(program);
    let printed = load::printed_by(command.args(arguments).current_dir(directory), COMMAND_LIMIT)?;
    if printed.expose().trim_ascii().is_empty() {
        return Err("the command prints nothing".to_owned());
    }
    Ok(printed)
}

fn read_roots(trust: &Trust) -> Result<Roots, Diagnostic> {
    match trust {
        Trust::System => Roots::system().map_err(|error| Diagnostic::error(error.to_string())),
        Trust::File(path) => {
            let (bytes, _): (Secret<Vec<u8>>, _) = load::read_bytes(path)?;
            Roots::from_pem(bytes.expose())
                .map_err(|error| Diagnostic::error(format!("{}: {error}", path.display())))
        }
    }
}

/// The error with the files that it is about.
fn located(error: &MaterialError, pair: &Pair) -> Diagnostic {
    let mut problem = error.diagnostic();
    let mut files = vec![format!("cert: {}", pair.cert.label())];
    files.extend(pair.chain.iter().map(|chain| format!("chain: {}", chain.label())));
    files.extend(pair.key.iter().map(|key| format!("key: {}", key.label())));
    problem.message = format!("{} ({})", problem.message, files.join(", "));
    problem
}

/// A name that must be served and that none of the certificates covers.
pub(crate) fn uncovered(name: &str, materials: &[Arc<Material>]) -> Option<Diagnostic> {
    if materials.iter().any(|material| material.leaf.covers(name)) {
        return None;
    }
    let covered: Vec<String> = materials.iter().map(|material| material.leaf.names()).collect();
    let error =
        MaterialError::NameNotCovered { name: name.to_owned(), covered: covered.join("; ") };
    Some(error.diagnostic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::place::Section;
    use crate::lab::pki::{Authority, KeyKind, Validity};
    use crate::playbook::certificate::{Dest, PairPlaces};

    #[test]
    fn roots_are_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("root.pem");
        let now = crate::clock::now();
        std::fs::write(&file, Authority::new("root", now).unwrap().root_pem()).unwrap();
        let bundles = Bundles::new(now, Arc::new(|_| Err(String::new())));
        let trust = Trust::File(file.clone());
        assert!(bundles.roots(&trust).is_ok());
        std::fs::remove_file(file).unwrap();
        assert!(bundles.roots(&trust).is_ok(), "not read again");
        assert!(bundles.roots(&Trust::File("/no/such/file".into())).is_err());
    }

    /// The key is one allocation, and gone with the last task that uses it.
    #[test]
    fn a_key_is_held_once_and_dropped_with_its_last_task() {
        let directory = tempfile::tempdir().unwrap();
        let now = crate::clock::now();
        let valid = Validity::NEW;
        let authority = Authority::new("root", now).unwrap();
        let bundle = authority.leaf(&["one.demo.test"], KeyKind::P256, valid).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            SourceText::File(path)
        };
        let pair = Pair {
            cert: write("cert.pem", &bundle.fullchain_pem()),
            chain: None,
            key: Some(write("key.pem", bundle.key_pem().unwrap().expose())),
            passphrase: None,
            from_keystore: false,
            dest: Dest::default(),
            keystore: None,
            services: Vec::new(),
            span: None,
            places: PairPlaces::default(),
        };
        let bundles = Bundles::new(now, Arc::new(|_| Err(String::new())));
        let place = |index| Place { book: 0, play: 0, section: Section::Tasks, index };
        let load = |index| bundles.load(place(index), &pair, Duration::ZERO).unwrap();
        let (first, second) = (load(1), load(2));
        assert!(Arc::ptr_eq(&first, &second), "read once");
        let key = Arc::downgrade(first.material.bundle.key_pem().unwrap());
        drop((first, second));
        bundles.done_with(place(1));
        assert!(key.upgrade().is_some(), "another task uses it");
        bundles.done_with(place(2));
        assert!(key.upgrade().is_none(), "nothing holds it any more");
    }
}
