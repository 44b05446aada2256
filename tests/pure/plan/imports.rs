//! Services with a store of their own: where the way back comes from, and profiles that nobody has tried.

use crate::common::world::{
    AUTHORITY, NOW, apply, desired, facts, nothing, plan, put, view, wanted,
};
use certroll::testing::host::{HostFacts, TransactionRequest};
use certroll::testing::plan::desired::DesiredState;
use certroll::testing::plan::host_plan::{Decision, HostPlan, SeenBefore};
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::plan::rows::rows;
use certroll::testing::plan::transaction::transaction;
use std::sync::Arc;
use std::time::Duration;

fn request(
    desired: &DesiredState,
    facts: &HostFacts,
    seen: &[SeenBefore],
) -> (HostPlan, TransactionRequest) {
    let plan = plan(desired, facts, seen);
    let view = view(desired, facts, seen);
    let request = transaction(&view, &plan, "alice", Duration::from_secs(1));
    (plan, request)
}

/// Tomcat's keystore, which gives nothing away.
fn closed() -> CertificateRequest {
    let mut wanted = wanted(&["tomcat-keystore"]);
    let profile = Arc::make_mut(&mut wanted.profiles[0]);
    profile.import.as_mut().expect("it imports").export = None;
    wanted
}

#[track_caller]
fn why(plan: &HostPlan) -> &str {
    let Decision::Blocked { why, .. } = &plan.decision else { panic!("{:?}", plan.decision) };
    why
}

#[test]
fn an_empty_spool_is_seeded_by_what_the_store_has() {
    let desired = desired(&wanted(&["tomcat-keystore"]));
    let facts = facts(&desired);
    let (plan, request) = request(&desired, &facts, &[nothing()]);
    assert_eq!(plan.decision, Decision::Change, "{:?}", plan.notes);
    let seed = request.services[0].seed.as_ref().expect("an export");
    let names: Vec<String> =
        seed.names.iter().map(|(name, path)| format!("{name} {path}")).collect();
    assert_eq!(
        names,
        [
            "key /var/lib/certroll-spool/tomcat/key.pem",
            "cert /var/lib/certroll-spool/tomcat/cert.pem"
        ]
    );
    assert!(seed.needed);
    let rows = rows(&view(&desired, &facts, &[nothing()]), &plan, NOW);
    assert_eq!(
        rows[0].reload,
        "takes it up into Tomcat's keystore, then systemctl restart tomcat10; those who are connected: it is \
         restarted, all connections end and every application is started anew"
    );
    let notes: Vec<&String> = rows.iter().flat_map(|row| &row.notes).collect();
    let says = |text: &str| notes.iter().any(|note| note.contains(text));
    assert!(
        says(
            "the key lies in this file, in its earlier generations there and in Tomcat's keystore"
        ),
        "{notes:?}"
    );
    assert!(
        says(
            "is exported into the spool first, as the way back; if it cannot be, nothing is changed"
        ),
        "{notes:?}"
    );
}

#[test]
fn a_spool_with_what_is_served_is_the_way_back() {
    let desired = desired(&wanted(&["tomcat-keystore"]));
    let mut facts = facts(&desired);
    let old = AUTHORITY.leaf(&["www.example.net"]);
    put(&mut facts, &desired, &old);
    for seen in [SeenBefore::Leaf(old.fingerprint()), nothing()] {
        let (plan, request) = request(&desired, &facts, &[seen]);
        assert_eq!(plan.decision, Decision::Change);
        assert_eq!(request.services[0].seed, None, "{:?}", plan.notes);
    }
    // Another hand has given the store another one since.
    let other = SeenBefore::Leaf(AUTHORITY.leaf(&["www.example.net"]).fingerprint());
    let (plan, request) = request(&desired, &facts, &[other]);
    assert!(request.services[0].seed.is_some(), "{:?}", plan.notes);
    assert_eq!(request.files.len(), 2);
}

#[test]
fn a_second_plan_finds_nothing_to_do() {
    let desired = desired(&wanted(&["tomcat-keystore"]));
    let facts = facts(&desired);
    let first = plan(&desired, &facts, &[nothing()]);
    let served = SeenBefore::Leaf(first.places[0].probe.leaf);
    let after = apply(&facts, &first);
    let (second, request) = request(&desired, &after, &[served]);
    assert_eq!(second.decision, Decision::Unchanged);
    assert_eq!(request.services[0].seed, None);
}

#[test]
fn without_a_way_back_nothing_is_done_unless_the_operator_says_so() {
    let mut wanted = closed();
    let strict = desired(&wanted);
    let (plan, _) = request(&strict, &facts(&strict), &[nothing()]);
    assert!(
        why(&plan).contains("key.pem is not there, and Tomcat's keystore gives nothing away"),
        "{plan:?}"
    );
    assert!(why(&plan).contains("allow_no_way_back: true"), "{plan:?}");
    wanted.certificate.allow_no_way_back = true;
    let allowed = desired(&wanted);
    let (plan, transaction) = request(&allowed, &facts(&allowed), &[nothing()]);
    assert_eq!(plan.decision, Decision::Change);
    assert_eq!(transaction.services[0].seed, None);
    assert!(
        plan.notes.iter().any(|note| note.contains("CANNOT be undone there")),
        "{:?}",
        plan.notes
    );
}

#[test]
fn no_guard_for_the_next_boot_stands_in_for_an_import() {
    let mut wanted = wanted(&["tomcat-keystore"]);
    wanted.certificate.boot_guard = true;
    let desired = desired(&wanted);
    let (plan, request) = request(&desired, &facts(&desired), &[nothing()]);
    assert_eq!(request.boot_guard, None);
    assert!(
        plan.notes.iter().any(|note| note.contains("the next contact settles")),
        "{:?}",
        plan.notes
    );
}

#[test]
fn what_nobody_has_tried_is_asked_for_by_a_flag() {
    let mut wanted = wanted(&["openwrt"]);
    let strict = desired(&wanted);
    let refused = plan(&strict, &facts(&strict), &[nothing()]);
    assert!(why(&refused).contains("never run on the real thing"), "{refused:?}");
    assert!(why(&refused).contains("--allow-experimental"), "{refused:?}");
    wanted.allow_experimental = true;
    let allowed = desired(&wanted);
    let plan = plan(&allowed, &facts(&allowed), &[nothing()]);
    assert_eq!(plan.decision, Decision::Change);
    assert!(
        plan.notes.iter().any(|note| note.starts_with("openwrt is experimental")),
        "{:?}",
        plan.notes
    );
}
