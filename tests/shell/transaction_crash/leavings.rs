//! What lies on a host when a path is left at one of its steps: killed there under the first shell, and under the others
//! what a program that waits there leaves to whoever comes next.

use super::crash::killed;
use super::gate::{Gate, Left};
use super::scene::{Path, Scene};
use crate::transaction::host::{Shell, shells};

/// Whether a run is killed at each of its points, and so goes once for each.
pub(crate) fn is_killed(shell: &Shell) -> bool {
    shell.name == shells()[0].name
}

/// Points of a path, as many together as one run can be left at.
pub(crate) fn jobs<T: Clone>(shell: &Shell, points: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let size = if is_killed(shell) { 1 } else { points.len().max(1) };
    points.chunks(size).map(<[T]>::to_vec).collect::<Vec<_>>().into_iter()
}

/// Laid out one after another: each is settled before the next is asked for.
pub(crate) struct Leavings {
    scene: Scene,
    left: std::vec::IntoIter<Left>,
    killed: Option<String>,
}

impl Leavings {
    /// `points` are of one job.
    pub(crate) async fn of(shell: &'static Shell, path: Path, points: Vec<String>) -> Self {
        if is_killed(shell) {
            let [point] = points.try_into().expect("a kill is at one point");
            let scene = killed(shell, path, &point).await;
            return Self { scene, left: Vec::new().into_iter(), killed: Some(point) };
        }
        let mut scene = Scene::alone(shell);
        let gate = Gate::of(&mut scene);
        let count = points.len();
        let wanted = move |point: &str| points.iter().any(|one| one == point);
        let (went, left) = gate.along(wanted, scene.drive(path)).await;
        went.unwrap();
        assert_eq!(left.len(), count, "{}: {path:?}", shell.name);
        Self { scene, left: left.into_iter(), killed: None }
    }

    /// The next, and the point at which it was left.
    pub(crate) fn next(&mut self) -> Option<(&Scene, String)> {
        let point = match self.killed.take() {
            Some(point) => point,
            None => self.left.next()?.lay(&mut self.scene),
        };
        Some((&self.scene, point))
    }
}
