//! Login shells that are not POSIX, noisy start-up files, sudo with a password, a bastion.

use crate::common::fleet::Fleet;
use crate::rollout::site::{Task, site};
use std::fs;

#[test]
fn any_login_shell_and_any_noise_will_do() {
    let Some(site) = site() else { return };
    for (user, generation) in [
        ("noisy", "gen2"),
        ("fish", "gen1"),
        ("tcsh", "gen2"),
        ("zsh", "gen1"),
        ("ash", "gen2"),
        ("root", "gen1"),
    ] {
        let login = format!("ansible_user={user}");
        let playbook = site.play(&[Task::nginx(generation)]);
        let apply = site.run("apply", &playbook, &["--limit", "h001", "-e", &login]);
        assert_eq!(
            (apply.code, apply.outcome("h001")),
            (0, "changed".to_owned()),
            "as {user}: {apply}"
        );
        site.fleet.expect("h001", "nginx", generation);
    }
}

#[test]
fn passwords_for_login_and_sudo_are_taken_from_variables() {
    let Some(site) = site() else { return };
    let variables = site.file("secrets.json");
    let login = r#"{"ansible_user": "admin", "ansible_password": "fleet-admin", "ansible_become_password": "PASSWORD"}"#;
    let arguments = ["--limit", "h001", "-e", &format!("@{}", variables.display())];
    let playbook = site.play(&[Task::nginx("gen2")]);
    let before = site.state("h001");

    let none = login.replace(r#", "ansible_become_password": "PASSWORD""#, "");
    for (given, words) in [
        (login.replace("PASSWORD", "wrong"), "sudo refused the become password"),
        (none, "sudo needs a password to become root: give one with -K"),
    ] {
        fs::write(&variables, given).unwrap();
        let refused = site.run("apply", &playbook, &arguments);
        let unreachable = [("h001".to_owned(), "unreachable".to_owned())];
        assert_eq!(refused.outcomes(), unreachable, "{refused}");
        assert!(refused.stdout.contains(words), "{refused}");
        assert!(!refused.to_string().contains("fleet-admin"), "{refused}");
        assert_eq!(site.state("h001"), before);
    }

    fs::write(&variables, login.replace("PASSWORD", "fleet-admin")).unwrap();
    let apply = site.run("apply", &playbook, &arguments);
    assert_eq!((apply.code, apply.outcome("h001")), (0, "changed".to_owned()), "{apply}");
    site.fleet.expect("h001", "nginx", "gen2");
    assert!(!apply.to_string().contains("fleet-admin"), "{apply}");
}

#[test]
fn hosts_behind_a_bastion_are_done_through_it_and_seen_from_it() {
    let Some(fleet) = Fleet::up_with(1, &["nginx"], &["--bastion", "2"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = |file| fleet.pki("gen2", file).display().to_string();
    let inventory = fleet.dir().join("inventory.ini").display().to_string();
    let (cert, key) = (source("fullchain.pem"), source("privkey.pem"));
    for (via, generation) in [("bastion", "gen2"), ("host", "gen3-rsa")] {
        let playbook = format!(
            r#"- hosts: inner
  become: true
  tasks:
    - certificate:
        service: nginx
        source: {{cert: {}, key: {}}}
        dest: {{cert: /etc/nginx/tls/fullchain.pem, key: /etc/nginx/tls/privkey.pem}}
        verify: {{endpoint: "{{{{ ansible_host }}}}:443", server_name: www.fleet.test, via: {via}}}
"#,
            cert.replace("gen2", generation),
            key.replace("gen2", generation),
        );
        fs::write(directory.path().join("play.yml"), playbook).unwrap();
        let apply =
            fleet.run(directory.path(), &["apply", "play.yml", "-i", &inventory, "-o", "json"]);
        let changed = ["i001", "i002"].map(|host| (host.to_owned(), "changed".to_owned()));
        assert_eq!((apply.code, apply.outcomes()), (0, changed.to_vec()), "via {via}: {apply}");
        for host in ["i001", "i002"] {
            fleet.expect(host, "nginx", generation);
        }
    }
}
