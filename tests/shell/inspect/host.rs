//! What is told of the host itself: its kind, earlier transactions, the lock, commands and services.

use super::place::{Place, remote};
use super::{AUTHORITY, shells, timed};
use crate::common::{have, world};
use certroll::testing::host::{HostKind, JournalState, LockHolder};
use certroll::testing::host::{
    InspectCommand, Inspection, InspectionVariant, ProcessFacts, ProcessQuery, RunningCheck,
};
use certroll::testing::model::Fingerprint;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn what_earlier_transactions_left_is_told() {
    let place = Place::new();
    let file = place.put("site.pem", "new", 0o644);
    let old = AUTHORITY.leaf(&["old.example.net"]);
    place.put(
        ".certroll/20260102T000000Z-b/site.pem",
        format!("{}{}", old.pem, old.key_pem),
        0o600,
    );
    place.put(".certroll/20260101T000000Z-a/site.pem", "older", 0o600);
    place.put(".certroll/20260101T000000Z-a/other.pem", "other", 0o600);
    for name in [".certroll-t1", ".certroll-t1.new", ".certroll-lost", ".certroll-lost.new"] {
        fs::create_dir(place.path(name)).unwrap();
    }
    let state = |name: &str, text: &str| {
        fs::write(place.dir.path().join("state").join(name), text).unwrap();
    };
    let by = "certroll apply by ops@deploy1, run 5d1f";
    let hex: String = by.bytes().map(|byte| format!("{byte:02x}")).collect();
    state("j.t1", &format!("certroll-journal 1\nby {hex}\nkeep 0\nend\n"));
    state("done.t0", "x");
    // Torn in the middle of a byte.
    state("conflict.t2", "certroll-journal 1\nby 636");
    for shell in shells() {
        let facts = place.inspect(shell, &place.ask(vec![file.clone()]));
        let [told] = facts.files.as_slice() else { panic!() };
        let generations: Vec<_> =
            told.generations.iter().map(|one| (one.id.as_str(), one.sha256)).collect();
        assert_eq!(
            generations[0],
            ("20260101T000000Z-a", Some(Fingerprint::of(b"older"))),
            "{shell}"
        );
        assert_eq!(generations.len(), 2, "{shell}");
        let leaves = &told.generations[1].certificates;
        assert_eq!(leaves[0].fingerprint, old.fingerprint(), "{shell}");
        let orphans = [".certroll-lost", ".certroll-lost.new"]
            .map(|name| place.path(name).as_os_str().as_bytes().to_vec());
        assert_eq!(told.orphans, orphans, "{shell}");
        let journals: Vec<_> = facts
            .journals
            .iter()
            .map(|one| (one.id.as_str(), one.state, one.by.as_str()))
            .collect();
        let wanted = [
            ("t0", JournalState::Done, ""),
            ("t1", JournalState::Undo, by),
            ("t2", JournalState::Conflict, ""),
        ];
        assert_eq!(journals, wanted, "{shell}");
    }
}

#[test]
fn who_holds_the_lock_is_told() {
    let place = Place::new();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let me = std::process::id();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let born = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap();
    let lock = place.dir.path().join("run/lock");
    fs::create_dir(&lock).unwrap();
    fs::write(lock.join(format!("{}.{me}.{born}", boot.trim())), hex::encode("me, here")).unwrap();
    fs::write(lock.join(format!("{}.{me}.1", boot.trim())), hex::encode("long dead")).unwrap();
    for shell in shells() {
        let facts = place.inspect(shell, &place.ask(Vec::new()));
        let holder = LockHolder { pid: me, note: "me, here".into() };
        assert_eq!(facts.lock, Some(holder), "{shell}");
    }
}

/// The user of a process is asked for once: what the plan knows is what a command finds.
#[test]
fn a_command_finds_the_user_of_a_process() {
    let place = Place::new();
    let pid = place.put("pid", format!("{}\n", std::process::id()), 0o644);
    let gone = place.put("gone", "999999999\n", 0o644);
    let shown = "printf %s \"${certroll_user-nothing is set}\"";
    let command = |for_user_of| InspectCommand {
        command: timed(&["sh", "-c", shown], 60),
        only_if_running: None,
        in_container: None,
        for_user_of,
        unless_mounts: false,
    };
    let request = place.request(InspectionVariant {
        processes: vec![ProcessQuery::PidFile(gone), ProcessQuery::PidFile(pid)],
        commands: vec![command(None), command(Some(1)), command(Some(0))],
        ..InspectionVariant::default()
    });
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        let user = facts.processes[1].as_ref().and_then(ProcessFacts::user_name);
        assert_eq!(user, Some(facts.user.as_str()), "{shell}");
        assert_eq!(facts.processes[0], None, "{shell}");
        let told: Vec<_> = facts.commands.iter().map(|one| one.stdout.as_slice()).collect();
        assert_eq!(told, [b"nothing is set".as_slice(), facts.user.as_bytes(), b""], "{shell}");
    }
}

#[test]
fn commands_are_bounded_and_services_looked_for() {
    let place = Place::new();
    let pid = place.put("pid", format!("{}\n", std::process::id()), 0o644);
    let gone = place.put("gone", "999999999\n", 0o644);
    let command = |words: &[&str], only_if_running| InspectCommand {
        command: timed(words, 60),
        only_if_running,
        in_container: None,
        for_user_of: None,
        unless_mounts: false,
    };
    // When this process was started.
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let own = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
    let first = |started: &str, otherwise| RunningCheck::First {
        pid: std::process::id(),
        started: started.to_owned(),
        otherwise: timed(&[otherwise], 60),
    };
    // In vain, once it has said something.
    let hangs = timed(&["sh", "-c", "echo begun; sleep 600 & sleep 600"], 4);
    let request = place.request(InspectionVariant {
        programs: vec!["sh".into(), "no such program".into()],
        running: vec![
            RunningCheck::PidFile(pid),
            RunningCheck::PidFile(gone),
            RunningCheck::Command(timed(&["true"], 60)),
            RunningCheck::Command(timed(&["false"], 60)),
            RunningCheck::Command(timed(&["/no/such"], 60)),
            RunningCheck::Process("surely nothing".into()),
            first(&own, "false"),
            first("1", "true"),
            first("1", "false"),
        ],
        commands: vec![
            command(&["printf", "%s|", "a b", "", "it's", "$x\n", "-n"], Some(0)),
            command(&["sh", "-c", "echo never"], Some(1)),
            command(&["sh", "-c", "echo out; echo err >&2; exit 3"], None),
            InspectCommand { command: hangs, ..command(&[], Some(2)) },
            command(&["yes", "no"], None),
            command(&["/no/such/program"], Some(4)),
            command(&["sh", "-c", "kill -9 $$"], None),
            command(&["sh", "-c", "cat; printf 'no newline'"], None),
            command(&["sh", "-c", "head -c 70000 /dev/zero | tr '\\0' x; exit 1"], None),
        ],
        ..InspectionVariant::default()
    });
    let before = place.everything();
    for shell in shells() {
        let began = Instant::now();
        let facts = place.inspect(shell, &request);
        assert!(began.elapsed() < Duration::from_secs(300), "{shell}");
        assert_eq!(facts.absent, ["no such program"], "{shell}");
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(facts.running, [yes, no, yes, no, None, no, yes, yes, no], "{shell}");
        let told: Vec<_> =
            facts.commands.iter().map(|one| (one.rc, one.late, one.skipped)).collect();
        assert_eq!(told[0], (0, false, false), "{shell}");
        assert_eq!(facts.commands[0].stdout, b"a b||it's|$x\n|-n|", "{shell}");
        assert_eq!(told[1], (0, false, true), "{shell}");
        assert_eq!(told[2], (3, false, false), "{shell}");
        assert_eq!(facts.commands[2].stdout, b"out\nerr\n", "{shell}");
        assert_eq!(told[3], (124, true, false), "{shell}");
        assert_eq!(facts.commands[3].stdout, b"begun\n", "{shell}");
        assert!(facts.commands[4].too_much_output, "{shell}");
        assert_eq!(facts.commands[4].rc, 125, "{shell}");
        assert!(facts.commands[4].stdout.len() < 70_000);
        assert_eq!(told[5].0, 127, "{shell}");
        assert_eq!((told[6].0, facts.commands[6].signal), (137, Some(9)), "{shell}");
        assert_eq!(facts.commands[7].stdout, b"no newline", "{shell}");
        // Too long to be kept, and yet its end is told where `head` reads no further than it must.
        assert!(matches!(told[8].0, 1 | 125), "{shell} {:?}", told[8]);
    }
    assert_eq!(place.everything(), before);
}

#[test]
fn the_host_picks_what_fits_its_kind() {
    let place = Place::new();
    let file = place.put("one", "x", 0o644);
    let own = place.inspect("dash", &place.ask(vec![file.clone()]));
    let own = own.kind;
    let others = HostKind::all().filter(|kind| *kind != own).collect();
    let variant = |kinds, files| InspectionVariant { kinds, files, ..InspectionVariant::default() };
    let wrong = remote(&place.path("wrong"));
    let variants = vec![
        variant(others, vec![wrong.clone()]),
        variant(vec![own], vec![file.clone()]),
        variant(Vec::new(), vec![wrong]),
    ];
    let request = Inspection { variants, boot_guard: false, dirs: Some(place.dirs()) };
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        assert_eq!(facts.files.len(), 1, "{shell}");
        assert_eq!(facts.files[0].path, file, "{shell}");
    }
    let nothing = Inspection { variants: Vec::new(), boot_guard: false, dirs: Some(place.dirs()) };
    assert!(place.inspect("dash", &nothing).files.is_empty());
}

/// `host_kind` of the program, reading another file than the host's own.
#[test]
fn distributions_are_known_by_os_release() {
    let program = include_str!("../../../src/remote/sh/inspection.sh");
    let start = program.find("host_kind() {").expect("the function");
    let end = start + program[start..].find("\n}\n").expect("its end") + 3;
    let place = Place::new();
    let file = place.path("os-release");
    let function = program[start..end].replace("/etc/os-release", file.to_str().expect("UTF-8"));
    assert_ne!(function, program[start..end], "another file is read");
    let cases = [
        ("ID=debian\nVERSION_ID=\"12\"\n", "debian", "debian-"),
        ("NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "debian", "debian-"),
        ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "redhat", "redhat-"),
        ("ID='alpine'\n", "alpine", "alpine-"),
        ("ID=arch\n", "arch", "other-"),
        ("", "other", "other-"),
    ];
    for (text, family, kind) in cases {
        fs::write(&file, text).expect("writable");
        for shell in shells() {
            let script = format!("{function}\nhost_kind; echo \"$family $kind\"");
            let mut words = shell.split(' ');
            let program = words.next().expect("a name");
            let output = Command::new(program).args(words).args(["-c", &script]).output();
            let told = String::from_utf8(output.expect("runs").stdout).expect("UTF-8");
            assert!(told.starts_with(&format!("{family} {kind}")), "{shell}: {told} of {text}");
        }
    }
}

/// The whole way of an inspection: what a task wants, asked of this machine, planned.
#[test]
fn a_real_configuration_tells_which_files_it_reads() {
    if !have(&["postconf", "doveconf"]) {
        return;
    }
    let value = |program: &str, name: &str| {
        let output = Command::new(program).args(["-h", name]).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('<').to_owned()
    };
    let read = [
        ("postfix", value("postconf", "smtpd_tls_cert_file")),
        ("dovecot", value("doveconf", "ssl_cert")),
    ];
    for (service, path) in read.into_iter().filter(|(_, path)| path.starts_with('/')) {
        let wanted = world::wanted(&[service]);
        let variants = certroll::testing::plan::variants::Variants::of(&wanted).expect("complete");
        let mut request = certroll::testing::plan::inspection::ask_for_plan(&variants);
        let place = Place::new();
        request.dirs = Some(place.dirs());
        // Asked as if it ran.
        for variant in &mut request.variants {
            variant.running = vec![RunningCheck::Command(timed(&["true"], 60))];
        }
        let facts = place.inspect("sh", &request);
        let desired = variants.desired_for_plan(&facts).expect("complete");
        let seen = vec![world::nothing(); desired.probes.len()];
        let notes = world::plan(&desired, &facts, &seen).notes;
        let expected =
            format!("is not named in the configuration of {service} (named there: {path}");
        assert!(notes.iter().any(|note| note.contains(&expected)), "{notes:#?}");
    }
}
