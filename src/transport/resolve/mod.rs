//! From a host's variables to the route to it: what Ansible would tell `ssh`, and what `ssh` would
//! make of it. `docs/connection.md` has the order of precedence.

mod becoming;
mod host;
mod options;
mod variables;

pub use options::{ConnectOptions, Keywords};

use super::arguments;
use super::become_user::Become;
use super::ssh_config::settings::Setting;
use super::ssh_config::{Checking, SshConfig};
use super::target::Target;
use crate::model::HostName;
use crate::source::{Diagnostics, Vars};
use variables::Variables;

/// How a host is reached, and as whom programs run there.
#[derive(Clone, Debug)]
pub struct ConnectionPlan {
    /// How the host is reached.
    pub route: Route,
    /// The account to become, after the log-in.
    pub become_as: Option<Become>,
    /// The host's name or address as the network knows it: where its services answer, if nothing
    /// else is said.
    pub address: String,
}

/// How a host is reached.
#[derive(Clone, Debug)]
pub enum Route {
    /// By SSH.
    Ssh(Box<Target>),
    /// On the controller itself (`ansible_connection: local`).
    Local,
}

/// Resolves how `host` is reached. `vars` are the host's, all layers merged and rendered, vault
/// values opened. Opens no connection; reads the configuration that a `-F` among the options names.
///
/// # Errors
/// Every wrong value, with its place and its remedy.
pub fn target_from(
    host: &HostName,
    vars: &Vars,
    keywords: &Keywords,
    options: &ConnectOptions,
    config: &SshConfig,
) -> Result<ConnectionPlan, Diagnostics> {
    let mut vars = Variables::new(host, vars);
    let become_as = becoming::resolve(&mut vars, keywords, options);
    let name = vars.text(&["ansible_host", "ansible_ssh_host"]);
    let connection = vars.text(&["ansible_connection"]);
    let local = match connection.or_else(|| options.connection.clone()) {
        None => false,
        Some(kind) => match kind.strip_prefix("ansible.builtin.").unwrap_or(&kind) {
            "ssh" | "smart" => false,
            "local" => true,
            _ => {
                vars.wrong(
                    "ansible_connection",
                    format!("'{kind}' is not supported"),
                    "use ssh or local",
                );
                false
            }
        },
    };
    if local {
        let address = name.unwrap_or_else(|| "localhost".into());
        return vars.finish(ConnectionPlan { route: Route::Local, become_as, address });
    }
    let name = name.unwrap_or_else(|| host.as_str().to_owned());
    let (settings, other) = settings(&mut vars, keywords, options, config);
    let password = vars
        .secret(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"])
        .or_else(|| options.password.clone());
    let passphrase = vars
        .secret(&["ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase"])
        .or_else(|| options.passphrase.clone());
    vars.refuse(
        &["ansible_private_key", "ansible_ssh_private_key"],
        "a key in a variable is not supported",
        "load it into an agent, or name its file in ansible_ssh_private_key_file",
    );
    vars.refuse(
        &["ansible_ssh_pkcs11_provider"],
        "PKCS#11 is not supported here",
        "load the token into an agent (ssh-add -s)",
    );
    let config = other.as_ref().unwrap_or(config);
    let target = host::target(config, host.clone(), &name, &settings);
    let mut found = vars.found();
    let mut target = match target {
        Ok(target) => target,
        Err(problems) => {
            found.extend(problems);
            return Err(found);
        }
    };
    target.password = password;
    target.passphrase = passphrase;
    let address = target.address.clone();
    let plan = ConnectionPlan { route: Route::Ssh(Box::new(target)), become_as, address };
    found.into_result(plan).map(|(plan, _)| plan)
}

/// What Ansible puts on `ssh`'s command line, in its order: the first value of each wins. And the
/// configuration in place of the usual one, where `-F` names it.
fn settings(
    vars: &mut Variables<'_>,
    keywords: &Keywords,
    options: &ConnectOptions,
    config: &SshConfig,
) -> (Vec<Setting>, Option<SshConfig>) {
    let mut all = Vec::new();
    let mut files = None;
    let mut more =
        |vars: &mut Variables<'_>, all: &mut Vec<Setting>, name, option: &Option<String>| {
            let (origin, text) = match (vars.text_even_empty(name), option) {
                (Some(text), _) => (name, text),
                (None, Some(text)) => ("the command line", text.clone()),
                (None, None) => return,
            };
            match arguments::read(&text) {
                Ok(arguments) => {
                    all.extend(arguments.settings);
                    files = arguments.files.or(files.take());
                }
                Err(problem) => {
                    vars.wrong(origin, format!("{origin}: {problem}"), "see docs/connection.md")
                }
            }
        };
    more(vars, &mut all, "ansible_ssh_args", &options.ssh_args);
    let checking = vars.flag(&["ansible_host_key_checking", "ansible_ssh_host_key_checking"]);
    if checking.or(options.host_key_checking) == Some(false) {
        all.push(Setting::HostKeyChecking(Checking::No));
    }
    let port = vars.number(&["ansible_port", "ansible_ssh_port"]).or(options.port);
    all.extend(port.map(Setting::Port));
    let key = vars
        .text(&["ansible_private_key_file", "ansible_ssh_private_key_file"])
        .or_else(|| options.private_key.as_ref().map(|path| path.display().to_string()));
    all.extend(key.map(Setting::IdentityFile));
    let user = vars.text(&["ansible_user", "ansible_ssh_user"]);
    let user = user.or_else(|| keywords.remote_user.clone()).or_else(|| options.user.clone());
    all.extend(user.map(Setting::User));
    let timeout = vars.seconds(&["ansible_ssh_timeout"]).or(options.timeout);
    all.extend(timeout.map(Setting::ConnectTimeout));
    let retries = vars.number::<u32>(&["ansible_ssh_retries"]).or(options.retries);
    all.extend(retries.map(|retries| Setting::ConnectionAttempts(retries.saturating_add(1))));
    more(vars, &mut all, "ansible_ssh_common_args", &options.ssh_common_args);
    more(vars, &mut all, "ansible_ssh_extra_args", &options.ssh_extra_args);
    let other =
        files.and_then(|files| match SshConfig::load(config.controller().clone(), &files) {
            Ok((config, _)) => Some(config),
            Err(found) => {
                vars.take(found);
                None
            }
        });
    (all, other)
}

#[cfg(test)]
mod tests;
