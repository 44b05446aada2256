//! A host that lives through a history, and what it may hold after each event.

use super::history::{Change, Event, How, NAMES, When, Word};
use super::host::{Host, Shell, change, tree};
use certroll::remote::program::Program;
use certroll::remote::{FileRole, RemoteError, Transaction};
use proptest::test_runner::TestCaseError;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Dies at the step of the number that the environment names. A subshell dies with its program; there is
/// no guard, which would make it a race who goes back.
const HOOK: &str = r#"case ${1-} in guard) exit 0;; esac
step_n=0
step() { step_n=$((step_n+1)); [ $step_n != "$DIES_AT" ] || { kill -s KILL $$; exit 137; }; }"#;

/// In every key, and nowhere else.
const SECRET: &[u8] = b"the secret of ";

/// Bytes and mode of each file; `None`: it is not there.
type Held = [Option<(Vec<u8>, u32)>; 2];

struct World {
    host: Host,
    /// What a contact in peace may find when it has settled everything.
    allowed: Vec<Held>,
    /// The same without what others did since the last contact in peace.
    apart: Vec<Held>,
    /// Counts everything that is written, so that no two are equal.
    written: u32,
    /// Somebody else wrote, whose business the service is.
    others: bool,
    transaction: Program,
    recovery: Program,
}

/// Lives through a history, and is looked at after every event.
pub async fn live(shell: &'static Shell, history: &[Event]) -> Result<(), TestCaseError> {
    let programs = (Program::transaction(Some(HOOK)), Program::recovery(Some(HOOK)));
    live_by(shell, history, programs).await
}

/// The same with programs that restore one file of two.
pub async fn live_with_a_fault(
    shell: &'static Shell,
    history: &[Event],
) -> Result<(), TestCaseError> {
    // Shell functions are defined by whoever comes last, so it takes the place of the first.
    let fault = format!(
        "{HOOK}\nmv() {{ case $*:$# in *.new/*) command mv \"$@\";; *.certroll-*/key.pem*:5) command mv \"$1\" \"$2\" \"$4\" \"$5\";; *) command mv \"$@\";; esac; }}"
    );
    let programs = (Program::transaction(Some(&fault)), Program::recovery(Some(&fault)));
    live_by(shell, history, programs).await
}

async fn live_by(
    shell: &'static Shell,
    history: &[Event],
    (transaction, recovery): (Program, Program),
) -> Result<(), TestCaseError> {
    let host = Host::new(shell);
    let mut world = World {
        host,
        allowed: Vec::new(),
        apart: Vec::new(),
        written: 0,
        others: false,
        transaction,
        recovery,
    };
    for file in 0..NAMES.len() {
        let bytes = world.bytes(file);
        world.host.put(&world.path(file), &bytes, 0o640);
    }
    world.allowed = vec![world.held()];
    world.apart = world.allowed.clone();
    for event in history {
        match event {
            Event::Rollout { both, word, dies_at, meanwhile } => {
                world.rollout(*both, *word, *dies_at, *meanwhile).await?;
            }
            Event::Other(change) => world.other(*change),
            Event::Recovery { dies_at } => world.recover(*dies_at).await?,
        }
        world.keeps_its_secrets()?;
    }
    world.recover(None).await
}

impl World {
    fn path(&self, file: usize) -> std::path::PathBuf {
        self.host.dir.join(NAMES[file])
    }

    /// Bytes that were never written before.
    fn bytes(&mut self, file: usize) -> Vec<u8> {
        self.written += 1;
        let secret = if file == 1 { String::from_utf8_lossy(SECRET) } else { "".into() };
        format!("-----BEGIN-----\n{secret}{}\n-----END-----\n", self.written).into_bytes()
    }

    fn held(&self) -> Held {
        [0, 1].map(|file| {
            let path = self.path(file);
            let bytes = std::fs::read(&path).ok()?;
            Some((bytes, std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777))
        })
    }

    /// What each allowed state becomes when a file is this from now on.
    fn becomes(states: &[Held], file: usize, now: &Option<(Vec<u8>, u32)>) -> Vec<Held> {
        let mut states = states.to_vec();
        states.iter_mut().for_each(|state| state[file].clone_from(now));
        states
    }

    /// The allowed states with new files; what else there is may have been settled only just now.
    fn with(states: &[Held], ours: &Range<usize>, new: &Held) -> Vec<Held> {
        ours.clone().fold(states.to_vec(), |states, file| Self::becomes(&states, file, &new[file]))
    }

    /// Somebody else changes a file, and what is allowed with it. A file that is removed before a transaction is
    /// settled may come back with the others.
    fn other(&mut self, Change { file, how }: Change) {
        let path = self.path(file);
        let now = match how {
            How::Removed => {
                let _ = std::fs::remove_file(&path);
                None
            }
            How::Replaced => {
                let bytes = self.bytes(file);
                let beside = self.host.root.join("theirs");
                self.host.put(&beside, &bytes, 0o600);
                std::fs::rename(&beside, &path).unwrap();
                Some((bytes, 0o600))
            }
        };
        let mut allowed = Self::becomes(&self.allowed, file, &now);
        if how == How::Removed && !self.host.litter().is_empty() {
            for state in &self.apart {
                allowed.extend(Self::becomes(&self.allowed, file, &state[file]));
            }
        }
        allowed.sort();
        allowed.dedup();
        self.allowed = allowed;
        self.others = true;
    }

    async fn rollout(
        &mut self,
        both: bool,
        word: Word,
        dies_at: Option<u32>,
        meanwhile: Option<(When, Change)>,
    ) -> Result<(), TestCaseError> {
        let before = self.held();
        let ours = if both { 0..2 } else { 1..2 };
        let mut new = before.clone();
        let mut changes = Vec::new();
        for file in ours.clone() {
            let bytes = self.bytes(file);
            let role = [FileRole::Certificate, FileRole::Key][file];
            changes.push(change(&self.path(file), &bytes, role));
            let mode = before[file].as_ref().map_or(0o600, |(_, mode)| *mode);
            new[file] = Some((bytes, mode));
        }
        let mut request = self.host.request_for(changes);
        request.backups = 2;
        // A program whose controller has just gone may still be at work.
        request.limits.lock = std::time::Duration::from_secs(20);
        self.dies_at(dies_at);
        let process = self.host.sh().await;
        let begun = Transaction::begin_with(&self.transaction, process, request).await;
        let ended = match begun {
            Err(error) => Err(error),
            Ok((transaction, _)) => self.drive(transaction, word, meanwhile, &mut new).await,
        };
        match ended {
            Ok(true) => {
                self.allowed = Self::with(&self.allowed, &ours, &new);
                self.others &= meanwhile.is_some();
            }
            Ok(false) => {}
            // Nobody knows: also new, if it was confirmed.
            Err(RemoteError::Closed { .. } | RemoteError::NoBoot { .. }) if dies_at.is_some() => {
                if word == Word::Confirm {
                    self.allowed.extend(Self::with(&self.allowed, &ours, &new));
                    self.apart.extend(Self::with(&self.apart, &ours, &new));
                }
                return Ok(());
            }
            Err(RemoteError::Stale { .. } | RemoteError::RolledBack { .. }) => {}
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
        self.recover(None).await
    }

    /// Commit and word. `true`: the controller was told that it stays.
    async fn drive(
        &mut self,
        mut transaction: Transaction,
        word: Word,
        meanwhile: Option<(When, Change)>,
        new: &mut Held,
    ) -> Result<bool, RemoteError> {
        // The commit is refused then, unless the file is none of ours, or what was removed was not there.
        if let Some((When::Staged, change)) = meanwhile {
            self.other(change);
        }
        if word == Word::Abort {
            return transaction.abort().await.map(|()| false);
        }
        transaction.commit().await?;
        if let Some((When::Committed, change)) = meanwhile {
            self.other(change);
            new[change.file].clone_from(&self.held()[change.file]);
        }
        match word {
            Word::Confirm => transaction.confirm().await.map(|_| true),
            Word::Rollback => transaction.rollback().await.map(|_| false),
            Word::Abort | Word::Gone => Ok(false),
        }
    }

    fn dies_at(&mut self, step: Option<u32>) {
        self.host.environment.clear();
        let step = step.unwrap_or(0).to_string();
        self.host.environment.push(("DIES_AT".into(), step));
    }

    /// A contact, and if it was left in peace, a look.
    async fn recover(&mut self, dies_at: Option<u32>) -> Result<(), TestCaseError> {
        self.dies_at(dies_at);
        match self.host.recover_with(&self.recovery).await {
            Ok(_) => {}
            Err(RemoteError::Closed { .. } | RemoteError::NoBoot { .. }) if dies_at.is_some() => {
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(format!("recovery: {error}"))),
        }
        // Files that could not go back because others had changed them are told once more.
        self.dies_at(None);
        if !self.host.litter().is_empty() {
            let again = self.host.recover_with(&self.recovery).await;
            again.map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
        self.is_settled()
    }

    fn is_settled(&mut self) -> Result<(), TestCaseError> {
        let held = self.held();
        if !self.allowed.contains(&held) {
            let (held, allowed) = (show(&held), self.allowed.iter().map(show));
            let allowed: Vec<_> = allowed.collect();
            return fail(format!("{held} is not allowed, but: {}", allowed.join(" or ")));
        }
        let litter = self.host.litter();
        if !litter.is_empty() {
            return fail(format!("left behind: {litter:?}"));
        }
        for path in tree(&self.host.dir).into_keys() {
            let top = path.iter().next().unwrap();
            if !NAMES.iter().any(|name| path == Path::new(name)) && top != ".certroll" {
                return fail(format!("left behind: {}", path.display()));
            }
        }
        let loaded = self.host.reloads().pop();
        let certificate = held[0].as_ref().map(|(bytes, _)| second_line(bytes));
        if !self.others && loaded.is_some() && loaded != certificate {
            return fail(format!("the service has {loaded:?}, the file is {certificate:?}"));
        }
        self.allowed = vec![held];
        self.apart = self.allowed.clone();
        Ok(())
    }

    /// Whoever is not its owner cannot read a key: not its file, or not a directory above it.
    fn keeps_its_secrets(&self) -> Result<(), TestCaseError> {
        let entries = tree(&self.host.root);
        for (path, entry) in &entries {
            let secret = entry.bytes.windows(SECRET.len()).any(|window| window == SECRET);
            let shut = |path: &Path| entries.get(path).is_some_and(|entry| entry.mode & 0o7 == 0);
            let is_live = *path == Path::new("certs").join(NAMES[1]);
            if secret && !is_live && !path.ancestors().any(shut) {
                return fail(format!("others can read {}", path.display()));
            }
        }
        Ok(())
    }
}

fn fail(why: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(why))
}

fn second_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().nth(1).unwrap_or_default().to_owned()
}

fn show(held: &Held) -> String {
    let one = |file: &Option<(Vec<u8>, u32)>| match file {
        None => "none".to_owned(),
        Some((bytes, mode)) => format!("{} ({mode:o})", second_line(bytes)),
    };
    format!("[{}, {}]", one(&held[0]), one(&held[1]))
}
