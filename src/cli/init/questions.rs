//! What `certroll init` asks on a terminal. Each answer has a flag as well; without a terminal, with `--yes` and with
//! `-o json` the defaults count.

use crate::cli::args::{InitArgs, Output};
use crate::cli::failure::Failure;
use crate::cli::prompt;
use crate::cli::settings::Settings;
use crate::event::found::FoundCertificate;
use crate::model::HostName;
use crate::report::theme::line;
use crate::source::Diagnostic;
use indexmap::IndexMap;
use std::io;
use std::path::PathBuf;

/// What each host has.
pub(in crate::cli) type Fleet = IndexMap<HostName, Vec<FoundCertificate>>;

/// The directory that is proposed.
const DIRECTORY: &str = "certroll";
/// How often a question is repeated whose answer is none.
const TRIES: usize = 3;

fn may_ask(args: &InitArgs) -> bool {
    !args.yes && args.visit.output.output == Output::Table && prompt::is_possible()
}

/// Asks for what the flags and the configuration leave open before any host is visited.
///
/// # Errors
/// There is nobody to ask, and no default.
pub(in crate::cli) fn before(args: &mut InitArgs) -> Result<(), Failure> {
    let asks = may_ask(args);
    if asks {
        let settings = Settings::read()?;
        let (mut inventory, mut connection) =
            (args.visit.inventory.clone(), args.visit.connection.clone());
        settings.fill_sources(&mut inventory);
        settings.fill_connection(&mut connection);
        if inventory.sources.is_empty() {
            let hosts = ask("Hosts, as an inventory file or as names with commas (-i)")?;
            // One name alone would be a file.
            let is_name = |text: &str| !text.contains(',') && !PathBuf::from(text).exists();
            let source = if is_name(&hosts) { format!("{hosts},") } else { hosts.clone() };
            args.visit.inventory.sources.extend((!hosts.is_empty()).then_some(source));
        }
        let is_root = connection.user.as_deref() == Some("root");
        if !connection.becoming && !is_root {
            let words = "Become root on the hosts, to read what only root can (-b)? [Y/n]";
            args.visit.connection.becoming =
                !matches!(ask(words)?.to_lowercase().as_str(), "n" | "no");
        }
        if args.out.is_none() {
            let words = format!("A new directory for the playbook (--out) [{DIRECTORY}]");
            let answer = ask(&words)?;
            let directory = if answer.is_empty() { DIRECTORY } else { &answer };
            args.out = Some(PathBuf::from(directory));
        }
    }
    if args.out.is_none() && args.yes {
        args.out = Some(PathBuf::from(DIRECTORY));
    }
    if args.out.is_none() {
        let problem = Diagnostic::error("init writes into a new directory, and none was named");
        return Err(problem.help("name one with --out, or take the defaults with --yes").into());
    }
    Ok(())
}

/// Leaves in what was found only the services that are wanted.
///
/// # Errors
/// A service was named that no host has.
pub(in crate::cli) fn services(args: &InitArgs, fleet: &mut Fleet) -> Result<(), Failure> {
    let mut counts: IndexMap<String, usize> = IndexMap::new();
    for certificates in fleet.values() {
        let mut names: Vec<&String> =
            certificates.iter().filter_map(|one| one.service.as_ref()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *counts.entry(name.clone()).or_default() += 1;
        }
    }
    counts.sort_keys();
    let mut wanted = args.services.clone();
    if let Some(unknown) = unknown(&wanted, &counts) {
        let found: Vec<String> = counts.keys().map(|name| line(name)).collect();
        let problem = format!("--service {unknown}: no host has a certificate of it");
        return Err(Diagnostic::error(problem)
            .help(format!("found were: {}", found.join(", ")))
            .into());
    }
    if wanted.is_empty() && counts.len() > 1 && may_ask(args) {
        wanted = ask_services(&counts)?;
    }
    if !wanted.is_empty() {
        for certificates in fleet.values_mut() {
            certificates
                .retain(|one| one.service.as_ref().is_some_and(|name| wanted.contains(name)));
        }
    }
    Ok(())
}

fn ask_services(counts: &IndexMap<String, usize>) -> Result<Vec<String>, Failure> {
    let found: Vec<String> =
        counts.iter().map(|(name, hosts)| format!("{} ({hosts})", line(name))).collect();
    let words = format!(
        "Services for the playbook (--service), of those found on so many hosts: {} [all]",
        found.join(", ")
    );
    let mut answer = ask(&words)?;
    for _ in 1..TRIES {
        let names = split(&answer);
        match unknown(&names, counts) {
            None => return Ok(names),
            Some(name) => {
                answer =
                    ask(&format!("There is no '{}' among them. Which ones? [all]", line(&name)))?;
            }
        }
    }
    match unknown(&split(&answer), counts) {
        None => Ok(split(&answer)),
        Some(name) => Err(Diagnostic::error(format!("no host has a certificate of {name}")).into()),
    }
}

fn split(answer: &str) -> Vec<String> {
    let names = answer.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names == ["all"] { Vec::new() } else { names }
}

fn unknown(names: &[String], counts: &IndexMap<String, usize>) -> Option<String> {
    names.iter().find(|name| !counts.contains_key(*name)).cloned()
}

fn ask(question: &str) -> io::Result<String> {
    Ok(prompt::line(question)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_names_with_commas_or_blanks() {
        assert_eq!(split("nginx, postfix  dovecot"), ["nginx", "postfix", "dovecot"]);
        assert!(split("").is_empty() && split(" all ").is_empty());
        let counts: IndexMap<String, usize> = [("nginx".to_owned(), 2)].into();
        assert_eq!(unknown(&split("nginx,apache"), &counts).as_deref(), Some("apache"));
        assert_eq!(unknown(&split("nginx"), &counts), None);
    }
}
