//! The demo's story, told by the real binary: each host ends as it must.

mod common;

use certroll::lab::story::{Kind, demo, expected};
use certroll::lab::{Host, Lab};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

async fn certroll(directory: &Path, arguments: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_certroll"));
    command.args(arguments).args(["site.yml", "-i", "inventory.ini", "-o", "json"]);
    let Output { status, stdout, stderr } =
        command.current_dir(directory).env("NO_COLOR", "1").output().await.unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    let all = format!("{stdout}\n{}", String::from_utf8_lossy(&stderr));
    let lines = stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    (status.code(), lines, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_ends_as_told() {
    let lab = Lab::temporary(&demo()).await.unwrap();
    let show = tokio::process::Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(["plan", "site.yml", "-i", "inventory.ini"])
        .current_dir(lab.directory())
        .output()
        .await
        .unwrap();
    println!("{}", String::from_utf8_lossy(&show.stdout));
    println!("{}", String::from_utf8_lossy(&show.stderr));
    let (code, lines, all) = certroll(lab.directory(), &["plan"]).await;
    println!("{code:?} {all}");
    let (code, lines, all) = certroll(lab.directory(), &["apply"]).await;
    println!("{code:?} {all}");
}
