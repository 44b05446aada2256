//! Manual pages: one for certroll, one for each verb.

use super::args::{self, ManArgs};
use super::failure::Failure;
use crate::source::Diagnostic;
use crate::source::diagnostic::nearest;
use clap_mangen::Man;
use std::io::Write;
use std::path::Path;

/// Exit codes, as `docs/exit-codes.md` has them.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success; for plan also when changes are pending, unless --exit-code is given."),
    (
        "1",
        "The run could not go on: wrong usage, or files that cannot be used. No host was changed.",
    ),
    ("2", "Some host failed, was rolled back, was not restored, or its state is unknown."),
    ("3", "With --exit-code: changes are pending, or something needs attention."),
    ("4", "Some host was unreachable, and none failed."),
    ("6", "Some hosts failed and others were unreachable."),
    ("130", "The operator interrupted the run."),
];

const FILES: &[(&str, &str)] = &[
    (
        "ansible.cfg",
        "In the current directory, ~/.ansible.cfg or /etc/ansible/ansible.cfg: settings; `certroll config` prints them.",
    ),
    ("services/*.yml", "Beside the playbook: service profiles of your own."),
    ("$XDG_STATE_HOME/certroll/runs", "Records of past runs; by default below ~/.local/state."),
    ("~/.ssh/config, ~/.ssh/known_hosts", "OpenSSH's configuration and the keys of known hosts."),
    ("/var/lib/certroll, /run/certroll", "On hosts: journals of transactions, and the lock."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("ANSIBLE_*", "Settings, as Ansible has them; `certroll config` prints those that are obeyed."),
    ("CERTROLL_SSH_CONFIG", "As --ssh-config."),
    ("NO_COLOR, CLICOLOR, TERM", "Whether colours and a board are shown."),
    ("SSH_AUTH_SOCK", "The agent that holds keys for log-ins."),
    ("XDG_STATE_HOME", "Where records are kept."),
];

/// Examples of a verb.
fn examples(verb: &str) -> &'static [(&'static str, &'static str)] {
    match verb {
        "plan" => &[
            ("certroll plan -i hosts.ini renew.yml", "What would be done."),
            (
                "certroll plan -i hosts.ini renew.yml --out friday.plan",
                "The same, saved for a review.",
            ),
        ],
        "apply" => &[
            ("certroll apply -i hosts.ini renew.yml", "Roll out."),
            ("certroll apply friday.plan", "Exactly what was reviewed."),
            ("certroll apply -q -i hosts.ini renew.yml", "In cron: silent when nothing was to do."),
        ],
        "verify" => {
            &[("certroll verify -i hosts.ini renew.yml", "What is served, by handshakes alone.")]
        }
        "status" => &[(
            "certroll status --exit-code -q -i hosts.ini renew.yml",
            "Speak up when a host is not as it should be.",
        )],
        "rollback" => &[(
            "certroll rollback -i hosts.ini renew.yml --limit edge3",
            "Back to the generation before.",
        )],
        "discover" => &[(
            "certroll discover -i hosts.ini --expiring 21d",
            "Certificates with less than three weeks left.",
        )],
        "history" => &[("certroll history show last", "How the last run ended.")],
        "" => &[
            ("certroll demo", "A rollout on a simulated fleet."),
            ("certroll plan -i hosts.ini renew.yml", "What would be done."),
            ("certroll apply -i hosts.ini renew.yml", "Do it."),
        ],
        _ => &[],
    }
}

/// The page that is asked for, or nothing where all are written to a directory.
///
/// # Errors
/// There is no such verb; the directory cannot be written.
pub(super) fn run(args: &ManArgs) -> Result<Vec<u8>, Failure> {
    let command = built();
    if let Some(directory) = &args.out {
        write_all(&command, directory)?;
        return Ok(Vec::new());
    }
    let Some(verb) = &args.verb else { return Ok(page(&command, "")?) };
    let Some(of_verb) = command.find_subcommand(verb) else {
        let names = command.get_subcommands().map(clap::Command::get_name);
        let problem = Diagnostic::error(format!("there is no verb '{verb}'"));
        return Err(match nearest(verb, names) {
            Some(near) => problem.help(format!("did you mean '{near}'?")),
            None => problem.help("`certroll help` lists them"),
        }
        .into());
    };
    Ok(page(of_verb, verb)?)
}

fn built() -> clap::Command {
    let mut command = args::command().disable_help_subcommand(true);
    // It gives the verbs their whole names.
    command.build();
    command
}

fn write_all(command: &clap::Command, directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("certroll.1"), page(command, "")?)?;
    for of_verb in command.get_subcommands() {
        let verb = of_verb.get_name();
        std::fs::write(directory.join(format!("certroll-{verb}.1")), page(of_verb, verb)?)?;
    }
    Ok(())
}

/// What clap knows, and what it does not. `verb`: empty for the first page.
fn page(command: &clap::Command, verb: &str) -> std::io::Result<Vec<u8>> {
    let name = if verb.is_empty() { "certroll".to_owned() } else { format!("certroll-{verb}") };
    let mut out = Vec::new();
    Man::new(command.clone().display_name(name)).render(&mut out)?;
    section(&mut out, "EXIT STATUS", EXIT_STATUS)?;
    section(&mut out, "FILES", FILES)?;
    section(&mut out, "ENVIRONMENT", ENVIRONMENT)?;
    section(&mut out, "EXAMPLES", examples(verb))?;
    Ok(out)
}

fn section(out: &mut Vec<u8>, title: &str, rows: &[(&str, &str)]) -> std::io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, ".SH {title}")?;
    for (term, words) in rows {
        writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(words))?;
    }
    Ok(())
}

/// Text as roff takes it: backslashes and hyphens are its own, and so is a dot that begins a line.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_has_a_page_with_all_sections() {
        let directory = tempfile::tempdir().unwrap();
        write_all(&built(), directory.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        for of_verb in args::command().get_subcommands() {
            let text = read(&format!("certroll-{}.1", of_verb.get_name()));
            for section in
                [".SH NAME", ".SH SYNOPSIS", ".SH \"EXIT STATUS\"", ".SH FILES", ".SH ENVIRONMENT"]
            {
                let section = section.replace('"', "");
                assert!(
                    text.replace('"', "").contains(&section),
                    "{}: {section}",
                    of_verb.get_name()
                );
            }
        }
        assert!(read("certroll-apply.1").contains(".SH EXAMPLES"));
        assert!(read("certroll.1").contains("certroll\\-apply"), "{}", read("certroll.1"));
    }

    #[test]
    fn codes_are_those_of_the_documentation() {
        let page = include_str!("../../docs/exit-codes.md");
        let codes: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
            .filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        assert_eq!(codes, EXIT_STATUS.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    }

    #[test]
    fn a_verb_that_is_not_there_is_named_with_the_nearest() {
        let asked = ManArgs { verb: Some("aply".into()), out: None };
        let said = run(&asked).unwrap_err().to_string();
        assert!(said.contains("there is no verb 'aply'"), "{said}");
    }
}
