//! A host that lives through a history, and is looked at after every event.

use super::deaths::{Programs, RELOAD, environment};
use super::history::{Change, Death, Event, History, How, NAMES, Rollout, When, Word};
use super::ledger::{Held, Ledger, Pair, Phase, line};
use crate::transaction::host::{Host, Shell, change, next_id, remote, timed, tree};
use certroll::testing::host::{Content, FileRole, TransactionId};
use certroll::testing::remote::{RemoteError, Transaction};
use proptest::test_runner::TestCaseError;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In every key, and nowhere else.
const SECRET: &[u8] = b"the secret of ";

type Judged<T = ()> = Result<T, TestCaseError>;

fn fail<T>(why: impl Into<String>) -> Judged<T> {
    Err(TestCaseError::fail(why.into()))
}

struct World {
    host: Host,
    paths: [PathBuf; 2],
    ledger: Ledger,
    /// Counts everything that is written, so that no two are equal.
    written: u32,
    /// How often the service had been told when somebody else changed a file last.
    told_before_others: Option<usize>,
    /// Somebody else was here since everything was settled.
    others: bool,
    /// A process of a dead program may have made a staging directory anew.
    strayed: bool,
    /// How many programs were started.
    begun: u32,
    programs: Programs,
}

/// Lives through a history.
pub async fn live(shell: &'static Shell, history: &History, programs: &Programs) -> Judged {
    let mut world = World::new(shell, history, programs);
    for event in &history.events {
        match event {
            Event::Rollout(rollout) => world.rollout(rollout).await?,
            Event::Other(change) => {
                // It would be a race with what a dead program began.
                world.strays_end().await;
                world.other(*change, Phase::Left);
            }
            Event::Recovery(death) => world.recover(*death).await?,
        }
        world.keeps_its_secrets()?;
    }
    world.recover(None).await?;
    world.strays_end().await;
    world.is_settled().await?;
    world.recover(None).await?;
    world.strayed = false;
    world.is_settled().await
}

impl World {
    fn new(shell: &'static Shell, history: &History, programs: &Programs) -> Self {
        let host = Host::bare(shell);
        let keys = if history.two_directories { host.root.join("keys") } else { host.dir.clone() };
        let _ = std::fs::create_dir(&keys);
        std::fs::create_dir(host.root.join("strays")).unwrap();
        let mut world = Self {
            paths: [host.dir.join(NAMES[0]), keys.join(NAMES[1])],
            host,
            ledger: Ledger::default(),
            written: 0,
            told_before_others: None,
            others: false,
            strayed: false,
            begun: 0,
            programs: programs.clone(),
        };
        for file in (0..2).filter(|&file| history.there[file]) {
            let bytes = world.bytes(file);
            world.host.put(&world.paths[file], &bytes, 0o640);
        }
        world.ledger = Ledger::settled(world.held());
        world
    }

    /// Bytes that were never written before.
    fn bytes(&mut self, file: usize) -> Vec<u8> {
        self.written += 1;
        let secret = if file == 1 { String::from_utf8_lossy(SECRET) } else { "".into() };
        format!("-----BEGIN-----\n{secret}{}\n-----END-----\n", self.written).into_bytes()
    }

    fn held(&self) -> Pair {
        [0, 1].map(|file| held(&self.paths[file]))
    }

    /// Somebody else does something to a file, if there is something to do.
    fn other(&mut self, Change { file, how }: Change, phase: Phase) {
        let path = self.paths[file].clone();
        match how {
            How::Replaced => {
                let bytes = self.bytes(file);
                let beside = self.host.root.join("theirs");
                std::fs::write(&beside, bytes).unwrap();
                set_mode(&beside, 0o600);
                std::fs::rename(&beside, &path).unwrap();
                self.ledger.replaced(file, &held(&path).unwrap());
            }
            _ if !path.exists() => return,
            How::Removed => {
                std::fs::remove_file(&path).unwrap();
                self.ledger.removed(file, phase);
            }
            How::Moded => {
                set_mode(&path, 0o604);
                self.ledger.moded(file, &held(&path).unwrap());
            }
        }
        self.told_before_others = Some(self.host.reloads().len());
        self.others = true;
    }

    async fn rollout(&mut self, rollout: &Rollout) -> Judged {
        let before = self.held();
        let mut new = before.clone();
        let mut changes = Vec::new();
        for file in (0..2).filter(|&file| rollout.ours[file]) {
            let generation = self.earlier(file).filter(|_| rollout.earlier);
            let bytes = match &generation {
                Some((_, kept)) => kept.bytes.clone(),
                None => self.bytes(file),
            };
            let role = [FileRole::Certificate, FileRole::Key][file];
            let mut change = change(&self.paths[file], &bytes, role);
            let mut owner = held(&self.host.root).unwrap().owner;
            if let Some((id, kept)) = generation {
                change.content = Content::Generation(id);
                owner = kept.owner;
            }
            changes.push(change);
            let as_before = before[file].as_ref().map(|held| (held.mode, held.owner));
            let (mode, owner) = as_before.unwrap_or((0o600, owner));
            new[file] = Some(Held { bytes, mode, owner, inode: None });
        }
        let mut request = self.host.request_for(changes);
        request.id = next_id();
        request.backups = rollout.keep;
        request.watched = rollout.watched;
        let [cert, key] = self.paths.each_ref().map(|path| path.to_str().unwrap());
        let root = self.host.root.to_str().unwrap();
        request.services[0].reload =
            Some(timed(&["/bin/sh", "-c", RELOAD, "reload", root, cert, key], 20));
        // A program whose controller has just gone may still be at work.
        request.limits.lock = Duration::from_secs(60);
        self.ledger.begins(rollout.ours, &before, &new);
        self.dies(rollout.death, rollout.guarded);
        let process = self.host.sh().await;
        let begun = Transaction::begin_with(&self.programs.transaction, process, request).await;
        let ended = match begun {
            Err(error) => Err(error),
            Ok((transaction, _)) => self.drive(transaction, rollout).await?,
        };
        match ended {
            Ok(true) => {
                self.ledger.stood();
                self.keeps_generations(rollout, &before)?;
            }
            Ok(false) | Err(RemoteError::Stale { .. } | RemoteError::RolledBack { .. }) => {
                self.ledger.fell();
            }
            // Nobody knows; it stands only if it could have been confirmed.
            Err(RemoteError::Closed { during, .. }) if rollout.death.is_some() => {
                if during != certroll::testing::model::Step::Confirm {
                    self.ledger.fell();
                }
                return Ok(());
            }
            Err(RemoteError::NoBoot { .. }) if rollout.death.is_some() => return Ok(()),
            // What the contact itself settled first may have pruned it.
            Err(RemoteError::Failed(failure))
                if rollout.earlier && failure.why.ends_with("there is no such generation") =>
            {
                self.ledger.fell();
            }
            Err(error) => return fail(error.to_string()),
        }
        // What was answered is settled, unless others' changes are to be told once more.
        if rollout.word == Word::Gone || self.others || rollout.guarded {
            return self.recover(None).await;
        }
        self.is_settled().await
    }

    /// Commit and word. `true`: the controller was told that it stays.
    async fn drive(
        &mut self,
        mut transaction: Transaction,
        rollout: &Rollout,
    ) -> Judged<Result<bool, RemoteError>> {
        self.ledger.staged();
        if let Some((When::Staged, change)) = rollout.meanwhile {
            self.other(change, Phase::Staged);
        }
        if rollout.word == Word::Abort {
            return Ok(transaction.abort().await.map(|()| false));
        }
        if let Err(error) = transaction.commit().await {
            return Ok(Err(error));
        }
        let mut conflicts = Vec::new();
        if let Some((When::Committed, change)) = rollout.meanwhile {
            self.other(change, Phase::Committed);
            if change.how == How::Replaced && rollout.ours[change.file] {
                conflicts.push(remote(&self.paths[change.file]));
            }
        }
        Ok(match rollout.word {
            Word::Confirm => transaction.confirm().await.map(|_| true),
            Word::Abort | Word::Gone => Ok(false),
            Word::Rollback => match transaction.rollback().await {
                Ok(back) if back.conflicts != conflicts => {
                    return fail(format!("told {:?}, but it is {conflicts:?}", back.conflicts));
                }
                back => back.map(|_| false),
            },
        })
    }

    fn dies(&mut self, death: Option<Death>, guarded: bool) {
        let strays = self.host.root.join("strays");
        self.begun += 1;
        self.strayed |= matches!(death, Some(Death::Action(..)));
        self.host.environment = environment(death, self.begun, guarded, &strays);
    }

    /// A contact, and if it was left in peace, a look.
    async fn recover(&mut self, death: Option<Death>) -> Judged {
        self.dies(death, false);
        match self.contact().await {
            Ok(()) => {}
            Err(RemoteError::Closed { .. } | RemoteError::NoBoot { .. }) if death.is_some() => {
                return Ok(());
            }
            Err(error) => return fail(format!("recovery: {error}")),
        }
        // Files that could not go back because others had changed them are told once more.
        self.dies(None, false);
        if !self.host.litter().is_empty() {
            self.contact().await.or_else(|error| fail(format!("recovery: {error}")))?;
        }
        self.is_settled().await
    }

    async fn contact(&self) -> Result<(), RemoteError> {
        let files = self.paths.each_ref().map(|path| remote(path));
        let dirs = self.host.dirs();
        let (program, lock) = (&self.programs.recovery, Duration::from_secs(60));
        let process = self.host.sh().await;
        certroll::testing::remote::transaction::recover_with(
            program,
            process,
            "bob",
            lock,
            &files,
            Some(&dirs),
        )
        .await
        .map(drop)
    }

    /// Lets the processes that outlived their programs act, and waits until they have ended.
    async fn strays_end(&self) {
        let root = self.host.root.to_str().unwrap();
        let lives = |entry: std::io::Result<std::fs::DirEntry>| {
            let Ok(pid) = std::fs::read_to_string(entry.unwrap().path()) else { return false };
            // Its number may be another's by now.
            let line = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim()));
            pid.is_empty() || line.is_ok_and(|line| line.contains(root))
        };
        let go = self.host.root.join("go");
        std::fs::write(&go, "").unwrap();
        for _ in 0..6000 {
            if !std::fs::read_dir(self.host.root.join("strays")).unwrap().any(lives) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::remove_file(go).unwrap();
    }

    async fn is_settled(&mut self) -> Judged {
        assert!(self.host.dir.is_dir(), "somebody removed this test's directory");
        // A guard may look whether it is needed.
        for _ in 0..6000 {
            if self.host.litter().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let litter = self.host.litter();
        if !litter.is_empty() {
            return fail(format!("left behind: {litter:?}"));
        }
        let pair = self.held();
        self.ledger.settles(&pair).or_else(fail)?;
        for dir in self.directories() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let strayed = self.strayed && name.starts_with(".certroll-");
                if !(strayed || NAMES.contains(&name.as_str()) || name == ".certroll") {
                    return fail(format!("left behind: {name}"));
                }
            }
        }
        let told = self.host.reloads();
        let there = format!("{}+{}", line(&pair[0]), line(&pair[1]));
        let others = self.told_before_others.is_some_and(|then| then == told.len());
        if let Some(last) = told.last()
            && !others
            && *last != there
        {
            return fail(format!("the service has loaded {last}, but {there} is there"));
        }
        self.others = false;
        Ok(())
    }

    fn directories(&self) -> Vec<&Path> {
        let mut dirs: Vec<_> = self.paths.iter().map(|path| path.parent().unwrap()).collect();
        dirs.dedup();
        dirs
    }

    /// Earlier generations of a file, oldest first.
    fn generations(&self, file: usize) -> Vec<(TransactionId, Held)> {
        let kept = self.paths[file].parent().unwrap().join(".certroll");
        let Ok(entries) = std::fs::read_dir(kept) else { return Vec::new() };
        let mut found: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.unwrap().path();
                let id = TransactionId::parse(path.file_name()?.to_str()?)?;
                Some((id, held(&path.join(NAMES[file]))?))
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// The newest that differs from what is there.
    fn earlier(&self, file: usize) -> Option<(TransactionId, Held)> {
        let now = held(&self.paths[file]).map(|held| held.bytes);
        self.generations(file).into_iter().rfind(|(_, kept)| Some(&kept.bytes) != now.as_ref())
    }

    /// After a confirmation: the file as it was is the newest generation, and there are no more than were asked for.
    fn keeps_generations(&self, rollout: &Rollout, before: &Pair) -> Judged {
        for file in (0..2).filter(|&file| rollout.ours[file]) {
            let kept = self.generations(file);
            if kept.len() > rollout.keep as usize {
                return fail(format!("{} generations of {}", kept.len(), NAMES[file]));
            }
            let bytes = |held: &Held| held.bytes.clone();
            let newest = kept.last().map(|(_, held)| bytes(held));
            if rollout.keep > 0
                && before[file].is_some()
                && newest != before[file].as_ref().map(bytes)
            {
                return fail(format!("the old {} is not kept", NAMES[file]));
            }
        }
        Ok(())
    }

    /// Whoever is not its owner cannot read a key: not its file, or not a directory above it.
    fn keeps_its_secrets(&self) -> Judged {
        let entries = tree(&self.host.root);
        for (path, entry) in &entries {
            let secret = entry.bytes.windows(SECRET.len()).any(|window| window == SECRET);
            let shut = |path: &Path| entries.get(path).is_some_and(|entry| entry.mode & 0o7 == 0);
            let is_known =
                self.host.root.join(path) == self.paths[1] || path == Path::new("reloads");
            if secret && !is_known && !path.ancestors().any(shut) {
                return fail(format!("others can read {}", path.display()));
            }
        }
        Ok(())
    }
}

fn held(path: &Path) -> Option<Held> {
    let meta = std::fs::metadata(path).ok()?;
    let bytes = if meta.is_file() { std::fs::read(path).ok()? } else { Vec::new() };
    let (mode, owner) = (meta.mode() & 0o7777, (meta.uid(), meta.gid()));
    Some(Held { bytes, mode, owner, inode: Some(meta.ino()) })
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}
