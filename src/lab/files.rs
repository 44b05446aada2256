//! The files of a lab's controller side: inventory, playbook, service profiles. Written to be read by
//! people who kept the directory.

use super::host::Host;
use super::story::{HostStory, Kind};
use std::fmt::Write;
use std::path::Path;

/// The inventory, in the order of the stories.
pub(super) fn inventory(
    directory: &Path,
    user: &str,
    stories: &[HostStory],
    hosts: &[Host],
) -> String {
    let place = directory.display();
    let mut text = String::from(
        "# The fleet of `certroll demo`. Every host is an SSH server on 127.0.0.1 with a port and a\n\
         # directory of its own; its service listens on tls_port.\n",
    );
    for kind in [Kind::Web, Kind::Mail] {
        let mut group =
            stories.iter().zip(hosts).filter(|(story, _)| story.kind == kind).peekable();
        if group.peek().is_some() {
            let _ = writeln!(text, "\n[{}]", kind.group());
        }
        for (_, host) in group {
            let own = host.directory.display();
            let _ = writeln!(
                text,
                "{} ansible_port={} tls_port={} host_dir={own} certroll_state_dir={own}/state",
                host.name,
                host.sshd.port(),
                host.service.port(),
            );
        }
    }
    let _ = write!(
        text,
        "\n[all:vars]\nansible_host=127.0.0.1\nansible_user={user}\n\
         ansible_ssh_private_key_file={place}/id_ed25519\n\
         ansible_ssh_common_args=-F none -o UserKnownHostsFile={place}/known_hosts -o IdentitiesOnly=yes\n\
         # certroll keeps its journal and lock on a host in /var/lib and /run; these hosts share one\n\
         # machine, so each has certroll_state_dir instead.\n"
    );
    text
}

/// The playbook for the groups that the stories have.
pub(super) fn playbook(stories: &[HostStory]) -> String {
    let has = |kind| stories.iter().any(|story| story.kind == kind);
    let mut text = String::from(
        "# Renews the certificate of every host of the demo. The new ones are in certs/HOST/.\n",
    );
    if has(Kind::Web) {
        text.push_str(
            "\
- name: Renew the web certificates
  hosts: web
  gather_facts: false
  serial: [1, 100%]             # one canary, then the rest
  tasks:
    - name: the web server serves the renewed certificate
      certificate:
        service: demo-web       # services/demo-web.yml says how it checks and reloads
        source:                 # on this machine, relative to the playbook
          cert: certs/{{ inventory_hostname }}/fullchain.pem
          key: certs/{{ inventory_hostname }}/privkey.pem
        dest:                   # on the host
          cert: \"{{ host_dir }}/tls/cert.pem\"
          key: \"{{ host_dir }}/tls/key.pem\"
        verify:                 # a handshake must show the new certificate, or the host is rolled back
          endpoint: \"127.0.0.1:{{ tls_port }}\"
          server_name: \"{{ inventory_hostname }}.demo.test\"
          trust: pki/root.pem
          attempts: 4
          backoff: 250ms
",
        );
    }
    if has(Kind::Mail) {
        if has(Kind::Web) {
            text.push('\n');
        }
        text.push_str(
            "\
- name: Renew the mail certificates
  hosts: mail
  gather_facts: false
  tasks:
    - name: the mail server serves the renewed certificate
      certificate:
        service: demo-mail
        source:
          cert: certs/{{ inventory_hostname }}/fullchain.pem
          key: certs/{{ inventory_hostname }}/privkey.pem
        dest:
          cert: \"{{ host_dir }}/tls/cert.pem\"
          key: \"{{ host_dir }}/tls/key.pem\"
        verify:
          endpoint: \"127.0.0.1:{{ tls_port }}\"
          server_name: \"{{ inventory_hostname }}.demo.test\"
          starttls: smtp        # the handshake follows SMTP's STARTTLS
          trust: pki/root.pem
          attempts: 4
          backoff: 250ms
",
        );
    }
    text
}

/// The profile of the simulated web server.
pub(super) const WEB_PROFILE: &str = "\
description: the simulated web server of `certroll demo`
layout: {cert: fullchain, chain: in_cert, key: separate}
dest: none                      # every task says it
modes: {cert: \"0644\", key: \"0600\", dir: \"0700\"}
validate:
  # bin/edge-check of the host asks the service, which reads its configuration and both files.
  command: [edge-check, \"{cert}\", \"{key}\"]
  via: staged
  covers: [config, pem, pair]
reload:
  command: [edge-reload]
  exit_code: config_loaded
verify: {port: 443, starttls: none}
caveats:
  - the service is simulated; SSH, files, shell commands and TLS are real
";

/// The profile of the simulated mail server.
pub(super) const MAIL_PROFILE: &str = "\
description: the simulated mail server of `certroll demo`
extends: demo-web
verify: {port: 25, starttls: smtp}
";
