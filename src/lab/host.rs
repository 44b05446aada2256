//! One simulated host: a directory tree with its certificate files and scripts, a service, and the SSH server
//! by which it is reached.

use super::children::Children;
use super::control;
use super::fault::Fault;
use super::service::{Places, Service};
use super::sshd::{Access, Environment, Sshd};
use crate::material::Bundle;
use crate::model::StartTls;
use anyhow::Context;
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The commands of a simulated service, as its profile names them.
pub(crate) const COMMANDS: [&str; 2] = ["edge-check", "edge-reload"];

/// The service's configuration, in the host's directory.
pub(crate) const SETTINGS: &str = "service.conf";

/// What a host is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name in the inventory.
    pub name: String,
    /// The service's dialogue before TLS: none or SMTP's.
    pub starttls: StartTls,
    /// More lines of the service's configuration.
    pub settings: Vec<String>,
    /// What is wrong with the SSH server from the start.
    pub fault: Option<Fault>,
}

impl Plan {
    /// A web server in good order.
    pub fn web(name: impl Into<String>) -> Self {
        Self { name: name.into(), starttls: StartTls::None, settings: Vec::new(), fault: None }
    }
}

/// A running host. Dropped, it ends; its directory stays.
#[derive(Debug)]
pub struct Host {
    /// Its name in the inventory.
    pub name: String,
    /// Everything of it lies below.
    pub directory: PathBuf,
    /// Its service.
    pub service: Service,
    /// The way to it.
    pub sshd: Sshd,
}

impl Host {
    /// Makes the directory and starts service and SSH server, with `serving` as the files that the
    /// service has loaded.
    ///
    /// # Errors
    /// The directory cannot be written, or no port is free.
    pub fn start(
        directory: PathBuf,
        plan: Plan,
        serving: &Bundle,
        access: Access,
        children: Arc<Children>,
    ) -> anyhow::Result<Self> {
        let context = || format!("cannot set up {}", plan.name);
        for part in ["bin", "home", "log", "run", "state", "tls", "tmp"] {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(directory.join(part)).with_context(context)?;
        }
        let within = |path: &str| directory.join(path);
        let [certificate, key] = Self::files(&directory);
        put(&certificate, &key, serving).with_context(context)?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let settings = within(SETTINGS);
        let text = configuration(&plan, listener.local_addr()?, [&certificate, &key]);
        fs::write(&settings, text).with_context(context)?;
        control::install(&within("bin"), &within("run"), &plan.name, COMMANDS)?;
        let places = Places { settings, run: within("run"), log: within("log/service.log") };
        let service = Service::start(&plan.name, places, listener)?;
        let environment = Environment {
            home: within("home"),
            path: vec![within("bin")],
            variables: vec![
                ("LOGNAME".into(), access.user.clone()),
                ("TMPDIR".into(), within("tmp").display().to_string()),
            ],
        };
        let sshd = Sshd::start(access, environment, children, plan.fault)?;
        Ok(Self { name: plan.name, directory, service, sshd })
    }

    /// The paths of certificate and key in a host's directory.
    pub fn files(directory: &Path) -> [PathBuf; 2] {
        ["cert.pem", "key.pem"].map(|name| directory.join("tls").join(name))
    }

    /// Replaces the live files behind the service's back.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn put(&self, material: &Bundle) -> anyhow::Result<()> {
        let [certificate, key] = Self::files(&self.directory);
        put(&certificate, &key, material)
    }

    /// Adds a line to the service's configuration, which is read at the next check or reload.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn configure(&self, line: &str) -> anyhow::Result<()> {
        let path = self.directory.join(SETTINGS);
        let mut file = fs::OpenOptions::new().append(true).open(path)?;
        Ok(writeln!(file, "{line}")?)
    }

    /// Ends its servers.
    pub async fn stop(&self) {
        tokio::join!(self.sshd.stop(), self.service.stop());
    }
}

fn configuration(
    plan: &Plan,
    address: std::net::SocketAddr,
    [certificate, key]: [&Path; 2],
) -> String {
    let mut text = format!(
        "# What the simulated service of {} reads at every check and reload.\n\
         listen = {address}\ncertificate = {}\nkey = {}\nstarttls = {}\n",
        plan.name,
        certificate.display(),
        key.display(),
        plan.starttls.name()
    );
    for line in &plan.settings {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn put(certificate: &Path, key: &Path, material: &Bundle) -> anyhow::Result<()> {
    let write = |path: &Path, bytes: &[u8], mode| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let written = options.open(path).and_then(|mut file| file.write_all(bytes));
        written.with_context(|| format!("cannot write {}", path.display()))
    };
    if let Some(secret) = material.key_pem() {
        write(key, secret.expose(), 0o600)?;
    }
    write(certificate, &material.fullchain_pem(), 0o644)
}
