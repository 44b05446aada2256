//! A private key is looked for everywhere that it must not be. Each search also has to find a
//! planted control: a search that finds nothing because it looks at nothing fails.

use crate::rollout::site::{Site, Task, site};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The forms in which a key could be seen.
struct Marks(Vec<Vec<u8>>);

impl Marks {
    /// Of a PEM file: each line of the base64 text, and the middle of the bytes, plain and hexadecimal.
    fn of(key: &Path) -> Self {
        let text = fs::read_to_string(key).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let output = std::process::Command::new("openssl")
            .args(["pkey", "-outform", "DER", "-in"])
            .arg(key)
            .output()
            .unwrap();
        // The first bytes of every such key are alike, the last belong to the public key.
        let scalar = &output.stdout[36..36 + 24];
        let hex: String = scalar.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut marks: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        // The first line begins with what all keys have, the last is short and could be public.
        marks.truncate(2);
        marks.extend([scalar.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()]);
        Self(marks)
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|mark| bytes.windows(mark.len()).any(|window| window == mark))
    }

    /// The files below `root` that show the key, with their modes.
    fn in_files(&self, root: &Path) -> BTreeSet<(PathBuf, u32)> {
        let mut found = BTreeSet::new();
        let mut left = vec![root.to_owned()];
        while let Some(directory) = left.pop() {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                let Ok(metadata) = path.symlink_metadata() else { continue };
                if metadata.is_dir() {
                    left.push(path);
                } else if metadata.is_file() && self.are_in(&fs::read(&path).unwrap_or_default()) {
                    found.insert((
                        path.strip_prefix(root).unwrap().to_owned(),
                        metadata.mode() & 0o7777,
                    ));
                }
            }
        }
        found
    }

    /// The processes, of the controller and of all hosts, whose argv or environment shows the key now.
    fn in_processes(&self) -> Vec<String> {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        processes
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok())
            })
            .filter(|path| {
                ["cmdline", "environ"]
                    .iter()
                    .any(|file| self.are_in(&fs::read(path.join(file)).unwrap_or_default()))
            })
            .map(|path| fs::read_to_string(path.join("comm")).unwrap_or_default())
            .collect()
    }
}

/// Runs certroll as talkatively as it can be, looking at all processes until it has ended.
fn watched(
    site: &Site,
    marks: &Marks,
    arguments: &[&str],
) -> (Option<i32>, Vec<u8>, Vec<String>, u32) {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut found, mut looks) = (Vec::new(), 0);
            while !ended.load(Ordering::Relaxed) {
                found.extend(marks.in_processes());
                looks += 1;
            }
            (found, looks)
        });
        let output = site
            .fleet
            .certroll(arguments)
            .env("RUST_BACKTRACE", "full")
            .env("RUST_LOG", "trace")
            .current_dir(site.file("play.yml").parent().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        ended.store(true, Ordering::Relaxed);
        let (found, looks) = watcher.join().unwrap();
        (output.status.code(), [output.stdout, output.stderr].concat(), found, looks)
    })
}

fn key_path(site: &Site, generation: &str) -> PathBuf {
    site.fleet.pki(generation, "privkey.pem")
}

#[test]
fn a_private_key_is_nowhere_but_at_its_destination() {
    let Some(site) = site() else { return };
    let marks = Marks::of(&key_path(&site, "gen2"));
    let inventory = site.inventory();
    let good = site.play(&[Task::nginx("gen2")]);
    let rolled_back = site.play(&[Task::nginx("gen2").with("reload: /bin/false")]);
    // A service's check that repeats all that it read must not carry it out either.
    let chatty = site
        .play(&[Task::nginx("gen2")
            .with("validate: [cat, /etc/nginx/tls/privkey.pem, /etc/nginx/missing]")]);

    for (playbook, more, code) in [
        (&rolled_back, ["apply", "-vvv"], 2),
        (&chatty, ["plan", "--diff"], 2),
        (&chatty, ["apply", "--diff"], 2),
        (&good, ["plan", "-vvv"], 0),
        (&good, ["apply", "--diff"], 0),
        (&good, ["apply", "-ojson"], 0),
    ] {
        fs::write(site.file("play.yml"), playbook).unwrap();
        let arguments = [&more[..], &["-vvv", "play.yml", "-i", &inventory]].concat();
        let (ended, told, found, looks) = watched(&site, &marks, &arguments);
        assert!(!marks.are_in(&told), "{arguments:?} printed it");
        assert_eq!(ended, Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&told));
        assert!(found.is_empty(), "in argv or environment of {found:?}");
        assert!(looks > 1, "only {looks} looks at the processes");
    }
    site.fleet.expect("all", "nginx", "gen2");

    let destination = (PathBuf::from("etc/nginx/tls/privkey.pem"), 0o600);
    for host in crate::rollout::site::HOSTS {
        assert_eq!(
            marks.in_files(&site.fleet.upper(host)),
            BTreeSet::from([destination.clone()]),
            "{host}"
        );
        for volatile in ["run", "tmp", "dev/shm"] {
            assert_eq!(
                marks.in_files(&site.fleet.root(host).join(volatile)),
                BTreeSet::new(),
                "{host} {volatile}"
            );
        }
    }
    assert_eq!(marks.in_files(site.file("play.yml").parent().unwrap()), BTreeSet::new());
    assert_eq!(marks.in_files(&site.fleet.dir().join("home")), BTreeSet::new());
}

#[test]
fn the_search_for_keys_finds_planted_ones() {
    let Some(site) = site() else { return };
    // Not that of the test above, which may look at the same time.
    let key = key_path(&site, "gen4-p384");
    let marks = Marks::of(&key);
    let text = fs::read_to_string(&key).unwrap();
    let line = text.lines().nth(1).unwrap();

    assert!(marks.are_in(format!("error: bad key {line} given").as_bytes()));
    assert!(
        !marks
            .are_in(fs::read_to_string(site.fleet.pki("gen1", "privkey.pem")).unwrap().as_bytes())
    );
    assert!(!marks.are_in(
        fs::read_to_string(site.fleet.pki("gen4-p384", "fullchain.pem")).unwrap().as_bytes()
    ));

    site.fleet.sh("h001", &format!("echo '{line}' >/var/log/planted; echo '{line}' >/run/planted"));
    let planted = BTreeSet::from([(PathBuf::from("planted"), 0o644)]);
    assert_eq!(marks.in_files(&site.fleet.upper("h001").join("var/log")), planted);
    assert_eq!(marks.in_files(&site.fleet.root("h001").join("run")), planted);
    site.fleet.sh("h001", "rm /var/log/planted /run/planted");

    for command in [format!("sh -c 'sleep 300; :' {line}"), format!("KEY={line} sleep 300")] {
        site.fleet.sh("h001", &format!("{command} >/dev/null 2>&1 & echo $! >/run/planted.pid"));
        assert_eq!(marks.in_processes().len(), 1, "{command}");
        site.fleet.sh("h001", "kill $(cat /run/planted.pid)");
        // Gone before the next is planted.
        while !marks.in_processes().is_empty() {
            thread::yield_now();
        }
    }
}
