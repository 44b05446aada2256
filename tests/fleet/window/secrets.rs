//! A private key, and what a task hides, in no plan, record or report of any verb.

use super::run_of;
use crate::chaos::ground::{EVERY, Play, ground};
use crate::common::fleet::Ran;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of a key, without those that only frame it.
fn secrets(key: &Path) -> Vec<String> {
    let text = fs::read_to_string(key).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('-')).collect();
    // The last one is short, and belongs to the public half.
    lines[..lines.len() - 1].iter().map(|line| (*line).to_owned()).collect()
}

/// The files below `directory` that show one of `words`, and how many were looked at.
fn showing(directory: &Path, words: &[String]) -> (Vec<PathBuf>, usize) {
    let (mut found, mut looked, mut left) = (Vec::new(), 0, vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                left.push(path);
                continue;
            }
            looked += 1;
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            if words.iter().any(|word| text.contains(word.as_str())) {
                found.push(path);
            }
        }
    }
    (found, looked)
}

#[test]
fn no_plan_record_or_report_holds_a_key_or_what_a_task_hides() {
    let Some(ground) = ground() else { return };
    let hosts = &EVERY[..3];
    let play = |generation: &str, more: &str| {
        Play::nginx(generation).keyword("serial: 2").keyword("max_fail_percentage: 0").task(more)
    };
    // Its word is made where it is printed, so that the playbook does not hold it.
    let hidden = "{name: hidden, shell: 'printf %s-%s swordfish $((40 + 2))', no_log: true}";
    let controller = ground.controller("leaks", hosts, &play("gen2", hidden));
    let mut words = secrets(&ground.fleet.pki("gen2", "privkey.pem"));
    words.extend(secrets(&ground.fleet.pki("gen1", "privkey.pem")));
    words.push("swordfish-42".to_owned());
    let clean = |ran: &Ran, code: i32| {
        assert_eq!(ran.code, code, "{ran}");
        for word in &words {
            assert!(!ran.stdout.contains(word.as_str()), "{word} is printed: {ran}");
            assert!(!ran.stderr.contains(word.as_str()), "{word} is printed: {ran}");
        }
    };
    let reports =
        |name: &str| ["html", "md", "json", "xml"].map(|form| format!("--report={name}.{form}"));
    let told = |arguments: &[&str], name: &str, code: i32| -> Ran {
        let reports = reports(name);
        let reports: Vec<&str> = reports.iter().map(String::as_str).collect();
        let ran = controller.follow(&[arguments, &["--diff"], &reports].concat());
        clean(&ran, code);
        ran
    };

    clean(&controller.run_with("plan", &["--diff", "--out", "a.plan", "--report", "plan.html"]), 0);
    for format in ["table", "markdown", "html", "json", "junit"] {
        clean(&controller.plain(&["show", "a.plan", "--format", format]), 0);
    }
    clean(&controller.plain(&["show", "--diff", "a.plan", "a.plan"]), 0);
    let applied = told(&["apply", "a.plan"], "planned", 0);
    told(&["rollback", "--run", &run_of(&applied), "--check"], "checked", 0);
    let back = told(&["rollback", "--run", &run_of(&applied)], "back", 0);
    told(&["rollback", "--run", &run_of(&back)], "forth", 0);
    told(&["rollback", "--run", "last"], "again", 0);
    // A run that fails and takes itself back, with a check that prints all that it is given.
    let fails =
        ["checks: [{shell: 'cat /etc/nginx/tls/privkey.pem; test ! -e /root/broken', on: host}]"];
    let play = fails.iter().fold(play("gen2", hidden), |play, line| play.with(line));
    let controller = ground.controller("leaks", hosts, &play.keyword("on_failure: rollback_run"));
    ground.sh("h003", "touch /root/broken");
    let ran = controller
        .run_with("apply", &["--diff", "--report", "failed.html", "--report", "failed.md"]);
    clean(&ran, 2);
    ground.sh("h003", "rm /root/broken");
    let reports = reports("resumed");
    let reports: Vec<&str> = reports.iter().map(String::as_str).collect();
    let resumed = [&["apply", "--resume", "last", "--diff"], &reports[..]].concat();
    clean(&controller.follow(&resumed), 0);
    for run in [&run_of(&applied), &run_of(&back), &run_of(&ran), "last"] {
        clean(&controller.plain(&["history", "show", run, "--diff"]), 0);
        for format in ["markdown", "html", "json", "junit"] {
            clean(&controller.plain(&["history", "show", run, "--format", format]), 0);
        }
    }
    clean(&controller.run_with("status", &[]), 0);
    clean(&controller.run_with("recover", &[]), 0);

    let directory = controller.file("");
    let (found, looked) = showing(&directory, &words);
    assert_eq!(found, Vec::<PathBuf>::new());
    assert!(looked > 20, "only {looked} files were there to look at");

    // The control: with the same search a key is found in each of them, and the word where nothing hides it.
    let record = fs::read_dir(controller.state().join("certroll/runs")).unwrap().next().unwrap();
    for path in [record.unwrap().path(), controller.file("a.plan"), controller.file("back.html")] {
        let whole = fs::read(&path).unwrap();
        let planted = [&whole[..whole.len() / 2], words[0].as_bytes(), &whole[whole.len() / 2..]];
        fs::write(&path, planted.concat()).unwrap();
        assert_eq!(showing(&directory, &words).0, vec![path.clone()]);
        fs::write(&path, whole).unwrap();
    }
    let open = hidden.replace(", no_log: true", "");
    let controller = ground.controller("leaks", hosts, &Play::nginx("gen2").task(&open));
    let ran = controller.run("apply");
    assert_eq!(ran.code, 0, "{ran}");
    let (found, _) = showing(&directory, &words);
    let records = controller.state().join("certroll/runs");
    assert!(found.len() == 1 && found[0].starts_with(records), "{found:?}");
}
