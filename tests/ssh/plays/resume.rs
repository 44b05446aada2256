//! A run that goes on where another ended.

use super::site::{CERTIFICATE, Ran, Site};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const HEAD: &str = "- name: play\n  hosts: web\n  serial: 2\n  tasks:\n";
/// Around the certificate: out of the load balancer and, as soon as nothing holds the host, back in.
const DRAIN: &str =
    "    - {name: drain, shell: \"echo out >>{{ host_dir }}/log.txt\", changed_when: false}\n";
const UNDRAIN: &str = "    - name: undrain\n      shell: \"while [ -e {{ host_dir }}/hold ]; do sleep 0.1; done; echo in \
                       >>{{ host_dir }}/log.txt\"\n      changed_when: false\n";

fn playbook() -> String {
    format!("{HEAD}{DRAIN}{CERTIFICATE}{UNDRAIN}")
}

fn record(site: &Site) -> Option<PathBuf> {
    let entries = fs::read_dir(site.state().join("certroll/runs")).ok()?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.pop()
}

/// How often a host's service was told to load its files.
fn reloads(site: &Site, host: &str) -> usize {
    let log = site.lab.host(host).expect("a host").directory.join("log/service.log");
    fs::read_to_string(log).unwrap_or_default().matches("reload: ").count()
}

/// Kills the run with SIGKILL when its record holds `words` so often and `edge4`, which nothing holds, is back in.
async fn killed_after(site: &Site, words: &str, times: usize) -> String {
    let mut child = site.start("apply", &playbook(), &[]);
    let limit = Instant::now() + Duration::from_secs(60);
    let told = |site: &Site| {
        let text = record(site)
            .map(|path| fs::read_to_string(path).expect("readable"))
            .unwrap_or_default();
        text.matches(words).count()
    };
    while told(site) < times || site.log("edge4") != "out\nin\n" {
        assert!(Instant::now() < limit, "{words} did not come in a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let going_on = site.certroll(&["apply", "--resume", "last"]).await;
    assert!(going_on.code == 1 && going_on.stderr.contains("is still running"), "{going_on}");
    child.kill().await.expect("it is there");
    let text = fs::read_to_string(record(site).expect("a record")).expect("readable");
    let start: serde_json::Value =
        serde_json::from_str(text.lines().next().expect("a line")).expect("an event");
    start["run"].as_str().expect("a name").to_owned()
}

async fn resumed(site: &Site, run: &str) -> Ran {
    site.certroll(&["apply", "--resume", run, "-o", "json"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_where_it_was() {
    let site = Site::good(6).await;
    fs::write(site.file("edge3", "hold"), "").unwrap();
    // Both hosts of the second batch have their certificate; one of them is not back in the load balancer.
    let run = killed_after(&site, "\"event\":\"certificate_end\"", 4).await;
    fs::remove_file(site.file("edge3", "hold")).unwrap();
    let shown = site.certroll(&["history", "show", "last"]).await;
    assert_eq!(shown.code, 0, "{shown}");
    let next = format!("`certroll apply --resume {}`", &run[..8]);
    assert!(shown.stdout.contains("KILLED") && shown.stdout.contains(&next), "{shown}");

    let ran = resumed(&site, &run[..8]).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(
        ran.outcomes(),
        "edge1=unchanged edge2=unchanged edge3=unchanged edge4=unchanged edge5=changed edge6=changed"
    );
    let events = ran.events();
    assert_eq!(events[0]["follows"], run.as_str());
    let batches = events.iter().filter(|event| event["event"] == "batch_start");
    let batches: Vec<String> = batches.map(|event| event["hosts"].to_string()).collect();
    assert_eq!(batches, [r#"["edge1","edge2"]"#, r#"["edge3","edge4"]"#, r#"["edge5","edge6"]"#]);
    for host in ["edge1", "edge2"] {
        assert_eq!(site.log(host), "out\nin\n", "it was done, and was only looked at");
    }
    assert_eq!(site.log("edge5"), "out\nin\n");
    assert_eq!(
        site.log("edge4"),
        "out\nin\nout\nin\n",
        "what is around the certificate runs again"
    );
    for host in ["edge1", "edge2", "edge3", "edge4", "edge5", "edge6"] {
        assert!(site.serves_new(host), "{host}");
        assert_eq!(reloads(&site, host), 1, "{host}");
    }
    // Again: now the last run is the resumed one, and there is nothing to do.
    let again = resumed(&site, "last").await;
    assert_eq!((again.code, again.count("edge5", "changed")), (0, 0), "{again}");
    assert_eq!(site.log("edge5"), "out\nin\n", "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_resumed_only_as_it_was() {
    let site = Site::good(4).await;
    fs::write(site.file("edge3", "hold"), "").unwrap();
    let run = killed_after(&site, "\"event\":\"certificate_end\"", 4).await;
    fs::remove_file(site.file("edge3", "hold")).unwrap();
    let directory = site.lab.directory().to_owned();
    let refused = async |words: &str, more: &[&str]| {
        let ran = site.certroll(&[&["apply", "--resume", &run], more].concat()).await;
        assert!(ran.code == 1 && ran.stderr.contains(words), "{words}: {ran}");
        assert_eq!(site.log("edge4"), "out\nin\n", "no host is touched: {ran}");
        ran
    };
    refused("--inventory: apply --resume already sets this", &["-i", "inventory.ini"]).await;
    let other = directory.join("other.yml");
    fs::write(&other, playbook()).unwrap();
    refused("was about other playbooks: play.yml", &["other.yml"]).await;

    let changed = async |file: &str, change: &dyn Fn(&str) -> String, words: &str| {
        let path = directory.join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(&text)).unwrap();
        let ran = refused(words, &[]).await;
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("--limit @failed:{run}")), "{ran}");
        fs::write(&path, text).unwrap();
    };
    let modified = |text: &str| text.replace("name: undrain", "name: back");
    changed("play.yml", &modified, "play.yml was modified since run").await;
    let joined = |text: &str| text.replace("[web]", "[web]\nedge9 ansible_host=127.0.0.1");
    let inventory = fs::read_to_string(directory.join("inventory.ini")).unwrap();
    assert!(inventory.contains("[web]"), "{inventory}");
    changed("inventory.ini", &joined, "the inventory was modified: 1 host joined since run").await;
    let moved = |text: &str| text.replace("tls_port=", "tls_port=9 was=");
    changed("inventory.ini", &moved, "a value of a certificate task was modified since").await;
    let files =
        ["privkey.pem", "fullchain.pem"].map(|name| directory.join("certs/edge1").join(name));
    let old = files.clone().map(|path| fs::read(path).unwrap());
    let openssl = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"])
        .args(["-subj", "/CN=edge1", "-addext", "subjectAltName=DNS:edge1.demo.test"])
        .arg("-keyout")
        .arg(&files[0])
        .arg("-out")
        .arg(&files[1])
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{openssl:?}");
    refused("edge1: run ", &[]).await;
    let ran = refused("was about certificate ", &[]).await;
    assert!(!ran.stderr.contains("edge2"), "{ran}");
    files.iter().zip(old).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());

    let rest = resumed(&site, &run).await;
    assert_eq!(rest.code, 0, "{rest}");
    assert!(["edge1", "edge2", "edge3", "edge4"].iter().all(|host| site.serves_new(host)));
}
