//! Bastions: one, two in a row, shared by many hosts, failing; resolved from configuration files.

use super::{chain, connector, secret, whoami};
use crate::common::sshd::Sshd;
use certroll::testing::model::HostName;
use certroll::testing::source::{Node, Vars};
use certroll::testing::transport::{
    ConnectError, ConnectOptions, Controller, Keywords, Route, SshConfig, Target, target_from,
};
use futures::future::join_all;
use std::fmt::Write;

fn through(target: Target, jumps: &[&Target]) -> Target {
    Target { jumps: jumps.iter().map(|jump| (*jump).clone()).collect(), ..target }
}

fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

#[tokio::test]
async fn one_and_two_bastions() {
    let dir = tempfile::tempdir().unwrap();
    let Some(outer) = Sshd::start(dir.path(), "outer", "") else { return };
    let Some(inner) = Sshd::start(dir.path(), "inner", "") else { return };
    let Some(host) = Sshd::start(dir.path(), "host", "") else { return };
    let connector = connector();
    let (first, second) = (outer.target_with_key("free"), inner.target_with_key("barred"));
    let by_one = through(host.target_with_key("alice"), &[&first]);
    assert_eq!(whoami(&connector.connect(&by_one).await.unwrap()).await, "alice");
    let by_two = through(host.target_with_key("alice"), &[&first, &second]);
    assert_eq!(whoami(&connector.connect(&by_two).await.unwrap()).await, "alice");
    assert_eq!((logins(&outer), logins(&inner), logins(&host)), (1, 1, 2), "shared");
}

#[tokio::test]
async fn many_hosts_share_one_connection_and_bytes_flow_for_all() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let Some(bastion) = Sshd::start(dir.path(), "bastion", "") else { return };
    let Some(host) = Sshd::start(dir.path(), "host", "") else { return };
    let connector = connector();
    let target = through(host.target_with_key("alice"), &[&bastion.target_with_key("free")]);
    let sessions = join_all((0..12).map(|_| connector.connect(&target))).await;
    let work = sessions.into_iter().map(async |session| {
        let session = session.unwrap();
        let launch = certroll::testing::transport::Launch::new("cat", "");
        let process = session.start(&launch).await.unwrap();
        let payload: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let (mut stdin, mut stdout) = (process.stdin, process.stdout);
        let sent = payload.clone();
        let writer = tokio::spawn(async move {
            stdin.write_all(&sent).await.unwrap();
            stdin.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        stdout.read_to_end(&mut back).await.unwrap();
        writer.await.unwrap();
        assert!(back == payload);
    });
    join_all(work).await;
    assert_eq!((logins(&bastion), logins(&host)), (1, 12));
}

#[tokio::test]
async fn failures_name_the_hop() {
    let dir = tempfile::tempdir().unwrap();
    let Some(closed) = Sshd::start(dir.path(), "closed", "AllowTcpForwarding no") else { return };
    let Some(open) = Sshd::start(dir.path(), "open", "") else { return };
    let host = open.target_with_key("alice");
    let connector = connector();
    let error = connector.connect(&through(host.clone(), &[&closed.target_with_key("free")])).await;
    let error = chain(&error.unwrap_err());
    assert!(error.contains("cannot connect to 127.0.0.1 port"), "{error}");
    assert!(error.contains("AllowTcpForwarding"), "{error}");

    let nobody = Target { port: crate::common::daemon::free_port(), ..host.clone() };
    let error = connector.connect(&through(nobody, &[&host])).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::JumpOnwards { reason, .. } if reason.contains("connect failed")),
        "{error}"
    );

    let wrong = Target { password: secret("wrong"), ..open.target("free") };
    let refused = connector.connect(&through(host.clone(), &[&wrong])).await;
    let error = refused.unwrap_err();
    let ConnectError::Jump { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(**source, ConnectError::AuthFailed { .. }), "{source}");

    let stranger = Target { known_hosts: vec![], ..open.target_with_key("free") };
    let error = chain(&connector.connect(&through(host, &[&stranger])).await.unwrap_err());
    assert!(
        error.contains("jump host free@127.0.0.1") && error.contains("is not known"),
        "{error}"
    );
}

#[tokio::test]
async fn a_bastion_that_was_lost_is_connected_to_again() {
    let dir = tempfile::tempdir().unwrap();
    let Some(bastion) = Sshd::start(dir.path(), "bastion", "") else { return };
    let Some(host) = Sshd::start(dir.path(), "host", "") else { return };
    let connector = connector();
    let jump = bastion.target_with_key("free");
    let target = through(host.target_with_key("alice"), &[&jump]);
    let session = connector.connect(&target).await.unwrap();
    assert_eq!(whoami(&session).await, "alice");
    // Its sshd ends the session, as a reboot would.
    let direct = crate::transport::connector().connect(&jump).await.unwrap();
    let kill =
        certroll::testing::transport::Launch::new("sh -c 'sudo -n pkill -f \"^sshd: free\"'", "");
    let mut killed = direct.start(&kill).await.unwrap();
    killed.exit().await;
    let mut process = session.start(&certroll::testing::transport::Launch::new("id", "")).await;
    if let Ok(process) = &mut process {
        assert!(!process.exit().await.success());
    }
    let session = connector.connect(&target).await.unwrap();
    assert_eq!(whoami(&session).await, "alice");
}

/// The whole way from an inventory's variables and a configuration file.
#[tokio::test]
async fn variables_and_ssh_config_lead_there() {
    let dir = tempfile::tempdir().unwrap();
    let Some(outer) = Sshd::start(dir.path(), "outer", "") else { return };
    let Some(inner) = Sshd::start(dir.path(), "inner", "") else { return };
    let Some(host) = Sshd::start(dir.path(), "host", "") else { return };
    let mut text = String::new();
    for (name, sshd, user) in
        [("outer", &outer, "free"), ("inner", &inner, "barred"), ("web1", &host, "alice")]
    {
        let target = sshd.target_with_key(user);
        let (key, known) = (target.identities[0].display(), target.known_hosts[0].display());
        writeln!(
            text,
            "Host {name}\n HostName 127.0.0.1\n Port {}\n User {user}\n IdentityFile {key}\n \
             UserKnownHostsFile {known}\n IdentityAgent none",
            sshd.port
        )
        .unwrap();
    }
    let plan = |arguments: &str, more: &str| {
        let config = format!("{text}{more}");
        let (config, _) = SshConfig::parse(Controller::detect(), "config", &config).unwrap();
        let vars = Vars::from([("ansible_ssh_common_args".to_owned(), Node::text(arguments))]);
        let (keywords, options) = (Keywords::default(), ConnectOptions::default());
        let plan =
            target_from(&HostName::new("web1"), &vars, &keywords, &options, &config).unwrap();
        let Route::Ssh(target) = plan.route else { panic!("local") };
        target
    };
    let file = dir.path().join("config");
    std::fs::write(&file, &text).unwrap();
    let proxy = format!("-o ProxyCommand='ssh -F {} -W %h:%p outer'", file.display());
    for (what, arguments, more, hops) in [
        ("none", "", "", 0),
        ("by argument", "-J outer,inner", "", 2),
        ("by option", "-o ProxyJump=outer", "", 1),
        ("by file", "", "Host web1\n ProxyJump inner\nHost inner\n ProxyJump outer\n", 2),
        ("by a proxy command", proxy.as_str(), "", 0),
    ] {
        let target = plan(arguments, more);
        assert_eq!(target.jumps.len(), hops, "{what}");
        let session = connector().connect(&target).await;
        let session = session.unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
        assert_eq!(whoami(&session).await, "alice", "{what}");
    }
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_heard() {
    let target = |command: &str| Target {
        proxy_command: Some(command.to_owned()),
        password: secret("any"),
        ..Target::new(HostName::new("web1"), "web1", "alice")
    };
    let error = connector().connect(&target("no-such-program 1 2")).await.unwrap_err();
    assert!(chain(&error).contains("no-such-program: not found"), "{}", chain(&error));
    let error = connector().connect(&target("sh -c 'echo why not >&2; exit 1'")).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::ProxyFailed { said, .. } if said == "why not"),
        "{error}"
    );
    let error = connector().connect(&target("true")).await.unwrap_err();
    // It ends without a word: the end is read, or writing to it fails, whichever is first.
    assert!(!matches!(error, ConnectError::ProxyFailed { .. }), "{error}");
}
