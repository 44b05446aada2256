//! How far values reach: from one item of a loop to the next, from files that only a run can name into later plays,
//! and from a role to its handlers' names. Each went differently once.

use super::playbooks::both;
use crate::ansible::oracle::Ansible;

#[test]
fn what_one_item_sets_the_next_one_sees() {
    let site = "- hosts: all\n  gather_facts: false\n  tasks:\n  \
         - {name: add, set_fact: {all: '{{ all | default([]) + [item] }}'}, loop: [a, b, c]}\n  \
         - {name: see, debug: {msg: '{{ all }}'}}\n  \
         - {name: until, set_fact: {sum: '{{ sum | default(0) | int + item }}'}, loop: [1, 2, 3], when: sum | default(0) | int < 3}\n  \
         - {name: sum, debug: {msg: '{{ sum }}'}}\n  \
         - {name: done, command: echo hi creates=/ , register: done}\n  \
         - {name: words, debug: {msg: '{{ done.stdout }} {{ done.rc }}'}}\n  \
         - {name: other, shell: echo hi, args: {executable: /bin/sh}, register: other, changed_when: false}\n  \
         - {name: line, debug: {msg: '{{ other.cmd }}'}}\n  \
         - block:\n    - fail: {msg: no}\n    rescue:\n    \
         - {name: failed, debug: {msg: '[{{ ansible_failed_task.name }}] {{ ansible_failed_task.action }}'}}\n";
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", "a\n"), ("site.yml", site)], &[]);
    for task in ["see", "sum", "words", "line", "failed"] {
        let place = (task.to_owned(), "a".to_owned());
        assert!(run.theirs.said.contains_key(&place), "{task}: {}", run.answer.stdout);
        assert_eq!(run.ours.said.get(&place), run.theirs.said.get(&place), "{task}");
    }
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}

#[test]
fn files_that_a_run_names_and_handlers_that_a_role_names() {
    let site = "- hosts: all\n  gather_facts: false\n  tasks:\n  \
         - {name: named, command: echo words, register: named, changed_when: false}\n  \
         - {name: read, include_vars: '{{ named.stdout }}.yml'}\n  \
         - {name: at once, debug: {msg: '{{ of_file }}'}}\n\
         - hosts: all\n  gather_facts: false\n  roles:\n  - {role: app, word: param}\n  tasks:\n  \
         - {name: later, debug: {msg: '{{ of_file }}'}}\n  \
         - {name: other, debug: {msg: '{{ hostvars.b.of_file }}'}}\n";
    let files = [
        ("hosts", "a\nb\n"),
        ("site.yml", site),
        ("words.yml", "of_file: read\n"),
        ("roles/app/defaults/main.yml", "word: default\n"),
        (
            "roles/app/tasks/main.yml",
            "- {name: tell, debug: {msg: hi}, changed_when: true, notify: 'restart {{ word }}'}\n",
        ),
        (
            "roles/app/handlers/main.yml",
            "- {name: 'restart {{ word }}', debug: {msg: '{{ word }}'}}\n",
        ),
    ];
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &files, &[]);
    // With or without the role's name before it.
    let own = |steps: &[String]| -> Vec<String> {
        steps.iter().map(|step| step.trim_start_matches("app : ").to_owned()).collect()
    };
    assert_eq!(own(&run.ours.steps), own(&run.theirs.steps), "{}", run.answer.stdout);
    for task in ["at once", "later", "other"] {
        let place = (task.to_owned(), "a".to_owned());
        assert!(run.theirs.said.contains_key(&place), "{task}: {}", run.answer.stdout);
        assert_eq!(run.ours.said.get(&place), run.theirs.said.get(&place), "{task}");
    }
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}
