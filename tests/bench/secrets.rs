//! Many secrets of one cluster, planned, applied and verified, beside `kubectl patch secret` for each:
//! `cargo bench --bench secrets [SECRETS [RUNS]]`.
//!
//! The cluster is a real one where `CERTROLL_KUBECONFIG` names a kubeconfig; else it is the tests' fake, and certroll is alone, because the
//! fake does not know enough for `kubectl`. Something that stands for an Ingress controller serves each secret by its name, for all of them alike.
//! Without `--bench` it makes one small round, to see that it works.

#[path = "../common/mod.rs"]
mod common;
#[path = "../ssh/kubernetes/fake.rs"]
#[allow(dead_code, reason = "its knobs are the tests'")]
mod fake;
#[path = "../ssh/kubernetes/site.rs"]
#[allow(dead_code, reason = "the tests' part of it")]
mod site;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::json;
use site::{Site, certified, decoded};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// What one way of writing all secrets took.
struct Cost {
    wall: f64,
    peak_mib: f64,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let mut given = arguments.iter().filter_map(|argument| argument.parse::<usize>().ok());
    let mut or = |full, small| given.next().unwrap_or(if whole { full } else { small });
    let (secrets, runs) = (or(50, 3), or(3, 1));
    let runtime = tokio::runtime::Runtime::new()?;
    let bench = runtime.block_on(Bench::new(secrets));
    bench.tell(&runtime, runs)
}

struct Bench {
    site: Site,
    names: Vec<String>,
    server: String,
}

impl Bench {
    async fn new(secrets: usize) -> Self {
        let site = Site::empty().await;
        let names: Vec<String> = (1..=secrets).map(|number| format!("www-{number}")).collect();
        for name in &names {
            for generation in ["a", "b"] {
                let pair = site.pair_for(&format!("{name}-{generation}"), &host_of(name));
                let mut secret = site.secret("kubernetes.io/tls", &pair);
                secret["metadata"]["name"] = json!(name);
                let patch = json!({"data": {"tls.crt": secret["data"]["tls.crt"], "tls.key": secret["data"]["tls.key"]}});
                let file = site.dir.path().join(format!("{name}-{generation}.json"));
                fs::write(file, patch.to_string()).expect("written");
                if generation == "a" {
                    site.create(&secret).await;
                }
            }
        }
        let port = serve(&site).await;
        let (namespace, inventory) = (&site.namespace, names.join("\n"));
        fs::write(site.dir.path().join("hosts"), format!("{inventory}\n")).expect("written");
        for generation in ["a", "b"] {
            let play = format!(
                "- hosts: all\n  tasks:\n    - certificate:\n        kubernetes: {{namespace: {namespace}, secret: '{{{{ \
                 inventory_hostname }}}}'}}\n        source: {{cert: '{{{{ inventory_hostname }}}}-{generation}.pem', key: '{{{{ \
                 inventory_hostname }}}}-{generation}.key'}}\n        verify: {{endpoint: '127.0.0.1:{port}', server_name: '{{{{ \
                 inventory_hostname }}}}.kube.test', attempts: 60, backoff: 20ms, max_backoff: 500ms}}\n"
            );
            fs::write(site.dir.path().join(format!("{generation}.yml")), play).expect("written");
        }
        let server = site::get(&site.client, "/version").await.expect("it answers");
        let server = server["gitVersion"].as_str().unwrap_or_default().to_owned();
        Self { site, names, server }
    }

    fn tell(&self, runtime: &tokio::runtime::Runtime, runs: usize) -> io::Result<()> {
        let mut out = io::stdout();
        let many = self.names.len();
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        writeln!(out, "{many} secrets of an API server {}; load average {load}", self.server)?;
        let alone = ["--limit", &self.names[0]];
        let one = self.certroll(&["plan", "apply"], "b", &alone)?;
        self.certroll(&["apply"], "a", &alone)?;
        // The fake knows too little for it.
        let ways: &[(&str, usize)] = match self.site.fake.is_none() && has_kubectl() {
            true => &[
                ("certroll plan, then certroll apply", 0),
                ("certroll apply, which plans as well", 1),
                ("kubectl, one after another", 1),
                ("kubectl, eight at once", 8),
            ],
            false => &[
                ("certroll plan, then certroll apply", 0),
                ("certroll apply, which plans as well", 1),
            ],
        };
        let mut walls = vec![Vec::new(); ways.len()];
        let mut peak: f64 = 0.0;
        let mut generations = ["b", "a"].into_iter().cycle();
        for _ in 0..runs {
            for ((way, at_once), walls) in ways.iter().zip(&mut walls) {
                let generation = generations.next().unwrap_or_default();
                let cost = match (way.starts_with("kubectl"), at_once) {
                    (true, many) => self.kubectl(generation, *many)?,
                    (false, 0) => self.certroll(&["plan", "apply"], generation, &[])?,
                    (false, _) => self.certroll(&["apply"], generation, &[])?,
                };
                if way.starts_with("certroll") {
                    peak = peak.max(cost.peak_mib);
                }
                let whole = runtime.block_on(self.holds(generation));
                let told = if whole { "" } else { "; NOT EVERY SECRET HOLDS IT" };
                writeln!(out, "{way}: {:.2} s{told}", cost.wall)?;
                walls.push(cost.wall);
            }
        }
        let medians: Vec<f64> = walls.iter_mut().map(|walls| median(walls)).collect();
        for ((way, _), wall) in ways.iter().zip(&medians) {
            writeln!(
                out,
                "{way}: median {wall:.2} s; plan and apply take {:.2} times that, apply {:.2}",
                medians[0] / wall,
                medians[1] / wall
            )?;
        }
        let each = (peak - one.peak_mib) / (many.max(2) - 1) as f64;
        writeln!(
            out,
            "memory: {:.1} MiB with one secret, {peak:.1} MiB with all, {each:.3} MiB for each",
            one.peak_mib
        )
    }

    /// Runs these one after the other.
    fn certroll(&self, verbs: &[&str], generation: &str, more: &[&str]) -> io::Result<Cost> {
        let mut whole = Cost { wall: 0.0, peak_mib: 0.0 };
        for verb in verbs {
            let mut command = self.site.command(&[verb], &format!("{generation}.yml"));
            command.args(more);
            let cost = timed(command)?;
            whole.wall += cost.wall;
            whole.peak_mib = whole.peak_mib.max(cost.peak_mib);
        }
        Ok(whole)
    }

    /// `kubectl patch secret` for each, so many at once. It sees nothing of what is served.
    fn kubectl(&self, generation: &str, at_once: usize) -> io::Result<Cost> {
        let script = format!(
            "printf '%s\\n' {} | xargs -P {at_once} -I NAME kubectl patch secret NAME -n {} --type merge --patch-file \
             NAME-{generation}.json",
            self.names.join(" "),
            self.site.namespace
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(self.site.dir.path());
        command.env("KUBECONFIG", &self.site.kubeconfig).env("HOME", self.site.dir.path());
        timed(command)
    }

    /// Whether every secret holds its certificate of a generation.
    async fn holds(&self, generation: &str) -> bool {
        for name in &self.names {
            let file = self.site.dir.path().join(format!("{name}-{generation}.pem"));
            if self.site.certificate(name).await != fs::read_to_string(file).unwrap_or_default() {
                return false;
            }
        }
        true
    }
}

fn has_kubectl() -> bool {
    let version = Command::new("kubectl").args(["version", "--client"]).output();
    version.is_ok_and(|output| output.status.success())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs it to its end. What it says is only shown when it fails.
fn timed(mut command: Command) -> io::Result<Cost> {
    let said = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said.try_clone()?);
    let start = Instant::now();
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib: u64 = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let now = fs::read_to_string(&status).unwrap_or_default();
        let peak = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak_kib = peak_kib.max(peak.unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = start.elapsed().as_secs_f64();
    if !ended.success() {
        let mut text = String::new();
        let mut said = said;
        said.rewind()?;
        said.read_to_string(&mut text)?;
        return Err(io::Error::other(format!("{command:?} ended with {ended}: {text}")));
    }
    Ok(Cost { wall, peak_mib: peak_kib as f64 / 1024.0 })
}

fn host_of(secret: &str) -> String {
    format!("{secret}.kube.test")
}

/// Each secret's pair, for clients that ask for its name.
#[derive(Debug, Default)]
struct ByName(Mutex<HashMap<String, Arc<CertifiedKey>>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let known = self.0.lock().expect("not poisoned");
        known.get(hello.server_name()?).cloned()
    }
}

/// Serves all secrets of the namespace, and looks for new pairs ten times a second.
async fn serve(site: &Site) -> u16 {
    let served = Arc::new(ByName::default());
    let (client, path) =
        (site.client.clone(), format!("/api/v1/namespaces/{}/secrets", site.namespace));
    let known = Arc::clone(&served);
    tokio::spawn(async move {
        let mut seen = HashMap::new();
        loop {
            let list = site::get(&client, &path).await.unwrap_or_default();
            for secret in list["items"].as_array().into_iter().flatten() {
                let name = secret["metadata"]["name"].as_str().unwrap_or_default();
                let version = secret["metadata"]["resourceVersion"].as_str().unwrap_or_default();
                if seen.insert(name.to_owned(), version.to_owned()).as_deref() == Some(version) {
                    continue;
                }
                let value = |key: &str| decoded(secret, key);
                if let Some(pair) = certified(&value("tls.crt"), &value("tls.key")) {
                    known.0.lock().expect("not poisoned").insert(host_of(name), pair);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(served);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
        }
    });
    port
}
