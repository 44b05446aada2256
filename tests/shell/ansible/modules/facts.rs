//! Facts: what both programs gather of the same host, and of hosts whose release files say otherwise.

use super::apart::both_apart;
use crate::ansible::oracle::{Ansible, Site};
use crate::ansible::playbooks::{both, same_story};
use serde_json::{Value as Json, json};
use std::process::Command;

/// Facts that do not change between two looks.
const STEADY: &[&str] = &[
    "all_ipv4_addresses",
    "all_ipv6_addresses",
    "apparmor.status",
    "architecture",
    "date_time.tz",
    "date_time.tz_offset",
    "date_time.year",
    "default_ipv4",
    "default_ipv6",
    "distribution",
    "distribution_file_parsed",
    "distribution_file_path",
    "distribution_file_variety",
    "distribution_major_version",
    "distribution_minor_version",
    "distribution_release",
    "distribution_version",
    "domain",
    "effective_group_id",
    "effective_user_id",
    "fips",
    "fqdn",
    "hostname",
    "interfaces",
    "kernel",
    "kernel_version",
    "lo.device",
    "lo.ipv4",
    "lo.ipv6",
    "lo.mtu",
    "lo.type",
    "lo.active",
    "eth0.ipv4",
    "eth0.macaddress",
    "eth0.type",
    "machine",
    "machine_id",
    "memtotal_mb",
    "nodename",
    "os_family",
    "pkg_mgr",
    "processor",
    "processor_cores",
    "processor_count",
    "processor_nproc",
    "processor_threads_per_core",
    "processor_vcpus",
    "real_group_id",
    "real_user_id",
    "service_mgr",
    "swaptotal_mb",
    "system",
    "user_dir",
    "user_gecos",
    "user_gid",
    "user_id",
    "user_shell",
    "user_uid",
    "userspace_architecture",
    "userspace_bits",
];

fn shown(task: &str, names: &[&str]) -> String {
    let entries = names
        .iter()
        .map(|name| (*name, format!("{{{{ ansible_facts.{name} | default('none') }}}}")));
    let said: serde_json::Map<String, Json> =
        entries.map(|(name, text)| (name.to_owned(), json!(text))).collect();
    format!("  - {}\n", json!({"name": task, "debug": {"msg": said}}))
}

/// Lists in the order of the directory that they come from.
fn sorted(value: &Json) -> Json {
    let mut value = value.clone();
    if let Json::Array(items) = &mut value {
        items.sort_by_key(Json::to_string);
    }
    value
}

#[test]
fn the_facts_of_this_host_are_those_of_ansible() {
    let Some(mut ansible) = Ansible::start() else { return };
    let site = format!("- hosts: all\n  gather_facts: true\n  tasks:\n{}", shown("said", STEADY));
    let run = both(&mut ansible, &[("hosts", "one\n"), ("site.yml", &site)], &[]);
    assert_eq!(run.ours.steps, ["Gathering Facts one ok", "said one ok"]);
    assert_eq!(run.ours.steps, run.theirs.steps, "{}", run.answer.stdout);
    let place = ("said".to_owned(), "one".to_owned());
    let (theirs, ours) = (&run.theirs.said[&place], &run.ours.said[&place]);
    let differ = STEADY.iter().filter(|name| sorted(&ours[**name]) != sorted(&theirs[**name]));
    let differ: Vec<String> = differ
        .map(|name| format!("{name}: certroll {} Ansible {}", ours[*name], theirs[*name]))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_ne!(ours["distribution"], "none");
}

const RELEASES: &[(&str, &[(&str, &str)])] = &[
    (
        "ubuntu",
        &[
            (
                "os-release",
                "PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04.1 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=noble\n",
            ),
            ("debian_version", "trixie/sid\n"),
        ],
    ),
    (
        "debian",
        &[
            (
                "os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nVERSION=\"13 (trixie)\"\nVERSION_CODENAME=trixie\nID=debian\n",
            ),
            ("debian_version", "13.1\n"),
        ],
    ),
    (
        "rocky",
        &[
            (
                "os-release",
                "NAME=\"Rocky Linux\"\nVERSION=\"9.3 (Blue Onyx)\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"\nPRETTY_NAME=\"Rocky Linux 9.3 (Blue Onyx)\"\n",
            ),
            ("redhat-release", "Rocky Linux release 9.3 (Blue Onyx)\n"),
            ("system-release", "Rocky Linux release 9.3 (Blue Onyx)\n"),
        ],
    ),
    (
        "alma",
        &[
            (
                "os-release",
                "NAME=\"AlmaLinux\"\nVERSION=\"10.0 (Purple Lion)\"\nID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"10.0\"\nPRETTY_NAME=\"AlmaLinux 10.0 (Purple Lion)\"\n",
            ),
            ("redhat-release", "AlmaLinux release 10.0 (Purple Lion)\n"),
        ],
    ),
    (
        "stream",
        &[
            (
                "os-release",
                "NAME=\"CentOS Stream\"\nVERSION=\"9\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"9\"\nPRETTY_NAME=\"CentOS Stream 9\"\n",
            ),
            ("centos-release", "CentOS Stream release 9\n"),
            ("redhat-release", "CentOS Stream release 9\n"),
        ],
    ),
    (
        "centos7",
        &[
            (
                "os-release",
                "NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\n",
            ),
            ("centos-release", "CentOS Linux release 7.9.2009 (Core)\n"),
            ("redhat-release", "CentOS Linux release 7.9.2009 (Core)\n"),
        ],
    ),
    (
        "rhel",
        &[
            (
                "os-release",
                "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"9.4 (Plow)\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"Red Hat Enterprise Linux 9.4 (Plow)\"\n",
            ),
            ("redhat-release", "Red Hat Enterprise Linux release 9.4 (Plow)\n"),
        ],
    ),
    (
        "fedora",
        &[
            (
                "os-release",
                "NAME=\"Fedora Linux\"\nVERSION=\"42 (Server Edition)\"\nID=fedora\nVERSION_ID=42\nVERSION_CODENAME=\"\"\nPRETTY_NAME=\"Fedora Linux 42 (Server Edition)\"\n",
            ),
            ("redhat-release", "Fedora release 42 (Adams)\n"),
        ],
    ),
    (
        "oracle",
        &[
            (
                "os-release",
                "NAME=\"Oracle Linux Server\"\nVERSION=\"9.3\"\nID=\"ol\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.3\"\nPRETTY_NAME=\"Oracle Linux Server 9.3\"\n",
            ),
            ("oracle-release", "Oracle Linux Server release 9.3\n"),
            ("redhat-release", "Red Hat Enterprise Linux release 9.3 (Plow)\n"),
        ],
    ),
    (
        "amazon",
        &[
            (
                "os-release",
                "NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\nPRETTY_NAME=\"Amazon Linux 2023.4\"\n",
            ),
            ("system-release", "Amazon Linux release 2023.4 (Amazon Linux)\n"),
        ],
    ),
    (
        "leap",
        &[(
            "os-release",
            "NAME=\"openSUSE Leap\"\nVERSION=\"15.6\"\nID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.6\"\nPRETTY_NAME=\"openSUSE Leap 15.6\"\n",
        )],
    ),
    (
        "sles",
        &[(
            "os-release",
            "NAME=\"SLES\"\nVERSION=\"15-SP5\"\nVERSION_ID=\"15.5\"\nPRETTY_NAME=\"SUSE Linux Enterprise Server 15 SP5\"\nID=\"sles\"\nID_LIKE=\"suse\"\n",
        )],
    ),
    (
        "tumbleweed",
        &[(
            "os-release",
            "NAME=\"openSUSE Tumbleweed\"\n# VERSION=\"20260101\"\nID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\nVERSION_ID=\"20260101\"\nPRETTY_NAME=\"openSUSE Tumbleweed\"\n",
        )],
    ),
    (
        "alpine",
        &[
            (
                "os-release",
                "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n",
            ),
            ("alpine-release", "3.20.3\n"),
        ],
    ),
    (
        "arch",
        &[
            (
                "os-release",
                "NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n",
            ),
            ("arch-release", ""),
        ],
    ),
    (
        "gentoo",
        &[
            (
                "os-release",
                "NAME=Gentoo\nID=gentoo\nPRETTY_NAME=\"Gentoo Linux\"\nVERSION_ID=2.17\n",
            ),
            ("gentoo-release", "Gentoo Base System release 2.17\n"),
        ],
    ),
    (
        "kali",
        &[(
            "os-release",
            "PRETTY_NAME=\"Kali GNU/Linux Rolling\"\nNAME=\"Kali GNU/Linux\"\nVERSION_ID=\"2025.3\"\nVERSION=\"2025.3\"\nVERSION_CODENAME=kali-rolling\nID=kali\nID_LIKE=debian\n",
        )],
    ),
    (
        "mint",
        &[(
            "os-release",
            "NAME=\"Linux Mint\"\nVERSION=\"22 (Wilma)\"\nID=linuxmint\nID_LIKE=\"debian\"\nPRETTY_NAME=\"Linux Mint 22\"\nVERSION_ID=\"22\"\nVERSION_CODENAME=wilma\n",
        )],
    ),
    ("void", &[("os-release", "NAME=\"Void\"\nID=\"void\"\nPRETTY_NAME=\"Void Linux\"\n")]),
];

#[test]
fn every_distribution_is_called_as_ansible_calls_it() {
    let names = [
        "os_family",
        "distribution",
        "distribution_version",
        "distribution_major_version",
        "distribution_release",
        "distribution_minor_version",
        "distribution_file_path",
        "distribution_file_variety",
    ];
    let mut tasks = String::new();
    for (release, files) in RELEASES {
        let mut script =
            "rm -f /etc/os-release /etc/*-release /etc/*_release /etc/debian_version".to_owned();
        for (name, text) in *files {
            script.push_str(&format!("\ncat >/etc/{name} <<'END'\n{text}END"));
        }
        tasks.push_str(&format!(
            "  - {}\n",
            json!({"name": format!("is {release}"), "shell": script})
        ));
        tasks.push_str(&format!(
            "  - {{name: gather {release}, setup: {{gather_subset: ['!all', '!min', distribution]}}}}\n"
        ));
        tasks.push_str(&shown(release, &names));
    }
    let Some((theirs, ours)) = both_apart(&tasks, |_| {}) else { return };
    let mut differ = Vec::new();
    for (release, _) in RELEASES {
        let place = ((*release).to_owned(), "one".to_owned());
        let (theirs, ours) = (theirs.story.said.get(&place), ours.story.said.get(&place));
        // `distro` asks `lsb_release`, where this machine has it: it knows nothing of the files' names.
        let asked =
            |said: &Json| serde_json::from_str(&said.to_string().replace("\"n/a\"", "\"NA\"")).ok();
        let theirs: Option<Json> = theirs.and_then(asked);
        if theirs.as_ref() != ours || theirs.is_none() {
            differ.push(format!("{release}\n  Ansible  {theirs:?}\n  certroll {ours:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn facts_are_variables_of_their_rank() {
    let site = "- hosts: all\n  gather_facts: true\n  vars: {ansible_hostname: of the play}\n  tasks:\n  \
        - {name: rank, debug: {msg: '{{ ansible_hostname }} {{ ansible_os_family == ansible_facts.os_family }}'}}\n  \
        - {name: some, setup: {filter: ansible_k*}, register: r}\n  \
        - {name: names, debug: {msg: '{{ r.ansible_facts.keys() | sort }}'}}\n  \
        - {name: other, debug: {msg: \"{{ hostvars['one'].ansible_system }}\"}}\n  \
        - {name: chosen, debug: {msg: hi}, when: \"ansible_facts['system'] == 'Linux'\"}\n  \
        - {name: not, debug: {msg: hi}, when: ansible_os_family == 'Windows'}\n\
        - hosts: all\n  gather_facts: false\n  tasks:\n  - {name: later, debug: {msg: '{{ ansible_system }}'}}\n";
    same_story(&[("hosts", "one\n"), ("site.yml", site)], &[], 0);
}

/// What certroll does of `site.yml`: each task with its end.
fn steps(files: &[(&str, &str)], verb: &str) -> Vec<String> {
    let site = Site::new(files);
    let output = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args([verb, "-o", "json", "-i", "one,", "-e", "ansible_connection=local", "site.yml"])
        .current_dir(site.path())
        .output()
        .expect("certroll runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    crate::ansible::playbooks::ours(&crate::ansible::playbooks::events(&text)).steps
}

#[test]
fn facts_are_gathered_where_something_asks_for_them() {
    let plain = "- hosts: all\n  tasks:\n  - {name: plain, debug: {msg: '{{ ansible_host }}'}}\n";
    assert_eq!(steps(&[("site.yml", plain)], "apply"), ["plain one ok"]);
    let asked = "- hosts: all\n  tasks:\n  - {name: asked, debug: {msg: '{{ ansible_fqdn }}'}}\n\
                 - hosts: all\n  tasks:\n  - {name: again, debug: {msg: '{{ ansible_fqdn }}'}}\n";
    for verb in ["plan", "apply"] {
        let once = ["Gathering Facts one ok", "asked one ok", "again one ok"];
        assert_eq!(steps(&[("site.yml", asked)], verb), once);
    }
    // Only a role's defaults, a file of variables or a template of the controller asks.
    let role = "- hosts: all\n  roles: [r]\n";
    let files = [
        ("site.yml", role),
        (
            "roles/r/defaults/main.yml",
            "where: \"{{ '/etc/pki' if ansible_os_family == 'RedHat' else '/etc/ssl' }}\"\n",
        ),
        ("roles/r/tasks/main.yml", "- {name: where, debug: {msg: '{{ where }}'}}\n"),
    ];
    assert_eq!(steps(&files, "apply"), ["Gathering Facts one ok", "r : where one ok"]);
    let template = "- hosts: all\n  tasks:\n  - {name: written, debug: {msg: \"{{ lookup('template', 't.j2') }}\"}}\n";
    let files = [("site.yml", template), ("templates/t.j2", "{{ ansible_fqdn }}")];
    assert_eq!(steps(&files, "apply"), ["Gathering Facts one ok", "written one ok"]);
    let never = "- hosts: all\n  gather_facts: false\n  tasks:\n  - {name: x, debug: {msg: '{{ ansible_fqdn }}'}}\n";
    let site = Site::new(&[("site.yml", never)]);
    let output = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(["plan", "-i", "one,", "-e", "ansible_connection=local", "site.yml"])
        .current_dir(site.path())
        .output()
        .expect("certroll runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("'ansible_fqdn' is undefined") && said.contains("gather_facts: true"),
        "{said}"
    );
}
