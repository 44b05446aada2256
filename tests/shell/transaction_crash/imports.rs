//! A service that takes its pair out of a spool into a store of its own, for the first time: what the store has is
//! exported into the spool first, so that whoever goes back can have it taken up again. Death at every step of it.

use super::leavings::{Leavings, jobs};
use super::scene::{Scene, transaction};
use crate::transaction::host::*;
use certroll::testing::host::{FileRole, Seed, TransactionRequest};
use certroll::testing::remote::{RemoteError, Transaction};
use futures::StreamExt;
use std::path::PathBuf;

const AT_ONCE: usize = 8;

/// What the controller says, and what the store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Confirmed,
    TakenBack,
    /// The store refuses the new pair, half-way.
    Refused,
    /// It gives nothing away.
    NotGivenAway,
    /// It gives nothing away, and the operator goes on all the same.
    GivenUp,
}

/// A spool that is empty, and a store with the old pair: two files, so that an import may be half done.
struct Store {
    scene: Scene,
    end: End,
}

impl Store {
    fn new(shell: &'static Shell, end: End) -> Self {
        let mut host = Host::bare(shell);
        let store = host.root.join("store");
        std::fs::create_dir(&store).unwrap();
        std::fs::write(store.join("cert"), OLD_CERT).unwrap();
        std::fs::write(store.join("key"), OLD_KEY).unwrap();
        let trace = host.root.join("trace");
        host.environment.push(("CRASH_TRACE".into(), trace.display().to_string()));
        let before = tree(&host.dir);
        Self { scene: Scene { host, before, trace }, end }
    }

    fn request(&self) -> TransactionRequest {
        let host = &self.scene.host;
        let mut request = host.request_for(vec![
            host.file("cert.pem", NEW_CERT, FileRole::Certificate),
            host.file("key.pem", NEW_KEY, FileRole::Key),
        ]);
        request.backups = 1;
        let store = host.root.join("store");
        let (store, spool) = (store.display(), host.dir.display());
        // It may have been killed before, and is run again.
        let refusal = match self.end {
            End::Refused => format!("! grep -q NEW {spool}/cert.pem || exit 9"),
            _ => String::new(),
        };
        let import = format!(
            "cp {spool}/key.pem {store}/key || exit; {refusal}\ncp {spool}/cert.pem {store}/cert || exit\necho told >>{}",
            host.log().display()
        );
        let export = match self.end {
            End::NotGivenAway | End::GivenUp => {
                "echo 'no key leaves this store'; exit 7".to_owned()
            }
            _ => format!("cp {store}/cert \"$1\" && cp {store}/key \"$2\""),
        };
        let service = &mut request.services[0];
        service.reload = Some(timed(&["/bin/sh", "-c", &import], 20));
        let name = |name: &str, file: &str| (name.to_owned(), host.path(file));
        service.seed = Some(Seed {
            command: command(&["/bin/sh", "-c", &export, "sh", "{cert}", "{key}"]),
            names: vec![name("cert", "cert.pem"), name("key", "key.pem")],
            timeout: std::time::Duration::from_secs(20),
            needed: self.end != End::GivenUp,
        });
        request
    }

    async fn drive(&self) -> Result<(), RemoteError> {
        let process = self.scene.host.sh().await;
        let (mut running, _) =
            Transaction::begin_with(transaction(), process, self.request()).await?;
        running.commit().await?;
        match self.end {
            End::TakenBack => running.rollback().await.map(drop),
            _ => running.confirm().await.map(drop),
        }
    }

    fn in_store(&self) -> [Vec<u8>; 2] {
        let store = self.scene.host.root.join("store");
        ["cert", "key"].map(|file| std::fs::read(store.join(file)).unwrap())
    }

    /// The store has one whole pair, the spool has the same or none, and both are the old ones unless confirmed.
    #[track_caller]
    fn assert_whole(&self, new: bool, at: &str) {
        let (cert, key) = if new { (NEW_CERT, NEW_KEY) } else { (OLD_CERT, OLD_KEY) };
        let shown = |[cert, key]: [Vec<u8>; 2]| {
            [cert, key].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        assert_eq!(shown(self.in_store()), shown([cert.to_vec(), key.to_vec()]), "{at}");
        let host = &self.scene.host;
        for (name, bytes) in [("cert.pem", cert), ("key.pem", key)] {
            // Between two renames of the first spool the other one is still missing: it is seeded again.
            match std::fs::read(host.dir.join(name)) {
                Ok(found) => {
                    assert_eq!(found, bytes, "{at}: {name}");
                    assert_eq!(host.attributes(name).0, 0o600, "{at}: {name}");
                }
                Err(_) => assert!(!new, "{at}: {name} is not there"),
            }
        }
        assert_eq!(host.litter(), Vec::<PathBuf>::new(), "{at}");
        let beside = tree(&host.dir);
        let left = |path: &PathBuf| path.to_string_lossy().starts_with(".certroll-");
        assert!(!beside.keys().any(left), "{at}: {:?}", beside.keys());
        if new {
            let kept: Vec<_> =
                beside.iter().filter(|(path, _)| path.starts_with(".certroll")).collect();
            let bytes: Vec<&[u8]> = kept.iter().map(|(_, entry)| entry.bytes.as_slice()).collect();
            assert!(bytes.contains(&OLD_KEY) && bytes.contains(&OLD_CERT), "{at}: {kept:?}");
        }
    }
}

/// The points of an import, found by going it once.
pub(crate) async fn import_points(shell: &'static Shell, end: End) -> Vec<String> {
    let mut store = Store::new(shell, end);
    store.scene.stop_at("", "CONT");
    let result = store.drive().await;
    let at = format!("{}: {end:?}: {result:?}", shell.name);
    match end {
        End::Confirmed => {
            result.unwrap();
            store.assert_whole(true, &at);
        }
        End::TakenBack => {
            result.unwrap();
            store.assert_whole(false, &at);
            assert_eq!(store.scene.host.reloads().len(), 2, "{at}");
        }
        End::Refused => {
            assert!(
                matches!(&result, Err(RemoteError::RolledBack { failure, .. }) if failure.rc == Some(9)),
                "{at}"
            );
            store.assert_whole(false, &at);
        }
        End::NotGivenAway => {
            let said = result.unwrap_err().to_string();
            assert!(
                said.contains("the store did not give its pair away")
                    && said.contains("no key leaves"),
                "{said}"
            );
            store.assert_whole(false, &at);
            store.scene.host.assert_unchanged(&store.scene.before);
        }
        End::GivenUp => result.unwrap(),
    }
    store.scene.passed("main")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_seeded_taken_back_refused_and_given_up() {
    for shell in shells() {
        for end in [End::Confirmed, End::TakenBack, End::Refused, End::NotGivenAway, End::GivenUp] {
            import_points(shell, end).await;
        }
    }
}

/// By the next contact alone: the guard would be a race.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_an_import_leaves_the_store_old_or_new() {
    let mut runs = Vec::new();
    for shell in shells() {
        let all = import_points(shell, End::Confirmed).await;
        let done = all.iter().position(|point| point == "main done#1").unwrap();
        let confirmed = all.into_iter().enumerate().map(|(at, point)| (point, at >= done));
        let refused = import_points(shell, End::Refused).await;
        let told = refused.iter().position(|point| point == "main renamed#1").unwrap();
        let refused = refused.into_iter().skip(told).map(|point| (point, false));
        for (end, points) in
            [(End::Confirmed, confirmed.collect()), (End::Refused, refused.collect::<Vec<_>>())]
        {
            runs.extend(jobs(shell, points).into_iter().map(|points| (shell, end, points)));
        }
    }
    let mut ends = futures::stream::iter(runs)
        .map(|(shell, end, points)| {
            tokio::spawn(async move {
                let count = points.len();
                let mut store = Store::new(shell, end);
                store.scene.host.environment.push(("CRASH_ALONE".into(), "1".into()));
                store.scene.stop_at("", "CONT");
                let leavings = Leavings::at(points, &mut store.scene);
                let mut leavings = leavings.by(store.drive()).await;
                while let Some((point, new)) = leavings.next(&mut store.scene) {
                    let at = format!("{}: {end:?}, left at {point}", shell.name);
                    let recovered = store.scene.host.recover().await;
                    recovered.unwrap_or_else(|error| panic!("{at}: {error}"));
                    store.assert_whole(new, &at);
                }
                count
            })
        })
        .buffer_unordered(AT_ONCE);
    let mut count = 0;
    while let Some(end) = ends.next().await {
        count += end.unwrap();
    }
    eprintln!("left {count} times, at every step of a first import: the store is whole");
}

/// The program is killed while the import runs, and nobody comes: its guard has the old pair taken up again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_takes_the_old_pair_up_again() {
    for shell in shells() {
        let mut store = Store::new(shell, End::Confirmed);
        store.scene.stop_at("main reloaded#1", "KILL");
        let at = format!("{}: killed after the import, with a guard", shell.name);
        store.drive().await.unwrap_err();
        for _ in 0..1200 {
            if store.scene.host.litter().is_empty() && store.in_store()[0] == OLD_CERT {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        store.assert_whole(false, &at);
    }
}
