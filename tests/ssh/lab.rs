//! The embedded fleet: its SSH servers are real to OpenSSH and to us, its services serve what they
//! were told to load, and nothing of it is left behind.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use certroll::testing::inventory::{self, LoadOptions};
use certroll::testing::lab::story::{HostStory, Kind, Scenario, demo, expected};
use certroll::testing::lab::{Fault, Lab};
use certroll::testing::model::{Endpoint, Fingerprint, HostName, StartTls, Timestamp};
use certroll::testing::services::Profiles;
use certroll::testing::source::Diagnostics;
use certroll::testing::template::Templates;
use certroll::testing::transport::{
    ConnectError, Connector, Launch, Process, Session, StartError, Target,
};
use certroll::testing::verify::{Probe, Tcp, handshake};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn lab(twists: &[Scenario]) -> Lab {
    let story = |(index, scenario)| HostStory::new(format!("edge{index}"), Kind::Web, scenario);
    let stories: Vec<_> = (1..).zip(twists.iter().copied()).map(story).collect();
    Lab::temporary(&stories).await.unwrap()
}

fn target(lab: &Lab, index: usize) -> Target {
    let host = &lab.hosts[index];
    Target {
        port: host.sshd.port(),
        identities: vec![lab.identity()],
        known_hosts: vec![lab.known_hosts()],
        connect_timeout: Duration::from_secs(60),
        ..Target::new(HostName::new(&host.name), "127.0.0.1", "demo")
    }
}

async fn session(lab: &Lab, index: usize) -> Session {
    Connector::new(Timestamp::from_unix(0)).connect(&target(lab, index)).await.unwrap()
}

async fn start(session: &Session, script: &str) -> Process {
    let quoted = script.replace('\'', r"'\''");
    session.start(&Launch::new(format!("sh -c '{quoted}'"), "")).await.unwrap()
}

/// What a command says on stdout and stderr, and its exit code.
async fn run(session: &Session, script: &str) -> (String, Option<i32>) {
    let mut process = start(session, script).await;
    let mut text = String::new();
    process.stdout.read_to_string(&mut text).await.unwrap();
    let code = process.exit().await.code;
    text.push_str(&String::from_utf8(process.stderr_tail().await).unwrap());
    (text, code)
}

async fn served(lab: &Lab, name: &str) -> Fingerprint {
    let host = lab.host(name).unwrap();
    let endpoint = Endpoint { host: "127.0.0.1".into(), port: host.service.port() };
    let mail = name.starts_with("mail");
    let probe = Probe {
        server_name: Some(format!("{name}.demo.test")),
        starttls: if mail { StartTls::Smtp } else { StartTls::None },
        ..Probe::new(endpoint)
    };
    handshake(&probe, &Tcp).await.unwrap().leaf
}

async fn openssh(lab: &Lab, arguments: &[&str]) -> Output {
    let port = lab.hosts[0].sshd.port().to_string();
    let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    let mut ssh = tokio::process::Command::new("ssh");
    ssh.args(["-F", "none", "-p", &port, "-o", &known, "-o", "BatchMode=yes"]);
    ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(lab.identity()).arg("demo@127.0.0.1");
    ssh.args(arguments).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_runs_commands_there() {
    if !crate::common::have(&["ssh"]) {
        return;
    }
    let lab = lab(&[Scenario::None]).await;
    let ran = openssh(&lab, &["echo $HOME; echo no >&2; exit 7"]).await;
    let home = lab.hosts[0].directory.join("home");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("{}\n", home.display()));
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "no\n");
    assert_eq!(ran.status.code(), Some(7));
    // Nobody else's environment is there.
    let ran = openssh(&lab, &["env"]).await;
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(!text.contains("CARGO"), "{text}");
    // An account that does not exist stays out.
    let other = Target { user: "root".into(), ..target(&lab, 0) };
    let refused = Connector::new(Timestamp::from_unix(0)).connect(&other).await.unwrap_err();
    assert!(matches!(refused, ConnectError::AuthFailed { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_transport_runs_programs_with_much_data_both_ways() {
    let lab = lab(&[Scenario::None]).await;
    let session = session(&lab, 0).await;
    let all = futures::future::join_all((0..4).map(|_| async {
        let (mut stdin, mut stdout, ending) = start(&session, "cat; exit 3").await.split();
        let sent: Vec<u8> = (0..6_000_000_u32).map(|n| (n % 251) as u8).collect();
        let writing = async {
            stdin.write_all(&sent).await.unwrap();
            stdin.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(writing, stdout.read_to_end(&mut got));
        read.unwrap();
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        ending.exit().await.code
    }));
    assert_eq!(all.await, [Some(3); 4]);
    assert_eq!(run(&session, "kill -TERM $$").await.1, None);
    assert_eq!((lab.hosts[0].sshd.connections(), lab.hosts[0].sshd.programs()), (1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_channel_is_the_end_of_input_and_kills_nothing() {
    let lab = lab(&[Scenario::None]).await;
    let session = session(&lab, 0).await;
    let process = start(&session, "trap '' PIPE; cat >/dev/null; sleep 0.3; echo done >end").await;
    drop(process);
    let end = lab.hosts[0].directory.join("home/end");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !end.exists() {
        assert!(Instant::now() < deadline, "the program was killed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_and_nothing_else_changes_what_is_served() {
    let lab = Lab::temporary(&demo()).await.unwrap();
    for name in ["edge1", "mail1"] {
        let host = lab.host(name).unwrap();
        let (old, new) = lab.leaves(name).unwrap();
        let index = lab.hosts.iter().position(|host| host.name == name).unwrap();
        let session = session(&lab, index).await;
        assert_eq!(served(&lab, name).await, old);

        let certs = lab.directory().join("certs").join(name);
        let live = host.directory.join("tls");
        let (certs, live) = (certs.display(), live.display());
        let check = format!(
            "cd {live} && edge-check {certs}/fullchain.pem {certs}/privkey.pem && \
             cp {certs}/fullchain.pem cert.pem && cp {certs}/privkey.pem key.pem"
        );
        let (said, code) = run(&session, &check).await;
        assert_eq!(
            (said.as_str(), code),
            ("configuration, certificate and key are good\n", Some(0))
        );
        assert_eq!(served(&lab, name).await, old, "files alone change nothing");

        let (said, code) = run(&session, "edge-reload").await;
        assert_eq!((said, code), (format!("serves {}\n", new.short()), Some(0)));
        assert_eq!(served(&lab, name).await, new);
    }
    // One whose files are new already.
    let (old, _) = lab.leaves("edge6").unwrap();
    assert_eq!(served(&lab, "edge6").await, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_refuse_what_is_wrong_and_so_do_reloads() {
    let lab = lab(&[
        Scenario::None,
        Scenario::BrokenConfiguration,
        Scenario::UnusableKey,
        Scenario::None,
    ])
    .await;
    let certs = lab.directory().join("certs");
    let certs = certs.display();
    let pair = |cert: &str, key: &str| {
        format!("edge-check {certs}/{cert}/fullchain.pem {certs}/{key}/privkey.pem")
    };

    let (said, code) = run(&session(&lab, 0).await, &pair("edge1", "edge2")).await;
    assert!(said.starts_with("key values mismatch: "), "{said}");
    assert_eq!(code, Some(1));
    let garbage = format!("echo garbage >x; edge-check x {certs}/edge1/privkey.pem");
    assert_eq!(run(&session(&lab, 0).await, &garbage).await.1, Some(1));
    assert_eq!(run(&session(&lab, 0).await, "edge-check /no/such /file").await.1, Some(1));

    let broken = session(&lab, 1).await;
    let (said, code) = run(&broken, &pair("edge2", "edge2")).await;
    assert_eq!(
        (said.as_str(), code),
        ("service.conf:6: unknown setting 'max_conections'\n", Some(1))
    );

    // What the check does not see, the reload does, and the service goes on.
    let strict = session(&lab, 2).await;
    assert_eq!(run(&strict, &pair("edge3", "edge3")).await.1, Some(0));
    let live = lab.hosts[2].directory.join("tls");
    let script = format!(
        "cp {certs}/edge3/fullchain.pem {live}/cert.pem && cp {certs}/edge3/privkey.pem {live}/key.pem \
         && edge-reload",
        live = live.display()
    );
    let (said, code) = run(&strict, &script).await;
    assert!(said.contains("cannot use a key of type EC P-384"), "{said}");
    assert_eq!(code, Some(1));
    assert_eq!(served(&lab, "edge3").await, lab.leaves("edge3").unwrap().0);

    // Many at once, each with its own answer.
    let session = session(&lab, 3).await;
    let (good, bad) = (pair("edge4", "edge4"), pair("edge4", "edge1"));
    let all = (0..20).map(|n| run(&session, if n % 2 == 0 { &good } else { &bad }));
    for (n, (said, code)) in (0..).zip(futures::future::join_all(all).await) {
        assert_eq!(code, Some(n % 2), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_for_the_controller_loads_without_a_word() {
    let lab = Lab::temporary(&demo()).await.unwrap();
    let shown = |found: &Diagnostics| certroll::testing::source::render::render(found, false, 100);
    let options =
        LoadOptions { playbook_directories: vec![], decrypt: &|_| Err("no vault".to_owned()) };
    let sources = [lab.inventory().to_str().unwrap().to_owned()];
    let (inventory, found) = inventory::load(&sources, &options).unwrap();
    assert_eq!(shown(&found), "");
    let expected = expected(lab.stories());
    let hosts: Vec<_> = inventory.hosts().iter().map(|host| host.as_str().to_owned()).collect();
    assert_eq!(hosts, expected.iter().map(|end| end.host.clone()).collect::<Vec<_>>());
    let vars = inventory.vars("edge2");
    let edge2 = &lab.hosts[1];
    let text = |name: &str| vars[name].as_str().unwrap().to_owned();
    assert_eq!(text("host_dir"), edge2.directory.to_str().unwrap());
    assert_eq!(text("certroll_state_dir"), edge2.directory.join("state").to_str().unwrap());
    let known = format!("-F none -o UserKnownHostsFile={} ", lab.known_hosts().display());
    assert!(text("ansible_ssh_common_args").starts_with(&known));

    let file = certroll::testing::load::read_text(&lab.playbook()).unwrap();
    let templates = Templates::new(lab.directory().to_owned(), Arc::new(|_| Err("no".to_owned())));
    let (playbook, found) =
        certroll::testing::playbook::parse(&file, lab.directory(), &templates).unwrap();
    assert_eq!((playbook.plays.len(), shown(&found)), (2, String::new()));
    let (profiles, found) = Profiles::load(&[lab.directory().join("services")]).unwrap();
    assert_eq!(shown(&found), "");
    for name in ["demo-web", "demo-mail"] {
        let profile = profiles.find(name).unwrap();
        assert_eq!(profile.validate.len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_jump_hosts_too_but_lead_nowhere_else() {
    let lab = lab(&[Scenario::None, Scenario::None, Scenario::None]).await;
    let through = Target { jumps: vec![target(&lab, 0), target(&lab, 1)], ..target(&lab, 2) };
    let connector = Connector::new(Timestamp::from_unix(0));
    let session = connector.connect(&through).await.unwrap();
    let (said, _) = run(&session, "pwd").await;
    assert_eq!(said, format!("{}\n", lab.hosts[2].directory.join("home").display()));
    assert!(session.dial("192.0.2.1", 22).await.is_err());
    let port = lab.hosts[0].service.port();
    let mut tunnel = session.dial("localhost", port).await.unwrap();
    tunnel.write_all(b"not TLS\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    tunnel.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.first(), Some(&21), "a TLS alert");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind() {
    let lab = lab(&[Scenario::None]).await;
    let directory = lab.directory().to_owned();
    let port = lab.hosts[0].service.port();
    let session = session(&lab, 0).await;
    // One that waits for ever, and one that detached itself.
    let _waits = start(&session, "trap '' TERM HUP; echo here >waits; sleep 600").await;
    run(&session, "setsid sh -c \"echo here >daemon; sleep 600\" </dev/null >/dev/null 2>&1 &")
        .await;
    let home = lab.hosts[0].directory.join("home");
    while !(home.join("waits").exists() && home.join("daemon").exists()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let running = lab.children().running();
    assert!(running.len() >= 2, "{running:?}");

    drop(session);
    lab.stop().await;

    assert!(!directory.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    for process in running {
        let deadline = Instant::now() + Duration::from_secs(60);
        let environ = format!("/proc/{process}/environ");
        while std::fs::read(&environ).is_ok_and(|text| !text.is_empty()) {
            assert!(Instant::now() < deadline, "process {process} is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_refuses_until_it_is_opened() {
    let lab = lab(&[Scenario::Unreachable]).await;
    let connector = Connector::new(Timestamp::from_unix(0));
    let refused = connector.connect(&target(&lab, 0)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
    lab.hosts[0].sshd.heal();
    let deadline = Instant::now() + Duration::from_secs(60);
    let session = loop {
        match connector.connect(&target(&lab, 0)).await {
            Ok(session) => break session,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    assert_eq!(run(&session, "echo up").await.0, "up\n");
    lab.hosts[0].sshd.inject(Fault::Refuse);
    let deadline = Instant::now() + Duration::from_secs(60);
    while connector.connect(&target(&lab, 0)).await.is_ok() {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_break_where_they_are_told_to() {
    let lab = lab(&[Scenario::None]).await;
    let sshd = &lab.hosts[0].sshd;
    let speak = "echo one; echo two; echo three";
    for (fault, wanted, lost) in [
        (Fault::CutBefore("two".into()), "one\n", true),
        (Fault::CutAfter("two".into()), "one\ntwo\n", true),
        (Fault::CutAmid("two".into()), "one\ntw", true),
        (Fault::CloseAfter("two".into()), "one\ntwo\n", false),
        (Fault::replace("two", "2"), "one\n2\nthree\n", false),
    ] {
        let name = format!("{fault:?}");
        sshd.inject(fault);
        let session = session(&lab, 0).await;
        let mut process = start(&session, speak).await;
        let mut said = Vec::new();
        let read = process.stdout.read_to_end(&mut said).await;
        assert_eq!(
            (String::from_utf8_lossy(&said).as_ref(), read.is_err()),
            (wanted, lost),
            "{name}"
        );
        let exit = process.exit().await;
        assert_eq!(exit.closed_cleanly, !lost, "{name}");
        assert_eq!(exit.code.is_some(), name.starts_with("Rewrite"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_lost_where_it_is_told_to_be() {
    let lab = lab(&[Scenario::None]).await;
    let sshd = &lab.hosts[0].sshd;
    let home = lab.hosts[0].directory.join("home");
    sshd.inject(Fault::CutAfterInput(1000));
    let broken = session(&lab, 0).await;
    let mut process = start(&broken, "cat >got; echo end >ended").await;
    process.stdin.write_all(&[b'x'; 5000]).await.ok();
    assert!(!process.exit().await.closed_cleanly);
    while !home.join("ended").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(std::fs::metadata(home.join("got")).unwrap().len(), 1000);

    sshd.inject(Fault::IgnoreInput);
    let deaf = session(&lab, 0).await;
    let mut process = start(&deaf, "echo ready; read line; echo $line").await;
    let mut said = [0; 6];
    process.stdout.read_exact(&mut said).await.unwrap();
    process.stdin.write_all(b"line\n").await.unwrap();
    process.stdin.shutdown().await.unwrap();
    let more = tokio::time::timeout(Duration::from_millis(300), process.stdout.read(&mut said));
    assert!(more.await.is_err(), "nothing comes back");

    sshd.inject(Fault::StarveWindow);
    let starved = session(&lab, 0).await;
    let mut process = start(&starved, "cat").await;
    let much = vec![b'x'; 1 << 20];
    let write = tokio::time::timeout(Duration::from_millis(500), async {
        process.stdin.write_all(&much).await?;
        process.stdin.flush().await
    });
    assert!(write.await.is_err(), "the window is never opened again");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_floods_and_slowness() {
    let lab = lab(&[Scenario::None]).await;
    let sshd = &lab.hosts[0].sshd;
    let quiet = Duration::from_millis(300);

    sshd.inject(Fault::Mute);
    let connector = Connector::new(Timestamp::from_unix(0));
    let impatient = Target { connect_timeout: Duration::from_secs(2), ..target(&lab, 0) };
    let mute = connector.connect(&impatient).await.unwrap_err();
    assert!(matches!(mute, ConnectError::Timeout { .. }), "{mute}");

    sshd.inject(Fault::NeverAnswer);
    let silent = session(&lab, 0).await;
    let mut process = start(&silent, "echo hello").await;
    assert!(tokio::time::timeout(quiet, process.stdout.read_u8()).await.is_err());

    sshd.inject(Fault::SilenceAfter("one".into()));
    let mut process = start(&silent, "echo one; echo two").await;
    let mut said = [0; 4];
    process.stdout.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"one\n");
    assert!(tokio::time::timeout(quiet, process.stdout.read_u8()).await.is_err());

    sshd.inject(Fault::FloodAfter("one".into()));
    let flooded = session(&lab, 0).await;
    let mut process = start(&flooded, "echo one").await;
    let mut said = vec![0; 10_000_000];
    process.stdout.read_exact(&mut said).await.unwrap();

    sshd.inject(Fault::Slow { bytes: 1, wait: Duration::from_millis(10) });
    let slow = session(&lab, 0).await;
    let started = Instant::now();
    assert_eq!(run(&slow, "echo 123456789").await.0, "123456789\n");
    assert!(started.elapsed() >= Duration::from_millis(90));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_lost_says_so() {
    let lab = lab(&[Scenario::None]).await;
    let session = session(&lab, 0).await;
    lab.stop().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !session.is_closed() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lost = session.start(&Launch::new("true", "")).await.unwrap_err();
    assert!(matches!(lost, StartError::Lost { .. }), "{lost}");
}
