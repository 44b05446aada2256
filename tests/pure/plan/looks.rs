//! Which handshakes a plan makes, for whom and for which kind of key.

use crate::common::world::{AUTHORITY, desired, facts, nothing, plan, put, wanted, wanted_for};
use certroll::testing::host::ValidateVia;
use certroll::testing::model::{StartTls, Step};
use certroll::testing::plan::host_plan::{Decision, SeenBefore};
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::playbook::certificate::{Dest, Validation, VerifyChoice, VerifySpec};
use certroll::testing::verify::SignatureChoice;

#[test]
fn a_wildcard_is_looked_at_by_a_name_of_its_own() {
    let leaves = [AUTHORITY.leaf(&["*.example.net"]), AUTHORITY.leaf(&["www.example.net"])];
    let mut wanted = wanted_for(&["nginx"], &leaves[..1], true);
    let name = |wanted: &CertificateRequest| desired(wanted).probes[0].server_name.clone().unwrap();
    assert_eq!(name(&wanted), "www.example.net");
    wanted.host = certroll::testing::model::HostName::new("app7.example.net");
    assert_eq!(name(&wanted), "app7.example.net");
    wanted.address = "lb.example.net".to_owned();
    assert_eq!(name(&wanted), "lb.example.net");
}

#[test]
fn a_name_with_an_rsa_and_an_ecdsa_pair_is_looked_at_for_each() {
    let name = "www.example.net";
    let leaves = [AUTHORITY.rsa(&[name]), AUTHORITY.leaf(&[name]), AUTHORITY.leaf(&["other.net"])];
    let mut wanted = wanted_for(&["apache"], &leaves, true);
    for (index, pair) in wanted.certificate.pairs.iter_mut().enumerate() {
        pair.dest = Dest {
            cert: Some(format!("/tls/{index}.pem").parse().unwrap()),
            key: Some(format!("/tls/{index}.key").parse().unwrap()),
            ..Dest::default()
        };
    }
    let looks = |wanted: &CertificateRequest| -> Vec<(usize, SignatureChoice)> {
        desired(wanted).probes.iter().map(|probe| (probe.pair, probe.signature)).collect()
    };
    let both = [(0, SignatureChoice::Rsa), (1, SignatureChoice::Ecdsa)];
    assert_eq!(looks(&wanted), [&both[..], &[(2, SignatureChoice::Ecdsa)]].concat());
    let named = |endpoint: &str, server_name: Option<&str>| {
        VerifyChoice::Endpoints(vec![VerifySpec {
            endpoint: Some(endpoint.parse().unwrap()),
            server_name: server_name.map(str::to_owned),
            ..Default::default()
        }])
    };
    wanted.certificate.verify = named("10.0.0.1:443", Some(name));
    assert_eq!(looks(&wanted), both);
    wanted.certificate.verify = named("www.example.net:443", None);
    assert_eq!(looks(&wanted), both);
    wanted.certificate.verify = named("other.net:443", None);
    assert_eq!(looks(&wanted), [(2, SignatureChoice::Ecdsa)]);
    // A sealed boot asks for the kind that it compares, where there are several.
    let boots = |wanted: &mut CertificateRequest| {
        wanted.certificate.validate = Some(Validation::Boot);
        let desired = desired(wanted);
        let vias = desired.services[0].validate.iter().map(|check| check.step.via.clone());
        vias.filter_map(|via| {
            if let ValidateVia::Boot(boot) = via { Some(boot.signatures) } else { None }
        })
        .collect::<Vec<_>>()
    };
    let [Some(rsa)] = &boots(&mut wanted)[..] else { panic!() };
    assert!(rsa.split(':').all(|one| one.starts_with("RSA")), "{rsa}");
    assert_eq!(boots(&mut wanted_for(&["apache"], &leaves[..1], true)), [None]);
}

#[test]
fn a_certificate_that_no_handshake_can_judge_is_blocked_before_anything_is_staged() {
    let mut desired = desired(&wanted(&["nginx"]));
    let facts = facts(&desired);
    assert!(matches!(plan(&desired, &facts, &[nothing()]).decision, Decision::Change));
    desired.probes[0].beyond_judging = Some("such keys are unknown".to_owned());
    let Decision::Blocked { step, why, .. } = plan(&desired, &facts, &[nothing()]).decision else {
        panic!("not blocked")
    };
    assert_eq!(step, Step::Verify);
    assert!(why.contains("such keys are unknown") && why.contains("verify: false"), "{why}");
    desired.probes.clear();
    assert!(matches!(plan(&desired, &facts, &[]).decision, Decision::Change), "nobody looks");
}

#[test]
fn the_operators_endpoints() {
    let mut wanted = wanted(&["postfix"]);
    let spec =
        VerifySpec { endpoint: Some("mx.example.net:587".parse().unwrap()), ..Default::default() };
    let odd = VerifySpec { endpoint: Some("10.0.0.1:2525".parse().unwrap()), ..Default::default() };
    wanted.certificate.verify = VerifyChoice::Endpoints(vec![spec, odd]);
    let probes = desired(&wanted).probes;
    assert_eq!(probes[0].starttls, StartTls::Smtp);
    assert_eq!(probes[1].starttls, StartTls::None);
    assert_eq!(probes[1].server_name.as_deref(), Some("www.example.net"));
    assert!(probes.iter().all(|probe| probe.alternatives.is_none()));
    wanted.certificate.verify = VerifyChoice::Off;
    assert!(desired(&wanted).probes.is_empty());
}

#[test]
fn usual_ports_count_when_they_served_the_file() {
    let wanted = wanted(&["postfix"]);
    let desired = desired(&wanted);
    let mut facts = facts(&desired);
    let old = AUTHORITY.leaf(&["www.example.net"]);
    put(&mut facts, &desired, &old);
    let served = SeenBefore::Leaf(old.fingerprint());
    let other = SeenBefore::Leaf(AUTHORITY.leaf(&["other.example"]).fingerprint());
    let ports = |seen: &[SeenBefore]| {
        let plan = plan(&desired, &facts, seen);
        let ports: Vec<_> = plan
            .places
            .iter()
            .map(|p| (p.probe.endpoint.port, p.probe.alternatives.is_some()))
            .collect();
        (ports, plan.notes.join("\n"))
    };
    let (chosen, notes) = ports(&[nothing(), other.clone(), served.clone()]);
    assert_eq!((chosen, notes.as_str()), (vec![(25, false)], ""));
    let (chosen, notes) = ports(&[nothing(), other, nothing()]);
    assert_eq!(chosen, [(465, false)]);
    assert!(notes.contains("192.0.2.1:465 serves another certificate than the file"), "{notes}");
    let (chosen, notes) = ports(&[nothing(), nothing(), nothing()]);
    assert_eq!(chosen, [(587, true), (465, true), (25, true)]);
    assert!(notes.contains("one of them must show the new certificate"), "{notes}");
}

#[test]
fn an_address_that_the_certificate_is_not_for_is_told() {
    let told = |address: &str| {
        let leaf = AUTHORITY.leaf(&["192.0.2.9"]);
        let mut wanted = wanted_for(&["nginx"], &[leaf], true);
        wanted.address = address.to_owned();
        let desired = desired(&wanted);
        let notes = plan(&desired, &facts(&desired), &vec![nothing(); desired.probes.len()]).notes;
        notes.iter().any(|note| note.contains("does not cover (it is for 192.0.2.9)"))
    };
    assert!(told("192.0.2.1"));
    assert!(!told("192.0.2.9"));
}
