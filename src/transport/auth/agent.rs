//! Keys that an `ssh-agent` holds.
//!
//! As `ssh` does for every host, each question goes over a connection of its own: agents close idle
//! ones (1Password's after 60 s), and one that was restarted in the middle of a rollout is met again.

use super::key_file::{certificate_from, is_certificate};
use russh::Signer;
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::key::parse_public_key;
use russh::keys::ssh_encoding::Decode;
use russh::keys::{HashAlg, PrivateKey};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, OnceCell};

/// For listing keys. Signing may wait for a person who touches or confirms.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// `SSH_AGENTC_REQUEST_IDENTITIES` and its answer (draft-miller-ssh-agent §3.5).
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;

/// Longest answer that is read, as in OpenSSH (`MAX_AGENT_REPLY_LEN`).
const LONGEST_ANSWER: u32 = 256 << 10;

/// An agent behind a socket.
#[derive(Debug)]
pub(in crate::transport) struct Agent {
    socket: PathBuf,
    identities: OnceCell<Result<Arc<[Held]>, String>>,
    /// Held while it signs: not every agent keeps two questions apart.
    signing: Mutex<()>,
}

/// One entry of an agent's list.
#[derive(Debug)]
pub(super) struct Held {
    /// Printable.
    pub(super) comment: String,
    /// The key or certificate; for a kind that certroll cannot use, the kind's name.
    pub(super) identity: Result<AgentIdentity, String>,
}

impl Agent {
    pub(in crate::transport) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), identities: OnceCell::new(), signing: Mutex::default() }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its keys and certificates, asked for once; or why there are none.
    pub(super) async fn identities(&self) -> Result<Arc<[Held]>, String> {
        self.identities.get_or_init(|| self.list()).await.clone()
    }

    async fn list(&self) -> Result<Arc<[Held]>, String> {
        match tokio::time::timeout(LIST_TIMEOUT, request_identities(&self.socket)).await {
            Ok(Ok(answer)) => read_identities(&answer).map(Arc::from),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer".into()),
        }
    }

    /// Signs, for the session of `binding` alone where the agent knows what that is. An agent that
    /// hangs up on that question is asked again without.
    async fn sign(
        &self,
        binding: Option<&AgentSessionBinding>,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, russh::keys::Error> {
        let _alone = self.signing.lock().await;
        match self.sign_once(binding, key, hash, data.clone()).await {
            Err(russh::keys::Error::IO(_)) => self.sign_once(None, key, hash, data).await,
            answer => answer,
        }
    }

    async fn sign_once(
        &self,
        binding: Option<&AgentSessionBinding>,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, russh::keys::Error> {
        let mut client = AgentClient::connect_uds(&self.socket).await?;
        if let Some(binding) = binding {
            match client.bind_session(binding, false).await {
                // Agents other than OpenSSH's answer that they do not know it.
                Ok(()) | Err(russh::keys::Error::AgentFailure) => {}
                Err(error) => return Err(error),
            }
        }
        client.sign_request(key, hash, data).await
    }
}

async fn request_identities(socket: &Path) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).await?;
    let length = stream.read_u32().await?;
    if length > LONGEST_ANSWER {
        return Err(io::Error::other("its answer is too long"));
    }
    let mut answer = Vec::new();
    stream.take(length.into()).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Reads the list, each entry for itself: one key of a kind that is not known, or a comment in an
/// old encoding (comments are bytes, RFC 4251 §5), does not hide the others.
fn read_identities(answer: &[u8]) -> Result<Vec<Held>, String> {
    let odd = |_| "its list of keys ends too soon".to_owned();
    let mut rest = match answer.split_first() {
        Some((&IDENTITIES_ANSWER, rest)) => rest,
        _ => return Err("it does not list its keys".into()),
    };
    let count = u32::decode(&mut rest).map_err(odd)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let blob = Vec::<u8>::decode(&mut rest).map_err(odd)?;
        let comment = Vec::<u8>::decode(&mut rest).map_err(odd)?;
        found.push(Held {
            comment: crate::model::text::printable(&comment, 100),
            identity: identity(&blob),
        });
    }
    Ok(found)
}

fn identity(blob: &[u8]) -> Result<AgentIdentity, String> {
    let kind = String::decode(&mut &*blob).unwrap_or_default();
    let unknown = || match kind.as_str() {
        "" => "no kind at all".to_owned(),
        kind => format!("kind {}", crate::model::text::printable(kind.as_bytes(), 64)),
    };
    if is_certificate(&kind) {
        certificate_from(blob).map(AgentIdentity::from).ok_or_else(unknown)
    } else {
        parse_public_key(blob).map(AgentIdentity::from).map_err(|_| unknown())
    }
}

/// Signs with one of the agent's keys: the one named here, which may be the plain key of a
/// certificate that the agent does not have.
pub(super) struct AgentSigner<'a> {
    pub(super) agent: &'a Agent,
    pub(super) key: &'a AgentIdentity,
    pub(super) binding: Option<AgentSessionBinding>,
}

/// Signs with a key of ours. For certificates, of which russh would announce RSA ones by a name
/// that OpenSSH refuses.
pub(super) struct LocalSigner(pub(super) Arc<PrivateKey>);

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    #[error(transparent)]
    Send(#[from] russh::SendError),
    #[error("the agent did not sign: {0}")]
    Agent(russh::keys::Error),
    #[error("cannot sign: {0}")]
    Local(String),
}

impl Signer for AgentSigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let signed = self.agent.sign(self.binding.as_ref(), self.key, hash, to_sign).await;
        signed.map_err(SignError::Agent)
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

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::Algorithm;
    use russh::keys::ssh_encoding::Encode;

    fn answer(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = vec![IDENTITIES_ANSWER];
        u32::try_from(entries.len()).unwrap().encode(&mut bytes).unwrap();
        for (blob, comment) in entries {
            blob.encode(&mut bytes).unwrap();
            comment.encode(&mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn odd_entries_do_not_hide_the_others() {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        let blob = key.unwrap().public_key().to_bytes().unwrap();
        let mut unknown = Vec::new();
        "ssh-mldsa44-ed25519".encode(&mut unknown).unwrap();
        let text = answer(&[(&unknown, b"new"), (b"\xff", b""), (&blob, b"M\xfcller")]);
        let held = read_identities(&text).unwrap();
        let kinds: Vec<_> = held.iter().map(|held| held.identity.as_ref().err()).collect();
        assert_eq!(kinds[0].unwrap(), "kind ssh-mldsa44-ed25519");
        assert_eq!(kinds[1].unwrap(), "no kind at all");
        assert!(kinds[2].is_none());
        assert!(held[2].comment.starts_with('M'), "{}", held[2].comment);
    }

    #[test]
    fn an_answer_that_is_cut_or_another_is_told() {
        let text = answer(&[(b"blob", b"comment")]);
        assert!(read_identities(&text[..text.len() - 1]).unwrap_err().contains("too soon"));
        assert!(read_identities(&[5]).unwrap_err().contains("does not list"));
        assert!(read_identities(&[]).is_err());
        assert!(read_identities(&answer(&[])).unwrap().is_empty());
    }
}
