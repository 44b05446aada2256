//! From a configuration to a target: defaults, file names, jump hosts.

use crate::model::HostName;
use crate::source::{Diagnostic, Diagnostics};
use crate::transport::ssh_config::settings::Setting;
use crate::transport::ssh_config::tokens::Tokens;
use crate::transport::ssh_config::{Checking, Controller, Hop, Lookup, Proxy, Settings, SshConfig};
use crate::transport::target::{AgentChoice, HostKeyChecking, Keepalive, Target};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// OpenSSH's, in its order, but for keys that need a device.
const DEFAULT_IDENTITIES: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// `ConnectTimeout 0`: longer than any kernel tries.
const WITHOUT_TIMEOUT: Duration = Duration::from_secs(600);

/// Bastions behind bastions; deeper is a loop with changing names.
const MOST_JUMPS: usize = 16;

/// The target for `name`, with `first` in front of what the configuration says.
pub(super) fn target(
    config: &SshConfig,
    host: HostName,
    name: &str,
    first: &[Setting],
) -> Result<Target, Diagnostics> {
    Resolver { config, names: Vec::new() }.target(host, name, first)
}

struct Resolver<'a> {
    config: &'a SshConfig,
    /// Where we are on the way inwards: a name twice is a loop.
    names: Vec<String>,
}

impl Resolver<'_> {
    fn target(
        &mut self,
        host: HostName,
        name: &str,
        first: &[Setting],
    ) -> Result<Target, Diagnostics> {
        let said = |problem: String| {
            Diagnostics::from(Diagnostic::error(format!("host {host}: {problem}")))
        };
        let Lookup { host: address, settings } =
            self.config.lookup_with(name, first).map_err(said)?;
        refuse(&host, &settings)?;
        let controller = self.config.controller();
        let user = settings.user.clone().unwrap_or_else(|| controller.user.clone());
        let port = settings.port.unwrap_or(22);
        let tokens = Tokens {
            controller,
            original: name,
            host: &address,
            alias: settings.host_key_alias.as_deref().unwrap_or(name),
            port,
            user: &user,
        };
        let mut target =
            Target { port, ..Target::new(host.clone(), address.clone(), user.clone()) };
        files(&mut target, &settings, &tokens).map_err(said)?;
        policy(&mut target, &settings).map_err(said)?;
        match &settings.proxy {
            Some(Proxy::Command(Some(command))) => {
                target.proxy_command = Some(tokens.expand_command(command).map_err(said)?);
            }
            Some(Proxy::Jump(hops)) if !hops.is_empty() => {
                let hops: Result<Vec<Hop>, String> = hops
                    .iter()
                    .map(|hop| {
                        let user =
                            hop.user.as_deref().map(|user| tokens.expand(user)).transpose()?;
                        Ok(Hop { user, host: tokens.expand(&hop.host)?, port: hop.port })
                    })
                    .collect();
                target.jumps = self.jumps(&target, hops.map_err(said)?)?;
            }
            _ => {}
        }
        Ok(target)
    }

    /// The bastions in front of `target`. Each is looked up in turn; only the first one's own jumps
    /// count, as those of the others are given by the list.
    fn jumps(&mut self, target: &Target, mut hops: Vec<Hop>) -> Result<Vec<Target>, Diagnostics> {
        let here = target.to_string();
        if self.names.contains(&here) || self.names.len() >= MOST_JUMPS {
            let way: Vec<_> =
                self.names.iter().map(String::as_str).chain([here.as_str()]).collect();
            let text = format!("jump hosts in a circle: {}", way.join(" through "));
            return Err(Diagnostic::error(text)
                .help("end it with `ProxyJump none` for the first jump host, above the line that names it")
                .into());
        }
        let Some(last) = hops.pop() else { return Ok(Vec::new()) };
        self.names.push(here);
        let mut first = Vec::new();
        first.extend(last.user.map(Setting::User));
        first.extend(last.port.map(Setting::Port));
        if !hops.is_empty() {
            first.push(Setting::Proxy(Proxy::Jump(hops)));
        }
        let bastion = self.target(HostName::new(&last.host), &last.host, &first);
        self.names.pop();
        let mut bastion = bastion?;
        let mut jumps = std::mem::take(&mut bastion.jumps);
        jumps.push(bastion);
        Ok(jumps)
    }
}

/// What a setting asks for and certroll does not do.
fn refuse(host: &HostName, settings: &Settings) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::default();
    for refused in &settings.refused {
        let text = format!("host {host}: certroll does not support {}", refused.keyword);
        found.push(Diagnostic::error(text).at(refused.span.as_ref()).help(refused.remedy));
    }
    found.into_result(()).map(|_| ())
}

/// Keys, certificates, the agent and known hosts.
fn files(target: &mut Target, settings: &Settings, tokens: &Tokens<'_>) -> Result<(), String> {
    let controller = tokens.controller;
    let home = |name: &str| controller.home.join(".ssh").join(name);
    let expand = |list: &[String]| {
        let named = list.iter().filter(|name| *name != "none");
        named.map(|name| tokens.expand_path(name)).collect::<Result<Vec<_>, _>>()
    };
    target.identities = if settings.identity_files.is_empty() {
        DEFAULT_IDENTITIES.iter().map(|name| home(name)).filter(|path| path.exists()).collect()
    } else {
        expand(&settings.identity_files)?
    };
    target.certificates = expand(&settings.certificate_files)?;
    target.identities_only = settings.identities_only.unwrap_or(false);
    target.agent = agent(settings.identity_agent.as_deref(), tokens)?;
    target.known_hosts = match &settings.user_known_hosts {
        None => vec![home("known_hosts"), home("known_hosts2")],
        // Nothing is to be remembered, and least of all in the system's file.
        Some(list) if list[..] == ["none"] => vec!["/dev/null".into()],
        Some(list) => expand(list)?,
    };
    target.known_hosts.extend(match &settings.global_known_hosts {
        None => ["ssh_known_hosts", "ssh_known_hosts2"]
            .map(|name| PathBuf::from("/etc/ssh").join(name))
            .to_vec(),
        Some(list) => {
            let named = list.iter().filter(|name| *name != "none");
            named.map(|name| controller.expand_tilde(name)).collect()
        }
    });
    Ok(())
}

fn agent(setting: Option<&str>, tokens: &Tokens<'_>) -> Result<AgentChoice, String> {
    let Controller { agent, .. } = tokens.controller;
    let socket = match setting {
        None | Some("SSH_AUTH_SOCK") => agent.clone(),
        Some(text) if text.eq_ignore_ascii_case("none") => None,
        Some(text) => match text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
            Some(name) => std::env::var_os(name).map(PathBuf::from),
            None => Some(tokens.expand_path(text)?),
        },
    };
    Ok(socket.map_or(AgentChoice::None, AgentChoice::Socket))
}

/// What is accepted, how long is waited, which methods are tried.
fn policy(target: &mut Target, settings: &Settings) -> Result<(), String> {
    target.host_key_checking = match settings.host_key_checking {
        None | Some(Checking::Ask | Checking::Yes) => HostKeyChecking::Strict,
        Some(Checking::AcceptNew) => HostKeyChecking::AcceptNew,
        Some(Checking::No) => HostKeyChecking::DangerOff,
    };
    let is_loopback = match target.address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => target.address == "localhost",
    };
    if settings.no_checking_for_localhost == Some(true) && is_loopback {
        target.host_key_checking = HostKeyChecking::DangerOff;
    }
    target.host_key_alias.clone_from(&settings.host_key_alias);
    target.hash_known_hosts = settings.hash_known_hosts.unwrap_or(false);
    if let Some(timeout) = settings.connect_timeout {
        target.connect_timeout = if timeout.is_zero() { WITHOUT_TIMEOUT } else { timeout };
    }
    target.connection_attempts = settings.connection_attempts.unwrap_or(1).max(1);
    let count =
        settings.server_alive_count_max.map_or(Keepalive::default().count, |count| count as usize);
    target.keepalive = match settings.server_alive_interval {
        None => Some(Keepalive { count, ..Keepalive::default() }),
        Some(interval) => (!interval.is_zero()).then_some(Keepalive { interval, count }),
    };
    target.address_family = settings.address_family.unwrap_or_default();
    target.bind_address = settings
        .bind_address
        .as_ref()
        .map(|text| text.parse().map_err(|_| format!("BindAddress '{text}' is no IP address")))
        .transpose()?;
    target.methods = methods(settings)?;
    Ok(())
}

/// Empty where nothing is said, so that the usual order stays.
fn methods(settings: &Settings) -> Result<Vec<String>, String> {
    let preferred = settings.preferred_authentications.as_deref();
    let is_off = |method: &str| {
        Some(false)
            == match method {
                "publickey" => settings.pubkey,
                "password" => settings.password,
                "keyboard-interactive" => settings.kbd_interactive,
                _ => Some(false),
            }
    };
    let all = "publickey,password,keyboard-interactive";
    if preferred.is_none() && !all.split(',').any(is_off) {
        return Ok(Vec::new());
    }
    let list = preferred.unwrap_or(all).split(',').map(str::trim);
    let usable: Vec<String> = list.filter(|method| !is_off(method)).map(str::to_owned).collect();
    if usable.is_empty() {
        return Err("no way to log in is left: PreferredAuthentications, PubkeyAuthentication, \
                    PasswordAuthentication and KbdInteractiveAuthentication exclude each of \
                    publickey, password and keyboard-interactive"
            .into());
    }
    Ok(usable)
}
