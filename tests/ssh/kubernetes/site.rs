//! A cluster, something that serves what a secret of it holds, and certroll beside them.
//!
//! The cluster is a fake, or a real one where `CERTROLL_KUBECONFIG` names a kubeconfig: its current context must be allowed
//! to make namespaces and secrets. Everything but the fake's knobs works with both.

use super::fake::FakeCluster;
use crate::common::pki::{Authority, Pair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use kube_client::Client;
use kube_client::config::{Config, KubeConfigOptions, Kubeconfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

pub(super) const NAME: &str = "www.kube.test";

/// A namespace of its own in a cluster, an Ingress controller's stand-in, and a directory with a playbook.
pub(super) struct Site {
    /// Where the fake is one.
    pub(super) fake: Option<FakeCluster>,
    pub(super) client: Client,
    pub(super) kubeconfig: PathBuf,
    pub(super) namespace: String,
    pub(super) dir: tempfile::TempDir,
    authority: Authority,
    pub(super) ingress: Ingress,
}

/// How a run of certroll ended.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

impl Site {
    /// With a secret `www-tls` of type kubernetes.io/tls that holds a pair, and is served.
    pub(super) async fn new() -> Self {
        let site = Self::empty().await;
        let old = site.pair("old");
        site.create(&site.secret("kubernetes.io/tls", &old)).await;
        site.ingress.wait_for(&old).await;
        site
    }

    /// Without any secret.
    pub(super) async fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (fake, kubeconfig) = match std::env::var_os("CERTROLL_KUBECONFIG") {
            Some(path) => (None, PathBuf::from(path)),
            None => {
                let fake = FakeCluster::start().await;
                let path = dir.path().join("kubeconfig");
                std::fs::write(&path, kubeconfig_of(fake.port)).expect("written");
                (Some(fake), path)
            }
        };
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("certroll-{}-{number}", std::process::id());
        let config = Kubeconfig::read_from(&kubeconfig).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("usable")).expect("a client");
        if fake.is_none() {
            let body =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            request(&client, "POST", "/api/v1/namespaces", "application/json", &body)
                .await
                .expect("made");
        }
        let authority = Authority::new("kube");
        let ingress = Ingress::start(client.clone(), &namespace, &authority).await;
        let site = Self { fake, client, kubeconfig, namespace, dir, authority, ingress };
        std::fs::write(site.dir.path().join("hosts"), "cluster1\n").expect("written");
        site
    }

    pub(super) fn fake(&self) -> &FakeCluster {
        self.fake.as_ref().expect("only with the fake")
    }

    /// A fresh pair in `NAME.pem` and `NAME.key`.
    pub(super) fn pair(&self, name: &str) -> Pair {
        self.pair_for(name, NAME)
    }

    /// The same for a host of another name.
    pub(super) fn pair_for(&self, name: &str, host: &str) -> Pair {
        let pair = self.authority.leaf(&[host]);
        let at = |ending: &str| self.dir.path().join(format!("{name}.{ending}"));
        let chain = format!("{}{}", pair.pem, pair.intermediate_pem);
        std::fs::write(at("pem"), chain).expect("written");
        std::fs::write(at("key"), &pair.key_pem).expect("written");
        pair
    }

    pub(super) fn secret(&self, kind: &str, pair: &Pair) -> Value {
        let chain = format!("{}{}", pair.pem, pair.intermediate_pem);
        json!({"apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {"name": "www-tls", "labels": {"team": "web"}},
            "data": {"tls.crt": STANDARD.encode(chain), "tls.key": STANDARD.encode(&pair.key_pem),
                "ca.crt": STANDARD.encode("another value")}})
    }

    pub(super) async fn create(&self, secret: &Value) {
        let path = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        request(&self.client, "POST", &path, "application/json", secret).await.expect("created");
    }

    /// Somebody uses the secret, for these names.
    pub(super) async fn used_by(&self, ingress: &str, names: &[&str]) {
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{}/ingresses", self.namespace);
        let body = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": ingress},
            "spec": {"tls": [{"hosts": names, "secretName": "www-tls"}],
                "defaultBackend": {"service": {"name": "shop", "port": {"number": 80}}}}});
        request(&self.client, "POST", &path, "application/json", &body).await.expect("made");
    }

    /// A secret as it is; `None`: absent.
    pub(super) async fn stored(&self, name: &str) -> Option<Value> {
        read(&self.client, &self.namespace, name).await
    }

    /// What a secret holds as `tls.crt`.
    pub(super) async fn certificate(&self, name: &str) -> String {
        let secret = self.stored(name).await.expect("there");
        let text = secret["data"]["tls.crt"].as_str().expect("a certificate").to_owned();
        String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text")
    }

    /// The playbook with `more` keys in `kubernetes` and `task` lines below it, for the pair of that name.
    pub(super) fn playbook(&self, pair: &str, more: &str, task: &str) {
        let (namespace, port) = (&self.namespace, self.ingress.port);
        let text = format!(
            "- hosts: all\n  tasks:\n    - name: certificate\n      certificate:\n        kubernetes: {{namespace: {namespace}, \
             secret: www-tls{more}}}\n        source: {{cert: {pair}.pem, key: {pair}.key}}\n        verify: {{endpoint: \
             '127.0.0.1:{port}', server_name: {NAME}, attempts: 8, backoff: 100ms, max_backoff: 300ms}}\n{task}"
        );
        std::fs::write(self.dir.path().join("play.yml"), text).expect("written");
    }

    /// certroll with a playbook, not started yet.
    pub(super) fn command(&self, arguments: &[&str], playbook: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certroll"));
        command
            .args(arguments)
            .args([playbook, "-i", "hosts", "--ssh-config", "none"])
            .current_dir(self.dir.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        self.end(self.command(arguments, "play.yml")).await
    }

    /// Runs it to its end.
    pub(super) async fn end(&self, mut command: Command) -> Ran {
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        Ran::from(output.expect("waited for").expect("certroll runs"))
    }

    pub(super) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments, "play.yml").spawn().expect("certroll starts")
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so().await {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = [output.stdout, output.stderr].concat();
        Self { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }
}

impl Ran {
    /// Ended so, and said all of this, however its lines are broken.
    #[track_caller]
    pub(super) fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        let flat: String = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(flat.contains(word), "'{word}' is not in\n{}", self.text);
        }
    }
}

fn kubeconfig_of(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: fake\nclusters:\n- name: fake\n  cluster: {{server: \
         'http://127.0.0.1:{port}'}}\nusers:\n- name: dora\n  user: {{token: not-a-secret}}\ncontexts:\n- name: fake\n  \
         context: {{cluster: fake, user: dora}}\n"
    )
}

async fn request(
    client: &Client,
    method: &str,
    path: &str,
    kind: &str,
    body: &Value,
) -> Result<Value, kube_client::Error> {
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    client.request(request.body(body.to_string().into_bytes()).expect("a request")).await
}

async fn read(client: &Client, namespace: &str, name: &str) -> Option<Value> {
    get(client, &format!("/api/v1/namespaces/{namespace}/secrets/{name}")).await
}

/// What the API server answers there.
pub(super) async fn get(client: &Client, path: &str) -> Option<Value> {
    let request = Request::get(path).body(Vec::new()).expect("a request");
    client.request(request).await.ok()
}

/// What stands for an Ingress controller: it serves what the secret holds, and its own default certificate where that is no
/// pair, as Traefik was seen to do.
pub(super) struct Ingress {
    pub(super) port: u16,
    served: Arc<Served>,
    blind: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Served {
    current: Mutex<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.lock().expect("not poisoned")))
    }
}

impl Ingress {
    async fn start(client: Client, namespace: &str, authority: &Authority) -> Self {
        let own = authority.leaf(&["default.invalid"]);
        let default = certified(own.pem.as_bytes(), own.key_pem.as_bytes()).expect("a pair");
        let served = Arc::new(Served { current: Mutex::new(Arc::clone(&default)) });
        let blind = Arc::new(AtomicBool::new(false));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&served) as _;
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
            }
        });
        let (namespace, current, closed) =
            (namespace.to_owned(), Arc::clone(&served), Arc::clone(&blind));
        tokio::spawn(async move {
            loop {
                if !closed.load(Ordering::Relaxed)
                    && let Some(secret) = read(&client, &namespace, "www-tls").await
                {
                    let value = |key: &str| decoded(&secret, key);
                    let pair = certified(&value("tls.crt"), &value("tls.key"));
                    *current.current.lock().expect("not poisoned") =
                        pair.unwrap_or_else(|| Arc::clone(&default));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { port, served, blind }
    }

    /// From now on it sees no change any more.
    pub(super) fn goes_blind(&self) {
        self.sees(false);
    }

    /// Whether it sees changes from now on.
    pub(super) fn sees(&self, does: bool) {
        self.blind.store(!does, Ordering::Relaxed);
    }

    /// Waits until this pair is served.
    pub(super) async fn wait_for(&self, pair: &Pair) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.serves(pair) {
            assert!(Instant::now() < deadline, "it is not served");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn serves(&self, pair: &Pair) -> bool {
        let current = self.served.current.lock().expect("not poisoned");
        current.cert.first().is_some_and(|leaf| leaf.as_ref() == pair.der)
    }
}

/// A value of a secret.
pub(super) fn decoded(secret: &Value, key: &str) -> Vec<u8> {
    let text = secret["data"][key].as_str().unwrap_or_default();
    STANDARD.decode(text).unwrap_or_default()
}

pub(super) fn certified(chain: &[u8], key: &[u8]) -> Option<Arc<CertifiedKey>> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_slice(key).ok()?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).ok()?;
    let pair = CertifiedKey::new(chain, key);
    pair.keys_match().ok()?;
    Some(Arc::new(pair))
}

/// No file below the directory, but the sources of keys, holds any of these lines.
pub(super) fn nowhere_below(directory: &Path, secret: &str) -> bool {
    let line = secret.lines().nth(1).expect("a line of base64");
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(path.read_dir().expect("readable").map(|entry| entry.expect("one").path()));
        } else if path.extension().is_none_or(|ending| ending != "key")
            && std::fs::read(&path).is_ok_and(|bytes| {
                bytes.windows(line.len()).any(|window| window == line.as_bytes())
            })
        {
            return false;
        }
    }
    true
}
