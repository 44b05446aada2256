//! `ssh_config` as the installed OpenSSH reads it: each case is given to `ssh -G` too.

use crate::common::have;
use crate::common::sshd::openssh_from;
use certroll::testing::transport::ssh_config::{
    AddressFamily, Checking, Controller, Files, Lookup, Proxy, Settings, SshConfig,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Keyword to values, as `ssh -G` prints them.
type Printed = BTreeMap<String, Vec<String>>;

const COMPARED: &[&str] = &[
    "addressfamily",
    "batchmode",
    "bindaddress",
    "certificatefile",
    "connectionattempts",
    "connecttimeout",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "kbdinteractiveauthentication",
    "nohostauthenticationforlocalhost",
    "passwordauthentication",
    "port",
    "preferredauthentications",
    "proxycommand",
    "proxyjump",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];

fn by_ssh(file: &Path, host: &str) -> Result<Printed, String> {
    let output = Command::new("ssh")
        .args(["-T", "-G", "-F"])
        .args([file.as_os_str(), "--".as_ref(), host.as_ref()])
        .stdin(Stdio::null())
        .output()
        .expect("ssh runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut printed = Printed::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        if COMPARED.contains(&keyword) {
            let value = match keyword {
                // As it was written; its shell drops the blanks.
                "proxyjump" => value.split(',').map(str::trim).collect::<Vec<_>>().join(","),
                _ => value.to_owned(),
            };
            printed.entry(keyword.to_owned()).or_default().push(value);
        }
    }
    Ok(printed)
}

pub(super) fn load(file: &Path) -> Result<SshConfig, Vec<String>> {
    match SshConfig::load(Controller::detect(), &Files::Only(file.to_owned())) {
        Ok((config, _)) => Ok(config),
        Err(found) => Err(found.0.iter().map(ToString::to_string).collect()),
    }
}

/// Our answer in the form of `ssh -G`, with OpenSSH's defaults where nothing is said.
fn by_us(file: &Path, host: &str) -> Result<Printed, Vec<String>> {
    let config = load(file)?;
    let Lookup { host, settings } = config.lookup(host).map_err(|error| vec![error])?;
    Ok(printed(config.controller(), host, &settings))
}

fn printed(controller: &Controller, host: String, settings: &Settings) -> Printed {
    let flag = |value: Option<bool>, default: bool| {
        if value.unwrap_or(default) { "yes" } else { "no" }.to_owned()
    };
    let home = |name: &str| controller.home.join(name).display().to_string();
    let files = |given: &Option<Vec<String>>, default: [String; 2]| {
        given.clone().unwrap_or_else(|| default.to_vec()).join(" ")
    };
    let mut all = vec![
        ("hostname", host),
        ("port", settings.port.unwrap_or(22).to_string()),
        ("user", settings.user.clone().unwrap_or_else(|| controller.user.clone())),
        ("identitiesonly", flag(settings.identities_only, false)),
        ("hashknownhosts", flag(settings.hash_known_hosts, false)),
        ("batchmode", flag(settings.batch_mode, false)),
        ("passwordauthentication", flag(settings.password, true)),
        ("kbdinteractiveauthentication", flag(settings.kbd_interactive, true)),
        ("nohostauthenticationforlocalhost", flag(settings.no_checking_for_localhost, false)),
        ("connectionattempts", settings.connection_attempts.unwrap_or(1).to_string()),
        (
            "connecttimeout",
            settings
                .connect_timeout
                .map_or_else(|| "none".into(), |time| time.as_secs().to_string()),
        ),
        ("serveralivecountmax", settings.server_alive_count_max.unwrap_or(3).to_string()),
        (
            "serveraliveinterval",
            settings.server_alive_interval.map_or(0, |time| time.as_secs()).to_string(),
        ),
        (
            "addressfamily",
            match settings.address_family.unwrap_or_default() {
                AddressFamily::Any => "any",
                AddressFamily::Inet => "inet",
                AddressFamily::Inet6 => "inet6",
            }
            .to_owned(),
        ),
        (
            "stricthostkeychecking",
            match settings.host_key_checking.unwrap_or(Checking::Ask) {
                Checking::Yes => "true",
                Checking::Ask => "ask",
                Checking::AcceptNew => "accept-new",
                Checking::No => "false",
            }
            .to_owned(),
        ),
        (
            "userknownhostsfile",
            files(
                &settings.user_known_hosts,
                [home(".ssh/known_hosts"), home(".ssh/known_hosts2")],
            ),
        ),
        (
            "globalknownhostsfile",
            files(
                &settings.global_known_hosts,
                ["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()],
            ),
        ),
    ];
    let mut some = |name, value: &Option<String>| {
        all.extend(value.clone().map(|value| (name, value)));
    };
    some("bindaddress", &settings.bind_address);
    some("hostkeyalias", &settings.host_key_alias);
    some("identityagent", &settings.identity_agent);
    some("preferredauthentications", &settings.preferred_authentications);
    match &settings.proxy {
        Some(Proxy::Command(Some(command))) => all.push(("proxycommand", command.clone())),
        Some(Proxy::Jump(hops)) if !hops.is_empty() => {
            let hop = |hop: &certroll::testing::transport::ssh_config::Hop| {
                let user = hop.user.as_ref().map_or(String::new(), |user| format!("{user}@"));
                let host = if hop.host.contains(':') {
                    format!("[{}]", hop.host)
                } else {
                    hop.host.clone()
                };
                let port = hop.port.map_or(String::new(), |port| format!(":{port}"));
                format!("{user}{host}{port}")
            };
            all.push(("proxyjump", hops.iter().map(hop).collect::<Vec<_>>().join(",")));
        }
        _ => {}
    }
    let default =
        ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"];
    let default = default.map(|name| format!("~/.ssh/{name}")).to_vec();
    let keys =
        if settings.identity_files.is_empty() { default } else { settings.identity_files.clone() };
    all.extend(keys.into_iter().map(|key| ("identityfile", key)));
    let certificates = settings.certificate_files.iter();
    all.extend(certificates.map(|file| ("certificatefile", file.clone())));
    let mut printed = Printed::new();
    for (keyword, value) in all {
        printed.entry(keyword.to_owned()).or_default().push(value);
    }
    printed
}

/// `ssh` of another version has other default keys; Debian's asks for signs of life in batch mode.
fn without_varying_defaults(mut printed: Printed) -> Printed {
    if printed["batchmode"] == ["yes"] && matches!(&*printed["serveraliveinterval"][0], "0" | "300")
    {
        printed.remove("serveraliveinterval");
    }
    if printed.get("identityfile").is_some_and(|keys| keys.len() > 4) {
        printed.remove("identityfile");
    }
    printed
}

pub(crate) fn compare(file: &Path, host: &str) -> Result<(), String> {
    let (theirs, ours) = (by_ssh(file, host), by_us(file, host));
    match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => {
            let (theirs, ours) = (without_varying_defaults(theirs), without_varying_defaults(ours));
            let differing: Vec<String> = COMPARED
                .iter()
                .filter(|keyword| theirs.get(**keyword) != ours.get(**keyword))
                .map(|name| {
                    format!("{name}: ssh {:?}, we {:?}", theirs.get(*name), ours.get(*name))
                })
                .collect();
            if differing.is_empty() { Ok(()) } else { Err(differing.join("\n")) }
        }
        (Err(_), Err(_)) => Ok(()),
        (Ok(_), Err(ours)) => Err(format!("ssh takes it, we do not: {ours:?}")),
        (Err(theirs), Ok(_)) => Err(format!("ssh does not take it, we do: {theirs}")),
    }
}

pub(crate) fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn patterns_blocks_and_first_values() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let text = "Port 2200\n\
        Host web? *.example.com !secret.example.com\n  User edge\n  Port 1\n  IdentityFile ~/.ssh/edge\n\
        \tIdentityFile=\"/keys/with space\"\n IdentityFile ~/.ssh/edge\n\
        Host !web1 *\n  User = other\n  ConnectTimeout 1h30\n  CertificateFile /c1\n\
        HOST web1\n  hostname 10.0.0.%h%%\n  StrictHostKeyChecking accept-new\n\
        Host \"quoted host\" v6\n HostName fe80::1\n AddressFamily inet6\n BindAddress ::1\n\
        Host UPPER\n HostName MiXed.Example.COM\n IdentityFile none\n\
        Host *\n  ServerAliveInterval 1m\n  ServerAliveCountMax 7\n  CertificateFile /c2\n\
        UserKnownHostsFile /a \"/b c\" # comment\n GlobalKnownHostsFile none\n HashKnownHosts yes\n\
        IdentitiesOnly true\n IdentityAgent SSH_AUTH_SOCK\n PreferredAuthentications publickey,password\n\
        PasswordAuthentication no\n KbdInteractiveAuthentication no\n BatchMode yes\n\
        HostKeyAlias alias\n ConnectionAttempts 4\n NoHostAuthenticationForLocalhost yes\n";
    let file = write(dir.path(), "config", text);
    for host in
        ["web1", "web12", "a.example.com", "secret.example.com", "upper", "UPPER", "v6", "10.0.0.1"]
    {
        compare(&file, host).unwrap_or_else(|error| panic!("{host}:\n{error}"));
    }
}

#[test]
fn matches() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (number, text) in [
        "Match host web1\n Port 1\nMatch host=web*,!web1\n Port 2\n",
        "Host web1\n HostName other.example.com\nMatch host other.*\n Port 3\nMatch originalhost web1\n User o\n",
        "Match host WEB1\n Port 4\nMatch originalhost \"web1,web2\"\n User q\n",
        "User first\nMatch user first\n Port 5\nMatch user=second\n Port 6\nMatch !user second\n BatchMode yes\n",
        "Match user root,operator\n Port 7\nMatch localuser root\n User x\nMatch localuser nobody-else\n Port 8\n",
        "Match all\n Port 9\nMatch !all\n User never\n",
        "Match exec true\n Port 10\nMatch !exec false\n User yes\nMatch exec \"test %h = web1\"\n BatchMode yes\n",
        "Match host nowhere exec \"exit 0\"\n Port 11\n",
        "Match final\n Port 12\nPort 13\nMatch final host web1\n User late\n",
        "Match canonical\n Port 14\nMatch !canonical\n Port 15\nMatch !final\n User early\n",
        "Host web1\n HostName new.example.com\nHost new.example.com\n Port 16\nMatch final\n User f\n",
        "Match host web1 # comment\n Port 17\nMatch  all  # comment\n User c\n",
        "Host web1\n IdentityFile /a\nMatch final\n IdentityFile /b\nHost *\n IdentityFile /a\n",
        "Match host web1 user root\n Port 18\nMatch originalhost web1 !host web1\n Port 19\n",
        "Host web1\n HostName %h.MiXed.org\nMatch host *.MiXed.org\n Port 20\nMatch host *.mixed.org\n User m\n",
        "MATCH HOST web1\n Port 21\nMatch Final All\n",
        "Match tagged \"\"\n Port 1\n",
    ]
    .iter()
    .enumerate()
    {
        let file = write(dir.path(), &format!("config{number}"), text);
        for host in ["web1", "web2", "WEB1"] {
            if text.contains("tagged") {
                continue; // since OpenSSH 9.4
            }
            compare(&file, host).unwrap_or_else(|error| panic!("{host}:\n{text}\n{error}"));
        }
    }
}

#[test]
fn includes() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display();
    write(dir.path(), "10.inc", "Host web1\n User ten\nHost web2\n User two\n");
    write(dir.path(), "20.inc", "Port 20\nUser twenty\nHost *\n IdentityFile /twenty\n");
    write(dir.path(), "a b.inc", "BatchMode yes\n");
    let nested = write(dir.path(), "nested", &format!("Include {place}/10.inc\nPort 30\n"));
    let nested = nested.display();
    write(dir.path(), "loop", &format!("Include {place}/loop\n"));
    write(dir.path(), "bad.inc", "Port x\n");
    for (number, text) in [
        format!("Include {place}/[12]*.inc\nPort 1\n"),
        format!("Host web1\n Include {place}/20.inc\n ConnectionAttempts 2\nHost web2\n Port 2\n"),
        format!("Host web2\n Include {nested}\nPort 3\n"),
        format!("Include {place}/none {place}/*.none\nUser u\n"),
        format!("Include \"{place}/a b.inc\" {place}/?0.inc\n"),
        format!("Match host web1\n Include {place}/10.inc {nested}\nMatch all\n User all\n"),
        format!("Include {place}/loop\n"),
        format!("Host never\n Include {place}/bad.inc\n"),
        format!("Host web1\n Include {place}/10.inc\n Port 4\n"),
    ]
    .iter()
    .enumerate()
    {
        let file = write(dir.path(), &format!("config{number}"), text);
        for host in ["web1", "web2", "web3"] {
            compare(&file, host).unwrap_or_else(|error| panic!("{host}:\n{text}\n{error}"));
        }
    }
}

#[test]
fn proxies() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (number, text) in [
        "ProxyJump a,b@c:22,[::1]:44,ssh://d@e:33\n",
        "ProxyJump none\nProxyCommand nc %h %p\n",
        "ProxyCommand none\nProxyJump a\n",
        "ProxyCommand nc \"%h\" %p # not a comment\nProxyJump a\n",
        "ProxyJump a # comment\nProxyCommand nc\n",
        "ProxyJump=a\n",
        "ProxyJump = a:99\n",
        "ProxyCommand=ssh -W %h:%p gw\n",
        "Host web1\n ProxyJump NONE\nHost *\n ProxyJump gw\n",
        "ProxyJump a, b\n",
        "ProxyJump u@a:22,\tb\n",
        "ProxyJump a:0\n",
        "ProxyJump a:port\n",
        "ProxyJump u@\n",
        "ProxyJump a,,b\n",
    ]
    .iter()
    // Blanks, from 10.6 on.
    .filter(|text| !text.contains(", b") && !text.contains(",\tb") || openssh_from(10, 6))
    .enumerate()
    {
        let file = write(dir.path(), &format!("config{number}"), text);
        for host in ["web1", "web2"] {
            compare(&file, host).unwrap_or_else(|error| panic!("{host}:\n{text}\n{error}"));
        }
    }
}

#[test]
fn what_ssh_refuses_is_refused_at_the_same_line() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (number, wrong) in [
        "Prot 22",
        "Port",
        "Port x",
        "Port 0",
        "Port 65536",
        "Port 22 23",
        "Port \"22",
        "Host \"\"",
        "Match",
        "Match host",
        "Match hots web1",
        "Match all host web1",
        "Match host web1 user u all",
        "StrictHostKeyChecking maybe",
        "BatchMode 1",
        "ConnectTimeout soon",
        "ServerAliveCountMax -1",
        "UserKnownHostsFile none /a",
        "IdentityFile a b",
        "IdentityFile \"\"",
        "AddressFamily inet5",
        "HashKnownHosts",
        "Compression",
        "Include \"\"",
        "User 'a",
    ]
    .iter()
    .enumerate()
    {
        let file = write(dir.path(), &format!("config{number}"), &format!("# one\n\n  {wrong}\n"));
        let theirs = by_ssh(&file, "web1").expect_err(wrong);
        assert!(theirs.contains("line 3"), "{wrong}: {theirs}");
        let ours = load(&file).expect_err(wrong);
        assert_eq!(ours.len(), 1, "{wrong}: {ours:?}");
        let place = format!("{}:3:3: ", file.display());
        assert!(ours[0].starts_with(&place), "{wrong}: {ours:?}");
    }
}

#[test]
fn unknown_keywords_may_be_ignored() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (number, text) in [
        "IgnoreUnknown UseKeychain,Apple*\nUseKeychain yes\nAppleThing x\nPort 1\n",
        "IgnoreUnknown usekeychain\nUSEKEYCHAIN yes\nPort 1\n",
        "UseKeychain yes\nIgnoreUnknown UseKeychain\n",
        "IgnoreUnknown *,!UseKeychain\nUseKeychain yes\n",
    ]
    .iter()
    .enumerate()
    {
        let file = write(dir.path(), &format!("config{number}"), text);
        compare(&file, "web1").unwrap_or_else(|error| panic!("{text}\n{error}"));
    }
}

#[test]
fn tokens_mean_the_same() {
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = format!(
        "Host web1\n HostName %h.example.com\n User alice\n Port 99\n HostKeyAlias al\n\
         Match exec \"echo %% %d %h %i %k %L %l %n %p %r %u >> {}\"\n BatchMode yes\n",
        out.display()
    );
    let file = write(dir.path(), "config", &text);
    for host in ["web1", "WEB2"] {
        by_ssh(&file, host).unwrap();
        by_us(&file, host).unwrap();
        let lines = std::fs::read_to_string(&out).unwrap();
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], lines[1], "{host}");
        std::fs::remove_file(&out).unwrap();
    }
}

#[test]
fn others_must_not_be_able_to_write_to_an_included_file() {
    use std::os::unix::fs::PermissionsExt;
    if !have(&["ssh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let open = write(dir.path(), "open", "Port 1\n");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o666)).unwrap();
    let file = write(dir.path(), "config", &format!("Include {}\n", open.display()));
    assert!(by_ssh(&file, "web1").unwrap_err().contains("Bad owner or permissions"));
    let ours = load(&file).unwrap_err();
    assert!(ours[0].contains("others may write to it"), "{ours:?}");
}
