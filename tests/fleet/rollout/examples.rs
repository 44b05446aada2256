//! The examples for nginx, Postfix and a batch behind a bastion, planned on real hosts as they stand.

use crate::rollout::site::{Site, site};
use std::fs;

/// Hosts of a group under names that their certificates are for, and a directory with those.
fn stage(site: &Site, group: &str, name: &str, directory: &str, san: &str) -> (String, String) {
    let generation = format!("example-{group}");
    if !site.fleet.pki(&generation, "fullchain.pem").exists() {
        site.fleet.fleet(&["issue", &generation, "--san", san]);
    }
    let certs = site.file("certs");
    fs::create_dir_all(certs.join(directory)).unwrap();
    for file in ["fullchain.pem", "privkey.pem"] {
        fs::copy(site.fleet.pki(&generation, file), certs.join(directory).join(file)).unwrap();
    }
    let real = fs::read_to_string(site.inventory()).unwrap();
    let h001 = real.lines().find(|line| line.starts_with("h001 ")).unwrap().to_owned();
    let variables = &real[real.find("[all:vars]").unwrap()..];
    let host = h001.replacen("h001", name, 1);
    let inventory = site.file(&format!("{group}.ini"));
    fs::write(&inventory, format!("[{group}]\n{host}\n\n{variables}")).unwrap();
    (inventory.display().to_string(), format!("certs_dir={}", certs.display()))
}

fn plan(site: &Site, playbook: &str, (inventory, certs): (String, String)) -> String {
    let playbook = format!("{}/playbooks/{playbook}", env!("CARGO_MANIFEST_DIR"));
    let ran = site.fleet.run(
        site.file("play.yml").parent().unwrap(),
        &["plan", &playbook, "-i", &inventory, "-e", &certs, "--exit-code"],
    );
    assert_eq!(ran.code, 3, "{ran}");
    ran.stdout
}

#[test]
fn the_examples_are_planned_on_real_hosts() {
    let Some(site) = site() else { return };
    for (playbook, group, name, directory, san) in [
        ("nginx-edge.yml", "edge", "www.fleet.test", "www.fleet.test", "DNS:www.fleet.test"),
        ("postfix-mail.yml", "mail", "mx.fleet.test", "mx.fleet.test", "DNS:mx.fleet.test"),
        (
            "bastion-batch.yml",
            "internal",
            "app-001",
            "wildcard",
            "DNS:app-001.internal.example.net",
        ),
    ] {
        let told = plan(&site, playbook, stage(&site, group, name, directory, san));
        assert!(told.contains(name) && told.contains("create"), "{playbook}: {told}");
        assert!(told.contains("apply would change 1 host"), "{playbook}: {told}");
    }
}
