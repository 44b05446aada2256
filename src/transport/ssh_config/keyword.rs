//! The keywords, and how the arguments of each are read.

use super::services;
use super::settings::{AddressFamily, Checking, Hop, Proxy, Refused, Setting};
use crate::source::Span;
use crate::source::diagnostic::nearest;
use std::time::Duration;

/// Keywords of OpenSSH that change nothing about what certroll does, or only what it never does
/// (forwardings, terminals, sharing of connections, algorithms). `rsaminsize` is Red Hat's, `useblacklistedkeys` Debian's.
const WITHOUT_EFFECT: &[&str] = &[
    "addkeystoagent",
    "afstokenpassing",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "casignaturealgorithms",
    "channeltimeout",
    "checkhostip",
    "cipher",
    "ciphers",
    "clearallforwardings",
    "compression",
    "compressionlevel",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dsaauthentication",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fallbacktorsh",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "globalknownhostsfile2",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostbasedkeytypes",
    "hostkeyalgorithms",
    "ipqos",
    "kbdinteractivedevices",
    "keepalive",
    "kerberosauthentication",
    "kerberostgtpassing",
    "kexalgorithms",
    "localcommand",
    "localforward",
    "loglevel",
    "logverbose",
    "macs",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "permitlocalcommand",
    "permitremoteopen",
    "pkcs11provider",
    "protocol",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "refuseconnection",
    "rekeylimit",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "requiredrsasize",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "rsaminsize",
    "securitykeyprovider",
    "sendenv",
    "sessiontype",
    "setenv",
    "smartcarddevice",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "useblacklistedkeys",
    "useprivilegedport",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

/// Keywords that would change whom we trust or where we go, and are not supported; with the remedy.
const BEYOND: &[(&str, &str)] = &[
    ("BindInterface", "use BindAddress"),
    ("CanonicalizeHostname", "write out the full name with HostName"),
    ("KnownHostsCommand", "write what it prints to a file and name that with GlobalKnownHostsFile"),
    ("ProxyUseFdpass", "use ProxyJump, or a ProxyCommand that passes the bytes itself"),
    ("RevokedHostKeys", "put the keys into a known_hosts file with the marker @revoked"),
];

/// Keywords with an effect; for suggestions.
const WITH_EFFECT: &[&str] = &[
    "AddressFamily",
    "BatchMode",
    "BindAddress",
    "CertificateFile",
    "ChallengeResponseAuthentication",
    "ConnectTimeout",
    "ConnectionAttempts",
    "GlobalKnownHostsFile",
    "HashKnownHosts",
    "Host",
    "HostKeyAlias",
    "HostName",
    "IdentitiesOnly",
    "IdentityAgent",
    "IdentityFile",
    "IgnoreUnknown",
    "Include",
    "KbdInteractiveAuthentication",
    "Match",
    "NoHostAuthenticationForLocalhost",
    "PasswordAuthentication",
    "Port",
    "PreferredAuthentications",
    "ProxyCommand",
    "ProxyJump",
    "PubkeyAuthentication",
    "ServerAliveCountMax",
    "ServerAliveInterval",
    "StrictHostKeyChecking",
    "Tag",
    "User",
    "UserKnownHostsFile",
];

/// What a line of settings means.
pub(super) enum Read {
    Setting(Setting),
    WithoutEffect,
    /// No keyword of OpenSSH; perhaps a misspelt one.
    Unknown(Option<&'static str>),
}

/// Reads one keyword, lower-case, with the text after it.
pub(super) fn read(
    keyword: &str,
    rest: &str,
    arguments: &[String],
    span: Option<&Span>,
) -> Result<Read, String> {
    let setting = match keyword {
        "proxycommand" => Setting::Proxy(command(rest)),
        "proxyjump" => Setting::Proxy(Proxy::Jump(jumps(rest)?)),
        "userknownhostsfile" => Setting::UserKnownHosts(files(arguments)?),
        "globalknownhostsfile" => Setting::GlobalKnownHosts(files(arguments)?),
        _ => match single(keyword, arguments, span)? {
            Read::Setting(setting) => setting,
            other => return Ok(other),
        },
    };
    Ok(Read::Setting(setting))
}

fn single(keyword: &str, arguments: &[String], span: Option<&Span>) -> Result<Read, String> {
    let one = || match arguments {
        [] => Err("its argument is missing".to_owned()),
        [word] if word.is_empty() => Err("its argument is empty".to_owned()),
        [word] => Ok(word.clone()),
        [_, more, ..] => Err(format!("there is more than one argument: '{more}'")),
    };
    let yes = || flag(&one()?);
    Ok(Read::Setting(match keyword {
        "hostname" => Setting::HostName(one()?),
        "port" => Setting::Port(port(&one()?)?),
        "user" => Setting::User(one()?),
        "identityfile" | "identityfile2" => Setting::IdentityFile(one()?),
        "certificatefile" => Setting::CertificateFile(one()?),
        "identitiesonly" => Setting::IdentitiesOnly(yes()?),
        "identityagent" => Setting::IdentityAgent(one()?),
        "stricthostkeychecking" => Setting::HostKeyChecking(checking(&one()?)?),
        "hostkeyalias" => Setting::HostKeyAlias(one()?),
        "hashknownhosts" => Setting::HashKnownHosts(yes()?),
        "nohostauthenticationforlocalhost" => Setting::NoCheckingForLocalhost(yes()?),
        "connecttimeout" => match time(&one()?)? {
            Some(time) => Setting::ConnectTimeout(time),
            None => return Ok(Read::WithoutEffect),
        },
        "connectionattempts" => Setting::ConnectionAttempts(number(&one()?)?),
        // The other two are Debian's old names for it.
        "serveraliveinterval" | "protocolkeepalives" | "setuptimeout" => match time(&one()?)? {
            Some(time) => Setting::ServerAliveInterval(time),
            None => return Ok(Read::WithoutEffect),
        },
        "serveralivecountmax" => Setting::ServerAliveCountMax(number(&one()?)?),
        "preferredauthentications" => Setting::PreferredAuthentications(one()?),
        "pubkeyauthentication" => Setting::Pubkey(match one()?.to_ascii_lowercase().as_str() {
            "unbound" | "host-bound" => true,
            other => flag(other)?,
        }),
        "passwordauthentication" => Setting::Password(yes()?),
        "kbdinteractiveauthentication"
        | "challengeresponseauthentication"
        | "skeyauthentication"
        | "tisauthentication" => Setting::KbdInteractive(yes()?),
        "batchmode" => Setting::BatchMode(yes()?),
        "addressfamily" => Setting::AddressFamily(family(&one()?)?),
        "bindaddress" => Setting::BindAddress(one()?),
        "tag" => Setting::Tag(one()?),
        _ => return Ok(other(keyword, arguments, span)),
    }))
}

fn other(keyword: &str, arguments: &[String], span: Option<&Span>) -> Read {
    if let Some((keyword, remedy)) =
        BEYOND.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword))
    {
        let off = |word: &String| matches!(&*word.to_ascii_lowercase(), "no" | "none" | "false");
        let refused = Refused { keyword, remedy, span: span.cloned() };
        let harmless = arguments.first().is_none_or(off);
        return Read::Setting(Setting::Beyond { refused, harmless });
    }
    if WITHOUT_EFFECT.contains(&keyword) {
        return Read::WithoutEffect;
    }
    let known = WITH_EFFECT.iter().chain(BEYOND.iter().map(|(name, _)| name));
    let near = known.copied().map(|name| (name, name.to_ascii_lowercase())).collect::<Vec<_>>();
    let nearest = nearest(keyword, near.iter().map(|(_, lower)| lower.as_str()));
    Read::Unknown(
        nearest
            .and_then(|lower| near.iter().find(|(_, name)| name == lower))
            .map(|(name, _)| *name),
    )
}

fn flag(word: &str) -> Result<bool, String> {
    match &*word.to_ascii_lowercase() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("'{word}' is neither yes nor no")),
    }
}

fn checking(word: &str) -> Result<Checking, String> {
    match &*word.to_ascii_lowercase() {
        "yes" | "true" => Ok(Checking::Yes),
        "ask" => Ok(Checking::Ask),
        "accept-new" => Ok(Checking::AcceptNew),
        "no" | "off" | "false" => Ok(Checking::No),
        _ => Err(format!("'{word}' is none of yes, ask, accept-new, no")),
    }
}

fn family(word: &str) -> Result<AddressFamily, String> {
    match &*word.to_ascii_lowercase() {
        "any" => Ok(AddressFamily::Any),
        "inet" => Ok(AddressFamily::Inet),
        "inet6" => Ok(AddressFamily::Inet6),
        _ => Err(format!("'{word}' is none of any, inet, inet6")),
    }
}

/// A number, or a service's name (`a2port`).
pub(in crate::transport) fn port(word: &str) -> Result<u16, String> {
    let number = word.parse().ok().or_else(|| services::tcp_port(word));
    number.filter(|port| *port > 0).ok_or_else(|| format!("'{word}' is not a port number"))
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("'{word}' is not a number"))
}

/// `10`, `1m30s` (`convtime`), `none`: which OpenSSH takes as if nothing had been said.
fn time(word: &str) -> Result<Option<Duration>, String> {
    if word == "none" {
        return Ok(None);
    }
    let wrong = || format!("'{word}' is not a duration: write seconds, or 1m30s");
    let mut seconds = 0_u64;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let mut unit = rest[digits..].chars();
        let factor = match unit.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86_400,
            Some('w' | 'W') => 604_800,
            Some(_) => return Err(wrong()),
        };
        let more = count.checked_mul(factor).ok_or_else(wrong)?;
        seconds = seconds.checked_add(more).filter(|sum| *sum <= 1 << 31).ok_or_else(wrong)?;
        rest = unit.as_str();
    }
    if word.is_empty() { Err(wrong()) } else { Ok(Some(Duration::from_secs(seconds))) }
}

fn files(arguments: &[String]) -> Result<Vec<String>, String> {
    match arguments {
        [] => Err("its argument is missing".into()),
        list if list.iter().any(String::is_empty) => Err("its argument is empty".into()),
        [_, ..] if arguments.len() > 1 && arguments.iter().any(|name| name == "none") => {
            Err("'none' stands alone".into())
        }
        list => Ok(list.to_vec()),
    }
}

/// The rest of the line as it is, `#` and quotes included.
fn command(rest: &str) -> Proxy {
    let command = rest.trim_start_matches([' ', '\t', '=']);
    Proxy::Command((!command.eq_ignore_ascii_case("none")).then(|| command.to_owned()))
}

/// `[user@]host[:port]` or `ssh://…`, separated by commas; the first is the nearest.
pub(in crate::transport) fn jumps(text: &str) -> Result<Vec<Hop>, String> {
    let text = text.trim_start_matches([' ', '\t', '=']);
    let text = text.split('#').next().unwrap_or_default().trim_end();
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    // OpenSSH takes blanks around a comma from 10.6 on.
    text.split(',').map(|one| hop(one.trim_matches([' ', '\t']))).collect()
}

fn hop(text: &str) -> Result<Hop, String> {
    let wrong = || format!("'{text}' is not a jump host: write user@host:port");
    let place = text.strip_prefix("ssh://").map_or(text, |place| place.trim_end_matches('/'));
    let (user, place) = match place.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, place),
    };
    let (host, port_text) = match place.strip_prefix('[').map(|place| place.split_once(']')) {
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => (host, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
        Some(None) => return Err(wrong()),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port_text.map(port).transpose().map_err(|_| wrong())?;
    // What could be taken for an option or a command somewhere on the way is no name.
    let odd = |c: char| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){}".contains(c);
    let is_bad = |name: &str| name.is_empty() || name.starts_with('-') || name.contains(odd);
    if is_bad(host) || user.is_some_and(is_bad) {
        return Err(wrong());
    }
    Ok(Hop { user: user.map(str::to_owned), host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let seconds = |text| time(text).unwrap().map(|time| time.as_secs());
        assert_eq!(seconds("10"), Some(10));
        assert_eq!(seconds("1h30"), Some(3630));
        assert_eq!(seconds("1m30s"), Some(90));
        assert_eq!(seconds("none"), None);
        for wrong in ["", "s", "1x", "-1", "99999999999999999999"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn jump_hosts() {
        let hop = |user: Option<&str>, host: &str, port| Hop {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        };
        assert_eq!(jumps("none"), Ok(vec![]));
        let both = Ok(vec![hop(None, "a", None), hop(None, "b", None)]);
        for blanks in ["a, b", "a ,b", " a ,\tb # why"] {
            assert_eq!(jumps(blanks), both, "{blanks}");
        }
        assert_eq!(
            jumps("u@a:2222,[::1]:22,ssh://b@c:1/ # why"),
            Ok(vec![
                hop(Some("u"), "a", Some(2222)),
                hop(None, "::1", Some(22)),
                hop(Some("b"), "c", Some(1)),
            ])
        );
        for wrong in
            ["", "@a", "u@", "a:0", "a:x", "-oProxyCommand=x", "a,,b", "a;b", "a, ", ", a", "a b"]
        {
            assert!(jumps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_keyword_is_in_one_table() {
        for keyword in WITHOUT_EFFECT {
            let with = WITH_EFFECT.iter().chain(BEYOND.iter().map(|(name, _)| name));
            assert!(!with.into_iter().any(|name| name.eq_ignore_ascii_case(keyword)), "{keyword}");
        }
    }
}
