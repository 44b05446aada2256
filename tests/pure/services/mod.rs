//! Service profiles: the built-in ones, errors at their place, extension, choice and expansion.

mod built_in;
mod own;
mod shown;

use certroll::testing::model::CommandLine;
use certroll::testing::services::{Profile, Profiles};
use certroll::testing::source::{Diagnostics, SourceFile};

fn load(files: &[(&str, &str)]) -> Result<Profiles, Diagnostics> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| SourceFile::new(format!("services/{name}"), *text))
        .collect();
    Profiles::from_sources(&files).map(|(profiles, warnings)| {
        assert_eq!(warnings, Diagnostics::default());
        profiles
    })
}

fn built_in(name: &str) -> Profile {
    load(&[]).expect("built-in profiles parse").find(name).expect("known").clone()
}

/// Every finding as `place: message [label] (help; help)`.
fn errors(text: &str) -> String {
    let found = load(&[("own.yml", text)]).expect_err("errors");
    let lines: Vec<String> = found
        .0
        .iter()
        .map(|one| {
            let label = one.label.as_ref().map(|label| format!(" [{label}]")).unwrap_or_default();
            let help = match one.help.join("; ") {
                none if none.is_empty() => none,
                help => format!(" ({help})"),
            };
            format!("{one}{label}{help}")
        })
        .collect();
    lines.join("\n")
}

fn argv(arguments: &[&str]) -> CommandLine {
    CommandLine::Argv(arguments.iter().map(|&argument| argument.to_owned()).collect())
}
