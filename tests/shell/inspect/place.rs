//! A directory with files to inspect, and an inspection of it by any shell.

use certroll::testing::host::HostFacts;
use certroll::testing::host::{Inspection, InspectionVariant, StateDirs};
use certroll::testing::model::{Fingerprint, RemotePath};
use certroll::testing::remote::{BOOTSTRAP, READY, inspect};
use certroll::testing::transport::{Launch, local};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory with files, and one for the host's state.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["state", "run", "tmp", "files"] {
            fs::create_dir(dir.path().join(name)).expect("created");
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.dir.path().join("files").join(Path::new(name.as_ref()))
    }

    pub(crate) fn put(
        &self,
        name: impl AsRef<OsStr>,
        bytes: impl AsRef<[u8]>,
        mode: u32,
    ) -> RemotePath {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        fs::write(&path, bytes).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode set");
        remote(&path)
    }

    pub(crate) fn dirs(&self) -> StateDirs {
        let at = |name: &str| remote(&self.dir.path().join(name));
        StateDirs { state: at("state"), run: at("run") }
    }

    pub(crate) fn ask(&self, files: Vec<RemotePath>) -> Inspection {
        self.request(InspectionVariant { files, ..InspectionVariant::default() })
    }

    pub(crate) fn request(&self, variant: InspectionVariant) -> Inspection {
        Inspection { variants: vec![variant], boot_guard: false, dirs: Some(self.dirs()) }
    }

    pub(crate) fn raw(&self) -> PathBuf {
        self.dir.path().join("raw")
    }

    /// Inspects with that shell; all its output is kept in [`raw`](Self::raw).
    pub(crate) fn inspect_as(&self, prefix: &str, shell: &str, request: &Inspection) -> HostFacts {
        let line = BOOTSTRAP.strip_prefix("sh ").expect("begins with sh");
        let tmp = self.dir.path().join("tmp");
        let raw = self.raw();
        let (tmp, raw) = (tmp.display(), raw.display());
        let command = format!("env TMPDIR={tmp} {prefix} {shell} {line} | tee {raw}");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let process = local::start(&Launch::new(command, READY)).await.expect("started");
            inspect(process, request).await.unwrap_or_else(|error| panic!("{shell}: {error}"))
        })
    }

    pub(crate) fn inspect(&self, shell: &str, request: &Inspection) -> HostFacts {
        self.inspect_as("", shell, request)
    }

    /// Every file below with what an inspection must not change.
    pub(crate) fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = vec![self.dir.path().to_owned()];
        while let Some(path) = open.pop() {
            if path == self.raw() {
                continue;
            }
            let meta = path.symlink_metadata().expect("there");
            let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
            // The directory that holds `raw` changes by the test's own doing.
            let times = if path == self.dir.path() { (0, 0, 0, 0) } else { times };
            let owner = (meta.mode(), meta.uid(), meta.gid(), meta.nlink(), meta.ino());
            let bytes = if meta.is_file() { fs::read(&path).expect("read") } else { Vec::new() };
            all.push(format!("{path:?} {times:?} {owner:?} {:?}", Fingerprint::of(&bytes)));
            if meta.is_dir() {
                let entries = fs::read_dir(&path).expect("a directory");
                open.extend(entries.map(|entry| entry.expect("an entry").path()));
            }
        }
        all.sort();
        all
    }
}

pub(crate) fn remote(path: &Path) -> RemotePath {
    RemotePath::new(path.as_os_str().as_bytes()).expect("a path")
}
