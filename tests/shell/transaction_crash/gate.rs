//! A program that waits at each of its steps until what lies there is kept. That is what a kill there leaves: only the
//! program's children could still change something, and at a step it has none that would.
//!
//! The kills themselves take a run each, up to their step. So they come under the first shell, and this under the others.

use super::scene::{Scene, copied};
use crate::transaction::host::Tree;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A named pipe: at each step the program waits until it reads the name of that step there.
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

    /// Lets a program run to its end, and keeps what lies there at each of these points, which all must come in this
    /// order; at all its points without any.
    pub(crate) async fn along<T>(
        self,
        points: Option<Vec<String>>,
        run: impl Future<Output = T>,
    ) -> (T, Vec<Left>) {
        let pipe = self.pipe.clone();
        let over = Arc::new(AtomicBool::new(false));
        let (wanted, until) = (points.clone(), Arc::clone(&over));
        // A thread of its own: a test that fails does not wait for it.
        let (kept, keeper) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || kept.send(self.keep(wanted.as_deref(), &until)));
        let ended = run.await;
        over.store(true, Ordering::SeqCst);
        // No program comes any more, and who waits for one goes on.
        let open = File::options().read(true).write(true).open(&pipe).unwrap();
        let left = keeper.await.unwrap();
        drop(open);
        std::fs::remove_file(pipe).unwrap();
        let came = left.iter().map(|left| &left.point);
        assert!(points.is_none_or(|points| came.eq(&points)), "{:?}", ended_at(&left));
        (ended, left)
    }

    fn keep(&self, wanted: Option<&[String]>, over: &AtomicBool) -> Vec<Left> {
        let (mut left, mut passed) = (Vec::new(), 0);
        loop {
            // Waits until the program opens it, or meets one that has its name and goes on at this moment.
            let mut gate = File::options().write(true).open(&self.pipe).unwrap();
            if over.load(Ordering::SeqCst) {
                return left;
            }
            let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
            let points: Vec<&str> = text.lines().filter(|line| line.starts_with("main ")).collect();
            let Some(point) = points.last() else { continue };
            // It waits for a name that nobody has written yet.
            if points.len() > passed {
                passed = points.len();
                if wanted.is_none_or(|wanted| wanted.iter().any(|one| one == point)) {
                    let kept = beside(&self.root, &left.len().to_string());
                    let before = copied(&self.root, &kept, &self.before);
                    left.push(Left { point: (*point).to_owned(), kept, before });
                }
            }
            // Where a signal interrupts the program's reading it opens the pipe anew, and is told again.
            let _ = gate.write_all(format!("{}\n", &point["main ".len()..]).as_bytes());
        }
    }
}

impl Left {
    /// The scene as it was then, with nobody at work in it. Gives the point.
    pub(crate) fn lay(self, scene: &mut Scene) -> String {
        std::fs::remove_dir_all(&scene.host.root).unwrap();
        std::fs::rename(&self.kept, &scene.host.root).unwrap();
        scene.before = self.before;
        scene.host.environment.retain(|(name, _)| name != "CRASH_GATE");
        scene.stop_at("", "CONT");
        self.point
    }
}

fn ended_at(left: &[Left]) -> Vec<&str> {
    left.iter().map(|left| left.point.as_str()).collect()
}

fn beside(root: &Path, name: &str) -> PathBuf {
    let mut path = root.as_os_str().to_owned();
    path.push(".");
    path.push(name);
    path.into()
}
