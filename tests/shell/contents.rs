//! Certificates and keys out of variables, sealed by the real `ansible-vault`: they arrive, and nothing shows them.

use crate::common::have;
use crate::common::pki::Authority;
use std::path::Path;
use std::process::{Command, Output};

const PASSWORD: &str = "correct horse";

/// Where the pair goes as two files.
const PEM: &str = "cert: '{{ there }}/cert.pem', key: '{{ there }}/key.pem'";

struct Site {
    dir: tempfile::TempDir,
    key: String,
}

impl Site {
    /// A playbook whose certificate and key are variables of a sealed file.
    fn new(source: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let pair = Authority::new("Content").leaf(&["www.example.net"]);
        let indented = |text: &str| text.replace('\n', "\n  ");
        let vars = format!(
            "vault_cert: |\n  {}\nvault_key: |\n  {}\n",
            indented(&format!("{}{}", pair.pem, pair.intermediate_pem)),
            indented(&pair.key_pem)
        );
        let site = Self { dir, key: pair.key_pem };
        site.write("secrets.yml", &vars);
        site.book(source, PEM);
        site.write("password", PASSWORD);
        std::fs::create_dir(site.path().join("there")).expect("a directory");
        let sealed = Command::new("ansible-vault")
            .args(["encrypt", "--vault-password-file", "password", "secrets.yml"])
            .current_dir(site.path())
            .output()
            .expect("ansible-vault runs");
        assert!(sealed.status.success(), "{}", String::from_utf8_lossy(&sealed.stderr));
        site
    }

    /// Writes the playbook.
    fn book(&self, source: &str, dest: &str) {
        let book = format!(
            "- hosts: all\n  vars_files: [secrets.yml]\n  tasks:\n  - certificate:\n      service: files\n      source: {source}\n      \
             dest: {{{dest}}}\n      validate: false\n      reload: none\n      verify: false\n"
        );
        self.write("site.yml", &book);
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    fn run(&self, verb: &str, more: &[&str]) -> Output {
        self.command(verb, more).output().expect("certroll runs")
    }

    fn command(&self, verb: &str, more: &[&str]) -> Command {
        let here = self.path().display();
        let mut command = Command::new(env!("CARGO_BIN_EXE_certroll"));
        command
            .args([
                verb,
                "-i",
                "h,",
                "--vault-id",
                "prod@password",
                "-e",
                "ansible_connection=local",
            ])
            .args(["-e", &format!("there={here}/there certroll_state_dir={here}/state")])
            .args(more)
            .arg("site.yml")
            .current_dir(self.path());
        command
    }

    /// Lines of the key's body.
    fn secrets(&self) -> Vec<&str> {
        self.key.lines().filter(|line| !line.starts_with('-') && line.len() > 20).collect()
    }

    #[track_caller]
    fn shows_nothing(&self, output: &Output) {
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            for secret in self.secrets() {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

#[test]
fn a_sealed_pair_arrives_and_is_never_shown() {
    if !have(&["ansible-vault"]) {
        return;
    }
    let site =
        Site::new("{cert: {content: '{{ vault_cert }}'}, key: {content: '{{ vault_key }}'}}");
    for more in [&[][..], &["-o", "json", "-vvv", "--diff"]] {
        let planned = site.run("plan", more);
        site.shows_nothing(&planned);
        assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    }
    let applied = site.run("apply", &["-o", "json", "-vvv", "--diff"]);
    site.shows_nothing(&applied);
    assert!(
        applied.status.success(),
        "{}{}",
        String::from_utf8_lossy(&applied.stdout),
        String::from_utf8_lossy(&applied.stderr)
    );
    let key = std::fs::read_to_string(site.path().join("there/key.pem")).expect("the key");
    // The control: what is looked for is what was written.
    assert!(!site.secrets().is_empty() && site.secrets().iter().all(|line| key.contains(line)));
    let again = site.run("apply", &[]);
    site.shows_nothing(&again);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && text.contains("unchanged"), "{text}");
}

#[test]
fn what_is_wrong_with_a_content_is_said_without_it() {
    if !have(&["ansible-vault"]) {
        return;
    }
    let site = Site::new("none yet");
    for (source, words) in [
        ("{cert: {content: '{{ vault_key }}'}, key: {content: '{{ vault_key }}'}}", "certificate"),
        ("{cert: {content: '{{ vault_cert }}'}, key: '{{ vault_key }}'}", "{content:"),
        (
            "{cert: {content: '{{ vault_cert }}'}, key: {content: ''}}",
            "the content of 'key' is empty",
        ),
        ("{cert: {contents: '{{ vault_cert }}'}}", "did you mean 'content'?"),
        ("{cert: {content: '{{ vault_cert[:200] }}'}}", "certificate"),
    ] {
        site.book(source, PEM);
        let refused = site.run("apply", &[]);
        site.shows_nothing(&refused);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{source}: {text}");
        assert!(text.contains(words) && text.contains("site.yml:"), "{source}: {text}");
        assert!(!site.path().join("there/key.pem").exists());
    }
}

impl Site {
    /// As [`Site::new`], with `both.pem` sealed as a whole and `ask`, which opens a file and counts how often it was asked.
    fn asking(source: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let site = Self::new(source);
        let pair = Authority::new("Content").leaf(&["www.example.net"]);
        let site = Self { key: pair.key_pem.clone(), ..site };
        let chain = pair.pem + &pair.intermediate_pem;
        site.write("chain.pem", &chain);
        site.write("both.pem", &(pair.key_pem + &chain));
        let view = "ansible-vault view --vault-password-file password";
        site.write("ask", &format!("#!/bin/sh\necho asked >>asked\nexec {view} \"$1\"\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(site.path().join("ask"), mode).expect("executable");
        let sealed = Command::new("ansible-vault")
            .args(["encrypt", "--vault-password-file", "password", "both.pem"])
            .current_dir(site.path())
            .output()
            .expect("ansible-vault runs");
        assert!(sealed.status.success(), "{}", String::from_utf8_lossy(&sealed.stderr));
        site
    }
}

#[test]
fn what_a_command_prints_arrives_and_is_never_shown() {
    if !have(&["ansible-vault"]) {
        return;
    }
    let site =
        Site::asking("{cert: {command: [./ask, both.pem]}, key: {command: [./ask, both.pem]}}");
    let applied = site.run("apply", &["-o", "json", "-vvv", "--diff"]);
    site.shows_nothing(&applied);
    assert!(
        applied.status.success(),
        "{}{}",
        String::from_utf8_lossy(&applied.stdout),
        String::from_utf8_lossy(&applied.stderr)
    );
    let read = |name: &str| std::fs::read_to_string(site.path().join(name)).expect("written");
    let key = read("there/key.pem");
    assert!(!site.secrets().is_empty() && site.secrets().iter().all(|line| key.contains(line)));
    assert_eq!(read("asked"), "asked\n", "once for certificate and key");

    // Another task with another chain gets what was printed already.
    let one_task = read("site.yml");
    let (_, task) = one_task.split_once("  - certificate").expect("a task");
    let source = "{cert: {command: [./ask, both.pem]}, ";
    let task = task.replace(source, &format!("{source}chain: chain.pem, "));
    let task = task.replace("cert.pem'", "other.pem'").replace("key.pem'", "other.key'");
    site.write("site.yml", &format!("{one_task}  - certificate{task}"));
    site.write("asked", "");
    let both = site.run("apply", &[]);
    assert!(both.status.success(), "{}", String::from_utf8_lossy(&both.stderr));
    assert!(read("there/other.key") == key, "the other task was not run");
    assert_eq!(read("asked"), "asked\n", "once per run");
    site.write("site.yml", &one_task);

    // The host keeps the key that it has.
    let asked = "{cert: {command: [./ask, both.pem]}, key: {command: [./ask, both.pem]}}";
    let book = read("site.yml").replace(asked, "{cert: chain.pem, key: keep}");
    assert!(book.contains("key: keep"), "{book}");
    site.write("site.yml", &book);
    let again = site.run("apply", &[]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && text.contains("unchanged"), "{text}");
}

#[test]
fn what_is_wrong_with_a_command_is_told() {
    if !have(&["ansible-vault"]) {
        return;
    }
    let site = Site::asking("none yet");
    for (source, words) in [
        (
            "{cert: {command: [./ask, gone.pem]}}",
            "what `./ask` prints: the command exited with code",
        ),
        ("{cert: {command: [./no-such-program]}}", "the command cannot be started"),
        ("{cert: {command: ['true']}}", "the command prints nothing"),
        ("{cert: {command: './ask both.pem'}}", "'command' takes a list of arguments"),
        ("{cert: {command: [./ask, both.pem], content: a}}", "'cert' takes 'content' or 'command'"),
        ("{directory: there}", "neither certbot's directory nor acme.sh's"),
        ("{directory: gone}", "there is no such directory"),
        ("{directory: there, cert: a.pem}", "'directory' takes the place of 'cert'"),
    ] {
        site.book(source, PEM);
        let refused = site.run("apply", &[]);
        site.shows_nothing(&refused);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{source}: {text}");
        assert!(text.contains(words) && text.contains("site.yml:"), "{source}: {text}");
        assert!(!site.path().join("there/key.pem").exists());
    }
}

#[test]
fn a_pair_arrives_from_certbot_s_directory() {
    use std::os::unix::fs::symlink;
    if !have(&["ansible-vault"]) {
        return;
    }
    let site = Site::new("{directory: live/www}");
    for directory in ["archive/www", "live/www"] {
        std::fs::create_dir_all(site.path().join(directory)).expect("a directory");
    }
    let pair = Authority::new("Content").leaf(&["www.example.net"]);
    let (chain, key) = (format!("{}{}", pair.pem, pair.intermediate_pem), &pair.key_pem);
    for (name, text) in [("fullchain", &chain), ("privkey", key)] {
        site.write(&format!("archive/www/{name}7.pem"), text);
        let link = site.path().join(format!("live/www/{name}.pem"));
        symlink(format!("../../archive/www/{name}7.pem"), link).expect("a link");
    }
    let applied = site.run("apply", &[]);
    let told = String::from_utf8_lossy(&applied.stdout).into_owned();
    assert!(applied.status.success(), "{told}{}", String::from_utf8_lossy(&applied.stderr));
    for (file, text) in [("there/cert.pem", &chain), ("there/key.pem", key)] {
        let arrived = std::fs::read_to_string(site.path().join(file)).expect("it arrived");
        assert_eq!(arrived, *text, "{file}");
    }
}

impl Site {
    /// As [`Site::new`], with the pair in a keystore as well, sealed by openssl with [`PASSWORD`].
    fn with_keystore(source: &str, dest: &str) -> Self {
        let site = Self::new(source);
        let pair = Authority::new("Content").leaf(&["www.example.net"]);
        let site = Self { key: pair.key_pem.clone(), ..site };
        site.write("both.pem", &(pair.key_pem + &pair.pem + &pair.intermediate_pem));
        let export = [
            "pkcs12",
            "-export",
            "-in",
            "both.pem",
            "-out",
            "store.p12",
            "-passout",
            "file:password",
        ];
        let made = Command::new("openssl").args(export).current_dir(site.path()).output();
        assert!(made.expect("openssl runs").status.success());
        site.book(source, dest);
        site
    }

    fn openssl(&self, arguments: &str) -> Output {
        let arguments = arguments.split(' ');
        Command::new("openssl")
            .args(arguments)
            .current_dir(self.path())
            .output()
            .expect("openssl runs")
    }
}

#[test]
fn a_keystore_is_opened_and_another_one_written() {
    if !have(&["ansible-vault", "openssl"]) {
        return;
    }
    let dest = "cert: '{{ there }}/cert.pem', key: '{{ there }}/key.pem', pkcs12: '{{ there }}/new.p12', \
                password: '{{ \"another\" ~ \" word\" }}', cert_der: '{{ there }}/cert.der', key_der: '{{ there }}/key.der'";
    let site = Site::with_keystore("{pkcs12: store.p12, key_passphrase_file: password}", dest);
    let applied = site.run("apply", &["-o", "json", "-vvv", "--diff"]);
    site.shows_nothing(&applied);
    for text in [&applied.stdout, &applied.stderr] {
        assert!(!String::from_utf8_lossy(text).contains("another word"), "the password is shown");
    }
    let said = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert!(applied.status.success(), "{}{said}", String::from_utf8_lossy(&applied.stdout));
    let key = std::fs::read_to_string(site.path().join("there/key.pem")).expect("the key");
    assert!(!site.secrets().is_empty() && site.secrets().iter().all(|line| key.contains(line)));
    let opened = site.openssl("pkcs12 -in there/new.p12 -passin pass:wrong -noout");
    assert!(!opened.status.success(), "the control: any password opens it");
    let opened = Command::new("openssl")
        .args(["pkcs12", "-in", "there/new.p12", "-passin", "pass:another word", "-noenc"])
        .current_dir(site.path())
        .output()
        .expect("openssl runs");
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let inside = String::from_utf8_lossy(&opened.stdout).into_owned();
    assert!(site.secrets().iter().all(|line| inside.contains(line)), "another key is inside");
    assert_eq!(inside.matches("BEGIN CERTIFICATE").count(), 2);
    let of_der = site.openssl("pkey -inform DER -in there/key.der");
    assert_eq!(of_der.stdout, site.openssl("pkey -in there/key.pem").stdout);
    assert!(site.openssl("x509 -inform DER -in there/cert.der -noout").status.success());
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let there = std::fs::metadata(site.path().join("there").join(name)).expect(name);
        there.permissions().mode() & 0o777
    };
    assert_eq!(["new.p12", "key.der", "cert.der"].map(mode), [0o600, 0o600, 0o644]);
    let again = site.run("apply", &[]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && text.contains("unchanged"), "{text}");
}

#[test]
fn what_is_wrong_with_a_keystore_is_told_before_anything_is_touched() {
    if !have(&["ansible-vault", "openssl"]) {
        return;
    }
    let store = "pkcs12: '{{ there }}/new.p12'";
    let site = Site::with_keystore("none yet", PEM);
    for (source, dest, words) in [
        ("{pkcs12: store.p12, key_passphrase: wrong}", PEM.to_owned(), "the password is wrong"),
        ("{pkcs12: store.p12}", PEM.to_owned(), "has a password, and none was given"),
        ("{pkcs12: both.pem}", PEM.to_owned(), "cannot be decoded as a PKCS#12 keystore"),
        (
            "{pkcs12: store.p12, cert: both.pem}",
            PEM.to_owned(),
            "'pkcs12' takes the place of 'cert'",
        ),
        ("{cert: store.p12, key: store.p12}", PEM.to_owned(), "source.pkcs12"),
        ("{cert: both.pem, key: both.pem}", store.to_owned(), "dest.password (from a vault)"),
        (
            "{cert: both.pem, key: both.pem}",
            format!("{store}, password: ''"),
            "the password of a keystore is empty",
        ),
        (
            "{cert: both.pem, key: both.pem}",
            format!("{store}, password: sésame"),
            "printable ASCII",
        ),
    ] {
        site.book(source, &dest);
        let refused = site.run("apply", &[]);
        site.shows_nothing(&refused);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{source} {dest}: {text}");
        assert!(text.contains(words), "{source} {dest}: {text}");
        let left = std::fs::read_dir(site.path().join("there")).expect("the directory").count();
        assert_eq!(left, 0, "{source} {dest}");
    }
}

/// What a kept keystore or DER file holds is told by the host's openssl, so that it is known what has to be served again.
#[test]
fn a_keystore_and_a_binary_certificate_go_back_to_what_they_were() {
    use std::os::unix::fs::PermissionsExt;
    if !have(&["ansible-vault", "openssl"]) {
        return;
    }
    let dest = "pkcs12: '{{ there }}/new.p12', password: \"{{ word | default('one $HOME -n word') }}\", \
                cert_der: '{{ there }}/cert.der'";
    let site = Site::with_keystore("{cert: both.pem, key: both.pem}", dest);
    let read = |name: &str| std::fs::read(site.path().join("there").join(name)).expect(name);
    let succeeds = |verb: &str, more: &[&str]| {
        let ran = site.run(verb, more);
        let told = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(ran.status.success(), "{told}");
        told
    };
    succeeds("apply", &[]);
    let old = [read("new.p12"), read("cert.der")];
    let leaf = site.openssl("x509 -inform DER -in there/cert.der -noout -fingerprint -sha256");
    let leaf =
        String::from_utf8_lossy(&leaf.stdout).trim().rsplit('=').next().expect("one").to_owned();
    let pair = Authority::new("Content").leaf(&["www.example.net"]);
    site.write("both.pem", &(pair.key_pem + &pair.pem + &pair.intermediate_pem));
    succeeds("apply", &[]);
    let new = [read("new.p12"), read("cert.der")];
    assert!(old[0] != new[0] && old[1] != new[1]);

    // Another password opens nothing, and then nothing is touched.
    let refused = site.run("rollback", &["-e", "word=another"]);
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("new.p12: what is kept of it holds no certificate"), "{told}");
    assert_eq!([read("new.p12"), read("cert.der")], new);

    // An openssl that writes down what it was started with.
    let tools = site.path().join("tools");
    std::fs::create_dir(&tools).expect("a directory");
    let real = Command::new("sh").args(["-c", "command -v openssl"]).output().expect("sh runs");
    let real = String::from_utf8_lossy(&real.stdout).trim().to_owned();
    let started = site.path().join("started");
    site.write(
        "tools/openssl",
        &format!(
            "#!/bin/sh\n{{ echo \"$@\"; env; }} >>{}\nexec {real} \"$@\"\n",
            started.display()
        ),
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(tools.join("openssl"), mode).expect("a program");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("a path"));
    let back = site.command("rollback", &["-vvv", "-o", "json"]).env("PATH", path).output();
    let back = back.expect("certroll runs");
    site.shows_nothing(&back);
    let told = String::from_utf8_lossy(&back.stdout).into_owned();
    assert!(back.status.success(), "{told}");
    assert_eq!([read("new.p12"), read("cert.der")], old);
    let started = std::fs::read_to_string(started).expect("it was started");
    assert!(started.contains("pkcs12 -in "), "the control: {started}");
    assert!(!started.contains("one $HOME"), "{started}");
    assert!(!told.contains("one $HOME"), "the password is shown: {told}");

    // By the certificate that is wanted, whichever file of the task it is in.
    succeeds("apply", &[]);
    succeeds("rollback", &["--to", &leaf]);
    assert_eq!([read("new.p12"), read("cert.der")], old);
}

#[test]
fn certificates_lie_where_openssl_looks_for_them_by_their_hash() {
    if !have(&["ansible-vault", "openssl"]) {
        return;
    }
    let dest =
        "cert: '{{ there }}/cert.pem', key: '{{ there }}/key.pem', hashed: '{{ there }}/hashed'";
    let site = Site::with_keystore("{cert: both.pem, key: both.pem}", dest);
    assert!(site.run("apply", &[]).status.success());
    let hash = site.openssl("x509 -in there/cert.pem -noout -subject_hash");
    let name = format!("there/hashed/{}.0", String::from_utf8_lossy(&hash.stdout).trim());
    let alone = site.openssl(&format!("x509 -in {name}"));
    assert_eq!(alone.stdout, site.openssl("x509 -in there/cert.pem").stdout);
    // The intermediate is found there by its name, and nowhere else.
    let verify = "verify -partial_chain -no-CAfile -no-CAstore";
    let found = site.openssl(&format!("{verify} -CApath there/hashed there/key.pem"));
    assert!(!found.status.success(), "the control: a key is no certificate");
    let found = site.openssl(&format!("{verify} -CApath there/hashed {name}"));
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let issuer = site.openssl(&format!("x509 -in {name} -noout -issuer_hash"));
    let issuer = format!("there/hashed/{}.0", String::from_utf8_lossy(&issuer.stdout).trim());
    assert!(site.path().join(&issuer).exists(), "{issuer}");
    let again = site.run("apply", &[]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("unchanged"));
}
