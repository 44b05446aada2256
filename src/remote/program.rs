//! The shell text that runs on a host, and how it gets there.
//!
//! The host is given one short line that every login shell reads alike. It reads the program from
//! standard input and runs it, so neither program nor request ever shows in an argument list or in
//! sudo's log.

use crate::host::Verb;
use crate::transport::{Become, Launch};
use std::sync::LazyLock;

/// Reads lines up to `#go` and evaluates what came after the last `#script`; so a password that
/// sudo did not ask for is never evaluated. One line, no `'` within, no `!`, no double backslash.
pub const BOOTSTRAP: &str = concat!(
    "sh -c 'echo;echo @certroll1 - boot;n=$(echo;echo x);n=${n%x};s=;",
    "while IFS= read -r l;do case $l in \"#go\")break;;\"#script\")s=;;*)s=$s$l$n;;esac;done;",
    "eval \"$s\"' certroll"
);

/// As in [`BOOTSTRAP`], for the program after the first.
pub(super) const NEXT: &str =
    "while IFS= read -r l;do case $l in \"#go\")break;;\"#script\")s=;;*)s=$s$l$n;;esac;done;";

/// The bootstrap's loop in a new shell in the place of one that has a program's parts in it already: the next finds nothing of
/// them.
pub(super) const ANEW: &str = concat!(
    "#script\numask \"$mask\"\nexec sh -c 'n=$(echo;echo x);n=${n%x};s=;",
    "while IFS= read -r l;do case $l in \"#go\")break;;\"#script\")s=;;*)s=$s$l$n;;esac;done;",
    "eval \"$s\"' certroll <&3 3<&-\n#go\n"
);

/// Runs the text in `s` in a process of its own: variables, functions, traps, directory and descriptors go with it. ksh93
/// makes none for a subshell until that changes a limit. Nobody waits for an answer of one that broke off.
pub(super) const APART: &str =
    "(case ${KSH_VERSION-} in *93*)ulimit -t unlimited;;esac;eval \"$s\")||exit 1";

/// What the shell does after a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It ends with it.
    End,
    /// It waits for another, which finds nothing of this one.
    Another,
}

/// What the bootstrap prints first.
pub const READY: &str = "@certroll1 - boot";

/// A part of a program, by its path below `src/remote/sh`, where `README.md` explains them.
macro_rules! part {
    ($path:literal) => {
        include_str!(concat!("sh/", $path, ".sh"))
    };
}

/// What every program begins with: replies, texts, tools ([`Program::new`] puts it in front).
pub(super) const PRELUDE: &str = part!("core/prelude");
/// Running commands with a time limit: `run`, `watch`, `running`.
pub(crate) const RUN: &str = part!("core/run");
/// The host's lock: `find_lock_holder`, `lock`, `unlock`.
pub(crate) const LOCK: &str = part!("core/lock");
/// Where symbolic links lead.
const LINKS: &str = part!("files/links");

/// Whether sudo records what it is given, and what is said: `input_recorded`, `output_recorded`.
const RECORDED: &str = part!("core/recorded");
/// What nobody else can open: `sealing_half`, `sealing_agree`, `sealing_open`, `sealing_seal`.
const SEALING: &str = part!("core/sealing");
/// The body of a command or a module: `input_begin`, `input_agree`, `input_body`.
const INPUT: &str = part!("core/input");

/// What reads a host and what changes it have in common, after the prelude.
pub(super) const COMMON: [&str; 3] = [RUN, LOCK, LINKS];

/// A transaction's own parts: what is common to all kinds of targets, what is done with files, and the order of it all.
pub(super) const TRANSACTION: [&str; 20] = [
    part!("core/request"),
    part!("core/journal"),
    part!("core/wait"),
    part!("core/flush"),
    part!("core/services"),
    part!("core/recover"),
    part!("core/guard"),
    part!("core/boot"),
    part!("files/compare"),
    SEALING,
    part!("files/sealed"),
    part!("files/seed"),
    part!("files/stage"),
    part!("files/validate"),
    part!("files/switch"),
    part!("files/times"),
    part!("files/in_place"),
    part!("files/undo"),
    part!("files/finish"),
    part!("transaction"),
];

/// How a transaction goes on when all parts are there.
pub(super) const TRANSACTION_MAIN: &str = part!("transaction_main");

/// What only some inspections need: those of containers, of stores and of keys that stay on their hosts.
pub(super) const SELDOM: [&str; 2] = [part!("core/engines"), part!("files/enclosed")];

/// The own parts of what reads a host.
pub(super) const INSPECTION: [&str; 5] = [
    RECORDED,
    part!("core/processes"),
    part!("files/containers"),
    part!("files/inspect"),
    part!("inspection"),
];

/// How to start a program: [`Program::send`](Program::text) its text next.
pub fn launch(become_as: Option<Become>) -> Launch {
    Launch { become_as, ..Launch::new(BOOTSTRAP, READY) }
}

/// A program for a host, without comments, indentation and, unless hooked, without its steps.
#[derive(Clone, Debug)]
pub struct Program(String);

/// What every host is sent is put together once.
pub(super) static TRANSACTING: LazyLock<Program> = LazyLock::new(|| Program::transaction(None));
/// The same, to settle what earlier transactions left.
pub(super) static RECOVERING: LazyLock<Program> = LazyLock::new(|| Program::recovery(None));
/// The same, to read a host.
pub(super) static INSPECTING: LazyLock<Program> =
    LazyLock::new(|| Program::new(&[&COMMON[..], &SELDOM, &INSPECTION].concat()));
/// The same, for a single command.
pub(super) static COMMANDING: LazyLock<Program> =
    LazyLock::new(|| Program::new(&[RUN, RECORDED, SEALING, INPUT, part!("command_main")]));

/// The same, for the modules: each is sent what it needs.
static LOOKING: LazyLock<Program> =
    LazyLock::new(|| Program::of_module(&[RECORDED, SEALING, part!("modules/look")]));
static PUTTING: LazyLock<Program> =
    LazyLock::new(|| Program::of_module(&[RECORDED, SEALING, INPUT, part!("modules/put")]));
static FILING: LazyLock<Program> = LazyLock::new(|| Program::of_module(&[part!("modules/file")]));
static SERVING: LazyLock<Program> =
    LazyLock::new(|| Program::of_module(&[part!("modules/service")]));
static GROUPING: LazyLock<Program> =
    LazyLock::new(|| Program::of_module(&[part!("modules/account"), part!("modules/group")]));
static ACCOUNTING: LazyLock<Program> = LazyLock::new(|| {
    Program::of_module(&[RECORDED, SEALING, INPUT, part!("modules/account"), part!("modules/user")])
});

static GATHERING: LazyLock<Program> =
    LazyLock::new(|| Program::of_module(&[part!("modules/facts")]));

/// The program of a module.
pub(super) fn module(verb: Verb) -> &'static Program {
    match verb {
        Verb::Look => &LOOKING,
        Verb::Put => &PUTTING,
        Verb::File => &FILING,
        Verb::Service => &SERVING,
        Verb::Group => &GROUPING,
        Verb::User => &ACCOUNTING,
        Verb::Facts => &GATHERING,
    }
}

impl Program {
    fn of_module(parts: &[&str]) -> Self {
        let around = [&[RUN, part!("modules/core")], parts, &[part!("modules/main")]];
        Self::new(&around.concat())
    }

    /// A transaction.
    pub fn transaction(hook: Option<&str>) -> Self {
        Self::assemble(&[&COMMON[..], &TRANSACTION, &[TRANSACTION_MAIN]].concat(), hook)
    }

    /// Settles what earlier transactions left.
    pub fn recovery(hook: Option<&str>) -> Self {
        Self::assemble(&[&COMMON[..], &TRANSACTION, &[part!("recovery_main")]].concat(), hook)
    }

    /// The prelude followed by `parts`.
    pub fn new(parts: &[&str]) -> Self {
        Self::assemble(parts, None)
    }

    /// With a hook, shell text that defines a function `step`, that is called with a name between every
    /// two actions: tests stop or kill the program there.
    fn assemble(parts: &[&str], hook: Option<&str>) -> Self {
        let mut parts: Vec<&str> =
            hook.into_iter().chain([PRELUDE]).chain(parts.iter().copied()).collect();
        let last = parts.pop().unwrap_or_default();
        let hooked = hook.is_some();
        Self(format!("{}{}", in_pieces(&parts, hooked), stripped(last, hooked)))
    }

    /// The text for `sh`.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What the bootstrap reads: a few lines that fetch the rest in one piece. Reading line by line costs
    /// the shell a system call per byte: 20 ms of dash's time, 100 ms of mksh's. Where dd has no full
    /// blocks (it reads nothing then) that is the way.
    pub(super) fn framed(&self, then: Then) -> String {
        let end = "#end\n";
        let length = self.0.len() + end.len();
        let fetch = format!(
            "s=$(dd bs={length} count=1 iflag=fullblock 2>/dev/null)\n\
             [ -n \"$s\" ] || while IFS= read -r l;do s=$s$l$n;case $l in \"#end\")break;;esac;done\n"
        );
        let run = match then {
            Then::End => "case $s in *\"#end\"*)eval \"$s\";;esac\n".to_owned(),
            Then::Another => {
                format!("case $s in *\"#end\"*){APART};;esac\ns=;{NEXT}eval \"$s\"\n")
            }
        };
        format!("#script\n{fetch}{run}#go\n{}{end}", self.0)
    }
}

/// Parts that are evaluated one by one. zsh takes a text apart in a time that grows with its square: all parts at once
/// would take it four times as long.
fn in_pieces(parts: &[&str], hooked: bool) -> String {
    let piece = |part: &&str| format!("eval '{}'\n", stripped(part, hooked).replace('\'', r"'\''"));
    parts.iter().map(piece).collect()
}

/// A part without comments, indentation and, unless it is hooked, without its steps. A line that begins inside quotes is
/// text and no code: it stays as it is.
pub(super) fn stripped(part: &str, hooked: bool) -> String {
    let mut text = String::new();
    let mut quote = Quote::None;
    for line in part.lines() {
        let code = line.trim_start();
        let is_step = code.starts_with("step ") && !hooked;
        if quote != Quote::None {
            text.push_str(line);
            text.push('\n');
        } else if !code.is_empty() && !code.starts_with('#') && !is_step {
            text.push_str(code);
            text.push('\n');
        } else {
            continue;
        }
        quote = quote.after(line);
    }
    text
}

/// The quotes that a place in a shell text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

impl Quote {
    /// Those at the end of a line that begins in these. Quotes within `"$(…)"` and `"${…}"` come in pairs on a line.
    fn after(self, line: &str) -> Self {
        let (mut quote, mut word_begins) = (self, true);
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            quote = match (quote, character) {
                (Self::None, '#') if word_begins => break,
                (Self::None | Self::Double, '\\') => {
                    characters.next();
                    quote
                }
                (Self::None, '\'') => Self::Single,
                (Self::None, '"') => Self::Double,
                (Self::Single, '\'') | (Self::Double, '"') => Self::None,
                _ => quote,
            };
            word_begins = character.is_ascii_whitespace() || character == ';';
        }
        quote
    }
}

/// A random word that the replies of one program carry, so that nothing else can look like one.
pub(super) fn nonce() -> String {
    format!("{:024x}", rand::random::<u128>() >> 32)
}

#[cfg(test)]
mod tests {
    use super::super::encode::encode;
    use super::*;
    use std::process::Command;

    const SHELLS: [&[&str]; 6] = [
        &["dash"],
        &["busybox", "sh"],
        &["bash", "--posix"],
        &["mksh"],
        &["ksh93"],
        &["zsh", "--emulate", "sh"],
    ];

    #[test]
    fn comments_indentation_and_steps_are_left_out() {
        let program = Program::new(&["# no\n  a() {\n    step one\n    b # stays\n  }\n"]);
        assert!(program.text().ends_with("a() {\nb # stays\n}\n"), "{}", program.text());
        let hooked = Program::assemble(&["step one\n"], Some("step() { :; }"));
        assert!(hooked.text().starts_with("eval 'step() { :; }\n'\n"));
        assert!(hooked.text().ends_with("step one\n"));
    }

    #[test]
    fn lines_inside_quotes_stay_as_they_are() {
        let quoted =
            "awk 'BEGIN { x = \"it\"\n  # no comment\n\nstep into\n}'\nsay \"a\n  step b\n# c\"\n";
        let code =
            "  [ $# = 0 ] || x=${y#\\\"} # it's\n# don't\ncase $x in '\"') ;; esac\n  step gone\n";
        let wanted = "[ $# = 0 ] || x=${y#\\\"} # it's\ncase $x in '\"') ;; esac\n";
        assert_eq!(stripped(&format!("{quoted}{code}"), false), format!("{quoted}{wanted}"));
    }

    #[test]
    fn every_part_closes_its_quotes() {
        let parts = [
            &COMMON[..],
            &TRANSACTION[..],
            &SELDOM[..],
            &INSPECTION[..],
            &[part!("command_main"), PRELUDE],
            &[part!("modules/core"), part!("modules/main"), part!("modules/look")],
            &[part!("modules/put"), part!("modules/file"), part!("modules/service")],
            &[part!("modules/account"), part!("modules/group"), part!("modules/user")],
            &[part!("modules/facts")],
            &[part!("transaction_main"), part!("recovery_main")],
        ];
        for part in parts.concat() {
            let end = part.lines().filter(|line| !line.trim_start().starts_with('#'));
            let end = end.fold(Quote::None, Quote::after);
            assert_eq!(end, Quote::None, "{}", part.lines().next().unwrap());
        }
    }

    #[test]
    fn the_bootstrap_is_one_quotable_line() {
        assert!(!BOOTSTRAP.contains(['!', '\n']));
        assert_eq!(BOOTSTRAP.matches('\'').count(), 2);
        assert!(BOOTSTRAP.len() < 250);
    }

    /// Runs `tail` after the prelude in every shell that is installed and gives its output.
    fn in_every_shell(tail: &str) -> Vec<(String, Vec<u8>)> {
        let text = format!("{}{tail}", Program::new(&[RUN, LOCK]).text());
        let mut outputs = Vec::new();
        for shell in SHELLS {
            let mut command = Command::new(shell[0]);
            command.args(&shell[1..]).args(["-c", &text, "certroll"]);
            let Ok(output) = command.output() else { continue };
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
            outputs.push((shell.join(" "), output.stdout));
        }
        assert!(!outputs.is_empty());
        outputs
    }

    #[test]
    fn every_byte_survives_the_way_there_and_back() {
        let every: Vec<u8> = (1..=255).collect();
        for bytes in [&every[..], b"", b"\n", b"a\n\n", b"\\0101%141", b"-n", b" a  b "] {
            let word = encode(bytes);
            let tail = format!(
                "dec {word}; x=$v; enc \"$x\"; dec \"$v\"; [ \"$v\" = \"$x\" ] && echo ok\n\
                 enc \"$x\"; printf %s \"$x\" | od -An -v -tx1 | tr -d ' \\n'\n"
            );
            for (shell, output) in in_every_shell(&tail) {
                let output = String::from_utf8(output).unwrap();
                assert_eq!(output, format!("ok\n{}", hex::encode(bytes)), "{shell}");
            }
        }
    }

    #[test]
    fn a_program_arrives_whole_with_and_without_full_blocks() {
        use std::io::Write;
        use std::process::Stdio;
        let dir = tempfile::tempdir().unwrap();
        let dd = dir.path().join("dd");
        std::fs::write(&dd, "#!/bin/sh\necho unknown operand >&2\nexit 1\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&dd, mode).unwrap();
        let path = std::env::var("PATH").unwrap();
        // A part that others follow is quoted once more, whatever quotes are in it.
        let part = "arrived() {\nsay '\"it'\\''s\"' \"$1 '\"\n}\n";
        let program = Program::new(&[part, "read -r l <&3\narrived \"$l\"\n"]);
        for shell in SHELLS {
            for path in [path.clone(), format!("{}:{path}", dir.path().display())] {
                let text = BOOTSTRAP.split('\'').nth(1).unwrap();
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]).args(["-c", text, "certroll"]).env("PATH", path);
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
                let Ok(mut child) = command.spawn() else { continue };
                let input = format!("password\n{}after it\n", program.framed(Then::End));
                child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
                let output = child.wait_with_output().unwrap().stdout;
                let output = String::from_utf8(output).unwrap();
                let wanted = format!("\n{READY}\n@certroll1 - \"it's\" after it '\n");
                assert_eq!(output, wanted, "{shell:?}");
            }
        }
    }

    /// The first program sets whatever a program could leave behind: the second finds the shell as it does alone.
    #[test]
    fn nothing_of_a_program_reaches_the_one_after_it() {
        use std::io::Write;
        use std::process::Stdio;
        let first = Program::new(&["nonce=first\nread -r l <&3\nsay \"$l\"\n\
            say() { echo forged; }; v=x s=x n=x l=x journal=/x; LC_ALL=x; export EVIL=x; IFS=:; set -- a b\n\
            cd /usr; umask 777; trap 'echo trapped' EXIT TERM HUP PIPE; alias echo='echo aliased' 2>/dev/null\n\
            exec 3</dev/null 4</dev/null 5>/dev/null; set +f; ulimit -f 1; readonly tx=x\n"]);
        let second = Program::new(&["nonce=second; tx=y\n{ read -r l <&3; } 2>/dev/null\n\
            say \"$l $# ${v-} ${EVIL-} ${journal-} $LC_ALL\" \"$(pwd)\" \"$(trap)\" \"$mask\" \"$(ulimit -f)\" \"$-\" \"$(alias)\"\n\
            { true <&4; } 2>/dev/null && say four; { true >&5; } 2>/dev/null && say five\n\
            set | grep -c '' >/dev/null; say end\n"]);
        for shell in SHELLS {
            let text = BOOTSTRAP.split('\'').nth(1).unwrap();
            let output = |input: &str| {
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]).args(["-c", text, "certroll"]).current_dir("/tmp");
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
                let mut child = command.spawn().ok()?;
                child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
                let output = child.wait_with_output().unwrap().stdout;
                Some(String::from_utf8(output).unwrap())
            };
            let alone = format!("{}request\n", second.framed(Then::End));
            let Some(alone) = output(&alone) else { continue };
            let after = format!(
                "{}request\n{}request\n",
                first.framed(Then::Another),
                second.framed(Then::End)
            );
            let after = output(&after).unwrap();
            let (by_first, by_second) = after.split_once("@certroll1 second").unwrap();
            assert!(by_first.contains("@certroll1 first request\n"), "{shell:?}: {after}");
            let (_, wanted) = alone.split_once("@certroll1 second").unwrap();
            assert!(wanted.contains("request 0"), "{shell:?}: {alone}");
            assert_eq!(by_second, wanted, "{shell:?}");
        }
    }

    #[test]
    fn digests_of_many_files_in_one_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut words = Vec::new();
        let mut wanted = Vec::new();
        for name in ["plain", "with space", "new\nline", "back\\slash", "last\n", "-dash"] {
            let path = dir.path().join(name);
            std::fs::write(&path, name).unwrap();
            words.push(encode(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())));
            wanted.push(crate::model::Fingerprint::of(name.as_bytes()).to_string());
        }
        words.insert(1, encode(b"/nonexistent"));
        wanted.insert(1, "absent".to_owned());
        let tail = format!(
            "tools; words '{}'; eval \"sums $cmd\"; i=0\n\
             while [ $i -lt $sums_n ]; do get sum $i; echo \"$v\"; i=$((i+1)); done\n",
            words.join(" ")
        );
        for (shell, output) in in_every_shell(&tail) {
            let output = String::from_utf8(output).unwrap();
            assert_eq!(output.lines().collect::<Vec<_>>(), wanted, "{shell}");
        }
    }

    #[test]
    fn commands_end_in_time_and_say_how() {
        let tail = "tools; nonce=n$$; scratch\n\
            run 5 sh -c 'echo out; echo err >&2; exit 3'; hex_head $work.out; echo $rc $v\n\
            run 1 sh -c 'trap \"\" TERM; sleep 100 & sleep 100'; echo $rc\n\
            run 5 /nonexistent/program; echo $rc\n\
            run 5 sh -c 'sleep 100 & exit 0'; echo $rc\n\
            run 5 sh -c 'kill -9 $$'; echo $rc\n\
            run 20 yes x; hex_tail $work.out; echo $rc ${#v}\n\
            running process init_of_nothing; echo $v\n";
        for (shell, output) in in_every_shell(tail) {
            let output = String::from_utf8(output).unwrap();
            let wanted = "3 6f75740a6572720a\n124\n127\n0\n137\n125 8192\n0\n";
            assert_eq!(output, wanted, "{shell}");
        }
    }
}
