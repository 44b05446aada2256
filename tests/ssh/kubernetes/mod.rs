//! Secrets of a cluster: planned, changed, verified, undone. The cluster is a fake unless `CERTROLL_KUBECONFIG` names a real
//! one; tests that need the fake's knobs are left to it.

mod access;
mod fake;
mod mixed;
mod site;

use serde_json::json;
use site::{NAME, Site, nowhere_below};

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_planned_changed_verified_and_then_left_alone() {
    let site = Site::new().await;
    let new = site.pair("new");
    site.playbook("new", "", "");
    let before = site.stored("www-tls").await;

    let planned = site.run(&["plan"]).await;
    let value = format!("{}/www-tls/tls.crt", site.namespace);
    planned.expect(0, &["change", &value, "the controller rolls it back"]);
    assert_eq!(site.stored("www-tls").await, before, "a plan changes nothing");

    site.run(&["apply"]).await.expect(0, &["changed=1", "patched (resource version"]);
    assert!(site.ingress.serves(&new));
    let after = site.stored("www-tls").await.unwrap();
    assert_eq!(site.certificate("www-tls").await, format!("{}{}", new.pem, new.intermediate_pem));
    let before = before.unwrap();
    assert_eq!(after["data"]["ca.crt"], before["data"]["ca.crt"]);
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);

    site.run(&["apply"]).await.expect(0, &["unchanged=1"]);
    let again = site.stored("www-tls").await.unwrap();
    assert_eq!(again["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    assert!(nowhere_below(site.dir.path(), &new.key_pem));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_without_the_pair_tells_what_the_secret_holds_and_whether_that_is_served() {
    let site = Site::new().await;
    site.playbook("not-here", "", "");
    let asked = site.run(&["status", "-o", "json"]).await;
    let file = "\"as_wanted\":null";
    asked.expect(0, &[file, "\"as_in_file\":true", "what is served is compared with its files"]);
    site.run(&["verify"]).await.expect(1, &["not-here.pem"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_uses_the_secret_is_told_and_which_names_nobody_looks_at() {
    let site = Site::new().await;
    site.used_by("shop", &["www.kube.test", "shop.kube.test"]).await;
    site.pair("new");
    site.playbook("new", "", "");
    let planned = site.run(&["plan"]).await;
    planned.expect(
        0,
        &[
            "is used by Ingress shop for www.kube.test, shop.kube.test",
            "`verify` does not look at shop.kube.test",
        ],
    );
    let Some(fake) = &site.fake else { return };
    let log = fake.log();
    assert!(log.iter().any(|line| line.starts_with("dry certroll")), "{log:?}");
    assert!(!log.iter().any(|line| line.starts_with("certroll")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_goes_back() {
    let site = Site::new().await;
    site.pair("new");
    site.playbook("new", "", "");
    let before = site.stored("www-tls").await.unwrap();
    site.ingress.goes_blind();
    let ran = site.run(&["apply"]).await;
    ran.expect(
        2,
        &["rolled back: the secret holds the old pair again", "another secret has the same names"],
    );
    let after = site.stored("www-tls").await.unwrap();
    assert_eq!(after["data"], before["data"]);
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_looked_up() {
    let site = Site::new().await;
    if site.fake.is_none() {
        return;
    }
    let new = site.pair("new");
    site.playbook("new", "", "");
    site.fake().knobs(|knobs| knobs.lose_answers = 1);
    site.run(&["apply"]).await.expect(0, &["changed=1"]);
    assert!(site.ingress.serves(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_others_change_is_no_conflict_and_another_pair_is_one() {
    let site = Site::new().await;
    if site.fake.is_none() {
        return;
    }
    let new = site.pair("new");
    site.playbook("new", "", "");
    site.fake().knobs(|knobs| knobs.label_before = 2);
    site.run(&["apply"]).await.expect(0, &["changed=1"]);
    assert!(site.ingress.serves(&new));
    assert!(site.stored("www-tls").await.unwrap()["metadata"]["labels"]["touched"].is_string());

    let (foreign, _) = (site.pair("foreign"), site.pair("newer"));
    site.playbook("newer", "", "");
    let theirs = (format!("{}{}", foreign.pem, foreign.intermediate_pem), foreign.key_pem.clone());
    site.fake().knobs(|knobs| knobs.foreign_before = Some(theirs));
    let ran = site.run(&["apply"]).await;
    ran.expect(2, &["was changed meanwhile: openssl-script wrote it"]);
    assert!(site.certificate("www-tls").await.starts_with(&foreign.pem), "it was left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_puts_the_old_pair_back_is_noticed() {
    let site = Site::new().await;
    if site.fake.is_none() {
        return;
    }
    site.pair("new");
    // Long enough for the controller, which is slower than the handshake.
    site.playbook("new", "", "        checks: [{command: [sleep, '3'], on: controller}]\n");
    site.fake().knobs(|knobs| knobs.put_back = Some("argocd-controller"));
    let ran = site.run(&["apply"]).await;
    ran.expect(2, &["was changed again after the change", "find out what writes the secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_controller_owns_is_taken_over_only_when_told() {
    let site = Site::empty().await;
    let (old, new) = (site.pair("old"), site.pair("new"));
    let mut secret = site.secret("kubernetes.io/tls", &old);
    secret["metadata"]["annotations"] = json!({"cert-manager.io/certificate-name": "www"});
    site.create(&secret).await;
    site.ingress.wait_for(&old).await;
    site.playbook("new", "", "");
    let ran = site.run(&["apply"]).await;
    ran.expect(2, &["belongs to cert-manager (www)", "renew its Certificate", "take_over: true"]);
    assert!(site.ingress.serves(&old));
    site.playbook("new", ", take_over: true", "");
    site.run(&["apply"]).await.expect(0, &["it may put its own pair back", "changed=1"]);
    assert!(site.ingress.serves(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_told_before_anything_is() {
    let site = Site::empty().await;
    let old = site.pair("old");
    site.pair("new");
    site.playbook("new", "", "");
    site.run(&["plan"]).await.expect(2, &["there is no secret", "create: true"]);

    let mut secret = site.secret("kubernetes.io/tls", &old);
    secret["immutable"] = json!(true);
    site.create(&secret).await;
    site.run(&["apply"]).await.expect(2, &["is immutable"]);

    site.playbook("new", ", context: nowhere", "");
    site.run(&["apply"]).await.expect(4, &["has no context 'nowhere'"]);
    site.playbook("new", ", kubeconfig: missing.yml", "");
    site.run(&["apply"]).await.expect(4, &["missing.yml"]);
    let Some(fake) = &site.fake else { return };
    site.playbook("new", "", "");
    fake.knobs(|knobs| knobs.forbidden = vec!["patch"]);
    site.run(&["apply"]).await.expect(2, &["may not be patched as 'fake'", "verbs get and patch"]);
    fake.knobs(|knobs| knobs.forbidden = vec!["get"]);
    site.run(&["apply"]).await.expect(2, &["may not be read", "is forbidden"]);
    fake.knobs(|knobs| knobs.unauthorized = true);
    site.run(&["apply"]).await.expect(4, &["did not accept the credentials"]);
    assert!(fake.log().iter().all(|line| !line.starts_with("certroll")), "{:?}", fake.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admission_denies_is_told_in_the_plan() {
    let site = Site::new().await;
    let Some(fake) = &site.fake else { return };
    let before = site.stored("www-tls").await;
    site.pair("new");
    site.playbook("new", "", "");
    fake.knobs(|knobs| knobs.denied = Some("denied by policy: no changes on Fridays"));
    site.run(&["plan"]).await.expect(2, &["no changes on Fridays"]);
    site.run(&["apply"]).await.expect(2, &["no changes on Fridays"]);
    assert_eq!(site.stored("www-tls").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_created_is_deleted_again_when_it_is_not_served() {
    let site = Site::empty().await;
    let first = site.pair("first");
    site.playbook("first", ", create: true", "");
    site.ingress.goes_blind();
    site.run(&["apply"]).await.expect(2, &["that was created is deleted again"]);
    assert!(site.stored("www-tls").await.is_none());

    let site = Site::empty().await;
    let _ = first;
    let first = site.pair("first");
    site.playbook("first", ", create: true", "");
    site.run(&["apply"]).await.expect(0, &["changed=1", "created (resource version"]);
    assert!(site.ingress.serves(&first));
    assert_eq!(site.stored("www-tls").await.unwrap()["type"], "kubernetes.io/tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_pair_comes_back_with_rollback() {
    let site = Site::empty().await;
    let (old, new) = (site.pair("old"), site.pair("new"));
    site.create(&site.secret("Opaque", &old)).await;
    site.ingress.wait_for(&old).await;
    site.playbook("new", ", keep_previous: true", "");
    site.run(&["apply"])
        .await
        .expect(0, &["changed=1", "is of type Opaque", "www-tls-certroll-previous"]);
    assert!(site.ingress.serves(&new));
    assert!(site.certificate("www-tls-certroll-previous").await.starts_with(&old.pem));
    let state = site.stored("www-tls-certroll-previous").await.unwrap();
    assert_eq!(state["metadata"]["annotations"]["certroll/state"], "confirmed");
    assert_eq!(state["type"], "Opaque");

    // A change that is undone takes nothing away from what is kept.
    site.pair("newer");
    site.playbook("newer", ", keep_previous: true", "");
    site.ingress.sees(false);
    site.run(&["apply"]).await.expect(2, &["rolled back: the secret holds the old pair again"]);
    site.ingress.sees(true);
    assert!(site.certificate("www-tls-certroll-previous").await.starts_with(&old.pem));
    let state = site.stored("www-tls-certroll-previous").await.unwrap();
    assert_eq!(state["metadata"]["annotations"]["certroll/state"], "confirmed");

    site.run(&["rollback"]).await.expect(0, &["changed=1"]);
    assert!(site.ingress.serves(&old));
    assert!(site.certificate("www-tls").await.starts_with(&old.pem));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_dies_leaves_what_recover_puts_right() {
    let site = Site::new().await;
    let old = site.certificate("www-tls").await;
    let new = site.pair("new");
    let slow = "        checks: [{command: [sleep, '600'], on: controller, timeout: 700s}]\n        confirm_timeout: 3s\n";
    site.playbook("new", ", keep_previous: true", slow);
    let mut child = site.start(&["apply"]);
    site.until("the new pair is served", async || site.ingress.serves(&new)).await;
    child.kill().expect("killed");
    child.wait().expect("ended");

    // Its run may still be at work until its time to confirm is over.
    site.until("the time is over", async || {
        let ran = site.run(&["recover"]).await;
        assert!([Some(0), Some(2)].contains(&ran.code), "{}", ran.text);
        ran.code == Some(0) && ran.text.contains("put back")
    })
    .await;
    assert_eq!(site.certificate("www-tls").await, old);
    site.run(&["recover"]).await.expect(0, &["nothing to recover"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stays_must_belong_to_the_certificate() {
    let site = Site::new().await;
    site.pair("new");
    let (namespace, port) = (&site.namespace, site.ingress.port);
    let text = format!(
        "- hosts: all\n  tasks:\n    - certificate:\n        kubernetes: {{namespace: {namespace}, secret: www-tls}}\n        \
         source: {{cert: new.pem}}\n        verify: {{endpoint: '127.0.0.1:{port}', server_name: {NAME}}}\n"
    );
    std::fs::write(site.dir.path().join("play.yml"), text).unwrap();
    site.run(&["apply"]).await.expect(2, &["does not belong to the new certificate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_meaning_and_odd_names_are_errors_with_their_lines() {
    let site = Site::empty().await;
    site.pair("new");
    site.playbook("new", ", namespce: x", "        reload: nginx -s reload\n");
    let ran = site.run(&["plan"]).await;
    ran.expect(
        1,
        &[
            "unknown key 'namespce'",
            "'reload' has no meaning for a secret of a cluster",
            "play.yml:",
        ],
    );
    let text = "- hosts: all\n  tasks:\n    - certificate:\n        kubernetes: {namespace: Web, secret: a/b}\n        source: \
                {cert: new.pem, key: new.key}\n";
    std::fs::write(site.dir.path().join("play.yml"), text).unwrap();
    let ran = site.run(&["plan"]).await;
    ran.expect(
        1,
        &["'Web' is not a name", "'a/b' is not a name", "where it is served cannot be guessed"],
    );
}
