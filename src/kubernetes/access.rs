//! How a cluster is reached: kubeconfig files and contexts as `kubectl` reads them, or the service account of a pod.

use crate::model::Secret;
use crate::model::text::chain;
use http::header::{HeaderValue, InvalidHeaderValue};
use hyper_util::client::proxy::matcher::Matcher;
use kube_client::Client;
use kube_client::config::{Config, KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many requests one API server is asked at the same time: each has a connection, and each of those a handshake.
const AT_ONCE: usize = 8;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Access {
    /// A kubeconfig file; `None`: those of `$KUBECONFIG`, else `~/.kube/config`, else the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts; `None`: its current one.
    pub context: Option<String>,
}

/// No client could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AccessError(String);

/// A file that holds a token: read again for each request, as what it holds is replaced from time to time.
pub(super) struct TokenFile {
    path: PathBuf,
    /// What it held last: a file that is gone meanwhile takes nothing away.
    last: Mutex<Secret<String>>,
}

impl TokenFile {
    fn open(path: PathBuf) -> Result<Self, AccessError> {
        let token = std::fs::read_to_string(&path);
        let token = token.map_err(|error| AccessError(format!("{}: {error}", path.display())))?;
        Ok(Self { path, last: Mutex::new(Secret::new(token)) })
    }

    /// The header that shows the token. The library takes the file as it is, where an editor leaves an end of line.
    pub(super) fn header(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(token) = std::fs::read_to_string(&self.path) {
            *last = Secret::new(token);
        }
        let shown = Secret::new(format!("Bearer {}", last.expose().trim()));
        let mut header = HeaderValue::from_str(shown.expose())?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// A cluster's API server, and who asks it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(super) client: Client,
    pub(super) token: Option<Arc<TokenFile>>,
    pub(super) turns: Arc<Semaphore>,
    /// The context's name, or `the pod's service account`.
    pub(crate) context: String,
    /// Its URL.
    pub(crate) server: String,
}

impl Cluster {
    /// Reads the kubeconfig and makes a client. Nothing is sent. An `exec` plugin of the kubeconfig is run.
    ///
    /// # Errors
    /// No kubeconfig, no such context, or something in it that cannot be used; with the file.
    pub(crate) async fn open(access: &Access) -> Result<Self, AccessError> {
        let (mut config, context) = configuration(access).await?;
        // A request whose answer was lost is looked up, never repeated blindly.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        // Of both forms the file counts, as for `kubectl`.
        let token = config.auth_info.token_file.take().map(PathBuf::from);
        if token.is_some() {
            config.auth_info.token = None;
        }
        let token = token.map(TokenFile::open).transpose()?.map(Arc::new);
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let plugin = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
        // Plugins are programs, and are waited for.
        let made = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
        let client = made.map_err(|error| AccessError(error.to_string()))?;
        let client = client.map_err(|error| match plugin {
            Some(plugin) => AccessError(format!("{context}: {plugin}: {}", chain(&error))),
            None => AccessError(chain(&error)),
        })?;
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self { client, token, turns, context, server })
    }
}

/// The URL of the server that `access` leads to, without asking anybody.
///
/// # Errors
/// As [`Cluster::open`].
async fn configuration(access: &Access) -> Result<(Config, String), AccessError> {
    let (kubeconfig, place) = match &access.kubeconfig {
        Some(path) => (Some(read(Kubeconfig::read_from(path))?), path.display().to_string()),
        None => match read(Kubeconfig::from_env())? {
            Some(merged) => (Some(merged), "$KUBECONFIG".to_owned()),
            None => match usual_file().filter(|path| path.exists()) {
                Some(path) => {
                    (Some(read(Kubeconfig::read_from(&path))?), path.display().to_string())
                }
                None => (None, String::new()),
            },
        },
    };
    let Some(kubeconfig) = kubeconfig else { return in_cluster(access) };
    let name = access.context.clone().or_else(|| kubeconfig.current_context.clone());
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
        AccessError(format!("{place} has no current context: name one with `context`"))
    })?;
    if !kubeconfig.contexts.iter().any(|context| context.name == name) {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|one| one.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(AccessError(format!("{place} has no context '{name}' (it has: {known})")));
    }
    let own_proxy = own_proxy(&kubeconfig, &name);
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config
        .map_err(|error| AccessError(format!("{place}, context '{name}': {}", chain(&error))))?;
    if !own_proxy {
        config.proxy_url = proxy_of_environment(&config.cluster_url);
    }
    Ok((config, name))
}

fn read<T>(kubeconfig: Result<T, kube_client::config::KubeconfigError>) -> Result<T, AccessError> {
    kubeconfig.map_err(|error| AccessError(chain(&error)))
}

fn usual_file() -> Option<PathBuf> {
    Some(std::env::home_dir()?.join(".kube").join("config"))
}

fn in_cluster(access: &Access) -> Result<(Config, String), AccessError> {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return Err(AccessError(
            "no kubeconfig: neither $KUBECONFIG nor ~/.kube/config is there; name one with `kubeconfig`".to_owned(),
        ));
    }
    if let Some(context) = &access.context {
        return Err(AccessError(format!(
            "there is no kubeconfig with the context '{context}' in this pod"
        )));
    }
    let config = Config::incluster_env().map_err(|error| AccessError(chain(&error)))?;
    Ok((config, "the pod's service account".to_owned()))
}

/// Whether the context's cluster names a proxy itself, which then counts whatever the environment says.
fn own_proxy(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let context = kubeconfig.contexts.iter().find(|one| one.name == context);
    let cluster = context.and_then(|one| one.context.as_ref()).map(|one| &one.cluster);
    let cluster = kubeconfig.clusters.iter().find(|one| Some(&one.name) == cluster);
    let proxy = cluster.and_then(|one| one.cluster.as_ref()).and_then(|one| one.proxy_url.as_ref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// `HTTPS_PROXY`, unless `NO_PROXY` names the server; never for this machine, as `kubectl` does it. The library would
/// compare `NO_PROXY` with the proxy's own name.
fn proxy_of_environment(server: &http::Uri) -> Option<http::Uri> {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here =
        host.parse::<std::net::IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback());
    if is_here {
        return None;
    }
    Some(Matcher::from_env().intercept(server)?.uri().clone())
}
