//! Services in containers: what is asked, what is in the way, and what the host is told to run.

use crate::common::world::{AUTHORITY, nothing};
use crate::common::world::{DEBIAN, facts, plan, put, view, wanted};
use certroll::testing::host::{
    Container, ContainerFacts, ContainerState, Engine, Held, HeldAs, HostFacts, ValidateVia,
};
use certroll::testing::model::CommandLine;
use certroll::testing::plan::desired::DesiredState;
use certroll::testing::plan::host_plan::{Decision, HostPlan};
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::plan::transaction::transaction;
use certroll::testing::plan::variants::Variants;
use certroll::testing::playbook::certificate::{
    InContainer, ReloadChoice, SingleFiles, Validation,
};
use std::time::Duration;

fn in_web(profile: &str, single_files: SingleFiles) -> CertificateRequest {
    let mut wanted = wanted(&[profile]);
    let container = Container { name: "web".to_owned(), engine: None, user: None };
    wanted.certificate.services[0].container = Some(InContainer { container, single_files });
    wanted
}

/// Podman runs `web`, with both files in a mounted directory.
fn host(wanted: &CertificateRequest) -> HostFacts {
    let variants = Variants::of(wanted).expect("complete");
    let asked = variants.of_kind(DEBIAN).expect("complete");
    let mut facts = facts(asked);
    facts.running.clear();
    facts.containers = vec![ContainerFacts {
        state: ContainerState::Running,
        engine: Some(Engine::Podman),
        user: None,
        pid: 812,
        started: "4711".to_owned(),
        root: (0, 0),
        runs_as: None,
        can_enter: true,
    }];
    held(&mut facts, HeldAs::Directory);
    facts
}

fn held(facts: &mut HostFacts, kind: HeldAs) {
    for file in &mut facts.files {
        let name = file.path.to_string();
        let name = name.rsplit('/').next().expect("a name");
        file.held = vec![Held {
            kind,
            pid: 812,
            process: "nginx".to_owned(),
            container: Some("0123456789ab".to_owned()),
            path: format!("/tls/{name}"),
            asked: Some(0),
        }];
    }
}

fn settled(wanted: &CertificateRequest, facts: &HostFacts) -> DesiredState {
    let desired = Variants::of(wanted).expect("complete").desired(facts);
    DesiredState::clone(&desired.expect("complete"))
}

fn planned(wanted: &CertificateRequest, facts: &HostFacts) -> HostPlan {
    let desired = settled(wanted, facts);
    let seen = vec![nothing(); desired.probes.len()];
    plan(&desired, facts, &seen)
}

fn why(plan: &HostPlan) -> &str {
    match &plan.decision {
        Decision::Blocked { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

fn old(facts: &mut HostFacts, wanted: &CertificateRequest) {
    let desired = settled(wanted, facts);
    put(facts, &desired, &AUTHORITY.leaf(&["old.example.net"]));
}

#[test]
fn what_is_staged_is_shown_to_the_program_in_a_copy_of_its_mounts() {
    let wanted = in_web("nginx", SingleFiles::Block);
    let mut facts = host(&wanted);
    old(&mut facts, &wanted);
    let desired = settled(&wanted, &facts);
    let [check] = desired.services[0].validate.as_slice() else { panic!() };
    assert_eq!((check.label.as_str(), &check.step.via), ("nginx -t -q", &ValidateVia::Container));
    let CommandLine::Argv(words) = &check.step.command else { panic!() };
    let after = words.iter().position(|word| word == "812").expect("its first process");
    let told: Vec<&str> = words[after..].iter().map(String::as_str).collect();
    let told = told.join(" ");
    assert_eq!(
        told,
        "812 4711 - 1 bind {staged_a} /tls/key.pem bind {staged_b} /tls/cert.pem -- nginx -t -q"
    );
    let reload = desired.services[0].reload.as_ref().expect("one");
    assert_eq!(reload.command.brief(), "podman exec web nginx -s reload");
    let recover = desired.services[0].recover.as_ref().expect("one");
    assert_eq!(recover.command.brief(), "podman restart web");
    // The host's own nginx is nobody's business.
    assert_eq!(
        (&desired.services[0].program, &desired.services[0].discover.is_some()),
        (&None, &false)
    );
    assert_eq!(planned(&wanted, &facts).decision, Decision::Change);
}

#[test]
fn a_new_file_comes_into_a_copy_of_its_directory_and_belongs_to_root_in_there() {
    let wanted = in_web("nginx", SingleFiles::Block);
    let mut facts = host(&wanted);
    facts.containers[0].root = (100_000, 100_001);
    facts.containers[0].runs_as = Some((101, 102));
    let desired = settled(&wanted, &facts);
    let CommandLine::Argv(words) = &desired.services[0].validate[0].step.command else { panic!() };
    let told = words.join(" ");
    let words = "812 4711 101:102 1 over /etc/nginx/certs /tls put {staged_a} key.pem put {staged_b} cert.pem -- nginx";
    assert!(told.contains(words), "{told}");
    let plan = planned(&wanted, &facts);
    let owners: Vec<_> =
        plan.files.iter().map(|file| (file.owner.clone(), file.group.clone())).collect();
    let root = (Some("100000".to_owned()), Some("100001".to_owned()));
    assert_eq!(owners, [root.clone(), root]);
}

#[test]
fn some_services_are_told_by_a_signal_of_the_hosts() {
    let wanted = in_web("haproxy", SingleFiles::Block);
    let facts = host(&wanted);
    let desired = settled(&wanted, &facts);
    let reload = desired.services[0].reload.as_ref().expect("one");
    assert_eq!(reload.command.brief(), "kill -USR2 to the first process of container web");
}

#[test]
fn engine_failed_missing_paused_and_stopped_are_different_messages() {
    let wanted = in_web("nginx", SingleFiles::Block);
    let cases = [
        (ContainerState::NoEngine, "the host has neither podman nor docker"),
        (
            ContainerState::EngineFailed("a\nno permission\n@rc=125\n".to_owned()),
            "podman failed when it was asked for the container web: no permission",
        ),
        (ContainerState::Missing, "podman knows no container web"),
        (ContainerState::Paused, "the container web is paused: `podman unpause web`"),
        (ContainerState::Stopped, "nginx (container web) is not running"),
    ];
    for (state, words) in cases {
        let mut facts = host(&wanted);
        facts.containers[0].state = state;
        let plan = planned(&wanted, &facts);
        assert!(why(&plan).contains(words), "{}", why(&plan));
    }
}

#[test]
fn a_file_that_the_container_does_not_see_is_in_the_way() {
    let wanted = in_web("nginx", SingleFiles::Block);
    let mut facts = host(&wanted);
    facts.files[1].held.clear();
    let plan = planned(&wanted, &facts);
    let words = "/etc/nginx/certs/cert.pem: the container web does not see it";
    assert!(why(&plan).starts_with(words), "{}", why(&plan));
}

#[test]
fn a_single_file_is_in_the_way_unless_the_container_is_restarted_for_it() {
    let wanted = in_web("nginx", SingleFiles::Block);
    let mut facts = host(&wanted);
    old(&mut facts, &wanted);
    for kind in [HeldAs::File, HeldAs::Older] {
        held(&mut facts, kind);
        let plan = planned(&wanted, &facts);
        assert!(why(&plan).contains("as a single file, /tls/key.pem"), "{}", why(&plan));
        assert!(why(&plan).contains("restart: true"), "{}", why(&plan));
    }
    let wanted = in_web("nginx", SingleFiles::Restart);
    let desired = settled(&wanted, &facts);
    assert_eq!(
        desired.services[0].reload.as_ref().expect("one").command.brief(),
        "podman restart web"
    );
    let plan = planned(&wanted, &facts);
    assert_eq!(plan.decision, Decision::Change);
    assert!(
        plan.notes
            .iter()
            .any(|note| note.contains("the container is restarted, and sees the new one then")),
        "{:?}",
        plan.notes
    );
    // A directory needs no restart.
    held(&mut facts, HeldAs::Directory);
    let desired = settled(&wanted, &facts);
    assert_eq!(
        desired.services[0].reload.as_ref().expect("one").command.brief(),
        "podman exec web nginx -s reload"
    );
}

#[test]
fn what_is_not_visible_without_root_is_said() {
    let wanted = in_web("nginx", SingleFiles::Block);
    let mut facts = host(&wanted);
    old(&mut facts, &wanted);
    let words = "what the container web has mounted is not visible without root";
    let says =
        |facts: &HostFacts| planned(&wanted, facts).notes.iter().any(|note| note.contains(words));
    assert!(!says(&facts));
    facts.uid = 1000;
    facts.containers[0].can_enter = false;
    facts.files.iter_mut().for_each(|file| file.held.clear());
    assert!(says(&facts));
}

#[test]
fn a_single_file_is_overwritten_in_place_where_the_task_says_so() {
    let wanted = in_web("nginx", SingleFiles::InPlace);
    let mut facts = host(&wanted);
    old(&mut facts, &wanted);
    held(&mut facts, HeldAs::File);
    let changes = |facts: &HostFacts| {
        let desired = settled(&wanted, facts);
        let reload = desired.services[0].reload.as_ref().expect("one");
        assert_eq!(reload.command.brief(), "podman exec web nginx -s reload");
        let plan = planned(&wanted, facts);
        assert_eq!(plan.decision, Decision::Change);
        let view = view(&desired, facts, &vec![nothing(); desired.probes.len()]);
        let files = transaction(&view, &plan, "test", Duration::ZERO).files;
        (files.iter().map(|file| file.in_place).collect::<Vec<_>>(), plan.notes.join("\n"))
    };
    let (in_place, notes) = changes(&facts);
    assert_eq!(in_place, [true, true]);
    assert!(notes.contains("/etc/nginx/certs/key.pem is overwritten in place"), "{notes}");
    assert!(notes.contains("not atomic"), "{notes}");
    // Only what is mounted by itself.
    held(&mut facts, HeldAs::Directory);
    assert_eq!(changes(&facts).0, [false, false]);
    // What is in there already is another file.
    held(&mut facts, HeldAs::Older);
    let plan = planned(&wanted, &facts);
    assert!(why(&plan).contains("restart the container once"), "{}", why(&plan));
    // Owner, group and mode stay.
    held(&mut facts, HeldAs::File);
    let mut moded = wanted.clone();
    moded.certificate.ownership.mode = Some(certroll::testing::model::FileMode::new(0o400));
    let plan = planned(&moded, &facts);
    assert!(why(&plan).contains("leaves its owner, group and mode as they are"), "{}", why(&plan));
}

fn argv(text: &str) -> CommandLine {
    CommandLine::Argv(text.split(' ').map(str::to_owned).collect())
}

#[test]
fn a_check_by_exec_is_one_in_the_container_and_a_restart_without_one_is_told() {
    let mut wanted = wanted(&["files"]);
    let dest = &mut wanted.certificate.pairs[0].dest;
    dest.cert = Some("/srv/cert.pem".parse().expect("a path"));
    dest.key = Some("/srv/key.pem".parse().expect("a path"));
    wanted.certificate.validate = Some(Validation::Command(argv("podman exec -it web nginx -t")));
    wanted.certificate.reload = Some(ReloadChoice::Command(argv("podman restart web")));
    let mut facts = host(&wanted);
    old(&mut facts, &wanted);
    held(&mut facts, HeldAs::File);
    let desired = settled(&wanted, &facts);
    let check = &desired.services[0].validate[0];
    assert_eq!(
        (check.label.as_str(), &check.step.via),
        ("podman exec -it web nginx -t", &ValidateVia::Container)
    );
    assert_eq!(planned(&wanted, &facts).decision, Decision::Change);
    // A reload that is none cannot make it see the new file.
    wanted.certificate.reload =
        Some(ReloadChoice::Command(argv("podman exec web nginx -s reload")));
    let plan = planned(&wanted, &facts);
    assert!(
        why(&plan)
            .contains("mount its directory instead, or give the task a `reload` that restarts"),
        "{}",
        why(&plan)
    );
    held(&mut facts, HeldAs::Directory);
    wanted.certificate.reload = Some(ReloadChoice::Command(argv("docker kill -s HUP web")));
    let plan = planned(&wanted, &facts);
    assert!(
        plan.notes.iter().any(|note| note.contains("ends the container's restart policy")),
        "{:?}",
        plan.notes
    );
}
