//! What lies on a host when a path is left at one of its steps: killed there under the first shell, and under the others
//! what a program that waits there leaves to whoever comes next.

use super::gate::{Gate, Left};
use super::scene::Scene;
use crate::transaction::host::{Shell, shells};
use certroll::testing::remote::RemoteError;

/// A point of a path, and whether the transaction stands there.
pub(crate) type Point = (String, bool);

/// Whether a run is killed at each of its points, and so goes once for each.
pub(crate) fn is_killed(shell: &Shell) -> bool {
    shell.name == shells()[0].name
}

/// Points of a path, as many together as one run can be left at.
pub(crate) fn jobs(shell: &Shell, points: Vec<Point>) -> Vec<Vec<Point>> {
    let size = if is_killed(shell) { 1 } else { points.len().max(1) };
    points.chunks(size).map(<[Point]>::to_vec).collect()
}

/// Laid out one after another in a scene: each is settled before the next is asked for.
pub(crate) struct Leavings {
    points: std::vec::IntoIter<Point>,
    gate: Option<Gate>,
    left: std::vec::IntoIter<Left>,
    killed: Option<RemoteError>,
}

impl Leavings {
    /// Has the next program in the scene left at the points of one job.
    pub(crate) fn at(points: Vec<Point>, scene: &mut Scene) -> Self {
        let mut gate = None;
        if is_killed(scene.host.shell) {
            let [(point, _)] = points.as_slice() else {
                panic!("a kill is at one point: {points:?}")
            };
            scene.stop_at(point, "KILL");
        } else {
            gate = Some(Gate::of(scene));
        }
        let (points, left) = (points.into_iter(), Vec::new().into_iter());
        Self { points, gate, left, killed: None }
    }

    /// Lets that program run.
    pub(crate) async fn by(mut self, run: impl Future<Output = Result<(), RemoteError>>) -> Self {
        match self.gate.take() {
            Some(gate) => {
                let names = self.points.as_slice().iter().map(|(point, _)| point.clone());
                // How a run ends that nobody kills is for the test of its points.
                self.left = gate.along(Some(names.collect()), run).await.1.into_iter();
            }
            None => self.killed = Some(run.await.unwrap_err()),
        }
        self
    }

    /// Lays out the next.
    pub(crate) fn next(&mut self, scene: &mut Scene) -> Option<Point> {
        let (point, stands) = self.points.next()?;
        match self.killed.take() {
            Some(error) => scene.assert_killed(&point, &error),
            None => assert_eq!(self.left.next()?.lay(scene), point),
        }
        scene.assert_private(&point);
        Some((point, stands))
    }
}
