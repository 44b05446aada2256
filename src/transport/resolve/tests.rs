use super::*;
use crate::source::{Node, Value};
use crate::transport::become_user::Method;
use crate::transport::ssh_config::Controller;
use crate::transport::target::{AgentChoice, HostKeyChecking};
use std::path::PathBuf;
use std::time::Duration;

fn controller() -> Controller {
    Controller {
        home: "/nonexistent/home".into(),
        user: "operator".into(),
        uid: "1000".into(),
        hostname: "controller.example.com".into(),
        shell: "/bin/sh".into(),
        agent: Some("/run/agent".into()),
    }
}

fn config(text: &str) -> SshConfig {
    SshConfig::parse(controller(), "config", text).unwrap().0
}

fn vars(pairs: &[(&str, &str)]) -> Vars {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Node::text(*value))).collect()
}

fn plan_with(pairs: &[(&str, &str)], options: &ConnectOptions, text: &str) -> ConnectionPlan {
    let host = HostName::new("web1");
    target_from(&host, &vars(pairs), &Keywords::default(), options, &config(text)).unwrap()
}

fn target(pairs: &[(&str, &str)], text: &str) -> Target {
    let plan = plan_with(pairs, &ConnectOptions::default(), text);
    let Route::Ssh(target) = plan.route else { panic!("local") };
    *target
}

fn errors(pairs: &[(&str, &str)], text: &str) -> Vec<String> {
    let host = HostName::new("web1");
    let options = ConnectOptions::default();
    let found = target_from(&host, &vars(pairs), &Keywords::default(), &options, &config(text))
        .unwrap_err();
    found.0.iter().map(ToString::to_string).collect()
}

#[test]
fn without_a_word_the_name_itself_and_openssh_defaults() {
    let target = target(&[], "");
    assert_eq!(target.to_string(), "operator@web1:22");
    assert!(target.identities.is_empty(), "default keys that do not exist");
    assert_eq!(target.agent, AgentChoice::Socket("/run/agent".into()));
    assert_eq!(target.known_hosts[0], PathBuf::from("/nonexistent/home/.ssh/known_hosts"));
    assert_eq!(target.known_hosts[2], PathBuf::from("/etc/ssh/ssh_known_hosts"));
    assert_eq!(target.host_key_checking, HostKeyChecking::Strict);
    assert_eq!(target.connect_timeout, Duration::from_secs(10));
    assert_eq!(target.methods, [""; 0]);
}

#[test]
fn variables_beat_keywords_beat_the_command_line_beats_the_file() {
    let text = "Host web1\n User file\n Port 1\n ConnectTimeout 1\n IdentityFile ~/file\n";
    let options = ConnectOptions {
        user: Some("line".into()),
        private_key: Some("/line".into()),
        timeout: Some(Duration::from_secs(2)),
        ..ConnectOptions::default()
    };
    let user = |pairs: &[(&str, &str)], keyword: Option<&str>, options: &ConnectOptions| {
        let keywords = Keywords { remote_user: keyword.map(str::to_owned), ..Keywords::default() };
        let host = HostName::new("web1");
        let plan = target_from(&host, &vars(pairs), &keywords, options, &config(text)).unwrap();
        let Route::Ssh(target) = plan.route else { panic!("local") };
        target
    };
    let none = ConnectOptions::default();
    assert_eq!(user(&[], None, &none).user, "file");
    let by_line = user(&[], None, &options);
    assert_eq!((by_line.user.as_str(), by_line.port), ("line", 1));
    assert_eq!(by_line.connect_timeout, Duration::from_secs(2));
    assert_eq!(
        by_line.identities,
        [PathBuf::from("/line"), "/nonexistent/home/file".into()],
        "the file's key stays as a further one, as with ssh -i"
    );
    assert_eq!(user(&[], Some("play"), &options).user, "play");
    let by_variable =
        [("ansible_user", "var"), ("ansible_port", "2200"), ("ansible_ssh_timeout", "3")];
    let by_variable = user(&by_variable, Some("play"), &options);
    assert_eq!((by_variable.user.as_str(), by_variable.port), ("var", 2200));
    assert_eq!(by_variable.connect_timeout, Duration::from_secs(3));
    let aliases = [("ansible_user", "a"), ("ansible_ssh_user", "b")];
    assert_eq!(user(&aliases, None, &none).user, "b", "the later spelling wins");
}

#[test]
fn arguments_of_ssh_go_around_the_variables_as_ansible_puts_them() {
    let target = target(
        &[
            ("ansible_ssh_args", "-o Port=1"),
            ("ansible_port", "2"),
            ("ansible_user", "var"),
            ("ansible_ssh_common_args", "-l common -o ProxyJump=none -o HostKeyAlias=alias"),
            ("ansible_ssh_extra_args", "-o HostKeyAlias=other -o BatchMode=yes"),
        ],
        "ProxyJump bastion",
    );
    assert_eq!((target.port, target.user.as_str()), (1, "var"));
    assert_eq!(target.host_key_alias.as_deref(), Some("alias"));
    assert!(target.jumps.is_empty());
}

#[test]
fn an_empty_variable_takes_the_arguments_of_the_command_line_away() {
    let options =
        ConnectOptions { ssh_common_args: Some("-J bastion".into()), ..ConnectOptions::default() };
    let jumps = |pairs: &[(&str, &str)]| match plan_with(pairs, &options, "").route {
        Route::Ssh(target) => target.jumps.len(),
        Route::Local => 0,
    };
    assert_eq!(jumps(&[]), 1);
    assert_eq!(jumps(&[("ansible_ssh_common_args", "")]), 0);
}

#[test]
fn jump_hosts_are_looked_up_in_turn() {
    let text = "Host web1\n ProxyJump inner\n\
                Host inner\n HostName 10.0.0.2\n User jim\n ProxyJump outer:2222\n\
                Host outer\n HostName outer.example.com\n IdentityFile /outer\n StrictHostKeyChecking accept-new\n";
    let target = target(&[("ansible_user", "root"), ("ansible_password", "secret")], text);
    let way: Vec<_> = target.jumps.iter().map(ToString::to_string).collect();
    assert_eq!(way, ["operator@outer.example.com:2222", "jim@10.0.0.2:22"]);
    assert_eq!(target.jumps[0].identities, [PathBuf::from("/outer")]);
    assert_eq!(target.jumps[0].host_key_checking, HostKeyChecking::AcceptNew);
    assert!(target.password.is_some());
    assert!(target.jumps.iter().all(|jump| jump.password.is_none()), "it is the host's alone");
}

#[test]
fn a_list_of_jumps_overrides_those_of_its_members_but_the_first() {
    let text = "Host b\n ProxyJump never\nHost a\n ProxyJump first\n";
    let target = target(&[("ansible_ssh_common_args", "-J x@a:1,b")], text);
    let way: Vec<_> = target.jumps.iter().map(ToString::to_string).collect();
    assert_eq!(way, ["operator@first:22", "x@a:1", "operator@b:22"]);
}

#[test]
fn circles_of_jump_hosts_are_found() {
    let said = errors(&[], "Host *\n ProxyJump bastion\n");
    assert_eq!(
        said,
        [
            "jump hosts in a circle: operator@web1:22 through operator@bastion:22 through operator@bastion:22"
        ]
    );
    let through = target(&[], "Host bastion\n ProxyJump none\nHost *\n ProxyJump bastion\n");
    assert_eq!(through.jumps.len(), 1);
}

#[test]
fn tokens_in_file_names_and_proxy_commands() {
    let text = "Host web1\n HostName %h.example.com\n User alice\n Port 2222\n \
                IdentityFile ~/.ssh/%r@%n\n CertificateFile %d/%u-%L\n IdentityAgent /run/%i/%k\n \
                UserKnownHostsFile ~/known/%h-%p none%%\n ProxyCommand nc -X 5 %h %p # not a comment\n";
    let target = target(&[], text);
    assert_eq!(target.identities, [PathBuf::from("/nonexistent/home/.ssh/alice@web1")]);
    assert_eq!(target.certificates, [PathBuf::from("/nonexistent/home/operator-controller")]);
    assert_eq!(target.agent, AgentChoice::Socket("/run/1000/web1".into()));
    assert_eq!(
        target.known_hosts[0],
        PathBuf::from("/nonexistent/home/known/web1.example.com-2222")
    );
    assert_eq!(target.known_hosts[1], PathBuf::from("none%"));
    assert_eq!(
        target.proxy_command.as_deref(),
        Some("nc -X 5 web1.example.com 2222 # not a comment")
    );
}

#[test]
fn host_keys_may_be_left_unchecked_by_variable_only_for_the_host_itself() {
    let target = target(&[("ansible_host_key_checking", "no")], "Host web1\n ProxyJump b\n");
    assert_eq!(target.host_key_checking, HostKeyChecking::DangerOff);
    assert_eq!(target.jumps[0].host_key_checking, HostKeyChecking::Strict);
}

#[test]
fn methods_that_are_switched_off_are_not_tried() {
    assert_eq!(
        target(&[], "PasswordAuthentication no").methods,
        ["publickey", "keyboard-interactive"]
    );
    let text = "PreferredAuthentications gssapi-with-mic,password,publickey";
    assert_eq!(target(&[], text).methods, ["password", "publickey"]);
    let said = errors(&[], "PreferredAuthentications hostbased");
    assert!(said[0].contains("no way to log in is left"), "{said:?}");
}

#[test]
fn keepalives() {
    let keepalive =
        |text| target(&[], text).keepalive.map(|keep| (keep.interval.as_secs(), keep.count));
    assert_eq!(keepalive(""), Some((15, 3)), "not OpenSSH's default, which waits for ever");
    assert_eq!(keepalive("ServerAliveInterval 0"), None);
    assert_eq!(keepalive("ServerAliveInterval 1m\nServerAliveCountMax 9"), Some((60, 9)));
}

#[test]
fn becoming() {
    let become_as = |pairs: &[(&str, &str)], keywords: &Keywords, options: &ConnectOptions| {
        let host = HostName::new("web1");
        target_from(&host, &vars(pairs), keywords, options, &config("")).unwrap().become_as
    };
    let (no_keywords, no_options) = (Keywords::default(), ConnectOptions::default());
    assert!(become_as(&[], &no_keywords, &no_options).is_none());
    let line = ConnectOptions {
        becoming: true,
        become_user: Some("line".into()),
        become_password: Some("line".to_owned().into()),
        ..ConnectOptions::default()
    };
    let to = become_as(&[], &no_keywords, &line).unwrap();
    assert_eq!((to.method, to.user.as_str()), (Method::Sudo, "line"));
    assert!(to.password.is_some());
    let keywords = Keywords {
        becoming: Some(true),
        become_user: Some("play".into()),
        become_method: Some("su".into()),
        ..Keywords::default()
    };
    let to = become_as(&[("ansible_become_pass", "x")], &keywords, &line).unwrap();
    assert_eq!((to.method, to.user.as_str()), (Method::Su, "play"));
    assert_eq!(to.password.unwrap().expose(), "x");
    let off = [("ansible_become", "false")];
    assert!(become_as(&off, &keywords, &line).is_none(), "a variable is the strongest");
    let all = [
        ("ansible_become", "yes"),
        ("ansible_become_method", "community.general.doas"),
        ("ansible_become_user", "var"),
        ("ansible_doas_user", "doas"),
        ("ansible_become_flags", ""),
        ("ansible_become_exe", "/opt/doas"),
    ];
    let to = become_as(&all, &no_keywords, &no_options).unwrap();
    assert_eq!((to.method, to.user.as_str()), (Method::Doas, "doas"));
    assert_eq!((to.flags.as_deref(), to.exe.as_deref()), (Some(""), Some("/opt/doas")));
}

#[test]
fn the_controller_itself() {
    let plan = plan_with(&[("ansible_connection", "local")], &ConnectOptions::default(), "");
    assert!(matches!(plan.route, Route::Local));
    assert_eq!(plan.address, "localhost");
    let pairs = [("ansible_connection", "ansible.builtin.local"), ("ansible_host", "10.0.0.1")];
    assert_eq!(plan_with(&pairs, &ConnectOptions::default(), "").address, "10.0.0.1");
}

#[test]
fn everything_wrong_is_said_at_once_and_no_password_with_it() {
    let mut all = vars(&[
        ("ansible_connection", "paramiko"),
        ("ansible_become", "maybe"),
        ("ansible_port", "99999"),
        ("ansible_ssh_common_args", "-L 1:2:3"),
        ("ansible_ssh_pkcs11_provider", "/lib/p11.so"),
    ]);
    let list = Node::made(Value::List(vec![Node::text("hunter2")]));
    all.insert("ansible_password".into(), list);
    let host = HostName::new("web1");
    let (keywords, options) = (Keywords::default(), ConnectOptions::default());
    let config = config("RevokedHostKeys /etc/ssh/revoked");
    let found = target_from(&host, &all, &keywords, &options, &config).unwrap_err();
    let said: Vec<_> = found.0.iter().map(ToString::to_string).collect();
    for part in [
        "host web1: ansible_become is 'maybe', not a boolean",
        "host web1: 'paramiko' is not supported",
        "host web1: ansible_port is '99999'",
        "ssh's option -L is not supported",
        "host web1: ansible_password is a list, not text",
        "host web1: ansible_ssh_pkcs11_provider: PKCS#11 is not supported here",
        "config:1:1: host web1: certroll does not support RevokedHostKeys",
    ] {
        assert!(said.iter().any(|text| text.contains(part)), "{part} in {said:#?}");
    }
    assert!(!said.join("\n").contains("hunter2"));
}

#[test]
fn another_file_by_dash_f_holds_for_jump_hosts_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, "Host web1\n ProxyJump gw\nHost gw\n HostName 192.0.2.1\n").unwrap();
    let arguments = format!("-F {}", file.display());
    let target = target(&[("ansible_ssh_common_args", &arguments)], "User other\n");
    assert_eq!(target.user, "operator");
    assert_eq!(target.jumps[0].address, "192.0.2.1");
    let said = errors(&[("ansible_ssh_common_args", "-F /nonexistent/config")], "");
    assert!(
        said[0].starts_with("cannot read the SSH configuration /nonexistent/config"),
        "{said:?}"
    );
}

#[test]
fn names_that_a_shell_would_read_are_kept_out_of_commands() {
    let fits = |host: &str, user: &str, command: &str| {
        let args = format!("-o 'ProxyCommand={command}'");
        let pairs = [
            ("ansible_host", host),
            ("ansible_user", user),
            ("ansible_ssh_common_args", args.as_str()),
        ];
        let host = HostName::new("web1");
        let options = ConnectOptions::default();
        target_from(&host, &vars(&pairs), &Keywords::default(), &options, &config("")).is_ok()
    };
    for bad in
        ["$(id)", "a;id", "a b", "-oProxyCommand=id", "a`id`", "a'b", "a\\b", "a|b", "x{a,b}"]
    {
        assert!(!fits(bad, "u", "nc %h %p"), "{bad}");
        assert!(!fits("h", bad, "nc -l %r h %p"), "{bad}");
        // Where it does not stand in the command it does no harm.
        assert!(fits("h", bad, "nc %h %p"), "{bad}");
    }
    for good in ["www.example.net", "2001:db8::1", "fe80::1%eth0", "bücher.example", "under_score"]
    {
        assert!(fits(good, "u.v@w", "nc %h %p # %r"), "{good}");
    }
}
