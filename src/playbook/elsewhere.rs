//! What Ansible knows and certroll does not: modules, keywords, kinds of `meta`. Each with what to do instead, or
//! why not. Data only; nobody who writes a well-known name is answered with "did you mean".

/// Names that share one remedy.
type Group = (&'static [&'static str], &'static str);

/// Why a key of a play is not there.
pub(super) fn in_a_play(key: &str) -> Option<&'static str> {
    find(PLAY, key)
}

/// Why a module, or a keyword of a task, is not there. A collection's name may stand before it.
pub(super) fn in_a_task(key: &str) -> Option<&'static str> {
    let short = key.rsplit('.').next().unwrap_or(key);
    let own = ["ansible.builtin.", "ansible.legacy."].iter().any(|prefix| key.starts_with(prefix));
    match find(MODULES, short) {
        Some(remedy) => Some(remedy),
        None if key.contains('.') && !own => Some(COLLECTION),
        None if key.starts_with("with_") => Some("use `loop:` with `query('NAME', …)` or a filter"),
        None => find(TASK, short),
    }
}

/// Why a kind of `meta` is not there.
pub(super) fn meta(word: &str) -> Option<&'static str> {
    find(META, word)
}

fn find(groups: &[Group], name: &str) -> Option<&'static str> {
    groups.iter().find(|(names, _)| names.contains(&name)).map(|(_, remedy)| *remedy)
}

const COLLECTION: &str = "certroll runs no modules of collections: leave this task to Ansible, before or after \
                          the rollout, or write it as a `command`";

const PLAY: &[Group] = &[
    (
        &["strategy"],
        "leave it out: certroll runs every task on a whole batch before the next, as `linear` does",
    ),
    (&["vars_prompt"], "pass the value with -e"),
    (&["connection"], "set the variable `ansible_connection: local` for the hosts concerned"),
    (&["port"], "set the variable `ansible_port`"),
    (&["collections"], "certroll has no collections: leave it out"),
    (&["include"], "this old form is gone from Ansible too: use `import_playbook`"),
    (&["module_defaults"], "write the arguments at each task"),
    (&["gather_subset", "gather_timeout", "fact_path"], "certroll gathers no facts: leave it out"),
    (&["ignore_errors"], "write it at the tasks concerned"),
    (
        &["ignore_unreachable"],
        "an unreachable host takes no further part; `max_fail_percentage` says how many may be",
    ),
    (&["no_log", "check_mode", "run_once"], "write it at the tasks concerned"),
    (&["diff"], "use the flag --diff"),
    (&["debugger"], "certroll has no debugger: `-vvv` shows what is done"),
    (&["throttle"], "use the flag --forks, or `serial`"),
    (
        &["timeout"],
        "use the timeouts of the tasks: `timeout`, `validate_timeout`, `reload_timeout`",
    ),
    (
        &["sudo", "sudo_user", "su", "su_user"],
        "this old form is gone from Ansible too: use `become` and `become_user`",
    ),
    (&["user"], "use `remote_user`"),
    (
        &["when"],
        "a play takes no condition: write `when` at its tasks, or choose hosts with `hosts`",
    ),
    (&["register", "notify", "loop", "delegate_to", "until"], "this is a key of tasks"),
    (&["block", "rescue", "always"], "a block stands among `tasks:`: write it there"),
    (
        &["become_password"],
        "use the variable `ansible_become_password` from a vault, or the flag -K",
    ),
];

const META: &[Group] = &[
    (
        &["clear_facts", "refresh_inventory", "gather_facts"],
        "certroll gathers no facts and reads the inventory once: leave it out",
    ),
    (
        &["clear_host_errors"],
        "a host that failed takes no further part in this run: use `ignore_errors` at the task that may fail",
    ),
    (&["end_batch"], "use `end_play`, or `when` at the tasks that follow"),
    (&["end_role"], "use `when` at the tasks that follow"),
    (&["reset_connection"], "each run logs in anew: leave it out"),
];

const FILES: &str = "certificates and keys are deployed by `certificate`, with owner and mode; leave other files \
                     to Ansible, or use `command`";
const SERVICES: &str =
    "the `reload` of a `certificate` task does it; else use `command: [systemctl, reload, NAME]`";
const PACKAGES: &str = "certroll installs nothing: leave it to Ansible, before the rollout";
const ACCOUNTS: &str = "certroll manages no accounts: leave it to Ansible, before the rollout";
const ISSUING: &str = "certroll rolls out what exists: let your issuing tool write the files on the controller, and name \
                       them in `source` of a `certificate` task";
const FACTS: &str =
    "certroll gathers no facts: set what you need in the inventory, or `register` a `command`";
const CONTAINERS: &str = "certroll manages no containers: use `command`, or leave it to Ansible";
const DATABASES: &str = "certroll manages no databases: leave it to Ansible";
const FIREWALL: &str = "certroll manages no firewall: leave it to Ansible, before the rollout";
const BALANCERS: &str =
    "drain and enable with `command` tasks and `delegate_to`, around the `certificate` task";
const MAIL: &str =
    "use `command` with `delegate_to: localhost`, or --metrics and -o json for what a run did";
const CLOUD: &str = "leave it to Ansible; certroll reads what it writes into the inventory";

const MODULES: &[Group] = &[
    (
        &[
            "copy",
            "template",
            "file",
            "acl",
            "blockinfile",
            "lineinfile",
            "replace",
            "assemble",
            "xattr",
            "ini_file",
            "xml",
            "patch",
            "synchronize",
            "unarchive",
            "archive",
            "iso_extract",
            "tempfile",
            "htpasswd",
            "read_csv",
            "filesize",
        ],
        FILES,
    ),
    (
        &["get_url"],
        "fetch it on the controller before the run: what is rolled out must not change between hosts",
    ),
    (&["fetch"], "use `command` with `register`, or Ansible"),
    (
        &["slurp"],
        "use `command: [cat, PATH]` with `register`; a key does not belong into a variable",
    ),
    (&["stat"], "use `command: [test, -e, PATH]` with `failed_when: false` and `register`"),
    (&["find"], "use `command: [find, …]` with `register`"),
    (
        &[
            "service",
            "systemd",
            "systemd_service",
            "sysvinit",
            "openrc",
            "runit",
            "supervisorctl",
            "launchd",
            "win_service",
            "sv",
        ],
        SERVICES,
    ),
    (
        &[
            "service_facts",
            "package_facts",
            "setup",
            "gather_facts",
            "mount_facts",
            "getent",
            "listen_ports_facts",
        ],
        FACTS,
    ),
    (
        &[
            "apt",
            "apt_key",
            "apt_repository",
            "apt_rpm",
            "deb822_repository",
            "debconf",
            "dpkg_selections",
            "dnf",
            "dnf5",
            "yum",
            "yum_repository",
            "rpm_key",
            "package",
            "apk",
            "pacman",
            "zypper",
            "zypper_repository",
            "homebrew",
            "portage",
            "pkgng",
            "opkg",
            "snap",
            "flatpak",
            "pip",
            "npm",
            "gem",
            "cpanm",
            "composer",
            "bundler",
            "easy_install",
            "win_package",
            "win_chocolatey",
            "make",
            "git",
            "git_config",
            "subversion",
            "hg",
        ],
        PACKAGES,
    ),
    (
        &[
            "user",
            "group",
            "authorized_key",
            "known_hosts",
            "win_user",
            "win_group",
            "sudoers",
            "pam_limits",
            "pamd",
            "ssh_config",
            "openssh_keypair",
            "openssh_cert",
        ],
        ACCOUNTS,
    ),
    (
        &[
            "acme_certificate",
            "acme_account",
            "acme_account_info",
            "acme_certificate_revoke",
            "acme_challenge_cert_helper",
            "acme_inspect",
            "acme_ari_info",
            "certificate_complete_chain",
            "openssl_certificate",
            "openssl_certificate_info",
            "openssl_csr",
            "openssl_csr_info",
            "openssl_csr_pipe",
            "openssl_dhparam",
            "openssl_pkcs12",
            "openssl_privatekey",
            "openssl_privatekey_convert",
            "openssl_privatekey_info",
            "openssl_privatekey_pipe",
            "openssl_publickey",
            "openssl_publickey_info",
            "openssl_signature",
            "openssl_signature_info",
            "x509_certificate",
            "x509_certificate_convert",
            "x509_certificate_info",
            "x509_certificate_pipe",
            "x509_crl",
            "x509_crl_info",
            "luks_device",
            "ecs_certificate",
            "certbot",
            "letsencrypt",
            "step_ca_certificate",
            "hashivault_pki_issue",
            "ipa_cert",
        ],
        ISSUING,
    ),
    (
        &["get_certificate"],
        "`certroll verify` and the `verify` of a `certificate` task look at what is served",
    ),
    (&["java_cert", "java_keystore"], "use `command` with keytool; certroll writes PEM files"),
    (
        &[
            "win_certificate_store",
            "win_copy",
            "win_template",
            "win_shell",
            "win_command",
            "win_file",
            "win_powershell",
            "win_ping",
            "win_stat",
            "win_regedit",
            "win_feature",
            "win_iis_webbinding",
        ],
        "certroll works on hosts with a POSIX shell: leave Windows to Ansible",
    ),
    (&["uri"], "use `checks:` of a `certificate` task with curl, or `command: [curl, -fsS, URL]`"),
    (&["script"], "use `command` with the script's path on the host, or `shell` with its text"),
    (&["raw"], "use `shell`: certroll needs no Python"),
    (&["expect"], "use `command` with `stdin`"),
    (&["ping"], "`certroll ping` connects, logs in and becomes on each host"),
    (
        &["wait_for_connection"],
        "each run waits for its connection: see `ansible_ssh_timeout` and `ansible_ssh_retries`",
    ),
    (&["reboot"], "certroll reboots nothing: use `command` and a run of its own"),
    (
        &["add_host", "group_by"],
        "write the hosts into the inventory, or use an executable inventory",
    ),
    (&["include"], "this old form is gone from Ansible too: use `include_tasks` or `import_tasks`"),
    (&["role"], "a role stands in `roles:` of a play, or in `import_role` and `include_role`"),
    (&["import_playbook"], "this stands among plays, not among tasks"),
    (&["cron", "at", "anacron"], "leave it to Ansible, or use `command`"),
    (
        &[
            "hostname",
            "timezone",
            "locale_gen",
            "sysctl",
            "modprobe",
            "kernel_blacklist",
            "mount",
            "filesystem",
            "parted",
            "lvg",
            "lvol",
            "swapfile",
            "interfaces_file",
            "nmcli",
            "reboot_required",
            "alternatives",
            "dconf",
        ],
        "certroll sets no hosts up: leave it to Ansible, before the rollout",
    ),
    (
        &["seboolean", "sefcontext", "seport", "selinux", "selinux_permissive", "selogin"],
        "staged files get the labels of what they replace; leave SELinux's rules to Ansible",
    ),
    (&["ufw", "firewalld", "iptables", "iptables_state", "nftables", "shorewall"], FIREWALL),
    (
        &[
            "docker_container",
            "docker_container_exec",
            "docker_image",
            "docker_compose",
            "docker_compose_v2",
            "docker_secret",
            "docker_service",
            "docker_stack",
            "docker_swarm",
            "docker_login",
            "docker_network",
            "docker_volume",
            "podman_container",
            "podman_secret",
            "podman_image",
            "k8s",
            "k8s_info",
            "kubectl",
            "helm",
            "lxd_container",
            "proxmox",
        ],
        CONTAINERS,
    ),
    (
        &[
            "mysql_db",
            "mysql_user",
            "mysql_query",
            "mysql_variables",
            "postgresql_db",
            "postgresql_user",
            "postgresql_query",
            "postgresql_set",
            "postgresql_ext",
            "postgresql_privs",
            "postgresql_pg_hba",
            "mongodb_user",
            "redis",
            "redis_config",
            "elasticsearch_plugin",
            "rabbitmq_user",
            "rabbitmq_plugin",
            "rabbitmq_vhost",
        ],
        DATABASES,
    ),
    (
        &[
            "haproxy",
            "apache2_mod_proxy",
            "elb_instance",
            "elb_target",
            "bigip_pool_member",
            "bigip_node",
            "netscaler_service",
            "nginx_status_facts",
        ],
        BALANCERS,
    ),
    (
        &[
            "bigip_ssl_certificate",
            "bigip_ssl_key",
            "bigip_profile_client_ssl",
            "netscaler_ssl_certkey",
            "panos_import",
            "fortios_vpn_certificate_local",
            "aws_acm",
            "acm_certificate",
            "azure_rm_keyvaultcertificate",
            "gcp_compute_ssl_certificate",
            "iam_server_certificate",
        ],
        "certroll writes files on hosts over SSH; this target has an interface of its own: leave it to Ansible",
    ),
    (
        &["apache2_module", "a2enmod", "htaccess"],
        "use `command: [a2enmod, NAME]`; the `reload` of a `certificate` task loads it",
    ),
    (
        &[
            "ec2",
            "ec2_instance",
            "ec2_instance_info",
            "route53",
            "s3_object",
            "aws_s3",
            "aws_ssm_parameter_store",
            "cloudformation",
            "azure_rm_virtualmachine",
            "gcp_compute_instance",
            "digital_ocean_droplet",
            "hcloud_server",
            "cloudflare_dns",
            "nsupdate",
            "terraform",
            "vmware_guest",
        ],
        CLOUD,
    ),
    (
        &[
            "mail",
            "slack",
            "mattermost",
            "rocketchat",
            "telegram",
            "teams",
            "pagerduty",
            "grafana_annotation",
            "nagios",
            "icinga2_downtime",
            "zabbix_maintenance",
            "statusio_maintenance",
            "irc",
            "jabber",
            "syslogger",
            "logstash_plugin",
            "jenkins_job",
            "jira",
            "webhook",
        ],
        MAIL,
    ),
    (&["async_status", "async_wrapper"], "a task ends before the next begins: give it a `timeout`"),
    (&["set_stats"], "-o json tells what a run did"),
    (&["validate_argument_spec"], "use `assert`"),
    (&["action"], "write the module's name as the key: `command: …`"),
    (&["local_action"], "write the module as the key, and `delegate_to: localhost`"),
    (&["rescue", "always"], "this belongs to a `block`: write one around the tasks that may fail"),
];

const TASK: &[Group] = &[
    (
        &["remote_user"],
        "`remote_user` is a key of the play; for single hosts set the variable `ansible_user`",
    ),
    (&["port"], "set the variable `ansible_port`"),
    (&["connection"], "use `delegate_to: localhost`, or the variable `ansible_connection: local`"),
    (&["async", "poll"], "a task ends before the next begins: give it a `timeout`"),
    (
        &["timeout"],
        "use the module's own: `timeout` of `command`, `validate_timeout` and `reload_timeout` of `certificate`",
    ),
    (&["throttle"], "use the flag --forks, or `serial` of the play"),
    (&["diff"], "use the flag --diff"),
    (&["debugger"], "certroll has no debugger: `-vvv` shows what is done"),
    (&["collections"], "certroll has no collections: leave it out"),
    (&["module_defaults"], "write the arguments at each task"),
    (
        &["delegate_facts"],
        "what a delegated task sets belongs to the host of the play: leave it out",
    ),
    (
        &["ignore_unreachable"],
        "an unreachable host takes no further part; `max_fail_percentage` says how many may be",
    ),
    (&["first_available_file"], "use `query('first_found', …)`"),
    (
        &["sudo", "sudo_user", "su", "su_user"],
        "this old form is gone from Ansible too: use `become` and `become_user`",
    ),
    (
        &["become_password", "become_pass"],
        "use the variable `ansible_become_password` from a vault, or the flag -K",
    ),
    (&["only_if"], "this old form is gone from Ansible too: use `when`"),
    (
        &["static", "tasks_from", "vars_from", "apply", "public"],
        "this is an argument of an include: write it below `include_role:` or `include_tasks:`",
    ),
    (
        &[
            "hosts",
            "tasks",
            "handlers",
            "serial",
            "vars_files",
            "roles",
            "gather_facts",
            "strategy",
            "max_fail_percentage",
            "order",
            "pre_tasks",
            "post_tasks",
        ],
        "this is a key of a play: begin a play of its own with `- hosts: …`",
    ),
    (&["with_dict"], "use `loop: \"{{ mapping | dict2items }}\"`"),
    (&["with_fileglob"], "use `loop: \"{{ query('fileglob', 'PATTERN') }}\"`"),
    (&["with_first_found"], "use `loop: \"{{ query('first_found', ['ONE', 'TWO']) }}\"`"),
    (&["with_file"], "use `loop: \"{{ query('file', 'NAME', …) }}\"`"),
    (&["with_lines"], "use `loop: \"{{ lookup('file', 'NAME').splitlines() }}\"`"),
    (&["with_together"], "use `loop: \"{{ one | zip(two) | list }}\"`"),
    (&["with_nested", "with_cartesian"], "use `loop: \"{{ one | product(two) | list }}\"`"),
    (&["with_sequence"], "use `loop: \"{{ range(FIRST, LAST + 1) | list }}\"`"),
    (&["with_subelements"], "use `loop: \"{{ list | subelements('KEY') }}\"`"),
    (&["with_flattened"], "use `loop: \"{{ lists | flatten }}\"`"),
    (&["with_indexed_items"], "use `loop` with `loop_control: {index_var: NAME}`"),
    (&["with_random_choice"], "use `{{ list | random }}`"),
    (&["with_inventory_hostnames"], "use `loop: \"{{ groups['GROUP'] }}\"`"),
    (&["with_env"], "use `lookup('env', 'NAME')`"),
    (&["with_url", "with_pipe"], "`register` a `command` with `delegate_to: localhost`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_has_two_remedies() {
        for groups in [PLAY, META, MODULES, TASK] {
            let mut names: Vec<_> = groups.iter().flat_map(|(names, _)| names.iter()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
        assert!(MODULES.iter().map(|(names, _)| names.len()).sum::<usize>() > 200);
    }

    #[test]
    fn a_collections_module_is_told_apart_from_a_slip() {
        assert_eq!(in_a_task("ansible.builtin.copy"), Some(FILES));
        assert_eq!(in_a_task("community.crypto.x509_certificate"), Some(ISSUING));
        assert_eq!(in_a_task("acme.tools.thing"), Some(COLLECTION));
        assert_eq!(in_a_task("ansible.builtin.coyp"), None);
        assert_eq!(in_a_task("comand"), None);
    }
}
