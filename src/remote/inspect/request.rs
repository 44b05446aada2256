//! The request of an inspection, as the program on the host reads it.

use crate::host::{Engine, Family, HostKind, Inspection, InspectionVariant, ProcessQuery};
use crate::remote::encode::{BadRequest, encode, places, running_words, timed};

/// The lines that ask for it, as `sh/inspection.sh` reads them.
///
/// # Errors
/// Something cannot be said in words.
pub(super) fn request_text(request: &Inspection, nonce: &str) -> Result<String, BadRequest> {
    let mut lines = vec![format!("inspect {nonce}")];
    lines.extend(places(request.dirs.as_ref()));
    lines.extend(request.boot_guard.then(|| "boot_guard".to_owned()));
    for variant in &request.variants {
        let kinds: Vec<String> = variant.kinds.iter().map(kind_name).collect();
        lines.push(match kinds.as_slice() {
            [] => "kind *".to_owned(),
            kinds => format!("kind {}", kinds.join(" ")),
        });
        variant_lines(variant, &mut lines)?;
    }
    lines.push("go\n".to_owned());
    Ok(lines.join("\n"))
}

/// Whether it needs what is sent only then.
pub(super) fn asks_the_seldom(variant: &InspectionVariant) -> bool {
    let InspectionVariant { containers, public_keys, enclosed, .. } = variant;
    !(containers.is_empty() && public_keys.is_empty() && enclosed.is_empty())
}

fn variant_lines(variant: &InspectionVariant, lines: &mut Vec<String>) -> Result<(), BadRequest> {
    lines.extend(variant.files.iter().map(|path| format!("file {}", encode(path.as_bytes()))));
    lines.extend(variant.public_keys.iter().map(|index| format!("pub {index}")));
    for one in &variant.enclosed {
        let password = one.password.as_ref().map(|password| encode(password.expose().as_bytes()));
        lines.push(match password {
            Some(password) => format!("enclosed {} p12 {password}", one.file),
            None => format!("enclosed {} der", one.file),
        });
    }
    lines.extend(variant.reader.iter().map(|user| format!("reader {}", encode(user.as_bytes()))));
    lines.extend(variant.programs.iter().map(|name| format!("prog {}", encode(name.as_bytes()))));
    for check in &variant.running {
        lines.push(format!("running {}", running_words(check)?));
    }
    lines.extend(variant.processes.iter().map(|query| format!("who {}", query_words(query))));
    lines.extend(variant.workers.iter().map(|query| format!("workers {}", query_words(query))));
    for container in &variant.containers {
        let engine = container.engine.map_or("-", Engine::program);
        let user = container.user.as_ref().map_or("-".to_owned(), |user| encode(user.as_bytes()));
        lines.push(format!("container {engine} {user} {}", encode(container.name.as_bytes())));
    }
    for command in &variant.commands {
        let needs = command.only_if_running.map_or("-".to_owned(), |index| index.to_string());
        let text = timed(&command.command)?;
        let (seconds, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let unless = if command.unless_mounts { "mounts" } else { "-" };
        let inside = command.in_container.map_or("-".to_owned(), |index| index.to_string());
        let user = command.for_user_of.map_or("-".to_owned(), |index| index.to_string());
        lines.push(format!("cmd {seconds} {needs} {unless} {inside} {user} {rest}"));
    }
    Ok(())
}

fn query_words(query: &ProcessQuery) -> String {
    match query {
        ProcessQuery::PidFile(path) => format!("pidfile {}", encode(path.as_bytes())),
        ProcessQuery::Process(name) => format!("process {}", encode(name.as_bytes())),
        ProcessQuery::Listening(ports) => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            format!("port {}", ports.join(" "))
        }
    }
}

/// As the script tells kinds apart.
fn kind_name(kind: &HostKind) -> String {
    let family = match kind.family {
        Family::Debian => "debian",
        Family::RedHat => "redhat",
        Family::Alpine => "alpine",
        Family::Other => "other",
    };
    format!("{family}-{}", if kind.systemd { "systemd" } else { "plain" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_the_script_does() {
        let kind = HostKind { systemd: true, family: Family::RedHat };
        assert_eq!(kind_name(&kind), "redhat-systemd");
        assert_eq!(kind_name(&HostKind::default()), "other-plain");
    }
}
