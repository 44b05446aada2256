//! A whole fleet with its inventory, playbook and certificates, in one directory.

use super::children::Children;
use super::fault::Fault;
use super::files;
use super::host::{Host, Plan};
use super::pki::{Authority, KeyKind, Validity};
use super::sshd::Access;
use super::story::{HostStory, Kind, Scenario};
use crate::clock;
use crate::material::Bundle;
use crate::model::{Fingerprint, StartTls};
use anyhow::{Context, ensure};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The account on every host.
pub(crate) const USER: &str = "demo";

/// A running fleet. Dropped, its servers end and so does every program that they started; a
/// temporary directory is removed.
#[derive(Debug)]
pub struct Lab {
    /// The hosts, in inventory order. They end before what follows here.
    pub hosts: Vec<Host>,
    old: Vec<Fingerprint>,
    new: Vec<Fingerprint>,
    stories: Vec<HostStory>,
    directory: PathBuf,
    children: Arc<Children>,
    temporary: Option<TempDir>,
}

impl Lab {
    /// Starts a fleet in a temporary directory.
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub async fn temporary(stories: &[HostStory]) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("certroll-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        let mut lab = Self::start(directory.path(), stories).await?;
        lab.temporary = Some(directory);
        Ok(lab)
    }

    /// Starts a fleet in `directory`, which is made if need be and must be empty.
    ///
    /// # Errors
    /// The directory cannot be written, holds something or has an odd name, or no port is free.
    pub async fn start(directory: &Path, stories: &[HostStory]) -> anyhow::Result<Self> {
        make_directory(directory)?;
        let context = || format!("cannot use {}", directory.display());
        let directory = fs::canonicalize(directory).with_context(context)?;
        ensure!(
            fs::read_dir(&directory).with_context(context)?.next().is_none(),
            "{} is not empty: remove it, or name another directory",
            directory.display()
        );
        // The path stands in an inventory, in ssh options and in shell scripts.
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%,=".contains(byte);
        let name = directory.to_str().unwrap_or(" ");
        ensure!(
            name.bytes().all(|byte| plain(&byte)),
            "the lab needs a directory whose path has no blanks or special characters, not {}: set \
             TMPDIR to another one",
            directory.display()
        );
        let access = Access::new(USER);
        let children = Arc::new(Children::default());
        let authority = Authority::new("certroll demo", clock::now())?;
        let mut lab = Self {
            hosts: Vec::new(),
            old: Vec::new(),
            new: Vec::new(),
            stories: stories.to_vec(),
            directory,
            children,
            temporary: None,
        };
        for part in ["certs", "pki", "services"] {
            make_directory(&lab.within(part))?;
        }
        for story in stories {
            lab.add(story, &authority, &access)?;
        }
        lab.write("pki/root.pem", authority.root_pem().as_bytes())?;
        lab.write("id_ed25519", access.private_key()?.as_bytes())?;
        let known: Vec<String> =
            lab.hosts.iter().map(|host| host.sshd.known_hosts_line()).collect::<Result<_, _>>()?;
        lab.write("known_hosts", known.concat().as_bytes())?;
        let inventory = files::inventory(&lab.directory, USER, stories, &lab.hosts);
        lab.write("inventory.ini", inventory.as_bytes())?;
        lab.write("site.yml", files::playbook(stories).as_bytes())?;
        lab.write("services/demo-web.yml", files::WEB_PROFILE.as_bytes())?;
        lab.write("services/demo-mail.yml", files::MAIL_PROFILE.as_bytes())?;
        Ok(lab)
    }

    fn add(&mut self, story: &HostStory, ca: &Authority, access: &Access) -> anyhow::Result<()> {
        let name = story.server_name();
        let old = ca.leaf(&[&name], KeyKind::P256, Validity::OLD)?;
        let new = ca.leaf(&[&name], story.scenario.new_key(), Validity::NEW)?;
        self.source(&story.name, &new)?;
        let mut plan = Plan::web(&story.name);
        if story.kind == Kind::Mail {
            plan.starttls = StartTls::Smtp;
        }
        match story.scenario {
            Scenario::UnusableKey => {
                plan.settings.push("key_types = EC P-256, RSA 2048".to_owned())
            }
            Scenario::Unreachable => plan.fault = Some(Fault::Refuse),
            Scenario::None | Scenario::BrokenConfiguration | Scenario::Drifted => {}
        }
        let directory = self.within(&story.name);
        let host = Host::start(directory, plan, &old, access.clone(), self.children.clone())?;
        match story.scenario {
            Scenario::BrokenConfiguration => host.configure("max_conections = 512")?,
            Scenario::Drifted => host.put(&new)?,
            Scenario::None | Scenario::UnusableKey | Scenario::Unreachable => {}
        }
        self.old.push(old.leaf.fingerprint);
        self.new.push(new.leaf.fingerprint);
        self.hosts.push(host);
        Ok(())
    }

    /// The files of a host's new certificate on the controller.
    fn source(&self, host: &str, new: &Bundle) -> anyhow::Result<()> {
        make_directory(&self.within("certs").join(host))?;
        self.write(&format!("certs/{host}/fullchain.pem"), &new.fullchain_pem())?;
        let key = new.key_pem().context("a leaf of the lab comes with its key")?;
        self.write(&format!("certs/{host}/privkey.pem"), key.expose())
    }

    fn within(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.within(path);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&path).and_then(|mut file| file.write_all(bytes));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Everything lies below.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The playbook.
    pub fn playbook(&self) -> PathBuf {
        self.within("site.yml")
    }

    /// The inventory.
    pub fn inventory(&self) -> PathBuf {
        self.within("inventory.ini")
    }

    /// The private key that opens every host.
    pub fn identity(&self) -> PathBuf {
        self.within("id_ed25519")
    }

    /// The hosts' keys.
    pub fn known_hosts(&self) -> PathBuf {
        self.within("known_hosts")
    }

    /// What happens to each host.
    pub fn stories(&self) -> &[HostStory] {
        &self.stories
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The leaves of the host of that name: before, and wanted.
    pub fn leaves(&self, name: &str) -> Option<(Fingerprint, Fingerprint)> {
        let index = self.hosts.iter().position(|host| host.name == name)?;
        Some((self.old[index], self.new[index]))
    }

    /// The programs that the hosts run.
    pub fn children(&self) -> &Children {
        &self.children
    }

    /// The directory outlives the lab.
    pub fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = temporary.keep();
        }
    }

    /// Ends everything, waits for it, and removes a temporary directory.
    pub async fn stop(self) {
        futures::future::join_all(self.hosts.iter().map(Host::stop)).await;
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Before the directory goes, so that nobody writes into it any more.
        self.hosts.clear();
        self.children.end();
    }
}

fn make_directory(path: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot create {}", path.display()))
}
