//! Whose variables win, and the files that they come from.

use super::{Case, agree, ini};
use crate::ansible::oracle::{Ansible, Site, flags};

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
fn files_of_variables() {
    const HOSTS: &str = "[web]\na\nb\n[db]\nc\n[prod:children]\nweb\n[web:vars]\nv=text\n";
    const VAULTED: &str = include_str!("../../../fixtures/vault/yaml.vault");
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
