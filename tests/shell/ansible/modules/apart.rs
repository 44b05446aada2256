//! Accounts and services: both programs work in mount namespaces of their own, each with a copy of `/etc`.

use super::shown;
use crate::ansible::oracle::Driver;
use crate::ansible::playbooks::{self, Story};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command for those words that are added to it: in a mount namespace of its own, in which `/etc` is another directory and
/// `/run` is empty, but for what is made there. Accounts and services are changed there alone.
fn apart(etc: &Path, made: &str) -> Command {
    let script = "mount --bind \"$0\" /etc && mount -t tmpfs none /run && { [ -z \"$1\" ] || mkdir -p \"$1\"; } && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(etc).arg(made);
    command
}

/// Copies what programs for accounts read and write.
fn copy_of_etc(to: &Path) {
    std::fs::create_dir(to).expect("a directory");
    let copied = Command::new("sh")
        .args(["-c", "cp -a /etc/. \"$0\"/", &to.display().to_string()])
        .status()
        .expect("cp runs");
    assert!(copied.success());
}

const ACCOUNTS: &str = "group: {name: crtest, gid: 4711}
         group: {name: crtest, gid: 4711}
         group: {name: crtest, gid: 4712}
         group: {name: crmore}
         user: {name: cruser, uid: 4711, group: crtest, shell: /bin/sh, home: '{{ D }}/home', comment: A user}
         user: {name: cruser, uid: 4711, group: crtest, shell: /bin/sh, home: '{{ D }}/home', comment: A user}
         user: {name: cruser, groups: [crmore], append: true}
         user: {name: cruser, groups: crmore, append: true}
         user: {name: cruser, groups: [], comment: Another}
         user: {name: cruser, password: '$6$salt$hash'}
         user: {name: cruser, password: '$6$salt$hash'}
         user: {name: cruser, password: '$6$salt$other', update_password: on_create}
         user: {name: crsystem, system: true, create_home: false, shell: /usr/sbin/nologin}
         user: {name: crbad, group: nosuchgroup}
         user: {name: cruser, state: absent, remove: true}
         user: {name: cruser, state: absent}
         group: {name: crtest, state: absent}
         group: {name: crtest, state: absent}";

/// How a run went, and the `/etc` that it left.
pub(super) struct Apart {
    pub(super) story: Story,
    text: String,
    _directory: tempfile::TempDir,
    etc: PathBuf,
}

/// Runs tasks by both programs, each with an `/etc` of its own that `prepare` has been at.
pub(super) fn both_apart(tasks: &str, prepare: impl Fn(&Path)) -> Option<(Apart, Apart)> {
    let run = |ours: bool| {
        let directory = tempfile::tempdir().expect("a directory");
        let etc = directory.path().join("etc");
        copy_of_etc(&etc);
        prepare(&etc);
        let head = format!(
            "- hosts: all\n  gather_facts: false\n  vars: {{D: {}}}\n  tasks:\n",
            directory.path().display()
        );
        std::fs::write(directory.path().join("site.yml"), head + tasks).expect("a file");
        std::fs::write(directory.path().join("hosts"), "one\n").expect("a file");
        let mut command = apart(&etc, "");
        let (story, text) = if ours {
            let words = ["apply", "-o", "json", "-i", "hosts", "-e", "ansible_connection=local"];
            command.arg(env!("CARGO_BIN_EXE_certroll")).args(words).arg("site.yml");
            let output = command.current_dir(directory.path()).output().expect("unshare runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (playbooks::ours(&playbooks::events(&text)), text)
        } else {
            let mut ansible = Driver::start(Some(command))?;
            let python = ansible.python().display();
            let local = format!("ansible_connection=local ansible_python_interpreter={python}");
            let words = ["-i", "hosts", "-e", &local, "site.yml"];
            let answer = ansible.ask("ansible-playbook", &words, directory.path());
            (playbooks::theirs(&answer), answer.stdout)
        };
        Some(Apart { story, text, _directory: directory, etc })
    };
    Some((run(false)?, run(true)?))
}

/// The same tasks ended alike, and those that did not fail registered the same.
#[track_caller]
fn same_results(theirs: &Apart, ours: &Apart) {
    let (theirs, ours) = ((&theirs.story, &theirs.text), (&ours.story, &ours.text));
    assert_eq!(ours.0.steps, theirs.0.steps, "{}\n{}", theirs.1, ours.1);
    let failed = |task: &str| {
        theirs.0.steps.contains(&format!("{} one ignored", task.replacen('s', "t", 1)))
    };
    // Each has a directory of its own.
    let plain = |said: &Json| {
        let text = said.to_string();
        let after = |part: &str| part.split_once('/').map_or(part, |(_, rest)| rest).to_owned();
        text.split("/tmp/").map(after).collect::<String>()
    };
    for (place, said) in theirs.0.said.iter().filter(|((task, _), _)| !failed(task)) {
        assert_eq!(ours.0.said.get(place).map(plain), Some(plain(said)), "{place:?}");
    }
    assert!(theirs.0.said.len() >= 10, "{}", theirs.1);
}

#[test]
fn accounts_come_and_go() {
    let keys = "['changed', 'failed', 'name', 'state', 'uid', 'gid', 'home', 'shell', 'comment', 'group', 'append', 'move_home', \
                'groups', 'create_home', 'system', 'remove', 'force', 'password']";
    let Some((theirs, ours)) = both_apart(&shown(ACCOUNTS, keys), |_| {}) else { return };
    same_results(&theirs, &ours);
    // Without the days of passwords.
    let left = |end: &Apart| {
        ["passwd", "group", "shadow"].map(|name| {
            let text = std::fs::read_to_string(end.etc.join(name)).expect("a file");
            let fields = if name == "shadow" { 2 } else { 9 };
            let kept = |line: &str| line.split(':').take(fields).collect::<Vec<_>>().join(":");
            let lines = text.lines().filter(|line| line.starts_with("cr"));
            lines.map(kept).collect::<Vec<_>>()
        })
    };
    assert_eq!(left(&ours), left(&theirs));
    assert_eq!(left(&ours)[0].len(), 1, "crsystem is left");
}

/// A service of the old kind, which writes down what it was told.
const PROBE: &str = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: crprobe\n# Required-Start:\n# Required-Stop:\n\
    # Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n# Short-Description: keeps a word in a file\n### END INIT INFO\n\
    echo \"$1\" >>/etc/crprobe.log\ncase $1 in\nstart|restart) echo up >/etc/crprobe.state;;\nstop) rm -f /etc/crprobe.state;;\n\
    reload) test -e /etc/crprobe.state;;\n\
    status) if test -e /etc/crprobe.state; then echo 'crprobe is running'; else echo 'crprobe is stopped'; exit 3; fi;;\nesac\n";

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn services_of_the_old_kind_are_told() {
    let tasks = shown(
        "service: {name: crprobe, state: started}
         service: {name: crprobe, state: started}
         service: {name: crprobe, state: restarted}
         service: {name: crprobe, state: reloaded}
         service: {name: crprobe, enabled: true}
         service: {name: crprobe, enabled: true}
         service: {name: crprobe, enabled: false, state: stopped}
         service: {name: crprobe, enabled: false, state: stopped}
         service: {name: crnone, state: started}
         service: {name: crprobe, state: restarted}",
        "['changed', 'failed', 'name', 'state', 'enabled']",
    );
    let prepare = |etc: &Path| executable(&etc.join("init.d/crprobe"), PROBE);
    let Some((theirs, ours)) = both_apart(&tasks, prepare) else { return };
    same_results(&theirs, &ours);
    let log = std::fs::read_to_string(ours.etc.join("crprobe.log")).expect("a log");
    let told: Vec<&str> = log.lines().filter(|word| *word != "status").collect();
    // Ansible restarts by `stop` and `start`.
    assert_eq!(told, ["start", "restart", "reload", "stop", "start"]);
    let links = |end: &Apart| {
        let names = (0..=6).map(|level| end.etc.join(format!("rc{level}.d")));
        let entries =
            names.flat_map(|directory| std::fs::read_dir(directory).expect("a directory"));
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().contains("crprobe")).collect::<BTreeSet<_>>()
    };
    assert_eq!(links(&ours), links(&theirs));
}

/// systemd runs in no container of tests: a fake `systemctl` with one unit, which keeps its state in files.
const SYSTEMCTL: &str = "#!/bin/sh\ncd /etc/fake || exit 9\necho \"$*\" >>log\nfor unit; do :; done\ncase $1 in\n\
    show) [ \"$unit\" = probe ] || { echo LoadState=not-found; echo ActiveState=inactive; exit 0; }\n\
    echo LoadState=loaded; if [ -e up ]; then echo ActiveState=active; else echo ActiveState=inactive; fi; echo Id=probe.service;;\n\
    is-enabled) [ -e wanted ];;\nstart|restart) [ ! -e broken ] || { echo 'Job failed.' >&2; exit 1; }; >up;;\nstop) rm -f up;;\nreload) [ -e up ];;\n\
    enable) >wanted;;\ndisable) rm -f wanted;;\ndaemon-reload) ;;\n*) exit 8;;\nesac\n";

#[test]
fn units_of_systemd_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let (etc, bin) = (directory.path().join("etc"), directory.path().join("bin"));
    copy_of_etc(&etc);
    std::fs::create_dir_all(etc.join("fake")).expect("a directory");
    std::fs::create_dir(&bin).expect("a directory");
    executable(&bin.join("systemctl"), SYSTEMCTL);
    let site = "- hosts: all\n  tasks:\n  \
        - {name: begin, systemd: {name: probe, state: started, enabled: true, daemon_reload: true}, register: r}\n  \
        - {name: status, debug: {msg: '{{ r.status.ActiveState }} {{ r.state }} {{ r.enabled }}'}}\n  \
        - {name: again, service: {name: probe, state: started, enabled: true}}\n  \
        - {name: load, service: {name: probe, state: reloaded}}\n  \
        - {name: end, systemd_service: {name: probe, state: stopped}}\n  \
        - {name: none, systemd: {name: other, state: started}, ignore_errors: true}\n  \
        - {name: break, file: {path: /etc/fake/broken, state: touch}}\n  \
        - {name: fails, systemd: {name: probe, state: restarted}}\n";
    std::fs::write(directory.path().join("site.yml"), site).expect("a file");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let certroll = |verb: &str| {
        let words = ["-o", "json", "-i", "one,", "-e", "ansible_connection=local", "site.yml"];
        let output = apart(&etc, "/run/systemd/system")
            .args([env!("CARGO_BIN_EXE_certroll"), verb])
            .args(words)
            .current_dir(directory.path())
            .env("PATH", &path)
            .output()
            .expect("unshare runs");
        playbooks::ours(&playbooks::events(&String::from_utf8_lossy(&output.stdout)))
    };
    let log = || {
        let text = std::fs::read_to_string(etc.join("fake/log")).unwrap_or_default();
        let told = text
            .lines()
            .filter(|line| !line.starts_with("show") && !line.starts_with("is-enabled"));
        told.map(str::to_owned).collect::<Vec<_>>()
    };
    let planned = certroll("plan");
    assert_eq!(log(), Vec::<String>::new(), "a plan tells no service anything");
    assert_eq!(planned.steps[0], "begin one changed", "{:?}", planned.steps);
    let done = certroll("apply");
    let ends = [
        "begin one changed",
        "status one ok",
        "again one ok",
        "load one changed",
        "end one changed",
        "none one ignored",
        "break one changed",
        "fails one failed",
    ];
    assert_eq!(done.steps, ends);
    let said = done.said.get(&("status".to_owned(), "one".to_owned()));
    assert_eq!(said, Some(&Json::from("active started True")));
    assert_eq!(
        log(),
        [
            "daemon-reload",
            "enable -- probe",
            "start -- probe",
            "reload -- probe",
            "stop -- probe",
            "start -- probe"
        ]
    );
}
