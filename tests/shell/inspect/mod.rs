//! The read-only inspection, by every shell that is installed, over real files.

mod place;

use crate::common::pki::{Authority, Pair};
use crate::common::{am_root, have, world};
use certroll::testing::host::{
    FileFacts, FileState, HeldAs, HostKind, JournalState, LockHolder, RegularFile,
};
use certroll::testing::host::{
    InspectCommand, Inspection, InspectionVariant, RunningCheck, TimedCommand,
};
use certroll::testing::model::{CommandLine, FileMode, Fingerprint};
use place::{Place, remote};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("Inspect"));
static LEAF: LazyLock<Pair> = LazyLock::new(|| AUTHORITY.leaf(&["www.example.net"]));

const SHELLS: [&str; 6] =
    ["dash", "busybox sh", "bash --posix", "mksh", "ksh93", "zsh --emulate sh"];

fn shells() -> Vec<&'static str> {
    let installed = |shell: &&str| {
        let program = shell.split(' ').next().unwrap_or(shell);
        let quiet = std::process::Stdio::null;
        Command::new(program).args(["-c", ":"]).stdout(quiet()).stderr(quiet()).status().is_ok()
    };
    let found: Vec<_> = SHELLS.into_iter().filter(installed).collect();
    assert!(found.contains(&"dash") || found.contains(&"bash --posix"), "{found:?}");
    found
}

fn regular(facts: &FileFacts) -> &RegularFile {
    facts.file().unwrap_or_else(|| panic!("{facts:?}"))
}

fn argv(words: &[&str]) -> CommandLine {
    CommandLine::Argv(words.iter().map(|&word| word.to_owned()).collect())
}

fn timed(words: &[&str], seconds: u64) -> TimedCommand {
    TimedCommand { command: argv(words), timeout: Duration::from_secs(seconds) }
}

#[test]
fn files_are_told_byte_by_byte_in_every_shell() {
    let place = Place::new();
    let chain = format!("{}{}", LEAF.pem, LEAF.intermediate_pem);
    let combined = format!("# site\r\n{}\n{chain}", LEAF.key_pem).replace('\n', "\r\n");
    let names: [&[u8]; 8] = [
        b"plain.pem",
        b"with space.pem",
        b"new\nline",
        b"last\n",
        b"it's \"$(x)\" `y` \\n",
        b"-dash",
        b"\xff\xfe.pem",
        b"*?[a]",
    ];
    let mut files = Vec::new();
    for name in names {
        files.push(place.put(OsStr::from_bytes(name), &chain, 0o640));
    }
    files.push(place.put("combined", &combined, 0o600));
    files.push(place.put("empty", "", 0o444));
    files.push(place.put("binary", [0, 255, b'\n', 0], 0o4755));
    files.push(remote(&place.path("absent")));
    files.push(remote(&place.path("no/such/dir/file")));
    files.push(remote(place.dir.path().join("files").as_path()));
    files.push(remote(Path::new("/dev/null")));
    let request = place.ask(files);
    let before = place.everything();
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        assert_eq!(facts.files.len(), request.variants[0].files.len(), "{shell}");
        for (asked, told) in request.variants[0].files.iter().zip(&facts.files) {
            assert_eq!(told.path, *asked, "{shell}");
            assert_eq!(told.real_path.as_ref(), Some(asked), "{shell}");
        }
        for told in &facts.files[..names.len()] {
            let file = regular(told);
            assert_eq!(file.sha256, Fingerprint::of(chain.as_bytes()), "{shell} {told:?}");
            assert_eq!(file.size, chain.len() as u64);
            assert_eq!(file.mode, FileMode::new(0o640));
            assert_eq!((file.hard_links, file.holds_key, file.mount_point), (1, false, false));
            let leaves = &file.certificates;
            assert_eq!(leaves.len(), 2, "{shell} {told:?}");
            assert_eq!(leaves[0].fingerprint, LEAF.fingerprint());
            assert!(!told.read_only && told.writable && told.missing_directories.is_empty());
            assert!(told.free_bytes.is_some_and(|free| free > 0), "{shell} {told:?}");
        }
        let [combined, empty, binary, absent, deep, directory, special] =
            &facts.files[names.len()..]
        else {
            panic!()
        };
        let found = regular(combined);
        assert!(found.holds_key, "{shell}");
        assert_eq!(found.certificates.len(), 2);
        assert_eq!(regular(empty).sha256, Fingerprint::of(b""));
        assert_eq!(regular(binary).mode, FileMode::new(0o4755));
        assert_eq!(regular(binary).sha256, Fingerprint::of(&[0, 255, b'\n', 0]));
        assert_eq!(absent.state, FileState::Absent);
        assert_eq!(deep.state, FileState::Absent);
        let missing: Vec<PathBuf> = ["no", "no/such", "no/such/dir"].map(|d| place.path(d)).into();
        let told: Vec<PathBuf> = deep
            .missing_directories
            .iter()
            .map(|d| OsStr::from_bytes(d.as_bytes()).into())
            .collect();
        assert_eq!(told, missing, "{shell}");
        assert_eq!(directory.state, FileState::Directory);
        assert_eq!(special.state, FileState::Special);
        assert_eq!(facts.lock, None);
        assert!(facts.missing_tools().is_empty(), "{shell} {facts:?}");
        // Not a byte of the key was sent: no line of it, in any of the forms in which bytes travel.
        let raw = fs::read_to_string(place.raw()).expect("raw output");
        let bodies = LEAF.key_pem.lines().filter(|line| !line.starts_with('-'));
        for line in bodies {
            let start = &line[..16.min(line.len())];
            assert!(!raw.contains(start) && !raw.contains(&hex::encode(start)), "{shell}");
        }
        // The control: what may be sent is found that way.
        assert!(raw.contains(LEAF.pem.lines().nth(1).expect("a body")), "{shell}");
        assert_eq!(place.everything(), before, "{shell} changed something");
    }
}

#[test]
fn a_block_that_runs_into_a_key_is_not_sent() {
    let place = Place::new();
    let body: Vec<&str> = LEAF.key_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let body = body.join("\n");
    let traps = [
        format!("-----BEGIN CERTIFICATE-----\nAAAA\n{}", LEAF.key_pem),
        format!("-----BEGIN CERTIFICATE-----\nAAAA\n{body}\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN CERTIFICATE-----\nAAAA\n{body}\n"),
        format!("-----BEGIN CERTIFICATE-----\nBag: x\n{body}\n-----END CERTIFICATE-----\n"),
        format!("{}{}", LEAF.key_pem.trim_end(), LEAF.pem),
    ];
    let files = traps.iter().enumerate();
    let request = place.ask(files.map(|(n, text)| place.put(n.to_string(), text, 0o600)).collect());
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        for (file, holds) in facts.files.iter().zip([true, false, false, false, true]) {
            let file = regular(file);
            assert!(file.certificates.is_empty(), "{shell}");
            assert_eq!(file.holds_key, holds, "{shell}");
        }
        let raw = fs::read_to_string(place.raw()).expect("raw output");
        assert!(!raw.contains(&body[..16]), "{shell}");
        let told = raw.split_whitespace().filter_map(|word| word.strip_prefix("certs="));
        assert!(told.into_iter().all(|body| matches!(body, "" | "-")), "{shell}: {raw}");
    }
}

#[test]
fn links_are_followed_and_told() {
    let place = Place::new();
    place.put("archive/cert1.pem", "one", 0o644);
    fs::create_dir(place.path("live")).unwrap();
    symlink("../archive/cert1.pem", place.path("live/cert.pem")).unwrap();
    symlink(place.path("live/cert.pem"), place.path("two")).unwrap();
    symlink("nowhere", place.path("dangling")).unwrap();
    symlink("loop-b", place.path("loop-a")).unwrap();
    symlink("loop-a", place.path("loop-b")).unwrap();
    symlink("archive", place.path("dir")).unwrap();
    symlink("nowhere\n", place.path("odd")).unwrap();
    let names = ["two", "dangling", "loop-a", "dir/cert1.pem", "dir/new.pem", "odd"];
    let request = place.ask(names.iter().map(|name| remote(&place.path(name))).collect());
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        let [two, dangling, looped, through, fresh, odd] = facts.files.as_slice() else { panic!() };
        assert_eq!(two.real_path, Some(remote(&place.path("archive/cert1.pem"))), "{shell}");
        let links: Vec<_> = ["two", "live/cert.pem"].map(|name| remote(&place.path(name))).into();
        assert_eq!(two.via_links, links, "{shell}");
        assert_eq!(regular(two).sha256, Fingerprint::of(b"one"));
        assert_eq!(dangling.state, FileState::DanglingLink, "{shell}");
        assert_eq!(dangling.real_path, Some(remote(&place.path("nowhere"))));
        assert_eq!((&looped.state, &looped.real_path), (&FileState::LinkLoop, &None), "{shell}");
        assert_eq!(through.real_path, Some(remote(&place.path("archive/cert1.pem"))));
        assert!(through.via_links.is_empty());
        assert_eq!(fresh.real_path, Some(remote(&place.path("archive/new.pem"))));
        assert_eq!(fresh.state, FileState::Absent);
        assert_eq!(odd.real_path, Some(remote(&place.path("nowhere\n"))), "{shell}");
    }
}

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
        assert_eq!(generations[0], ("20260101T000000Z-a", Fingerprint::of(b"older")), "{shell}");
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

#[test]
fn commands_are_bounded_and_services_looked_for() {
    let place = Place::new();
    let pid = place.put("pid", format!("{}\n", std::process::id()), 0o644);
    let gone = place.put("gone", "999999999\n", 0o644);
    let command = |words: &[&str], only_if_running| InspectCommand {
        command: timed(words, 2),
        only_if_running,
    };
    let request = place.request(InspectionVariant {
        programs: vec!["sh".into(), "no such program".into()],
        running: vec![
            RunningCheck::PidFile(pid),
            RunningCheck::PidFile(gone),
            RunningCheck::Command(timed(&["true"], 5)),
            RunningCheck::Command(timed(&["false"], 5)),
            RunningCheck::Command(timed(&["/no/such"], 5)),
            RunningCheck::Process("surely nothing".into()),
        ],
        commands: vec![
            command(&["printf", "%s|", "a b", "", "it's", "$x\n", "-n"], Some(0)),
            command(&["sh", "-c", "echo never"], Some(1)),
            command(&["sh", "-c", "echo out; echo err >&2; exit 3"], None),
            command(&["sh", "-c", "echo begun; sleep 600 & sleep 600"], Some(2)),
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
        assert_eq!(facts.running, [yes, no, yes, no, None, no], "{shell}");
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

#[test]
fn the_public_half_of_a_kept_key() {
    if !have(&["openssl", "ssh-keygen"]) {
        return;
    }
    let place = Place::new();
    let leaf = AUTHORITY.rsa(&["rsa.example.net"]);
    let files = vec![
        place.put("ec key", &LEAF.key_pem, 0o600),
        place.put("rsa", &leaf.key_pem, 0o640),
        place.put("junk", "-----BEGIN PRIVATE KEY-----\njunk\n", 0o600),
        remote(&place.path("absent")),
        place.put("not asked", &LEAF.key_pem, 0o600),
    ];
    let request = place.request(InspectionVariant {
        files,
        public_keys: vec![0, 1, 2, 3],
        ..InspectionVariant::default()
    });
    let public = |pair: &Pair| rcgen::KeyPair::from_pem(&pair.key_pem).unwrap().public_key_pem();
    // Where openssl cannot do it ssh-keygen does.
    let bin = place.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("openssl"), "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(bin.join("openssl"), fs::Permissions::from_mode(0o755)).unwrap();
    let without = format!("PATH={}:$PATH", bin.display());
    for (shell, prefix) in shells().into_iter().flat_map(|shell| [(shell, ""), (shell, &*without)])
    {
        let facts = place.inspect_as(prefix, shell, &request);
        for (told, pair) in facts.files.iter().zip([&*LEAF, &leaf]) {
            let pem =
                regular(told).public_key_pem.clone().unwrap_or_else(|| panic!("{shell} {prefix}"));
            let text = String::from_utf8(pem).unwrap();
            assert_eq!(text.replace("\r\n", "\n"), public(pair).replace("\r\n", "\n"), "{shell}");
        }
        assert_eq!(regular(&facts.files[2]).public_key_pem, None);
        assert_eq!(facts.files[3].state, FileState::Absent);
        assert_eq!(regular(&facts.files[4]).public_key_pem, None);
    }
}

#[test]
fn what_only_root_can_prepare() {
    if !am_root() || !have(&["setpriv", "unshare", "mount", "setfacl"]) {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let open = place.put("open/cert.pem", "c", 0o644);
    let closed = place.put("open/key.pem", "k", 0o600);
    let hidden = place.put("closed/cert.pem", "c", 0o644);
    fs::set_permissions(place.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let listed = place.put("open/listed", "l", 0o640);
    let mut set = Command::new("setfacl");
    let set = set.args(["-m", "u:nobody:r"]).arg(place.path("open/listed")).status();
    let lists = set.is_ok_and(|status| status.success());
    let mounted = place.put("open/mounted point", "m", 0o644);
    let files = vec![open, closed, hidden, listed, mounted];
    let request = place.request(InspectionVariant {
        files,
        reader: Some("nobody".into()),
        ..InspectionVariant::default()
    });
    let mount = format!(
        "unshare -m sh -c 'mount --bind {0}/cert.pem \"{0}/mounted point\" && \
         mount -t tmpfs -o ro none {1} && exec \"$@\"' sh",
        place.path("open").display(),
        place.dir.path().join("run").display(),
    );
    let read_only = remote(&place.dir.path().join("run/new.pem"));
    let mut in_namespace = request.clone();
    in_namespace.variants[0].files.push(read_only);
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        let can: Vec<_> = facts.files.iter().map(|one| regular(one).readable_by_user).collect();
        assert_eq!(can[..3], [Some(true), Some(false), Some(false)], "{shell}");
        assert!(regular(&facts.files[0]).held.is_empty(), "{shell}");
        let acl: Vec<_> = facts.files.iter().map(|one| regular(one).acl).collect();
        assert_eq!(acl, [false, false, false, lists, false], "{shell}");
        let facts = place.inspect_as(&mount, shell, &in_namespace);
        let mounts: Vec<_> = facts.files[..5].iter().map(|one| regular(one).mount_point).collect();
        assert_eq!(mounts, [false, false, false, false, true], "{shell}");
        // What is mounted elsewhere as a single file stays the old one there.
        let held: Vec<_> = facts.files[..5].iter().map(|one| regular(one).held.len()).collect();
        assert_eq!(held, [1, 0, 0, 0, 0], "{shell}");
        let held = &regular(&facts.files[0]).held[0];
        assert_eq!(held.kind, HeldAs::File, "{shell}");
        assert!(held.path.ends_with("/open/mounted point"), "{shell}: {held:?}");
        assert!(facts.files[5].read_only && !facts.files[0].read_only, "{shell}");
        // As somebody else: what cannot be read, and where nothing can be written.
        let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
        let facts = place.inspect_as(nobody, shell, &request);
        assert_eq!(facts.uid, 65534, "{shell}");
        assert_eq!(facts.files[1].state, FileState::Unreadable, "{shell}");
        assert_eq!(facts.files[2].state, FileState::Unreadable, "{shell}");
        assert!(!facts.files[0].writable, "{shell}");
        assert!(facts.files[0].file().is_some(), "{shell}");
    }
}

#[test]
fn three_hundred_certificates_are_read_in_one_go() {
    let place = Place::new();
    let mut files = Vec::new();
    for n in 0..300 {
        files.push(place.put(
            format!("{n}.pem"),
            format!("{}{}", LEAF.pem, LEAF.intermediate_pem),
            0o644,
        ));
        files.push(place.put(format!("{n}.key"), &LEAF.key_pem, 0o600));
    }
    let request = place.ask(files);
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        assert!(facts.files.iter().all(|file| file.file().is_some()));
        assert!(facts.files.iter().step_by(2).all(|f| !regular(f).certificates.is_empty()));
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
        let mut request = certroll::testing::plan::inspection::ask(&variants);
        let place = Place::new();
        request.dirs = Some(place.dirs());
        // Asked as if it ran.
        for variant in &mut request.variants {
            variant.running = vec![RunningCheck::Command(timed(&["true"], 5))];
        }
        let facts = place.inspect("sh", &request);
        let desired = variants.desired(&facts).expect("complete");
        let seen = vec![world::nothing(); desired.probes.len()];
        let notes = world::plan(&desired, &facts, &seen).notes;
        let expected =
            format!("is not named in the configuration of {service} (named there: {path}");
        assert!(notes.iter().any(|note| note.contains(&expected)), "{notes:#?}");
    }
}

/// Accounts in the group of the file, and those that its list names.
#[test]
fn who_else_can_read_a_key() {
    if !am_root() {
        crate::common::skip("not root: no file can be given away");
        return;
    }
    let place = Place::new();
    let files: Vec<_> = [("group", 0o640), ("closed", 0o600), ("listed", 0o600), ("masked", 0o600)]
        .into_iter()
        .map(|(name, mode)| place.put(name, &LEAF.key_pem, mode))
        .collect();
    let www_data = 33;
    for name in ["group", "closed"] {
        std::os::unix::fs::chown(place.path(name), None, Some(www_data)).unwrap();
    }
    let list = |name: &str, words: &[&str]| {
        let path = place.path(name);
        Command::new("setfacl").args(words).arg(path).status().is_ok_and(|status| status.success())
    };
    let has_lists = list("listed", &["-m", "u:daemon:r,g:adm:r"])
        && list("masked", &["-m", "u:daemon:r,m::---"]);
    let request = place.request(InspectionVariant { files, ..InspectionVariant::default() });
    for shell in shells() {
        let facts = place.inspect(shell, &request);
        let readers = |index: usize| regular(&facts.files[index]).readers.clone();
        assert!(readers(0).contains(&"www-data".to_owned()), "{shell}: {:?}", readers(0));
        assert_eq!(readers(1), [""; 0], "{shell}");
        if has_lists {
            assert_eq!(readers(2), ["daemon", "group adm"], "{shell}");
            assert_eq!(readers(3), [""; 0], "{shell}");
        }
    }
}

/// A process in a mount namespace of its own, as a container's: ended when dropped.
struct Contained(std::process::Child);

impl Contained {
    /// `script` makes its mounts and then becomes something that waits, for a line `ready` on its standard output.
    fn start(script: &str) -> Self {
        use std::io::BufRead;
        let mut child = Command::new("unshare")
            .args(["-m", "sh", "-ec", script])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        assert_eq!(line, "ready\n", "{script}");
        Self(child)
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// By inode: the text of mountinfo tells less after a rename over a file, and after the old one came back.
#[test]
fn what_containers_have_mounted_is_told() {
    if !crate::common::am_root() || !crate::common::have(&["unshare", "busybox"]) {
        crate::common::skip("no mount namespaces, or no busybox for a root of its own");
        return;
    }
    let place = Place::new();
    let files = vec![place.put("tls/cert.pem", "c", 0o644), place.put("tls/key.pem", "k", 0o600)];
    let request = place.request(InspectionVariant { files, ..InspectionVariant::default() });
    let (tls, root) = (place.path("tls"), place.path("root"));
    let (tls, root) = (tls.display(), root.display());
    fs::create_dir(place.path("root")).unwrap();
    let alone = Contained::start(&format!(
        "mount -t tmpfs t {root}; touch {root}/one.pem; mount --bind {tls}/cert.pem {root}/one.pem; echo ready; exec sleep 1000"
    ));
    let whole = Contained::start(&format!(
        "mount -t tmpfs t {root}; mkdir -p {root}/etc/tls; cp $(command -v busybox) {root}/busybox; \
         mount --bind {tls} {root}/etc/tls; echo ready; exec chroot {root} /busybox sleep 1000"
    ));
    let told = |shell: &str| -> Vec<Vec<(u32, HeldAs, String)>> {
        let facts = place.inspect(shell, &request);
        let of = |file: &FileFacts| {
            let held = regular(file).held.iter();
            let mut held: Vec<_> = held.map(|one| (one.pid, one.kind, one.path.clone())).collect();
            held.sort_by_key(|one| one.0 != alone.0.id());
            held
        };
        facts.files.iter().map(of).collect()
    };
    let one = |kind| (alone.0.id(), kind, format!("{root}/one.pem"));
    let inside = |name: &str| (whole.0.id(), HeldAs::Directory, format!("/etc/tls/{name}"));
    let wanted = |kind| vec![vec![one(kind), inside("cert.pem")], vec![inside("key.pem")]];
    for shell in shells() {
        assert_eq!(told(shell), wanted(HeldAs::File), "{shell}");
        // Renamed over, and the old inode put back, as a rollback does.
        fs::hard_link(place.path("tls/cert.pem"), place.path("tls/old")).unwrap();
        fs::write(place.path("tls/new"), "n").unwrap();
        fs::rename(place.path("tls/new"), place.path("tls/cert.pem")).unwrap();
        assert_eq!(told(shell), wanted(HeldAs::Older), "{shell}");
        fs::rename(place.path("tls/old"), place.path("tls/cert.pem")).unwrap();
        assert_eq!(told(shell), wanted(HeldAs::File), "{shell}");
    }
}
