//! The modules that work on hosts, run by both programs one after the other in two directories that are alike: the
//! same files with the same content, owner and mode, and the same registered results.

mod apart;
mod facts;
mod uri;

use super::playbooks::Both;
use crate::ansible::oracle::Ansible;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// Every path below a directory: kind, mode, and content or where a link leads.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let data = path.symlink_metadata().expect("its data");
            let what = if data.is_symlink() {
                format!("link {}", std::fs::read_link(&path).expect("a link").display())
            } else if data.is_dir() {
                ahead.push(path.clone());
                "directory".to_owned()
            } else {
                String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned()
            };
            let mode = data.permissions().mode() & 0o7777;
            let name = path.strip_prefix(root).expect("below").display().to_string();
            // The name of a backup has a moment in it.
            let name = name.split(".txt.").next().map_or(name.clone(), |start| {
                if name.ends_with('~') { format!("{start}.txt.backup") } else { name.clone() }
            });
            found.insert(name, format!("{mode:o} {} {} {what}", data.uid(), data.gid()));
        }
    }
    found
}

/// What the tasks of a site left, and what was said. `{D}` in its files is the directory.
struct Compared {
    theirs: BTreeMap<String, String>,
    ours: BTreeMap<String, String>,
    run: Both,
}

fn compare(ansible: &mut Ansible, tasks: &str, more: &[(&str, &str)]) -> Compared {
    let directory = tempfile::tempdir().expect("a directory");
    let work = directory.path().join("work");
    let site = format!(
        "- hosts: all\n  gather_facts: false\n  vars: {{D: {}}}\n  tasks:\n{tasks}",
        work.display()
    );
    let mut files = vec![("hosts", "one\n"), ("site.yml", site.as_str())];
    files.extend(more);
    let saved = directory.path().join("theirs");
    let between = || {
        std::fs::rename(&work, &saved).expect("a move");
        std::fs::create_dir(&work).expect("a directory");
    };
    std::fs::create_dir(&work).expect("a directory");
    let run = crate::ansible::playbooks::both_with(ansible, &files, &[], between);
    Compared { theirs: tree(&saved), ours: tree(&work), run }
}

#[track_caller]
fn alike(tasks: &str, more: &[(&str, &str)]) {
    let Some(mut ansible) = Ansible::start() else { return };
    let seen = compare(&mut ansible, tasks, more);
    assert_eq!(seen.run.ours.steps, seen.run.theirs.steps, "{}", seen.run.answer.stdout);
    let steps = &seen.run.theirs.steps;
    for ((task, host), theirs) in &seen.run.theirs.said {
        let ours = seen.run.ours.said.get(&(task.clone(), host.clone()));
        // Of what failed Ansible tells more of the path; here it is that it failed, and why.
        let failed = steps.contains(&format!("{} {host} ignored", task.replacen('s', "t", 1)));
        let kept = |said: &Json| match said.as_array() {
            Some(pairs) if failed => {
                let of = |pair: &&Json| matches!(pair["key"].as_str(), Some("changed" | "failed"));
                Json::from(pairs.iter().filter(of).cloned().collect::<Vec<_>>())
            }
            _ => said.clone(),
        };
        assert_eq!(ours.map(kept), Some(kept(theirs)), "{task}: {}", seen.run.answer.stdout);
    }
    assert_eq!(seen.ours, seen.theirs);
    assert!(!seen.theirs.is_empty(), "{}", seen.run.answer.stdout);
    assert_eq!(seen.run.code.map(i64::from), Some(seen.run.answer.code));
}

/// Registers each task's result as `r` and shows the part of it that does not depend on when it ran.
fn shown(tasks: &str, keys: &str) -> String {
    let mut text = String::new();
    for (index, task) in tasks.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let body = task.trim();
        text.push_str(&format!(
            "  - {{name: t{index}, register: r, ignore_errors: true, {body}}}\n  \
             - {{name: s{index}, debug: {{msg: \"{{{{ r | dict2items | selectattr('key', 'in', {keys}) | sort(attribute='key') | list }}}}\"}}}}\n"
        ));
    }
    text
}

const PATH_KEYS: &str = "['changed', 'failed', 'state', 'mode', 'owner', 'group', 'uid', 'gid', 'size', 'path', 'dest', 'checksum', 'md5sum']";

#[test]
fn file_makes_changes_and_removes() {
    let tasks = shown(
        "file: {path: '{{ D }}/a/b', state: directory, mode: '0750'}
         file: {path: '{{ D }}/a/b', state: directory, mode: '0750'}
         file: {path: '{{ D }}/a/b', mode: u+rwx, state: directory}
         file: {path: '{{ D }}/a', mode: 'g-w,o=', recurse: true}
         file: {dest: '{{ D }}/f', state: touch, mode: '0600', modification_time: preserve, access_time: preserve}
         file: {dest: '{{ D }}/f', state: touch, mode: '0600', modification_time: preserve, access_time: preserve}
         file: {path: '{{ D }}/f', mode: 'u=rwX,g=rX,o='}
         file: {path: '{{ D }}/f', mode: '0640'}
         file: {path: '{{ D }}/none', mode: '0640'}
         file: {path: '{{ D }}/f', state: directory}
         file: {path: '{{ D }}/l', src: '{{ D }}/f', state: link}
         file: {path: '{{ D }}/l', src: '{{ D }}/f', state: link}
         file: {path: '{{ D }}/l', src: f, state: link}
         file: {path: '{{ D }}/l', src: nowhere, state: link}
         file: {path: '{{ D }}/m', src: nowhere, state: link, force: true, follow: false}
         file: {path: '{{ D }}/l', mode: '0604'}
         file: {path: '{{ D }}/f', src: l, state: link}
         file: {path: '{{ D }}/h', src: '{{ D }}/f', state: hard}
         file: {path: '{{ D }}/h', src: '{{ D }}/f', state: hard}
         file: {path: '{{ D }}/d', state: directory}
         file: {path: '{{ D }}/dl', src: d, state: link}
         file: {path: '{{ D }}/dl', src: a, state: link}
         file: {path: '{{ D }}/d', state: absent}
         file: {path: '{{ D }}/d', state: absent}
         file: {path: '{{ D }}/m', state: absent}
         file: {path: '{{ D }}/a', owner: nosuchuser}",
        PATH_KEYS,
    );
    alike(&tasks, &[]);
}

#[test]
fn copy_and_template_write() {
    let tasks = shown(
        "copy: {content: \"one\\n\", dest: '{{ D }}/a.txt'}
         copy: {content: \"one\\n\", dest: '{{ D }}/a.txt', mode: '0600'}
         copy: {content: \"two\\n\", dest: '{{ D }}/a.txt', backup: true}
         copy: {content: \"three\", dest: '{{ D }}/a.txt', force: false}
         copy: {content: {a: [1, true], b: ü}, dest: '{{ D }}/b.txt', mode: u=rw}
         copy: {src: plain.txt, dest: '{{ D }}/'}
         copy: {src: plain.txt, dest: '{{ D }}/new/deep/', directory_mode: '0700'}
         copy: {src: none.txt, dest: '{{ D }}/none.txt'}
         copy: {content: x, dest: '{{ D }}/no/dir.txt'}
         copy: {src: '{{ D }}/a.txt', dest: '{{ D }}/c.txt', remote_src: true, mode: preserve}
         copy: {src: '{{ D }}/a.txt', dest: '{{ D }}/c.txt', remote_src: true, mode: preserve}
         copy: {content: bad, dest: '{{ D }}/a.txt', validate: grep -q good %s}
         copy: {content: good, dest: '{{ D }}/a.txt', validate: grep -q good %s}
         file: {path: '{{ D }}/l.txt', src: a.txt, state: link}
         copy: {content: followed, dest: '{{ D }}/l.txt', follow: true}
         copy: {content: replaced, dest: '{{ D }}/l.txt'}
         file: {path: '{{ D }}/ü (1)', state: directory}
         copy: {content: \"odd\\n\", dest: '{{ D }}/ü (1)/a [b].txt'}
         copy: {content: \"odd\\n\", dest: '{{ D }}/ü (1)/a [b].txt'}
         template: {src: v.j2, dest: '{{ D }}/v.txt', mode: '0644'}
         template: {src: v.j2, dest: '{{ D }}/v.txt', mode: '0644'}
         template: {src: v.j2, dest: '{{ D }}', newline_sequence: \"\\r\\n\"}",
        PATH_KEYS,
    );
    // What is not there is found before the run here.
    let tasks: String =
        tasks.split_inclusive('\n').filter(|line| !line.contains("none.txt")).collect();
    let template = "# {{ inventory_hostname }}\n{% for n in [1, 2] %}\nserver {{ n }};\n{% endfor %}\n  {% if true %}\nx\n  {% endif %}\nend \\d {{ 'a\\\\.b' }}\n\n";
    alike(&tasks, &[("files/plain.txt", "plain\n"), ("templates/v.j2", template)]);
}

#[test]
fn stat_and_slurp_look() {
    let look = |path: &str, more: &str| {
        let keys = "['exists', 'isreg', 'isdir', 'islnk', 'mode', 'size', 'uid', 'gid', 'nlink', 'pw_name', 'gr_name', 'checksum', \
                    'lnk_target', 'lnk_source', 'path', 'wusr', 'xoth', 'isuid', 'readable', 'writeable', 'executable', 'issock']";
        format!(
            "  - {{name: 'stat {path}{more}', stat: {{path: '{{{{ D }}}}/{path}'{more}}}, register: r}}\n  \
             - {{name: 'shows {path}{more}', debug: {{msg: \"{{{{ r.stat | dict2items | selectattr('key', 'in', {keys}) | sort(attribute='key') | list }}}}\"}}}}\n"
        )
    };
    let made = "  - {name: a, copy: {content: abc, dest: '{{ D }}/a', mode: '2750'}}\n  \
                - {name: b, file: {src: a, path: '{{ D }}/l', state: link}}\n  \
                - {name: c, file: {src: nowhere, path: '{{ D }}/x', state: link, force: true, follow: false}}\n";
    let slurped = "  - {name: slurp, slurp: {src: '{{ D }}/a'}, register: r}\n  \
                   - {name: slurped, debug: {msg: '{{ r.content | b64decode }} {{ r.encoding }} {{ r.source }}'}}\n  \
                   - {name: none, slurp: {src: '{{ D }}/none'}, ignore_errors: true}\n";
    let looks = [
        look("a", ", checksum_algorithm: sha256"),
        look("", ""),
        look("l", ""),
        look("l", ", follow: true, get_checksum: false"),
        look("x", ""),
        look("x", ", follow: true"),
        look("none", ""),
    ];
    let tasks = format!("{made}{}{slurped}", looks.concat());
    alike(&tasks, &[]);
}

#[test]
fn lineinfile_edits() {
    let keys = "['changed', 'failed', 'msg', 'found']";
    let tasks = shown(
        "copy: {content: \"a=1\\n#b=2\\nc = 3\\nend\", dest: '{{ D }}/f.txt'}
         lineinfile: {path: '{{ D }}/f.txt', line: a=1}
         lineinfile: {path: '{{ D }}/f.txt', regexp: '^#?b=', line: b=5}
         lineinfile: {path: '{{ D }}/f.txt', regexp: '^#?b=', line: b=5}
         lineinfile: {path: '{{ D }}/f.txt', regexp: '^c\\s*=\\s*(\\d)$', line: 'c=\\1', backrefs: true}
         lineinfile: {path: '{{ D }}/f.txt', regexp: '^zz(.)', line: 'c=\\1', backrefs: true}
         lineinfile: {path: '{{ D }}/f.txt', line: last, backup: true}
         lineinfile: {path: '{{ D }}/f.txt', line: first, insertbefore: BOF}
         lineinfile: {path: '{{ D }}/f.txt', line: after b, insertafter: '^b='}
         lineinfile: {path: '{{ D }}/f.txt', line: before b, insertbefore: '^b='}
         lineinfile: {path: '{{ D }}/f.txt', line: after none, insertafter: '^nope'}
         lineinfile: {path: '{{ D }}/f.txt', search_string: fir, line: fir}
         lineinfile: {path: '{{ D }}/f.txt', regexp: '^after', state: absent}
         lineinfile: {path: '{{ D }}/f.txt', line: last, state: absent}
         lineinfile: {path: '{{ D }}/f.txt', line: nothing like it, state: absent}
         lineinfile: {path: '{{ D }}/none.txt', line: x}
         lineinfile: {path: '{{ D }}/none.txt', line: x, state: absent}
         lineinfile: {path: '{{ D }}/new/none.txt', line: x, create: true}
         lineinfile: {path: '{{ D }}/f.txt', regexp: '=', line: many, firstmatch: true}
         lineinfile: {path: '{{ D }}/f.txt', regexp: '=', line: many}
         lineinfile: {path: '{{ D }}/f.txt', line: many, mode: '0600'}",
        keys,
    );
    alike(&tasks, &[]);
}

#[test]
fn a_plan_shows_what_would_change_and_no_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("conf"), "a\nb\n").expect("a file");
    let key = "-----BEGIN PRIVATE KEY-----\nMHcCAQEEIBm\n-----END PRIVATE KEY-----\n";
    std::fs::write(at("key.pem"), key).expect("a file");
    let site = format!(
        "- hosts: all\n  vars: {{D: {}}}\n  tasks:\n  \
         - {{name: lines, copy: {{content: \"a\\nc\\n\", dest: '{{{{ D }}}}/conf', mode: '0600'}}}}\n  \
         - {{name: key, copy: {{src: key.pem, dest: '{{{{ D }}}}/copy.pem'}}}}\n  \
         - {{name: hidden, copy: {{content: swordfish, dest: '{{{{ D }}}}/x'}}, no_log: true}}\n  \
         - {{name: made, file: {{path: '{{{{ D }}}}/d', state: directory}}}}\n  \
         - {{name: bad, copy: {{content: x, dest: '{{{{ D }}}}/none/x'}}, ignore_errors: true}}\n",
        directory.path().display()
    );
    std::fs::write(at("site.yml"), site).expect("a file");
    let run = |verb: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_certroll"))
            .args([
                verb,
                "--diff",
                "-o",
                "json",
                "-i",
                "one,",
                "-e",
                "ansible_connection=local",
                "site.yml",
            ])
            .current_dir(directory.path())
            .output()
            .expect("certroll runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let before = tree(directory.path());
    for verb in ["plan", "apply"] {
        let said = run(verb);
        if verb == "plan" {
            assert_eq!(tree(directory.path()), before, "a plan changes nothing");
            assert!(said.contains("\"pending\":1"), "{said}");
        }
        assert!(said.contains("-b\\n+c"), "{said}");
        assert!(said.contains("mode 0644 → 0600"), "{said}");
        assert!(!said.contains("MHcCAQEE") && !said.contains("swordfish"), "{said}");
        let story = super::playbooks::ours(&super::playbooks::events(&said));
        let last = if verb == "plan" { "bad one changed" } else { "bad one ignored" };
        let ends = [
            "lines one changed",
            "key one changed",
            "hidden one changed",
            "made one changed",
            last,
        ];
        assert_eq!(story.steps, ends);
    }
    assert_eq!(std::fs::read_to_string(at("conf")).expect("a file"), "a\nc\n");
    let again = super::playbooks::ours(&super::playbooks::events(&run("apply")));
    assert_eq!(again.steps[..4], ["lines one ok", "key one ok", "hidden one ok", "made one ok"]);
}

#[test]
fn wrong_arguments_are_found_before_anything_is_touched() {
    let directory = tempfile::tempdir().expect("a directory");
    let site = "- hosts: all\n  vars: {word: drectory}\n  tasks:\n  - file: {path: /tmp/x, state: directroy}\n  - copy: {dest: /tmp/x}\n  \
                - copy: {content: a, src: b, dest: x}\n  - file: {path: /tmp/x, mode: 644}\n  - file: {path: /tmp/x, state: '{{ word }}'}\n  \
                - copy: {src: none.pem, dest: /tmp/x}\n  - template: {src: t.j2, dest: /tmp/x}\n  - lineinfile: {path: /x, line: a, insertafter: b, insertbefore: c}\n  \
                - get_url: {url: 'http://x', dest: /tmp/x}\n";
    let run = |site: &str| {
        std::fs::write(directory.path().join("site.yml"), site).expect("a file");
        std::fs::create_dir_all(directory.path().join("templates")).expect("a directory");
        std::fs::write(directory.path().join("templates/t.j2"), "one\ntwo {{ nope }}\n")
            .expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_certroll"))
            .args(["apply", "-i", "one,", "-e", "ansible_connection=local", "site.yml"])
            .current_dir(directory.path())
            .output()
            .expect("certroll runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = run(site);
    for wanted in [
        "there is no 'state: directroy'",
        "copy needs either 'content' or 'src'",
        "'x' is not an absolute path on the host",
        "lineinfile takes 'insertbefore' or 'insertafter', not both",
        "certroll does not support 'get_url'",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    // What needs a host's variables comes when the rest is right.
    let kept: String = site
        .lines()
        .filter(|line| {
            !["directroy", "{dest: /tmp/x}", "dest: x}", "insertafter", "get_url"]
                .iter()
                .any(|wrong| line.contains(wrong))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let said = run(&kept);
    for wanted in [
        "the mode 644 is not written in octal",
        "there is no 'state: drectory'",
        "there is no file 'none.pem'",
        "t.j2:2:8",
        "'nope' is undefined",
        "no host was touched",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
