//! What a configuration may ask about the machine and account that it is read on.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// The controller's account, as `ssh_config` sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Home directory, what `~` and `%d` stand for: `$HOME`, else the account's. (OpenSSH looks at
    /// the account only; Ansible at `$HOME`.)
    pub home: PathBuf,
    /// Account name: `%u`, and the user to log in as when nothing says otherwise.
    pub user: String,
    /// User id: `%i`.
    pub uid: String,
    /// Host name as the kernel has it: `%l`, and up to its first dot `%L`.
    pub hostname: String,
    /// `$SHELL`, which runs `Match exec`.
    pub shell: PathBuf,
    /// `$SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
}

impl Controller {
    /// Asks the system, once.
    pub fn detect() -> Self {
        static DETECTED: LazyLock<Controller> = LazyLock::new(Controller::ask_the_system);
        DETECTED.clone()
    }

    fn ask_the_system() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let named = || Some(set("USER").or_else(|| set("LOGNAME"))?.to_string_lossy().into_owned());
        Self {
            home: std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")),
            user: ask("id", "-un").or_else(named).unwrap_or_else(|| "root".into()),
            uid: own_uid().or_else(|| ask("id", "-u")).unwrap_or_default(),
            hostname: trimmed("/proc/sys/kernel/hostname")
                .or_else(|| ask("uname", "-n"))
                .unwrap_or_else(|| "localhost".into()),
            shell: set("SHELL").map_or_else(|| PathBuf::from("/bin/sh"), PathBuf::from),
            agent: set("SSH_AUTH_SOCK").map(PathBuf::from),
        }
    }

    /// `~` and `~/…` made absolute. Other accounts' homes are not looked up.
    pub fn expand_tilde(&self, path: &str) -> PathBuf {
        match path.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => self.home.join(rest.trim_start_matches('/')),
            _ => PathBuf::from(path),
        }
    }
}

/// A process costs a millisecond, so the kernel is asked first.
fn own_uid() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata("/proc/self").ok()?.uid().to_string())
}

fn trimmed(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// By the standard programs, which see every source of accounts that the system has.
fn ask(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}
