//! What is there against what is wanted: the decision, its table, and that a second plan changes nothing.

use crate::common::world::{
    AUTHORITY, NOW, apply, desired, facts, file, nothing, plan, put, view, wanted, wanted_for,
};
use certroll::testing::host::{CommandResult, FileState, HostFacts, RegularFile};
use certroll::testing::model::{FileAction, FileMode};
use certroll::testing::plan::desired::DesiredState;
use certroll::testing::plan::host_plan::{Decision, SeenBefore};
use certroll::testing::plan::inspection::ask;
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::plan::rows::{blocked_row, rows};
use certroll::testing::plan::variants::Variants;
use certroll::testing::playbook::certificate::Ownership;
use proptest::prelude::*;

/// Keys are made anew for each test: what is left of the digests of their public halves is their number.
fn without_digests(detail: &str) -> String {
    let is_digest = |word: &str| word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = detail.split(' ').map(|word| if is_digest(word) { "DIGEST" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn table(
    desired: &DesiredState,
    facts: &certroll::testing::host::HostFacts,
    seen: &[SeenBefore],
) -> String {
    let plan = plan(desired, facts, seen);
    let rows = rows(&view(desired, facts, seen), &plan, NOW);
    let shown = rows.iter().map(|row| {
        let brief = |brief: Option<&certroll::testing::plan::row::CertBrief>| {
            brief.map_or("-".to_owned(), |brief| brief.names.join(" "))
        };
        let mut text = format!(
            "{} {} {} {:?}\n  now {} wanted {} detail {:?}\n  validate {}\n  reload {}\n  verify {}",
            row.host,
            row.service,
            row.file,
            row.action,
            brief(row.now.as_deref()),
            brief(row.wanted.as_deref()),
            without_digests(&row.detail),
            row.validate,
            row.reload,
            row.verify
        );
        for note in &row.notes {
            text.push_str(&format!("\n  note {note}"));
        }
        text
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_first_rollout_as_a_table() {
    let desired = desired(&wanted(&["nginx"]));
    let mut facts = facts(&desired);
    for there in &mut facts.files {
        there.missing_directories = vec!["/etc/nginx/certs".parse().unwrap()];
    }
    insta::assert_snapshot!(table(&desired, &facts, &[nothing()]));
}

#[test]
fn a_renewal_as_a_table() {
    let desired = desired(&wanted(&["postfix"]));
    let mut facts = facts(&desired);
    let old = AUTHORITY.leaf_with(
        &["mail.example.net"],
        &rcgen::KeyPair::generate().unwrap(),
        |params| {
            params.not_after = rcgen::date_time_ymd(2026, 8, 1);
        },
    );
    put(&mut facts, &desired, &old);
    let FileState::File(key) = &mut facts.files[0].state else { panic!() };
    key.mode = FileMode::new(0o640);
    let served = SeenBefore::Leaf(old.fingerprint());
    insta::assert_snapshot!(table(&desired, &facts, &[nothing(), nothing(), served]));
}

#[test]
fn a_check_that_fails_before_the_change_blocks() {
    let desired = desired(&wanted(&["nginx"]));
    let mut facts = facts(&desired);
    facts.commands[0] = CommandResult {
        rc: 1,
        stderr: b"nginx: [emerg] unknown directive \"foo\"\n".to_vec(),
        ..CommandResult::default()
    };
    // At the first rollout the check may fail just because the files are not there.
    assert_eq!(plan(&desired, &facts, &[nothing()]).decision, Decision::Change);
    put(&mut facts, &desired, &AUTHORITY.leaf(&["www.example.net"]));
    insta::assert_snapshot!(table(&desired, &facts, &[nothing()]));
}

#[test]
fn files_right_and_served_otherwise_is_drift() {
    let desired = desired(&wanted(&["nginx"]));
    let facts = facts(&desired);
    let first = plan(&desired, &facts, &[nothing()]);
    let after = apply(&facts, &first);
    let old = SeenBefore::Leaf(AUTHORITY.leaf(&["www.example.net"]).fingerprint());
    let second = plan(&desired, &after, std::slice::from_ref(&old));
    assert_eq!(second.decision, Decision::ReloadOnly);
    let note = &second.notes[0];
    assert!(note.starts_with("drift: the files are right, but 192.0.2.1:443 serves"), "{note}");
    let seen = view(&desired, &after, std::slice::from_ref(&old));
    let shown = rows(&seen, &second, NOW);
    assert!(shown.iter().all(|row| row.action.name() == "reload_only"));
}

#[test]
fn a_key_that_stays_must_fit() {
    let leaf = AUTHORITY.leaf(&["www.example.net"]);
    let wanted = wanted_for(&["nginx"], std::slice::from_ref(&leaf), false);
    let desired = desired(&wanted);
    let request = ask(&Variants::of(&wanted).unwrap());
    assert_eq!(request.variants[0].public_keys, [1]);
    assert_eq!(desired.kept_keys[0].path.to_str().unwrap(), "/etc/nginx/certs/key.pem");
    let mut facts = facts(&desired);
    let blocked = |facts: &_| match plan(&desired, facts, &[nothing()]).decision {
        Decision::Blocked { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert!(blocked(&facts).ends_with("no source.key is given and the host has no key there"));
    let keep = |key: &rcgen::KeyPair| {
        let mut kept = file(b"key", 0o600);
        kept.public_key_pem = Some(key.public_key_pem().into_bytes());
        FileState::File(Box::new(kept))
    };
    facts.files[1].state = keep(&rcgen::KeyPair::generate().unwrap());
    assert!(blocked(&facts).ends_with("does not belong to the new certificate"));
    facts.files[1].state = keep(&rcgen::KeyPair::from_pem(&leaf.key_pem).unwrap());
    assert_eq!(plan(&desired, &facts, &[nothing()]).decision, Decision::Change);
}

#[test]
fn only_root_gives_files_away() {
    let mut wanted = wanted(&["nginx"]);
    let facts_as = |wanted: &CertificateRequest| {
        let mut facts = facts(&desired(wanted));
        (facts.uid, facts.user) = (1000, "deploy".to_owned());
        facts
    };
    let first = plan(&desired(&wanted), &facts_as(&wanted), &[nothing()]);
    assert_eq!(first.decision, Decision::Change);
    assert!(first.files.iter().all(|file| file.owner.is_none() && file.group.is_none()));
    wanted.certificate.ownership.owner = Some("www-data".into());
    let refused = plan(&desired(&wanted), &facts_as(&wanted), &[nothing()]);
    assert_eq!(
        refused.files[0].action,
        FileAction::Blocked(
            "deploy cannot give it to www-data; `become: true` may be missing".into()
        )
    );
}

/// Its group's readers keep their access; what lets everybody read it is taken away, and said.
#[test]
fn the_mode_of_a_key_stays_unless_everybody_can_read_it() {
    let wanted = wanted(&["nginx"]);
    let desired = desired(&wanted);
    for (there, mode, told) in
        [(0o640, None, false), (0o440, None, false), (0o644, Some(0o640), true)]
    {
        let mut facts = facts(&desired);
        for (file_there, want) in facts.files.iter_mut().zip(&desired.files) {
            if want.role.holds_key() {
                let key = RegularFile { readers: vec!["postgres".into()], ..file(b"old", there) };
                file_there.state = FileState::File(Box::new(key));
            }
        }
        let plan = plan(&desired, &facts, &vec![nothing(); desired.probes.len()]);
        let key = plan.files.iter().find(|file| file.want.role.holds_key()).unwrap();
        assert_eq!(key.mode, mode.map(FileMode::new), "{there:o}");
        let said = |words: &str| plan.notes.iter().any(|note| note.contains(words));
        assert_eq!(said("every account of the host can read the key"), told, "{:?}", plan.notes);
        assert!(said("can also be read by postgres"), "{:?}", plan.notes);
    }
}

/// sudo would keep the key in its log.
#[test]
fn a_key_is_not_sent_as_it_is_where_sudo_records_it_unless_the_task_says_so() {
    let mut wanted = wanted(&["nginx"]);
    let refused = {
        let desired = desired(&wanted);
        let facts = HostFacts { input_log: true, ..facts(&desired) };
        plan(&desired, &facts, &vec![nothing(); desired.probes.len()])
    };
    let Decision::Blocked { why, .. } = &refused.decision else { panic!("{:?}", refused.decision) };
    assert!(why.contains("log_input") && why.contains("allow_input_log: true"), "{why}");
    {
        let desired = desired(&wanted);
        let facts = HostFacts { input_log: true, unseals: true, ..facts(&desired) };
        let sealed = plan(&desired, &facts, &vec![nothing(); desired.probes.len()]);
        assert_eq!(sealed.decision, Decision::Change);
        assert!(sealed.notes.iter().any(|note| note.contains("sent sealed")), "{:?}", sealed.notes);
    }
    wanted.certificate.allow_input_log = true;
    let desired = desired(&wanted);
    let facts = HostFacts { input_log: true, ..facts(&desired) };
    let allowed = plan(&desired, &facts, &vec![nothing(); desired.probes.len()]);
    assert_eq!(allowed.decision, Decision::Change);
    assert!(allowed.notes.iter().any(|note| note.contains("log_input")), "{:?}", allowed.notes);
}

#[test]
fn a_host_without_an_answer_has_one_row() {
    let row = blocked_row(&certroll::testing::model::HostName::new("h"), "nginx", "unreachable");
    assert_eq!((row.service.as_str(), row.action.name()), ("nginx", "blocked"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Planning the host that a plan leaves behind changes nothing.
    #[test]
    fn planning_is_idempotent(
        service in prop::sample::select(vec!["nginx", "haproxy", "postfix", "dovecot", "caddy"]),
        modes in prop::collection::vec(0u16..0o1000, 2),
        owner in prop::option::of("[a-z]{1,8}"),
        mode in prop::option::of(0u16..0o1000),
        key_mode in prop::option::of(0u16..0o1000),
        there in any::<[bool; 2]>(),
        served in any::<[bool; 3]>(),
    ) {
        let mut wanted = wanted(&[service]);
        wanted.certificate.ownership = Ownership {
            owner,
            mode: mode.map(FileMode::new),
            key_mode: key_mode.map(FileMode::new),
            ..Ownership::default()
        };
        let desired = desired(&wanted);
        let mut facts = facts(&desired);
        for ((there, mode), present) in facts.files.iter_mut().zip(modes).zip(there) {
            if present {
                there.state = FileState::File(Box::new(file(b"something", mode)));
            }
        }
        let old = AUTHORITY.leaf(&["www.example.net"]).fingerprint();
        let seen: Vec<_> = desired.probes.iter().zip(served).map(|(_, served)| {
            if served { SeenBefore::Leaf(old) } else { nothing() }
        }).collect();
        let first = plan(&desired, &facts, &seen);
        prop_assert_eq!(&first.decision, &Decision::Change);
        prop_assert!(!first.places.is_empty());
        let after = apply(&facts, &first);
        // What had to show the new leaf shows it now.
        let seen: Vec<_> = desired.probes.iter().zip(&seen).map(|(probe, before)| {
            let must = first.places.iter().any(|must| must.probe.endpoint == probe.endpoint);
            if must { SeenBefore::Leaf(probe.leaf) } else { before.clone() }
        }).collect();
        let second = plan(&desired, &after, &seen);
        prop_assert_eq!(second.decision, Decision::Unchanged, "{:?}", second.files);
        for file in &second.files {
            prop_assert_eq!(&file.action, &FileAction::Unchanged);
            if let Some(widest) = file.want.widest.filter(|_| file.want.wanted.mode.is_none()) {
                let there = after.files.iter().find(|there| there.path == file.want.path);
                let mode = there.and_then(|t| t.file()).unwrap().mode;
                let everybody = FileMode::new(mode.bits() & 0o007);
                prop_assert!(!everybody.is_wider_than(widest), "{}", mode);
            }
        }
    }
}
