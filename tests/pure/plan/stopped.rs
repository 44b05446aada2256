//! Services that do not run, are not installed, or watch what a link hides.

use crate::common::world::{
    AUTHORITY, DEBIAN, NOW, desired, facts, nothing, plan, put, view, wanted,
};
use certroll::testing::host::{FileState, HostFacts, ProcessFacts};
use certroll::testing::model::RemotePath;
use certroll::testing::plan::build::build;
use certroll::testing::plan::host_plan::{Decision, HostPlan};
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::plan::rows::rows;
use certroll::testing::plan::transaction::transaction;
use certroll::testing::plan::variants::Variants;
use certroll::testing::playbook::certificate::WhenStopped;
use std::time::Duration;

fn stopped(wanted: &CertificateRequest) -> HostFacts {
    let mut facts = facts(&desired(wanted));
    facts.running = vec![Some(false)];
    facts
}

fn planned(wanted: &CertificateRequest, facts: &HostFacts) -> HostPlan {
    let desired = desired(wanted);
    plan(&desired, facts, &vec![nothing(); desired.probes.len()])
}

fn blocked(plan: &HostPlan) -> &str {
    match &plan.decision {
        Decision::Blocked { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_task_says_what_becomes_of_a_stopped_service() {
    let mut wanted = wanted(&["nginx"]);
    let facts = stopped(&wanted);
    let plan = planned(&wanted, &facts);
    assert!(blocked(&plan).starts_with("nginx is not running: start it"), "{plan:?}");

    wanted.certificate.when_stopped = WhenStopped::Skip;
    let plan = planned(&wanted, &facts);
    assert_eq!(plan.decision, Decision::Unchanged);
    assert!(plan.files.iter().all(|file| file.action.keeps_file()), "{:?}", plan.files);

    wanted.certificate.when_stopped = WhenStopped::Deploy;
    let desired = desired(&wanted);
    let view = view(&desired, &facts, &vec![nothing(); desired.probes.len()]);
    let plan = build(&view, NOW);
    assert_eq!((&plan.decision, plan.places.len()), (&Decision::Change, 0));
    let request = transaction(&view, &plan, "test", Duration::ZERO);
    assert_eq!((&request.services[0].reload, &request.services[0].recover), (&None, &None));
    assert_eq!(rows(&view, &plan, NOW)[0].reload, "nothing: the service is not running");

    // One that runs is told as ever.
    let mut facts = facts;
    facts.running = vec![Some(true)];
    let plan = planned(&wanted, &facts);
    assert_eq!((plan.decision, plan.places.len()), (Decision::Change, 1));
}

#[test]
fn a_service_without_its_program_is_not_installed_unless_it_runs() {
    let mut wanted = wanted(&["nginx"]);
    wanted.certificate.when_stopped = WhenStopped::Deploy;
    let mut facts = HostFacts { absent: vec!["nginx".into()], ..stopped(&wanted) };
    assert_eq!(blocked(&planned(&wanted, &facts)), "not installed: nginx (no program nginx)");
    facts.running = vec![Some(true)];
    assert_eq!(planned(&wanted, &facts).decision, Decision::Change);
}

#[test]
fn a_watcher_behind_a_link_is_not_rolled_out_to() {
    for (service, is_blocked) in [("envoy", true), ("traefik", false)] {
        let wanted = wanted(&[service]);
        let desired = desired(&wanted);
        let mut facts = facts(&desired);
        put(&mut facts, &desired, &AUTHORITY.leaf(&["www.example.net"]));
        for there in &mut facts.files {
            let name = String::from_utf8_lossy(there.path.file_name()).into_owned();
            let path = |text: String| -> RemotePath { text.parse().unwrap() };
            there.via_links = vec![path(format!("/data/..data/{name}"))];
            there.real_path = Some(path(format!("/data/..v1/{name}")));
            assert!(matches!(there.state, FileState::File(_)));
        }
        let plan = planned(&wanted, &facts);
        match is_blocked {
            true => assert!(blocked(&plan).contains("watches the link's directory"), "{plan:?}"),
            false => assert_eq!(plan.decision, Decision::Change),
        }
    }
}

/// The user of the process checks, and the key that is made is his.
#[test]
fn caddys_user_is_the_one_who_runs_it() {
    let variants = Variants::of(&wanted(&["caddy"])).unwrap();
    let usual = variants.of_kind(DEBIAN).unwrap();
    let as_is = |users: &[Option<&str>]| {
        let process =
            |user: &&str| ProcessFacts { user: (*user).to_owned(), ..ProcessFacts::default() };
        let processes = users.iter().map(|user| user.as_ref().map(process)).collect();
        let facts = HostFacts { processes, ..facts(usual) };
        let desired = variants.desired(&facts).unwrap();
        let key = desired.files.iter().find(|file| file.role.holds_key()).unwrap();
        let owner = key.fallback.owner.clone().unwrap_or_default();
        let group = key.fallback.group.clone().unwrap_or_default();
        let user = desired.services[0].validate[0].step.user.clone().unwrap_or_default();
        (user, format!("{owner}:{group}"), desired.reader.clone())
    };
    let usual = ("caddy".to_owned(), "root:caddy".to_owned(), Some("caddy".to_owned()));
    assert_eq!(as_is(&[None]), usual);
    assert_eq!(as_is(&[Some("caddy")]), usual);
    // Its number alone names nobody.
    assert_eq!(as_is(&[Some("4711")]), usual);
    assert_eq!(as_is(&[Some("web")]), ("web".to_owned(), "web:root".to_owned(), None));
}
