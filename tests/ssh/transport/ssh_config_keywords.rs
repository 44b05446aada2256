//! The keywords that the installed `ssh` has, taken out of the program itself.

use super::ssh_config::{load, write};
use crate::common::have;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Which of these words the `ssh` of this machine has as keywords, also those that it no longer supports.
fn keywords_of_ssh(dir: &Path, mut words: &[String]) -> Vec<String> {
    let mut known = Vec::new();
    while !words.is_empty() {
        let text: String = words.iter().map(|word| format!("{word} yes\n")).collect();
        let file = write(dir, "words", &text);
        let mut command = Command::new("ssh");
        let output = command.arg("-G").arg("-F").arg(&file).arg("web1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let bad = said.lines().filter_map(|line| line.split_once("Bad configuration option: "));
        let bad: BTreeSet<_> = bad.map(|(_, word)| word.trim()).collect();
        // After a value that it cannot read at all it reads no further.
        let numbers = said.split("line ").skip(1).filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
        });
        let whole = output.status.success() || said.contains("terminating");
        let read = if whole { words.len() } else { numbers.last().expect(&said) };
        known.extend(words[..read].iter().filter(|word| !bad.contains(word.as_str())).cloned());
        words = &words[read..];
    }
    known
}

#[test]
fn no_keyword_of_ssh_is_unknown() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Ok(program) = fs::read("/usr/bin/ssh") else { return };
    let is_word = |text: &&[u8]| {
        text.len() > 2 && text.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    };
    // A text that is the end of another is there as that.
    let ends = |text| (0..str::len(text) - 2).map(move |from| text[from..].to_owned());
    let words = program.split(|byte| *byte == 0).filter(is_word);
    let words: BTreeSet<_> = words.flat_map(|word| ends(str::from_utf8(word).unwrap())).collect();
    let known = keywords_of_ssh(dir.path(), &words.into_iter().collect::<Vec<_>>());
    for often in ["hostname", "port", "tcpkeepalive", "identityfile", "permitlocalcommand"] {
        assert!(known.iter().any(|word| word == often), "the control: {often} of {known:?}");
    }
    let unknown: Vec<_> = (known.into_iter())
        .filter(|word| {
            let file = write(dir.path(), "one", &format!("{word} yes\n"));
            load(&file).is_err_and(|errors| errors.concat().contains("has no keyword"))
        })
        .collect();
    assert_eq!(unknown, [""; 0]);
}
