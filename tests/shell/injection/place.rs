//! A controller and its host in one directory, with a recorder and a canary.

use crate::common::{have, skip};
use certroll::testing::model::RemotePath;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// What would run `canary` if a shell read it: bare, out of single and double quotes, after the end of
/// a line, as an option, as a placeholder, as the protocol's own encoding.
pub const HOSTILE: &[&str] = &[
    "$(canary)",
    "`canary`",
    "a;canary;b",
    "a;canary #",
    "a&canary&b",
    "a|canary",
    "';canary;'",
    "\";canary;\"",
    "'$(canary)'",
    "\"$(canary)\"",
    "'\"$(canary)\"'",
    "\\';canary;\\'",
    "$'\\n'canary",
    "a\ncanary\n",
    "a\r\ncanary",
    "-rf",
    "--help",
    "-e canary",
    "{cert};canary",
    "'{key}'$(canary)",
    "{certs}{chain}{template}`canary`",
    "{word}",
    "${IFS}canary",
    "<(canary)",
    "%141%073canary",
    "#go\ncanary",
    "* ? [a-z]",
    "~root",
    "!canary",
    "a  b\tc",
    "ü\u{1}é\u{7f}",
    "\u{1}$(canary)\u{1}",
    "\\",
    "\\\\0141",
    "'",
    "\"",
    "''",
];

pub struct Place {
    dir: TempDir,
    shell: PathBuf,
}

/// What a task's command was called with.
pub type Calls = Vec<Vec<String>>;

/// The texts of one run.
pub struct Texts {
    /// The host's name.
    pub host: String,
    /// A part of the destinations' paths.
    pub path: String,
    /// A variable.
    pub variable: String,
    /// A word in a profile's argument lists.
    pub word: String,
}

impl Texts {
    /// Braces mean something in a profile; a text of nothing else says nothing.
    fn own_word(&self) -> String {
        let word = self.word.replace(['{', '}'], "");
        if word.trim().is_empty() { "w".to_owned() } else { word }
    }
}

/// The shells that are installed.
pub fn shells() -> Vec<PathBuf> {
    let names = ["dash", "busybox", "bash", "mksh", "ksh93"];
    let there = names.into_iter().filter(|name| have(&[name]));
    there.map(|name| which(name).unwrap()).collect()
}

fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.exists())
}

/// A pair that both `openssl` and certroll accept, made once.
fn material() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let pair = crate::common::pki::Authority::new("Test").leaf(&["www.example.net"]);
        let cert = format!("{}{}", pair.pem, pair.intermediate_pem);
        fs::write(dir.path().join("cert.pem"), cert).unwrap();
        fs::write(dir.path().join("key.pem"), pair.key_pem).unwrap();
        dir
    });
    dir.path()
}

impl Place {
    /// With that program as `sh`.
    pub fn new(shell: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir, shell: shell.to_owned() };
        fs::create_dir(place.file("bin")).unwrap();
        fs::create_dir(place.file("services")).unwrap();
        std::os::unix::fs::symlink(shell, place.file("bin/sh")).unwrap();
        place.program("canary", &format!("echo \"$0 $*\" >>'{}'", place.file("sung").display()));
        // Arguments apart by US, calls apart by RS: no text here holds those.
        place.program(
            "record",
            &format!(
                "{{ for a; do printf '%s\\037' \"$a\"; done; printf '\\036'; }} >>'{}'",
                place.file("calls").display()
            ),
        );
        place
    }

    fn program(&self, name: &str, text: &str) {
        let file = self.file("bin").join(name);
        fs::write(&file, format!("#!/bin/dash\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where this place's certificates go.
    pub fn dest(&self, part: &str, name: &str) -> String {
        format!("{}/certs {part}/{part}{name}", self.dir.path().display())
    }

    /// Whether something ran the canary.
    pub fn sung(&self) -> Option<String> {
        fs::read_to_string(self.file("sung")).ok()
    }

    pub fn calls(&self) -> Calls {
        let text = fs::read_to_string(self.file("calls")).unwrap_or_default();
        let calls = text.split('\u{1e}').filter(|call| !call.is_empty());
        calls
            .map(|call| {
                call.trim_end_matches('\u{1f}').split('\u{1f}').map(str::to_owned).collect()
            })
            .collect()
    }

    /// Any program as it would run on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.file("bin").display()))
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .current_dir(self.dir.path());
        command
    }

    /// A profile with this word everywhere.
    pub fn profile(&self, texts: &Texts) -> Value {
        let word = &texts.own_word();
        json!({
            "description": word,
            "settings": {"word": word},
            "validate": [
                {"command": ["record", "staged", "{cert}", "{key}", word], "via": "staged", "refuse_output": [word]},
                {"command": {"shell": "record mounted {cert} {key} {word}"}, "scratch_home": true, "net_private": true},
                {"command": ["record", "template", "{template}", word], "via": "template", "template": word},
                {"command": ["record", "live", "{certs}", word], "via": "live", "scratch_home": true},
            ],
            "reload": {"command": {"shell": "record reload {cert} {certs} {word}; record more {key}"}},
            "recover": ["record", "recover", word],
            "discover": {"command": ["record", "discover", "{cert}", word], "patterns": ["(?<cert>/.*)"]},
            "caveats": [word],
        })
    }

    /// A play that puts the texts wherever a text may be.
    pub fn play(&self, texts: &Texts) -> Value {
        let source = material();
        let at = |name: &str| self.dest("{{ part }}", name);
        json!([{
            "hosts": "all",
            "gather_facts": false,
            "vars": {"part": texts.path, "value": texts.variable},
            "environment": {"VALUE": "{{ value }}"},
            "tasks": [
                {"name": "{{ value }}", "command": {"argv": ["record", "command", "{{ value }}"]}},
                {"shell": "record shell {{ value | quote }} \"$VALUE\""},
                {"certificate": {
                    "service": "hostile",
                    "source": {"cert": source.join("cert.pem"), "key": source.join("key.pem")},
                    "dest": {"cert": at("cert.pem"), "key": at("key.pem")},
                    "verify": false,
                    "checks": [
                        {"command": ["record", "check", "{{ value }}", "{{ inventory_hostname }}"], "on": "host"},
                        {"command": ["record", "check", "{{ value }}", "{{ inventory_hostname }}"], "on": "controller"},
                    ],
                }},
            ],
        }])
    }

    /// Applies it on this machine.
    pub fn apply(&self, texts: &Texts, play: &Value) -> Ran {
        let local = json!({"ansible_connection": "local"});
        self.apply_to(&texts.host, &local, &self.profile(texts), play)
    }

    /// Applies it to a host with these variables: exit code, outcome, and everything that was said.
    pub fn apply_to(&self, host: &str, variables: &Value, profile: &Value, play: &Value) -> Ran {
        let write =
            |name: &str, value: &Value| fs::write(self.file(name), value.to_string()).unwrap();
        write("services/hostile.yml", profile);
        write("play.yml", play);
        write("hosts.yml", &json!({"all": {"hosts": {host: variables}}}));
        let arguments = ["apply", "play.yml", "-i", "hosts.yml", "-o", "json"];
        // The state of this machine is none of a test's business.
        let hidden = "mount -t tmpfs none /var/lib && mount -t tmpfs none /run && exec \"$@\"";
        let mut command = if root() {
            let mut command = self.command("unshare");
            command
                .args(["-m", "/bin/dash", "-c", hidden, "sh"])
                .arg(env!("CARGO_BIN_EXE_certroll"));
            command
        } else {
            self.command(env!("CARGO_BIN_EXE_certroll"))
        };
        let output = command.args(arguments).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let last = stdout.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        let outcome = last
            .and_then(|summary| summary["hosts"].as_object()?.values().next().cloned())
            .and_then(|host| host["outcome"].as_str().map(str::to_owned));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let said = format!("{host} under {}\n{stdout}{stderr}", self.shell.display());
        Ran { code: output.status.code(), outcome, stderr, said }
    }

    /// Every call that the play and the profile make, with the texts as they were written.
    pub fn expect_literal(&self, texts: &Texts, ran: &Ran) {
        let Texts { host, path, variable, .. } = texts;
        let word = &texts.own_word();
        let (cert, key) = (self.dest(path, "cert.pem"), self.dest(path, "key.pem"));
        let name = |file: &str| format!("/{}", file.rsplit('/').next().unwrap());
        let calls = self.calls();
        let wanted: Vec<Vec<&str>> = vec![
            vec!["command", variable],
            vec!["shell", variable, variable],
            vec!["discover", &cert, word],
            vec!["mounted", &cert, &key, word],
            vec!["live", &cert, word],
            vec!["reload", &cert, &cert, word],
            vec!["more", &key],
            vec!["check", variable, host],
        ];
        for call in wanted {
            let same = |found: &&Vec<String>| {
                found.len() == call.len()
                    && found.iter().zip(&call).all(|(a, b)| clean(a) == clean(b))
            };
            assert!(calls.iter().any(|found| same(&found)), "{call:?} in {calls:#?}\n{}", ran.said);
        }
        let staged = calls.iter().find(|call| call[0] == "staged").unwrap();
        assert!(
            staged[1].ends_with(&name(&cert)) && staged[2].ends_with(&name(&key)),
            "{staged:?}"
        );
        assert_eq!(staged[3], *word);
        let template = calls.iter().find(|call| call[0] == "template").unwrap();
        assert_eq!(template[2], *word);
        assert!(Path::new(&cert).is_file() && Path::new(&key).is_file(), "{cert}: {}", ran.said);
    }
}

/// How a run ended.
pub struct Ran {
    pub code: Option<i32>,
    pub outcome: Option<String>,
    pub stderr: String,
    pub said: String,
}

impl Ran {
    /// Refused with words, and nothing was connected to.
    pub fn refused(&self) -> bool {
        self.code == Some(1) && self.stderr.contains("error") && !self.said.contains("\"connect\"")
    }
}

/// Paths are compared as a host understands them.
fn clean(text: &str) -> String {
    let path = Some(text).filter(|text| text.starts_with('/'));
    let path = path.and_then(|text| RemotePath::new(text).ok());
    path.map_or_else(
        || text.to_owned(),
        |path| String::from_utf8_lossy(path.as_bytes()).into_owned(),
    )
}

fn root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Whether the tests of this kind can run here.
pub fn possible() -> bool {
    !root()
        || Command::new("unshare").args(["-m", "true"]).status().unwrap().success()
        || skip("no mount namespace")
}
