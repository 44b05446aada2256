//! `--shard K/N`, and `auto`: K from the variables that array jobs set.

use crate::model::Shard;
use crate::model::shard::BadShard;

/// The value of `--shard`, with the environment of this process.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn parse(text: &str) -> Result<Shard, String> {
    resolve(text, |name| std::env::var(name).ok())
}

/// A scheduler of array jobs: its variable with the index, what counts from zero, and the variable with
/// the number of jobs where that can be relied on.
struct Scheduler {
    index: &'static str,
    counts_from: u64,
    total: Option<&'static str>,
}

/// Slurm (sbatch(1), "OUTPUT ENVIRONMENT VARIABLES"): SLURM_ARRAY_TASK_COUNT is that of the array submitted, so it
/// is 1 when one job of four is submitted again, and is no N. Kubernetes (Jobs, "Completion mode") has no variable for it.
const SCHEDULERS: [Scheduler; 3] = [
    Scheduler { index: "SLURM_ARRAY_TASK_ID", counts_from: 1, total: None },
    Scheduler { index: "CI_NODE_INDEX", counts_from: 1, total: Some("CI_NODE_TOTAL") },
    Scheduler { index: "JOB_COMPLETION_INDEX", counts_from: 0, total: None },
];

fn resolve(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let shard = |index: u64, of: u64| Shard::new(index, of).map_err(|error| error.to_string());
    let Some(given) = text.strip_prefix("auto") else {
        return text.parse::<Shard>().map_err(|error| error.to_string());
    };
    let given = match given {
        "" => None,
        count => Some(count.strip_prefix('/').ok_or_else(|| BadShard::Form.to_string())?),
    };
    let set: Vec<&Scheduler> =
        SCHEDULERS.iter().filter(|scheduler| variable(scheduler.index).is_some()).collect();
    let scheduler = match set.as_slice() {
        [one] => *one,
        [] => {
            let names: Vec<&str> = SCHEDULERS.iter().map(|scheduler| scheduler.index).collect();
            return Err(format!("this is not an array job: none of {} is set", names.join(", ")));
        }
        [one, other, ..] => {
            return Err(format!("both {} and {} are set: write K/N", one.index, other.index));
        }
    };
    let number = |name: &str, value: &str| {
        value.trim().parse::<u64>().map_err(|_| format!("{name} is not a number: '{value}'"))
    };
    let index = number(scheduler.index, &variable(scheduler.index).unwrap_or_default())?;
    let Some(index) = (index + 1).checked_sub(scheduler.counts_from).filter(|index| *index > 0)
    else {
        return Err(format!(
            "{} is 0, but shards are counted from 1: submit jobs 1 to N",
            scheduler.index
        ));
    };
    match (given, scheduler.total) {
        (Some(count), _) => shard(index, number("N", count)?),
        (None, Some(total)) => {
            let value =
                variable(total).ok_or_else(|| format!("{total} is not set: write auto/N"))?;
            shard(index, number(total, &value)?)
        }
        (None, None) => Err(format!(
            "how many shards there are cannot be told from {}, which names one job: write auto/N",
            scheduler.index
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(text: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(text, find).map(|shard| shard.to_string())
    }

    #[test]
    fn the_index_comes_from_the_array_job() {
        let slurm = [("SLURM_ARRAY_TASK_ID", "2"), ("SLURM_ARRAY_TASK_COUNT", "1")];
        assert_eq!(auto("auto/4", &slurm), Ok("2/4".into()));
        assert_eq!(auto("auto/4", &[("JOB_COMPLETION_INDEX", "0")]), Ok("1/4".into()));
        assert_eq!(auto("auto/4", &[("JOB_COMPLETION_INDEX", "3")]), Ok("4/4".into()));
        let gitlab = [("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "5")];
        assert_eq!(auto("auto", &gitlab), Ok("3/5".into()));
        assert_eq!(auto("3/5", &slurm), Ok("3/5".into()));
    }

    #[test]
    fn what_would_leave_hosts_out_is_refused() {
        let refused = |text: &str, variables: &[(&str, &str)]| auto(text, variables).unwrap_err();
        assert!(refused("auto/4", &[]).contains("not an array job"));
        assert!(refused("auto", &[("SLURM_ARRAY_TASK_ID", "2")]).contains("write auto/N"));
        assert!(refused("auto/4", &[("SLURM_ARRAY_TASK_ID", "0")]).contains("jobs 1 to N"));
        assert!(refused("auto/4", &[("SLURM_ARRAY_TASK_ID", "5")]).contains("no shard 5 of 4"));
        assert!(refused("auto/4", &[("SLURM_ARRAY_TASK_ID", "x")]).contains("not a number"));
        assert!(refused("auto/x", &[("SLURM_ARRAY_TASK_ID", "1")]).contains("not a number"));
        let both = [("SLURM_ARRAY_TASK_ID", "1"), ("CI_NODE_INDEX", "1")];
        assert!(refused("auto/4", &both).contains("both"));
        assert!(refused("automatic", &both[..1]).contains("K/N"));
    }
}
