//! Runs plays: batches, tasks, the rollout of certificates, stopping.
