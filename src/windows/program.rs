//! The programs for PowerShell, as they are in `ps1/`. None has anything of a task in it.

/// One of them. All but the first change something, and none lets another run beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// What is there.
    Observe,
    /// Imports a certificate to which nothing refers yet, and arms what undoes.
    Begin,
    /// Points the reference at it.
    Commit,
    /// Nothing undoes the change any more.
    Confirm,
    /// Undoes it now.
    Undo,
}

macro_rules! program {
    ($name:literal) => {
        concat!(include_str!("ps1/common.ps1"), include_str!(concat!("ps1/", $name, ".ps1")))
    };
}

impl Program {
    /// Its text: what all share, and then its own.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Observe => program!("observe"),
            Self::Begin => program!("begin"),
            Self::Commit => program!("commit"),
            Self::Confirm => program!("confirm"),
            Self::Undo => program!("undo"),
        }
    }
}

/// What PowerShell gets on its command line: it reads a program from its standard input, and runs it.
pub(super) const BOOTSTRAP: &str = include_str!("ps1/bootstrap.ps1");

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Program; 5] =
        [Program::Observe, Program::Begin, Program::Commit, Program::Confirm, Program::Undo];

    #[test]
    fn the_programs_are_plain_ascii_without_tabs() {
        for text in ALL.map(Program::text).into_iter().chain([BOOTSTRAP]) {
            let plain = |byte: u8| byte == b'\n' || (b' '..0x7f).contains(&byte);
            assert!(text.bytes().all(plain) && text.ends_with('\n'));
        }
    }

    #[test]
    fn nothing_gives_a_key_or_a_password_to_a_cmdlet_or_a_file() {
        // What a cmdlet is given may be logged, and so may what stands in a command line.
        for text in ALL.map(Program::text) {
            for line in
                text.lines().filter(|line| line.contains("$part[2]") || line.contains("password"))
            {
                assert!(
                    line.contains("X509Certificate2($part[2], $request.password, $kept)"),
                    "{line}"
                );
            }
        }
    }
}
