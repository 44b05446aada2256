//! Services in containers of podman, rootless too: a host of its own for all scenes, which the script beside this file has.

use crate::common::{am_root, have};
use std::path::Path;
use std::process::Command;

#[test]
fn services_in_containers_are_renewed_refused_and_go_back() {
    let programs =
        ["podman", "runc", "conmon", "newuidmap", "nginx", "openssl", "runuser", "nsenter"];
    if !am_root() || !have(&programs) {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/containers/scenes.sh");
    let output = Command::new("bash")
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_certroll"))
        .output()
        .expect("bash starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.ends_with("all right\n"),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
