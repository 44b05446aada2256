//! What one transaction costs the host: processes, flushes and time.

use super::host::*;
use super::validation::may_mount;
use crate::common::pki::Authority;
use certroll::testing::host::{
    FileRole, InspectCommand, Inspection, InspectionVariant, RunningCheck, ValidateStep,
    ValidateVia,
};
use certroll::testing::remote::{self, Transaction};
use std::process::Command;
use std::time::Instant;

/// What a login starts before our shell: the account's own shell, `env` and sudo.
const LOGIN: usize = 3;
/// All that a rollout of one pair may start on a host.
const MOST_PROGRAMS: usize = 39;

/// Runs `sh` under strace, which counts system calls of the program and all its children, and lets the kernel pick them.
fn counted(host: &mut Host) -> std::path::PathBuf {
    counted_by(host, "strace --seccomp-bpf")
}

/// The same by these words.
fn counted_by(host: &mut Host, strace: &str) -> std::path::PathBuf {
    let out = host.root.join("strace");
    let bin = host.root.join("traced");
    std::fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/bash\n[ -z \"$TRACED\" ] || exec '{0}' \"$@\"\nexport TRACED=1\n\
         exec {2} -f -qq -v -s 4096 -e trace=clone,clone3,fork,vfork,execve,fsync,fdatasync,sync,syncfs -o '{1}' '{0}' \"$@\"\n",
        host.shell.bin.join("sh").display(),
        out.display(),
        strace,
    );
    host.put(&bin.join("sh"), script.as_bytes(), 0o755);
    let path = std::env::var("PATH").unwrap();
    // The guard is a child of what is traced already.
    host.environment.push(("PATH".into(), format!("{}:{path}", bin.display())));
    out
}

fn calls(text: &str, names: &[&str]) -> usize {
    text.lines()
        .filter(|line| !line.contains("resumed>"))
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|call| names.iter().any(|name| call.starts_with(&format!("{name}("))))
        .count()
}

#[tokio::test]
async fn a_pair_with_a_check_and_a_reload_stays_within_its_budget() {
    if !may_mount() || Command::new("strace").arg("-V").output().is_err() {
        crate::common::skip("no strace here: not counted");
        return;
    }
    let both = shells().iter().flat_map(|shell| [(shell, false), (shell, true)]);
    for (shell, boot_guard) in both {
        let mut host = Host::new(shell);
        let units = host.root.join("units");
        std::fs::create_dir(&units).unwrap();
        // The directories are there after the first time.
        host.apply(host.request()).await.unwrap();
        host.put(&host.dir.join("cert.pem"), OLD_CERT, 0o644);
        host.put(&host.dir.join("key.pem"), OLD_KEY, 0o640);
        let request = |host: &Host, bytes: &str| {
            let files = [("cert.pem", FileRole::Certificate), ("key.pem", FileRole::Key)];
            let files = files.map(|(name, role)| host.file(name, bytes.as_bytes(), role));
            let mut request = host.request_for(files.to_vec());
            request.services[0].reload = Some(timed(&["true"], 60));
            request.services[0].validate.push(ValidateStep {
                private_net: true,
                ..super::causes::check(&["true"], ValidateVia::MountNamespace)
            });
            request.backups = 3;
            request.boot_guard = boot_guard.then(|| remote(&units));
            request
        };
        let (most_forks, most_flushes) = if boot_guard { (41, 14) } else { (37, 10) };
        let out = counted(&mut host);
        let (mut forks, mut flushes, mut programs) = (usize::MAX, 0, 0);
        // The guard looks every second, with a process each time: what it adds on a slow machine is not the
        // transaction's, so the quickest of three counts.
        for round in 0..3 {
            host.apply(request(&host, &format!("counted {round}\n"))).await.unwrap();
            let text = std::fs::read_to_string(&out).unwrap();
            let these = calls(&text, &["clone", "clone3", "fork", "vfork"]);
            flushes = flushes.max(calls(&text, &["fsync", "fdatasync", "sync", "syncfs"]));
            if these < forks {
                forks = these;
                let run = |line: &&str| line.contains(" execve(") && !line.contains("ENOENT");
                programs = text.lines().filter(run).count();
            }
            if forks <= most_forks {
                break;
            }
        }
        host.environment.clear();
        let mut best = f64::MAX;
        for round in 0..2 {
            let again = request(&host, &format!("round {round}\n"));
            let started = Instant::now();
            host.apply(again).await.unwrap();
            best = best.min(started.elapsed().as_secs_f64());
        }
        eprintln!(
            "{:8} {forks} forks, {programs} execs, {flushes} flushes, {:.0} ms (best of 2){}",
            shell.name,
            best * 1000.0,
            if boot_guard { ", with a guard for the next boot" } else { "" }
        );
        assert!(forks <= most_forks, "{}: {forks} forks", shell.name);
        assert!(flushes <= most_flushes, "{}: {flushes} flushes", shell.name);
    }
}

/// The calls of a trace that started a program: one that another process's line interrupts is told in two, and the
/// wrapper of this test is none.
fn programs_in(trace: &str) -> Vec<&str> {
    let mut begun = std::collections::HashMap::new();
    let mut started = Vec::new();
    for line in trace.lines() {
        let process = line.split(' ').next().unwrap_or_default();
        if line.contains(" execve(") && line.ends_with("<unfinished ...>") {
            begun.insert(process, line);
        } else if line.contains(" execve(") && line.ends_with(" = 0") {
            started.push(line);
        } else if line.contains("<... execve resumed>") && line.ends_with(" = 0") {
            started.extend(begun.get(process));
        }
    }
    started.retain(|line| !line.contains("/traced/sh\", "));
    started
}

/// An environment with an nginx that notes each of its starts in a file, which is much less work than to trace them.
fn noting_nginx(host: &Host) -> (Vec<(String, String)>, std::path::PathBuf) {
    let starts = host.root.join("starts");
    let bin = host.root.join("noted");
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        "#!/bin/sh\necho nginx >>'{}'\nPATH='{path}'\nexec nginx \"$@\"\n",
        starts.display()
    );
    host.put(&bin.join("nginx"), script.as_bytes(), 0o755);
    let path = format!("{}:{}:{path}", host.shell.bin.display(), bin.display());
    (vec![("PATH".into(), path)], starts)
}

/// From the login to the last word, as the engine does it: the host is read, and the same shell goes on with the transaction,
/// whose check is nginx's own. The host has no containers, as most have none.
#[tokio::test]
async fn a_rollout_of_one_pair_with_nginx_starts_few_programs() {
    let there = |program: &str| Command::new(program).arg("-V").output().is_ok();
    if !may_mount() || !there("strace") || !there("nginx") {
        crate::common::skip("no strace or no nginx here: not counted");
        return;
    }
    let authority = Authority::new("Budget");
    for shell in shells() {
        let mut host = Host::new(shell);
        let config = host.root.join("nginx.conf");
        let (cert, key) = (host.dir.join("cert.pem"), host.dir.join("key.pem"));
        let text = format!(
            "error_log stderr; pid {0}/pid;\nevents {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:443 ssl; \
             ssl_certificate {1}; ssl_certificate_key {2}; }} }}\n",
            host.root.display(),
            cert.display(),
            key.display()
        );
        host.put(&config, text.as_bytes(), 0o644);
        let config = config.to_str().unwrap().to_owned();
        let check = timed(&["nginx", "-t", "-q", "-c", &config], 60);
        // Without a filter of the kernel's, which the program would find and look more closely.
        let out = counted_by(&mut host, "unshare -m -p --fork --mount-proc strace");
        let counted = std::mem::take(&mut host.environment);
        let (noted, starts) = noting_nginx(&host);
        let mut programs = Vec::new();
        // The directories are there after the first, and from the third on a generation has to go: that one is counted.
        for round in 0..3 {
            let is_counted = round == 2;
            host.environment = if is_counted { counted.clone() } else { noted.clone() };
            let new = authority.leaf(&["www.example.net"]);
            let files = [
                host.file(
                    "cert.pem",
                    format!("{}{}", new.pem, new.intermediate_pem).as_bytes(),
                    FileRole::Certificate,
                ),
                host.file("key.pem", new.key_pem.as_bytes(), FileRole::Key),
            ];
            let mut request = host.request_for(files.to_vec());
            request.services[0].reload = Some(timed(&["/bin/echo", "signal process started"], 60));
            request.services[0].validate.push(ValidateStep {
                private_net: true,
                command: check.command.clone(),
                ..super::causes::check(&["true"], ValidateVia::MountNamespace)
            });
            request.backups = 1;
            let inspection = Inspection {
                variants: vec![InspectionVariant {
                    files: vec![host.path("key.pem"), host.path("cert.pem")],
                    programs: vec!["nginx".to_owned()],
                    running: vec![RunningCheck::Process("nginx".to_owned())],
                    commands: vec![InspectCommand {
                        command: check.clone(),
                        in_container: None,
                        for_user_of: None,
                        only_if_running: None,
                        unless_mounts: true,
                    }],
                    ..InspectionVariant::default()
                }],
                boot_guard: false,
                dirs: Some(host.dirs()),
            };
            let shell_there = host.sh().await.into();
            let (facts, shell_there) = remote::inspect_in(shell_there, &inspection).await.unwrap();
            assert!(
                facts.commands[0].skipped,
                "{}: nginx runs on the staged files alone",
                shell.name
            );
            let begun = Transaction::begin(shell_there, request).await;
            let (mut transaction, _) = begun.unwrap();
            transaction.commit().await.unwrap();
            transaction.confirm().await.unwrap();
            if !is_counted {
                assert_eq!(std::fs::read_to_string(&starts).unwrap(), "nginx\n", "{}", shell.name);
                std::fs::remove_file(&starts).unwrap();
                continue;
            }
            let text = std::fs::read_to_string(&out).unwrap();
            let started = programs_in(&text);
            let nginx = started.iter().filter(|line| line.contains("/nginx\", ["));
            assert_eq!(nginx.count(), 1, "{}: {text}", shell.name);
            programs = started
                .into_iter()
                .map(|line| line.chars().take(160).collect::<String>())
                .collect();
        }
        // The guard starts one a second: on a slow machine more.
        let sleeps = programs.iter().filter(|line| line.contains("[\"sleep\", ")).count();
        let count = programs.len() - sleeps.saturating_sub(1) + LOGIN;
        eprintln!("{:8} {count} programs, the login's own included", shell.name);
        let all = programs.join("\n");
        assert!(count <= MOST_PROGRAMS, "{}: {count}\n{all}", shell.name);
    }
}

#[tokio::test]
async fn no_byte_of_a_key_is_ever_an_argument_or_in_an_environment() {
    if !may_mount() || Command::new("strace").arg("-V").output().is_err() {
        crate::common::skip("no strace here: not looked");
        return;
    }
    for shell in shells() {
        for key in
            [&b"-----BEGIN KEY-----\nMARKEDKEYBYTES\n-----END KEY-----\n"[..], b"MARKEDKEYBYTES\0"]
        {
            let mut host = Host::new(shell);
            let out = counted(&mut host);
            let mut request = host.request_for(vec![
                host.file("cert.pem", NEW_CERT, FileRole::Certificate),
                host.file("key.pem", key, FileRole::Key),
            ]);
            request.backups = 1;
            host.apply(request).await.unwrap();
            let text = std::fs::read_to_string(out).unwrap();
            assert!(text.contains("certs/key.pem"), "{}: arguments are seen", shell.name);
            assert!(!text.contains("MARKEDKEY"), "{}", shell.name);
            assert!(!text.contains("TUFSS0VES0VZ"), "{}: as base64", shell.name);
        }
    }
}
