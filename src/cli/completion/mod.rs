//! Shell completions: scripts that ask `certroll __complete` for what may stand next.
//!
//! The answer is a line with `words` or `files`, for a script that gives a whole line the word that is completed, and a
//! line for each candidate: the word and, after a tab, what it is. Nothing is asked, no host
//! is reached, and no program is run: of an inventory that is one no host is known.

mod position;
mod split;
mod values;

use super::args;
use clap_complete::Shell;
use position::{Expected, Position};
use values::Values;

/// The word by which scripts ask.
const VERB: &str = "__complete";

/// The answer to the words of a command line, where they ask for candidates.
pub(super) fn asked(words: &[String]) -> Option<String> {
    if words.get(1)? != VERB {
        return None;
    }
    Some(match &words[2..] {
        [flag, line] if flag == "--line" => {
            let words = split::words(line);
            let typed = words.last().cloned().unwrap_or_default();
            let (kind, candidates) = answer(&words);
            format!("{kind}\n{typed}\n{candidates}")
        }
        words => {
            let (kind, candidates) = answer(words);
            format!("{kind}\n{candidates}")
        }
    })
}

/// The script of a shell.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    match shell {
        Shell::Bash => include_bytes!("certroll.bash").to_vec(),
        Shell::Zsh => include_bytes!("certroll.zsh").to_vec(),
        Shell::Fish => include_bytes!("certroll.fish").to_vec(),
        // Flags and verbs alone.
        other => {
            let mut text = Vec::new();
            clap_complete::generate(other, &mut args::command(), "certroll", &mut text);
            text
        }
    }
}

/// What the last of the words may be.
fn answer(words: &[String]) -> (&'static str, String) {
    let mut command = args::command();
    command.build();
    let position = Position::of(&command, words);
    let values = Values::of(&command, words);
    let mut files = false;
    let mut candidates: Vec<(String, String)> = Vec::new();
    for expected in &position.expected {
        match expected {
            Expected::Verbs => {
                let verbs = position.command.get_subcommands().filter(|verb| !verb.is_hide_set());
                let about = |verb: &clap::Command| {
                    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
                    (verb.get_name().to_owned(), about)
                };
                candidates.extend(verbs.map(about));
                if position.command.get_name() == "help" {
                    let pages = super::topics::names();
                    candidates.extend(pages.map(|name| (name.to_owned(), "a page".to_owned())));
                }
            }
            Expected::Flags => candidates.extend(flags(position.command)),
            Expected::Value(arg) => {
                match values.of_arg(position.command.get_name(), arg, &position.typed) {
                    Some(words) => candidates.extend(words),
                    None => files |= is_file(arg),
                }
            }
        }
    }
    let fits = |(word, _): &(String, String)| word.starts_with(&position.typed);
    let lines = candidates.into_iter().filter(fits).map(|(word, about)| {
        let about = about.lines().next().unwrap_or_default().to_owned();
        let word = format!("{}{word}", position.before);
        if about.is_empty() { format!("{word}\n") } else { format!("{word}\t{about}\n") }
    });
    let lines: String = lines.collect();
    (if files && lines.is_empty() { "files" } else { "words" }, lines)
}

fn flags(command: &clap::Command) -> Vec<(String, String)> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let flag = |arg: &clap::Arg| {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        Some((format!("--{}", arg.get_long()?), about))
    };
    shown.filter_map(flag).collect()
}

fn is_file(arg: &clap::Arg) -> bool {
    const NAMES: [&str; 6] = ["FILE", "DIR", "PLAYBOOK", "PLAN", "INVENTORY", "SOURCE"];
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|name| NAMES.iter().any(|known| name.contains(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Vec<String> {
        let words: Vec<String> =
            ["certroll", VERB, "--line", line].iter().map(|word| (*word).to_owned()).collect();
        let text = asked(&words).unwrap();
        text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn verbs_flags_and_values_are_known() {
        assert_eq!(said("certroll hist"), ["words", "hist", "history"]);
        assert_eq!(said("certroll apply --become-m"), ["words", "--become-m", "--become-method"]);
        assert_eq!(said("certroll apply --become-method d"), ["words", "d", "doas"]);
        let attached = said("certroll apply --become-method=d");
        assert_eq!(attached, ["words", "--become-method=d", "--become-method=doas"]);
        assert_eq!(said("certroll services --show postf")[2], "postfix");
        assert_eq!(said("certroll history show --format h"), ["words", "h", "html"]);
        assert!(said("certroll completions ").contains(&"fish".to_owned()));
        assert!(said("certroll help ").contains(&"exit-codes".to_owned()));
        assert!(said("certroll man app").contains(&"apply".to_owned()));
    }

    #[test]
    fn hosts_and_groups_are_those_of_the_inventory_on_the_line() {
        let line = "certroll ping -i web1,web2,db1, ";
        assert_eq!(said(&format!("{line}web")), ["words", "web", "web1", "web2"]);
        assert_eq!(
            said(&format!("{line}--limit 'web1:!w")),
            ["words", "web1:!w", "web1:!web1", "web1:!web2"]
        );
        assert_eq!(
            said(&format!("{line}--limit=db1,@f")),
            ["words", "--limit=db1,@f", "--limit=db1,@failed"]
        );
        assert_eq!(said("certroll inventory -i web1, --graph al"), ["words", "al", "all"]);
    }

    #[test]
    fn a_file_is_left_to_the_shell() {
        for line in ["certroll apply ", "certroll plan p.yml -i ", "certroll plan p.yml --report x"]
        {
            assert_eq!(said(line)[0], "files", "{line}");
        }
        assert_eq!(said("certroll plan p.yml --forks "), ["words", ""]);
    }

    #[test]
    fn nonsense_is_no_candidate() {
        for line in ["", "certroll", "certroll nothing ", "certroll apply -- --li", "certroll 'zz"]
        {
            assert!(said(line).len() <= 2 || line == "certroll", "{line}: {:?}", said(line));
        }
        assert_eq!(asked(&["certroll".to_owned(), "plan".to_owned()]), None);
    }
}
