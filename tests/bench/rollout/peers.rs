//! The contenders: certroll, and what an operator without it would write.

use crate::common::fleet::Fleet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// The arguments for a generation.
pub(crate) type Argv = Box<dyn Fn(&str) -> Vec<String>>;

/// A way to give every host a generation.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) argv: Argv,
    /// Takes seconds and not minutes where hosts are far away.
    pub(crate) goes_far: bool,
}

impl Peer {
    fn new(name: &str, argv: Argv) -> Self {
        Self { name: name.to_owned(), argv, goes_far: true }
    }
}

/// One connection and one command per host: both files at once, the check of the whole configuration,
/// the renames, the reload; then the handshake from the controller. No lock, no rollback, no
/// protection against its own end half-way.
const ONE_HOST: &str = r#"set -e
host=$1 pki=$2
tar -C "$pki" -c fullchain.pem privkey.pem | ssh -F "$SSH_CONFIG" "$host" 'sudo -n sh -c "
set -e
umask 077
cd /etc/nginx/tls
mkdir .new
tar -x -C .new
chown root:root .new/*
chmod 644 .new/fullchain.pem
chmod 600 .new/privkey.pem
mv -f .new/fullchain.pem .new/privkey.pem .
rmdir .new
nginx -t -q
nginx -s reload
"'
wanted=$(cat "$pki/leaf.sha256")
for try in 1 2 3 4 5 6 7 8 9 10; do
  seen=$(openssl s_client -connect "$host:443" -servername www.fleet.test </dev/null 2>/dev/null |
    openssl x509 -outform DER | sha256sum)
  [ "${seen%% *}" != "$wanted" ] || exit 0
  sleep 0.05
done
echo "$host serves ${seen%% *}" >&2
exit 1
"#;

const ANSIBLE: &str = r"- hosts: web
  gather_facts: false
  become: true
  tasks:
    - name: Files
      ansible.builtin.copy:
        src: '{{ pki }}/{{ item.file }}'
        dest: '/etc/nginx/tls/{{ item.file }}'
        owner: root
        group: root
        mode: '{{ item.mode }}'
      loop:
        - {file: fullchain.pem, mode: '0644'}
        - {file: privkey.pem, mode: '0600'}
    - name: Check
      ansible.builtin.command: nginx -t -q
    - name: Reload
      ansible.builtin.command: nginx -s reload
";

/// Writes what they need into `directory`; those whose programs are missing are left out.
pub(crate) fn peers(fleet: &Fleet, directory: &Path) -> io::Result<Vec<Peer>> {
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let inventory = text(fleet.dir().join("inventory.ini"));
    let pki = text(fleet.dir().join("pki"));
    let config = text(fleet.dir().join("ssh/config"));
    let file = |name: &str| text(directory.join(name));

    fs::write(file("play.yml"), playbook(&pki))?;
    fs::write(file("one-host.sh"), ONE_HOST)?;
    let list = fleet.fleet(&["hosts"]);
    let names: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    fs::write(file("hosts"), names.join("\n") + "\n")?;
    fs::write(file("addresses"), &list)?;

    let ours = env!("CARGO_BIN_EXE_certroll");
    let play = file("play.yml");
    let mut peers = vec![Peer::new("certroll apply", apply(ours, &play, &inventory))];
    if let Ok(beside) = env::var("CERTROLL_BENCH_BESIDE") {
        let (name, program) = beside.split_once('=').ok_or_else(|| {
            io::Error::other("CERTROLL_BENCH_BESIDE is a name, `=` and the program's path")
        })?;
        peers.push(Peer::new(name, apply(program, &play, &inventory)));
    }
    for (name, at_once) in [("ssh loop, 50 at once", "50"), ("ssh loop, one by one", "1")] {
        let (hosts, script, pki, config) =
            (file("hosts"), file("one-host.sh"), pki.clone(), config.clone());
        let argv = move |generation: &str| {
            let script = format!(
                "export SSH_CONFIG='{config}'; \
                 xargs -a '{hosts}' -P {at_once} -I {{}} sh '{script}' {{}} '{pki}/{generation}'"
            );
            vec!["sh".to_owned(), "-c".to_owned(), script]
        };
        let goes_far = at_once != "1";
        peers.push(Peer { goes_far, ..Peer::new(name, Box::new(argv)) });
    }
    if let Some(python) = python()? {
        for (name, script) in
            [("asyncssh", "with_asyncssh.py"), ("parallel-ssh", "with_parallel_ssh.py")]
        {
            let (python, script) = (format!("{python}/python"), format!("{PEERS}/{script}"));
            let (hosts, pki, config) = (file("addresses"), pki.clone(), config.clone());
            let argv = move |generation: &str| {
                vec![
                    python.clone(),
                    script.clone(),
                    hosts.clone(),
                    format!("{pki}/{generation}"),
                    config.clone(),
                ]
            };
            peers.push(Peer::new(name, Box::new(argv)));
        }
        let addresses = list.lines().filter_map(|line| line.split(' ').nth(1));
        let addresses: Vec<String> = addresses.map(|address| format!("{address:?}")).collect();
        // A list of many on the command line is taken for a file, whose name is then too long.
        fs::write(file("pyinfra.py"), format!("hosts = [{}]\n", addresses.join(", ")))?;
        let (pki, hosts) = (pki.clone(), file("pyinfra.py"));
        let argv = move |generation: &str| {
            let data = |text: String| ["--data".to_owned(), text];
            let mut argv = vec![format!("{python}/pyinfra"), "-y".to_owned()];
            argv.extend(data(format!("ssh_config_file={config}")));
            argv.extend(data(format!("pki={pki}/{generation}")));
            argv.extend(["--parallel".to_owned(), "50".to_owned(), hosts.clone()]);
            argv.push(format!("{PEERS}/with_pyinfra.py"));
            argv
        };
        peers.push(Peer::new("pyinfra", Box::new(argv)));
    }
    if let Some(ansible) = ansible() {
        fs::write(file("ansible.yml"), ANSIBLE)?;
        let settings = "[defaults]\nforks = 50\nhost_key_checking = true\n\
                        interpreter_python = /usr/bin/python3\n[ssh_connection]\npipelining = true\n";
        fs::write(file("ansible.cfg"), settings)?;
        let book = file("ansible.yml");
        let argv = move |generation: &str| {
            let pki = format!("pki={pki}/{generation}");
            [&ansible, "-i", &inventory, "-e", &pki, &book].map(str::to_owned).to_vec()
        };
        peers.push(Peer { goes_far: false, ..Peer::new("Ansible, pipelining", Box::new(argv)) });
    }
    Ok(peers)
}

fn apply(program: &str, playbook: &str, inventory: &str) -> Argv {
    let [program, playbook, inventory] = [program, playbook, inventory].map(str::to_owned);
    Box::new(move |generation| {
        let generation = format!("generation={generation}");
        [program.as_str(), "apply", &playbook, "-i", &inventory, "-e", &generation, "-f", "50"]
            .map(str::to_owned)
            .to_vec()
    })
}

fn playbook(pki: &str) -> String {
    format!(
        r#"- name: One certificate for nginx
  hosts: web
  become: true
  tasks:
    - name: nginx serves the new certificate
      certificate:
        service: nginx
        source:
          cert: "{pki}/{{{{ generation }}}}/fullchain.pem"
          key: "{pki}/{{{{ generation }}}}/privkey.pem"
        dest:
          cert: /etc/nginx/tls/fullchain.pem
          key: /etc/nginx/tls/privkey.pem
        verify:
          endpoint: "{{{{ ansible_host }}}}:443"
          server_name: www.fleet.test
"#
    )
}

/// Where the peers in Python are.
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/rollout/peers");

/// What they are written against.
const PACKAGES: [&str; 3] = ["asyncssh==2.24.1", "parallel-ssh==2.16.0.post1", "pyinfra==3.10.0"];

/// The programs of a virtual environment with the packages of the peers in Python, made when it is not there yet; `None`,
/// and said so, where they cannot be installed.
fn python() -> io::Result<Option<String>> {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-peers");
    let bin = format!("{place}/bin");
    if !Path::new(&bin).join("pyinfra").exists() {
        let made = Command::new("python3").args(["-m", "venv", place]).status();
        let pip =
            || Command::new(format!("{bin}/pip")).args(["install", "-q"]).args(PACKAGES).status();
        let done = made.and_then(|made| Ok(made.success() && pip()?.success()));
        if !done.unwrap_or(false) {
            let mut out = io::stdout();
            writeln!(out, "LEFT OUT: {} cannot be installed here", PACKAGES.join(", "))?;
            return Ok(None);
        }
    }
    Ok(Some(bin))
}

/// From `PATH`, or where `tests/run.sh` puts it.
fn ansible() -> Option<String> {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/bin");
    let path = env::var("PATH").unwrap_or_default();
    let mut places = path.split(':').chain([installed]);
    let found = places.find(|place| Path::new(place).join("ansible-playbook").exists())?;
    Some(format!("{found}/ansible-playbook"))
}
