//! A host and a task without a network: wanted data and facts made by hand.

use super::pki::{Authority, Pair as Made};
use certroll::testing::host::{
    CommandResult, Family, FileFacts, FileState, HostFacts, HostKind, RegularFile, Tools,
};
use certroll::testing::material::{Input, certificates_in, check};
use certroll::testing::model::{Fingerprint, HostName, RemotePath, Secret, Timestamp};
use certroll::testing::plan::build::build;
use certroll::testing::plan::desired::DesiredState;
use certroll::testing::plan::error::PlanError;
use certroll::testing::plan::host_plan::{HostPlan, SeenBefore};
use certroll::testing::plan::inspection::{HostView, Look, LookFailure};
use certroll::testing::plan::request::{CertificateRequest, Material};
use certroll::testing::plan::variants::Variants;
use certroll::testing::playbook::certificate::{
    CertificateTask, Confirm, Dest, Ownership, Pair, ServiceUse, SourceText, VerifyChoice,
    WhenStopped,
};
use certroll::testing::services::Profiles;
use certroll::testing::verify::Served;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test"));
static PROFILES: LazyLock<Profiles> =
    LazyLock::new(|| Profiles::from_sources(&[]).expect("built-in profiles").0);

/// 2026-07-30.
pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_785_412_800);

pub(crate) fn material(made: &Made, with_key: bool) -> Arc<Material> {
    let key = Secret::new(made.key_pem.clone().into_bytes());
    let cert = format!("{}{}", made.pem, made.intermediate_pem);
    let bundle = check(&Input {
        cert_pem: cert.as_bytes(),
        chain_pem: None,
        key: with_key.then_some(&key),
        passphrase: None,
        server_names: &[],
        now: NOW,
        warn: Duration::ZERO,
    });
    Arc::new(Material::new(Arc::new(bundle.expect("sound material"))))
}

/// A task for these services with one pair for `www.example.net`.
pub(crate) fn wanted(services: &[&str]) -> CertificateRequest {
    wanted_for(services, &[AUTHORITY.leaf(&["www.example.net"])], true)
}

pub(crate) fn wanted_for(services: &[&str], leaves: &[Made], with_key: bool) -> CertificateRequest {
    let pair = || Pair {
        cert: SourceText::File(PathBuf::from("cert.pem")),
        chain: None,
        key: with_key.then(|| SourceText::File(PathBuf::from("key.pem"))),
        passphrase: None,
        from_keystore: false,
        dest: Dest::default(),
        keystore: None,
        services: Vec::new(),
        span: None,
        places: Default::default(),
    };
    CertificateRequest {
        seals: leaves.iter().map(|_| None).collect(),
        host: HostName::new("www1"),
        address: "192.0.2.1".to_owned(),
        task: "renew".to_owned(),
        certificate: CertificateTask {
            store: None,
            services: services
                .iter()
                .map(|&name| ServiceUse { name: name.to_owned(), container: None })
                .collect(),
            pairs: leaves.iter().map(|_| pair()).collect(),
            with: Vec::new(),
            ownership: Ownership::default(),
            validate: None,
            reload: None,
            verify: VerifyChoice::Profile,
            checks: Vec::new(),
            confirm: Confirm::Auto,
            backups: 3,
            boot_guard: false,
            allow_input_log: false,
            allow_no_way_back: false,
            when_stopped: WhenStopped::Fail,
            chain_required: false,
            lock_timeout: None,
            validate_timeout: Duration::from_secs(30),
            reload_timeout: Duration::from_secs(30),
            confirm_timeout: None,
            expiry_warning: Duration::ZERO,
            span: None,
        }
        .into(),
        materials: leaves.iter().map(|made| material(made, with_key)).collect(),
        configs: Vec::new(),
        profiles: services
            .iter()
            .map(|name| Arc::new(PROFILES.find(name).expect("built in").clone()))
            .collect(),
        roots: Vec::new(),
        allow_experimental: false,
        notes: Vec::new(),
    }
}

/// A Debian host with systemd.
pub(crate) const DEBIAN: HostKind = HostKind { systemd: true, family: Family::Debian };

/// The task on a kind of host, with all that a plan asks but the checks over garbage.
pub(crate) fn resolve(
    wanted: &CertificateRequest,
    kind: HostKind,
) -> Result<DesiredState, PlanError> {
    let mut desired = Variants::of(wanted)?.of_kind(kind).cloned().map_err(Clone::clone)?;
    for service in desired.services.iter_mut() {
        service.prechecks.iter_mut().for_each(|check| check.staged_tells = false);
        service.discover.iter_mut().for_each(|discover| discover.handshake_tells = false);
    }
    Ok(desired)
}

/// The task on a Debian host with systemd.
pub(crate) fn desired(wanted: &CertificateRequest) -> DesiredState {
    resolve(wanted, DEBIAN).expect("complete")
}

/// A capable host with none of the files.
pub(crate) fn facts(desired: &DesiredState) -> HostFacts {
    let files = desired.files.iter().map(|file| &file.path);
    let kept = desired.kept_keys.iter().map(|kept| &kept.path);
    let asked: usize = desired
        .services
        .iter()
        .map(|service| service.prechecks.len() + usize::from(service.discover.is_some()))
        .sum();
    HostFacts {
        user: "root".to_owned(),
        kind: DEBIAN,
        tools: Tools {
            sha256: Some("sha256sum".to_owned()),
            stat: Some("gnu".to_owned()),
            sync: Some("sync".to_owned()),
            mount_namespace: true,
            ..Tools::default()
        },
        files: files.chain(kept).map(absent).collect(),
        commands: vec![CommandResult { skipped: true, ..CommandResult::default() }; asked],
        running: desired
            .services
            .iter()
            .filter(|s| s.running.is_some())
            .map(|_| Some(true))
            .collect(),
        ..HostFacts::default()
    }
}

fn absent(path: &RemotePath) -> FileFacts {
    FileFacts {
        real_path: Some(path.clone()),
        path: path.clone(),
        via_links: Vec::new(),
        missing_directories: Vec::new(),
        read_only: false,
        writable: true,
        free_bytes: None,
        free_inodes: None,
        state: FileState::Absent,
        generations: Vec::new(),
        held: Vec::new(),
        orphans: Vec::new(),
    }
}

/// A file of root's.
pub(crate) fn file(bytes: &[u8], mode: u16) -> RegularFile {
    RegularFile {
        sha256: Fingerprint::of(bytes),
        size: bytes.len() as u64,
        uid: 0,
        gid: 0,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: certroll::testing::model::FileMode::new(mode),
        hard_links: 1,
        immutable: None,
        acl: false,
        readers: Vec::new(),
        mount_point: false,
        certificates: Vec::new(),
        holds_key: false,
        public_key_pem: None,
        readable_by_user: None,
    }
}

/// The files of an earlier rollout: certificate, then key, with the profile's modes.
pub(crate) fn put(facts: &mut HostFacts, desired: &DesiredState, old: &Made) {
    for (want, there) in desired.files.iter().zip(&mut facts.files) {
        let bytes = format!("old {:?}", want.role);
        let mode = want.fallback.mode.expect("a profile's").bits();
        let pem = if want.leaf.is_some() { old.pem.clone() } else { String::new() };
        let certificates = certificates_in(pem.as_bytes()).into_iter().map(Arc::new).collect();
        let file = RegularFile { certificates, ..file(bytes.as_bytes(), mode) };
        there.state = FileState::File(Box::new(file));
    }
}

/// The host as `plan` leaves it.
pub(crate) fn apply(facts: &HostFacts, plan: &HostPlan) -> HostFacts {
    let mut after = facts.clone();
    for (planned, there) in plan.files.iter().zip(&mut after.files) {
        let Some(digest) = planned.want.digest else {
            there.state = FileState::Absent;
            continue;
        };
        let mut now = there.file().cloned().unwrap_or_else(|| file(b"", 0o600));
        now.sha256 = digest;
        if let Some(owner) = &planned.owner {
            now.owner.clone_from(owner);
        }
        if let Some(group) = &planned.group {
            now.group.clone_from(group);
        }
        now.mode = planned.mode.unwrap_or(now.mode);
        let leaf = planned.want.leaf.as_ref();
        now.certificates = leaf.cloned().into_iter().collect();
        there.state = FileState::File(Box::new(now));
        there.missing_directories.clear();
    }
    after
}

pub(crate) fn nothing() -> SeenBefore {
    SeenBefore::Nothing("connection refused".to_owned())
}

/// What is wanted, with what the host said and showed.
pub(crate) fn view(desired: &DesiredState, facts: &HostFacts, seen: &[SeenBefore]) -> HostView {
    let looks = seen.iter().map(|seen| -> Look {
        match seen {
            SeenBefore::Leaf(leaf) => Ok(served(*leaf)),
            SeenBefore::Nothing(why) => Err(LookFailure::NoWay(why.clone())),
        }
    });
    let looks = looks.collect();
    HostView::read(desired.clone(), facts.clone(), looks).expect("an answer to each question")
}

/// A handshake that showed this leaf.
fn served(leaf: Fingerprint) -> Served {
    Served {
        chain: Vec::new(),
        leaf,
        protocol: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        older_only: false,
        address: None,
        ocsp_stapled: false,
        wants_client_certificate: false,
        lacks: None,
        handshake_time: Duration::ZERO,
    }
}

pub(crate) fn plan(desired: &DesiredState, facts: &HostFacts, seen: &[SeenBefore]) -> HostPlan {
    build(&view(desired, facts, seen), NOW)
}
