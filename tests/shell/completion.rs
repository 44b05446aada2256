//! Completions in the shells that people type in: a line is typed on a terminal, with a tab at its end, and what the
//! program is then called with is looked at.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const PLAYBOOK: &str = "- hosts: all\n  tasks:\n  - name: publish\n    command: /bin/true\n    tags: [deploy]\n  - name: look\n    command: /bin/true\n    tags: [check]\n";

/// Lines up to the tab, and the arguments that come of each.
const LINES: [(&str, &str); 11] = [
    ("hist", "history"),
    ("apply play.yml --become-m", "apply play.yml --become-method"),
    ("apply play.yml --become-method=do", "apply play.yml --become-method=doas"),
    ("inventory -i alpha1,beta1, --host al", "inventory -i alpha1,beta1, --host alpha1"),
    ("ping -i alpha1,beta1, --limit beta1,alp", "ping -i alpha1,beta1, --limit beta1,alpha1"),
    ("ping -i alpha1,beta1, --limit beta1:alp", "ping -i alpha1,beta1, --limit beta1:alpha1"),
    ("plan play.yml -i alpha1, --tags check,dep", "plan play.yml -i alpha1, --tags check,deploy"),
    ("services --show ngh", "services --show nghttpx"),
    ("plan pla", "plan play.yml"),
    // What others may write into an inventory is a word, and no command.
    ("ping -i hosts.ini --limit od", "ping -i hosts.ini --limit odd$(id)"),
    // An inventory that is a program is not run by a key.
    ("ping -i program --limit ran", "ping -i program --limit ran"),
];

/// A directory with a playbook and a `certroll` that completes like the real one, and else notes its arguments.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("play.yml"), PLAYBOOK).expect("writable");
    fs::write(place.path().join("hosts.ini"), "odd$(id)\n").expect("writable");
    let inventory = place.path().join("program");
    let answer = r#"{"web": {"hosts": ["ran-it"]}, "_meta": {"hostvars": {}}}"#;
    fs::write(&inventory, format!("#!/bin/sh\necho '{answer}'\n")).expect("writable");
    fs::set_permissions(&inventory, fs::Permissions::from_mode(0o755)).expect("its mode is ours");
    let real = env!("CARGO_BIN_EXE_certroll");
    let script = format!(
        "#!/bin/sh\ncase $1 in\n__complete|completions) exec {real} \"$@\" ;;\n*) printf '%s\\n' \"$*\" >>called ;;\nesac\n"
    );
    let program = place.path().join("certroll");
    fs::write(&program, script).expect("writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode is ours");
    place
}

fn shell(place: &Path, program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .current_dir(place)
        .env("PATH", format!("{}:{path}", place.display()))
        .env("HOME", place)
        .env("TERM", "xterm");
    command
}

/// What the program is called with after `lines` were typed in an interactive shell, each with a tab at its end.
fn typed(shell_command: &str, setup: &str) -> Vec<String> {
    let place = place();
    // `script` gives the shell a terminal.
    let mut child = shell(place.path(), "script")
        .args(["-qec", shell_command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut keys = child.stdin.take().expect("a pipe");
    let lines: String = LINES.iter().map(|(line, _)| format!("certroll {line}\t\n")).collect();
    keys.write_all(format!("{setup}\n{lines}exit\n").as_bytes()).expect("the shell reads");
    let ended = child.wait_with_output().expect("the shell ends");
    drop(keys);
    let called = fs::read_to_string(place.path().join("called"));
    let called = called.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ended.stdout)));
    called.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn wanted() -> Vec<String> {
    LINES.iter().map(|(_, wanted)| (*wanted).to_owned()).collect()
}

#[test]
fn bash_completes_values() {
    assert_eq!(
        typed("bash --norc --noprofile -i", "source <(certroll completions bash)"),
        wanted()
    );
}

#[test]
fn zsh_completes_values() {
    let setup = "autoload -U compinit; compinit -u -D; source <(certroll completions zsh)";
    assert_eq!(typed("zsh -f -i", setup), wanted());
}

#[test]
fn fish_completes_values() {
    let place = place();
    for (line, wanted) in LINES {
        let ask = format!("certroll completions fish | source; complete -C 'certroll {line}'");
        let ended = shell(place.path(), "fish").args(["--no-config", "-c", &ask]).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let last = wanted.split(' ').next_back().unwrap();
        let found = said.lines().filter_map(|line| line.split('\t').next());
        // Where nothing is known, the line stays as it was typed.
        let wanted = Some(last).filter(|last| !line.ends_with(last));
        assert_eq!(
            found.collect::<Vec<_>>(),
            wanted.into_iter().collect::<Vec<_>>(),
            "{line}: {said} {ended:?}"
        );
    }
}
