//! What `openssl s_client` says about a server: the second opinion on every verdict.

use certroll::testing::model::{Endpoint, Fingerprint};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// The outcome of one `openssl s_client`.
#[derive(Debug)]
pub struct Opinion {
    /// Certificates as served; empty when there was no handshake.
    pub chain: Vec<Vec<u8>>,
    /// 0 means trusted (X509_V_OK), also for the name when one was given.
    pub verify_code: Option<u32>,
    /// `TLSv1.2`, `TLSv1.3`, … when a cipher was agreed on.
    pub protocol: Option<String>,
    /// Everything it printed.
    pub text: String,
}

impl Opinion {
    pub fn leaf(&self) -> Option<Fingerprint> {
        self.chain.first().map(|der| Fingerprint::of(der))
    }
}

/// Runs it against `endpoint` with SNI and expected name `name`; `more` goes to its command line.
pub fn s_client(endpoint: &Endpoint, name: &str, roots: Option<&Path>, more: &[&str]) -> Opinion {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "20", "openssl", "s_client", "-showcerts"]);
    command.args(["-no-CApath", "-no-CAstore", "-connect", &endpoint.to_string()]);
    match name.parse::<IpAddr>() {
        Ok(_) => command.args(["-noservername", "-verify_ip", name]),
        Err(_) => command.args(["-servername", name, "-verify_hostname", name]),
    };
    match roots {
        Some(file) => command.arg("-CAfile").arg(file),
        None => command.arg("-no-CAfile"),
    };
    let ended = command.args(more).stdin(Stdio::null()).output().expect("openssl runs");
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    let chain = CertificateDer::pem_slice_iter(text.as_bytes())
        .map(|der| der.expect("a certificate").to_vec())
        .collect();
    let after = |mark: &str| {
        let at = text.find(mark)? + mark.len();
        text[at..].split([' ', ',', '\n']).next().map(str::to_owned)
    };
    Opinion {
        chain,
        verify_code: after("Verify return code: ").and_then(|code| code.parse().ok()),
        protocol: after("\nNew, ").filter(|protocol| protocol != "(NONE)"),
        text: format!("{text}\n{}", String::from_utf8_lossy(&ended.stderr)),
    }
}
