//! One play over hosts and a cluster: batches, canary and tolerance know no difference.

use super::site::Site;
use crate::plays::site::{CERTIFICATE, Site as Fleet};

const INVENTORY: &str = "[clusters]\ncluster1\n";

/// Certificates of the fleet's hosts, and the pair in the cluster's secret.
fn play(site: &Site, batches: &str, hosts: &str) -> String {
    let pairs = site.dir.path().display();
    let (kubeconfig, namespace, port) =
        (site.kubeconfig.display(), &site.namespace, site.ingress.port);
    let of_hosts = CERTIFICATE.trim_end();
    format!(
        "- hosts: {hosts}\n  {batches}\n  tasks:{of_hosts}\n      when: inventory_hostname not in groups.clusters\n    - name: \
         secret\n      certificate:\n        kubernetes: {{kubeconfig: {kubeconfig}, namespace: {namespace}, secret: www-tls}}\n        \
         source: {{cert: {pairs}/new.pem, key: {pairs}/new.key}}\n        verify: {{endpoint: '127.0.0.1:{port}', server_name: \
         www.kube.test, attempts: 5, backoff: 50ms}}\n      when: inventory_hostname in groups.clusters\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_a_cluster_are_rolled_out_in_one_play() {
    let (site, fleet) = (Site::new().await, Fleet::good(2).await);
    let new = site.pair("new");
    std::fs::write(fleet.lab.directory().join("clusters.ini"), INVENTORY).expect("written");
    let ran = fleet.run("apply", &play(&site, "serial: 2", "all"), &["-i", "clusters.ini"]).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(site.ingress.serves(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_as_the_canary_stops_the_play_and_goes_back() {
    let (site, fleet) = (Site::new().await, Fleet::good(2).await);
    site.pair("new");
    std::fs::write(fleet.lab.directory().join("clusters.ini"), INVENTORY).expect("written");
    let old = site.certificate("www-tls").await;
    site.ingress.goes_blind();
    let play = play(&site, "serial: [1, 100%]", "clusters:all");
    let ran = fleet.run("apply", &play, &["-i", "clusters.ini"]).await;
    assert_eq!(ran.code, 2, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(site.certificate("www-tls").await, old);
    let touched =
        ran.stdout.lines().any(|line| line.contains("\"edge1\"") && line.contains("commit"));
    assert!(!touched, "{}", ran.stdout);
}
