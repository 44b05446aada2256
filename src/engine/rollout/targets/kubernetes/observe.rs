//! Looking at a secret: what it holds, whose it is, what may be done with it, and what is served.

use super::asking::{CERTIFICATE, not_reached, read, value_of};
use super::judge::judge;
use super::kept::Previous;
use super::place::{Kubernetes, Looked};
use super::rights;
use super::trial;
use crate::engine::emit::Emitter;
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Asked, Job, Observed, Target};
use crate::engine::rollout::targets::store;
use crate::engine::verification;
use crate::host::{FileFacts, FileState, Generation, HostFacts, JournalFacts, JournalState};
use crate::kubernetes::{Cluster, Failed, TlsSecret, User, gateways, ingresses};
use crate::material::{Certificate, PrivateKey, PublicKey, certificates_in};
use crate::model::{FileMode, Fingerprint, HostName, RemotePath, Secret, Step};
use crate::plan::build::build;
use crate::plan::desired::DesiredState;
use crate::plan::earlier::earlier;
use crate::plan::host_plan::{Decision, HostPlan};
use crate::plan::inspection::{HostView, Look};
use crate::plan::proof::judge as judge_proof;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// Connects, and asks the API server who it is.
async fn connect(
    target: &Kubernetes,
    task: &str,
    host: &HostName,
    emitter: &Emitter,
) -> Result<Cluster, HostFailure> {
    let running = emitter.step(host, Step::Connect);
    let opened = target.clusters.open(&target.access).await;
    let opened = opened.map_err(|error| failure::turned_away(task, error.to_string()))?;
    let cluster = &opened.cluster;
    let version = opened.version().await.map_err(|failed| not_reached(task, &failed))?;
    running.end(format!("{} at {} ({version})", cluster.context, cluster.server));
    Ok(cluster.clone())
}

/// Reads the secret and looks at what is served, at the same time. Changes nothing.
pub(super) async fn status(target: &Kubernetes, job: &Job) -> Result<HostView, HostFailure> {
    let cluster = connect(target, job.task(), job.host(), &job.emitter).await?;
    let running = job.emitter.step(job.host(), Step::Inspect);
    let dialers = target.dialers();
    let (present, previous, looks) = tokio::join!(
        read(&cluster, &target.name),
        kept(&cluster, target, job.earlier.is_some()),
        verification::look(job.variants.probes(), &dialers),
    );
    let present = present.map_err(|failed| not_readable(target, job.task(), &failed))?;
    let previous = previous.map_err(|failed| not_reached(job.task(), &failed))?;
    let view = view(&cluster, job, present.as_ref(), previous.as_ref(), looks)
        .map_err(|why| failure::before_commit(job.task(), Step::Inspect, why))?;
    running.end("asked");
    Ok(view)
}

/// Reads the secret of a task whose pair is not at hand. Changes nothing.
pub(super) async fn held(target: &Kubernetes, asked: &Asked<'_>) -> Result<HostFacts, HostFailure> {
    let Asked { host, task, request, emitter } = *asked;
    let cluster = connect(target, task, host, emitter).await?;
    let running = emitter.step(host, Step::Inspect);
    let (present, previous) =
        tokio::join!(read(&cluster, &target.name), kept(&cluster, target, false));
    let present = present.map_err(|failed| not_readable(target, task, &failed))?;
    let previous = previous.map_err(|failed| not_reached(task, &failed))?;
    let mut facts = store::a_store();
    cluster.context.clone_into(&mut facts.user);
    let here = request.variants.iter().filter(|variant| variant.kinds.contains(&facts.kind));
    let value = |path| a_value(path, None, None, present.as_ref(), previous.as_ref());
    facts.files = here.flat_map(|variant| &variant.files).map(value).collect();
    facts.journals = previous.as_ref().and_then(interrupted).into_iter().collect();
    running.end("asked");
    Ok(facts)
}

/// The second secret, where the task keeps one or it is wanted all the same, for an earlier pair.
async fn kept(
    cluster: &Cluster,
    target: &Kubernetes,
    is_wanted: bool,
) -> Result<Option<Previous>, Failed> {
    match target.wanted.keep_previous || is_wanted {
        true => Previous::read(cluster, &target.name).await,
        false => Ok(None),
    }
}

/// What is wanted, and what was seen.
fn view(
    cluster: &Cluster,
    job: &Job,
    present: Option<&TlsSecret>,
    previous: Option<&Previous>,
    looks: Vec<Look>,
) -> Result<HostView, String> {
    let mut facts = store::a_store();
    cluster.context.clone_into(&mut facts.user);
    let desired = job.variants.desired(&facts).map_err(|why| why.to_string())?;
    tell_values(&mut facts, &desired, present, previous);
    facts.journals = previous.into_iter().filter_map(interrupted).collect();
    HostView::read(desired, facts, looks).map_err(|why| why.to_string())
}

/// As [`status`], and plans.
pub(super) async fn observe(target: &Kubernetes, job: &Job) -> Result<Observed, HostFailure> {
    let (host, task) = (job.host(), job.task());
    let refuse = |why: String| failure::before_commit(task, Step::Inspect, why);
    let cluster = &connect(target, task, host, &job.emitter).await?;
    let running = job.emitter.step(host, Step::Inspect);
    let dialers = target.dialers();
    let (present, right, previous, users, looks) = tokio::join!(
        read(cluster, &target.name),
        rights::may(cluster, "patch", &target.name),
        kept(cluster, target, job.earlier.is_some()),
        async { if job.plan_only { users(target).await } else { Vec::new() } },
        verification::look(job.variants.probes(), &dialers),
    );
    let present = present.map_err(|failed| not_readable(target, task, &failed))?;
    let right = right.map_err(|failed| not_reached(task, &failed))?;
    let previous = previous.map_err(|failed| not_reached(task, &failed))?;

    let view = view(cluster, job, present.as_ref(), previous.as_ref(), looks).map_err(refuse)?;
    let view = match &job.earlier {
        None => view,
        Some(to) => {
            let desired = earlier(&view, to).map_err(|why| refuse(why.to_string()))?;
            view.with_desired(desired)
        }
    };
    let mut plan = build(&view, job.identity.now);
    judge_proof(&mut plan, &[], &[]);
    let looked = Looked { cluster: cluster.clone(), present, previous };
    if plan.decision == Decision::Change {
        let missing = match right {
            true => rights::missing(target, &looked).await,
            false => Ok(Some(rights::Missing::patch(target))),
        };
        let missing = missing.map_err(|failed| not_reached(task, &failed))?;
        judge(target, &looked, missing.as_ref(), &mut plan);
    }
    if plan.decision == Decision::Change
        && job.plan_only
        && let Err((step, why)) = trial::dry_run(target, &looked, &plan).await
    {
        plan.decision = Decision::Blocked { step, why, check: None };
    }
    plan.notes.extend(about_users(target, &users, &plan));
    running.end(match &plan.decision {
        Decision::Unchanged => "nothing to do".to_owned(),
        Decision::ReloadOnly => "the secret is right, but another certificate is served".to_owned(),
        Decision::Change => "the secret will be changed".to_owned(),
        Decision::Blocked { why, .. } => format!("blocked: {why}"),
    });
    target.remember(looked);
    Ok(Observed { view, plan })
}

/// An earlier run died between its commit and its confirmation.
fn interrupted(previous: &Previous) -> Option<JournalFacts> {
    let unconfirmed = previous.unconfirmed.as_ref()?;
    (!unconfirmed.is_under_way()).then(|| JournalFacts {
        id: previous.id.to_string(),
        state: JournalState::Undo,
        by: unconfirmed.by.clone(),
    })
}

fn not_readable(target: &Kubernetes, task: &str, failed: &Failed) -> HostFailure {
    match failed.status() {
        Some(status) if status.code == 403 => {
            let why = format!(
                "secret {} may not be read as '{}': {failed}",
                target.name,
                target.access.context.as_deref().unwrap_or("the current context")
            );
            let mut ended = failure::before_commit(task, Step::Inspect, why);
            let name = &target.name;
            if status.message.contains("system:anonymous") {
                let nobody =
                    "no credentials were sent: the context's user has none in the kubeconfig";
                ended.failure.advice.push(nobody.to_owned());
            }
            ended.failure.advice.push(format!(
                "a role with the verbs get and patch on the resource name {} in the namespace {} is enough",
                name.name, name.namespace
            ));
            ended
        }
        _ => not_reached(task, failed),
    }
}

/// What uses the secret, as far as this account may see it.
async fn users(target: &Kubernetes) -> Vec<User> {
    let Ok(opened) = target.clusters.open(&target.access).await else { return Vec::new() };
    let lists = opened.lists(&target.name.namespace).await;
    let (lists, name) = (lists.get(), &target.name.name);
    let of_ingress = lists.and_then(|lists| lists.ingresses.as_ref());
    let of_gateway = lists.and_then(|lists| lists.gateways.as_ref());
    let mut found = Vec::new();
    found.extend(of_ingress.into_iter().flat_map(|list| ingresses(&list.body, name)));
    found.extend(of_gateway.into_iter().flat_map(|list| gateways(&list.body, name)));
    found
}

fn about_users(target: &Kubernetes, users: &[User], plan: &HostPlan) -> Vec<String> {
    let looked_at: Vec<&str> =
        plan.places.iter().filter_map(|place| place.probe.server_name.as_deref()).collect();
    users
        .iter()
        .map(|user| {
            let unseen: Vec<&str> = user
                .names
                .iter()
                .map(String::as_str)
                .filter(|name| !looked_at.iter().any(|seen| seen.eq_ignore_ascii_case(name)))
                .collect();
            let names = match user.names.as_slice() {
                [] => String::new(),
                names => format!(" for {}", names.join(", ")),
            };
            let unseen = match unseen.as_slice() {
                [] => String::new(),
                unseen => format!("; `verify` does not look at {}", unseen.join(", ")),
            };
            format!("secret {} is used by {}{names}{unseen}", target.name, user.what)
        })
        .collect()
}

/// The values as files: their digests, the certificates in them, and what is kept of them.
fn tell_values(
    facts: &mut HostFacts,
    desired: &DesiredState,
    present: Option<&TlsSecret>,
    previous: Option<&Previous>,
) {
    let files = desired.files.iter();
    let files = files.map(|want| a_value(&want.path, want.fallback.mode, None, present, previous));
    let kept = desired.kept_keys.iter();
    let kept = kept.map(|kept| a_value(&kept.path, None, Some(&kept.leaf), present, previous));
    facts.files = files.chain(kept).collect();
}

/// A value as a file; of a key that stays, its public half where it is that leaf's.
fn a_value(
    path: &RemotePath,
    mode: Option<FileMode>,
    kept_for: Option<&Certificate>,
    present: Option<&TlsSecret>,
    previous: Option<&Previous>,
) -> FileFacts {
    let key = value_of(path);
    let value = present.and_then(|secret| secret.value(key));
    let state = value.map_or(FileState::Absent, |value| {
        let mut file = store::a_file(Fingerprint::of(value.expose()), mode);
        file.size = value.expose().len() as u64;
        if key == CERTIFICATE {
            file.certificates = leaves(value);
        } else {
            file.holds_key = true;
            file.public_key_pem = kept_for.map(|leaf| public_half(value, leaf));
        }
        FileState::File(Box::new(file))
    });
    let generations = previous.and_then(|kept| kept.generation(key)).into_iter().collect();
    FileFacts { state, generations, ..store::an_absent_file(path) }
}

fn leaves(value: &Secret<Vec<u8>>) -> Vec<Arc<Certificate>> {
    certificates_in(value.expose()).into_iter().map(Arc::new).collect()
}

/// The public half of a key that stays, in PEM as a host would show it; nothing where it is not the certificate's.
fn public_half(key: &Secret<Vec<u8>>, leaf: &Certificate) -> Vec<u8> {
    let of_leaf = PublicKey::from_spki(&leaf.spki);
    let key = PrivateKey::from_pem(key, None);
    if key.is_ok_and(|key| of_leaf.as_ref() == Some(key.public())) {
        let body = STANDARD.encode(&leaf.spki);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n").into_bytes()
    } else {
        Vec::new()
    }
}

impl Previous {
    /// What is kept of one value.
    fn generation(&self, key: &str) -> Option<Generation> {
        let value = self.value(key)?;
        let certificates = if key == CERTIFICATE { leaves(value) } else { Vec::new() };
        Some(Generation {
            id: self.id.clone(),
            sha256: Some(Fingerprint::of(value.expose())),
            certificates,
        })
    }
}
