//! Another account on a host, and by which program one gets there.

use crate::model::Secret;

/// Another account, and the way there.
#[derive(Clone, Debug)]
pub struct Become {
    /// By which program.
    pub method: Method,
    /// The account.
    pub user: String,
    /// The password that the method asks for: one's own for sudo, the other's for su.
    pub password: Option<Secret<String>>,
    /// Flags in place of the default ones (`-H` for sudo). Those which say whether and how a
    /// password is asked for (`-n`, `-S`, `-p`) are added or left out as needed.
    pub flags: Option<String>,
    /// The program in place of `sudo`, `doas`, `su`.
    pub exe: Option<String>,
}

impl Become {
    /// Whether it leads to the same account on the same way, whatever the password.
    pub(crate) fn leads_where(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.method, one.user.clone(), one.flags.clone(), one.exe.clone());
        of(self) == of(other)
    }
}

/// What is left of a [`Become`] to tell a refusal by.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) method: Method,
    /// The program as called.
    pub(super) program: String,
    pub(super) user: String,
    pub(super) with_password: bool,
    /// Whether the account's login shell stands in between (`-i`).
    pub(super) by_login_shell: bool,
}

/// A program that changes users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `sudo`.
    Sudo,
    /// `doas`, without a password only: it reads one from a terminal and nowhere else.
    Doas,
    /// `su`. With a password, only where it reads one from a pipe (util-linux and busybox do).
    Su,
}

impl Method {
    /// The program's usual name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Sudo => "sudo",
            Self::Doas => "doas",
            Self::Su => "su",
        }
    }
}

impl std::str::FromStr for Method {
    type Err = String;

    /// Ansible's `become_method`, with or without a collection's name in front.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit('.').next().unwrap_or(text) {
            "sudo" => Ok(Self::Sudo),
            "doas" => Ok(Self::Doas),
            "su" => Ok(Self::Su),
            _ => Err(format!("'{text}' is not a become method: use sudo, doas or su")),
        }
    }
}

impl Become {
    /// By sudo, without a password.
    pub fn sudo(user: impl Into<String>) -> Self {
        let user = user.into();
        Self { method: Method::Sudo, user, password: None, flags: None, exe: None }
    }

    pub(super) fn attempt(&self) -> Attempt {
        Attempt {
            method: self.method,
            program: self.exe.clone().unwrap_or_else(|| self.method.program().to_owned()),
            user: self.user.clone(),
            with_password: self.password.is_some(),
            by_login_shell: self.flags.as_deref().is_some_and(|flags| {
                flags.split_whitespace().any(|flag| {
                    let letters = flag.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
                    flag == "--login" || letters.is_some_and(|letters| letters.contains('i'))
                })
            }),
        }
    }
}
