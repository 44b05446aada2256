//! Files that processes in other mount namespaces hold.

use super::place::{Place, remote};
use super::shells;
use certroll::testing::host::InspectionVariant;
use certroll::testing::host::{FileFacts, HeldAs};
use std::fs;
use std::process::Command;

/// A process in a mount namespace of its own, as a container's: ended when dropped.
struct Contained(std::process::Child);

impl Contained {
    /// `script` makes its mounts and then becomes something that waits, for a line `ready` on its standard output.
    fn start(script: &str) -> Self {
        use std::io::BufRead;
        let mut child = Command::new("unshare")
            .args(["-m", "sh", "-ec", script])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        assert_eq!(line, "ready\n", "{script}");
        Self(child)
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// By inode: the text of mountinfo tells less after a rename over a file, and after the old one came back.
#[test]
fn what_containers_have_mounted_is_told() {
    if !crate::common::am_root() || !crate::common::have(&["unshare", "busybox"]) {
        crate::common::skip("no mount namespaces, or no busybox for a root of its own");
        return;
    }
    let place = Place::new();
    let files = vec![place.put("tls/cert.pem", "c", 0o644), place.put("tls/key.pem", "k", 0o600)];
    let request = place.request(InspectionVariant { files, ..InspectionVariant::default() });
    let (tls, root) = (place.path("tls"), place.path("root"));
    let (tls, root) = (tls.display(), root.display());
    fs::create_dir(place.path("root")).unwrap();
    let alone = Contained::start(&format!(
        "mount -t tmpfs t {root}; touch {root}/one.pem; mount --bind {tls}/cert.pem {root}/one.pem; echo ready; exec sleep 1000"
    ));
    let whole = Contained::start(&format!(
        "mount -t tmpfs t {root}; mkdir -p {root}/etc/tls; cp $(command -v busybox) {root}/busybox; \
         mount --bind {tls} {root}/etc/tls; echo ready; exec chroot {root} /busybox sleep 1000"
    ));
    let told = |shell: &str| -> Vec<Vec<(u32, HeldAs, String)>> {
        let facts = place.inspect(shell, &request);
        let of = |file: &FileFacts| {
            let held = file.held.iter();
            let mut held: Vec<_> = held.map(|one| (one.pid, one.kind, one.path.clone())).collect();
            held.sort_by_key(|one| one.0 != alone.0.id());
            held
        };
        facts.files.iter().map(of).collect()
    };
    let one = |kind| (alone.0.id(), kind, format!("{root}/one.pem"));
    let inside = |name: &str| (whole.0.id(), HeldAs::Directory, format!("/etc/tls/{name}"));
    let wanted = |kind| vec![vec![one(kind), inside("cert.pem")], vec![inside("key.pem")]];
    for shell in shells() {
        assert_eq!(told(shell), wanted(HeldAs::File), "{shell}");
        // Renamed over, and the old inode put back, as a rollback does.
        fs::hard_link(place.path("tls/cert.pem"), place.path("tls/old")).unwrap();
        fs::write(place.path("tls/new"), "n").unwrap();
        fs::rename(place.path("tls/new"), place.path("tls/cert.pem")).unwrap();
        assert_eq!(told(shell), wanted(HeldAs::Older), "{shell}");
        fs::rename(place.path("tls/old"), place.path("tls/cert.pem")).unwrap();
        assert_eq!(told(shell), wanted(HeldAs::File), "{shell}");
    }
}

/// certbot points its links at a new file each time: what was mounted through the link is the earlier one, and nothing in
/// mountinfo says so.
#[test]
fn what_a_link_pointed_at_before_is_told() {
    if !crate::common::am_root() || !crate::common::have(&["unshare"]) {
        crate::common::skip("no mount namespaces");
        return;
    }
    let place = Place::new();
    for name in ["cert1", "cert12", "privkey1", "privkey12", "other12"] {
        place.put(format!("archive/{name}.pem"), name, 0o600);
    }
    fs::create_dir(place.path("live")).unwrap();
    let point = |number: &str| {
        for name in ["cert", "privkey", "other"] {
            let link = place.path(format!("live/{name}.pem"));
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(format!("../archive/{name}{number}.pem"), link).unwrap();
        }
    };
    point("1");
    let (live, root) = (place.path("live"), place.path("root"));
    let (live, root) = (live.display(), root.display());
    fs::create_dir(place.path("root")).unwrap();
    let holder = Contained::start(&format!(
        "mount -t tmpfs t {root}; for f in cert privkey; do touch {root}/$f; mount --bind {live}/$f.pem {root}/$f; done; \
         echo ready; exec sleep 1000"
    ));
    let files =
        ["cert", "privkey", "other"].map(|name| remote(&place.path(format!("live/{name}.pem"))));
    let request =
        place.request(InspectionVariant { files: files.to_vec(), ..InspectionVariant::default() });
    let told = |shell: &str| -> Vec<Vec<(u32, HeldAs, String)>> {
        let facts = place.inspect(shell, &request);
        let of = |file: &FileFacts| {
            file.held.iter().map(|one| (one.pid, one.kind, one.path.clone())).collect()
        };
        facts.files.iter().map(of).collect()
    };
    let one = |kind, name: &str| vec![(holder.0.id(), kind, format!("{root}/{name}"))];
    for (number, kind) in [("1", HeldAs::File), ("12", HeldAs::Older)] {
        point(number);
        let wanted = [one(kind, "cert"), one(kind, "privkey"), Vec::new()];
        for shell in shells() {
            assert_eq!(told(shell), wanted, "{shell}: {number}");
        }
    }
}
