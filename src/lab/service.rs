//! The simulated service of a host: a real TLS server that loads its files when it is told to and goes on
//! with the old ones otherwise.

use super::control::{self, Answer};
use super::settings::Settings;
use crate::clock;
use crate::material::{PrivateKey, parse_certificates};
use crate::model::{Fingerprint, Secret, StartTls};
use anyhow::anyhow;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// For everything that one client does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running service. Dropped, it ends.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    inner: Arc<Inner>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Inner {
    name: String,
    /// Its configuration file.
    settings: PathBuf,
    log: PathBuf,
    serving: RwLock<Serving>,
}

/// What the process holds, whatever the files say.
#[derive(Clone, Debug)]
struct Serving {
    pair: Arc<CertifiedKey>,
    leaf: Fingerprint,
    starttls: StartTls,
}

/// The files of one host's service.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) settings: PathBuf,
    pub(super) run: PathBuf,
    pub(super) log: PathBuf,
}

impl Service {
    /// Starts the service of `name` on `listener`: reads its configuration and the files named there.
    ///
    /// # Errors
    /// What a reload would refuse.
    pub(super) fn start(
        name: &str,
        places: Places,
        listener: std::net::TcpListener,
    ) -> anyhow::Result<Self> {
        let serving =
            load(&places.settings).map_err(|wrong| anyhow!("{name}: {}", wrong.join("; ")))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let requests = control::open(&places.run)?;
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            settings: places.settings,
            log: places.log,
            serving: RwLock::new(serving),
        });
        inner.note(&format!("started, serves {}", inner.serving().leaf.short()));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let served = accept(inner.clone(), listener, tasks.clone(), stop.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(served));
        let asked = inner.clone();
        let commands = control::serve(requests, places.run, move |words| asked.answer(words));
        tasks.spawn(stop.clone().run_until_cancelled_owned(commands));
        Ok(Self { address, inner, stop, tasks })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The leaf that it serves.
    pub fn serves(&self) -> Fingerprint {
        self.inner.serving().leaf
    }

    /// Whether its configuration is good and it would take these files: what `edge-check` asks.
    pub fn check(&self, certificate: &Path, key: &Path) -> Answer {
        self.inner.check(certificate, key)
    }

    /// Loads the live files: what `edge-reload` asks.
    pub fn reload(&self) -> Answer {
        self.inner.reload()
    }

    /// Ends it and waits for that.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Inner {
    fn serving(&self) -> Serving {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One line for whoever looks into the directory. A log that cannot be written is no failure.
    fn note(&self, line: &str) {
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.log);
        if let Ok(mut file) = file {
            let _ = writeln!(file, "{} {}: {line}", clock::now(), self.name);
        }
    }

    fn answer(&self, words: &[String]) -> Answer {
        match words {
            [verb, certificate, key] if verb == "check" => {
                self.check(Path::new(certificate), Path::new(key))
            }
            [verb] if verb == "reload" => self.reload(),
            _ => Answer::no(vec!["usage: check CERT KEY, or reload".to_owned()]),
        }
    }

    fn check(&self, certificate: &Path, key: &Path) -> Answer {
        let mut wrong = settings(&self.settings).err().unwrap_or_default();
        wrong.extend(pair(certificate, key).err());
        let answer = if wrong.is_empty() {
            Answer::yes("configuration, certificate and key are good")
        } else {
            Answer::no(wrong)
        };
        self.note(&format!("check: {}", answer.lines.join("; ")));
        answer
    }

    fn reload(&self) -> Answer {
        let answer = match load(&self.settings) {
            Ok(loaded) => {
                let words = format!("serves {}", loaded.leaf.short());
                *self.serving.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                Answer::yes(words)
            }
            Err(mut wrong) => {
                wrong.push("goes on with what it has".to_owned());
                Answer::no(wrong)
            }
        };
        self.note(&format!("reload: {}", answer.lines.join("; ")));
        answer
    }
}

fn settings(path: &Path) -> Result<Settings, Vec<String>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match fs::read_to_string(path) {
        Ok(text) => Settings::parse(&name, &text),
        Err(error) => Err(vec![format!("{name}: {error}")]),
    }
}

/// All that a start or a reload does before anything is served differently.
fn load(path: &Path) -> Result<Serving, Vec<String>> {
    let settings = settings(path)?;
    let one = |problem| vec![problem];
    let (pair, leaf, kind) = pair(&settings.certificate, &settings.key).map_err(one)?;
    if !settings.key_types.is_empty() && !settings.key_types.contains(&kind) {
        return Err(vec![format!(
            "{}: this build cannot use a key of type {kind} (key_types = {})",
            settings.key.display(),
            settings.key_types.join(", ")
        )]);
    }
    Ok(Serving { pair: Arc::new(pair), leaf, starttls: settings.starttls })
}

/// Reads certificate and key, which have to fit: the pair, the leaf's digest, the kind of its key.
fn pair(certificate: &Path, key: &Path) -> Result<(CertifiedKey, Fingerprint, String), String> {
    let bytes =
        |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let certificates = parse_certificates(&bytes(certificate)?)
        .map_err(|error| format!("{}: {error}", certificate.display()))?;
    let secret = Secret::new(bytes(key)?);
    let parsed = PrivateKey::from_pem(&secret, None)
        .map_err(|error| format!("{}: {error}", key.display()))?;
    let leaf = certificates.first().ok_or("no certificate")?;
    if *parsed.public() != leaf.public_key {
        return Err(format!(
            "key values mismatch: {} does not belong to {}",
            key.display(),
            certificate.display()
        ));
    }
    let unusable = |error: &dyn std::fmt::Display| format!("{}: {error}", key.display());
    let der = PrivateKeyDer::from_pem_slice(parsed.pem().expose()).map_err(|e| unusable(&e))?;
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)
        .map_err(|error| unusable(&error))?;
    let chain = certificates.iter().map(|one| CertificateDer::from(one.der.clone())).collect();
    Ok((CertifiedKey::new(chain, signer), leaf.fingerprint, parsed.public().to_string()))
}

async fn accept(
    inner: Arc<Inner>,
    listener: TcpListener,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let one = tokio::time::timeout(PATIENCE, converse(inner.clone(), stream));
        tasks.spawn(stop.clone().run_until_cancelled_owned(one));
    }
}

/// Always the same pair, whatever name is asked for.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

async fn converse(inner: Arc<Inner>, mut stream: TcpStream) -> io::Result<()> {
    let serving = inner.serving();
    if serving.starttls == StartTls::Smtp && !before_tls(&inner.name, &mut stream).await? {
        return Ok(());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Only(serving.pair)));
    // Each handshake shows the certificate: nothing is resumed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let mut tls = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
    match serving.starttls {
        StartTls::Smtp => mail(&inner.name, &mut tls).await?,
        _ => page(&inner.name, &mut tls).await?,
    }
    tls.shutdown().await
}

/// The plain part of SMTP. True when the client wants TLS.
async fn before_tls(name: &str, stream: &mut TcpStream) -> io::Result<bool> {
    // No buffer beyond a line: what follows STARTTLS belongs to TLS.
    stream.write_all(format!("220 {name} ESMTP simulated\r\n").as_bytes()).await?;
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let byte = stream.read_u8().await?;
            line.push(byte);
            if line.len() > 512 {
                return Ok(false);
            }
        }
        let line = String::from_utf8_lossy(&line).trim().to_ascii_uppercase();
        let reply = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => format!("250-{name}\r\n250-STARTTLS\r\n250 8BITMIME\r\n"),
            "HELO" | "NOOP" | "RSET" => format!("250 {name}\r\n"),
            "STARTTLS" => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return Ok(true);
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(false);
            }
            _ => "530 STARTTLS first\r\n".to_owned(),
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

async fn mail(name: &str, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader.take(64 << 10)).lines();
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" | "HELO" | "NOOP" | "RSET" => format!("250 {name}\r\n"),
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => "502 a simulated server takes no mail\r\n".to_owned(),
        };
        writer.write_all(reply.as_bytes()).await?;
        if verb == "QUIT" {
            break;
        }
    }
    Ok(())
}

async fn page(name: &str, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader.take(64 << 10)).lines();
    loop {
        match lines.next_line().await? {
            None => return Ok(()),
            Some(line) if line.is_empty() => break,
            Some(_) => {}
        }
    }
    let body = format!("{name}: a simulated service\n");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    writer.write_all(format!("{head}{body}").as_bytes()).await?;
    writer.flush().await
}
