//! Real servers, each with a configuration of its own in a temporary directory, on free ports, and
//! gone with the test. Root only: most of them want to change users, and those that keep state in
//! fixed places get private mounts over them.

use crate::common::daemon::{Daemon, free_port};
use certroll::testing::model::StartTls;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The certificate and the key that a server is given.
pub(crate) struct Tls {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// A running server and where it listens for which dialogue.
pub(crate) struct Server {
    pub(crate) daemon: Daemon,
    pub(crate) ports: Vec<(StartTls, u16)>,
    _directory: TempDir,
}

impl Server {
    fn start(daemon: Daemon, ports: Vec<(StartTls, u16)>, directory: TempDir) -> Self {
        let mut server = Self { daemon, ports, _directory: directory };
        for (_, port) in server.ports.clone() {
            server.daemon.wait_for(port);
        }
        server
    }
}

/// A directory that service users can enter.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    directory
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A copy of the pair that `user` owns, the key for nobody else.
fn owned_pair(directory: &Path, tls: &Tls, user: &str) -> Tls {
    let own = Tls { cert: directory.join("own-cert.pem"), key: directory.join("own-key.pem") };
    for (from, to) in [(&tls.cert, &own.cert), (&tls.key, &own.key)] {
        std::fs::copy(from, to).unwrap();
        std::fs::set_permissions(to, PermissionsExt::from_mode(0o600)).unwrap();
        give_to(to, user);
    }
    own
}

fn give_to(path: &Path, user: &str) {
    let number = |flag: &str| -> u32 {
        let id = Command::new("id").args([flag, user]).output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim().parse().unwrap()
    };
    chown(path, Some(number("-u")), Some(number("-g"))).unwrap();
}

fn as_user(user: &str, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--init-groups", "--inh-caps=-all", program]);
    command
}

pub(crate) fn nginx(tls: &Tls) -> Server {
    let directory = directory();
    let (root, port, plain) = (directory.path(), free_port(), free_port());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {}/{kind};\n", root.display()))
        .collect();
    let (cert, key) = (tls.cert.display(), tls.key.display());
    let text = format!(
        "daemon off;\nuser root;\nerror_log stderr;\npid {root}/pid;\nevents {{}}\nhttp {{\n  access_log off;\n{temporary}\
         \x20 server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {cert}; ssl_certificate_key {key}; }}\n\
         \x20 server {{ listen 127.0.0.1:{plain}; }}\n}}\n",
        root = root.display(),
    );
    let mut command = Command::new("nginx");
    command.arg("-p").arg(root).arg("-c").arg(write(root, "nginx.conf", &text));
    let daemon = Daemon::start("nginx", command, root);
    Server::start(daemon, vec![(StartTls::None, port), (StartTls::None, plain)], directory)
}

/// SMTP with STARTTLS, and implicit TLS on a second port.
pub(crate) fn postfix(tls: Option<&Tls>) -> Server {
    let directory = directory();
    let (root, port, wrapped) = (directory.path(), free_port(), free_port());
    let configuration = root.join("etc");
    std::fs::create_dir(&configuration).unwrap();
    let pair = match tls {
        Some(Tls { cert, key }) => format!(
            "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\n",
            cert.display(),
            key.display()
        ),
        None => "smtpd_tls_security_level = none\n".to_owned(),
    };
    let text = format!(
        "compatibility_level = 3.6\nmyhostname = www.example.org\nmydestination =\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nalias_maps =\nalias_database =\nlocal_recipient_maps =\n\
         maillog_file = /dev/stdout\n{pair}"
    );
    write(&configuration, "main.cf", &text);
    let text = format!(
        "127.0.0.1:{port} inet n - n - - smtpd\n\
         127.0.0.1:{wrapped} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n\
         pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nproxymap unix - - n - - proxymap\nrewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\nanvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n"
    );
    write(&configuration, "master.cf", &text);
    let script = format!(
        "mkdir -p {root}/spool {root}/lib\nchown postfix {root}/lib\n\
         mount --bind {root}/spool /var/spool/postfix\nmount --bind {root}/lib /var/lib/postfix\n\
         cp -n /etc/postfix/dynamicmaps.cf /etc/postfix/postfix-files /etc/postfix/postfix-script \
         /etc/postfix/post-install {root}/etc/ 2>/dev/null || true\n\
         mount --bind {root}/etc /etc/postfix\nexec postfix start-fg\n",
        root = root.display(),
    );
    let daemon = Daemon::sealed("postfix", &script, root);
    Server::start(daemon, vec![(StartTls::Smtp, port), (StartTls::None, wrapped)], directory)
}

/// IMAP, POP3, LMTP and ManageSieve, and IMAP with implicit TLS last.
pub(crate) fn dovecot(tls: Option<&Tls>) -> Server {
    let directory = directory();
    let root = directory.path();
    let [imap, pop3, lmtp, sieve, imaps] = [(); 5].map(|()| free_port());
    let ssl = match tls {
        Some(Tls { cert, key }) => {
            format!("ssl = yes\nssl_cert = <{}\nssl_key = <{}\n", cert.display(), key.display())
        }
        None => "ssl = no\n".to_owned(),
    };
    let listen = |name: &str, port: u16| {
        format!("  inet_listener {name} {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n")
    };
    let text = format!(
        "base_dir = {root}/run\nstate_dir = {root}/run\nlog_path = /dev/stderr\n\
         protocols = imap pop3 lmtp sieve\nlisten = 127.0.0.1\nmail_location = maildir:{root}/mail\n\
         passdb {{\n  driver = static\n  args = password=none\n}}\n\
         userdb {{\n  driver = static\n  args = uid=65534 gid=65534 home={root}\n}}\n{ssl}\
         service imap-login {{\n{imap}{imaps}}}\nservice pop3-login {{\n{pop3}{pop3s}}}\n\
         service lmtp {{\n{lmtp}}}\nservice managesieve-login {{\n{sieve}}}\n",
        root = root.display(),
        imap = listen("imap", imap),
        imaps = listen("imaps", imaps).replace("  }\n", "    ssl = yes\n  }\n"),
        pop3 = listen("pop3", pop3),
        pop3s = listen("pop3s", 0),
        lmtp = listen("lmtp", lmtp),
        sieve = listen("sieve", sieve),
    );
    let configuration = write(root, "dovecot.conf", &text);
    let script = format!(
        "mkdir -p {0}/run\nexec dovecot -F -c {1}\n",
        root.display(),
        configuration.display()
    );
    let daemon = Daemon::sealed("dovecot", &script, root);
    let mut ports = vec![
        (StartTls::Imap, imap),
        (StartTls::Pop3, pop3),
        (StartTls::Lmtp, lmtp),
        (StartTls::Sieve, sieve),
    ];
    ports.extend(tls.map(|_| (StartTls::None, imaps)));
    Server::start(daemon, ports, directory)
}

pub(crate) fn vsftpd(tls: Option<&Tls>) -> Server {
    let directory = directory();
    let (root, port) = (directory.path(), free_port());
    std::fs::create_dir(root.join("empty")).unwrap();
    let ssl = match tls {
        Some(Tls { cert, key }) => format!(
            "ssl_enable=YES\nallow_anon_ssl=YES\nssl_ciphers=HIGH\nrsa_cert_file={}\nrsa_private_key_file={}\n",
            cert.display(),
            key.display()
        ),
        None => "ssl_enable=NO\n".to_owned(),
    };
    let text = format!(
        "listen=YES\nlisten_ipv6=NO\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\n\
         anonymous_enable=YES\nseccomp_sandbox=NO\nsecure_chroot_dir={}/empty\n{ssl}",
        root.display()
    );
    let mut command = Command::new("vsftpd");
    command.arg(write(root, "vsftpd.conf", &text));
    Server::start(Daemon::start("vsftpd", command, root), vec![(StartTls::Ftp, port)], directory)
}

pub(crate) fn slapd(tls: Option<&Tls>) -> Server {
    let directory = directory();
    let (root, port) = (directory.path(), free_port());
    let pair = match tls {
        Some(Tls { cert, key }) => format!(
            "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            cert.display(),
            key.display()
        ),
        None => String::new(),
    };
    let text = format!("pidfile {}/pid\n{pair}", root.display());
    let mut command = Command::new("slapd");
    command.args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}/"), "-f"]);
    command.arg(write(root, "slapd.conf", &text));
    Server::start(Daemon::start("slapd", command, root), vec![(StartTls::Ldap, port)], directory)
}

/// Debian keeps the server's programs off the path, in a directory for each version.
pub(crate) fn postgres_program(name: &str) -> Option<String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let found = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)));
    found.filter(|path| path.is_file()).max()?.into_os_string().into_string().ok()
}

pub(crate) fn postgres(tls: Option<&Tls>) -> Server {
    let directory = directory();
    let (root, port) = (directory.path(), free_port());
    give_to(root, "postgres");
    let data = root.join("data");
    let made = as_user("postgres", &postgres_program("initdb").unwrap())
        .args(["--no-sync", "--auth=trust", "--locale=C", "-D"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = as_user("postgres", &postgres_program("postgres").unwrap());
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-F"]);
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
    if let Some(tls) = tls {
        let own = owned_pair(root, tls, "postgres");
        command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", own.cert.display())]);
        command.args(["-c", &format!("ssl_key_file={}", own.key.display())]);
    }
    let daemon = Daemon::start("postgres", command, root);
    Server::start(daemon, vec![(StartTls::Postgres, port)], directory)
}

pub(crate) fn mariadb(tls: Option<&Tls>) -> Server {
    let directory = directory();
    let (root, port) = (directory.path(), free_port());
    std::fs::create_dir(root.join("data")).unwrap();
    let mut command = Command::new("mariadbd");
    command.args(["--no-defaults", "--user=root", "--skip-grant-tables", "--skip-log-bin"]);
    command.args(["--bind-address=127.0.0.1", &format!("--port={port}")]);
    command.arg(format!("--datadir={}/data", root.display()));
    command.arg(format!("--socket={}/socket", root.display()));
    command.arg(format!("--pid-file={}/pid", root.display()));
    if let Some(Tls { cert, key }) = tls {
        command.arg(format!("--ssl-cert={}", cert.display()));
        command.arg(format!("--ssl-key={}", key.display()));
    }
    let daemon = Daemon::start("mariadbd", command, root);
    Server::start(daemon, vec![(StartTls::Mysql, port)], directory)
}

pub(crate) fn prosody(tls: Option<&Tls>, host: &str) -> Server {
    let directory = directory();
    let (root, port) = (directory.path(), free_port());
    give_to(root, "prosody");
    let ssl = match tls {
        Some(tls) => {
            let own = owned_pair(root, tls, "prosody");
            format!(
                "  ssl = {{ certificate = \"{}\"; key = \"{}\" }}\n",
                own.cert.display(),
                own.key.display()
            )
        }
        None => String::new(),
    };
    let text = format!(
        "pidfile = \"{root}/pid\"\ndata_path = \"{root}\"\ncertificates = \"{root}\"\n\
         log = {{ {{ levels = {{ min = \"info\" }}; to = \"console\" }} }}\n\
         interfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{ {port} }}\ns2s_ports = {{}}\n\
         modules_enabled = {{ {modules}\"saslauth\" }}\nmodules_disabled = {{ \"s2s\" }}\n\
         c2s_require_encryption = {require}\nVirtualHost \"{host}\"\n{ssl}",
        root = root.display(),
        modules = if tls.is_some() { "\"tls\"; " } else { "" },
        require = tls.is_some(),
    );
    let mut command = as_user("prosody", "prosody");
    command.arg("--config").arg(write(root, "prosody.cfg.lua", &text)).arg("-F");
    Server::start(Daemon::start("prosody", command, root), vec![(StartTls::Xmpp, port)], directory)
}
