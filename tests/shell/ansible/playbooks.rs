//! What a play means: batches, tags, precedence, filters, conditions, handlers. Both programs run the same
//! playbook with `connection: local`.

use crate::ansible::oracle::{Ansible, Answer, Site, flags};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::process::Command;

/// What happened in a run, in words that both programs have.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Story {
    /// `TASK HOST RESULT`, sorted within a task: hosts end in any order.
    pub(super) steps: Vec<String>,
    /// What `debug` said, by task and host.
    pub(super) said: BTreeMap<(String, String), Json>,
}

impl Story {
    fn add(&mut self, steps: &mut Vec<String>) {
        steps.sort();
        self.steps.append(steps);
    }
}

/// Reads the default output of `ansible-playbook`.
pub(super) fn theirs(answer: &Answer) -> Story {
    let mut story = Story::default();
    let (mut task, mut steps) = (String::new(), Vec::new());
    let mut lines = answer.stdout.lines().peekable();
    while let Some(line) = lines.next() {
        let header = ["TASK [", "RUNNING HANDLER [", "PLAY ["];
        if let Some(rest) = header.iter().find_map(|start| line.strip_prefix(start)) {
            story.add(&mut steps);
            task = rest.rsplit_once(']').map_or(rest, |(name, _)| name).to_owned();
        }
        if let Some((_, hosts)) =
            line.strip_prefix("included: ").and_then(|rest| rest.split_once(" for "))
        {
            // The items of a loop stand in a line each.
            let hosts = hosts.split(" => ").next().unwrap_or_default();
            let ends = hosts.split(", ").map(|host| format!("{task} {} ok", host.trim()));
            for end in ends {
                if !steps.contains(&end) {
                    steps.push(end);
                }
            }
            continue;
        }
        let Some((result, rest)) = line.split_once(": [") else { continue };
        let Some((host, rest)) = rest.split_once(']') else { continue };
        let result = match result {
            "ok" | "changed" => result,
            "skipping" => "skipped",
            "fatal" => "failed",
            _ => continue,
        };
        let mut text = rest.split_once("=> ").map_or("", |(_, text)| text).to_owned();
        while text == "{" || text.starts_with("{\n") && !text.ends_with("\n}") {
            let Some(more) = lines.next() else { break };
            // The end of a mapping stands at the margin.
            text.push('\n');
            text.push_str(more);
        }
        let ignored = lines.peek() == Some(&"...ignoring");
        steps.push(format!("{task} {host} {}", if ignored { "ignored" } else { result }));
        if let Ok(body) = serde_json::from_str::<Json>(&text)
            && let Some(message) = body.get("msg").filter(|_| result == "ok")
        {
            story.said.insert((task.clone(), host.to_owned()), message.clone());
        }
    }
    story.add(&mut steps);
    story
}

/// Reads certroll's events.
pub(super) fn ours(events: &[Json]) -> Story {
    let mut story = Story::default();
    let mut steps = Vec::new();
    for event in events {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("task_start") => story.add(&mut steps),
            Some("task_end") => {
                let (task, host, result) = (text("task"), text("host"), text("result"));
                steps.push(format!("{task} {host} {result}"));
                if result == "ok" && event["output"].is_string() {
                    let output = text("output");
                    let value = serde_json::from_str(&output).unwrap_or(Json::String(output));
                    story.said.insert((task, host), value);
                }
            }
            _ => {}
        }
    }
    story.add(&mut steps);
    story
}

/// Events out of `-o json`.
pub(super) fn events(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Runs certroll itself; its events and exit code.
fn certroll(site: &Site, args: &[&str]) -> (Vec<Json>, Option<i32>, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(["apply", "-o", "json"])
        .args(args)
        .current_dir(site.path())
        .output()
        .expect("certroll runs");
    let events = events(&String::from_utf8(ended.stdout).expect("UTF-8"));
    (events, ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

pub(super) struct Both {
    pub(super) theirs: Story,
    pub(super) ours: Story,
    pub(super) events: Vec<Json>,
    pub(super) answer: Answer,
    pub(super) code: Option<i32>,
}

/// Runs `site.yml` of the files on the inventory `hosts` with both.
pub(super) fn both(ansible: &mut Ansible, files: &[(&str, &str)], more: &[&str]) -> Both {
    both_with(ansible, files, more, || {})
}

/// The same, with something to be done between Ansible's run and certroll's.
pub(super) fn both_with(
    ansible: &mut Ansible,
    files: &[(&str, &str)],
    more: &[&str],
    between: impl FnOnce(),
) -> Both {
    let site = Site::new(files);
    let python = ansible.python().display().to_string();
    let local = format!("ansible_connection=local ansible_python_interpreter={python}");
    let sources = site.sources(&["hosts"]);
    let mut args = flags(&sources);
    args.extend(["-e", &local]);
    args.extend(more);
    args.push("site.yml");
    let answer = ansible.ask("ansible-playbook", &args, site.path());
    between();
    let (events, code, stderr) = certroll(&site, &args);
    assert!(events.len() > 2, "{stderr}");
    Both { theirs: theirs(&answer), ours: ours(&events), events, answer, code }
}

#[track_caller]
pub(super) fn same_story(files: &[(&str, &str)], more: &[&str], exit: i64) {
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, files, more);
    assert_eq!(run.ours.steps, run.theirs.steps, "{}\n{}", run.answer.stdout, run.answer.stderr);
    for (place, text) in &run.ours.said {
        assert_eq!(run.theirs.said.get(place), Some(text), "{place:?}");
    }
    assert_eq!(
        (run.answer.code, run.code.map(i64::from)),
        (exit, Some(exit)),
        "{}",
        run.answer.stderr
    );
}

const THREE: &str = "[all:vars]\ng=all\n[web]\na v=host\nb\n[db]\nc\n[web:vars]\ng=web\nw=text\n";

#[test]
fn serial_cuts_the_same_batches() {
    let Some(mut ansible) = Ansible::start() else { return };
    for serial in [
        "3",
        "30%",
        "'39%'",
        "25%",
        "1%",
        "0",
        "-1",
        "100",
        "200%",
        "[1, 3, 5]",
        "[1, 10%, 30%, 100%]",
        "['15%', 4]",
        "[2, 0]",
        "'4'",
    ] {
        let book = format!(
            "- hosts: all\n  gather_facts: false\n  serial: {serial}\n  tasks:\n  - debug: {{msg: \"{{{{ ansible_play_batch }}}}\"}}\n    \
             run_once: true\n    name: batch\n"
        );
        let run = both(&mut ansible, &[("hosts", "h[0:9]\n"), ("site.yml", &book)], &[]);
        let batches = |key: &str| -> Vec<Json> {
            let starts = run.events.iter().filter(|event| event["event"] == "batch_start");
            starts.map(|event| event[key].clone()).collect()
        };
        let theirs: Vec<Json> = run.theirs.said.values().cloned().collect();
        assert_eq!(batches("hosts"), theirs, "serial: {serial}");
        assert_eq!(run.ours, run.theirs, "serial: {serial}");
    }
}

#[test]
fn tags_choose_the_same_tasks() {
    let Some(mut ansible) = Ansible::start() else { return };
    let book = "- hosts: web\n  name: First\n  gather_facts: false\n  tags: [play]\n  pre_tasks:\n  - {name: pre, debug: , tags: x}\n  \
                tasks:\n  - {name: plain, debug: }\n  - {name: both, debug: , tags: [x, y]}\n  - {name: only, debug: , tags: [never, z]}\n  \
                - {name: ever, debug: , tags: always}\n  - {debug: , tags: 'y,z'}\n- hosts: db\n  gather_facts: false\n  tasks:\n  \
                - {name: untagged, debug: }\n  - {name: never, debug: , tags: never}\n  - {name: ever, debug: , tags: [always, q]}\n";
    let site = Site::new(&[("hosts", THREE), ("site.yml", book)]);
    let sources = site.sources(&["hosts"]);
    for more in [
        &[][..],
        &["--tags", "x"],
        &["--tags", "x,z"],
        &["--tags", "play"],
        &["--tags", "all"],
        &["--tags", "never"],
        &["--tags", "tagged"],
        &["--tags", "untagged"],
        &["--tags", "always"],
        &["--tags", "nosuch"],
        &["--skip-tags", "x"],
        &["--skip-tags", "always"],
        &["--skip-tags", "tagged"],
        &["--skip-tags", "untagged"],
        &["--skip-tags", "play"],
        &["--tags", "x,y", "--skip-tags", "z"],
        &["--tags", "z", "--skip-tags", "never"],
    ] {
        let mut args = flags(&sources);
        args.extend(["--list-tasks", "site.yml"]);
        args.extend(more);
        let answer = ansible.ask("ansible-playbook", &args, site.path());
        let ended = Command::new(env!("CARGO_BIN_EXE_certroll"))
            .arg("plan")
            .args(&args)
            .current_dir(site.path())
            .output()
            .expect("certroll runs");
        let own = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(own.trim_end(), answer.stdout.trim_end(), "{more:?}");
    }
}

#[test]
fn listed_hosts_are_the_same() {
    let Some(mut ansible) = Ansible::start() else { return };
    let book = "- hosts: web:db\n  name: First\n  tasks: []\n- hosts: [db, a]\n  tasks: []\n- hosts: all:!web\n";
    let site = Site::new(&[("hosts", THREE), ("site.yml", book)]);
    let sources = site.sources(&["hosts"]);
    for more in [&[][..], &["--limit", "a,c"]] {
        let mut args = flags(&sources);
        args.extend(["--list-hosts", "site.yml"]);
        args.extend(more);
        let names = |text: &str| -> Vec<String> {
            // Ansible lists the hosts of a play in no order.
            let mut plays: Vec<Vec<String>> = Vec::new();
            for line in text.lines() {
                match line.strip_prefix("      ") {
                    Some(host) => plays.last_mut().expect("a play").push(host.to_owned()),
                    // A list of patterns is shown as one here.
                    None => plays.push(vec![line.replace("', '", ",")]),
                }
            }
            plays.iter_mut().for_each(|play| play[1..].sort());
            plays.concat()
        };
        let answer = ansible.ask("ansible-playbook", &args, site.path());
        let ended = Command::new(env!("CARGO_BIN_EXE_certroll"))
            .arg("plan")
            .args(&args)
            .current_dir(site.path())
            .output()
            .expect("certroll runs");
        assert_eq!(
            names(String::from_utf8_lossy(&ended.stdout).trim()),
            names(answer.stdout.trim()),
            "{more:?}"
        );
    }
}

#[test]
fn precedence_is_the_same() {
    let book = "- hosts: all\n  gather_facts: false\n  vars: {p: play, t: play, f: play, e: play, s: play}\n  \
                vars_files: [one.yml, two.yml, [missing.yml, third.yml]]\n  tasks:\n  \
                - name: before\n    debug:\n      msg: {v: '{{ v | default(\"none\") }}', g: '{{ g }}', w: '{{ w | default(\"none\") }}', \
                p: '{{ p }}', t: '{{ t }}', f: '{{ f }}', e: '{{ e }}', h: '{{ h | default(\"none\") }}'}\n    vars: {t: task, e: task}\n  \
                - set_fact: {s: fact, g: 'fact-{{ inventory_hostname }}'}\n  - debug: {msg: registered}\n    register: r\n  \
                - name: after\n    debug: {msg: {s: '{{ s }}', g: '{{ g }}', r: '{{ r.msg }}', e: '{{ e }}', o: '{{ hostvars.a.g }}'}}\n    \
                vars: {s: task, r: {msg: task}}\n  - name: loops\n    debug: {msg: {i: '{{ item }}', v: '{{ x }}'}}\n    vars: {x: '{{ item ~ 1 }}'}\n    \
                loop: [1]\n";
    let files = [
        ("hosts", THREE),
        ("site.yml", book),
        ("one.yml", "f: one\np: one\n"),
        ("two.yml", "f: two\n"),
        ("third.yml", "f3: third\n"),
        ("group_vars/all.yml", "g: file\nh: all\n"),
        ("group_vars/db.yml", "h: db\n"),
        ("host_vars/b.yml", "h: b\nv: b\n"),
    ];
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &files, &["-e", "e=extra"]);
    let said = |story: &Story, task: &str| -> Vec<Json> {
        let of = story.said.iter().filter(|((name, _), _)| name == task);
        of.map(|((_, host), value)| json!([host, value])).collect()
    };
    for task in ["before", "after"] {
        assert_eq!(said(&run.ours, task), said(&run.theirs, task), "{}", run.answer.stdout);
        assert_eq!(said(&run.ours, task).len(), 3);
    }
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}

#[test]
fn conditions_handlers_and_failures_go_the_same_way() {
    let book = "- hosts: all\n  gather_facts: false\n  tasks:\n  \
                - {name: when, debug: {msg: hi}, when: inventory_hostname == 'a'}\n  \
                - {name: whens, debug: {msg: hi}, when: [inventory_hostname != 'a', \"'web' in group_names\"]}\n  \
                - {name: changed, debug: {msg: hi}, changed_when: inventory_hostname == 'b', notify: [told, group]}\n  \
                - {name: failed when, debug: {msg: hi}, failed_when: inventory_hostname == 'c', ignore_errors: true}\n  \
                - {name: asserts, assert: {that: [\"inventory_hostname in ['a', 'b', 'c']\"]}}\n  \
                - {name: once, debug: {msg: hi}, run_once: true}\n  - meta: flush_handlers\n  \
                - {name: fails, fail: {msg: no}, when: inventory_hostname == 'a'}\n  \
                - {name: rest, debug: {msg: hi}, changed_when: true, notify: [other]}\n  \
                handlers:\n  - {name: other, debug: {msg: other}}\n  - {name: told, debug: {msg: told}}\n  \
                - {name: listening, debug: {msg: heard}, listen: group}\n  - {name: silent, debug: {msg: never}}\n";
    same_story(&[("hosts", THREE), ("site.yml", book)], &[], 2);
}

#[test]
fn stopping_rules_stop_at_the_same_place() {
    for rule in [
        "any_errors_fatal: true",
        "max_fail_percentage: 30",
        "max_fail_percentage: 34",
        "serial: 1",
        "serial: 2",
    ] {
        let book = format!(
            "- hosts: all\n  gather_facts: false\n  {rule}\n  tasks:\n  - {{name: one, fail: {{msg: no}}, when: inventory_hostname == 'a'}}\n  \
             - {{name: two, debug: {{msg: hi}}}}\n- hosts: db\n  gather_facts: false\n  tasks:\n  - {{name: three, debug: {{msg: hi}}}}\n"
        );
        same_story(&[("hosts", THREE), ("site.yml", &book)], &[], 2);
    }
}

#[test]
fn commands_report_the_same() {
    let book = "- hosts: a\n  gather_facts: false\n  environment: {CT_A: one}\n  tasks:\n  \
                - {name: run, command: \"sh -c 'echo out; echo err >&2; exit 3'\", register: r, ignore_errors: true}\n  \
                - {name: seen, debug: {msg: {rc: '{{ r.rc }}', out: '{{ r.stdout }}', err: '{{ r.stderr }}', l: '{{ r.stdout_lines }}', f: '{{ r is failed }}'}}}\n  \
                - {name: shell, shell: 'echo $CT_A-{{ inventory_hostname }} | tr a-z A-Z', register: s, changed_when: false}\n  \
                - {name: said, debug: {msg: '{{ s.stdout }}'}}\n  - {name: there, command: echo no, args: {creates: /}}\n  \
                - {name: argv, command: {argv: [echo, \"a  b\", x], chdir: /}, register: t}\n  - {name: words, debug: {msg: '{{ t.stdout }}'}}\n  \
                - {name: again, command: 'false', register: u, until: u.rc == 0, retries: 1, delay: 0, ignore_errors: true}\n  \
                - {name: tries, debug: {msg: {n: '{{ u.rc }}'}}}\n  \
                - {name: judged, command: 'false', register: j, failed_when: false}\n  \
                - {name: verdict, debug: {msg: '{{ j.failed_when_result }}'}}\n";
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", THREE), ("site.yml", book)], &[]);
    for (place, text) in &run.theirs.said {
        assert_eq!(run.ours.said.get(place), Some(text), "{place:?}");
    }
    assert_eq!(run.theirs.said.len(), 5);
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}
