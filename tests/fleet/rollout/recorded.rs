//! A sudo that records what it is given: what tasks send is not in its log, unless they allow it.

use crate::common::fleet::{Fleet, Ran};
use std::fs;
use std::path::Path;

const WORDS: &str = "would be in its log: the host has no openssl";

/// A password as it is stored, whose salt says where it was sent from.
const HASH: &str = "$6$sent-by-user$T4jQm0iA0uBkVqk5o3mHqE9t8oQXk0o3b4cG7kq1rWb5cZr0u6y3nN4m2f8s1d7g6h5j4k3l2z1x0c9v8b7n.";

/// One task with what it sends and what shows where that ends up.
fn tasks(more: &str) -> [(String, &'static str, &'static str); 5] {
    [
        (
            format!("copy: {{dest: /root/copied, content: \"sent-by-copy\\n\"{more}}}"),
            "copy",
            "cat /root/copied",
        ),
        (format!("copy: {{dest: /root/long, src: long.txt{more}}}"), "file", "cat /root/long"),
        (
            format!("template: {{dest: /root/made, src: made.j2{more}}}"),
            "template",
            "cat /root/made",
        ),
        (
            format!("shell: {{cmd: cat >/root/read, stdin: sent-by-stdin{more}}}"),
            "stdin",
            "cat /root/read",
        ),
        (
            format!("user: {{name: sent, password: '{HASH}'{more}}}"),
            "user",
            "awk -F: '$1 == \"sent\" { print $2 }' /etc/shadow",
        ),
    ]
}

fn run(fleet: &Fleet, directory: &Path, verb: &str, task: &str) -> Ran {
    let inventory = fleet.dir().join("inventory.ini").display().to_string();
    let play = format!("- hosts: h001\n  become: true\n  tasks:\n    - {task}\n");
    fs::write(directory.join("play.yml"), play).unwrap();
    fleet.run(directory, &[verb, "play.yml", "-i", &inventory, "-o", "json"])
}

#[test]
fn contents_and_input_are_in_sudos_log_only_where_tasks_allow_it() {
    let Some(fleet) = Fleet::up(1, &["nginx"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::write(here.join("made.j2"), "{{ 'sent-by-template' }}\n").unwrap();
    let line = "sent-by-file, and on and on and on and on\n";
    fs::write(here.join("long.txt"), line.repeat(5000)).unwrap();
    let sh = |command: &str| fleet.sh("h001", command);
    sh("sed -i '1i Defaults log_input, log_output, iolog_dir=/var/log/sudo-io' /etc/sudoers");
    // Each log is begun anew, so that what is in it is of one run.
    let recorded = || sh("find /var/log/sudo-io -type f -exec zcat -fq {} + 2>/dev/null || :");
    let forget = || {
        sh(
            "rm -rf /var/log/sudo-io /root/copied /root/long /root/made /root/read; userdel -r sent 2>/dev/null || :",
        )
    };

    for (task, what, show) in tasks("") {
        forget();
        let ran = run(&fleet, here, "apply", &task);
        assert_eq!(ran.outcome("h001"), "changed", "{task}: {ran}");
        let (log, mark) = (recorded(), format!("sent-by-{what}"));
        assert!(log.contains("@certroll1"), "{what}: the control: replies are recorded");
        assert!(!log.contains(&mark), "{what} is in the log");
        let there = sh(show);
        assert!(there.trim_start_matches("$6$").starts_with(&mark), "{what}");
        assert!(there.ends_with('\n'), "{what}");
        assert_eq!(there.len() > 1000, what == "file", "{what}");
        if what == "user" {
            // Compared with what is there, it is sealed as well.
            let again = run(&fleet, here, "apply", &task);
            assert_eq!(again.outcome("h001"), "unchanged", "{again}");
            assert!(!recorded().contains(&mark), "{what} is in the log");
        }
    }
    sh("mv /usr/bin/openssl /root/openssl");
    for (task, what, show) in tasks("") {
        forget();
        let ran = run(&fleet, here, "apply", &task);
        assert_eq!(ran.outcome("h001"), "failed", "{task}: {ran}");
        let named = match what {
            "stdin" => "so the standard input",
            "user" => "so the password's hash",
            _ => "so what the file is to hold",
        };
        let words = format!("{named} {WORDS}");
        assert!(ran.stdout.contains(&words), "{task}: {ran}");
        assert!(ran.stdout.contains("`allow_input_log: true`"), "{task}: {ran}");
        assert!(!recorded().contains(&format!("sent-by-{what}")), "{what} is in the log");
        assert_eq!(sh(&format!("{show} 2>/dev/null || :")), "", "{what}");
        // What commands read is not known before they run.
        if what != "stdin" {
            let plan = run(&fleet, here, "plan", &task);
            assert!(plan.stdout.contains(&words), "{task}: {plan}");
        }
    }
    for (task, what, _) in tasks(", allow_input_log: true") {
        forget();
        let ran = run(&fleet, here, "apply", &task);
        assert_eq!(ran.outcome("h001"), "changed", "{task}: {ran}");
        assert!(recorded().contains(&format!("sent-by-{what}")), "the control: {what} was sent");
    }
}

#[test]
fn a_key_that_is_read_of_a_host_is_not_in_its_sudos_log() {
    let Some(fleet) = Fleet::up(1, &["nginx"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let sh = |command: &str| fleet.sh("h001", command);
    sh(
        "sed -i '1i Defaults log_output, iolog_dir=/var/log/sudo-io' /etc/sudoers; cp -r /etc/nginx/tls /root/tls",
    );
    let key = fs::read(fleet.pki("gen1", "privkey.pem")).unwrap();
    let as_it_is_told: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let recorded = || sh("find /var/log/sudo-io -type f -exec zcat -fq {} + 2>/dev/null || :");
    let slurp = "slurp: {src: /root/tls/privkey.pem}\n      register: r\n    \
                 - copy: {dest: /root/slurped, content: '{{ r.content | b64decode }}'}";
    let source = "certificate: {service: files, verify: false, reload: none, dest: {cert: /root/cert.pem, key: /root/key.pem}, \
                  source: {host: h001, cert: /root/tls/fullchain.pem, key: /root/tls/privkey.pem}}";
    for (task, file) in [(slurp, "slurped"), (source, "key.pem")] {
        let ran = run(&fleet, here, "apply", task);
        assert_eq!(ran.outcome("h001"), "changed", "{task}: {ran}");
        assert!(recorded().contains("@certroll1"), "the control: replies are recorded");
        assert!(!recorded().contains(&as_it_is_told), "{task}");
        sh(&format!("cmp /root/tls/privkey.pem /root/{file}; rm -r /var/log/sudo-io"));
    }

    sh("mv /usr/bin/openssl /root/openssl; rm /root/cert.pem /root/key.pem");
    let ran = run(&fleet, here, "apply", source);
    assert_eq!(ran.outcome("h001"), "failed", "{ran}");
    assert!(ran.stdout.contains("so the file would be in its log"), "{ran}");
    assert!(!recorded().contains(&as_it_is_told), "{ran}");
    let ran = run(&fleet, here, "apply", slurp);
    assert!(recorded().contains(&as_it_is_told), "the control: this is how it is told: {ran}");
}
