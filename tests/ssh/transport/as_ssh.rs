//! The same log-ins by `ssh` and by certroll, over a corpus of keys, certificates, agents and known_hosts files:
//! whoever is let in by the one is let in by the other.

use super::{connector, secret};
use crate::common::have;
use crate::common::sshd::{Sshd, keygen, openssh_from, run};
use certroll::testing::transport::{AgentChoice, ConnectError, HostKeyChecking, Target};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PASSPHRASE: &str = "open-sesame";

/// Whether `ssh` gets in as `target` says.
fn ssh_gets_in(target: &Target) -> bool {
    let askpass = tempfile::tempdir().unwrap();
    let program = askpass.path().join("askpass");
    fs::write(&program, format!("#!/bin/sh\necho '{PASSPHRASE}'\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("ssh");
    command.args(["-v", "-F", "none", "-o", "PasswordAuthentication=no"]);
    command.args(["-o", "KbdInteractiveAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]);
    command.env("SSH_ASKPASS", &program).env("SSH_ASKPASS_REQUIRE", "force");
    let mut option = |key: &str, value: String| {
        command.arg("-o").arg(format!("{key}={value}"));
    };
    let checking = match target.host_key_checking {
        HostKeyChecking::Strict => "yes",
        HostKeyChecking::AcceptNew => "accept-new",
        HostKeyChecking::DangerOff => "no",
    };
    option("StrictHostKeyChecking", checking.into());
    let known: Vec<_> = target.known_hosts.iter().map(|file| file.display().to_string()).collect();
    option("UserKnownHostsFile", known.join(" "));
    option("GlobalKnownHostsFile", "none".into());
    if let Some(alias) = &target.host_key_alias {
        option("HostKeyAlias", alias.clone());
    }
    option("IdentitiesOnly", if target.identities_only { "yes" } else { "no" }.into());
    for key in &target.identities {
        option("IdentityFile", key.display().to_string());
    }
    if target.identities.is_empty() {
        option("IdentityFile", "none".into());
    }
    for certificate in &target.certificates {
        option("CertificateFile", certificate.display().to_string());
    }
    match &target.agent {
        AgentChoice::None => option("IdentityAgent", "none".into()),
        AgentChoice::Socket(socket) => option("IdentityAgent", socket.display().to_string()),
    }
    let place = format!("{}@{}", target.user, target.address);
    command.args(["-p", &target.port.to_string(), &place, "echo in"]);
    let output = command.stdin(Stdio::null()).output().expect("ssh runs");
    String::from_utf8_lossy(&output.stdout).trim() == "in"
}

/// Asks both, each with the files as they are now; panics where they differ.
async fn agree(what: &str, target: &Target) -> Result<(), ConnectError> {
    let contents: Vec<_> = target.known_hosts.iter().map(|file| fs::read(file).ok()).collect();
    let by_ssh = ssh_gets_in(target);
    for (file, bytes) in target.known_hosts.iter().zip(contents) {
        if let Some(bytes) = bytes {
            fs::write(file, bytes).unwrap();
        }
    }
    let ours = connector().connect(target).await.map(drop);
    let words = ours.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert_eq!(ours.is_ok(), by_ssh, "{what}: ssh {by_ssh}, certroll: {words}");
    ours
}

#[tokio::test]
async fn known_hosts_files() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let key = |name: &str| {
        let line = sshd.known_line(name);
        let words: Vec<_> = line.split_whitespace().skip(1).take(2).map(str::to_owned).collect();
        words.join(" ")
    };
    let ed25519 = key("host_ed25519");
    let stranger = dir.path().join("stranger");
    keygen(&stranger, &["-t", "ed25519", "-N", ""]);
    let stranger = fs::read_to_string(stranger.with_extension("pub")).unwrap();
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let blob = ed25519.split(' ').nth(1).unwrap();
    let corpus: &[(&str, String)] = &[
        ("nothing", String::new()),
        ("its key", format!("{name} {ed25519}")),
        ("its RSA key alone", format!("{name} {}", key("host_rsa"))),
        ("its ECDSA key alone", format!("{name} {}", key("host_ecdsa"))),
        ("another key", format!("{name} {stranger}")),
        ("another key, then its own", format!("{name} {stranger}{name} {ed25519}")),
        ("without the port", format!("127.0.0.1 {ed25519}")),
        ("another key without the port", format!("127.0.0.1 {stranger}")),
        ("revoked", format!("{name} {ed25519}\n@revoked {name} {ed25519}")),
        ("revoked for everybody", format!("{name} {ed25519}\n@revoked * {ed25519}")),
        ("revoked without the port", format!("@revoked 127.0.0.1 {ed25519}\n{name} {ed25519}")),
        (
            "known without, revoked with the port",
            format!("@revoked {name} {ed25519}\n127.0.0.1 {ed25519}"),
        ),
        (
            "known and revoked without the port",
            format!("@revoked 127.0.0.1 {ed25519}\n127.0.0.1 {ed25519}"),
        ),
        ("as an authority", format!("@cert-authority {name} {ed25519}")),
        ("an unknown marker", format!("@new {name} {ed25519}")),
        ("a marker in capitals", format!("@REVOKED {name} {ed25519}\n{name} {ed25519}")),
        ("a kind that does not fit the key", format!("{name} ssh-rsa {blob}")),
        ("a kind that nobody knows", format!("{name} ssh-none AAAACHNzaC1ub25l")),
        (
            "a kind that nobody knows, then its key",
            format!("{name} ssh-none AAAACHNzaC1ub25l\n{name} {ed25519}"),
        ),
        ("no padding", format!("{name} {}", ed25519.trim_end_matches('='))),
        ("cut", format!("{name} {}", &ed25519[..40])),
        (
            "spaces, tabs, a carriage return",
            format!("  {name}\t {}  \r", ed25519.replace(' ', "\t")),
        ),
        ("a comment", format!("{name} {ed25519} # it")),
        ("commented out", format!("# {name} {ed25519}")),
        ("several names", format!("web1,{name},10.0.0.1 {ed25519}")),
        ("quoted", format!("\"{name}\" {ed25519}")),
        ("bits in front, as of old", format!("{name} 256 {ed25519}")),
        ("a pattern", format!("[127.0.0.*]:* {ed25519}")),
        ("a pattern for everybody", format!("* {ed25519}")),
        ("negated", format!("[127.*]:*,!{name} {ed25519}")),
        ("negated with the port, not without", format!("*,!{name} {ed25519}")),
    ];
    let file = sshd.dir.join("known_now");
    let with_key = sshd.target_with_key("alice");
    for (what, text) in corpus {
        for checking in [HostKeyChecking::Strict, HostKeyChecking::AcceptNew] {
            fs::write(&file, format!("{text}\n")).unwrap();
            let target = Target {
                known_hosts: vec![file.clone()],
                host_key_checking: checking,
                ..with_key.clone()
            };
            agree(&format!("{what}, {checking:?}"), &target).await.ok();
        }
    }
    // Comments are bytes; ssh-keygen's hashes are found; the alias is what is looked up.
    let latin = [format!("{name} {ed25519} M").as_bytes(), b"\xfcller\n"].concat();
    fs::write(&file, latin).unwrap();
    let target = Target { known_hosts: vec![file.clone()], ..with_key.clone() };
    agree("a comment in Latin-1", &target).await.unwrap();
    run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file));
    agree("hashed", &target).await.unwrap();
    fs::write(&file, format!("WEB1 {ed25519}\n")).unwrap();
    let alias = Target { host_key_alias: Some("Web1".into()), ..target.clone() };
    agree("an alias in capitals", &alias).await.unwrap();
    let aside = Target { host_key_alias: Some("web2".into()), ..target.clone() };
    agree("another alias", &aside).await.unwrap_err();
    // Files that cannot be read are passed over.
    fs::write(&file, format!("{name} {ed25519}\n")).unwrap();
    for odd in [dir.path().to_owned(), dir.path().join("none"), "/dev/null/none".into()] {
        let known_hosts = vec![odd.clone(), file.clone()];
        let target = Target { known_hosts, ..target.clone() };
        agree(&format!("{} in front", odd.display()), &target).await.unwrap();
        let error = agree("alone", &Target { known_hosts: vec![odd], ..target }).await.unwrap_err();
        assert!(matches!(error, ConnectError::HostKeyUnknown(_)), "{error}");
    }
}

/// Runs openssl with arguments that have no spaces in them.
fn openssl(arguments: &str) {
    run(Command::new("openssl").args(arguments.split(' ')));
}

#[tokio::test]
async fn key_files_of_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let rsa = sshd.new_key("rsa", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]);
    let ed25519 = sshd.new_key("ed25519", &["-t", "ed25519", "-N", ""]);
    let place = dir.path();
    for (name, how) in [
        ("pbes2_sha1", "pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1"),
        ("pbes2_sha512", "pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA512"),
        ("pbes2_3des", "pkcs8 -topk8 -v2 des3"),
        ("pbes1_3des", "pkcs8 -topk8 -v1 PBE-SHA1-3DES"),
        ("pbes1_2des", "pkcs8 -topk8 -v1 PBE-SHA1-2DES"),
        ("scrypt", "pkcs8 -topk8 -scrypt -scrypt_N 1024"),
        ("pem_aes128", "rsa -traditional -aes128"),
        ("pem_aes192", "rsa -traditional -aes192"),
        ("pem_aes256", "rsa -traditional -aes256"),
        ("pem_des3", "rsa -traditional -des3"),
    ] {
        let rsa = rsa.display();
        let key = place.join(name);
        openssl(&format!("{how} -in {rsa} -passout pass:{PASSPHRASE} -out {}", key.display()));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let target = Target { identities: vec![key], ..sshd.target("alice") };
        agree(name, &with(&target, PASSPHRASE)).await.unwrap();
    }
    for (name, arguments) in [
        ("openssh_3des", &["-t", "ed25519", "-Z", "3des-cbc"][..]),
        ("openssh_cbc", &["-t", "ecdsa", "-Z", "aes256-cbc"]),
        ("openssh_gcm", &["-t", "rsa", "-Z", "aes128-gcm@openssh.com"]),
        ("openssh_chacha", &["-t", "ed25519", "-Z", "chacha20-poly1305@openssh.com"]),
        ("ecdsa_pem", &["-t", "ecdsa", "-b", "384", "-m", "PEM"]),
        ("ecdsa_pkcs8", &["-t", "ecdsa", "-b", "521", "-m", "PKCS8"]),
    ] {
        let key = sshd.new_key(name, &[arguments, &["-N", PASSPHRASE]].concat());
        let target = Target { identities: vec![key], ..sshd.target("alice") };
        agree(name, &with(&target, PASSPHRASE)).await.unwrap();
    }
    let text = fs::read(&ed25519).unwrap();
    let public = fs::read(ed25519.with_extension("pub")).unwrap();
    for (name, bytes) in [
        ("blank line", [&text[..], b"\n"].concat()),
        ("spaces", [&text[..], b"  \n"].concat()),
        ("its public key behind", [&text[..], &public].concat()),
        ("Latin-1 behind", [&text[..], b"M\xfcller\n"].concat()),
        ("PEM with a text in front", [b"Bag M\xfcller\n", &fs::read(&rsa).unwrap()[..]].concat()),
        ("cut", text[..text.len() / 2].to_vec()),
    ] {
        let path = place.join("written");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let target = Target { identities: vec![path], ..sshd.target("alice") };
        agree(name, &target).await.ok();
    }
}

fn with(target: &Target, passphrase: &str) -> Target {
    Target { passphrase: secret(passphrase), ..target.clone() }
}

/// A real agent, which ends with this value.
struct Agent(Child, PathBuf);

impl Agent {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("agent.sock");
        let mut command = Command::new("ssh-agent");
        let child = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        // There is a socket before the agent listens on it.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self(child, socket)
    }

    fn add(&self, arguments: &[&str], key: &Path) {
        let mut command = Command::new("ssh-add");
        run(command.arg("-q").args(arguments).arg(key).env("SSH_AUTH_SOCK", &self.1));
    }

    fn choice(&self) -> AgentChoice {
        AgentChoice::Socket(self.1.clone())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn certificates_in_files_for_keys_in_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    if !have(&["ssh-agent", "ssh-add"]) {
        return;
    }
    let trusted = format!("TrustedUserCAKeys {}", dir.path().join("host/user_ca.pub").display());
    let Some(sshd) = Sshd::start(dir.path(), "host", &trusted) else { return };
    let authority = dir.path().join("authority");
    keygen(&authority, &["-t", "ed25519", "-N", ""]);
    fs::copy(authority.with_extension("pub"), sshd.dir.join("user_ca.pub")).unwrap();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let place = dir.path().join(kind);
        fs::create_dir(&place).unwrap();
        let key = place.join("k");
        keygen(&key, &["-t", kind, "-N", "", "-C", "k"]);
        let agent = Agent::start(&place);
        agent.add(&[], &key);
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-I", "me", "-n", "alice", "-s"]).arg(&authority);
        run(sign.arg(key.with_extension("pub")));
        run(Command::new("ssh-keygen").args(["-q", "-p", "-N", "locked", "-f"]).arg(&key));
        let certificate = place.join("k-cert.pub");
        let base = Target { agent: agent.choice(), ..sshd.target("alice") };
        agree("the bare key", &base).await.unwrap_err();
        let beside = Target { identities: vec![key.clone()], ..base.clone() };
        agree("beside the locked key", &beside).await.unwrap();
        let named = Target { certificates: vec![certificate.clone()], ..base.clone() };
        agree("CertificateFile", &named).await.unwrap();
        let both =
            Target { identities_only: true, certificates: vec![certificate.clone()], ..beside };
        agree("both, and nothing else", &both).await.unwrap();
        let itself = Target { identities: vec![certificate], ..base };
        agree("IdentityFile k-cert.pub", &itself).await.unwrap();
    }
}

#[tokio::test]
async fn agents_with_odd_keys_and_agents_that_hang_up() {
    let dir = tempfile::tempdir().unwrap();
    if !have(&["ssh-agent", "ssh-add"]) {
        return;
    }
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let agent = Agent::start(dir.path());
    let odd = dir.path().join("odd");
    let mut command = Command::new("ssh-keygen");
    use std::os::unix::ffi::OsStrExt;
    let comment = std::ffi::OsStr::from_bytes(b"M\xfcller");
    run(command.args(["-q", "-t", "ed25519", "-N", "", "-C"]).arg(comment).arg("-f").arg(&odd));
    agent.add(&[], &odd);
    // Of a kind that only the newest know.
    if openssh_from(10, 6) {
        let post_quantum = dir.path().join("post_quantum");
        keygen(&post_quantum, &["-t", "mldsa44-ed25519", "-N", ""]);
        agent.add(&[], &post_quantum);
    }
    agent.add(&[], &sshd.new_key("right", &["-t", "ed25519", "-N", ""]));
    let target = Target { agent: agent.choice(), ..sshd.target("alice") };
    agree("a comment in Latin-1", &target).await.unwrap();

    // In front of it one that answers a single question and hangs up, as agents do that were idle.
    let socket = dir.path().join("short.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let real = agent.1.clone();
    let (hang_up, idle) = tokio::sync::watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::UnixStream::connect(&real).await.unwrap();
            let mut idle = idle.clone();
            idle.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = idle.changed() => {}
                }
            });
        }
    });
    let connector = connector();
    let target = Target { agent: AgentChoice::Socket(socket), ..target };
    connector.connect(&target).await.unwrap();
    hang_up.send_replace(());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    connector.connect(&target).await.unwrap();
}

#[tokio::test]
async fn a_key_that_the_agent_gives_for_one_host_alone() {
    let dir = tempfile::tempdir().unwrap();
    if !have(&["ssh-agent", "ssh-add"]) {
        return;
    }
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let Some(other) = Sshd::start(dir.path(), "other", "") else { return };
    let agent = Agent::start(dir.path());
    let key = sshd.new_key("right", &["-t", "ed25519", "-N", ""]);
    other.authorize(&key);
    let target = |sshd: &Sshd| Target { agent: agent.choice(), ..sshd.target("alice") };
    let known = dir.path().join("known_to_the_agent");
    let line = sshd.known_line("host_ed25519");
    fs::write(&known, format!("bound {}", line.split_once(' ').unwrap().1)).unwrap();
    agent.add(&["-H", &known.display().to_string(), "-h", "bound"], &key);
    agree("the host that it is for", &target(&sshd)).await.unwrap();
    agree("another host", &target(&other)).await.unwrap_err();
}

/// Servers that allow one algorithm alone. `ssh` gets in everywhere; where the library cannot, the message says what the server
/// has, under which keyword, and what it could allow.
#[tokio::test]
async fn servers_with_a_single_algorithm() {
    let dir = tempfile::tempdir().unwrap();
    let post_quantum = dir.path().join("post_quantum");
    let of_the_host =
        format!("HostKey {}\nHostKeyAlgorithms ssh-mldsa44-ed25519", post_quantum.display());
    let mut servers = vec![
        (
            "gcm",
            "Ciphers aes128-gcm@openssh.com\nKexAlgorithms diffie-hellman-group14-sha256",
            None,
        ),
        (
            "sntrup",
            "KexAlgorithms sntrup761x25519-sha512@openssh.com",
            Some((
                "no key exchange (KexAlgorithms) in common: it has sntrup761x25519-sha512@openssh.com; allow it one of ",
                "mlkem768x25519-sha256, curve25519-sha256,",
            )),
        ),
        (
            "umac",
            "MACs umac-128-etm@openssh.com\nCiphers aes128-ctr",
            Some((
                "no message authentication (MACs) in common: it has umac-128-etm@openssh.com; allow it one of ",
                "hmac-sha2-256-etm@openssh.com",
            )),
        ),
    ];
    if openssh_from(10, 6) {
        keygen(&post_quantum, &["-t", "mldsa44-ed25519", "-N", ""]);
        servers.push((
            "mldsa",
            &of_the_host,
            Some((
                "no kind of host key (HostKeyAlgorithms) in common: it has ssh-mldsa44-ed25519; allow it one of ",
                "ssh-ed25519",
            )),
        ));
    }
    for (name, options, words) in servers {
        let Some(sshd) = Sshd::start(dir.path(), name, options) else { return };
        let target = sshd.target_with_key("alice");
        if name == "mldsa" {
            let public = fs::read_to_string(post_quantum.with_extension("pub")).unwrap();
            fs::write(&target.known_hosts[0], format!("[127.0.0.1]:{} {public}", sshd.port))
                .unwrap();
        }
        let Some((theirs, one_of_ours)) = words else {
            agree(name, &target).await.unwrap();
            continue;
        };
        assert!(ssh_gets_in(&target), "the control: {name}");
        let error = connector().connect(&target).await.unwrap_err().to_string();
        assert!(error.contains(theirs) && error.contains(one_of_ours), "{name}: {error}");
        assert!(!error.contains("kex-strict") && !error.contains("ext-info"), "{name}: {error}");
    }
}
