//! `--list`, `--graph` and `--host` print the same, character by character.

use crate::ansible::oracle::{Ansible, Site, flags};
use certroll::testing::inventory::Inventory;

struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// The first file when empty.
    sources: &'static [&'static str],
}

const fn ini(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, files, sources: &[] }
}

/// What the two print for one inventory; nothing when they agree.
pub(crate) fn differences(
    ansible: &mut Ansible,
    site: &Site,
    sources: &[&str],
    inventory: &Inventory,
) -> Vec<String> {
    let paths = site.sources(sources);
    let host = inventory.hosts().first().map(ToString::to_string);
    let mut asked: Vec<(Vec<&str>, String)> = vec![
        (vec!["--list"], inventory.list_json(false, None)),
        (vec!["--list", "--export"], inventory.list_json(true, None)),
        (vec!["--graph"], inventory.graph("all", false).unwrap_or_default()),
        (vec!["--graph", "--vars"], inventory.graph("all", true).unwrap_or_default()),
    ];
    if let Some(host) = &host {
        let printed = inventory.host_json(host).unwrap_or_default();
        asked.push((vec!["--host", host], printed));
    }
    let mut found = Vec::new();
    for (what, ours) in asked {
        let password = site.path().join("password").display().to_string();
        let mut args = flags(&paths);
        args.extend(&what);
        if site.path().join("password").exists() {
            args.extend(["--vault-password-file", &password]);
        }
        let answer = ansible.ask("ansible-inventory", &args, site.path());
        let (theirs, ours) = (answer.stdout.trim_end(), ours.trim_end());
        if theirs != ours {
            found.push(format!(
                "{} (Ansible: exit {})\n{}\n{}",
                what.join(" "),
                answer.code,
                by_line(theirs, ours),
                answer.stderr.trim_end(),
            ));
        }
    }
    found
}

/// Lines that only one of two texts has, in the style of `diff`.
pub(crate) fn by_line(theirs: &str, ours: &str) -> String {
    let (left, right): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let start = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let rest = left.len().min(right.len()) - start;
    let end = left.iter().rev().zip(right.iter().rev()).take(rest).take_while(|(a, b)| a == b);
    let end = end.count();
    let of = |lines: &[&str], mark: &str| -> String {
        let differing = &lines[start..lines.len() - end];
        differing.iter().map(|line| format!("  {mark} {line}\n")).collect()
    };
    of(&left, "Ansible ") + &of(&right, "certroll")
}

#[track_caller]
fn agree(cases: &[Case]) {
    let Some(mut ansible) = Ansible::start() else { return };
    let mut found = Vec::new();
    for case in cases {
        let site = Site::new(case.files);
        let first = [case.files.first().map_or("", |(name, _)| *name)];
        let sources = if case.sources.is_empty() { &first[..] } else { case.sources };
        match site.load(sources) {
            Err(refused) => found.push(format!("{}: refused\n{refused}", case.name)),
            Ok(inventory) => {
                let differing = differences(&mut ansible, &site, sources, &inventory);
                found.extend(differing.into_iter().map(|text| format!("{}: {text}", case.name)));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n\n{}", found.len(), found.join("\n"));
}

#[test]
fn ini_files() {
    agree(&[
        ini("empty", &[("hosts", "")]),
        ini("only comments", &[("hosts", "# nothing\n; here\n\n")]),
        ini("ungrouped", &[("hosts", "lone\nother ansible_host=10.0.0.1\n")]),
        ini("groups", &[("hosts", "lone\n[web]\nb\na\n[db]\na\nc\n[empty]\n")]),
        ini("repeated section", &[("hosts", "[web]\na\n[db]\nb\n[web]\nc\na v=1\n")]),
        ini("host twice", &[("hosts", "[w]\na v=1 w=1\na v=2\n")]),
        ini(
            "all and ungrouped as sections",
            &[("hosts", "[all]\nx\ny\n[ungrouped]\nz\n[web]\ny\n")],
        ),
        ini("listed and ungrouped", &[("hosts", "[ungrouped]\na\nb\n[web]\na\n")]),
        ini(
            "children",
            &[(
                "hosts",
                "[prod:children]\nweb\ndb\n[web]\nw1\nw2\n[db]\nd1\n[prod:vars]\nenv=prod\n",
            )],
        ),
        ini(
            "children defined later, and deeper",
            &[(
                "hosts",
                "[a:children]\nb\n[b:children]\nc\n[c]\nh\n[z]\nh\n[a:vars]\nv=a\n[c:vars]\nv=c\n",
            )],
        ),
        ini(
            "one child of two parents",
            &[("hosts", "[p:children]\nc\n[q:children]\nc\nd\n[c]\n1h\n[d]\n2h\n1h\n")],
        ),
        ini(
            "own hosts and children",
            &[("hosts", "[p]\nx\n[p:children]\nc\n[c]\ny\n[c:vars]\nk=1\n")],
        ),
        ini(
            "vars of all",
            &[("hosts", "a\n[w]\nb\n[all:vars]\nx=1\ny=two words\n[w:vars]\nx=2\n")],
        ),
        ini("vars before the group", &[("hosts", "[w:vars]\nx=1\n[w]\na\n")]),
        ini(
            "children of all",
            &[("hosts", "[all:children]\nzeta\nalpha\n[alpha]\na\n[zeta]\nz\n")],
        ),
        ini("empty group in a group", &[("hosts", "[p:children]\ne\n[e]\n[w]\na\n")]),
        ini("odd names of groups", &[("hosts", "[web-1]\na\n[1st]\nb\n[x.y]\nc\n")]),
        ini("crlf", &[("hosts", "[web]\r\na v=1\r\n[web:vars]\r\nx=y\r\n")]),
        ini("indented", &[("hosts", "  [web]\n   a v=1\n\tb\n")]),
        ini("header with a comment", &[("hosts", "[web] # the web\na\n[db]# none\nb\n")]),
        ini("not ascii", &[("hosts", "[wéb]\nhöst v=\"größe\"\n[wéb:vars]\nk=ü\n")]),
        ini("a group like a host", &[("hosts", "[web]\nweb\nother\n")]),
        ini("localhost listed", &[("hosts", "localhost\n[w]\n127.0.0.1\n")]),
    ]);
}

#[test]
fn host_lines() {
    agree(&[
        ini(
            "ranges",
            &[("hosts", "a[01:03]\nb[1:10:3]\nc-[a:f]\nd-[a:g:2]\ne[08:11]\nf[8:011]\n")],
        ),
        ini("two ranges", &[("hosts", "[w]\nr[1:2]n[a:b].x v=1\nj[:2]\nh[A:C]\n")]),
        ini(
            "ports",
            &[(
                "hosts",
                "h1:2222\nh2:2022 ansible_port=99\nr[1:2]:2022\n[2001:db8::1]:2200\n2001:db8::2\n",
            )],
        ),
        ini(
            "values",
            &[(
                "hosts",
                "h a=1 b=1.5 c=-3 d=True e=None f=true g=yes h=null i=0644 j=0x1f k=0b11 l=1_000 m=1e3 n=1j o=1+1 \
                 p=... q=False r=+4 s=00 t=1. u=.5 v=1__0 w=0o17 x=-0.0 y=1E5 z=_1\n",
            )],
        ),
        ini(
            "quotes",
            &[(
                "hosts",
                "h a=\"two words\" b='q' c=un'quo'ted d=\"'5'\" e='\"5\"' f=\"\" g= h='' i=\"it's\" j='say \"x\"'\n",
            )],
        ),
        ini(
            "backslashes",
            &[("hosts", r#"h a=a\b b=a\\b c="a\tb" d='a\tb' e="a\"b" f="'a\\tb'" g=a\ b"#)],
        ),
        ini(
            "collections",
            &[(
                "hosts",
                "h a=[1,2] b=\"[1, 'x']\" c=\"{'k': 1}\" d=(1,2) e=[] f={} g=\"{'k': {'l': [True, None]}}\" h=() i=\"[1,]\" \
                 k=[x,y] l=\"['a' 'b']\"\n",
            )],
        ),
        ini(
            "comments",
            &[("hosts", "a # c\nb v=1 # c\nc v=\"x # y\"\nd semi=a;b\ne hash=a#b\n  # indented\n")],
        ),
        ini(
            "equals",
            &[("hosts", "h a=b=c url=http://x/?a=1&b=2 t={{foo}} u=\"{{ foo }}\" w=a:b\n")],
        ),
        ini("addresses", &[("hosts", "10.0.0.1\nweb.example.net ansible_host=10.0.0.2\nu_s-x\n")]),
    ]);
}

#[test]
fn vars_sections() {
    agree(&[
        ini(
            "values",
            &[(
                "hosts",
                "[w]\nh\n[w:vars]\na=1\nb = 2 \nc=\"two words\"\nd=a \"b\" c\ne=[1, 2]\nf={'k': 1}\ng=True\nh=yes\ni=\nj=a=b\n\
                 k={{ foo }}\nl='x'\nm=0x1f\nn=0644\no=  spaces inside  stay\np=\"unclosed\nq=None\nr=(1, 2)\ns=x y\nt=1 2\n",
            )],
        ),
        ini(
            "comments",
            &[("hosts", "[w]\nh\n[w:vars]\na=x # text\nb=x#y\n# c\n; d\n  c=1\nd=;x\n")],
        ),
        ini("keys", &[("hosts", "[w]\nh\n[w:vars]\nwith space=1\na-b=2\n9x=3\na.b=4\n")]),
        ini("the last wins", &[("hosts", "[w]\nh\n[w:vars]\nv=1\n[w:vars]\nv=2\n")]),
        ini(
            "escapes",
            &[(
                "hosts",
                "[w]\nh\n[w:vars]\na=\"a\\nb\"\nb=a\\nb\nc='a\\\\b'\nd=\"\\x41\\u00e9\"\n",
            )],
        ),
    ]);
}

#[test]
fn precedence_of_groups() {
    agree(&[
        ini(
            "depth beats name",
            &[(
                "hosts",
                "[alpha]\nh\n[zeta]\nh\n[mid:children]\nalpha\n[top:children]\nmid\n[alpha:vars]\nv=a\n[zeta:vars]\nv=z\n[mid:vars]\nv=m\nw=m\n[top:vars]\nw=t\n",
            )],
        ),
        ini(
            "siblings by name",
            &[("hosts", "[c]\nh\n[a]\nh\n[b]\nh\n[a:vars]\nv=a\n[b:vars]\nv=b\n[c:vars]\nv=c\n")],
        ),
        ini(
            "priority within a depth",
            &[(
                "hosts",
                "[a]\nh\n[b]\nh\n[a:vars]\nansible_group_priority=10\nv=a\n[b:vars]\nv=b\n",
            )],
        ),
        ini(
            "priority does not beat depth",
            &[(
                "hosts",
                "[a]\nh\n[p:children]\nb\n[b]\nh\n[a:vars]\nansible_group_priority=10\nv=a\n[b:vars]\nv=b\n",
            )],
        ),
        ini(
            "priority as text",
            &[(
                "hosts",
                "[a]\nh\n[b]\nh\n[a:vars]\nansible_group_priority='10'\nv=a\n[b:vars]\nv=b\n",
            )],
        ),
        ini(
            "the longest way",
            &[(
                "hosts",
                "[p:children]\nq\nr\n[q:children]\nr\n[r]\nh\n[s:children]\nt\n[t]\nh\n[r:vars]\nv=r\n[t:vars]\nv=t\n",
            )],
        ),
        ini(
            "mappings are replaced",
            &[("hosts", "[a]\nh\n[all:vars]\nd={'x': 1, 'y': 2}\n[a:vars]\nd={'y': 3}\n")],
        ),
    ]);
}

#[test]
fn yaml_files() {
    agree(&[
        ini(
            "groups",
            &[("h.yml", "web:\n  hosts:\n    a:\n    b: {v: 1}\n  vars: {x: yes}\nlone:\n")],
        ),
        ini(
            "nested",
            &[(
                "h.yml",
                "all:\n  hosts: {solo: {}}\n  vars: {g: 1}\n  children:\n    prod:\n      children:\n        web: {hosts: {a: }}\n        db:\n          hosts: {b: , a: }\n      vars: {env: prod}\n    dev: {}\n",
            )],
        ),
        ini(
            "ranges and ports",
            &[(
                "h.yml",
                "w:\n  hosts:\n    www[01:03]: {v: 1}\n    'b:2222': {}\n    'c[a:b]:99':\n",
            )],
        ),
        ini(
            "yaml 1.1",
            &[(
                "h.yml",
                "w:\n  hosts:\n    h:\n      a: on\n      b: 0644\n      c: 10:30\n      d: ~\n      e: 1e3\n      f: 1.0e+3\n      g: '5'\n      h: 0o17\n      i: 1_000\n      k: y\n      l: No\n      m: 0x1F\n      n: 0b101\n      o: -5\n      p: +5\n      q: 1.\n      r: 685_230.15\n      s: '~'\n      t: 190:20:30\n      u: \"a\\tb\"\n      v: [1, [2, {k: v}]]\n      w: |\n        two\n        lines\n      x: >-\n        folded\n        text\n      y: {}\n      z: []\n",
            )],
        ),
        ini(
            "merge keys",
            &[(
                "h.yml",
                "w:\n  vars: &v {a: 1, b: 2}\n  hosts:\n    h: {<<: *v, b: 3}\n    i: {b: 4, <<: [*v, {c: 5}]}\n",
            )],
        ),
        ini(
            "group twice",
            &[(
                "h.yml",
                "p: {children: {web: {hosts: {a: }}}}\nweb: {hosts: {b: }, vars: {x: 1}}\nq: {children: {web: }}\n",
            )],
        ),
        ini(
            "host in several groups",
            &[("h.yml", "b: {hosts: {h: {v: b}}}\na: {hosts: {h: {v: a, w: 1}}}\n")],
        ),
        ini(
            "unsafe and templates",
            &[("h.yml", "w:\n  hosts:\n    h: {t: '{{ x }}', u: !unsafe '{{ x }}'}\n")],
        ),
        ini(
            "empty groups",
            &[("h.yml", "empty:\nother: {hosts: }\nthird: {vars: , children: }\n")],
        ),
        ini(
            "json",
            &[(
                "h.json",
                "{\"web\": {\"hosts\": {\"a\": {\"v\": 1, \"w\": null}, \"b\": null}, \"vars\": {\"x\": [true]}}}",
            )],
        ),
        ini("without an ending", &[("hosts", "---\nweb:\n  hosts:\n    a:\n")]),
        ini("documents end", &[("h.yml", "---\nweb: {hosts: {a: }}\n...\n")]),
        ini(
            "priority",
            &[(
                "h.yml",
                "a: {hosts: {h: }, vars: {ansible_group_priority: 10, v: a}}\nb: {hosts: {h: }, vars: {v: b}}\n",
            )],
        ),
        ini("not ascii", &[("h.yml", "wéb: {hosts: {höst: {k: größe}}}\n")]),
        ini(
            "timestamps",
            &[("h.yml", "w: {hosts: {h: {d: '2026-01-02', e: 2026-1, f: 12:30:45.5}}}\n")],
        ),
    ]);
}

#[test]
fn several_sources() {
    agree(&[
        Case {
            name: "later values win, hosts by first sight",
            files: &[("one", "[w]\nb v=1 x=1\na\n"), ("two", "[w]\na\nc\nb v=2\n[w:vars]\ng=2\n")],
            sources: &["one", "two"],
        },
        Case {
            name: "ini and yaml",
            files: &[
                ("one", "[w]\na\n"),
                ("two.yml", "w: {hosts: {b: {v: 1}}, children: {c: {hosts: {d: }}}}\n"),
            ],
            sources: &["one", "two.yml"],
        },
        Case { name: "a list", files: &[("x", "")], sources: &["a,b:2222,10.0.0.1"] },
        Case {
            name: "a list and a file",
            files: &[("one", "[w]\na v=1\n")],
            sources: &["a,b", "one"],
        },
        Case {
            name: "a directory",
            files: &[
                ("inv/10-b", "[w]\na v=10\n"),
                ("inv/05-a.ini", "[w]\nz\na v=05\n"),
                ("inv/20.yml", "w: {hosts: {a: {v: 20}}}\n"),
                ("inv/sub/x", "[s]\nsubhost\n"),
                ("inv/.hidden", "[w]\nhidden\n"),
                ("inv/notes.txt", "not an inventory [\n"),
                ("inv/x.bak", "[w]\nbak\n"),
                ("inv/y~", "[w]\ntilde\n"),
                ("inv/a.cfg", "x"),
                ("inv/b.md", "x"),
                ("inv/group_vars/w.yml", "g: 1\n"),
                ("inv/host_vars/a", "h: 1\n"),
            ],
            sources: &["inv"],
        },
        Case {
            name: "a child of an earlier file",
            files: &[
                ("inv/1", "[web]\na\n"),
                ("inv/2", "[prod:children]\nweb\n[prod:vars]\nx=1\n"),
            ],
            sources: &["inv"],
        },
    ]);
}

#[test]
fn programs() {
    agree(&[
        ini(
            "with _meta",
            &[(
                "inv.sh",
                "#!/bin/sh\ncat <<'E'\n{\"web\": {\"hosts\": [\"a\", \"b\"], \"vars\": {\"x\": 1}, \"children\": [\"sub\"]},\n \"sub\": [\"c\"], \"_meta\": {\"hostvars\": {\"a\": {\"v\": [1, null]}, \"only_meta\": {\"v\": 2}}}}\nE\n",
            )],
        ),
        ini(
            "with --host",
            &[(
                "inv.sh",
                "#!/bin/sh\nif [ \"$1\" = --host ]; then echo \"{\\\"name\\\": \\\"$2\\\"}\"; else echo '{\"web\": [\"a\", \"b\"]}'; fi\n",
            )],
        ),
        ini(
            "a group without hosts",
            &[(
                "inv.sh",
                "#!/bin/sh\necho '{\"_meta\": {\"hostvars\": {}}, \"e\": [], \"f\": {\"hosts\": []}, \"g\": {\"vars\": {\"x\": 1}}, \"all\": {\"children\": [\"f\"]}}'\n",
            )],
        ),
        ini(
            "hosts of all",
            &[(
                "inv.sh",
                "#!/bin/sh\necho '{\"_meta\": {\"hostvars\": {}}, \"all\": {\"hosts\": [\"a\"], \"vars\": {\"x\": 1}}, \"ungrouped\": {\"hosts\": [\"b\"]}}'\n",
            )],
        ),
    ]);
}

#[test]
fn files_of_variables() {
    const HOSTS: &str = "[web]\na\nb\n[db]\nc\n[prod:children]\nweb\n[web:vars]\nv=text\n";
    const VAULTED: &str = include_str!("../../fixtures/vault/yaml.vault");
    agree(&[
        ini(
            "files and endings",
            &[
                ("hosts", HOSTS),
                ("group_vars/all", "a: 1\n"),
                ("group_vars/web.yml", "v: web\n"),
                ("group_vars/prod.yaml", "p: 1\n"),
                ("group_vars/db.json", "{\"j\": 1}"),
                ("host_vars/a.yml", "h: 1\n"),
                ("host_vars/c.txt", "no: 1\n"),
                ("host_vars/nobody.yml", "x: 1\n"),
            ],
        ),
        ini(
            "all beats the text of a group",
            &[("hosts", HOSTS), ("group_vars/all.yml", "v: all\nw: all\n")],
        ),
        ini(
            "a directory",
            &[
                ("hosts", HOSTS),
                ("group_vars/web/10.yml", "v: 10\nw: 10\n"),
                ("group_vars/web/20", "v: 20\n"),
                ("group_vars/web/sub/30.yml", "v: 30\n"),
                ("group_vars/web/.x.yml", "v: hidden\n"),
                ("group_vars/web/y.yml~", "v: tilde\n"),
                ("group_vars/web/z.txt", "v: txt\n"),
            ],
        ),
        ini(
            "a file beside a directory",
            &[
                ("hosts", HOSTS),
                ("group_vars/web.yml", "v: file\nw: file\n"),
                ("group_vars/web/x.yml", "v: dir\n"),
            ],
        ),
        ini(
            "the first ending only",
            &[
                ("hosts", HOSTS),
                ("group_vars/all.yaml", "x: yaml\n"),
                ("group_vars/all.json", "{\"y\": 1}"),
            ],
        ),
        ini(
            "empty files",
            &[
                ("hosts", HOSTS),
                ("group_vars/web.yml", ""),
                ("host_vars/a.yml", "---\n# nothing\n"),
            ],
        ),
        ini(
            "a vault",
            &[("hosts", HOSTS), ("password", "swordfish\n"), ("group_vars/web.yml", VAULTED)],
        ),
        ini("ungrouped", &[("hosts", "lone\n[web]\na\n"), ("group_vars/ungrouped.yml", "u: 1\n")]),
        ini(
            "priority in a file is a variable",
            &[
                ("hosts", "[a]\nh\n[b]\nh\n"),
                ("group_vars/a.yml", "ansible_group_priority: 10\nv: a\n"),
                ("group_vars/b.yml", "v: b\n"),
            ],
        ),
        Case {
            name: "of two inventories",
            files: &[
                ("one/hosts", "[w]\na\n"),
                ("one/group_vars/w.yml", "v: one\no: 1\n"),
                ("two/hosts", "[w]\nb\n"),
                ("two/group_vars/w.yml", "v: two\n"),
                ("two/host_vars/a.yml", "h: two\n"),
            ],
            sources: &["one/hosts", "two/hosts"],
        },
    ]);
}

#[test]
fn variables_beside_playbooks() {
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&[
        ("inv/hosts", "[w]\na hv=text\n[w:vars]\nv=text\n"),
        ("inv/group_vars/all.yml", "v: inv_all\nx: inv_all\ny: inv_all\n"),
        ("inv/group_vars/w.yml", "x: inv_w\nz: inv_w\n"),
        ("inv/host_vars/a.yml", "hv: inv\n"),
        ("play/group_vars/all.yml", "y: play_all\nx: play_all\n"),
        ("play/group_vars/w.yml", "z: play_w\n"),
        ("play/host_vars/a.yml", "hv: play\n"),
    ]);
    let beside = site.path().join("play");
    let inventory = site.load_beside(&["inv/hosts"], vec![beside.clone()]).expect("it loads");
    let paths = site.sources(&["inv/hosts"]);
    let beside = beside.display().to_string();
    let mut args = flags(&paths);
    args.extend(["--playbook-dir", &beside, "--list"]);
    let answer = ansible.ask("ansible-inventory", &args, site.path());
    assert_eq!(answer.stdout.trim_end(), inventory.list_json(false, None).trim_end());
}
