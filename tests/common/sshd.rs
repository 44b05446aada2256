//! A real sshd with accounts, login shells and sudo rules of its own, seen by nobody else: it runs
//! in private mount and pid namespaces (so as root) with its own `/etc/passwd`, `/etc/shadow`,
//! `/etc/sudoers`, `/home` and `/run`.

use super::daemon::{Daemon, free_port};
use super::{am_root, have};
use certroll::testing::model::HostName;
use certroll::testing::transport::Target;
use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The password of all accounts.
pub const PASSWORD: &str = "correct horse";

/// Accounts: name and login shell. All but `barred` may use sudo with a password, `free` without,
/// `tty` from a terminal only.
const ACCOUNTS: &[(&str, &str)] = &[
    ("alice", "/bin/bash"),
    ("free", "/bin/bash"),
    ("barred", "/bin/bash"),
    ("tty", "/bin/bash"),
    ("nobody-in", "/usr/sbin/nologin"),
    ("u-dash", "/bin/dash"),
    ("u-bash", "/bin/bash"),
    ("u-zsh", "/bin/zsh"),
    ("u-fish", "/usr/bin/fish"),
    ("u-tcsh", "/bin/tcsh"),
    ("u-mksh", "/bin/mksh"),
    ("u-ksh93", "/bin/ksh93"),
];

const SUDOERS: &str = "Defaults env_reset\n\
    Defaults:tty requiretty\n\
    root ALL=(ALL:ALL) ALL\n\
    alice,tty ALL=(ALL:ALL) ALL\n\
    free ALL=(ALL:ALL) NOPASSWD: ALL\n\
    tty ALL=(ALL:ALL) NOPASSWD: ALL\n";

/// Start-up files that talk, on both outputs, with and without a newline at the end.
const NOISE: &[(&str, &str)] = &[
    (".bashrc", "echo welcome to bash; echo oops >&2; printf 'no newline'\n"),
    (".zshenv", "echo welcome to zsh; echo oops >&2; printf 'no newline'\n"),
    (".tcshrc", "echo welcome to tcsh; echo -n 'no newline'\n"),
    (".cshrc", "echo welcome to tcsh; echo -n 'no newline'\n"),
    (".config/fish/config.fish", "echo welcome to fish; echo -n 'no newline'\n"),
    (".kshrc", "echo welcome to ksh; printf 'no newline'\n"),
    (".profile", "echo welcome to sh; printf 'no newline'\n"),
];

pub struct Sshd {
    pub port: u16,
    pub dir: PathBuf,
    daemon: Daemon,
}

impl Sshd {
    /// Starts one with `options` in front of its configuration, or says why the test is skipped.
    pub fn start(dir: &Path, name: &str, options: &str) -> Option<Self> {
        if !am_root() || !have(&["sshd", "ssh", "ssh-keygen", "unshare", "openssl", "sudo"]) {
            return None;
        }
        let dir = dir.join(name);
        fs::create_dir_all(dir.join("home")).expect("directory");
        let port = free_port();
        accounts(&dir);
        host_keys(&dir);
        let place = dir.display();
        let config = format!(
            "{options}\nPort {port}\nListenAddress 127.0.0.1\nLogLevel DEBUG1\nUsePAM yes\n\
             PidFile none\nStrictModes no\nAuthorizedKeysFile {place}/authorized_keys\n\
             HostKey {place}/host_ed25519\nHostKey {place}/host_rsa\nHostKey {place}/host_ecdsa\n\
             PermitRootLogin no\nPrintMotd no\nPrintLastLog no\nMaxStartups 200\n{}",
            // Refusals of one test would shut out the others of this address.
            if openssh_from(9, 8) { "PerSourcePenalties no\n" } else { "" }
        );
        fs::write(dir.join("sshd_config"), config).expect("sshd_config");
        for file in ["authorized_keys", "user_ca.pub"] {
            fs::OpenOptions::new().create(true).append(true).open(dir.join(file)).expect(file);
        }
        // Without the message of the day: it runs four programs for each login.
        let script = format!(
            "mount -t tmpfs -o mode=755 none /run; mkdir -p /run/sshd; \
             for f in passwd shadow group sudoers; do mount --bind {place}/$f /etc/$f; done; \
             mount -t tmpfs -o mode=755 none /etc/sudoers.d; mount --bind {place}/home /home; \
             grep -v pam_motd /etc/pam.d/sshd >{place}/pam; mount --bind {place}/pam /etc/pam.d/sshd; \
             exec $(command -v sshd) -D -e -f {place}/sshd_config"
        );
        let mut daemon = Daemon::sealed(name, &script, &dir);
        daemon.wait_for(port);
        Some(Self { port, dir, daemon })
    }

    /// A target for `user` that knows this sshd's ed25519 key and offers nothing yet.
    pub fn target(&self, user: &str) -> Target {
        let known = self.dir.join("known_hosts");
        if !known.exists() {
            fs::write(&known, self.known_line("host_ed25519")).expect("known_hosts");
        }
        let name = HostName::new(self.dir.file_name().expect("named").to_string_lossy());
        Target { port: self.port, known_hosts: vec![known], ..Target::new(name, "127.0.0.1", user) }
    }

    /// The same with a new key, which every account takes.
    pub fn target_with_key(&self, user: &str) -> Target {
        let key = self.new_key("id_ed25519", &["-t", "ed25519", "-N", ""]);
        Target { identities: vec![key], ..self.target(user) }
    }

    pub fn known_line(&self, key: &str) -> String {
        let public = fs::read_to_string(self.dir.join(format!("{key}.pub"))).expect("public key");
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    /// Makes a key with ssh-keygen and lets it in.
    pub fn new_key(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.dir.join(name);
        if !path.exists() {
            keygen(&path, arguments);
            self.authorize(&path);
        }
        path
    }

    pub fn authorize(&self, key: &Path) {
        let public = fs::read_to_string(key.with_extension("pub")).expect("public key");
        let list = self.dir.join("authorized_keys");
        let all = fs::read_to_string(&list).expect("authorized_keys") + &public;
        fs::write(list, all).expect("authorized_keys");
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

/// Whether the machine's OpenSSH has this version or a later one.
pub fn openssh_from(major: u32, minor: u32) -> bool {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    let version = VERSION.get_or_init(|| {
        let said = Command::new("ssh").arg("-V").output().expect("ssh runs").stderr;
        let said = String::from_utf8_lossy(&said);
        let number = said.split("OpenSSH_").nth(1).unwrap_or_default();
        let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let mut next = || parts.next().and_then(Result::ok).unwrap_or_default();
        (next(), next())
    });
    *version >= (major, minor)
}

/// Runs ssh-keygen for a new key at `path`.
pub fn keygen(path: &Path, arguments: &[&str]) {
    run(Command::new("ssh-keygen").arg("-q").arg("-f").arg(path).args(arguments));
}

/// Runs a command, which must succeed, and gives its stdout.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Keys of every kind, those of a server of the same name in the tests before. The RSA key is the same for all servers, as
/// it takes ssh-keygen a tenth of a second: what tells them apart are the others.
fn host_keys(dir: &Path) {
    type Key = [Vec<u8>; 2];
    static MADE: Mutex<Option<HashMap<PathBuf, Key>>> = Mutex::new(None);
    let server = Path::new(dir.file_name().expect("named"));
    for (name, arguments) in [
        ("host_ed25519", &["-t", "ed25519"][..]),
        ("host_rsa", &["-t", "rsa", "-b", "2048"]),
        ("host_ecdsa", &["-t", "ecdsa"]),
    ] {
        let path = dir.join(name);
        if path.exists() {
            continue;
        }
        let files = [path.clone(), path.with_extension("pub")];
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = if name == "host_rsa" { Path::new("all") } else { server };
        let made = made.get_or_insert_default().entry(owner.join(name));
        let key = made.or_insert_with(|| {
            keygen(&path, &[arguments, &["-N", "", "-C", "host"]].concat());
            files.each_ref().map(|file| fs::read(file).expect("a key"))
        });
        for (file, bytes) in files.iter().zip(key) {
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(file);
            file.and_then(|mut file| file.write_all(bytes)).expect("a key");
        }
    }
}

/// Gives a directory and what is in it to a user.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("given");
    if path.is_dir() {
        fs::read_dir(path).expect("a directory").for_each(|file| {
            give(&file.expect("a file").path(), user);
        });
    }
}

fn accounts(dir: &Path) {
    static HASH: OnceLock<String> = OnceLock::new();
    let hash = HASH.get_or_init(|| run(Command::new("openssl").args(["passwd", "-6", PASSWORD])));
    let mut passwd = fs::read_to_string("/etc/passwd").expect("passwd");
    let mut shadow = String::new();
    let mut group = fs::read_to_string("/etc/group").expect("group");
    for line in passwd.lines() {
        let name = line.split(':').next().expect("a name");
        let word = if name == "root" { hash.trim() } else { "*" };
        shadow += &format!("{name}:{word}:19000:0:99999:7:::\n");
    }
    for (number, (name, shell)) in (60_000..).zip(ACCOUNTS) {
        passwd += &format!("{name}:x:{number}:{number}::/home/{name}:{shell}\n");
        shadow += &format!("{name}:{}:19000:0:99999:7:::\n", hash.trim());
        group += &format!("{name}:x:{number}:\n");
        let home = dir.join("home").join(name);
        fs::create_dir_all(home.join(".config/fish")).expect("home");
        if name.starts_with("u-") {
            for (file, text) in NOISE {
                fs::write(home.join(file), text).expect("start-up file");
            }
        }
        give(&home, number);
    }
    for (file, text, mode) in [
        ("passwd", passwd.as_str(), 0o644),
        ("shadow", shadow.as_str(), 0o640),
        ("group", group.as_str(), 0o644),
        ("sudoers", SUDOERS, 0o440),
    ] {
        let file = dir.join(file);
        fs::write(&file, text).expect("account file");
        fs::set_permissions(file, Permissions::from_mode(mode)).expect("its mode");
    }
    // Homes have to be reached by their owners.
    for part in dir.ancestors().take(2) {
        let mode = fs::metadata(part).expect("a directory").permissions().mode();
        fs::set_permissions(part, Permissions::from_mode(mode | 0o055)).expect("its mode");
    }
}
