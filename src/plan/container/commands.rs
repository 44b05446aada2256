//! The commands, as text for the host's shell.

use crate::host::{
    Container, ContainerFacts, ContainerState, Engine, Held, HostFacts, RunningCheck, TimedCommand,
};
use crate::model::command::quote;
use crate::model::{CommandLine, RemotePath};
use crate::plan::desired::{DesiredState, FileWant, Told};
use std::sync::Arc;
use std::time::Duration;

const ENTER: &str = include_str!("enter.sh");
const INSIDE: &str = include_str!("inside.sh");
const ENGINE: &str = include_str!("engine.sh");

/// Without its comments.
fn text(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// What goes into a container, and what it runs in there: in one text, as each takes the host a process to decode.
fn enter() -> String {
    format!("inside={}\n{}", quote(&text(INSIDE)), text(ENTER))
}

/// A container of a host, for one service.
pub(super) struct Inside<'a> {
    /// Which of those that were asked for.
    pub index: usize,
    /// The first of the task's certificates that the service reads.
    pub pair: usize,
    pub container: &'a Container,
    pub there: &'a ContainerFacts,
    pub facts: &'a HostFacts,
}

/// The placeholder of a staged file; these are letters.
fn staged(index: usize) -> String {
    let letter = |digit: char| char::from(b'a' + u8::try_from(digit).unwrap_or(b'0') - b'0');
    format!("staged_{}", index.to_string().chars().map(letter).collect::<String>())
}

/// How files can be shown to a program of the container before they are live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enterable {
    /// In a private copy of its mounts.
    Mounts,
    /// In another container of its image.
    Throwaway,
}

/// A check's command, and what its placeholders stand for.
pub(super) type Prepared = (CommandLine, Vec<(String, RemotePath)>);

impl Inside<'_> {
    pub(super) fn enterable(&self) -> Enterable {
        if self.there.can_enter { Enterable::Mounts } else { Enterable::Throwaway }
    }

    /// How this container sees file number `index` of the inspection.
    fn held(&self, index: usize) -> Option<&Held> {
        let held = &self.facts.files.get(index)?.held;
        held.iter().find(|held| held.asked == Some(self.index))
    }

    pub(super) fn holds_single_files(&self, desired: &DesiredState) -> bool {
        (0..desired.files.len())
            .any(|index| self.held(index).is_some_and(|held| held.kind.is_single()))
    }

    /// The files that the container sees: which, and their directory and name in there.
    fn places(&self, files: usize) -> impl Iterator<Item = (usize, String, String)> {
        (0..files).filter_map(|index| {
            let (directory, name) = self.held(index)?.path.rsplit_once('/')?;
            Some((index, directory.to_owned(), name.to_owned()))
        })
    }

    /// Directories in which a file is new: on the host, and in there.
    fn new_directories(&self, files: usize) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (index, directory, _) in self.places(files) {
            let Some(there) = self.facts.files.get(index).filter(|there| there.file().is_none())
            else {
                continue;
            };
            let real = there.real_path.as_ref().map(RemotePath::directory);
            let from = real.and_then(|real| std::str::from_utf8(real).ok());
            if let Some(from) = from
                && !found.iter().any(|(_, known)| *known == directory)
            {
                found.push((from.to_owned(), directory));
            }
        }
        found
    }

    /// `{cert}` and the others are paths in the container there.
    fn with_paths(&self, command: &CommandLine, files: &[Arc<FileWant>]) -> CommandLine {
        use crate::host::FileRole;
        let place = |roles: &[FileRole]| {
            let mut fitting = files.iter().enumerate().filter(|(_, file)| file.pair == self.pair);
            let (index, file) = fitting.find(|(_, file)| roles.contains(&file.role))?;
            let path = self.held(index).map(|held| held.path.clone());
            path.or_else(|| Some(file.path.to_string()))
        };
        command.expand(|name| match name {
            "cert" => place(&[FileRole::Certificate, FileRole::Combined]),
            "key" => place(&[FileRole::Key, FileRole::Combined]),
            "chain" => place(&[FileRole::Chain, FileRole::Certificate, FileRole::Combined]),
            _ => None,
        })
    }

    /// Over the staged files, in a private copy of the container's mounts.
    pub(super) fn entered(
        &self,
        command: &CommandLine,
        private_net: bool,
        files: &[Arc<FileWant>],
    ) -> Prepared {
        let as_user =
            self.there.runs_as.map_or("-".to_owned(), |(user, group)| format!("{user}:{group}"));
        let mut words = vec!["/bin/sh".to_owned(), "-c".to_owned(), enter(), "certroll".to_owned()];
        words.extend([self.there.pid.to_string(), self.there.started.clone(), as_user]);
        words.push(u8::from(private_net).to_string());
        let mut names = Vec::new();
        // What is not there yet has nothing to be mounted on: its directory gets a copy.
        let copied: Vec<(String, String)> = self.new_directories(files.len());
        for (from, at) in &copied {
            words.extend(["over".to_owned(), from.clone(), at.clone()]);
            for (index, _, name) in self.places(files.len()).filter(|(_, there, _)| there == at) {
                words.extend(["put".to_owned(), format!("{{{}}}", staged(index)), name]);
            }
        }
        for (index, directory, name) in self.places(files.len()) {
            if !copied.iter().any(|(_, at)| *at == directory) {
                let at = format!("{directory}/{name}");
                words.extend(["bind".to_owned(), format!("{{{}}}", staged(index)), at]);
            }
            names.push((staged(index), files[index].path.clone()));
        }
        words.push("--".to_owned());
        words.extend(self.with_paths(command, files).argv());
        (CommandLine::Argv(words), names)
    }

    /// In another container of the same image, with the volumes of this one and the staged files over them.
    pub(super) fn throwaway(&self, command: &CommandLine, files: &[Arc<FileWant>]) -> Prepared {
        let mut script = self.engine();
        script.push_str("inspected\nimage=$(engine container inspect -f '{{.Image}}' \"$name\") || exit 123\nengine run --rm --volumes-from \"$name\" --network none");
        let mut names = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let path =
                self.held(index).map_or_else(|| file.path.to_string(), |held| held.path.clone());
            script.push_str(&format!(" -v {{{}}}:{}:ro", staged(index), quote(&path)));
            names.push((staged(index), file.path.clone()));
        }
        let argv = self.with_paths(command, files).argv();
        let (program, rest) =
            argv.split_first().map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
        let rest: Vec<String> = rest.iter().map(|word| quote(word)).collect();
        script.push_str(&format!(
            " --entrypoint {} \"$image\" {}\n",
            quote(program),
            rest.join(" ")
        ));
        script.push_str("rc=$?\ncase $rc in 125) echo \"certroll: the engine failed\"; exit 123;; 126|127) echo \"certroll: the container $name has no program \"");
        script.push_str(&quote(program));
        script.push_str(";; esac\nexit $rc\n");
        (CommandLine::Shell(script), names)
    }

    /// What runs the engine, and the functions that use it.
    fn engine(&self) -> String {
        let engine =
            self.there.engine.or(self.container.engine).unwrap_or(Engine::Podman).program();
        let call = match (&self.container.user, &self.there.user) {
            (Some(name), Some((home, uid))) if self.facts.uid != *uid => format!(
                "runuser -u {} -- env HOME={} XDG_RUNTIME_DIR=/run/user/{uid} {engine}",
                quote(name),
                quote(home)
            ),
            _ => engine.to_owned(),
        };
        format!(
            "cd /\nengine() {{ {call} \"$@\"; }}\nname={}\n{}\n",
            quote(&self.container.name),
            text(ENGINE)
        )
    }

    /// The engine's name, for people.
    fn program(&self) -> &'static str {
        self.there.engine.or(self.container.engine).unwrap_or(Engine::Podman).program()
    }

    /// The lines that compare every file with what the container sees.
    fn proofs(&self, desired: &DesiredState) -> String {
        let mut lines = String::new();
        for index in 0..desired.files.len() {
            let Some(held) = self.held(index) else { continue };
            let real = self.facts.files.get(index).and_then(|there| there.real_path.as_ref());
            let Some(real) = real.and_then(RemotePath::to_str) else { continue };
            lines.push_str(&format!("sees {} {}\n", quote(real), quote(&held.path)));
        }
        lines.push_str("seen\n");
        lines
    }

    /// The reload; `None`: it is told in another way, or not.
    pub(super) fn told(&self, told: &Told, desired: &DesiredState) -> Option<CommandLine> {
        let name = &self.container.name;
        let (label, look, act) = match told {
            Told::Otherwise => return None,
            Told::Program(command) => {
                let command = self.with_paths(command, &desired.files);
                let words: Vec<String> = command.argv().iter().map(|word| quote(word)).collect();
                let label = format!("{} exec {name} {}", self.program(), command.brief());
                let ContainerFacts { pid, started, .. } = self.there;
                (
                    label,
                    format!("known {pid} {}", quote(started)),
                    format!("inside {}", words.join(" ")),
                )
            }
            Told::Signal(signal) => {
                let label = format!("kill -{signal} to the first process of container {name}");
                (label, "inspected".to_owned(), format!("signal {}", quote(signal)))
            }
        };
        let label = label.replace('\n', " ");
        Some(CommandLine::Shell(format!(
            "# {label}\n{}{look}\n{}{act}\n",
            self.engine(),
            self.proofs(desired)
        )))
    }

    /// A restart of the container in place of a reload, after which it must see the new files.
    pub(super) fn restart(&self, desired: &DesiredState) -> CommandLine {
        let label = format!("{} restart {}", self.program(), self.container.name);
        CommandLine::Shell(format!("# {label}\n{}restart\n{}", self.engine(), self.proofs(desired)))
    }

    /// Starts it again.
    pub(super) fn recover(&self) -> CommandLine {
        let label = format!("{} restart {}", self.program(), self.container.name);
        CommandLine::Shell(format!("# {label}\n{}restart\n", self.engine()))
    }

    /// Whether it runs: its first process is still there, else the engine is asked.
    pub(super) fn running(&self) -> RunningCheck {
        let asked = TimedCommand {
            command: CommandLine::Shell(format!("{}inspected\n", self.engine())),
            timeout: Duration::from_secs(20),
        };
        match self.there.state {
            ContainerState::Running => RunningCheck::First {
                pid: self.there.pid,
                started: self.there.started.clone(),
                otherwise: asked,
            },
            _ => RunningCheck::Command(asked),
        }
    }
}

/// A check of the untouched configuration: nothing is mounted.
pub(in crate::plan) fn untouched(command: &CommandLine, private_net: bool) -> CommandLine {
    of_inspection(command, private_net, "")
}

/// With garbage in place of the files that have these numbers in the inspection.
pub(in crate::plan) fn entered_with_garbage(
    command: &CommandLine,
    private_net: bool,
    files: &[usize],
) -> CommandLine {
    let junk = |index: &usize| format!(" ${{certroll_at_{index}:+junk \"$certroll_at_{index}\"}}");
    let any: Vec<String> = files.iter().map(|index| format!("${{certroll_at_{index}-}}")).collect();
    let words: String = files.iter().map(junk).collect();
    let CommandLine::Shell(script) = of_inspection(command, private_net, &words) else {
        return command.clone();
    };
    // Where the container sees none of them nothing could be refused.
    CommandLine::Shell(format!("[ -n \"{}\" ] || exit 127\n{script}", any.concat()))
}

/// The inspection says which container it is, in its commands' environment.
fn of_inspection(command: &CommandLine, private_net: bool, words: &str) -> CommandLine {
    let argv: Vec<String> = command.argv().iter().map(|word| quote(word)).collect();
    CommandLine::Shell(format!(
        "exec /bin/sh -c {} certroll \"$certroll_pid\" \"$certroll_started\" \"$certroll_as\" {}{words} -- {}",
        quote(&enter()),
        u8::from(private_net),
        argv.join(" ")
    ))
}
