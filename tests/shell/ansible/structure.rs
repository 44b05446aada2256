//! How playbooks are put together: blocks, included and imported files, roles, imported playbooks, handlers of all
//! of these. Both programs run the same; what ran where, in which order, and what was said is compared.

use super::playbooks::{both, same_story};
use crate::ansible::oracle::{Ansible, Site, flags};
use std::process::Command;

const THREE: &str = "[web]\na\nb\n[db]\nc\n";

fn play(rest: &str) -> String {
    format!("- hosts: all\n  gather_facts: false\n{rest}")
}

#[test]
fn a_block_rescues_and_always_is_always() {
    let site = play(
        "  tasks:\n  - name: outer\n    when: inventory_hostname != 'c'\n    vars: {word: block}\n    block:\n    \
         - {name: first, debug: {msg: '{{ word }}'}}\n    \
         - {name: breaks, fail: {msg: broken}, when: inventory_hostname == 'a'}\n    \
         - {name: after, debug: {msg: hi}}\n    rescue:\n    \
         - {name: saves, debug: {msg: '{{ ansible_failed_task.name }} {{ ansible_failed_result.msg }}'}}\n    \
         - {name: changes, debug: {msg: hi}, changed_when: true, notify: told}\n    always:\n    \
         - {name: ends, debug: {msg: hi}}\n  - {name: goes on, debug: {msg: hi}}\n  \
         - block:\n    - block:\n      - {name: deep, fail: {msg: broken}, when: inventory_hostname == 'b'}\n      always:\n      \
         - {name: inner always, debug: {msg: hi}}\n    - {name: not for b, debug: {msg: hi}}\n    rescue:\n    \
         - {name: outer rescue, debug: {msg: hi}}\n  - block:\n    - {name: lost, fail: {msg: broken}, when: inventory_hostname == 'c'}\n    \
         rescue:\n    - {name: breaks too, fail: {msg: broken}}\n    - {name: never, debug: {msg: hi}}\n    always:\n    \
         - {name: at last, debug: {msg: hi}}\n  - {name: the end, debug: {msg: hi}}\n  handlers:\n  \
         - {name: told, debug: {msg: hi}}\n",
    );
    same_story(&[("hosts", THREE), ("site.yml", &site)], &[], 2);
    // The recap counts alike.
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", THREE), ("site.yml", &site)], &[]);
    let summary = run.events.iter().find(|event| event["event"] == "summary").expect("a summary");
    for host in ["a", "b", "c"] {
        let line = run.answer.stdout.lines().find(|line| line.starts_with(&format!("{host} ")));
        let line = line.expect("a line of the recap");
        for word in ["ok", "changed", "failed", "rescued", "ignored"] {
            let theirs =
                line.split(&format!("{word}=")).nth(1).and_then(|rest| rest.split(' ').next());
            let ours = summary["hosts"][host][word].to_string();
            assert_eq!(Some(ours.as_str()), theirs, "{host} {word}: {line}");
        }
    }
}

/// Where hosts loop over different items, Ansible's order is that in which their results arrive: here it is one list.
#[test]
fn files_and_roles_are_taken_in() {
    let files = [
        ("hosts", THREE),
        (
            "site.yml",
            "- hosts: all\n  gather_facts: false\n  tags: [play]\n  vars: {from: play, shared: play}\n  pre_tasks:\n  \
             - {name: pre, debug: {msg: '{{ web_port }} {{ shared }}'}, changed_when: true, notify: restart web}\n  roles:\n  \
             - role: web\n    number: 81\n    tags: [r]\n  - {role: web, vars: {inline: two}}\n  - web\n  - web\n  tasks:\n  \
             - import_tasks: tasks/plain.yml\n    when: inventory_hostname != 'c'\n    vars: {from: import}\n    tags: [i]\n  \
             - include_tasks: tasks/plain.yml\n    when: inventory_hostname == 'c'\n    vars: {from: include}\n  \
             - name: looped\n    include_tasks: tasks/item.yml\n    loop: [x, y]\n    \
             loop_control: {loop_var: thing}\n  - include_role: {name: other, tasks_from: extra}\n    vars: {given: '1'}\n  \
             - import_role: {name: other}\n  - {name: last, debug: {msg: '{{ web_port }} {{ web_var }}'}, changed_when: true, notify: 'web : restart web'}\n  \
             handlers:\n  - {name: own, debug: {msg: own}, listen: everything}\n",
        ),
        (
            "tasks/plain.yml",
            "- {name: 'plain {{ from }}', debug: {msg: '{{ from }}'}}\n- include_tasks: deeper/more.yml\n",
        ),
        (
            "tasks/deeper/more.yml",
            "- {name: more, debug: {msg: '{{ from }}'}}\n- import_tasks: again.yml\n",
        ),
        ("tasks/deeper/again.yml", "- {name: again, debug: {msg: '{{ from }}'}}\n"),
        (
            "tasks/item.yml",
            "- {name: thing, debug: {msg: '{{ thing }} {{ inventory_hostname }}'}}\n",
        ),
        ("roles/web/defaults/main.yml", "web_port: 80\nnumber: 1\ninline: one\n"),
        ("roles/web/vars/main.yml", "web_var: role\nshared: role\n"),
        (
            "roles/web/tasks/main.yml",
            "- {name: web, debug: {msg: '{{ number }} {{ inline }} {{ role_name }} {{ base }} {{ from }}'}, changed_when: true, notify: [restart web, everything]}\n\
             - {name: file, debug: {msg: \"{{ lookup('file', 'a.txt') }}\"}}\n- include_tasks: '{{ inventory_hostname }}.yml'\n  when: inventory_hostname == 'a'\n\
             - include_vars: extra.yml\n- {name: extra, debug: {msg: '{{ extra }}'}}\n",
        ),
        ("roles/web/tasks/a.yml", "- {name: only a, debug: {msg: hi}, tags: [deep]}\n"),
        ("roles/web/vars/extra.yml", "extra: from the role\n"),
        ("roles/web/files/a.txt", "text of the role\n"),
        (
            "roles/web/handlers/main.yml",
            "- {name: restart web, debug: {msg: '{{ web_port }}'}}\n- {name: hears, debug: {msg: heard}, listen: everything}\n",
        ),
        ("roles/web/meta/main.yml", "dependencies:\n- base\n- {role: base, base: other}\n"),
        ("roles/base/defaults/main.yml", "base: default\n"),
        ("roles/base/tasks/main.yml", "- {name: base, debug: {msg: '{{ base }} {{ web_var }}'}}\n"),
        (
            "roles/other/tasks/main.yml",
            "- {name: other, debug: {msg: '{{ mine }}'}, changed_when: true, notify: other}\n",
        ),
        (
            "roles/other/tasks/extra.yml",
            "- {name: extra, debug: {msg: '{{ given }} {{ mine }}'}, changed_when: true, notify: other}\n",
        ),
        ("roles/other/defaults/main.yml", "mine: of other\n"),
        ("roles/other/handlers/main.yml", "- {name: other, debug: {msg: other}}\n"),
    ];
    same_story(&files, &[], 0);
    for more in [["--tags", "r"], ["--tags", "i"], ["--tags", "deep"], ["--skip-tags", "r,i"]] {
        same_story(&files, &more, 0);
    }
    same_story(&files, &["--start-at-task", "looped"], 0);
    // What is listed.
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&files);
    let sources = site.sources(&["hosts"]);
    for more in [&["--list-tasks"][..], &["--list-tags"], &["--list-tasks", "--tags", "r"]] {
        let mut args = flags(&sources);
        args.extend(more);
        args.push("site.yml");
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
fn playbooks_are_imported() {
    let files = [
        ("hosts", THREE),
        (
            "site.yml",
            "- import_playbook: sub/one.yml\n  vars: {word: imported}\n  tags: [x]\n  when: inventory_hostname != 'c'\n\
             - hosts: web\n  gather_facts: false\n  tasks:\n  - {name: own, debug: {msg: '{{ seen }}'}}\n",
        ),
        (
            "sub/one.yml",
            "- hosts: all\n  gather_facts: false\n  vars: {word: play}\n  vars_files: [v.yml]\n  tasks:\n  \
             - {name: one, debug: {msg: '{{ word }} {{ v }}'}}\n  - set_fact: {seen: yes}\n  - include_tasks: t.yml\n  roles: [near]\n",
        ),
        ("sub/v.yml", "v: beside\n"),
        ("sub/t.yml", "- {name: beside, debug: {msg: hi}}\n"),
        ("sub/roles/near/tasks/main.yml", "- {name: near, debug: {msg: hi}}\n"),
    ];
    same_story(&files, &[], 0);
    same_story(&files, &["--tags", "x"], 0);
}

#[test]
fn failures_in_included_files_name_the_way() {
    let site = Site::new(&[
        ("hosts", THREE),
        ("site.yml", "- hosts: all\n  roles: [web]\n"),
        ("roles/web/tasks/main.yml", "- import_tasks: part.yml\n"),
        (
            "roles/web/tasks/part.yml",
            "- debug: {msg: hi}\n- comand: ls\n- include_tasks: nowhere.yml\n",
        ),
    ]);
    let run = |verb: &str| {
        let ended = Command::new(env!("CARGO_BIN_EXE_certroll"))
            .args([verb, "-i", "hosts", "-e", "ansible_connection=local", "site.yml"])
            .current_dir(site.path())
            .output()
            .expect("certroll runs");
        let text = [ended.stdout, ended.stderr].concat();
        (ended.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, text) = run("plan");
    assert_eq!(code, Some(1), "{text}");
    for words in [
        "roles/web/tasks/part.yml:2:3",
        "did you mean 'command'?",
        "included from roles/web/tasks/main.yml:1",
        "included from site.yml:2",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    std::fs::write(site.path().join("roles/web/tasks/part.yml"), "- include_tasks: nowhere.yml\n")
        .expect("a file");
    let (code, text) = run("plan");
    assert_eq!(code, Some(1), "{text}");
    for words in ["there is no file of tasks 'nowhere.yml'", "for a, b, c", "part.yml:1"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // What fails while it runs names the same.
    let tasks =
        [("main.yml", "- include_tasks: part.yml\n"), ("part.yml", "\n- command: 'false'\n")];
    for (name, text) in tasks {
        std::fs::write(site.path().join("roles/web/tasks").join(name), text).expect("a file");
    }
    let (code, text) = run("apply");
    assert_eq!(code, Some(2), "{text}");
    let words =
        "roles/web/tasks/part.yml:2, included from roles/web/tasks/main.yml:1, from site.yml:2";
    assert!(text.contains(words), "{text}");
}
