//! The names of what is gathered of hosts, without which none of it is taken: a host that names its network interface
//! `become` must not set how others are logged in to.

/// What holds all of them.
pub(crate) const ALL: &str = "ansible_facts";

/// Without `ansible_`.
const NAMES: [&str; 55] = [
    "all_ipv4_addresses",
    "all_ipv6_addresses",
    "apparmor",
    "architecture",
    "date_time",
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
    "env",
    "fips",
    "fqdn",
    "hostname",
    "interfaces",
    "kernel",
    "kernel_version",
    "lo",
    "machine",
    "machine_id",
    "memfree_mb",
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
    "selinux",
    "service_mgr",
    "swapfree_mb",
    "swaptotal_mb",
    "system",
    "uptime_seconds",
    "user_dir",
    "user_gecos",
    "user_gid",
    "user_id",
    "user_shell",
    "user_uid",
    "userspace_architecture",
    "userspace_bits",
];

/// What Ansible gathers, too, and certroll does not.
const OTHERS: [&str; 12] = [
    "bios_version",
    "cmdline",
    "devices",
    "dns",
    "local",
    "lsb",
    "mounts",
    "product_name",
    "python",
    "python_version",
    "virtualization_role",
    "virtualization_type",
];

/// How interfaces are called. A digit at the end keeps them apart from every other name.
const INTERFACES: [&str; 10] =
    ["eth", "en", "bond", "br", "team", "wl", "ib", "vlan", "docker", "tun"];

/// Whether a variable is one that is gathered.
pub(crate) fn is_fact(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("ansible_") else { return false };
    let interface = || {
        INTERFACES.iter().any(|start| rest.starts_with(start))
            && rest.ends_with(|c: char| c.is_ascii_digit())
    };
    name == ALL || NAMES.contains(&rest) || interface()
}

/// Whether a variable is one that Ansible alone gathers.
pub(super) fn is_others(name: &str) -> bool {
    name.strip_prefix("ansible_").is_some_and(|rest| OTHERS.contains(&rest))
}

/// Whether a text mentions one that is gathered.
pub(crate) fn mentioned(text: &str) -> bool {
    text.match_indices("ansible_").any(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        is_fact(&rest[..end.unwrap_or(rest.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for name in
            ["ansible_facts", "ansible_os_family", "ansible_eth0", "ansible_ens18", "ansible_lo"]
        {
            assert!(is_fact(name), "{name}");
        }
        for name in [
            "ansible_host",
            "ansible_port",
            "ansible_user",
            "ansible_become",
            "ansible_become_user",
            "ansible_connection",
            "ansible_env2x",
            "ansible_ssh_args",
            "ansible_check_mode",
            "os_family",
            "ansible_lsb",
            "ansible_port22",
        ] {
            assert!(!is_fact(name), "{name}");
        }
        assert!(mentioned("when: ansible_facts['os_family'] == 'Debian'"));
        assert!(mentioned("- {{ ansible_fqdn }}"));
        assert!(!mentioned("ansible_host=web1 ansible_user=root ansible_managed ansible_"));
    }
}
