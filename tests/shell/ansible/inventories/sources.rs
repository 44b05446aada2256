//! YAML, programs, and several sources at once.

use super::{Case, agree, ini};

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
