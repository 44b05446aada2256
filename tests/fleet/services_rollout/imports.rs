//! Services with a store of their own, which take the pair out of a spool: nginx with directories that stand in for one, in
//! every run; Tomcat's Java keystore and 389 Directory Server's NSS database when asked for.

use crate::common::fleet::{Fleet, Ran};
use crate::services_rollout::service::NGINX;
use crate::services_rollout::site::{Host, NAME, Task, host, step};
use std::fs;
use std::time::{Duration, Instant};

/// Its import waits while /root/hold is there, and refuses the certificate that is in /root/refused half-way.
const STORE: &str = r"description: nginx, whose own directory is the store
layout: {cert: fullchain, chain: in_cert, key: separate}
dest:
  cert: /var/lib/certroll-spool/store/cert.pem
  key: /var/lib/certroll-spool/store/key.pem
import:
  store: nginx's own directory
  command:
    shell: |
      # the store's import
      t=/etc/nginx/tls
      if cmp -s {cert} /root/held; then
        touch /root/importing
        while [ -e /root/held ]; do sleep 0.1; done
      fi
      cp {key} $t/new.key && mv $t/new.key $t/privkey.pem || exit
      if cmp -s {cert} /root/refused; then echo 'this store dislikes it'; exit 9; fi
      cp {cert} $t/new.pem && mv $t/new.pem $t/fullchain.pem
export:
  shell: |
    # the store's export
    [ ! -e /root/closed ] || { echo 'no key leaves this store'; exit 7; }
    cp /etc/nginx/tls/fullchain.pem {cert} && cp /etc/nginx/tls/privkey.pem {key}
reload:
  command: [nginx, -s, reload]
verify: {port: 443}
";

const SPOOL: &str = "/var/lib/certroll-spool/store";

pub fn store(host: &Host, generation: &str) -> Task {
    let services = host.file("services");
    fs::create_dir_all(&services).unwrap();
    fs::write(services.join("store.yml"), STORE).unwrap();
    Task::at(&NGINX, generation, "").services("store")
}

/// A host with an empty spool, and nginx that serves gen1 out of its own directory.
pub fn fresh() -> Option<Host> {
    let host = host(&[&NGINX])?;
    host.sh("rm -rf /var/lib/certroll-spool /root/held /root/refused /root/importing /root/closed");
    Some(host)
}

/// The certificate of a generation, where the store's commands look for one that they treat apart.
pub fn named(host: &Host, place: &str, generation: &str) {
    let file = fs::read(host.fleet().pki(generation, "fullchain.pem")).unwrap();
    fs::write(host.fleet().root(host.name).join(&place[1..]), file).unwrap();
}

/// That the spool holds a generation's certificate, for its owner alone.
#[track_caller]
fn spool_holds(host: &Host, generation: &str) {
    let there = host.sh(&format!("cat {SPOOL}/cert.pem; stat -c '%a %U' {SPOOL} {SPOOL}/*.pem"));
    let wanted = fs::read_to_string(host.fleet().pki(generation, "fullchain.pem")).unwrap();
    assert_eq!(there, format!("{wanted}700 root\n600 root\n600 root\n"));
}

#[test]
fn a_first_import_is_seeded_served_and_taken_back() {
    let Some(host) = fresh() else { return };
    let task = store(&host, "gen2");
    let plan = host.run("plan", std::slice::from_ref(&task), &["--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert!(plan.stdout.contains("is exported into the spool first"), "{plan}");
    assert!(plan.stdout.contains("the key lies in this file"), "{plan}");
    host.sh("test ! -e /var/lib/certroll-spool");

    host.apply(&task, "changed");
    host.expect(&NGINX, "gen2");
    spool_holds(&host, "gen2");
    // What the store had is the earlier generation.
    let kept = host.sh(&format!("cat {SPOOL}/.certroll/*/cert.pem"));
    assert_eq!(kept, fs::read_to_string(host.fleet().pki("gen1", "fullchain.pem")).unwrap());
    host.apply(&task, "unchanged");

    let ran =
        host.apply(&store(&host, "gen3-rsa").with("checks: [{command: ['false']}]"), "rolled_back");
    assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
    host.expect(&NGINX, "gen2");
    spool_holds(&host, "gen2");

    let back = host.run("rollback", &[task], &[]);
    assert_eq!(back.outcome(host.name), "changed", "{back}");
    host.expect(&NGINX, "gen1");
    spool_holds(&host, "gen1");
}

#[test]
fn an_import_that_fails_half_way_is_taken_back_on_the_first_run_too() {
    let Some(host) = fresh() else { return };
    named(&host, "/root/refused", "gen2");
    let ran = host.apply(&store(&host, "gen2"), "rolled_back");
    assert_eq!(step(&ran, &host), "reload", "{ran}");
    assert!(ran.stdout.contains("this store dislikes it"), "{ran}");
    assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
    host.expect(&NGINX, "gen1");
    spool_holds(&host, "gen1");
    // The store is whole: nginx takes it at a start.
    host.sh("nginx -t && nginx -s reload");
    host.expect(&NGINX, "gen1");
}

#[test]
fn a_store_that_gives_nothing_away_is_left_alone_unless_told() {
    let Some(host) = fresh() else { return };
    host.sh("touch /root/closed");
    let ran = host.apply(&store(&host, "gen2"), "failed");
    assert_eq!(step(&ran, &host), "stage", "{ran}");
    assert!(ran.stdout.contains("no key leaves this store"), "{ran}");
    host.sh("test ! -e /var/lib/certroll-spool");
    host.expect(&NGINX, "gen1");
    let told = store(&host, "gen2").with("allow_no_way_back: true");
    let plan = host.run("plan", std::slice::from_ref(&told), &[]);
    assert!(plan.stdout.contains("CANNOT be undone there"), "{plan}");
    host.apply(&told, "changed");
    host.expect(&NGINX, "gen2");
}

#[test]
fn the_host_imports_the_old_pair_by_itself_when_the_controller_dies_in_the_import() {
    let Some(host) = fresh() else { return };
    host.apply(&store(&host, "gen2"), "changed");
    named(&host, "/root/held", "gen3-rsa");
    let play = host.play(&[store(&host, "gen3-rsa")]);
    let mut running = host.start("apply", &play, &[]).spawn().unwrap();
    let within_a_minute = |what: &str, done: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let root = host.fleet().root(host.name);
    within_a_minute("the import begins", &|| root.join("root/importing").exists());
    running.kill().unwrap();
    running.wait().unwrap();
    host.sh("rm /root/held");
    let journals = || {
        let state = fs::read_dir(root.join("var/lib/certroll")).unwrap();
        state.flatten().any(|entry| entry.file_name().to_string_lossy().contains('.'))
    };
    within_a_minute("the host settles it", &|| !journals());
    host.expect(&NGINX, "gen2");
    spool_holds(&host, "gen2");
    host.apply(&store(&host, "gen2"), "unchanged");
}

/// A host of its own with one real store, and where certroll runs.
struct Site {
    fleet: Fleet,
    service: &'static str,
    profile: &'static str,
    port: u16,
    spool: &'static str,
    directory: tempfile::TempDir,
}

impl Site {
    fn up(
        service: &'static str,
        profile: &'static str,
        port: u16,
        spool: &'static str,
        options: &[&str],
    ) -> Option<Self> {
        let fleet = Fleet::up_with(1, &[service], options)?;
        let directory = tempfile::tempdir().unwrap();
        Some(Self { fleet, service, profile, port, spool, directory })
    }

    fn run(&self, verb: &str, generation: &str, more: &str) -> Ran {
        let pki = self.fleet.dir().join("pki").join(generation);
        let play = format!(
            "- hosts: web\n  become: true\n  tasks:\n  - certificate:\n      service: {}\n      source: {{cert: '{pki}/fullchain.pem', \
             key: '{pki}/privkey.pem'}}\n      reload_timeout: 120s\n      verify: {{endpoint: '{{{{ ansible_host }}}}:{}', \
             server_name: {NAME}, attempts: 60, backoff: 100ms, max_backoff: 1s}}\n{more}",
            self.profile,
            self.port,
            pki = pki.display()
        );
        fs::write(self.directory.path().join("play.yml"), play).unwrap();
        let inventory = self.fleet.dir().join("inventory.ini").display().to_string();
        self.fleet.run(self.directory.path(), &[verb, "play.yml", "-i", &inventory, "-o", "json"])
    }

    fn expect(&self, generation: &str) {
        self.fleet.expect("h001", self.service, generation);
    }

    /// New, quiet, taken back after a check, and back to what the store had at first.
    fn story(&self) {
        let spool = self.spool;
        self.expect("gen1");
        let plan = self.run("plan", "gen2", "");
        assert!(plan.stdout.contains("is exported into the spool first"), "{plan}");
        let ran = self.run("apply", "gen2", "");
        assert_eq!(ran.outcome("h001"), "changed", "{ran}");
        self.expect("gen2");
        assert_eq!(
            self.fleet.sh("h001", &format!("stat -c %a {spool} {spool}/key.pem")),
            "700\n600\n"
        );
        let quiet = self.run("apply", "gen2", "");
        assert_eq!(quiet.outcome("h001"), "unchanged", "{quiet}");
        let ran = self.run("apply", "gen4-p384", "      checks: [{command: ['false']}]\n");
        assert_eq!(ran.outcome("h001"), "rolled_back", "{ran}");
        self.expect("gen2");
        let back = self.run("rollback", "gen2", "");
        assert_eq!(back.outcome("h001"), "changed", "{back}");
        self.expect("gen1");
    }
}

#[test]
#[ignore = "tests/run.sh --services all"]
fn tomcats_java_keystore_takes_it_up_and_keeps_its_other_entry() {
    let spool = "/var/lib/certroll-spool/tomcat";
    let options = ["--install", "--init", "systemd"];
    let Some(site) = Site::up("tomcat", "tomcat-keystore", 8443, spool, &options) else { return };
    site.expect("gen1");
    site.fleet.sh(
        "h001",
        "cd /etc/tomcat10/tls
         entry=$(keytool -list -keystore keystore.p12 -storepass changeit 2>/dev/null | sed -n 's/, .*PrivateKeyEntry.*//p')
         keytool -importkeystore -noprompt -srckeystore keystore.p12 -srcstorepass changeit -srcalias \"$entry\" \
           -destalias tomcat -destkeystore keystore.jks -deststoretype JKS -deststorepass changeit -destkeypass changeit
         keytool -genkeypair -alias other -keyalg EC -dname CN=other -keystore keystore.jks -storepass changeit -keypass changeit
         chown root:tomcat keystore.jks; chmod 640 keystore.jks
         (umask 077; echo changeit >keystore.password)
         sed -i 's#keystore.p12\"#keystore.jks\" certificateKeyAlias=\"tomcat\"#; s#\"PKCS12\"#\"JKS\"#' /etc/tomcat10/server.xml
         systemctl restart tomcat10",
    );
    site.story();
    let entries = site.fleet.sh(
        "h001",
        "cd /etc/tomcat10/tls; keytool -list -keystore keystore.jks -storepass changeit 2>/dev/null | grep -c PrivateKeyEntry
         stat -c '%a %U:%G' keystore.jks; ls",
    );
    assert_eq!(entries, "2\n640 root:tomcat\nkeystore.jks\nkeystore.p12\nkeystore.password\n");

    // Without its password nothing is taken up, and the old one stays.
    site.fleet.sh("h001", "mv /etc/tomcat10/tls/keystore.password /root/");
    let ran = site.run("apply", "gen2", "");
    assert_eq!(ran.outcome("h001"), "rolled_back", "{ran}");
    site.expect("gen1");
}

#[test]
#[ignore = "tests/run.sh --services all"]
fn the_nss_database_of_389_directory_server_takes_it_up() {
    let Some(site) = Site::up("389-ds", "389-ds", 636, "/etc/dirsrv/tls", &["--install"]) else {
        return;
    };
    site.expect("gen1");
    // The pair that it serves is in its database alone.
    site.fleet.sh("h001", "rm -r /etc/dirsrv/tls");
    site.story();
}
