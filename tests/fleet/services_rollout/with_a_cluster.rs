//! One play over a plain host, a host whose service imports, and a cluster: canary, stop, way back, rollback. The hosts are
//! real; the cluster is a fake, or a real one where `CERTROLL_KUBECONFIG` names one.

#[path = "../../ssh/kubernetes/fake.rs"]
#[allow(dead_code, reason = "its knobs are the other tests'")]
mod fake;
#[path = "../../ssh/kubernetes/site.rs"]
#[allow(dead_code, reason = "this test starts certroll on the fleet's controller")]
mod site;

use super::imports::{self, fresh};
use super::service::NGINX;
use super::site::{Host, Task, host};
use crate::common::fleet::{Fleet, Ran};
use kube_client::config::{Config, KubeConfigOptions, Kubeconfig};
use site::Site;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UnixListener};

/// A port of this machine's loopback at the same place of the fleet's controller, which has a network of its own.
struct Bridge(Child);

impl Bridge {
    async fn to(fleet: &Fleet, directory: &Path, port: u16) -> Self {
        let socket = directory.join(format!("{port}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        let from = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork");
        let to = format!("UNIX-CONNECT:{}", socket.display());
        let bridge = Self(fleet.controller("socat", &[&from, &to]).spawn().unwrap());
        let (sockets, listens) = (
            format!("/proc/{}/net/tcp", bridge.0.id()),
            format!("0100007F:{port:04X} 00000000:0000 0A"),
        );
        let end = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(&sockets).unwrap_or_default().contains(&listens) {
            assert!(Instant::now() < end, "nothing listens at {port}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Where the API server listens on this machine.
async fn api_port(site: &Site) -> u16 {
    let kubeconfig = Kubeconfig::read_from(&site.kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    config.unwrap().cluster_url.port_u16().unwrap_or(443)
}

/// All three, and what is rolled out to them.
struct Scene {
    plain: Host,
    importing: Host,
    site: Site,
    _bridges: [Bridge; 2],
}

impl Scene {
    async fn new() -> Option<Self> {
        let (plain, importing) = (host(&[&NGINX])?, fresh()?);
        let site = Site::new().await;
        let directory = site.dir.path();
        let api = Bridge::to(plain.fleet(), directory, api_port(&site).await).await;
        let ingress = Bridge::to(plain.fleet(), directory, site.ingress.port).await;
        fs::write(plain.file("clusters.ini"), "[clusters]\ncluster1\n").unwrap();
        Some(Self { plain, importing, site, _bridges: [api, ingress] })
    }

    /// The hosts get a generation and the cluster a pair of its own authority. The first of `hosts` is the canary.
    fn run(&self, verb: &str, hosts: &str, generation: &str, pair: &str) -> Ran {
        self.run_with(verb, hosts, generation, pair, "max_fail_percentage: 0")
    }

    /// The same, with a key of the play that says what failures lead to.
    fn run_with(&self, verb: &str, hosts: &str, generation: &str, pair: &str, key: &str) -> Ran {
        let Self { plain, importing, site, .. } = self;
        let only = |task: &str, condition: &str| format!("{task}      when: {condition}\n");
        let of_plain = Task::of(&NGINX, generation).yaml(plain.fleet());
        let of_store = imports::store(plain, generation).yaml(plain.fleet());
        let pairs = site.dir.path().display();
        let (kubeconfig, namespace, port) =
            (site.kubeconfig.display(), &site.namespace, site.ingress.port);
        let of_cluster = format!(
            "    - name: secret\n      certificate:\n        kubernetes: {{kubeconfig: '{kubeconfig}', namespace: {namespace}, \
             secret: www-tls, keep_previous: true}}\n        source: {{cert: {pairs}/{pair}.pem, key: {pairs}/{pair}.key}}\n        \
             verify: {{endpoint: '127.0.0.1:{port}', server_name: {}, attempts: 8, backoff: 100ms, max_backoff: 1s}}\n",
            site::NAME
        );
        let play = format!(
            "- hosts: '{hosts}'\n  serial: [1, 100%]\n  {key}\n  tasks:\n{}{}{}",
            only(
                &format!("{of_plain}      become: true\n"),
                &format!("inventory_hostname == '{}'", plain.name)
            ),
            only(
                &format!("{of_store}      become: true\n"),
                &format!("inventory_hostname == '{}'", importing.name)
            ),
            only(&of_cluster, "inventory_hostname in groups.clusters"),
        );
        fs::write(plain.file("play.yml"), play).unwrap();
        let inventory = plain.fleet().dir().join("inventory.ini").display().to_string();
        let mut command = plain.fleet().certroll(&[
            verb,
            "play.yml",
            "-i",
            &inventory,
            "-i",
            "clusters.ini",
            "-o",
            "json",
        ]);
        command.current_dir(plain.file(""));
        plain.fleet().run_to_end(command)
    }

    /// How each of the three ended: the plain host, the importing one, the cluster.
    fn ended(&self, ran: &Ran) -> [String; 3] {
        [self.plain.name, self.importing.name, "cluster1"].map(|host| ran.outcome(host))
    }

    async fn expect(&self, plain: &str, importing: &str, secret: &str) {
        self.plain.expect(&NGINX, plain);
        self.importing.expect(&NGINX, importing);
        let pem = fs::read_to_string(self.site.dir.path().join(format!("{secret}.pem"))).unwrap();
        assert_eq!(self.site.certificate("www-tls").await, pem);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_an_import_and_a_cluster_share_canary_stop_and_way_back() {
    let Some(scene) = Scene::new().await else { return };
    let (plain, importing) = (scene.plain.name, scene.importing.name);
    let cluster_first = format!("clusters:{plain}:{importing}");
    let cluster_last = format!("{plain}:{importing}:clusters");
    for pair in ["new", "newer"] {
        scene.site.pair(pair);
    }

    // The canary is the cluster, where nobody takes the new pair up: it goes back, and no host is touched.
    scene.site.ingress.sees(false);
    let ran = scene.run("apply", &cluster_first, "gen2", "new");
    assert_eq!(ran.code, 2, "{ran}");
    assert_eq!(scene.ended(&ran), ["skipped", "skipped", "rolled_back"], "{ran}");
    scene.expect("gen1", "gen1", "old").await;

    // Now it is well, and the others follow.
    scene.site.ingress.sees(true);
    let ran = scene.run("apply", &cluster_first, "gen2", "new");
    assert_eq!(scene.ended(&ran), ["changed", "changed", "changed"], "{ran}");
    scene.expect("gen2", "gen2", "new").await;
    let ran = scene.run("apply", &cluster_last, "gen2", "new");
    assert_eq!(scene.ended(&ran), ["unchanged", "unchanged", "unchanged"], "{ran}");

    // Failures are tolerated: the import fails half-way, and the cluster does not serve it.
    imports::named(&scene.importing, "/root/refused", "gen3-rsa");
    scene.site.ingress.sees(false);
    let tolerant = "max_fail_percentage: 100";
    let ran = scene.run_with("apply", &cluster_last, "gen3-rsa", "newer", tolerant);
    assert_eq!(ran.code, 2, "{ran}");
    assert_eq!(scene.ended(&ran), ["changed", "rolled_back", "rolled_back"], "{ran}");
    scene.expect("gen3-rsa", "gen2", "new").await;

    // Each has the pair before its last change.
    scene.site.ingress.sees(true);
    let ran = scene.run("rollback", &cluster_first, "gen3-rsa", "newer");
    assert_eq!(scene.ended(&ran), ["changed", "changed", "changed"], "{ran}");
    scene.expect("gen2", "gen1", "old").await;

    // The canary, the cluster, is well, and so is the plain host; the import fails, and what was done goes back.
    let ran = scene.run_with(
        "apply",
        &cluster_first,
        "gen3-rsa",
        "newer",
        "max_fail_percentage: 0\n  on_failure: rollback_run",
    );
    assert_eq!(ran.code, 2, "{ran}");
    scene.expect("gen2", "gen1", "old").await;
}
