//! From what a host told and what its ports serve to one line per certificate.

use super::places::{Place, SCANNED};
use super::questions::{MOST_FILES, Readings, Running};
use crate::event::found::{FoundCertificate, FoundEndpoint, FoundState};
use crate::host::{FileFacts, FileRole, FileState, RegularFile};
use crate::material::{Certificate, PublicKey};
use crate::model::{Endpoint, Fingerprint, RemotePath, Timestamp};
use crate::plan::row::brief;
use crate::verify::{Served, SignatureChoice, missing_issuer};
use indexmap::{IndexMap, IndexSet};
use std::net::{IpAddr, Ipv4Addr};

/// A handshake to make on the host itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    /// Where the host reaches itself.
    pub address: IpAddr,
    /// Port and dialogue.
    pub place: Place,
    /// SNI to send; none: none.
    pub server_name: Option<String>,
    /// Of a server with several certificates the one with such a key.
    pub signature: SignatureChoice,
}

/// What came of each handshake: what was served, or why nothing was.
pub(crate) type Answers = IndexMap<Asked, Result<Served, String>>;

/// The certificates of a host, before the handshakes.
pub(crate) struct Findings<'a> {
    readings: &'a Readings<'a>,
    files: Vec<Known<'a>>,
    rows: Vec<Row<'a>>,
    /// Ports that no service of a row is looked for on.
    elsewhere: Vec<Asked>,
}

/// More than this a host is not asked; and ports of one service that are looked at. A host says what it likes.
const MOST_HANDSHAKES: usize = 1000;
const MOST_PORTS: usize = 64;

/// A file that was read: who names it for what, and the public half of the key in it.
struct Known<'a> {
    file: &'a FileFacts,
    readers: Vec<(&'a Running<'a>, FileRole)>,
    key: Option<PublicKey>,
}

/// A certificate file and the service that reads it.
struct Row<'a> {
    service: Option<&'a Running<'a>>,
    file: &'a FileFacts,
    leaf: Option<&'a Certificate>,
    asked: Vec<Asked>,
}

impl<'a> Findings<'a> {
    /// Of what was read.
    pub(crate) fn of(readings: &'a Readings<'a>) -> Self {
        let known = |file: &'a FileFacts| {
            let told = file.file().and_then(|file| file.public_key_pem.as_deref());
            let text = told.map(String::from_utf8_lossy);
            let key = text.and_then(|text| PublicKey::from_text(&text));
            Known { file, readers: readings.readers(&file.path), key }
        };
        let files: Vec<Known<'a>> = readings.files.iter().map(known).collect();
        let mut rows = Vec::new();
        for Known { file, readers, .. } in &files {
            let file: &'a FileFacts = file;
            let leaf = file.leaf().map(AsRef::as_ref);
            let is_chain_or_key =
                !readers.is_empty() && !readers.iter().any(|(_, role)| role.holds_leaf());
            // What a directory holds are rows of their own; roots and intermediates are read by nobody as a leaf.
            if file.state == FileState::Directory || is_chain_or_key {
                continue;
            }
            // Of a file that has one name more in a directory of hashed names there is one row, which says so.
            let is_there =
                |known: &Known<'_>| real(known.file) == real(file) && hashed(known.file).is_none();
            if hashed(file).is_some() && files.iter().any(is_there) {
                continue;
            }
            if readers.is_empty() {
                if let Some(leaf) = leaf.filter(|leaf| !leaf.is_ca) {
                    rows.push(Row { service: None, file, leaf: Some(leaf), asked: Vec::new() });
                }
                continue;
            }
            for &(service, role) in readers {
                if role.holds_leaf() {
                    let asked =
                        leaf.map(|leaf| handshakes(readings, service, leaf)).unwrap_or_default();
                    rows.push(Row { service: Some(service), file, leaf, asked });
                }
            }
        }
        let elsewhere = elsewhere(readings, &rows);
        Self { readings, files, rows, elsewhere }
    }

    /// The handshakes to make, each once.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let all = self.rows.iter().flat_map(|row| &row.asked).chain(&self.elsewhere);
        let once: IndexSet<&Asked> = all.collect();
        once.into_iter().take(MOST_HANDSHAKES).cloned().collect()
    }

    /// Puts files and answers together; those with the fewest days left come first.
    pub(crate) fn judged(&self, answers: &Answers, now: Timestamp) -> Vec<FoundCertificate> {
        let mut found: Vec<FoundCertificate> =
            self.rows.iter().map(|row| self.judge(row, answers, now)).collect();
        for asked in &self.elsewhere {
            let Some(Ok(served)) = answers.get(asked) else { continue };
            let endpoint = endpoint(asked, answers.get(asked));
            let owner = self.owner(asked.place.port);
            let same = |one: &FoundCertificate| {
                let is_leaf =
                    one.certificate.as_ref().is_some_and(|leaf| leaf.fingerprint == served.leaf);
                one.file.is_some() && is_leaf && (one.service.is_none() || one.service == owner)
            };
            // A file that nobody is known to read is what the unknown reader has; of several the one below its name.
            let is_known = |one: &FoundCertificate| same(one) && one.service.is_some();
            let below = |one: &FoundCertificate, name: &str| {
                one.file.iter().flat_map(|file| file.split('/')).any(|part| part == name)
            };
            let is_named = |one: &FoundCertificate| {
                same(one) && owner.as_ref().is_some_and(|name| below(one, name))
            };
            // What lies below the name of another that runs is that one's, though the same certificate is in it.
            let may_be = |one: &FoundCertificate| {
                let names = self.readings.services.iter().map(|service| &service.profile.name);
                same(one)
                    && !names
                        .filter(|name| Some(*name) != owner.as_ref())
                        .any(|name| below(one, name))
            };
            let place = found.iter().position(is_known);
            let place = place.or_else(|| found.iter().position(is_named));
            let place = place.or_else(|| found.iter().position(may_be));
            if let Some(one) = place.and_then(|place| found.get_mut(place)) {
                if one.service.is_none() {
                    one.remarks.push("no configuration that was read names the file".to_owned());
                }
                one.service = one.service.take().or(owner);
                one.state = FoundState::Served;
                one.endpoints.push(endpoint);
                continue;
            }
            found.push(FoundCertificate { service: owner, ..only_served(served, endpoint, now) });
        }
        found.sort_by_key(|one| one.certificate.as_ref().map_or(i64::MIN, |leaf| leaf.days_left));
        found
    }

    fn judge(&self, row: &Row<'_>, answers: &Answers, now: Timestamp) -> FoundCertificate {
        let looked = row.asked.iter().map(|asked| endpoint(asked, answers.get(asked)));
        // A port that is not the service's usual one and shows no certificate is for something else.
        let is_usual = |port: u16| {
            row.service.is_some_and(|one| one.profile.verify.iter().any(|usual| usual.port == port))
        };
        let endpoints: Vec<FoundEndpoint> =
            looked.filter(|one| one.fingerprint.is_some() || is_usual(one.endpoint.port)).collect();
        let seen = |leaf: Fingerprint| endpoints.iter().any(|one| one.fingerprint == Some(leaf));
        let state = match (row.leaf, row.service) {
            (None, _) => FoundState::Unreadable,
            (Some(_), None) => FoundState::Unused,
            (Some(leaf), Some(_)) if seen(leaf.fingerprint) => FoundState::Served,
            (Some(_), Some(service)) if service.is_up == Some(false) => FoundState::Stopped,
            (Some(_), Some(service)) => {
                let shown: Vec<Fingerprint> =
                    endpoints.iter().filter_map(|one| one.fingerprint).collect();
                if shown.is_empty() {
                    FoundState::NotSeen
                } else if shown.iter().all(|leaf| self.has(service, *leaf)) {
                    FoundState::Shadowed
                } else {
                    FoundState::Drift
                }
            }
        };
        let chains = row.asked.iter().filter_map(|asked| answers.get(asked)?.as_ref().ok());
        let own = row.leaf.map(|leaf| leaf.fingerprint);
        let incomplete = chains
            .filter(|served| Some(served.leaf) == own)
            .find_map(|served| missing_issuer(&served.chain, now));
        let certificates =
            row.file.file().map(|file| file.certificates.as_slice()).unwrap_or_default();
        let pem: Vec<u8> = certificates.iter().flat_map(|one| one.pem()).collect();
        let pem = String::from_utf8(pem).unwrap_or_default();
        let mut remarks: Vec<String> = incomplete.map(alone).into_iter().collect();
        remarks.extend(self.remarks(row));
        FoundCertificate {
            service: row.service.map(|service| service.profile.name.clone()),
            file: Some(row.file.path.to_string()),
            access: row.file.file().map(access),
            certificate: row.leaf.map(|leaf| brief(leaf, now)),
            endpoints,
            state,
            remarks,
            key: self.key_of(row).map(|file| file.path.to_string()),
            is_as_written: row.file.sha256() == Some(Fingerprint::of(pem.as_bytes())),
            pem,
        }
    }

    /// The file with the key that fits a row's leaf: one that the service names; where it names none, one in the same
    /// directory, else any.
    fn key_of(&self, row: &Row<'_>) -> Option<&FileFacts> {
        let leaf = row.leaf?;
        let directory = |file: &FileFacts| {
            file.path.to_string().rsplit_once('/').map(|(directory, _)| directory.to_owned())
        };
        let files = || self.files.iter();
        let names_keys = files().any(|known| known.is_key_of(row));
        let candidates = files().filter(|known| !names_keys || known.is_key_of(row));
        let fitting = candidates.filter(|known| known.key.as_ref() == Some(&leaf.public_key));
        fitting.map(|known| known.file).min_by_key(|file| directory(file) != directory(row.file))
    }

    /// Who listens on a port: the service of that process, else the process.
    fn owner(&self, port: u16) -> Option<String> {
        let at = self.readings.listening.get(&port)?;
        let service = self.readings.services.iter().find(|service| service.listens(at));
        service
            .map(|service| service.profile.name.clone())
            .or_else(|| at.processes.first().cloned())
    }

    /// Whether a file of the service has this leaf.
    fn has(&self, service: &Running<'_>, leaf: Fingerprint) -> bool {
        let own = |row: &&Row<'_>| {
            row.service.is_some_and(|one| one.profile.name == service.profile.name)
        };
        self.rows.iter().filter(own).any(|row| row.leaf.is_some_and(|one| one.fingerprint == leaf))
    }

    fn remarks(&self, row: &Row<'_>) -> Vec<String> {
        let mut remarks = Vec::new();
        if row.leaf.is_none() {
            remarks.push(unreadable(row.file).to_owned());
        }
        remarks.extend(row.leaf.and_then(Certificate::weakness));
        remarks.extend(self.unfitting_key(row));
        let others: Vec<&str> = self
            .rows
            .iter()
            .filter(|other| real(other.file) == real(row.file))
            .filter_map(|other| other.service)
            .map(|service| service.profile.name.as_str())
            .filter(|name| row.service.is_some_and(|service| service.profile.name != *name))
            .collect();
        if !others.is_empty() {
            remarks.push(format!("shared with {}", others.join(", ")));
        }
        let paths = [Some(&row.file.path), row.file.real_path.as_ref()];
        remarks.extend(paths.into_iter().flatten().find_map(|path| manager(&path.to_string())));
        remarks.extend(self.hashed_names(row));
        if row.file.file().is_some_and(|file| file.holds_key && file.mode.bits() & 0o004 != 0) {
            remarks.push("it holds a private key that everybody can read".to_owned());
        }
        remarks
    }

    /// The names that OpenSSL finds the file by in a directory, and whether it does.
    fn hashed_names(&self, row: &Row<'_>) -> Option<String> {
        let leaf = row.leaf?;
        let same = self.files.iter().filter(|known| real(known.file) == real(row.file));
        let mut names: Vec<String> = same
            .filter_map(|known| Some((known.file, hashed(known.file)?)))
            .map(|(file, hash)| match hash == leaf.subject_hash {
                true => format!("hashed name {}", file.path),
                false => format!(
                    "{} is not the name that OpenSSL looks for: {}.0 is",
                    file.path, leaf.subject_hash
                ),
            })
            .collect();
        names.sort();
        (!names.is_empty()).then(|| names.join("; "))
    }

    /// Why no key that the row's service names fits its leaf; none: one does, or it cannot be told.
    fn unfitting_key(&self, row: &Row<'_>) -> Option<String> {
        if row.leaf.is_none() || self.key_of(row).is_some() {
            return None;
        }
        let named = self.files.iter().filter(|known| known.is_key_of(row));
        let named: Vec<&FileFacts> = named.map(|known| known.file).collect();
        if let Some(file) = named.iter().find(|file| file.file().is_none()) {
            return Some(format!("its key {}: {}", file.path, unreadable(file)));
        }
        let told =
            |file: &&&FileFacts| file.file().is_some_and(|file| file.public_key_pem.is_some());
        let all_told = !named.is_empty() && named.iter().filter(told).count() == named.len();
        all_told.then(|| "no key that the service names fits it".to_owned())
    }

    /// What is known of the host beyond its certificates.
    pub(crate) fn notes(&self) -> Vec<String> {
        let silent = self.readings.services.iter().filter(|service| service.named.is_none());
        let mut notes: Vec<String> = silent
            .map(|service| {
                format!(
                    "{} is running, but its configuration did not show which files it reads",
                    service.profile.name
                )
            })
            .collect();
        if self.readings.has_more {
            notes.push(format!(
                "there are more certificate files than the {MOST_FILES} that were read"
            ));
        }
        notes
    }
}

impl Known<'_> {
    /// Whether the row's service names the file for its key.
    fn is_key_of(&self, row: &Row<'_>) -> bool {
        let own = |service: &Running<'_>| {
            row.service.is_some_and(|one| one.profile.name == service.profile.name)
        };
        self.readers.iter().any(|(service, role)| role.holds_key() && own(service))
    }
}

/// The hash in a name as `c_rehash` makes it, `9d66eef0.0`.
fn hashed(file: &FileFacts) -> Option<String> {
    let path = file.path.to_string();
    let name = path.rsplit('/').next()?;
    let (hash, number) = name.split_once('.')?;
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let is_one = hash.len() == 8
        && hash.chars().all(is_hex)
        && number.len() == 1
        && number.chars().all(|c| c.is_ascii_digit());
    is_one.then(|| hash.to_owned())
}

/// Where a file really is.
fn real(file: &FileFacts) -> &RemotePath {
    file.real_path.as_ref().unwrap_or(&file.path)
}

/// The handshakes that should show this leaf.
fn handshakes(readings: &Readings<'_>, service: &Running<'_>, leaf: &Certificate) -> Vec<Asked> {
    if service.is_up == Some(false) {
        return Vec::new();
    }
    let asked = |(place, address)| Asked {
        address,
        place,
        server_name: name_of(leaf),
        signature: SignatureChoice::of(&leaf.public_key),
    };
    places_of(readings, service).into_iter().map(asked).collect()
}

/// The ports of a service's own processes, where the host tells whose they are; else its usual ones, as far as
/// something listens there. A host that tells of no port is asked at all of these.
fn places_of(readings: &Readings<'_>, service: &Running<'_>) -> Vec<(Place, IpAddr)> {
    let usual = service.profile.verify.iter();
    let usual = usual.map(|usual| Place { port: usual.port, starttls: usual.starttls });
    let own = readings.listening.iter().filter(|(_, at)| service.listens(at));
    let own: Vec<(Place, IpAddr)> = own
        .take(MOST_PORTS)
        .map(|(port, at)| {
            let known = usual.clone().find(|place| place.port == *port);
            (known.unwrap_or_else(|| Place::customary(*port)), at.address)
        })
        .collect();
    if !own.is_empty() {
        return own;
    }
    if readings.listening.is_empty() {
        return usual.map(|place| (place, IpAddr::V4(Ipv4Addr::LOCALHOST))).collect();
    }
    let nobodys =
        |place: &Place| readings.listening.get(&place.port).filter(|at| at.processes.is_empty());
    usual.filter_map(|place| Some((place, nobodys(&place)?.address))).collect()
}

/// Ports that no row looks at: those where TLS is the custom, and those of services whose files are not known.
fn elsewhere(readings: &Readings<'_>, rows: &[Row<'_>]) -> Vec<Asked> {
    let is_looked_at =
        |port: u16| rows.iter().flat_map(|row| &row.asked).any(|asked| asked.place.port == port);
    let is_customary = |port: u16| SCANNED.iter().any(|(known, ..)| *known == port);
    let has_no_row = |service: &&Running<'_>| {
        let own =
            |row: &Row<'_>| row.service.is_some_and(|one| one.profile.name == service.profile.name);
        !rows.iter().any(own)
    };
    let silent: Vec<&Running<'_>> = readings.services.iter().filter(has_no_row).collect();
    let mut asked = Vec::new();
    for (port, at) in &readings.listening {
        let is_silents = silent.iter().any(|service| service.listens(at));
        if !is_looked_at(*port) && (is_customary(*port) || is_silents) {
            asked.push(Asked {
                address: at.address,
                place: Place::customary(*port),
                server_name: None,
                signature: SignatureChoice::Any,
            });
        }
    }
    asked
}

/// A name that leads to this certificate: an exact one, else one for a wildcard.
fn name_of(leaf: &Certificate) -> Option<String> {
    let exact = leaf.dns_names.iter().find(|name| !name.starts_with("*."));
    exact.cloned().or_else(|| leaf.dns_names.first().map(|name| name.replacen('*', "www", 1)))
}

/// What a certificate that is seen without a file comes to.
pub(crate) fn only_served(
    served: &Served,
    endpoint: FoundEndpoint,
    now: Timestamp,
) -> FoundCertificate {
    let leaf = served.chain.first().and_then(|der| Certificate::from_der(der));
    let mut remarks: Vec<String> =
        missing_issuer(&served.chain, now).map(alone).into_iter().collect();
    remarks.extend(leaf.as_ref().and_then(Certificate::weakness));
    FoundCertificate {
        service: None,
        file: None,
        access: None,
        certificate: leaf.map(|leaf| brief(&leaf, now)),
        endpoints: vec![endpoint],
        state: FoundState::OnlyServed,
        remarks,
        key: None,
        pem: String::new(),
        is_as_written: false,
    }
}

fn endpoint(asked: &Asked, answer: Option<&Result<Served, String>>) -> FoundEndpoint {
    FoundEndpoint {
        endpoint: Endpoint { host: asked.address.to_string(), port: asked.place.port },
        starttls: asked.place.starttls.name().to_owned(),
        server_name: asked.server_name.clone(),
        fingerprint: answer.and_then(|answer| answer.as_ref().ok()).map(|served| served.leaf),
        problem: match answer {
            None => Some(
                "it was not asked: there were too many handshakes, or no time was left".to_owned(),
            ),
            Some(answer) => answer.as_ref().err().cloned(),
        },
    }
}

fn alone(issuer: String) -> String {
    format!(
        "chain incomplete: served without '{issuer}', which is right only if that is a root of every client"
    )
}

fn access(file: &RegularFile) -> String {
    format!("{}:{} {}", file.owner, file.group, file.mode)
}

fn unreadable(file: &FileFacts) -> &'static str {
    match file.state {
        FileState::File(_) => "it holds no certificate",
        FileState::Absent => "it is not there",
        FileState::DanglingLink => "it is a dangling symbolic link",
        FileState::Directory => "it is a directory",
        FileState::Special => "it is not a regular file",
        FileState::LinkLoop => "it is a symbolic link that loops",
        FileState::Unreadable => "it cannot be read",
    }
}

/// Who renews a certificate by itself, by where it lies.
fn manager(path: &str) -> Option<String> {
    const MANAGERS: [(&str, &str); 6] = [
        ("/letsencrypt/live/", "certbot"),
        ("/letsencrypt/archive/", "certbot"),
        ("acme.sh/", "acme.sh"),
        ("/caddy/certificates/", "Caddy itself"),
        ("/dehydrated/", "dehydrated"),
        ("/lego/", "lego"),
    ];
    let known = MANAGERS.iter().find(|(part, _)| path.contains(part));
    known.map(|(_, name)| format!("managed by {name}"))
}
