//! Vault texts made by the real `ansible-vault`: kept ones, and fresh ones where it is installed.

use certroll::testing::model::Secret;
use certroll::testing::vault::{Vault, VaultError, is_vault, secret_from_file};
use proptest::prelude::*;
use std::process::Command;

const YAML: &str = include_str!("../fixtures/vault/yaml.vault");
const LABELLED: &str = include_str!("../fixtures/vault/labelled.vault");
const BLOCK: &str = include_str!("../fixtures/vault/block.vault");
const EMPTY: &str = include_str!("../fixtures/vault/empty.vault");

fn vault(secrets: &[&str]) -> Vault {
    Vault::new(secrets.iter().map(|secret| Secret::new(secret.as_bytes().to_vec())).collect())
}

fn open(vault: &Vault, text: &str) -> Result<String, VaultError> {
    vault.decrypt_text(text).map(|plain| plain.expose().clone())
}

#[test]
fn kept_texts_open() {
    let both = vault(&["other", "swordfish"]);
    assert_eq!(open(&both, YAML), Ok("answer: 42\nword: \"päss\"\n".into()));
    assert_eq!(open(&both, LABELLED), Ok("k".into()));
    assert_eq!(open(&both, BLOCK), Ok("0123456789abcdef".into()));
    assert_eq!(open(&both, EMPTY), Ok(String::new()));
}

#[test]
fn spellings_that_ansible_accepts_open() {
    let vault = vault(&["swordfish"]);
    let plain = Ok("0123456789abcdef".to_owned());
    let (header, body) = BLOCK.split_once('\n').expect("two lines");
    let variants = [
        BLOCK.replace('\n', "\r\n"),
        format!("{header}  \n{body}\n\n  \n"),
        format!("{header}\n{}", body.to_uppercase()),
        format!("  {header}\n    {}", body.replace('\n', "\n    ")),
        BLOCK.trim_end().to_owned(),
    ];
    for variant in variants {
        assert_eq!(open(&vault, &variant), plain, "{variant:?}");
    }
}

#[test]
fn a_label_is_only_a_hint() {
    let mut vault = vault(&["swordfish"]);
    vault.add(Some("dev".into()), Secret::new(b"other".to_vec()));
    assert_eq!(open(&vault, LABELLED), Ok("k".into()));
}

#[test]
fn each_failure_has_its_words() {
    let right = vault(&["swordfish"]);
    let header = |line: &str| BLOCK.replacen("$ANSIBLE_VAULT;1.1;AES256", line, 1);
    // Digits are hex of hex digits: 64 is a `d`, 65 an `e`.
    let end = BLOCK.trim_end();
    let (start, last) = end.split_at(end.len() - 1);
    let flipped = format!("{start}{}", if last == "4" { '5' } else { '4' });
    let cases = [
        (
            open(&right, "answer: 42"),
            "not an Ansible Vault text (it does not begin with $ANSIBLE_VAULT)",
        ),
        (open(&right, "$ANSIBLE_VAULT;1.1"), "the vault header is malformed"),
        (
            open(&right, &header("$ANSIBLE_VAULT;1.0;AES256")),
            "vault format '1.0' is not supported, only 1.1 and 1.2",
        ),
        (
            open(&right, &header("$ANSIBLE_VAULT;1.1;AES")),
            "vault cipher 'AES' is not supported, only AES256",
        ),
        (open(&right, &BLOCK.replace('3', "x")), "the vault text is damaged (it does not decode)"),
        (
            open(&right, "$ANSIBLE_VAULT;1.1;AES256\n"),
            "the vault text is damaged (it does not decode)",
        ),
        (
            open(&Vault::default(), BLOCK),
            "the text is encrypted with Ansible Vault and no vault secret was given",
        ),
        (open(&vault(&["sword"]), BLOCK), "none of the vault secrets opens it"),
        (open(&right, &flipped), "none of the vault secrets opens it"),
    ];
    for (result, message) in cases {
        assert_eq!(result.map_err(|error| error.to_string()), Err(message.to_owned()));
    }
}

#[test]
fn secrets_are_trimmed_and_never_shown() {
    let secret = secret_from_file(Secret::new(b"  swordfish \r\n".to_vec()));
    let vault = Vault::new(vec![secret]);
    assert_eq!(open(&vault, BLOCK), Ok("0123456789abcdef".into()));
    assert!(!format!("{vault:?}").contains("sword"), "{vault:?}");
}

#[test]
fn fresh_texts_of_ansible_open() {
    if !crate::common::have(&["ansible-vault"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    std::fs::write(dir.path().join("password"), "correct horse\n").expect("written");
    let vault = vault(&["correct horse"]);
    for length in [0, 1, 15, 16, 17, 4096] {
        let plain = "é-".repeat(length);
        std::fs::write(dir.path().join("plain"), &plain).expect("written");
        let made = Command::new("ansible-vault")
            .args(["encrypt", "--vault-password-file", "password", "--output", "sealed", "plain"])
            .current_dir(dir.path())
            .output()
            .expect("ansible-vault runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let sealed = std::fs::read_to_string(dir.path().join("sealed")).expect("read");
        assert!(is_vault(&sealed) && !is_vault(&plain));
        assert_eq!(open(&vault, &sealed), Ok(plain));
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(body in "(?s).{0,200}") {
        let vault = Vault::default();
        let _ = vault.decrypt(&body);
        let _ = vault.decrypt(&format!("$ANSIBLE_VAULT;1.1;AES256\n{body}"));
        let inner = hex::encode(&body);
        let _ = vault.decrypt(&format!("$ANSIBLE_VAULT;1.2;AES256;x\n{inner}"));
    }
}
