//! What reads a host and what changes it, in one compressed text: less to send, and unpacked by one process.
//!
//! The host unpacks it with `gzip`. One that cannot says so, and is sent the same as it is. Nothing secret is ever in it:
//! requests and files follow, and are not compressed.

use super::program::{
    APART, COMMON, INSPECTION, NEXT, PRELUDE, SELDOM, TRANSACTION, TRANSACTION_MAIN, stripped,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::LazyLock;

/// Between parts. No part has one.
const BETWEEN: &str = "`";

/// The reply of a host that could not unpack it.
pub(super) const PLAIN: &str = "plain";

/// To read a host, after which its shell waits for whatever comes next; and the same with the transaction that may come
/// next. Each without and with [`SELDOM`].
static READING: [LazyLock<Packed>; 2] = [
    LazyLock::new(|| Packed::new(&INSPECTION, &[])),
    LazyLock::new(|| Packed::new(&[&SELDOM[..], &INSPECTION].concat(), &[])),
];
static ROLLING: [LazyLock<Packed>; 2] = [
    LazyLock::new(|| Packed::new(&INSPECTION, &transaction())),
    LazyLock::new(|| Packed::new(&[&SELDOM[..], &INSPECTION].concat(), &transaction())),
];

fn transaction() -> Vec<&'static str> {
    [&TRANSACTION[..], &[TRANSACTION_MAIN]].concat()
}

/// What reads a host: all of it or what most need; whether a transaction may come next.
pub(super) fn reading(all: bool, then_transaction: bool) -> &'static Packed {
    &(if then_transaction { &ROLLING } else { &READING })[usize::from(all)]
}

/// What the bootstrap reads to run the transaction that was brought. What it has in common with the inspection is there
/// already; `s` has all of it, for the guards.
pub(super) const BROUGHT: &str =
    "#script\ns=$program_common$program_rest\neval \"$program_rest\"\n#go\n";

/// As [`NEXT`], where a program's prelude has moved the input.
const FROM_THREE: &str =
    "while IFS= read -r l<&3;do case $l in \"#go\")break;;\"#script\")s=;;*)s=$s$l$n;;esac;done;";

/// Shell text in gzip's format.
#[derive(Debug)]
pub(super) struct Packed(Vec<u8>);

impl Packed {
    /// What reads a host, what it shares with a transaction, and the rest of one.
    fn new(inspection: &[&str], transaction: &[&str]) -> Self {
        let common = whole(&[&[PRELUDE], &COMMON[..]].concat());
        let parts = [whole(inspection), common, whole(transaction)];
        Self(gzip(parts.join(BETWEEN).as_bytes()))
    }

    /// What the bootstrap reads. That all of it came, gzip tells, by its checksum. Shells take a text apart at a character in time that grows with its length, and at a
    /// pattern in time that grows with its square (dash: two seconds for this one).
    ///
    /// What both programs begin with is read once, by the shell that stays: it defines functions and makes the environment
    /// that they need. A program other than the transaction begins [anew](super::program::ANEW) after that.
    ///
    /// What could not be read or unpacked is passed over: the next program begins at `#script`.
    pub(super) fn framed(&self, nonce: &str) -> Vec<u8> {
        let length = self.0.len();
        let head = format!(
            "#script\n\
             if s=$(dd bs={length} count=1 iflag=fullblock 2>/dev/null|gzip -dc 2>/dev/null)&&[ -n \"$s\" ];then\n\
             set -f;IFS='{BETWEEN}';set -- $s;unset IFS;set +f;s=$1;program_common=$2;program_rest=${{3-}};set --;eval \"$program_common\";{APART};s=;{FROM_THREE}\n\
             else echo;echo \"@certroll1 {nonce} {PLAIN}\";s=;{NEXT}\nfi\n\
             eval \"$s\"\n#go\n"
        );
        [head.as_bytes(), &self.0].concat()
    }
}

/// Parts that are evaluated at once: quotes would cost every shell but zsh time, and bytes.
fn whole(parts: &[&str]) -> String {
    parts.iter().map(|part| stripped(part, false)).collect()
}

/// RFC 1952, without a name or a time: equal texts give equal bytes.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to a `Vec` cannot fail; a host that is sent too little says so, and is sent it plain.
    let _ = packed.write_all(text);
    packed.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::program::{ANEW, BOOTSTRAP, INSPECTING, Program, TRANSACTING, Then};
    use super::*;
    use std::path::Path;
    use std::process::{Command, Stdio};

    const SHELLS: [&[&str]; 6] = [
        &["dash"],
        &["busybox", "sh"],
        &["bash", "--posix"],
        &["mksh"],
        &["ksh93"],
        &["zsh", "--emulate", "sh"],
    ];

    /// What a shell says that reads `input` by the bootstrap; `None`: there is no such shell.
    fn said(shell: &[&str], path: &str, input: &[u8]) -> Option<String> {
        let text = BOOTSTRAP.split('\'').nth(1).unwrap();
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", text, "certroll"]).env("PATH", path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        // One that ends early reads nothing more.
        let _ = child.stdin.take().unwrap().write_all(input);
        Some(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned())
    }

    /// Every program there is but the named ones.
    fn path_without(dir: &Path, missing: &[&str]) -> String {
        for from in ["/bin", "/usr/bin"] {
            for entry in std::fs::read_dir(from).unwrap().flatten() {
                let name = entry.file_name();
                if !missing.iter().any(|missing| *missing == name) {
                    let _ = std::os::unix::fs::symlink(entry.path(), dir.join(name));
                }
            }
        }
        dir.display().to_string()
    }

    /// A program whose parts are evaluated one by one, without the quotes around them.
    fn unquoted(program: &str) -> String {
        let mut text = String::new();
        let mut rest = program;
        while let Some((part, after)) =
            rest.strip_prefix("eval '").and_then(|quoted| quoted.split_once("\n'\n"))
        {
            text += &part.replace("'\\''", "'");
            text.push('\n');
            rest = after;
        }
        text + rest
    }

    #[test]
    fn the_parts_make_up_the_programs() {
        let common = whole(&[&[PRELUDE], &COMMON[..]].concat());
        let transaction = whole(&transaction());
        let inspection = whole(&[&SELDOM[..], &INSPECTION].concat());
        assert_eq!(format!("{common}{inspection}"), unquoted(INSPECTING.text()));
        assert_eq!(format!("{common}{transaction}"), unquoted(TRANSACTING.text()));
        assert!(!INSPECTING.text().contains(BETWEEN) && !TRANSACTING.text().contains(BETWEEN));
        assert!(!INSPECTING.text().contains("#end") && !TRANSACTING.text().contains("#end"));
    }

    /// The reader of lines must find its way out of what was not unpacked.
    #[test]
    fn no_compressed_line_looks_like_the_bootstraps_own() {
        for packed in READING.iter().chain(&ROLLING) {
            let mut lines = packed.0.split(|byte| *byte == b'\n');
            assert!(lines.all(|line| line != b"#go" && line != b"#script"));
        }
    }

    #[test]
    fn it_is_a_third_of_the_programs() {
        let plain = INSPECTING.text().len() + TRANSACTING.text().len();
        for all in [false, true] {
            let (read, roll) = (&reading(all, false).0, &reading(all, true).0);
            assert!(roll.len() * 3 < plain, "{} of {plain}", roll.len());
            assert!(read.len() * 2 < INSPECTING.text().len());
        }
        let (most, all) = (reading(false, true).0.len(), reading(true, true).0.len());
        assert!(most + 1000 < all, "{most} and {all}");
    }

    #[test]
    fn every_shell_unpacks_it_or_asks_for_the_plain_text() {
        let path = std::env::var("PATH").unwrap();
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let ways = [
            (path.clone(), true),
            (path_without(dirs[0].path(), &["gzip"]), false),
            (path_without(dirs[1].path(), &["dd"]), false),
        ];
        let go = "inspect N\nkind *\ngo\n";
        let second = "read -r l <&3\nsay \"$l\" $#\n";
        for (path, unpacks) in &ways {
            for shell in SHELLS {
                // Its own applets are always there.
                if shell[0] == "busybox" && !unpacks {
                    continue;
                }
                let mut input = reading(true, true).framed("N");
                input.extend_from_slice(go.as_bytes());
                if !unpacks {
                    input.extend_from_slice(INSPECTING.framed(Then::Another).as_bytes());
                    input.extend_from_slice(go.as_bytes());
                }
                let next = format!("{}request\n", Program::new(&[second]).framed(Then::End));
                input.extend_from_slice(if *unpacks { ANEW.as_bytes() } else { b"" });
                input.extend_from_slice(next.as_bytes());
                let Some(said) = said(shell, path, &input) else { continue };
                assert_eq!(said.contains("@certroll1 N plain\n"), !unpacks, "{shell:?}: {said}");
                assert!(said.contains("@certroll1 N facts"), "{shell:?}: {said}");
                assert!(said.contains("\n@certroll1 - request 0\n"), "{shell:?}: {said}");
            }
        }
    }

    /// The transaction that was brought is the one that would be sent.
    #[test]
    fn what_was_brought_is_run_as_it_would_be_alone() {
        let path = std::env::var("PATH").unwrap();
        for shell in SHELLS {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path().display();
            // Nothing to change, and the input ends when the host waits for the verdict.
            let request = format!(
                "tx N 20260101-000000-0000000000000000\nstate {dir}/state\nrun {dir}/run\nnote 00\n\
                 times 9 9 9 9\nkeep 0\ngo\n"
            );
            let alone = format!("{}{request}", TRANSACTING.framed(Then::End));
            let Some(alone) = said(shell, &path, alone.as_bytes()) else { continue };
            let mut input = reading(false, true).framed("M");
            input
                .extend_from_slice(format!("inspect M\nkind *\ngo\n{BROUGHT}{request}").as_bytes());
            let after = said(shell, &path, &input).unwrap();
            let answer = |text: &str| {
                let lines = text.lines().filter(|line| line.starts_with("@certroll1 N"));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            assert!(alone.ends_with("@certroll1 N aborted why=eof\n"), "{shell:?}: {alone}");
            assert_eq!(answer(&after), answer(&alone), "{shell:?}: {after}");
            // Its guards read all of it, not only what it has of its own.
            let mut input = reading(false, true).framed("M");
            let guarded = BROUGHT.replace("eval", "echo \"@length ${#s}\";:");
            input.extend_from_slice(format!("inspect M\nkind *\ngo\n{guarded}").as_bytes());
            let length = unquoted(TRANSACTING.text()).trim_end().len();
            let length = format!("@length {length}\n");
            assert!(said(shell, &path, &input).unwrap().ends_with(&length), "{shell:?}");
        }
    }
}
