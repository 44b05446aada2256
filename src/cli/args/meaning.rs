//! Flags that a verb shares with others and that mean nothing to it.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// A verb, the flag, and why it means nothing there.
const MEANINGLESS: [(&str, &str, &str); 5] = [
    ("verify", "lock_timeout", "it takes no lock"),
    ("verify", "diff", "it compares no files"),
    ("status", "lock_timeout", "it takes no lock"),
    ("status", "diff", "it shows every certificate as it is"),
    ("recover", "diff", "it compares no certificates"),
];

/// Flags that are taken without effect, because the command to copy after a run may name them.
const WITHOUT_EFFECT: [(&str, &str); 6] = [
    ("verify", "force_handlers"),
    ("status", "force_handlers"),
    ("recover", "force_handlers"),
    ("verify", "allow_experimental"),
    ("status", "allow_experimental"),
    ("recover", "allow_experimental"),
];

/// The help of a verb does not name what means nothing to it.
pub(super) fn hidden(command: Command) -> Command {
    let all = MEANINGLESS.iter().map(|(verb, flag, _)| (*verb, *flag)).chain(WITHOUT_EFFECT);
    all.fold(command, |command, (verb, flag)| {
        command.mut_subcommand(verb, |verb| verb.mut_arg(flag, |arg| arg.hide(true)))
    })
}

/// What is wrong with the flags of a verb; none: nothing.
pub(in crate::cli) fn refused(matches: &ArgMatches) -> Option<String> {
    let (given, flags) = matches.subcommand()?;
    let is_given = |flag: &str| flags.value_source(flag) == Some(ValueSource::CommandLine);
    let wrong = MEANINGLESS.iter().filter(|(verb, flag, _)| *verb == given && is_given(flag));
    let wrong: Vec<String> = wrong
        .map(|(verb, flag, why)| {
            let flag = flag.replace('_', "-");
            format!("--{flag} means nothing to `certroll {verb}`: {why}")
        })
        .collect();
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    fn refusal(words: &[&str]) -> Option<String> {
        let words = ["certroll"].iter().chain(words);
        refused(&command().try_get_matches_from(words).expect("clap takes it"))
    }

    #[test]
    fn flags_without_meaning_are_named_with_the_reason() {
        let said = refusal(&["verify", "p.yml", "--lock-timeout", "5s", "-D"]).unwrap();
        assert_eq!(
            said,
            "--lock-timeout means nothing to `certroll verify`: it takes no lock\n\
             --diff means nothing to `certroll verify`: it compares no files"
        );
        assert_eq!(refusal(&["apply", "p.yml", "--lock-timeout", "5s", "-D"]), None);
        assert_eq!(refusal(&["status", "p.yml", "--force-handlers"]), None);
    }

    #[test]
    fn help_does_not_name_them() {
        let mut command = command();
        command.build();
        let mut help =
            |verb: &str| command.find_subcommand_mut(verb).unwrap().render_long_help().to_string();
        assert!(help("apply").contains("--lock-timeout"));
        assert!(!help("verify").contains("--lock-timeout") && !help("status").contains("--diff"));
    }
}
