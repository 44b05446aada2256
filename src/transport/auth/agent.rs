//! Keys that an `ssh-agent` holds. One connection to it serves all hosts.

use russh::Signer;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, OnceCell};

/// For listing keys. Signing may wait for a person who touches or confirms.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// An agent behind a socket.
#[derive(Debug)]
pub(in crate::transport) struct Agent {
    socket: PathBuf,
    identities: OnceCell<Result<Arc<[AgentIdentity]>, String>>,
    connection: Mutex<Option<Connection>>,
}

struct Connection(AgentClient<UnixStream>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Agent {
    pub(in crate::transport) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            identities: OnceCell::new(),
            connection: Mutex::new(None),
        }
    }

    /// Its keys and certificates, asked for once; or why there are none.
    pub(super) async fn identities(&self) -> Result<Arc<[AgentIdentity]>, String> {
        self.identities.get_or_init(|| self.list()).await.clone()
    }

    async fn list(&self) -> Result<Arc<[AgentIdentity]>, String> {
        let list = self.with(async |client| client.request_identities().await);
        match tokio::time::timeout(LIST_TIMEOUT, list).await {
            Ok(found) => found.map(Arc::from),
            Err(_) => Err("it does not answer".into()),
        }
    }

    async fn sign(
        &self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        self.with(async |client| client.sign_request(key, hash, data).await).await
    }

    async fn with<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AgentClient<UnixStream>) -> Result<T, russh::keys::Error>,
    ) -> Result<T, String> {
        let mut connection = self.connection.lock().await;
        // Taken out, so that a question given up half-way leaves no answer for the next one.
        let mut client = match connection.take() {
            Some(client) => client,
            None => {
                let client = AgentClient::connect_uds(&self.socket).await;
                Connection(client.map_err(|error| error.to_string())?)
            }
        };
        let answer = ask(&mut client.0).await.map_err(|error| error.to_string())?;
        *connection = Some(client);
        Ok(answer)
    }
}

/// Signs with one of the agent's keys.
pub(super) struct AgentSigner(pub(super) Arc<Agent>);

/// Signs with a key of ours. For certificates, of which russh would announce RSA ones by a name
/// that OpenSSH refuses.
pub(super) struct LocalSigner(pub(super) Arc<PrivateKey>);

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    #[error(transparent)]
    Send(#[from] russh::SendError),
    #[error("the agent did not sign: {0}")]
    Agent(String),
    #[error("cannot sign: {0}")]
    Local(String),
}

impl Signer for AgentSigner {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        self.0.sign(key, hash, to_sign).await.map_err(SignError::Agent)
    }
}

impl Signer for LocalSigner {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let failed = |error: &dyn std::fmt::Display| SignError::Local(error.to_string());
        let signature = sign(&self.0, hash, &to_sign).map_err(|error| failed(&error))?;
        // The answer is the question with the signature behind it, as a string (RFC 4252 §7).
        let length = u32::try_from(signature.len()).map_err(|error| failed(&error))?;
        to_sign.extend(length.to_be_bytes());
        to_sign.extend(signature);
        Ok(to_sign)
    }
}

fn sign(
    key: &PrivateKey,
    hash: Option<HashAlg>,
    data: &[u8],
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    use russh::keys::signature::Signer;
    use russh::keys::ssh_encoding::Encode;
    use russh::keys::ssh_key::{Signature, private::KeypairData};
    let signature: Signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(data)?,
        other => other.try_sign(data)?,
    };
    let mut bytes = Vec::new();
    signature.encode(&mut bytes)?;
    Ok(bytes)
}
