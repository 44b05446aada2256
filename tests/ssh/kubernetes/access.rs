//! How certroll gets at a cluster: every form in which a kubeconfig holds a token, several files, and the rights it needs.

use super::site::Site;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A kubeconfig for the fake with this `user`.
fn kubeconfig(site: &Site, name: &str, user: &str) {
    let text = fs::read_to_string(&site.kubeconfig).expect("readable");
    let text = text.replace("{token: not-a-secret}", user);
    fs::write(site.dir.path().join(name), text).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_every_form_are_taken_as_kubectl_takes_them() {
    let site = Site::new().await;
    if site.fake.is_none() {
        return;
    }
    site.pair("new");
    let below = site.dir.path().join("below");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("token"), "not-a-secret\n").unwrap();
    let plugin = "#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\
                  \"status\":{\"token\":\"'$TOKEN'\"}}'\n";
    fs::write(below.join("plugin"), plugin).unwrap();
    fs::set_permissions(below.join("plugin"), fs::Permissions::from_mode(0o755)).unwrap();
    let of_plugin = |token: &str| {
        format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Never, env: [{{name: \
             TOKEN, value: {token}}}]}}}}"
        )
    };
    // Files and programs are found beside the kubeconfig, wherever certroll runs.
    let forms: [(&str, &str, i32, &str); 5] = [
        ("file.yml", "{tokenFile: token}", 0, "change"),
        ("plugin.yml", &of_plugin("not-a-secret"), 0, "change"),
        ("wrong.yml", &of_plugin("another"), 4, "did not accept the credentials"),
        ("none.yml", "{}", 4, "did not accept the credentials"),
        (
            "gone.yml",
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./gone}}",
            4,
            "gone",
        ),
    ];
    for (name, user, code, words) in forms {
        kubeconfig(&site, &Path::new("below").join(name).display().to_string(), user);
        site.playbook("new", &format!(", kubeconfig: below/{name}"), "");
        site.run(&["plan"]).await.expect(code, &[words]);
    }

    // Several files are one; of two with the same name the first counts.
    kubeconfig(&site, "first.yml", "{token: not-a-secret}");
    kubeconfig(&site, "second.yml", "{token: another}");
    let add = |name: &str, more: &str| {
        let file = site.dir.path().join(name);
        fs::write(&file, fs::read_to_string(&file).unwrap() + more).unwrap();
    };
    add("second.yml", "- name: elsewhere\n  context: {cluster: fake, user: dora}\n");
    site.playbook("new", ", context: elsewhere", "");
    let mut command = site.command(&["plan"], "play.yml");
    command.env("KUBECONFIG", "first.yml:second.yml");
    site.end(command).await.expect(0, &["change", "elsewhere at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_the_way_back_needs_are_asked_for_before_anything_is_written() {
    let site = Site::empty().await;
    let Some(fake) = &site.fake else { return };
    let old = site.pair("old");
    site.pair("new");
    site.playbook("new", ", create: true", "");
    fake.knobs(|knobs| knobs.forbidden = vec!["delete"]);
    site.run(&["plan"]).await.expect(2, &["may not be deleted as 'fake'", "has no way back"]);
    fake.knobs(|knobs| knobs.forbidden = vec!["create"]);
    site.run(&["apply"]).await.expect(2, &["www-tls may not be created as 'fake'"]);
    fake.knobs(|knobs| knobs.forbidden.clear());
    site.create(&site.secret("kubernetes.io/tls", &old)).await;
    fake.knobs(|knobs| knobs.forbidden = vec!["create"]);
    site.playbook("new", ", keep_previous: true", "");
    let ran = site.run(&["apply"]).await;
    ran.expect(
        2,
        &["www-tls-certroll-previous may not be created as 'fake'", "`keep_previous` needs"],
    );
    assert!(fake.log().iter().all(|line| !line.starts_with("certroll")), "{:?}", fake.log());
}
