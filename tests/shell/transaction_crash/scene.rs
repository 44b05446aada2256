//! One host with everything that a transaction can meet, and a program that can be stopped anywhere.

use crate::transaction::host::*;
use certroll::testing::host::{
    Attributes, FileRole, NewDirectory, RunningCheck, TransactionRequest, ValidateVia,
};
use certroll::testing::model::FileMode;
use certroll::testing::remote::program::Program;
use certroll::testing::remote::{RemoteError, Transaction};
use std::collections::BTreeMap;
use std::path::{Path as File, PathBuf};
use std::sync::{LazyLock, Mutex};

/// Counts the calls of `step` by name, writes them down, may shorten the guard's patience or do without it, sends itself a
/// signal at one of them, and waits at each where there is a gate.
const HOOK: &str = r#"case ${1-} in guard) [ -z "${CRASH_ALONE-}" ] || exit 0; hook_role=guard;; boot) hook_role=boot;; *) hook_role=main;; esac
echo "pid $hook_role $$" >>"$CRASH_TRACE"
step() { [ -z "${CRASH_ALONE-}" ] || guard_text="exit 0"; eval "hook_k=\${hook_c_$1-0}"; hook_k=$((hook_k+1)); eval "hook_c_$1=$hook_k"; echo "$hook_role $1#$hook_k" >>"$CRASH_TRACE"; [ "$1" != arming ] || t_guard=${CRASH_GUARD:-$t_guard}; case "$hook_role $1#$hook_k" in "$CRASH_AT") kill -s "$CRASH_DO" $$;; esac; case ${CRASH_GATE-}-$hook_role in ?*-main) until read -r hook_gate <"$CRASH_GATE" && [ "$hook_gate" = "$1#$hook_k" ]; do :; done 2>/dev/null;; esac; }"#;

/// Put together once: that takes longer than to start a shell.
pub(crate) fn transaction() -> &'static Program {
    static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::transaction(Some(HOOK)));
    &PROGRAM
}

pub(crate) fn recovery() -> &'static Program {
    static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::recovery(Some(HOOK)));
    &PROGRAM
}

/// What the controller says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Path {
    Confirm,
    /// As `Confirm`, while somebody watches for renames.
    Watched,
    /// As `Confirm`, with a guard for the next boot.
    Guarded,
    /// As `Confirm`, with bodies that are sealed.
    Sealed,
    Rollback,
    Abort,
    /// As `Confirm`, with the pair overwritten in place.
    InPlace,
    /// As `Rollback`, with the pair overwritten in place.
    InPlaceBack,
    /// As `InPlace`, with a guard for the next boot: what that has to do beside is in `boot`.
    GuardedInPlace,
}

pub(crate) const ALL: [Path; 8] = [
    Path::Confirm,
    Path::Watched,
    Path::Guarded,
    Path::Sealed,
    Path::Rollback,
    Path::Abort,
    Path::InPlace,
    Path::InPlaceBack,
];

pub(crate) struct Scene {
    pub(crate) host: Host,
    pub(crate) before: Tree,
    pub(crate) trace: PathBuf,
}

impl Scene {
    /// A pair with an earlier generation; of its configuration a file that gets other bytes, one that goes, and one that is
    /// new, in a directory that does not exist.
    pub(crate) fn new(shell: &'static Shell) -> Self {
        let mut host = Host::new(shell);
        let earlier = host.dir.join(".certroll/20000101T000000Z-0");
        std::fs::create_dir_all(&earlier).unwrap();
        let private = || std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(host.dir.join(".certroll"), private()).unwrap();
        for name in ["cert.pem", "key.pem"] {
            host.put(&earlier.join(name), b"earlier\n", 0o600);
        }
        host.put(&host.dir.join("site.conf"), OLD_CERT, 0o644);
        host.put(&host.dir.join("went.conf"), OLD_KEY, 0o644);
        let trace = host.root.join("trace");
        host.environment.push(("CRASH_TRACE".into(), trace.display().to_string()));
        std::fs::create_dir(host.root.join("units")).unwrap();
        let before = tree(&host.dir);
        Self { host, before, trace }
    }

    /// Without a guard, and stopped nowhere: it would be a race who goes back. `endings` has the guard alone.
    pub(crate) fn alone(shell: &'static Shell) -> Self {
        let mut scene = Self::new(shell);
        scene.host.environment.push(("CRASH_ALONE".into(), "1".into()));
        scene.stop_at("", "CONT");
        scene
    }

    /// Stops the next programs at `point` by `signal`; empty: nowhere.
    pub(crate) fn stop_at(&mut self, point: &str, signal: &str) {
        self.host.environment.retain(|(name, _)| !matches!(name.as_str(), "CRASH_AT" | "CRASH_DO"));
        self.host.environment.push(("CRASH_AT".into(), point.to_owned()));
        self.host.environment.push(("CRASH_DO".into(), signal.to_owned()));
        let _ = std::fs::remove_file(&self.trace);
    }

    /// A program was killed at this point: it said nothing more.
    #[track_caller]
    pub(crate) fn assert_killed(&mut self, point: &str, error: &RemoteError) {
        let at = format!("{} at {point}: {error}", self.host.shell.name);
        let closed = matches!(error, RemoteError::Closed { .. } | RemoteError::NoBoot { .. });
        assert!(closed, "not killed: {at}");
        assert_eq!(self.passed("main").last().map(String::as_str), Some(point), "{at}");
        self.assert_private(&at);
        self.stop_at("", "CONT");
    }

    /// The points that were passed since, in order, of the given role.
    pub(crate) fn passed(&self, role: &str) -> Vec<String> {
        let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
        let mark = format!("{role} ");
        text.lines().filter(|line| line.starts_with(&mark)).map(str::to_owned).collect()
    }

    /// Process ids of the programs of this role that were started since.
    pub(crate) fn pids(&self, role: &str) -> Vec<u32> {
        let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
        let mark = format!("pid {role} ");
        text.lines().filter_map(|line| line.strip_prefix(&mark)?.parse().ok()).collect()
    }

    /// What would be `/etc/systemd/system`.
    pub(crate) fn units(&self) -> PathBuf {
        self.host.root.join("units")
    }

    pub(crate) fn new_directory(&self) -> PathBuf {
        self.host.dir.join("made")
    }

    pub(crate) fn request(&self) -> TransactionRequest {
        let host = &self.host;
        let mut request = host.request_for(vec![
            host.file("cert.pem", NEW_CERT, FileRole::Certificate),
            host.file("key.pem", NEW_KEY, FileRole::Key),
            host.file("site.conf", NEW_CERT, FileRole::Config),
            removal(&host.dir.join("went.conf")),
            change(&self.new_directory().join("site.conf"), NEW_CERT, FileRole::Config),
        ]);
        let mode = Some(FileMode::new(0o755));
        request.directories = vec![NewDirectory {
            path: remote(&self.new_directory()),
            attributes: Attributes { mode, ..Attributes::default() },
        }];
        request.files[1].attributes.mode = Some(FileMode::new(0o600));
        request.services[0].running =
            Some(RunningCheck::PidFile(remote(&host.root.join("no.pid"))));
        request.services[0].validate.push(certroll::testing::host::ValidateStep {
            command: command(&["true"]),
            names: Vec::new(),
            via: ValidateVia::Live,
            private_net: false,
            user: None,
            timeout: std::time::Duration::from_secs(60),
            refuse_output: Vec::new(),
            optional: None,
        });
        request.backups = 1;
        request
    }

    /// Plays the controller along a path.
    pub(crate) async fn drive(&self, path: Path) -> Result<(), RemoteError> {
        let process = self.host.sh().await;
        let boot_guard =
            matches!(path, Path::Guarded | Path::GuardedInPlace).then(|| remote(&self.units()));
        let mut request =
            TransactionRequest { watched: path == Path::Watched, boot_guard, ..self.request() };
        request.sealed = path == Path::Sealed;
        if matches!(path, Path::InPlace | Path::InPlaceBack | Path::GuardedInPlace) {
            request.files[..2].iter_mut().for_each(|file| file.in_place = true);
            request.files[1].attributes = Attributes::default();
        }
        let (mut running, _) = Transaction::begin_with(transaction(), process, request).await?;
        if path == Path::Abort {
            return running.abort().await;
        }
        running.commit().await?;
        match path {
            Path::Rollback | Path::InPlaceBack => running.rollback().await.map(drop),
            _ => running.confirm().await.map(drop),
        }
    }

    /// All old: nothing at all is different.
    #[track_caller]
    pub(crate) fn assert_old(&self, at: &str) {
        assert_eq!(tree(&self.host.dir), self.before, "{at}");
        self.assert_tidy(at, "old");
    }

    /// All new: the files, one generation, nothing else.
    #[track_caller]
    pub(crate) fn assert_new(&self, at: &str) {
        let host = &self.host;
        host.assert_bytes("cert.pem", NEW_CERT);
        host.assert_bytes("key.pem", NEW_KEY);
        host.assert_bytes("site.conf", NEW_CERT);
        host.assert_bytes("made/site.conf", NEW_CERT);
        let group = if is_root() { 33 } else { host.attributes("key.pem").2 };
        assert_eq!(
            (host.attributes("cert.pem").0, host.attributes("cert.pem").2),
            (0o644, group),
            "{at}"
        );
        assert_eq!(
            (host.attributes("key.pem").0, host.attributes("key.pem").2),
            (if self.is_in_place() { 0o640 } else { 0o600 }, group),
            "{at}"
        );
        let generations = tree(&host.dir.join(".certroll"));
        assert_eq!(generations.len(), 5, "{at}: {generations:?}");
        let kept = |name| generations.iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
        assert_eq!(
            (kept("key.pem").bytes.as_slice(), kept("key.pem").mode & 0o7777),
            (OLD_KEY, 0o600)
        );
        for (name, bytes) in [("site.conf", OLD_CERT), ("went.conf", OLD_KEY)] {
            assert_eq!(kept(name).bytes.as_slice(), bytes, "{at}: {name}");
        }
        // What was not there before is a directory among what is kept.
        let made = tree(&self.new_directory().join(".certroll"));
        assert_eq!(made.len(), 2, "{at}: {made:?}");
        assert!(made.iter().all(|(_, entry)| entry.inode == 0), "{at}: {made:?}");
        assert_eq!(tree(&host.dir).len(), 5 + 1 + 5 + 1 + 2, "{at}: {:?}", tree(&host.dir).keys());
        self.assert_tidy(at, "NEW+/=");
    }

    /// Whether the key is in the inode that it was in.
    fn is_in_place(&self) -> bool {
        let inode = |tree: &Tree| tree[File::new("key.pem")].inode;
        inode(&self.before) == inode(&tree(&self.host.dir))
    }

    #[track_caller]
    fn assert_tidy(&self, at: &str, serving: &str) {
        assert_eq!(self.host.litter(), Vec::<PathBuf>::new(), "{at}");
        // A service that was told anything was told last to load what is there.
        if let Some(last) = self.host.reloads().last() {
            assert_eq!(last, serving, "{at}: {:?}", self.host.reloads());
        }
    }

    /// Nobody else can read what lies beside the destinations, nor the journals, at any moment.
    #[track_caller]
    pub(crate) fn assert_private(&self, at: &str) {
        for (path, entry) in tree(&self.host.dir) {
            let first = path.components().next().unwrap();
            if first.as_os_str().as_encoded_bytes().starts_with(b".certroll")
                && path.components().count() == 1
            {
                assert_eq!(entry.mode & 0o7777, 0o700, "{at}: {}", path.display());
            }
        }
        for dir in ["state", "run", "run/lock"] {
            let dir = self.host.root.join(dir);
            if let Ok(meta) = std::fs::metadata(&dir) {
                let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions());
                assert_eq!(mode & 0o7777, 0o700, "{at}: {}", dir.display());
            }
        }
    }

    /// Whether the files are the old ones; panics when they are neither.
    #[track_caller]
    pub(crate) fn assert_whole(&self, at: &str) -> bool {
        let old = std::fs::read(self.host.dir.join("cert.pem")).unwrap() == OLD_CERT;
        if old {
            self.assert_old(at)
        } else {
            self.assert_new(at)
        }
        old
    }
}

/// A host as a kill left it, to go on from more than once.
pub(crate) struct Lying {
    scene: Scene,
    /// What the host's directory was when it was killed.
    kept: PathBuf,
    before: Tree,
}

impl Lying {
    pub(crate) fn of(scene: Scene) -> Self {
        let mut kept = scene.host.root.clone().into_os_string();
        kept.push(".kept");
        std::fs::rename(&scene.host.root, &kept).unwrap();
        Self { kept: kept.into(), before: scene.before.clone(), scene }
    }

    /// That host once more, the same but for the numbers of its inodes. What went on from it is gone.
    pub(crate) fn again(&mut self) -> &mut Scene {
        let scene = &mut self.scene;
        let _ = std::fs::remove_dir_all(&scene.host.root);
        scene.before = copied(&self.kept, &scene.host.root, &self.before);
        scene.stop_at("", "CONT");
        scene
    }
}

/// Copies the directory of a host, and gives what was `before` there with the numbers that inodes have in the copy.
pub(crate) fn copied(from: &File, to: &File, before: &Tree) -> Tree {
    let status = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
    let now = tree(&to.join("certs"));
    let numbers: BTreeMap<u64, u64> = tree(&from.join("certs"))
        .into_iter()
        .map(|(path, entry)| (entry.inode, now[&path].inode))
        .collect();
    // What is gone cannot come back.
    let number = |entry: &Entry| numbers.get(&entry.inode).copied().unwrap_or(u64::MAX);
    let mut before = before.clone();
    before.values_mut().for_each(|entry| entry.inode = number(entry));
    before
}

impl Drop for Lying {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.kept);
    }
}

/// The points of a path, found by going it once; all tests go on from what the first one found.
pub(crate) async fn points(shell: &'static Shell, path: Path) -> Vec<String> {
    static FOUND: Mutex<BTreeMap<(&str, Path), Vec<String>>> = Mutex::new(BTreeMap::new());
    if let Some(points) = FOUND.lock().unwrap().get(&(shell.name, path)) {
        return points.clone();
    }
    let mut scene = Scene::new(shell);
    scene.stop_at("", "CONT");
    scene.drive(path).await.unwrap();
    match path {
        Path::Rollback | Path::Abort | Path::InPlaceBack => scene.assert_old("points"),
        _ => scene.assert_new("points"),
    }
    let points = scene.passed("main");
    FOUND.lock().unwrap().insert((shell.name, path), points.clone());
    points
}
