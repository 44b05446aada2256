//! A program that waits at each of its steps until what lies there is kept. That is what a kill there leaves: it is
//! the program's children alone who could still change something, and at a step it has none.
//!
//! The kills themselves take a run each, up to their step. So they come under the first shell, and here under the others.

use super::scene::{Scene, copied};
use crate::transaction::host::Tree;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A named pipe that each step of the program reads a line from.
pub(crate) struct Gate {
    pipe: PathBuf,
    root: PathBuf,
    trace: PathBuf,
    before: Tree,
}

/// What lay there at a step.
pub(crate) struct Left {
    pub(crate) point: String,
    kept: PathBuf,
    before: Tree,
}

impl Gate {
    /// Programs that are started in the scene from now on wait at it.
    pub(crate) fn of(scene: &mut Scene) -> Self {
        let root = scene.host.root.clone();
        let pipe = beside(&root, "gate");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        scene.host.environment.push(("CRASH_GATE".into(), pipe.display().to_string()));
        Self { pipe, root, trace: scene.trace.clone(), before: scene.before.clone() }
    }

    /// Lets a program run to its end, and keeps what lies there at those steps that are wanted.
    pub(crate) async fn along<T>(
        self,
        wanted: impl Fn(&str) -> bool + Send + 'static,
        run: impl Future<Output = T>,
    ) -> (T, Vec<Left>) {
        let (pipe, over) = (self.pipe.clone(), Arc::new(AtomicBool::new(false)));
        let until = Arc::clone(&over);
        // A thread of its own: a test that fails does not wait for it.
        let (kept, keeper) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || kept.send(self.keep(&wanted, &until)));
        let ended = run.await;
        over.store(true, Ordering::SeqCst);
        // Nobody comes to the gate any more, and who opens it must not wait for that.
        let open = File::options().read(true).write(true).open(&pipe).unwrap();
        let left = keeper.await.unwrap();
        drop(open);
        std::fs::remove_file(pipe).unwrap();
        (ended, left)
    }

    fn keep(&self, wanted: &dyn Fn(&str) -> bool, over: &AtomicBool) -> Vec<Left> {
        // Waits until somebody reads.
        let opened = || File::options().write(true).open(&self.pipe).unwrap();
        let (mut left, mut passed) = (Vec::new(), 0);
        loop {
            let mut gate = opened();
            if over.load(Ordering::SeqCst) {
                return left;
            }
            let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
            let points: Vec<&str> = text.lines().filter(|line| line.starts_with("main ")).collect();
            if points.len() == passed {
                // It has its line, and has not gone on yet.
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            passed = points.len();
            let point = points[passed - 1];
            if wanted(point) {
                let kept = beside(&self.root, &left.len().to_string());
                let before = copied(&self.root, &kept, &self.before);
                left.push(Left { point: point.to_owned(), kept, before });
            }
            while gate.write_all(b"\n").is_err() {
                gate = opened();
            }
        }
    }
}

impl Left {
    /// The scene as it was then, with nobody at work in it.
    pub(crate) fn lay(self, scene: &mut Scene) -> String {
        std::fs::remove_dir_all(&scene.host.root).unwrap();
        std::fs::rename(&self.kept, &scene.host.root).unwrap();
        scene.before = self.before;
        scene.host.environment.retain(|(name, _)| name != "CRASH_GATE");
        scene.stop_at("", "CONT");
        self.point
    }
}

fn beside(root: &std::path::Path, name: &str) -> PathBuf {
    let mut path = root.as_os_str().to_owned();
    path.push(".");
    path.push(name);
    path.into()
}
