//! Which account programs run as, and how they get there.

use super::options::{ConnectOptions, Keywords};
use super::variables::Variables;
use crate::transport::become_user::{Become, Method};

pub(super) fn resolve(
    vars: &mut Variables<'_>,
    keywords: &Keywords,
    options: &ConnectOptions,
) -> Option<Become> {
    let wanted = vars.flag(&["ansible_become"]).or(keywords.becoming).unwrap_or(options.becoming);
    if !wanted {
        return None;
    }
    let name = vars
        .text(&["ansible_become_method"])
        .or_else(|| keywords.become_method.clone())
        .or_else(|| options.become_method.clone());
    let method = match name.as_deref().map_or(Ok(Method::Sudo), str::parse) {
        Ok(method) => method,
        Err(problem) => {
            vars.wrong("ansible_become_method", problem, "sudo is the default");
            Method::Sudo
        }
    };
    let names = Names::of(method);
    let user = vars
        .text(names.user)
        .or_else(|| keywords.become_user.clone())
        .or_else(|| options.become_user.clone());
    let password = vars.secret(names.password).or_else(|| options.become_password.clone());
    let flags = vars.text_even_empty("ansible_become_flags");
    Some(Become {
        method,
        user: user.unwrap_or_else(|| "root".into()),
        password,
        flags: flags
            .or_else(|| keywords.become_flags.clone())
            .or_else(|| options.become_flags.clone()),
        exe: vars
            .text(names.exe)
            .or_else(|| keywords.become_exe.clone())
            .or_else(|| options.become_exe.clone()),
    })
}

/// The spellings of a method's variables, the strongest last.
struct Names {
    user: &'static [&'static str],
    password: &'static [&'static str],
    exe: &'static [&'static str],
}

impl Names {
    const fn of(method: Method) -> Self {
        match method {
            Method::Sudo => Self {
                user: &["ansible_become_user", "ansible_sudo_user"],
                password: &["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"],
                exe: &["ansible_become_exe", "ansible_sudo_exe"],
            },
            Method::Su => Self {
                user: &["ansible_become_user", "ansible_su_user"],
                password: &["ansible_become_password", "ansible_become_pass", "ansible_su_pass"],
                exe: &["ansible_become_exe", "ansible_su_exe"],
            },
            Method::Doas => Self {
                user: &["ansible_become_user", "ansible_doas_user"],
                password: &["ansible_become_password", "ansible_become_pass", "ansible_doas_pass"],
                exe: &["ansible_become_exe", "ansible_doas_exe"],
            },
        }
    }
}
