//! `certroll init`: a playbook for what hosts have, which `plan` shows as unchanged.

mod questions;

use super::args::InitArgs;
use super::console;
use super::failure::Failure;
use crate::event::found::{FoundCertificate, FoundState};
use crate::event::{Event, Kind};
use crate::model::{Fingerprint, HostName, Timestamp};
use crate::report::{Reporter, RunView};
use crate::services::Profiles;
use crate::source::Diagnostic;
use indexmap::IndexMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use questions::Fleet;
pub(super) use questions::{before, services};

/// Collects what `discover` finds.
#[derive(Clone, Default)]
pub(super) struct Collected(Arc<Mutex<Fleet>>);

impl Reporter for Collected {
    fn on_event(&mut self, event: &Event, _: &RunView) -> io::Result<()> {
        let mut fleet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&event.host, &event.kind) {
            (Some(host), Kind::HostCertificates { certificates }) => {
                fleet.insert(host.clone(), certificates.clone());
            }
            // Hosts end in any order; the summary has the inventory's.
            (None, Kind::Summary(summary)) => {
                let place = |host: &HostName| summary.hosts.get_index_of(host);
                fleet.sort_by(|one, _, other, _| place(one).cmp(&place(other)));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Collected {
    pub(super) fn take(&self) -> Fleet {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A file to write: its path below the directory, and its text.
type Draft = (String, String);

/// Refuses a directory that has something in it already.
///
/// # Errors
/// It has, or cannot be read.
pub(super) fn check(directory: &Path) -> Result<(), Failure> {
    let there = match fs::read_dir(directory) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => {
            return Err(Diagnostic::error(format!("{}: {error}", directory.display())).into());
        }
    };
    if there == 0 {
        return Ok(());
    }
    let words = format!("{} is not empty, and init overwrites nothing", directory.display());
    Err(Diagnostic::error(words).help("name a new directory with --out").into())
}

/// Writes playbook, certificates and, for hosts that no file names, an inventory. Returns what to tell.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(
    args: &InitArgs,
    directory: &Path,
    fleet: &Fleet,
    now: Timestamp,
) -> Result<String, Failure> {
    let (profiles, _) = Profiles::load(&["services".into()])?;
    let lists: Vec<&String> =
        args.visit.inventory.sources.iter().filter(|source| source.contains(',')).collect();
    let is_listed = !lists.is_empty() && lists.len() == args.visit.inventory.sources.len();
    let (drafts, left_out) = drafts(args, fleet, &profiles, now, is_listed);
    for (name, text) in &drafts {
        let path = directory.join(name);
        let told = |error: io::Error| {
            Failure::from(Diagnostic::error(format!("{}: {error}", path.display())))
        };
        fs::create_dir_all(path.parent().unwrap_or(directory)).map_err(told)?;
        let mut file = fs::File::create_new(&path).map_err(told)?;
        file.write_all(text.as_bytes()).map_err(told)?;
    }
    let out = directory.display();
    let mut text = format!("written: {out}/renew.yml and the certificates that it names\n");
    for line in left_out {
        text.push_str(&format!("left out: {}\n", crate::report::theme::line(&line)));
    }
    let mut inventory = args.visit.inventory.clone();
    if is_listed {
        inventory.sources = vec![format!("{out}/inventory.ini")];
    }
    let again =
        console::rerun_hosts(&format!("{out}/renew.yml"), &inventory, &args.visit.connection);
    let words = shlex::try_join(again.argv.iter().map(String::as_str)).unwrap_or_default();
    text.push_str(&format!("to check it: certroll plan {words}\n"));
    Ok(text)
}

/// A certificate task that several hosts may have alike.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Layout {
    service: String,
    cert: String,
    key: String,
    name: String,
    /// Ports to look at, where they are not the usual ones.
    ports: Vec<(u16, String)>,
    server_name: Option<String>,
    remark: Option<String>,
}

fn drafts(
    args: &InitArgs,
    fleet: &Fleet,
    profiles: &Profiles,
    now: Timestamp,
    is_listed: bool,
) -> (Vec<Draft>, Vec<String>) {
    let mut left_out = Vec::new();
    let mut plays: IndexMap<Vec<Layout>, Vec<&HostName>> = IndexMap::new();
    let mut drafts = Vec::new();
    for (host, certificates) in fleet {
        let mut layouts: Vec<Layout> = Vec::new();
        for one in certificates {
            match layout(one, profiles) {
                Err(None) => {}
                Err(Some(why)) => {
                    let what = one.file.clone().unwrap_or_default();
                    left_out.push(format!("{host}: {what}: {why}"));
                }
                Ok(_) if host.as_str().contains(['/', '{']) || host.as_str() == ".." => {
                    left_out.push(format!("{host}: a directory cannot have this name"));
                }
                Ok(layout) => {
                    let place = format!("certs/{host}/{}", file_of(&layout));
                    drafts.push((place, one.pem.clone()));
                    layouts.push(layout);
                }
            }
        }
        layouts.sort_by(|one, other| (&one.service, &one.cert).cmp(&(&other.service, &other.cert)));
        if !layouts.is_empty() {
            plays.entry(layouts).or_default().push(host);
        }
    }
    let mut text = heading(now, &left_out);
    if plays.is_empty() {
        text.push_str("[]\n");
    }
    for (layouts, hosts) in &plays {
        text.push_str(&play(args, layouts, hosts));
    }
    drafts.push(("renew.yml".to_owned(), text));
    if is_listed {
        let hosts: String = fleet.keys().map(|host| format!("{host}\n")).collect();
        drafts.push(("inventory.ini".to_owned(), hosts));
    }
    (drafts, left_out)
}

/// The name of a certificate's file: no two paths of a host have the same, and none is too long for a file system.
fn file_of(layout: &Layout) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let path: String = layout.cert.trim_start_matches('/').chars().map(plain).take(100).collect();
    let path = path.trim_end_matches(".pem");
    let digest = Fingerprint::of(layout.cert.as_bytes());
    format!("{}-{path}-{}.pem", layout.service, digest.short())
}

/// How a task for this certificate looks; `Err(None)`: it needs none.
fn layout(one: &FoundCertificate, profiles: &Profiles) -> Result<Layout, Option<String>> {
    let (Some(service), Some(cert)) = (&one.service, &one.file) else {
        return Err(None);
    };
    if one.state == FoundState::Unused {
        return Err(None);
    }
    let Ok(profile) = profiles.find(service) else {
        return Err(Some(format!("there is no profile for {service}")));
    };
    let Some(leaf) = &one.certificate else {
        return Err(Some(one.remarks.join("; ")));
    };
    let Some(key) = &one.key else {
        return Err(Some("no file with its key was found".to_owned()));
    };
    // What a host says must not become a template here.
    if [cert, key].iter().any(|path| path.contains('{')) {
        return Err(Some("a brace in a path would be a template".to_owned()));
    }
    let seen = one.endpoints.iter().filter(|at| at.fingerprint == Some(leaf.fingerprint));
    let seen: Vec<(u16, String)> = seen.map(|at| (at.endpoint.port, at.starttls.clone())).collect();
    let usual = |port: u16| profile.verify.iter().any(|place| place.port == port);
    let ports = if seen.iter().all(|(port, _)| usual(*port)) { Vec::new() } else { seen };
    let names = || leaf.names.iter().filter(|name| !name.contains('{'));
    let name = names().find(|name| !name.starts_with("*.")).or(names().next());
    let mut remarks = one.remarks.clone();
    match one.state {
        FoundState::Served => {}
        FoundState::Drift => remarks
            .insert(0, "the service serves another certificate than this file holds".to_owned()),
        FoundState::Stopped => remarks.insert(0, "the service is stopped".to_owned()),
        _ => remarks.insert(0, "no handshake showed it".to_owned()),
    }
    // Of a file with the key in it only the plan can tell.
    if !one.is_as_written && key != cert {
        remarks.push("the file has other bytes than certroll writes (text between the certificates): plan shows a change".to_owned());
    }
    Ok(Layout {
        service: service.clone(),
        cert: cert.clone(),
        key: key.clone(),
        name: name.cloned().unwrap_or_else(|| "its certificate".to_owned()),
        server_name: name.filter(|name| !name.starts_with("*.")).cloned(),
        ports,
        remark: Some(remarks.join("; ")).filter(|text| !text.is_empty()),
    })
}

fn heading(now: Timestamp, left_out: &[String]) -> String {
    let mut text = format!(
        "# Written by `certroll init` on {} from what the hosts had: `certroll plan` shows it as unchanged.\n\
         # To renew, put the new certificate with its chain in place of the file that `cert` names. Without `key` a host keeps\n\
         # the key that it has; name one beside `cert` when the new certificate has another key.\n",
        now.date()
    );
    for line in left_out {
        text.push_str(&format!("# Left out: {}\n", crate::report::theme::line(line)));
    }
    text
}

fn play(args: &InitArgs, layouts: &[Layout], hosts: &[&HostName]) -> String {
    let mut services: Vec<&str> = layouts.iter().map(|layout| layout.service.as_str()).collect();
    services.dedup();
    let hosts: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
    let mut text = format!(
        "\n- name: {}\n  hosts: {}\n",
        quoted(&services.join(", ")),
        quoted(&hosts.join(","))
    );
    if args.visit.connection.becoming {
        text.push_str("  become: true\n");
    }
    text.push_str("  tasks:\n");
    for layout in layouts {
        if let Some(remark) = &layout.remark {
            text.push_str(&format!("    # {}\n", crate::report::theme::line(remark)));
        }
        let source = format!("certs/{{{{ inventory_hostname }}}}/{}", file_of(layout));
        text.push_str(&format!(
            "    - name: {}\n      certificate:\n        service: {}\n        source: {{cert: {}}}\n        dest:\n",
            quoted(&format!("{} serves {}", layout.service, layout.name)),
            layout.service,
            quoted(&source),
        ));
        let (cert, key) = (quoted(&layout.cert), quoted(&layout.key));
        text.push_str(&match layout.key == layout.cert {
            true => format!("          combined: {cert}\n"),
            false => format!("          cert: {cert}\n          key: {key}\n"),
        });
        if !layout.ports.is_empty() {
            text.push_str("        verify:\n");
        }
        for (port, starttls) in &layout.ports {
            let endpoint = format!("{{{{ ansible_host | default(inventory_hostname) }}}}:{port}");
            text.push_str(&format!(
                "          - endpoint: {}\n            starttls: {starttls}\n",
                quoted(&endpoint)
            ));
            if let Some(name) = &layout.server_name {
                text.push_str(&format!("            server_name: {}\n", quoted(name)));
            }
        }
    }
    text
}

/// A YAML scalar; a JSON string is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
