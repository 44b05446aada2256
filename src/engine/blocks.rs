//! Who takes part in a task that stands in blocks: hosts that failed in one go on with its `rescue` and its `always`
//! (Ansible, "Blocks").

use crate::model::HostName;
use crate::playbook::{BlockPath, Part};
use std::collections::HashMap;
use std::sync::Arc;

/// Where the hosts of a batch failed last.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    failed: HashMap<HostName, Failed>,
}

#[derive(Clone, Debug)]
struct Failed {
    path: BlockPath,
    /// A `rescue` may still catch it. Not when the run is ending: then `always` is all that is left.
    rescuable: bool,
}

impl Failed {
    /// Whether a block of its path, from this one inwards, has a rescue for it.
    fn is_caught(&self, from: usize) -> bool {
        let mut inner = self.path[from..].iter();
        self.rescuable && inner.any(|(block, part)| *part == Part::Body && block.rescues)
    }

    fn takes_part(&self, path: &BlockPath) -> bool {
        let same = |at: usize| match (self.path.get(at), path.get(at)) {
            (Some((ours, own)), Some((block, part))) => Arc::ptr_eq(ours, block) && own == part,
            _ => false,
        };
        let common = (0..path.len()).take_while(|at| same(*at)).count();
        let (here, there) = (self.path.get(common), path.get(common));
        match (here, there) {
            // Another part of a block in which it failed.
            (Some((ours, own)), Some((block, part))) if Arc::ptr_eq(ours, block) => {
                let rescued_inside = self.is_caught(common + 1);
                let rescued_here = self.rescuable && *own == Part::Body && block.rescues;
                let runs = match part {
                    Part::Rescue => rescued_here && !rescued_inside,
                    Part::Always => true,
                    Part::Body => false,
                };
                runs && has_no_rescue(path, common + 1)
            }
            _ => self.is_caught(common) && has_no_rescue(path, common),
        }
    }
}

fn has_no_rescue(path: &BlockPath, from: usize) -> bool {
    path[from..].iter().all(|(_, part)| *part != Part::Rescue)
}

impl Blocks {
    /// A host failed at a place; `true`: a `rescue` will catch it.
    pub(crate) fn fails(&mut self, host: &HostName, path: &BlockPath) -> bool {
        let failed = Failed { path: path.clone(), rescuable: true };
        let caught = failed.is_caught(0);
        self.failed.insert(host.clone(), failed);
        caught
    }

    /// A host is gone, or nobody knows in what state it is: neither `rescue` nor `always` runs on it.
    pub(crate) fn forget(&mut self, host: &HostName) {
        self.failed.remove(host);
    }

    /// Whether it failed where something may still be done for it.
    pub(crate) fn remembers(&self, host: &HostName) -> bool {
        self.failed.contains_key(host)
    }

    /// The run ends at a place: of the blocks that the host is in, `always` is still run.
    pub(crate) fn close(&mut self, host: &HostName, path: &BlockPath) {
        match self.failed.get_mut(host) {
            Some(failed) if !failed.is_caught(0) => failed.rescuable = false,
            _ => {
                let failed = Failed { path: path.clone(), rescuable: false };
                self.failed.insert(host.clone(), failed);
            }
        }
    }

    /// Whether a host that can be worked with takes part in a task at a place.
    pub(crate) fn takes_part(&self, host: &HostName, path: &BlockPath) -> bool {
        match self.failed.get(host) {
            Some(failed) => failed.takes_part(path),
            None => has_no_rescue(path, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Block;
    use Part::{Always, Body, Rescue};

    fn block(rescues: bool) -> Arc<Block> {
        Arc::new(Block { rescues })
    }

    fn path(steps: &[(&Arc<Block>, Part)]) -> BlockPath {
        steps.iter().map(|(block, part)| (Arc::clone(block), *part)).collect()
    }

    #[test]
    fn a_failure_goes_to_the_rescue_and_then_on() {
        let (outer, inner) = (block(true), block(false));
        let host = HostName::new("h");
        let mut blocks = Blocks::default();
        let takes =
            |blocks: &Blocks, steps: &[(&Arc<Block>, Part)]| blocks.takes_part(&host, &path(steps));
        assert!(takes(&blocks, &[(&outer, Body)]) && !takes(&blocks, &[(&outer, Rescue)]));
        assert!(blocks.fails(&host, &path(&[(&outer, Body), (&inner, Body)])));
        assert!(!takes(&blocks, &[(&outer, Body), (&inner, Body)]));
        assert!(takes(&blocks, &[(&outer, Body), (&inner, Always)]));
        assert!(!takes(&blocks, &[(&outer, Body)]));
        assert!(takes(&blocks, &[(&outer, Rescue)]) && takes(&blocks, &[(&outer, Always)]));
        assert!(takes(&blocks, &[]) && takes(&blocks, &[(&block(true), Body)]));
        assert!(!takes(&blocks, &[(&block(true), Rescue)]));
    }

    #[test]
    fn a_failure_in_a_rescue_leaves_only_always() {
        let (outer, inner) = (block(false), block(true));
        let host = HostName::new("h");
        let mut blocks = Blocks::default();
        assert!(!blocks.fails(&host, &path(&[(&outer, Body), (&inner, Rescue)])));
        for (steps, expected) in [
            (vec![(&outer, Body), (&inner, Rescue)], false),
            (vec![(&outer, Body), (&inner, Always)], true),
            (vec![(&outer, Body)], false),
            (vec![(&outer, Always)], true),
            (vec![], false),
        ] {
            assert_eq!(blocks.takes_part(&host, &path(&steps)), expected, "{steps:?}");
        }
    }

    #[test]
    fn a_block_that_rescued_is_left_as_if_nothing_had_been() {
        let (outer, inner) = (block(true), block(true));
        let host = HostName::new("h");
        let mut blocks = Blocks::default();
        assert!(blocks.fails(&host, &path(&[(&outer, Body), (&inner, Body)])));
        assert!(blocks.takes_part(&host, &path(&[(&outer, Body), (&inner, Rescue)])));
        assert!(blocks.takes_part(&host, &path(&[(&outer, Body)])));
        assert!(!blocks.takes_part(&host, &path(&[(&outer, Rescue)])));
        // A rescue in a rescue.
        assert!(blocks.fails(&host, &path(&[(&outer, Body)])));
        assert!(blocks.fails(&host, &path(&[(&outer, Rescue), (&inner, Body)])));
        assert!(blocks.takes_part(&host, &path(&[(&outer, Rescue), (&inner, Rescue)])));
        assert!(blocks.takes_part(&host, &path(&[(&outer, Rescue)])));
    }

    #[test]
    fn a_run_that_ends_still_does_what_always_says() {
        let block = block(true);
        let host = HostName::new("h");
        let mut blocks = Blocks::default();
        blocks.close(&host, &path(&[(&block, Body)]));
        assert!(!blocks.takes_part(&host, &path(&[(&block, Rescue)])));
        assert!(blocks.takes_part(&host, &path(&[(&block, Always)])));
        assert!(!blocks.takes_part(&host, &path(&[])));
    }
}
