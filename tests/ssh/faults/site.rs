//! One host of the embedded fleet, and a transaction that gives it its new certificate.

use certroll::testing::host::HostFacts;
use certroll::testing::host::{
    Attributes, Content, FileChange, FileRole, Inspection, InspectionVariant, Limits,
    ServiceCommands, Staged, StateDirs, TimedCommand, TransactionId, TransactionRequest,
    ValidateStep, ValidateVia,
};
use certroll::testing::lab::story::{HostStory, Kind, Scenario};
use certroll::testing::lab::{Fault, Host, Lab};
use certroll::testing::model::{
    CommandLine, Fingerprint, HostName, Outcome, RemotePath, Secret, Timestamp,
};
use certroll::testing::remote::{RemoteError, Transaction, inspect, launch};
use certroll::testing::transport::{Connector, Process, Target};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// For everything that a healthy host does, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Site {
    pub lab: Lab,
    before: Vec<Vec<u8>>,
    after: Vec<Vec<u8>>,
}

impl Site {
    pub async fn new() -> Self {
        Self::with(Scenario::None).await
    }

    pub async fn with(scenario: Scenario) -> Self {
        let story = HostStory::new("edge1", Kind::Web, scenario);
        let lab = Lab::temporary(&[story]).await.unwrap();
        let before = read(&Host::files(&lab.hosts[0].directory));
        let certs = lab.directory().join("certs/edge1");
        let after = read(&["fullchain.pem", "privkey.pem"].map(|name| certs.join(name)));
        Self { lab, before, after }
    }

    pub fn host(&self) -> &Host {
        &self.lab.hosts[0]
    }

    pub fn inject(&self, fault: Fault) {
        self.host().sshd.inject(fault);
    }

    /// A connection of its own with the shell started.
    pub async fn shell(&self) -> Process {
        let target = Target {
            port: self.host().sshd.port(),
            identities: vec![self.lab.identity()],
            known_hosts: vec![self.lab.known_hosts()],
            keepalive: None,
            ..Target::new(HostName::new("edge1"), "127.0.0.1", "demo")
        };
        let connector = Connector::new(Timestamp::from_unix(0));
        let session = connector.connect(&target).await.unwrap();
        session.start(&launch(None)).await.unwrap()
    }

    /// Both files, checked and reloaded by the service's own commands.
    pub fn request(&self) -> TransactionRequest {
        let directory = &self.host().directory;
        let [certificate, key] = Host::files(directory).map(|path| remote(&path));
        let command = |words: &[&str]| TimedCommand {
            command: CommandLine::Argv(words.iter().map(|&word| word.to_owned()).collect()),
            timeout: Duration::from_secs(60),
        };
        let file = |index: usize, path: &RemotePath, role| FileChange {
            path: path.clone(),
            real_path: path.clone(),
            before: Some(Fingerprint::of(&self.before[index])),
            after: Some(Fingerprint::of(&self.after[index])),
            attributes: Attributes::default(),
            defaults: Attributes::default(),
            content: Content::Bytes(Secret::new(self.after[index].clone()).into()),
            role,
            in_place: false,
        };
        let validate = ValidateStep {
            command: command(&["edge-check", "{cert}", "{key}"]).command,
            names: vec![("cert".into(), certificate.clone()), ("key".into(), key.clone())],
            via: ValidateVia::Staged,
            private_net: false,
            user: None,
            timeout: Duration::from_secs(60),
            refuse_output: Vec::new(),
            optional: None,
        };
        let service = ServiceCommands {
            name: "demo-web".into(),
            validate: vec![validate],
            reload: Some(command(&["edge-reload"])),
            ..ServiceCommands::default()
        };
        TransactionRequest {
            id: TransactionId::new(Duration::from_secs(1_800_000_000)),
            holder: "tests".into(),
            directories: Vec::new(),
            files: vec![file(0, &certificate, FileRole::Certificate), file(1, &key, FileRole::Key)],
            order: Vec::new(),
            watched: false,
            services: vec![service],
            limits: Limits::default(),
            backups: 1,
            boot_guard: None,
            sealed: false,
            dirs: Some(self.dirs()),
        }
    }

    fn dirs(&self) -> StateDirs {
        let state = self.host().directory.join("state");
        StateDirs { state: remote(&state.join("lib")), run: remote(&state.join("run")) }
    }

    /// Reads the state of both files.
    pub async fn look(&self) -> Result<HostFacts, RemoteError> {
        let files = Host::files(&self.host().directory).map(|path| remote(&path)).to_vec();
        let variant = InspectionVariant { files, ..InspectionVariant::default() };
        let request =
            Inspection { variants: vec![variant], boot_guard: false, dirs: Some(self.dirs()) };
        inspect(self.shell().await, &request).await
    }

    pub async fn begin(&self) -> Result<(Transaction, Staged), RemoteError> {
        Transaction::begin(self.shell().await, self.request()).await
    }

    /// From the lock to the confirmation. The outcome is as the engine would tell it.
    pub async fn roll_out(&self) -> Result<(), RemoteError> {
        let (mut transaction, _) = self.begin().await?;
        transaction.commit().await?;
        transaction.confirm().await?;
        Ok(())
    }

    pub fn is_old(&self) -> bool {
        read(&Host::files(&self.host().directory)) == self.before
            && self.host().service.serves() == self.lab.leaves("edge1").unwrap().0
    }

    pub fn is_new(&self) -> bool {
        read(&Host::files(&self.host().directory)) == self.after
            && self.host().service.serves() == self.lab.leaves("edge1").unwrap().1
    }

    /// Waits until the host has gone back by itself.
    pub async fn comes_to_old(&self) {
        self.comes_to(|| self.is_old(), "all old").await;
    }

    /// Waits until the host has everything new.
    pub async fn comes_to_new(&self) {
        self.comes_to(|| self.is_new(), "all new").await;
    }

    /// Waits until nothing more happens there, and one of the two holds.
    pub async fn comes_to_one_side(&self) {
        self.comes_to(|| self.lab.children().running().is_empty(), "at rest").await;
        assert!(self.is_old() || self.is_new(), "{}", self.tell());
    }

    async fn comes_to(&self, is_there: impl Fn() -> bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there() {
            assert!(Instant::now() < deadline, "not {what}: {}", self.tell());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All is well again: the next contact settles what is left and does the whole work, and nothing
    /// is left lying about.
    pub async fn heals(&self) {
        self.host().sshd.heal();
        let mut request = self.request();
        if self.is_new() {
            for file in &mut request.files {
                file.before = file.after;
                file.content = Content::Keep;
            }
        }
        let begun = Transaction::begin(self.shell().await, request).await;
        let (mut transaction, _) = begun.unwrap_or_else(|error| panic!("{error}: {}", self.tell()));
        transaction.commit().await.unwrap();
        transaction.confirm().await.unwrap();
        assert!(self.is_new(), "{}", self.tell());
        let deadline = Instant::now() + PATIENCE;
        while !self.leftovers().is_empty() {
            assert!(Instant::now() < deadline, "left: {:?}", self.leftovers());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Staging directories, journals and locks.
    fn leftovers(&self) -> Vec<String> {
        let directory = &self.host().directory;
        let mut left = Vec::new();
        for (place, prefix) in [("tls", ".certroll-"), ("state/lib", "j."), ("state/lib", "done.")]
        {
            let Ok(entries) = std::fs::read_dir(directory.join(place)) else { continue };
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            left.extend(names.filter(|name| name.starts_with(prefix)));
        }
        left
    }

    pub fn tell(&self) -> String {
        let log = std::fs::read_to_string(self.host().directory.join("log/service.log"));
        format!(
            "old {}, new {}, left {:?}, running {:?}\n{}",
            self.is_old(),
            self.is_new(),
            self.leftovers(),
            self.lab.children().running(),
            log.unwrap_or_default()
        )
    }
}

fn remote(path: &Path) -> RemotePath {
    RemotePath::new(path.as_os_str().as_bytes()).unwrap()
}

fn read<P: AsRef<Path>>(paths: &[P]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The error of something that must not go well.
pub fn error_of<T>(result: Result<T, RemoteError>) -> RemoteError {
    match result {
        Ok(_) => panic!("it went well"),
        Err(error) => error,
    }
}

/// The outcome's word and step: `failed (stage)`.
pub fn outcome(error: &RemoteError) -> String {
    Outcome::to_string(&error.outcome())
}
