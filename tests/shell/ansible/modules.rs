//! The modules that work on hosts, run by both programs one after the other in two directories that are alike: the
//! same files with the same content, owner and mode, and the same registered results.

use super::playbooks::Both;
use crate::ansible::oracle::{Ansible, Answer};
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
    let run = super::playbooks::both_with(ansible, &files, &[], between);
    Compared { theirs: tree(&saved), ours: tree(&work), run }
}

#[track_caller]
fn alike(tasks: &str, more: &[(&str, &str)]) {
    let Some(mut ansible) = Ansible::start() else { return };
    let seen = compare(&mut ansible, tasks, more);
    assert_eq!(seen.run.ours.steps, seen.run.theirs.steps, "{}", seen.run.answer.stdout);
    let without = |said: &BTreeMap<(String, String), Json>| said.clone();
    assert_eq!(
        without(&seen.run.ours.said),
        without(&seen.run.theirs.said),
        "{}",
        seen.run.answer.stdout
    );
    assert_eq!(seen.ours, seen.theirs);
    assert!(!seen.theirs.is_empty(), "{}", seen.run.answer.stdout);
    assert_eq!(seen.run.code.map(i64::from), Some(seen.run.answer.code));
}

/// Registers each task's result as `r` and shows the part of it that does not depend on when it ran.
fn shown(tasks: &str, keys: &str) -> String {
    let mut text = String::new();
    for (index, task) in tasks.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let task = task.trim().trim_start_matches("- ");
        let body = task.trim_start_matches('{').trim_end_matches('}');
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
            "  - {{name: stat {path}, stat: {{path: '{{{{ D }}}}/{path}'{more}}}, register: r}}\n  \
             - {{name: shows {path}{more}, debug: {{msg: \"{{{{ r.stat | dict2items | selectattr('key', 'in', {keys}) | sort(attribute='key') | list }}}}\"}}}}\n"
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

/// Runs a command in a mount namespace of its own, in which `/etc` is another directory and `/run` is empty: accounts
/// and services are changed there alone.
fn apart(etc: &Path, site: &Path, path: &str, words: &[&str]) -> std::process::Output {
    let script = "mount --bind \"$0\" /etc && mount -t tmpfs none /run && eval \"$APART\" && exec \"$@\"";
    Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .arg(etc)
        .args(words)
        .current_dir(site)
        .env("PATH", path)
        .env("APART", "[ ! -e systemd ] || mkdir -p /run/systemd/system")
        .output()
        .expect("unshare runs")
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

#[test]
fn accounts_come_and_go() {
    let keys = "['changed', 'failed', 'name', 'state', 'uid', 'gid', 'home', 'shell', 'comment', 'group', 'append', 'move_home', \
                'groups', 'create_home', 'system', 'remove', 'force', 'password']";
    let Some(ansible) = Ansible::start() else { return };
    let python = ansible.python().display().to_string();
    let mut ends = Vec::new();
    for ours in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let etc = directory.path().join("etc");
        copy_of_etc(&etc);
        let head = format!(
            "- hosts: all\n  gather_facts: false\n  vars: {{D: {}}}\n  tasks:\n",
            directory.path().display()
        );
        std::fs::write(directory.path().join("site.yml"), head + &shown(ACCOUNTS, keys)).expect("a file");
        std::fs::write(directory.path().join("hosts"), "one\n").expect("a file");
        let local = format!("ansible_connection=local ansible_python_interpreter={python}");
        let path = std::env::var("PATH").expect("a PATH");
        let program = Path::new(&python).with_file_name("ansible-playbook").display().to_string();
        let words = match ours {
            true => vec![env!("CARGO_BIN_EXE_certroll"), "apply", "-o", "json"],
            false => vec![program.as_str()],
        };
        let words = [&words[..], &["-i", "hosts", "-e", &local, "site.yml"]].concat();
        let output = apart(&etc, directory.path(), &path, &words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let files = ["passwd", "group", "shadow"].map(|name| {
            let text = std::fs::read_to_string(etc.join(name)).expect("a file");
            let days = |line: &str| line.splitn(4, ':').take(3 - usize::from(name == "shadow")).collect::<Vec<_>>().join(":");
            let lines = text.lines().filter(|line| line.starts_with("cr"));
            lines.map(days).collect::<Vec<_>>()
        });
        let story = match ours {
            true => super::playbooks::ours(&super::playbooks::events(&text)),
            false => super::playbooks::theirs(&Answer { code: 0, stdout: text.clone(), stderr: String::new() }),
        };
        ends.push((story, files, text));
    }
    let (theirs, ours) = (&ends[0], &ends[1]);
    assert_eq!(ours.0.steps, theirs.0.steps, "{}\n{}", theirs.2, ours.2);
    let failed = |task: &str| {
        theirs.0.steps.contains(&format!("{} one ignored", task.replacen('s', "t", 1)))
    };
    for ((task, host), said) in theirs.0.said.iter().filter(|((task, _), _)| !failed(task)) {
        let home = |said: &Json| {
            let text = said.to_string();
            text.split("/tmp/").map(|part| part.split_once('/').map_or(part, |(_, rest)| rest)).collect::<String>()
        };
        let ours = ours.0.said.get(&(task.clone(), host.clone())).map(home);
        assert_eq!(ours, Some(home(said)), "{task}");
    }
    assert_eq!(ours.1, theirs.1);
    assert!(theirs.0.said.len() > 10);
}
