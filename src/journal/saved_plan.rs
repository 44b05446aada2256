//! A saved plan: what a plan has told, in a file that can be reviewed, compared, and carried out to the letter.
//!
//! One JSON object per line: a header, the events of the plan, and a digest over all before it. Of the events only
//! those are kept that say what would be done: no output of a task, and so nothing that one has printed.
//! `docs/saved-plans.md` describes the file and what its digest proves.

pub(crate) use crate::event::run::Source;
use crate::event::{Event, Kind, RunStart, Summary, json};
use crate::model::{Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

/// Version of the file's form.
pub(crate) const FORMAT: u32 = 1;

/// How every saved plan of any version begins.
const MARK: &[u8] = b"{\"certroll_plan\":";

/// Larger files are not read: a plan of 100,000 hosts is a third of it.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// Its first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// [`FORMAT`].
    pub certroll_plan: u32,
    /// When the plan was made.
    pub made: Timestamp,
    /// The version of certroll that made it.
    pub version: String,
    /// The playbooks and what they include.
    pub sources: Vec<Source>,
}

#[derive(Serialize, Deserialize)]
struct Seal {
    sha256: Fingerprint,
}

/// A plan that was read back.
#[derive(Clone, Debug)]
pub(crate) struct SavedPlan {
    /// How it begins.
    pub header: Header,
    /// What it says.
    pub events: Vec<Event>,
    /// The digest over all of it.
    pub digest: Fingerprint,
}

/// Why a file is no plan that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadPlan {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Something else.
    #[error("this is not a saved plan")]
    Other,
    /// Written by a version with another form.
    #[error("it has format {0} of saved plans, and this certroll reads format {FORMAT}")]
    Format(u32),
    /// It is not as it was written.
    #[error("it was modified or cut off since it was written: its digest does not fit its content")]
    Modified,
    /// No plan is so large.
    #[error("it is larger than any plan")]
    TooLarge,
}

impl SavedPlan {
    /// Whether a file claims to be a saved plan, of whatever version.
    pub(crate) fn is_one(path: &Path) -> bool {
        let mut begin = [0; MARK.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut begin));
        read.is_ok() && begin == MARK
    }

    /// How the run that made it began.
    pub(crate) fn start(&self) -> Option<&RunStart> {
        self.events.iter().find_map(|event| match &event.kind {
            Kind::RunStart(start) => Some(&**start),
            _ => None,
        })
    }

    /// What it came to.
    pub(crate) fn summary(&self) -> Option<&Summary> {
        self.events.iter().rev().find_map(|event| match &event.kind {
            Kind::Summary(summary) => Some(summary),
            _ => None,
        })
    }

    /// Reads a plan back and checks that it is as it was written.
    ///
    /// # Errors
    /// It is none that can be used.
    pub(crate) fn read(path: &Path) -> Result<Self, BadPlan> {
        let file = File::open(path)?;
        if file.metadata()?.len() > LARGEST {
            return Err(BadPlan::TooLarge);
        }
        let mut bytes = Vec::new();
        BufReader::new(file.take(LARGEST)).read_to_end(&mut bytes)?;
        Self::of(&bytes)
    }

    fn of(bytes: &[u8]) -> Result<Self, BadPlan> {
        #[derive(Deserialize)]
        struct Form {
            certroll_plan: u32,
        }
        let mut lines = bytes.lines();
        let first = lines.next().ok_or(BadPlan::Other)?.map_err(|_| BadPlan::Other)?;
        let form: Form = serde_json::from_str(&first).map_err(|_| BadPlan::Other)?;
        if form.certroll_plan != FORMAT {
            return Err(BadPlan::Format(form.certroll_plan));
        }
        let content = bytes.strip_suffix(b"\n").ok_or(BadPlan::Modified)?;
        let end = content.iter().rposition(|byte| *byte == b'\n').ok_or(BadPlan::Modified)? + 1;
        let seal: Seal = serde_json::from_slice(&content[end..]).map_err(|_| BadPlan::Modified)?;
        let digest = Fingerprint::of(&bytes[..end]);
        if digest != seal.sha256 {
            return Err(BadPlan::Modified);
        }
        // What fits its digest was written by certroll, or by somebody who meant to deceive.
        let header = serde_json::from_str(&first).map_err(|_| BadPlan::Other)?;
        let mut events = Vec::new();
        for line in bytes[first.len() + 1..end].split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let object = serde_json::from_slice(line).map_err(|_| BadPlan::Other)?;
            events.push(json::from_object(object).map_err(|_| BadPlan::Other)?);
        }
        Ok(Self { header, events, digest })
    }

    /// Writes a plan beside `path` and renames: a file of that name is whole or not there. For its owner alone.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(path: &Path, header: &Header, events: &[Event]) -> io::Result<Fingerprint> {
        let mut bytes = serde_json::to_vec(header)?;
        bytes.push(b'\n');
        for event in events.iter().filter_map(kept) {
            serde_json::to_writer(&mut bytes, &json::to_object(&event)?)?;
            bytes.push(b'\n');
        }
        let digest = Fingerprint::of(&bytes);
        serde_json::to_writer(&mut bytes, &Seal { sha256: digest })?;
        bytes.push(b'\n');
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new().prefix(".certroll-plan-").tempfile_in(directory)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(digest)
    }
}

/// What a plan keeps of an event.
fn kept(event: &Event) -> Option<Event> {
    let kind = match &event.kind {
        Kind::RunStart(_)
        | Kind::PlayStart { .. }
        | Kind::BatchStart { .. }
        | Kind::PlanHost { .. }
        | Kind::PlanBatch { .. }
        | Kind::BatchEnd { .. }
        | Kind::Note { .. }
        | Kind::Summary(_) => event.kind.clone(),
        Kind::Failure(failure) => {
            let mut failure = failure.clone();
            failure.output.clear();
            Kind::Failure(failure)
        }
        _ => return None,
    };
    Some(Event { kind, ..event.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{NoteLevel, TaskResult};
    use std::time::Duration;

    fn event(kind: Kind) -> Event {
        let moment = Timestamp::from_unix(1_795_478_400);
        Event { seq: 0, moment, elapsed: Duration::ZERO, host: None, kind }
    }

    fn written() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan");
        let header = Header {
            certroll_plan: FORMAT,
            made: Timestamp::from_unix(1_795_478_400),
            version: "0.1.0".into(),
            sources: vec![Source { file: "p.yml".into(), sha256: Fingerprint::of(b"p") }],
        };
        let note = Kind::Note { level: NoteLevel::Info, message: "careful".into() };
        let told = Kind::TaskEnd {
            task: "t".into(),
            place: None,
            result: TaskResult::Ok,
            message: None,
            output: Some("swordfish".into()),
            millis: 1,
        };
        let digest = SavedPlan::write(&path, &header, &[event(note), event(told)]).unwrap();
        assert!(SavedPlan::is_one(&path));
        let read = SavedPlan::read(&path).unwrap();
        assert_eq!((read.header, read.digest, read.events.len()), (header, digest, 1));
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn every_byte_counts() {
        let bytes = written();
        assert!(!String::from_utf8(bytes.clone()).unwrap().contains("swordfish"));
        assert!(SavedPlan::of(&bytes).is_ok());
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(SavedPlan::of(&changed).is_err(), "byte {index} may be changed");
            assert!(SavedPlan::of(&bytes[..index]).is_err(), "it may be cut at {index}");
        }
        assert!(SavedPlan::of(&[bytes.as_slice(), b"\n"].concat()).is_err());
    }

    #[test]
    fn plan_and_record_of_a_thousand_hosts_read_as_they_were_written() {
        use crate::event::planned::{PlanRow, PlannedTask};
        use crate::event::run::{HostSummary, RunStart};
        use crate::journal::Store;
        use crate::model::FileAction;
        const HOSTS: usize = 1_000;
        let row = |host: &str, file: &str| PlanRow {
            host: host.into(),
            service: "nginx".into(),
            file: format!("/etc/nginx/certs/{file}.pem"),
            real_path: None,
            action: FileAction::Replace,
            now: None,
            wanted: None,
            before: Some(Fingerprint::of(host.as_bytes())),
            after: Some(Fingerprint::of(file.as_bytes())),
            owner: None,
            group: None,
            mode: None,
            detail: String::new(),
            difference: None,
            validate: "nginx -t in a private mount namespace (covers: pair, chain)".into(),
            reload: "nginx -s reload".into(),
            verify: format!("{host}:443 ({host})"),
            notes: Vec::new(),
        };
        let start = RunStart { run: "5d1f0a4c9be2d713".into(), ..RunStart::default() };
        let mut events = vec![event(Kind::RunStart(Box::new(start.clone())))];
        let mut summary = Summary::default();
        for number in 0..HOSTS {
            let host = format!("edge{number:05}.example.net");
            let rows = vec![row(&host, "fullchain"), row(&host, "privkey")];
            let task = Box::new(PlannedTask { rows, ..PlannedTask::default() });
            let kind = Kind::PlanHost { play: "renew".into(), batch: 1, task };
            events.push(Event { host: Some(host.as_str().into()), ..event(kind) });
            summary.hosts.insert(host.as_str().into(), HostSummary::default());
        }
        events.push(event(Kind::Summary(summary)));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan");
        let header = Header {
            certroll_plan: FORMAT,
            made: Timestamp::from_unix(0),
            version: String::new(),
            sources: Vec::new(),
        };
        SavedPlan::write(&path, &header, &events).unwrap();
        assert_eq!(SavedPlan::read(&path).unwrap().events, events);
        let store = Store::at(directory.path().join("runs"));
        let mut record = store.begin(&start, Duration::ZERO).unwrap();
        events.iter().for_each(|event| record.take(event).unwrap());
        let listed = store.find("last", |_| true).unwrap();
        assert_eq!(store.read(&listed).unwrap().events, events);
    }

    #[test]
    fn another_version_is_told_by_its_number_and_anything_else_is_no_plan() {
        let later = b"{\"certroll_plan\":7,\"whatever\":[]}\n{}\n";
        assert!(matches!(SavedPlan::of(later), Err(BadPlan::Format(7))));
        for other in [&b""[..], b"- hosts: all\n", b"{}\n", b"\xff\xfe\n"] {
            assert!(matches!(SavedPlan::of(other), Err(BadPlan::Other)), "{other:?}");
        }
    }
}
