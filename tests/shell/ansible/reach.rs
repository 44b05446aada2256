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

/// Lines of `command` with templates in them, conditions that look at the number of the attempt, an `if` without `else`.
#[test]
fn lines_conditions_and_short_ifs_mean_the_same() {
    let line = |name: &str, line: &str| {
        format!(
            "  - {{name: 'run {name}', command: {line}, register: r}}\n  \
             - {{name: {name}, debug: {{msg: '{{{{ r.cmd }}}}'}}}}\n"
        )
    };
    let lines = [
        ("quoted", r#""echo {{ sp | quote }} x{{ sp|quote }}y '{{ sp }}' \"{{ sp }}\"""#),
        ("listed", r#""echo {{ ['x y', 'z'] | map('quote') | join(' ') }} #end""#),
        ("empty", r#""echo {{ nil }} '{{ nil }}' {{ '--f' if other else '' }} -{{ nil }} end""#),
        ("statement", r#""echo {% if wanted %}--a b{% endif %} {% if other %}c{% endif %} 'd e'""#),
        ("mapping", r#"{cmd: "echo {{ sp | quote }} {{ nil }}"}"#),
        ("words", r#"{argv: [echo, "{{ sp | quote }}", "{{ nil }}"]}"#),
    ];
    let lines: String = lines.iter().map(|(name, text)| line(name, text)).collect();
    let site = format!(
        "- hosts: all\n  gather_facts: false\n  vars: {{sp: a b, nil: '', wanted: true, other: false, l: [1, 2]}}\n  tasks:\n{lines}  \
         - {{name: tries, command: echo hi, register: t, until: t.attempts == 2, \
              retries: 3, delay: 0, changed_when: t.attempts == 2, failed_when: t.attempts > 2 or not t.changed and t.attempts == 2}}\n  \
         - {{name: tried, debug: {{msg: '{{{{ t.attempts }}}} {{{{ t.changed }}}} {{{{ t.failed }}}}'}}}}\n  \
         - {{name: no retries, command: 'false', register: n, until: n.rc == 0, retries: 0, ignore_errors: true}}\n  \
         - {{name: not tried, debug: {{msg: '{{{{ n.attempts is defined }}}} {{{{ n.failed }}}}'}}}}\n  \
         - {{name: order, command: 'false', register: o, changed_when: o.failed, failed_when: not o.changed}}\n  \
         - {{name: ordered, debug: {{msg: '{{{{ o.changed }}}} {{{{ o.failed }}}}'}}}}\n  \
         - {{name: nothing, command: 'echo {{{{ item }}}}', loop: [], register: e}}\n  \
         - {{name: no items, debug: {{var: e}}}}\n  \
         - {{name: over them, debug: {{msg: '{{{{ e.results | map(attribute=\"rc\") | list }}}} {{{{ e is skipped }}}}'}}}}\n  \
         - {{name: short, debug: {{msg: 'x{{{{ 1 if other }}}}y{{{{ 2 if wanted }}}}z'}}}}\n  \
         - {{name: file, debug: {{msg: \"{{{{ lookup('template', 'l.j2') }}}}\"}}}}\n  \
         - {{name: place, debug: {{msg: '{{{{ inventory_dir == playbook_dir }}}}'}}}}\n"
    );
    let template = "{% for i in l %}{{ i }}{{ ', ' if not loop.last }}{% endfor %}.";
    let files = [("hosts", "a\n"), ("site.yml", site.as_str()), ("templates/l.j2", template)];
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &files, &[]);
    assert_eq!(run.theirs.said.len(), 13, "{:?}", run.theirs.said);
    for (place, text) in &run.theirs.said {
        assert_eq!(run.ours.said.get(place), Some(text), "{place:?}: {:?}", run.ours.steps);
    }
}
