//! Secrets of Kubernetes clusters: what the API server is asked, and what its answers mean.
//!
//! [`access`](Access) reads kubeconfig files, [`api`](Failed) makes requests, [`secret`](TlsSecret) reads a secret without
//! keeping more copies of its key than it must, [`owner`](owners) tells who else writes it, and [`patch`] words changes.
//! Nothing here decides about a rollout: that is the target's part (`engine/rollout/targets/kubernetes`).

mod access;
mod api;
mod owner;
pub(crate) mod patch;
mod secret;
mod users;

pub(crate) use access::{Access, AccessError, Cluster};
pub(crate) use api::{Answer, Failed, Sent, Status};
pub(crate) use owner::{copied_by, last_applied, owners};
pub(crate) use secret::{Metadata, SecretName, TlsSecret};
pub(crate) use users::{User, gateways, gateways_path, ingresses, ingresses_path};
