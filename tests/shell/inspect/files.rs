//! What is told of files: their bytes, links, attributes, and what only root can prepare.

use super::place::{Place, remote};
use super::{LEAF, regular, shells};
use crate::common::{am_root, have};
use certroll::testing::host::InspectionVariant;
use certroll::testing::host::{FileState, HeldAs};
use certroll::testing::model::{FileMode, Fingerprint};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

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
