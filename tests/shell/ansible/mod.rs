//! certroll beside the real Ansible: inventories, host patterns, limits, batches, tags, variables and
//! filters, case by case. `tests/run.sh` installs ansible-core; without it these tests say that they are skipped.

mod differences;
mod filters;
mod idioms;
mod inventories;
mod modules;
mod oracle;
mod patterns;
mod playbooks;
mod random;
mod reach;
mod structure;
