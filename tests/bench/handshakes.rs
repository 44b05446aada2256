//! Handshakes of the verifier per second, and controller CPU for each, against a rustls server in a
//! process of its own: `cargo bench --bench handshakes [COUNT]`.
//!
//! Without `--bench` (as in `cargo test --all-targets`) it makes a handful, to see that it works.

use certroll::testing::model::Endpoint;
use certroll::testing::verify::{Probe, Tcp, handshake};
use futures::StreamExt;
use rcgen::KeyPair;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// `CLK_TCK`, 100 on every Linux that matters (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;
const IN_FLIGHT: [usize; 3] = [1, 10, 50];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    if arguments.first().is_some_and(|first| first == "serve") {
        return runtime.block_on(serve());
    }
    let given = arguments.iter().find_map(|argument| argument.parse().ok());
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let count: usize = given.unwrap_or(if whole { 2000 } else { 20 });
    runtime.block_on(measure(count))
}

async fn measure(count: usize) -> io::Result<()> {
    let (_server, port) = start_server()?;
    let probe = Probe::new(Endpoint { host: "127.0.0.1".into(), port });
    let mut out = io::stdout();
    writeln!(out, "{count} handshakes each, TLS 1.3, ECDSA P-256, leaf and intermediate")?;
    writeln!(out, "in flight  per second  CPU per handshake  median  99th percentile")?;
    for in_flight in IN_FLIGHT {
        let (begun, cpu) = (Instant::now(), cpu_seconds()?);
        let mut times: Vec<Duration> = futures::stream::iter(0..count)
            .map(|_| async {
                let begun = Instant::now();
                handshake(&probe, &Tcp).await.map(|_| begun.elapsed())
            })
            .buffer_unordered(in_flight)
            .map(|time| time.map_err(io::Error::other))
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<io::Result<_>>()?;
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
        times.sort_unstable();
        writeln!(
            out,
            "{in_flight:>9}  {:>10.0}  {:>14.0} µs  {:>6.2?}  {:>9.2?}",
            count as f64 / wall,
            cpu / count as f64 * 1e6,
            times[count / 2],
            times[count * 99 / 100],
        )?;
    }
    Ok(())
}

/// User and system time of this process with all its threads: fields 14 and 15 of `/proc/self/stat`.
fn cpu_seconds() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks =
        after_name.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS)
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start_server() -> io::Result<(Server, u16)> {
    let mut child =
        Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let server = Server(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let port = line.trim().parse().map_err(io::Error::other)?;
    Ok((server, port))
}

async fn serve() -> io::Result<()> {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config().map_err(io::Error::other)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Ok(mut tls) = acceptor.accept(stream).await {
                tls.read_to_end(&mut Vec::new()).await.ok();
            }
        });
    }
}

fn config() -> Result<rustls::ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let root_key = KeyPair::generate()?;
    let mut root = rcgen::CertificateParams::new(Vec::new())?;
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let intermediate = root.self_signed(&root_key)?;
    let issuer = rcgen::Issuer::new(root, root_key);
    let key = KeyPair::generate()?;
    let leaf =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone(), intermediate.der().clone()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?,
        )?)
}
