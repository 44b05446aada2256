//! Options of the `ssh` command, as Ansible inventories carry them
//! (`ansible_ssh_common_args: -o ProxyJump=bastion`).

use super::ssh_config::keyword::{jumps, port};
use super::ssh_config::settings::{AddressFamily, Proxy, Setting};
use super::ssh_config::{self, Files};

/// Flags that change nothing about what certroll does.
const WITHOUT_EFFECT: &str = "ACMTXYaknqtvxy";
/// The same, with a value.
const VALUE_WITHOUT_EFFECT: &str = "EScem";

/// What a list of options says.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// In the order given.
    pub(super) settings: Vec<Setting>,
    /// `-F`.
    pub(super) files: Option<Files>,
}

/// Reads options as a shell would split them.
///
/// # Errors
/// What is no option of `ssh`, or one that certroll does not do.
pub(super) fn read(text: &str) -> Result<Arguments, String> {
    let words = shlex::split(text).ok_or("a quote is not closed")?;
    let mut words = words.into_iter();
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        let flags = word.strip_prefix('-').filter(|flags| !flags.is_empty());
        let mut flags = flags.ok_or_else(|| format!("'{word}' is not an option of ssh"))?.chars();
        while let Some(flag) = flags.next() {
            if WITHOUT_EFFECT.contains(flag) {
                continue;
            }
            if let '4' | '6' = flag {
                let family = if flag == '4' { AddressFamily::Inet } else { AddressFamily::Inet6 };
                arguments.settings.push(Setting::AddressFamily(family));
                continue;
            }
            let attached = Some(flags.as_str()).filter(|rest| !rest.is_empty()).map(str::to_owned);
            let mut value =
                || attached.clone().or_else(|| words.next()).ok_or(format!("-{flag} has no value"));
            match flag {
                'o' => arguments.settings.extend(ssh_config::option(&value()?)?),
                'J' => arguments.settings.push(Setting::Proxy(Proxy::Jump(jumps(&value()?)?))),
                'F' => arguments.files = Some(Files::from(value()?.as_str())),
                'i' => arguments.settings.push(Setting::IdentityFile(value()?)),
                'l' => arguments.settings.push(Setting::User(value()?)),
                'p' => arguments.settings.push(Setting::Port(port(&value()?)?)),
                'b' => arguments.settings.push(Setting::BindAddress(value()?)),
                'P' => arguments.settings.push(Setting::Tag(value()?)),
                _ if VALUE_WITHOUT_EFFECT.contains(flag) => drop(value()?),
                _ => {
                    return Err(format!(
                        "ssh's option -{flag} is not supported: certroll connects by itself, and \
                         takes -o, -J, -F, -i, -l, -p, -b, -4 and -6"
                    ));
                }
            }
            break;
        }
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_inventories_carry() {
        let text = "-C -o ControlMaster=auto -o 'ControlPath=/tmp/%r' -vvp 2222 -ladmin \
                    -o \"ProxyCommand=ssh -W %h:%p gw\" -i '~/my key' -oStrictHostKeyChecking=no -F none";
        let arguments = read(text).unwrap();
        assert_eq!(arguments.files, Some(Files::None));
        assert_eq!(
            arguments.settings,
            [
                Setting::Port(2222),
                Setting::User("admin".into()),
                Setting::Proxy(Proxy::Command(Some("ssh -W %h:%p gw".into()))),
                Setting::IdentityFile("~/my key".into()),
                Setting::HostKeyChecking(ssh_config::Checking::No),
            ]
        );
    }

    #[test]
    fn what_is_refused_says_why() {
        for (text, word) in [
            ("-L 80:a:80", "-L is not supported"),
            ("host", "'host' is not an option"),
            ("-o Prot=22", "did you mean Port?"),
            ("-o Port=x", "'x' is not a port number"),
            ("-o Host=x", "belongs into a file"),
            ("-p", "-p has no value"),
            ("-o 'a", "a quote is not closed"),
            ("-J -x", "is not a jump host"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
