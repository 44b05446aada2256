//! A host that lacks a tool is told so by its name, and nothing is begun there.

use super::host::*;
use super::validation::may_mount;
use certroll::testing::host::{Inspection, InspectionVariant};
use certroll::testing::remote::{self, RemoteError, Transaction};

/// Every tool without which no transaction can be made.
const TOOLS: [&str; 20] = [
    "od", "tr", "head", "cat", "awk", "readlink", "mkdir", "mv", "ln", "cp", "rm", "rmdir",
    "chmod", "chown", "touch", "stat", "tail", "sleep", "ls", "sync",
];

/// Hides programs from the host's next programs by something that cannot be run.
fn hide(host: &mut Host, tools: &[&str]) {
    let bin = host.root.join("hidden");
    std::fs::create_dir_all(&bin).unwrap();
    host.put(&bin.join("blank"), b"", 0o644);
    let mut mounts = String::new();
    for tool in tools {
        for dir in ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin"] {
            let path = std::path::Path::new(dir).join(tool);
            if let Ok(path) = path.canonicalize() {
                let blank = bin.join("blank");
                mounts += &format!("mount --bind {} {} && ", blank.display(), path.display());
            }
        }
    }
    let real = host.shell.bin.join("sh");
    let script = format!(
        "#!/bin/bash\nexec unshare -m /bin/bash -c '{mounts}exec \"$@\"' sh {} \"$@\"\n",
        real.display()
    );
    host.put(&bin.join("sh"), script.as_bytes(), 0o755);
    let path = std::env::var("PATH").unwrap();
    host.environment = vec![("PATH".into(), format!("{}:{path}", bin.display()))];
}

#[tokio::test]
async fn a_missing_tool_is_named_at_inspect_and_nothing_is_begun() {
    if !may_mount() {
        crate::common::skip("no mount namespaces here: no tool can be hidden");
        return;
    }
    // busybox's sh has its own tools.
    let shell = shells().iter().find(|shell| !shell.is_busybox()).unwrap();
    let mut host = Host::new(shell);
    let before = tree(&host.dir);
    let digests = ["sha256sum", "sha256", "shasum", "openssl"];
    let cases = TOOLS.iter().map(std::slice::from_ref).chain([&digests[..]]);
    for tools in cases {
        let name = tools[0];
        hide(&mut host, tools);
        let inspect = Inspection {
            variants: vec![InspectionVariant::default()],
            boot_guard: false,
            dirs: Some(host.dirs()),
        };
        let facts = remote::inspect(host.sh().await, &inspect).await.unwrap();
        let missing = facts.missing_tools();
        assert_eq!(missing.len(), 1, "{name}: {missing:?}");
        assert!(missing[0].starts_with(name), "{name}: {missing:?}");
        let error = host.begin(host.request()).await.unwrap_err();
        let told = matches!(&error, RemoteError::ToolMissing { name: told } if told == name);
        assert!(told, "{name}: {error}");
        let error = host.recover().await.unwrap_err();
        assert!(matches!(error, RemoteError::ToolMissing { .. }), "{name}: {error}");
        host.assert_unchanged(&before);
        assert!(!host.root.join("state").exists(), "{name}");
    }
}

/// posh drops empty words, yash does not wait as others do: neither may be taken for a fault of a service.
#[tokio::test]
async fn a_shell_that_cannot_run_the_program_is_told_by_name() {
    for name in ["posh", "yash"] {
        let Some(program) = ["/usr/bin", "/bin"]
            .iter()
            .map(|dir| std::path::Path::new(dir).join(name))
            .find(|program| program.exists())
        else {
            crate::common::skip(&format!("{name} is not installed"));
            continue;
        };
        let mut host = Host::new(&shells()[0]);
        let bin = host.root.join("other");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(program, bin.join("sh")).unwrap();
        let path = std::env::var("PATH").unwrap();
        host.environment = vec![("PATH".into(), format!("{}:{path}", bin.display()))];
        let before = tree(&host.dir);
        let inspect = Inspection {
            variants: vec![InspectionVariant {
                files: vec![host.path("key.pem")],
                ..InspectionVariant::default()
            }],
            boot_guard: false,
            dirs: Some(host.dirs()),
        };
        let told = remote::inspect(host.sh().await, &inspect).await.map(drop);
        let begun = Transaction::begin(host.sh().await, host.request()).await.map(drop);
        for result in [told, begun] {
            let error = result.unwrap_err();
            let RemoteError::ShellUnfit { name: told } = &error else { panic!("{name}: {error}") };
            assert_eq!(told, name);
        }
        host.assert_unchanged(&before);
        assert!(!host.root.join("state").exists(), "{name}");
    }
}
