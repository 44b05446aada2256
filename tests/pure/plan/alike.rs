//! Hosts of which the same is wanted share it, and nothing else.

use crate::common::pki::Pair;
use crate::common::world::{AUTHORITY, DEBIAN, wanted_for};
use certroll::testing::inputs::Alike;
use certroll::testing::model::FileMode;
use certroll::testing::plan::desired::DesiredState;
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::plan::variants::Variants;
use certroll::testing::playbook::certificate::Dest;
use std::sync::Arc;

type Held = (Arc<CertificateRequest>, Arc<Variants>);

fn to(cert: &str, leaf: &Pair) -> CertificateRequest {
    let mut wanted = wanted_for(&["nginx"], std::slice::from_ref(leaf), true);
    wanted.certificate.pairs[0].dest = Dest {
        cert: Some(cert.parse().expect("a path")),
        key: Some("/srv/key.pem".parse().expect("a path")),
        ..Dest::default()
    };
    wanted
}

fn hold(alike: &Alike, wanted: CertificateRequest) -> Held {
    let variants = Variants::of(&wanted).expect("complete");
    alike.hold(wanted, variants)
}

fn desired(held: &Held) -> &DesiredState {
    held.1.of_kind(DEBIAN).expect("complete")
}

/// The key's file first, then the certificate's.
fn share_files(one: &Held, other: &Held) -> Vec<bool> {
    let pairs = desired(one).files.iter().zip(&desired(other).files);
    pairs.map(|(one, other)| Arc::ptr_eq(one, other)).collect()
}

fn assert_same(one: &DesiredState, other: &DesiredState) {
    assert_eq!((&one.files, &one.services), (&other.files, &other.services));
}

#[test]
fn what_is_the_same_is_held_once_and_each_has_its_own_of_the_rest() {
    let leaf = AUTHORITY.leaf(&["www.example.net"]);
    let of = |leaf: &Pair| to("/srv/cert.pem", leaf);
    let alike = Alike::default();
    let first = hold(&alike, of(&leaf));
    assert_eq!(share_files(&first, &hold(&alike, of(&leaf))), [true, true]);

    let mut wider = of(&leaf);
    wider.certificate.ownership.key_mode = Some(FileMode::new(0o640));
    let others = [
        (of(&AUTHORITY.leaf(&["www.example.net"])), [false, false]),
        (to("/srv/other.pem", &leaf), [true, false]),
        (wider, [false, true]),
    ];
    for (other, shared) in others {
        let alone = Variants::of(&other).unwrap();
        let held = hold(&alike, other);
        assert_eq!(share_files(&first, &held), shared);
        assert_same(desired(&held), alone.of_kind(DEBIAN).unwrap());
        // The next is compared with the first again.
        drop(held);
    }
    let alone = Variants::of(&of(&leaf)).unwrap();
    assert_same(desired(&first), alone.of_kind(DEBIAN).unwrap());
}

#[test]
fn the_items_of_a_loop_find_their_like_on_the_next_host() {
    let alike = Alike::default();
    let leaf = AUTHORITY.leaf(&["www.example.net"]);
    let of_host =
        || ["/srv/a.pem", "/srv/b.pem", "/srv/c.pem"].map(|path| hold(&alike, to(path, &leaf)));
    let (one, other) = (of_host(), of_host());
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(share_files(one, other), [true, true]);
    }
}

#[test]
fn a_key_is_gone_with_the_last_host_that_wants_it() {
    let alike = Alike::default();
    let first = hold(&alike, to("/srv/cert.pem", &AUTHORITY.leaf(&["www.example.net"])));
    let key = Arc::downgrade(&desired(&first).files[0].content);
    drop(first);
    assert!(key.upgrade().is_none());
}
