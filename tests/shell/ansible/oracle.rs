//! The real `ansible-inventory`, `ansible` and `ansible-playbook`, kept running in one process.

use crate::common::skip;
use certroll::testing::inventory::{self, Inventory, LoadOptions};
use certroll::testing::source::render::render;
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Condvar, Mutex};
use tempfile::TempDir;

/// What one of Ansible's programs answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Ansible's programs, ready to be asked again and again. The next test goes on with them.
pub(crate) struct Ansible {
    /// Until it is dropped.
    driver: Option<Driver>,
}

/// A process that has loaded Ansible, which takes it most of a second. It ends when its input does: an idle one with this
/// process.
pub(crate) struct Driver {
    process: Child,
    answers: BufReader<ChildStdout>,
    python: PathBuf,
}

struct Drivers {
    /// Those that no test has at this moment.
    idle: Vec<Driver>,
    /// How many tests have one.
    taken: usize,
}

static DRIVERS: Mutex<Drivers> = Mutex::new(Drivers { idle: Vec::new(), taken: 0 });
/// One was given back.
static FREE: Condvar = Condvar::new();
/// To load one more takes longer than to wait for the test before.
const AT_ONCE: usize = 2;

impl Ansible {
    /// `None`, and a loud word, where Ansible is not installed or too old to compare with.
    pub(crate) fn start() -> Option<Self> {
        let drivers = DRIVERS.lock().expect("no test fails with it");
        let all_taken = |drivers: &mut Drivers| drivers.taken == AT_ONCE;
        let mut drivers = FREE.wait_while(drivers, all_taken).expect("as above");
        drivers.taken += 1;
        // From here on it is given back in any case.
        let mut one = Self { driver: drivers.idle.pop() };
        drop(drivers);
        one.driver = Some(one.driver.take().or_else(|| Driver::start(None))?);
        Some(one)
    }

    pub(crate) fn python(&self) -> &Path {
        self.driver.as_ref().expect("not dropped").python()
    }

    pub(crate) fn ask(&mut self, program: &str, args: &[&str], directory: &Path) -> Answer {
        self.driver.as_mut().expect("not dropped").ask(program, args, directory)
    }
}

impl Drop for Ansible {
    fn drop(&mut self) {
        let mut drivers = DRIVERS.lock().expect("no test fails with it");
        drivers.taken -= 1;
        // Of one whose test failed nobody knows what it would answer next.
        if !std::thread::panicking() {
            drivers.idle.extend(self.driver.take());
        }
        FREE.notify_one();
    }
}

impl Driver {
    /// Begins by the words of a command, which its own then follow.
    pub(crate) fn start(within: Option<Command>) -> Option<Self> {
        let Some(python) = interpreter() else {
            skip("not installed: ansible-inventory");
            return None;
        };
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shell/ansible/driver.py");
        let mut command = within.unwrap_or_else(|| Command::new("env"));
        let mut process = command
            .arg(python)
            .arg(driver)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_LOCALHOST_WARNING", "0")
            .env("ANSIBLE_PIPELINING", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the driver starts");
        let mut answers = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("a first line");
        let first: Json = serde_json::from_str(&line).expect("JSON");
        let text = |key: &str| first[key].as_str().expect("a text").to_owned();
        let (version, python) = (text("version"), PathBuf::from(text("python")));
        let started = Self { process, answers, python };
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        // 2.19 changed templates and the output of ansible-inventory.
        if (parts.next(), parts.next()) < (Some(2), Some(19)) {
            skip(&format!("ansible-core {version} is older than 2.19"));
            return None;
        }
        Some(started)
    }

    /// What modules on the local host are to run on: it is warm as this is.
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    pub(crate) fn ask(&mut self, program: &str, args: &[&str], directory: &Path) -> Answer {
        let request = json!({ "program": program, "args": args, "cwd": directory });
        let requests = self.process.stdin.as_mut().expect("its input");
        writeln!(requests, "{request}").expect("the driver listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let answer: Json = serde_json::from_str(&line).expect("JSON");
        let text = |key: &str| answer[key].as_str().expect("a text").to_owned();
        let code = answer["code"].as_i64().expect("a number");
        Answer { code, stdout: text("stdout"), stderr: text("stderr") }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // This closes its input.
        let _ = self.process.wait();
    }
}

/// The Python that `ansible-inventory` runs on, by its first line.
fn interpreter() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(own).chain(std::env::split_paths(&path));
    places.map(|place| place.join("ansible-inventory")).find_map(|program| {
        let text = std::fs::read_to_string(program).ok()?;
        let python = text.lines().next()?.strip_prefix("#!")?.trim();
        (python.contains("python") && !python.contains(' ')).then(|| PathBuf::from(python))
    })
}

/// Files of one case, in a directory of their own.
pub(crate) struct Site {
    directory: TempDir,
}

impl Site {
    /// A file whose text begins with `#!` is made executable.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(&path, text).expect("a file");
            if text.starts_with("#!") {
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&path, mode).expect("a mode");
            }
        }
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `-i SOURCE` for each, absolute.
    pub(crate) fn sources(&self, sources: &[&str]) -> Vec<String> {
        let full = |source: &&str| match source.contains(',') {
            true => (*source).to_owned(),
            false => self.path().join(source).display().to_string(),
        };
        sources.iter().map(full).collect()
    }

    /// As certroll reads it; the error is what an operator would see.
    pub(crate) fn load(&self, sources: &[&str]) -> Result<Inventory, String> {
        self.load_beside(sources, Vec::new())
    }

    /// The same, with the variables beside playbooks in these directories.
    pub(crate) fn load_beside(
        &self,
        sources: &[&str],
        playbook_directories: Vec<PathBuf>,
    ) -> Result<Inventory, String> {
        let vault =
            certroll::testing::vault::Vault::new(vec![certroll::testing::model::Secret::new(
                b"swordfish".to_vec(),
            )]);
        let decrypt = |text: &str| {
            let plain = vault.decrypt_text(text).map_err(|error| error.to_string())?;
            Ok(plain.expose().clone())
        };
        let options = LoadOptions { playbook_directories, decrypt: &decrypt };
        match inventory::load(&self.sources(sources), &options) {
            Ok((inventory, _)) => Ok(inventory),
            Err(found) => {
                let place = format!("{}/", self.path().display());
                Err(render(&found, false, 200).replace(&place, ""))
            }
        }
    }
}

/// `-i` before each source.
pub(crate) fn flags(sources: &[String]) -> Vec<&str> {
    sources.iter().flat_map(|source| ["-i", source.as_str()]).collect()
}
