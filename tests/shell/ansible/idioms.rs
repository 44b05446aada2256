//! What authors of playbooks write, run by both: values of earlier plays, handlers with templated names, results
//! of loops, the old forms of arguments, `omit`, who is still in the play. Each went differently once.

use super::playbooks::{both, same_story};
use crate::ansible::oracle::{Ansible, Site, flags};
use std::process::Command;

const TWO: &str = "[web]\na\nb\n";

/// A play over everybody with these tasks, and what follows them.
fn book(rest: &str) -> String {
    format!("- hosts: all\n  gather_facts: false\n{rest}")
}

#[test]
fn values_of_earlier_plays_are_known_later() {
    let site = book(
        "  tasks:\n  - {name: set, set_fact: {z: '{{ inventory_hostname }}1'}}\n  \
         - {name: run, command: echo hi, register: r, changed_when: false}\n  \
         - {name: own, debug: {msg: '{{ hostvars[inventory_hostname].z }}'}}\n",
    ) + &book(
        "  vars: {y: '{{ z }}!'}\n  tasks:\n  - {name: plain, debug: {msg: '{{ y }}'}}\n  \
         - {name: other, debug: {msg: '{{ hostvars[\"a\"].z }} {{ hostvars[\"b\"].r.stdout }}'}}\n  \
         - {name: all, debug: {msg: '{{ groups.web | map(\"extract\", hostvars, \"z\") | list }}'}}\n  \
         - {name: when, debug: {msg: hi}, when: \"hostvars['b'].r.rc == 0\"}\n  \
         - {name: tells, debug: {msg: hi}, when: \"hostvars['b'].nope is defined\"}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", TWO), ("site.yml", &site)], &[]);
    assert_eq!(run.ours.steps, run.theirs.steps, "{}", run.answer.stdout);
    for (place, text) in &run.theirs.said {
        assert_eq!(run.ours.said.get(place), Some(text), "{place:?}");
    }
    assert_eq!(run.theirs.said.len(), 10);
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
    // The same in two playbooks.
    let first = book("  tasks:\n  - {name: set, set_fact: {z: one}}\n");
    let second = book("  tasks:\n  - {name: see, debug: {msg: '{{ z }} {{ hostvars.b.z }}'}}\n");
    let files = [("hosts", TWO), ("first.yml", first.as_str()), ("site.yml", second.as_str())];
    same_story(&files, &["first.yml"], 0);
}

#[test]
fn no_notification_is_lost() {
    let site = book(
        "  vars: {svc: nginx, both: [listed 1, 'listed {{ 1 + 1 }}']}\n  tasks:\n  \
         - {name: one, debug: {msg: hi}, changed_when: true, notify: 'restart {{ svc }}'}\n  \
         - {name: two, debug: {msg: hi}, changed_when: true, notify: restart apache}\n  \
         - {name: items, debug: {msg: '{{ item }}'}, loop: [x, y], changed_when: item == 'x', notify: 'item {{ item }}'}\n  \
         - {name: host, debug: {msg: hi}, changed_when: true, notify: 'of {{ inventory_hostname }}'}\n  \
         - {name: topic, debug: {msg: hi}, changed_when: true, notify: topic}\n  \
         - {name: twice, debug: {msg: hi}, changed_when: true, notify: twice}\n  \
         - {name: idle, debug: {msg: hi}, notify: never}\n  \
         - {name: listed, debug: {msg: hi}, changed_when: true, notify: '{{ both }}'}\n  \
         handlers:\n  - {name: earlier, debug: {msg: earlier}}\n  \
         - {name: 'restart {{ svc }}', debug: {msg: nginx}, changed_when: true, notify: earlier}\n  \
         - {name: restart apache, debug: {msg: apache}}\n  - {name: item x, debug: {msg: x}}\n  \
         - {name: item y, debug: {msg: y}}\n  - {name: of a, debug: {msg: a}}\n  \
         - {name: of b, debug: {msg: b}}\n  - {name: listens, debug: {msg: l}, listen: topic}\n  \
         - {name: twice, debug: {msg: first}}\n  - {name: twice, debug: {msg: second}}\n  \
         - {name: never, debug: {msg: never}}\n  - {name: listed 1, debug: {msg: l}}\n  - {name: listed 2, debug: {msg: l}}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", TWO), ("site.yml", &site)], &[]);
    let handlers = |steps: &[String]| -> Vec<String> {
        let names = ["earlier", "restart", "item ", "of ", "listens", "twice", "never", "listed "];
        let of = steps.iter().filter(|step| names.iter().any(|name| step.starts_with(name)));
        of.cloned().collect()
    };
    assert_eq!(handlers(&run.ours.steps), handlers(&run.theirs.steps), "{}", run.answer.stdout);
    assert!(run.ours.steps.iter().any(|step| step == "earlier a ok"), "{:?}", run.ours.steps);
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}

/// Ansible finds out when the change is made, and then its handler is lost; here nothing is begun.
#[test]
fn a_handler_that_is_not_there_is_found_before_the_change() {
    let site = book(
        "  tasks:\n  - {name: one, debug: {msg: hi}, changed_when: true, notify: 'restart {{ svc }}'}\n  \
         handlers:\n  - {name: restart nginx, debug: {msg: hi}}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&[("hosts", TWO), ("site.yml", &site)]);
    let args = ["-i", "hosts", "-e", "svc=apache ansible_connection=local", "site.yml"];
    let answer = ansible.ask("ansible-playbook", &args, site.path());
    assert_eq!(answer.code, 1, "{}", answer.stdout);
    let ours = certroll(&site, &args, &[]);
    assert_eq!(ours.0, Some(1));
    assert!(ours.2.contains("there is no handler 'restart apache'"), "{}", ours.2);
    assert!(ours.2.contains("site.yml:4:"), "{}", ours.2);
}

#[test]
fn results_of_loops_name_their_items() {
    let site = book(
        "  tasks:\n  - {name: all, command: 'test {{ item.v }} = 1', loop: [{n: x, v: 1}, {n: y, v: 2}], register: r, \
         failed_when: false, changed_when: false, loop_control: {label: '{{ item.n }}'}}\n  \
         - {name: item, debug: {msg: '{{ item.item.n }} {{ item.rc }}'}, loop: '{{ r.results }}', loop_control: {label: x}}\n  \
         - {name: named, debug: {msg: '{{ it }}'}, loop: [1], register: q, loop_control: {loop_var: it, index_var: i}}\n  \
         - {name: see, debug: {msg: '{{ r.msg }} {{ q.results[0].it }} {{ q.results[0].i }} {{ q.results[0].ansible_loop_var }}'}}\n  \
         - {name: some, command: 'test {{ item }} = 1', loop: [1, 2], register: s, ignore_errors: true}\n  \
         - {name: said, debug: {msg: '{{ s.msg }}'}}\n  \
         - {name: none, debug: {msg: hi}, loop: [1], when: false, register: t}\n  \
         - {name: skipped, debug: {msg: '{{ t.msg }} {{ t is skipped }}'}}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", "a\n"), ("site.yml", &site)], &[]);
    for task in ["see", "said", "skipped"] {
        let place = (task.to_owned(), "a".to_owned());
        assert!(run.theirs.said.contains_key(&place), "{}", run.answer.stdout);
        assert_eq!(run.ours.said.get(&place), run.theirs.said.get(&place), "{task}");
    }
    let items: Vec<&str> = run
        .events
        .iter()
        .filter(|event| event["event"] == "task_end" && event["task"] == "item")
        .filter_map(|event| event["output"].as_str())
        .collect();
    assert_eq!(items, ["(x) x 0\n(x) y 1"]);
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}

#[test]
fn old_arguments_mean_the_same() {
    let site = book(
        "  tasks:\n  - {name: there, command: echo no creates=/}\n  - {name: gone, command: echo no removes=/nonexistent}\n  \
         - {name: dir, command: pwd chdir=/usr, register: p}\n  - {name: quoted, shell: 'cd /; pwd chdir=\"/usr\" ; echo a=b', register: q}\n  \
         - {name: said, debug: 'msg=\"{{ p.stdout }} {{ q.stdout }}\"'}\n  - {name: fact, set_fact: 'one=1 two=\"x y\"'}\n  \
         - {name: facts, debug: {msg: '{{ one }} {{ two }}'}}\n  \
         - {name: bash, shell: 'echo $0', args: {executable: /bin/bash}, register: e}\n  \
         - {name: stdin, command: cat, args: {stdin: in, stdin_add_newline: false}, register: i}\n  \
         - {name: shells, debug: {msg: '{{ e.stdout }} {{ i.stdout }}'}}\n  \
         - {name: list, command: echo a b, register: c}\n  - {name: cmd, debug: {msg: '{{ c.cmd }}'}}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", "a\n"), ("site.yml", &site)], &[]);
    for task in ["said", "facts", "shells", "cmd"] {
        let place = (task.to_owned(), "a".to_owned());
        assert!(run.theirs.said.contains_key(&place), "{task}\n{}", run.answer.stdout);
        assert_eq!(run.ours.said.get(&place), run.theirs.said.get(&place), "{task}");
    }
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}

#[test]
fn omit_leaves_keys_out() {
    let site = book(
        "  tasks:\n  - {name: dir, command: pwd, args: {chdir: '{{ nope | default(omit) }}', creates: '{{ omit }}'}}\n  \
         - {name: map, debug: {msg: {a: 1, b: '{{ nope | default(omit) }}', l: [1, '{{ omit }}']}}}\n  \
         - {name: become, debug: {msg: hi}, become_user: '{{ nope | default(omit) }}'}\n  \
         - {name: env, shell: 'echo x$CT_NOPE', environment: {CT_NOPE: '{{ nope | default(omit) }}'}, register: r}\n  \
         - {name: said, debug: {msg: '{{ r.stdout }}'}}\n",
    );
    same_story(&[("hosts", "a\n"), ("site.yml", &site)], &[], 0);
}

#[test]
fn names_are_rendered_and_what_is_undefined_in_them_stops_nothing() {
    let site = book(
        "  tasks:\n  - {name: 'put {{ inventory_hostname }}', debug: {msg: hi}}\n  \
         - {name: 'with {{ w }}', debug: {msg: hi}, vars: {w: x}}\n",
    );
    same_story(&[("hosts", TWO), ("site.yml", &site)], &[], 0);
    let broken = book(
        "  tasks:\n  - {name: 'put {{ nope }}', debug: {msg: hi}}\n  - {name: v, debug: {var: nope}}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", "a\n"), ("site.yml", &broken)], &[]);
    assert_eq!((run.answer.code, run.code), (0, Some(0)), "{}", run.answer.stdout);
}

#[test]
fn the_hosts_of_the_play_are_those_still_in_it() {
    let site = book(
        "  serial: [2, 1]\n  tasks:\n  - {name: fails, fail: {msg: no}, when: inventory_hostname == 'a'}\n  \
         - {name: first, debug: {msg: hi}, when: 'inventory_hostname == ansible_play_batch[0]'}\n  \
         - {name: lists, debug: {msg: ['{{ ansible_play_hosts }}', '{{ ansible_play_batch }}', '{{ play_hosts }}', '{{ ansible_play_hosts_all }}']}}\n",
    );
    same_story(&[("hosts", "a\nb\nc\n"), ("site.yml", &site)], &[], 2);
}

#[test]
fn the_order_of_hosts_is_that_of_the_inventory() {
    let hosts = "all:\n  hosts:\n    canary1:\n    web1:\n    lone:\n  children:\n    canary:\n      hosts:\n        canary1:\n    \
                 web:\n      hosts:\n        web1:\n        web2:\n";
    let site = book(
        "  serial: [1, 100%]\n  tasks:\n  - {name: who, debug: {msg: '{{ ansible_play_batch }}'}}\n",
    );
    same_story(&[("hosts", hosts), ("site.yml", &site)], &[], 0);
}

#[test]
fn a_failed_playbook_keeps_the_next_from_running() {
    let first =
        book("  tasks:\n  - {name: fails, fail: {msg: no}, when: inventory_hostname == 'a'}\n");
    let second = book("  tasks:\n  - {name: later, debug: {msg: hi}}\n");
    let files = [("hosts", TWO), ("first.yml", first.as_str()), ("site.yml", second.as_str())];
    same_story(&files, &["first.yml"], 2);
}

#[test]
fn ignored_failures_count_as_changes_too() {
    let site = book(
        "  tasks:\n  - {name: fails, command: 'false', ignore_errors: true}\n  - {name: ok, debug: {msg: hi}}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &[("hosts", "a\n"), ("site.yml", &site)], &[]);
    let recap = run.answer.stdout.lines().find(|line| line.starts_with("a ")).expect("a recap");
    assert!(recap.contains("ok=2    changed=1") && recap.contains("ignored=1"), "{recap}");
    let summary = &run.events.last().expect("a summary")["hosts"]["a"];
    assert_eq!((&summary["ok"], &summary["changed"]), (&2.into(), &1.into()), "{summary}");
}

#[test]
fn magic_variables_are_the_same() {
    let site = book(
        "  vars: {mine: 1}\n  tasks:\n  - {name: m, debug: {msg: ['{{ inventory_file | basename }}', '{{ ansible_version.major }}', \
         '{{ ansible_verbosity }}', '{{ ansible_config_file is none }}', '{{ ansible_search_path | length > 0 }}', '{{ vars.mine }}', \"{{ vars['mine'] }}\"]}}\n",
    );
    same_story(&[("hosts", "a\n"), ("site.yml", &site)], &[], 0);
}

/// Without its password a vault is an error wherever it is touched; Ansible fails the host, certroll ends before.
#[test]
fn a_vault_that_does_not_open_is_never_undefined() {
    let value = "$ANSIBLE_VAULT;1.1;AES256\n        6162\n";
    for use_of in ["'{{ pass | default(\"\") }}'", "'{{ pass is defined }}'"] {
        let site = book(&format!(
            "  vars:\n    pass: !vault |\n        {value}  tasks:\n  - {{name: uses, debug: {{msg: {use_of}}}}}\n"
        ));
        let Some(mut ansible) = Ansible::start() else { return };
        let site = Site::new(&[("hosts", "a\n"), ("site.yml", &site)]);
        let args = ["-i", "hosts", "-e", "ansible_connection=local", "site.yml"];
        let answer = ansible.ask("ansible-playbook", &args, site.path());
        assert_eq!(answer.code, 2, "{use_of}: {}{}", answer.stdout, answer.stderr);
        let (code, _, stderr) = certroll(&site, &args, &[]);
        assert_eq!(code, Some(1), "{use_of}: {stderr}");
        assert!(stderr.contains("vault"), "{stderr}");
    }
}

#[test]
fn tags_are_listed_as_ansible_lists_them() {
    let site = book(
        "  tags: play\n  tasks:\n  - {debug: , tags: [b, a]}\n  - {debug: , tags: [never, n]}\n  - {debug: , tags: always}\n",
    );
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&[("hosts", "a\n"), ("site.yml", &site)]);
    for more in [&[][..], &["--tags", "a"], &["--skip-tags", "b"]] {
        let args = [&["-i", "hosts", "--list-tags", "site.yml"], more].concat();
        let answer = ansible.ask("ansible-playbook", &args, site.path());
        let (code, stdout, stderr) = certroll(&site, &args, &[]);
        assert_eq!((code, stdout.trim()), (Some(0), answer.stdout.trim()), "{stderr}");
    }
}

/// Settings come from the same places in the same order: the environment, then the file, lists of paths whole.
#[test]
fn an_inventory_of_the_configuration_is_read() {
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&[
        ("ansible.cfg", "[defaults]\ninventory = one, sub/two ; both\n"),
        ("one", "a\n"),
        ("sub/two", "[web]\nb\n"),
    ]);
    // The driver read its own configuration long ago: Ansible is told by -i.
    let both = site.sources(&["one", "sub/two"]);
    let both = flags(&both);
    let answer = ansible.ask("ansible-inventory", &[&both[..], &["--list"]].concat(), site.path());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let (code, stdout, stderr) = program(&site, &["inventory", "--list"], &[]);
    assert_eq!((code, stdout.trim()), (Some(0), answer.stdout.trim()), "{stderr}");
    let (code, stdout, stderr) =
        program(&site, &["inventory", "--graph"], &[("ANSIBLE_INVENTORY", "sub/two,one")]);
    let answer = ansible.ask(
        "ansible-inventory",
        &[&flags(&site.sources(&["sub/two", "one"]))[..], &["--graph"]].concat(),
        site.path(),
    );
    assert_eq!((code, stdout.trim()), (Some(0), answer.stdout.trim()), "{stderr}");
    let graph = ansible.ask(
        "ansible-inventory",
        &[&both[..], &["--graph", "--vars", "web"]].concat(),
        site.path(),
    );
    let (code, stdout, stderr) = program(&site, &["inventory", "--graph", "--vars", "web"], &[]);
    assert_eq!((code, stdout.trim()), (Some(0), graph.stdout.trim()), "{stderr}");
}

fn certroll(
    site: &Site,
    args: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    program(site, &[&["apply"], args].concat(), environment)
}

fn program(
    site: &Site,
    args: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(site.path())
        .output()
        .expect("certroll runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

#[test]
fn loops_by_lookup_do_the_same() {
    let site = book(
        "  vars: {certs: {a.example: {port: 443}, b.example: {port: 8443}}}\n  tasks:\n  \
         - {name: dict, debug: {msg: '{{ item.key }} {{ item.value.port }}'}, with_dict: '{{ certs }}', register: dict}\n  \
         - {name: together, debug: {msg: '{{ item.0 }} {{ item.1 }}'}, with_together: [[a, b], [1, 2]], register: together}\n  \
         - {name: sequence, debug: {msg: '{{ item }}'}, with_sequence: 'start=1 end={{ 1 + 2 }} format=h%02d', register: sequence}\n  \
         - {name: glob, debug: {msg: '{{ item | basename }}'}, with_fileglob: ['*.only', '*.none'], register: glob}\n  \
         - {name: found, debug: {msg: '{{ item | basename }}'}, with_first_found: ['{{ inventory_hostname }}.txt', default.txt], register: found}\n  \
         - {name: paths, debug: {msg: '{{ item | basename }}'}, with_first_found: [{files: [no.txt, default.txt], paths: [nowhere, files]}], register: paths}\n  \
         - {name: skipped, debug: {msg: hi}, with_first_found: [{files: [no.txt], skip: true}]}\n  \
         - {name: file, debug: {msg: '{{ item }}'}, with_file: [default.txt], register: file}\n  \
         - {name: list, debug: {msg: '{{ item }}'}, with_list: [[1, 2], 3], register: list}\n  \
         - {name: items, debug: {msg: '{{ item }}'}, with_items: [[1, 2], 3], register: items}\n  \
         - {name: extended, debug: {msg: '{{ ansible_loop }} {{ ansible_loop_var }} {{ ansible_index_var }}'}, loop: [x, y], register: extended, \
         loop_control: {extended: true, pause: 0.01, index_var: at}}\n  \
         - {name: short, debug: {msg: '{{ ansible_loop.allitems is defined }}'}, loop: [x], register: short, \
         loop_control: {extended: true, extended_allitems: false}}\n  \
         - {name: includes, include_tasks: one.yml, with_dict: '{{ certs }}', loop_control: {loop_var: cert, extended: true}}\n  \
         - {name: see, debug: {msg: '{{ dict.results | map(attribute=\"msg\") | list }} {{ together.results | map(attribute=\"msg\") | list }} \
         {{ sequence.results | map(attribute=\"msg\") | list }} {{ glob.results | map(attribute=\"msg\") | list }} {{ found.results | map(attribute=\"msg\") | list }} \
         {{ paths.results | map(attribute=\"msg\") | list }} {{ file.results | map(attribute=\"msg\") | list }} {{ list.results | map(attribute=\"msg\") | list }} \
         {{ items.results | map(attribute=\"msg\") | list }} {{ extended.results | map(attribute=\"msg\") | list }} {{ short.results | map(attribute=\"msg\") | list }}'}}\n",
    );
    let files = [
        ("hosts", TWO),
        ("site.yml", site.as_str()),
        ("one.yml", "- {name: one, debug: {msg: '{{ cert.key }} {{ ansible_loop.index }}'}}\n"),
        ("files/a.txt", "of a\n"),
        ("files/default.txt", "default\n"),
        ("files/one.only", ""),
    ];
    let Some(mut ansible) = Ansible::start() else { return };
    let run = both(&mut ansible, &files, &[]);
    for (place, text) in
        run.theirs.said.iter().filter(|((task, _), _)| task == "see" || task == "one")
    {
        assert_eq!(run.ours.said.get(place), Some(text), "{place:?}");
    }
    let seen = run.theirs.said.get(&("see".to_owned(), "a".to_owned())).expect("it is said");
    for part in ["a.example 443", "a 1", "h03", "one.only", "a.txt", "default.txt", "revindex0"] {
        assert!(seen.as_str().is_some_and(|seen| seen.contains(part)), "{part}: {seen}");
    }
    assert_eq!((run.answer.code, run.code), (0, Some(0)));
}

#[test]
fn results_of_commands_have_the_same_shape() {
    let site = r#"- hosts: all
  gather_facts: false
  environment: {CT_PLAY: one}
  tasks:
  - {name: runs, command: echo hi, register: r}
  - name: its shape
    debug: {msg: "{{ r.rc }} {{ r.msg == '' }} {{ r.start is match('[0-9-]+ [0-9:]+[.][0-9]+$') }} {{ r.delta is match('0:0[0-9]:[0-9]+[.][0-9]+$') }} {{ r.end > r.start }} {{ r.start | length }}"}
  - {name: fails, command: "false", register: f, ignore_errors: true}
  - {name: its failure, debug: {msg: "{{ f.rc }} {{ f.changed }} {{ f.end is defined }}"}}
  - {name: nothing, command: /nonexistent/program x, register: n, ignore_errors: true}
  - {name: its absence, debug: {msg: "{{ n.rc }} {{ n.changed }} {{ n is failed }} {{ n.msg }}"}}
  - {name: no name, command: no-such-program-at-all, register: n, ignore_errors: true}
  - {name: not found, debug: {msg: "{{ n.rc }} {{ n.changed }}"}}
  - {name: again, command: "false", register: t, until: t.rc == 0, retries: 2, delay: 0, ignore_errors: true}
  - {name: in vain, debug: {msg: "{{ t.attempts }}"}}
  - {name: at once, command: "true", register: t, until: t.rc == 0, retries: 2, delay: 0}
  - {name: once, debug: {msg: "{{ t.attempts }}"}}
  - {name: around, debug: {msg: "{{ environment }}"}, environment: {CT_TASK: two}}
  - {name: found, wait_for: {path: "{{ playbook_dir }}/note", search_regex: "^(?P<key>b)=([0-9]+)", timeout: 60}, register: w}
  - {name: groups, debug: {msg: "{{ w.match_groups }} {{ w.match_groupdict }} {{ w is changed }}"}}
  - {name: missed, wait_for: {path: "{{ playbook_dir }}/note", search_regex: "^c=", timeout: 2}, ignore_errors: true}
"#;
    same_story(&[("hosts", "one\n"), ("site.yml", site), ("note", "a=1\nb=22\n")], &[], 0);
}
