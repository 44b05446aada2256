//! What is told of keys, which never leave the host: the public half, and who can read them.

use super::place::{Place, remote};
use super::{AUTHORITY, LEAF, regular, shells};
use crate::common::pki::Pair;
use crate::common::{am_root, have};
use certroll::testing::host::FileState;
use certroll::testing::host::InspectionVariant;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

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
