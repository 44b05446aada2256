//! A host with many certificates: one task, one transaction, one reload.

use crate::common::fleet::Fleet;
use crate::common::pki::Authority;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// Where the host keeps them.
const DIRECTORY: &str = "/etc/nginx/tls/many";

/// Makes `count` pairs twice, lets the host's nginx serve the first ones, and gives the arguments of the
/// run that brings the second.
pub(crate) fn prepare(
    fleet: &Fleet,
    host: &str,
    directory: &Path,
    count: usize,
) -> io::Result<Vec<String>> {
    let authority = Authority::new("many");
    let root = fleet.root(host);
    let there = root.join(&DIRECTORY[1..]);
    fs::create_dir_all(&there)?;
    let (mut sites, mut pairs) = (String::new(), String::new());
    for number in 0..count {
        let name = format!("site{number:03}.fleet.test");
        let old = authority.leaf(&[&name]);
        fs::write(
            there.join(format!("{number}.crt")),
            format!("{}{}", old.pem, old.intermediate_pem),
        )?;
        write_private(&there.join(format!("{number}.key")), &old.key_pem)?;
        let new = authority.leaf(&[&name]).write(directory, &number.to_string());
        let (cert, key) = (new.fullchain.display(), new.key.display());
        writeln!(
            sites,
            "server {{ listen 443 ssl; server_name {name}; ssl_certificate {DIRECTORY}/{number}.crt; \
             ssl_certificate_key {DIRECTORY}/{number}.key; return 204; }}"
        )
        .map_err(io::Error::other)?;
        writeln!(
            pairs,
            "          - source: {{cert: {cert}, key: {key}}}\n            \
             dest: {{cert: {DIRECTORY}/{number}.crt, key: {DIRECTORY}/{number}.key}}"
        )
        .map_err(io::Error::other)?;
    }
    fs::write(root.join("etc/nginx/sites-enabled/many.conf"), sites)?;
    tell_reloads(&root.join("etc/nginx/nginx.conf"))?;
    fleet.fleet(&["reload", host, "nginx"]);
    let playbook = directory.join("many.yml");
    fs::write(
        &playbook,
        format!(
            "- name: Many certificates\n  hosts: {host}\n  become: true\n  tasks:\n    \
             - name: nginx serves new ones\n      certificate:\n        service: nginx\n        \
             verify:\n          endpoint: \"{{{{ ansible_host }}}}:443\"\n        \
             certificates:\n{pairs}"
        ),
    )?;
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let inventory = text(fleet.dir().join("inventory.ini"));
    let certroll = env!("CARGO_BIN_EXE_certroll").to_owned();
    Ok(vec![certroll, "apply".to_owned(), text(playbook), "-i".to_owned(), inventory])
}

/// nginx mentions a reload at the level `notice`, which is below what it logs by itself.
fn tell_reloads(config: &Path) -> io::Result<()> {
    let quiet = "error_log /var/log/nginx/error.log;";
    let text = fs::read_to_string(config)?;
    if !text.contains(quiet) {
        return Err(io::Error::other("nginx.conf has another error_log than expected"));
    }
    fs::write(config, text.replace(quiet, "error_log /var/log/nginx/error.log notice;"))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// How often nginx has been told to reload, as it says itself.
pub(crate) fn reloads(fleet: &Fleet, host: &str) -> usize {
    let log = fs::read_to_string(fleet.root(host).join("var/log/nginx/error.log"));
    log.unwrap_or_default().matches("(SIGHUP) received").count()
}
