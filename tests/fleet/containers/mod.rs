//! Services in containers of podman, rootless too, and of docker: a host of its own for the scenes of each, which the
//! script beside this file has.

use crate::common::{am_root, have};
use std::path::Path;
use std::process::Command;

#[test]
fn services_in_containers_of_podman_are_renewed_refused_and_go_back() {
    scenes("podman", &["podman", "runc", "conmon", "newuidmap", "runuser"]);
}

#[test]
fn services_in_containers_of_docker_are_renewed_refused_and_go_back() {
    scenes("docker", &["docker", "dockerd", "socat"]);
}

fn scenes(engine: &str, its: &[&str]) {
    let programs = ["nginx", "haproxy", "mosquitto", "openssl", "nsenter", "pkill"];
    if !am_root() || !have(&[its, &programs].concat()) {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/containers/scenes.sh");
    let output = Command::new("bash")
        .arg(script)
        .args([env!("CARGO_BIN_EXE_certroll"), engine])
        .output()
        .expect("bash starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.ends_with("all right\n"),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
