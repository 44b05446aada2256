//! A profile's commands as the transaction can run them.

use crate::model::command::{Piece, pieces, quote, replace};
use crate::model::{CommandLine, RemotePath};
use crate::services::{Files, Via};

/// The template's file in the scripts made here.
const TEMPLATE: &str = "\"$d/config.yaml\"";

/// Whether it names one of the files.
pub(super) fn names_files(command: &CommandLine) -> bool {
    has_placeholder(command, |name| Files::NAMES.contains(&name))
}

/// Whether `{name}` stands in it.
pub(super) fn mentions(command: &CommandLine, name: &str) -> bool {
    has_placeholder(command, |known| known == name)
}

fn has_placeholder(command: &CommandLine, known: impl Fn(&str) -> bool) -> bool {
    let names =
        |text: &String| pieces(text, &known).iter().any(|piece| matches!(piece, Piece::Name(_)));
    match command {
        CommandLine::Argv(argv) => argv.iter().any(names),
        CommandLine::Shell(text) => names(text),
    }
}

/// With an empty home directory, a configuration file made of a template, and silence, where the
/// step asks for them. A command that needs none of these stays as it is.
pub(super) fn prepared(
    command: &CommandLine,
    via: &Via,
    scratch_home: bool,
    discard_output: bool,
) -> CommandLine {
    let template = match via {
        Via::Template(text) => Some(text.as_str()),
        _ => None,
    };
    if template.is_none() && !scratch_home && !discard_output {
        return command.clone();
    }
    let mut script = String::new();
    if template.is_some() || scratch_home {
        script.push_str("umask 077; d=$(mktemp -d) || exit 126; trap 'rm -rf \"$d\"' EXIT; ");
    }
    if scratch_home {
        script.push_str("HOME=$d; export HOME; ");
    }
    if let Some(text) = template {
        script.push_str(&write_template(text));
    }
    script.push_str(&in_shell(command));
    if discard_output {
        // What it says when it fails comes on standard error.
        script.push_str(" >/dev/null");
    }
    CommandLine::Shell(script)
}

/// Writes the template with `{cert}` and the others in double quotes, as JSON and YAML want it.
/// The placeholders stay for the transaction, which knows the staged paths.
fn write_template(text: &str) -> String {
    let mut script = "printf '%s' ".to_owned();
    for piece in pieces(text, is_path) {
        match piece {
            Piece::Name(name) => script.push_str(&format!("'\"'{{{name}}}'\"'")),
            Piece::Text(text) => script.push_str(&quote(text)),
        }
    }
    script.push_str(" >\"$d/config.yaml\" || exit 126; ");
    script
}

/// The placeholders that are left to the transaction, which knows the staged paths.
fn is_path(name: &str) -> bool {
    Files::NAMES.contains(&name) && name != "template"
}

/// As shell text; placeholders stay, `{template}` is the file written before.
pub(super) fn in_shell(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(text) => {
            let file = |name: &str| (name == "template").then(|| TEMPLATE.to_owned());
            format!("( {}\n)", replace(text, &file))
        }
        CommandLine::Argv(argv) => {
            let words: Vec<String> = argv.iter().map(|word| shell_word(word)).collect();
            words.join(" ")
        }
    }
}

/// One word: quoted, but with its placeholders outside the quotes, because they bring their own.
fn shell_word(word: &str) -> String {
    let text: String = pieces(word, |name| is_path(name) || matches!(name, "template" | "certs"))
        .into_iter()
        .map(|piece| match piece {
            Piece::Name("template") => TEMPLATE.to_owned(),
            Piece::Name(name) => format!("{{{name}}}"),
            Piece::Text(text) => quote(text),
        })
        .collect();
    if text.is_empty() { "''".to_owned() } else { text }
}

/// As another user (`user` is a word of shell text), or with a scratch directory that nobody else sees. Where the host cannot do that it
/// ends with 127, as where the program is missing.
pub(super) fn unseen(command: CommandLine, scratch: bool, user: Option<&str>) -> CommandLine {
    if !scratch && user.is_none() {
        return command;
    }
    let mut script = "[ \"$(id -u)\" = 0 ] || exit 127; ".to_owned();
    let mut inner = "exec \"$@\"".to_owned();
    if scratch {
        script.push_str("unshare -m true 2>/dev/null || exit 127; ");
        inner.insert_str(0, "mount -t tmpfs -o mode=1777 certroll /tmp || exit 127; ");
    }
    let words: Vec<String> = command.argv().iter().map(|word| quote(word)).collect();
    let mut words = words.join(" ");
    if let Some(user) = user {
        script.push_str("command -v runuser >/dev/null || exit 127; ");
        words = format!("runuser -u {user} -- {words}");
    }
    let enter = if scratch { "exec unshare -m sh -c" } else { "exec sh -c" };
    script.push_str(&format!("{enter} {} sh {words}", quote(&inner)));
    CommandLine::Shell(script)
}

/// With garbage in place of `files`, in a private mount namespace that nobody else sees. Where that cannot be had the
/// command is not run, and 127 is its exit code. `user` is a word of shell text. `None`: a path is not text.
pub(super) fn with_garbage(
    command: &CommandLine,
    files: &[&RemotePath],
    scratch: bool,
    private_net: bool,
    user: Option<&str>,
) -> Option<CommandLine> {
    let mut inner = "d=/dev/shm; [ -d $d ] || d=/tmp; mount -t tmpfs -o mode=755 certroll $d || exit 127; \
                     echo garbage >$d/garbage && chmod 644 $d/garbage || exit 127; \
                     while [ \"$1\" != -- ]; do mount --bind $d/garbage \"$1\" 2>/dev/null || exit 127; shift; done; \
                     shift; umount -l $d; "
        .to_owned();
    if scratch {
        inner.push_str("mount -t tmpfs -o mode=1777 certroll /tmp || exit 127; ");
    }
    inner.push_str("exec \"$@\"");
    let mut words: Vec<String> = Vec::new();
    for file in files {
        words.push(quote(file.to_str()?));
    }
    words.push("--".to_owned());
    let mut script = "[ \"$(id -u)\" = 0 ] || exit 127; ".to_owned();
    if let Some(user) = user {
        script.push_str("command -v runuser >/dev/null || exit 127; ");
        words.push(format!("runuser -u {user} --"));
    }
    words.extend(command.argv().iter().map(|word| quote(word)));
    let namespaces = if private_net { "-m -n" } else { "-m" };
    script.push_str(&format!(
        "unshare {namespaces} true 2>/dev/null || exit 127; exec unshare {namespaces} sh -c {} sh {}",
        quote(&inner),
        words.join(" ")
    ));
    Some(CommandLine::Shell(script))
}

/// Creates what a sealed boot needs before the service is started.
pub(super) fn boot(start: &CommandLine, mkdir: &[crate::services::MakeDir]) -> CommandLine {
    let mut script = String::new();
    for dir in mkdir {
        let path = quote(&dir.path.to_string());
        if let Some(owner) = &dir.owner {
            script.push_str(&format!("chown {} {path} || exit 126; ", quote(&owner.to_string())));
        }
        if let Some(mode) = dir.mode {
            script.push_str(&format!("chmod {mode} {path} || exit 126; "));
        }
    }
    if script.is_empty() {
        return start.clone();
    }
    script.push_str(&in_shell(start));
    CommandLine::Shell(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> CommandLine {
        CommandLine::Argv(words.iter().map(|&word| word.to_owned()).collect())
    }

    fn run(command: &CommandLine) -> (bool, String) {
        let argv = command.argv();
        let output = std::process::Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn a_template_becomes_a_file_with_quoted_paths() {
        let via = Via::Template("a: {b: {cert}, it's: {key}}\n".to_owned());
        let made = prepared(&argv(&["cat", "{template}"]), &via, false, false);
        let made = made.expand(|name| match name {
            "cert" => Some("/x y/c.pem".to_owned()),
            "key" => Some("/k'.pem".to_owned()),
            _ => None,
        });
        assert_eq!(run(&made), (true, "a: {b: \"/x y/c.pem\", it's: \"/k'.pem\"}\n".to_owned()));
    }

    #[test]
    fn envoys_template_stays_yaml_with_any_path() {
        let (profiles, _) = crate::services::Profiles::from_sources(&[]).unwrap();
        let via = profiles.find("envoy").unwrap().validate[0].via.clone();
        let hostile = "/etc/x 'y {key}: - #.pem";
        let made = prepared(&argv(&["cat", "{template}"]), &via, false, false);
        let made = made.expand(|name| match name {
            "cert" => Some(hostile.to_owned()),
            "key" => Some("/k".to_owned()),
            _ => None,
        });
        let (fine, text) = run(&made);
        assert!(fine);
        let file = crate::source::SourceFile::new("filled", text);
        let (root, _) = crate::source::yaml::parse(&file).unwrap();
        assert_eq!(filenames(&root), [hostile, "/k"]);
    }

    fn filenames(node: &crate::source::Node) -> Vec<String> {
        let entries = node.as_map().into_iter().flatten();
        let below = entries.flat_map(|(key, value)| match (key.as_str(), value.as_str()) {
            (Some("filename"), Some(path)) => vec![path.to_owned()],
            _ => filenames(value),
        });
        below.chain(node.as_list().into_iter().flatten().flat_map(filenames)).collect()
    }

    #[test]
    fn a_scratch_home_is_empty_and_goes_away() {
        let command = argv(&["sh", "-c", "ls -A \"$HOME\"; echo \"$HOME\""]);
        let (fine, home) = run(&prepared(&command, &Via::Live, true, false));
        assert!(fine);
        assert!(!std::path::Path::new(home.trim()).exists(), "{home}");
        let quiet = prepared(&argv(&["sh", "-c", "echo hush; exit 3"]), &Via::Live, false, true);
        assert_eq!(run(&quiet), (false, String::new()));
    }

    #[test]
    fn plain_commands_stay() {
        let command = argv(&["nginx", "-t", "{print}"]);
        assert_eq!(prepared(&command, &Via::Live, false, false), command);
        assert!(!names_files(&command));
        assert!(names_files(&argv(&["x", "--cert={cert}"])));
    }
}
