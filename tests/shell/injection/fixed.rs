//! Every hostile text in every place, under one shell after the other.

use crate::injection::place::{HOSTILE, Place, Texts, possible, shells};
use serde_json::{Value, json};

fn texts(text: &str) -> Texts {
    let text = text.to_owned();
    Texts { host: text.clone(), path: text.clone(), variable: text.clone(), word: text }
}

#[test]
fn every_text_arrives_as_written_or_is_refused() {
    if !possible() {
        return;
    }
    let shells = shells();
    let mut arrived = 0;
    for (index, text) in HOSTILE.iter().enumerate() {
        let place = Place::new(&shells[index % shells.len()]);
        let texts = texts(text);
        let ran = place.apply(&texts, &place.play(&texts));
        assert_eq!(place.sung(), None, "{text:?}: {}", ran.said);
        if ran.refused() {
            assert_eq!(place.calls(), Vec::<Vec<String>>::new(), "{text:?}");
            continue;
        }
        assert_eq!(ran.outcome.as_deref(), Some("changed"), "{text:?}: {}", ran.said);
        place.expect_literal(&texts, &ran);
        arrived += 1;
    }
    assert!(arrived * 3 > HOSTILE.len(), "only {arrived} arrived");
}

/// What stands in a place of its own, and is no path and no argument.
#[test]
fn names_and_owners_are_refused_or_told_to_the_host_as_one_word() {
    if !possible() {
        return;
    }
    let shells = shells();
    let keys = ["owner", "key_owner", "group", "mode", "service", "backups", "reload_timeout"];
    for (index, text) in HOSTILE.iter().enumerate() {
        let shell = &shells[index % shells.len()];
        for key in [keys[index % keys.len()], keys[(index + 3) % keys.len()]] {
            with(shell, text, &|task, _, _| task[key] = json!(text));
        }
        with(shell, text, &|task, _, _| {
            let (at, name) = (format!("{text}:1"), "www.example.net");
            task["verify"] = match index % 2 {
                0 => json!({"endpoint": "127.0.0.1:1", "server_name": text}),
                _ => json!({"endpoint": at, "server_name": name, "attempts": 1, "timeout": "1s"}),
            };
        });
    }
}

/// The fields of a profile that are not in its commands.
#[test]
fn fields_of_profiles_are_refused_or_taken_as_they_are() {
    if !possible() {
        return;
    }
    let shells = shells();
    for (index, text) in HOSTILE.iter().enumerate() {
        let shell = &shells[index % shells.len()];
        let path = format!("/run/{text}");
        with(shell, text, &|_, profile, _| profile["running"] = json!({"process": text}));
        with(shell, text, &|_, profile, _| match index % 4 {
            0 => profile["running"] = json!({"pidfile": path}),
            1 => profile["validate"][3]["as_user"] = json!(text),
            2 => {
                profile["owners"] =
                    json!({"cert": format!("{text}:root"), "key": format!("root:{text}")})
            }
            _ => profile["dest"] = json!({"cert": path, "key": format!("{path}.key")}),
        });
        with(shell, text, &|task, profile, _| {
            task["validate"] = json!("boot");
            task["validate_timeout"] = json!("1s");
            profile["seal"] = json!({
                "tmpfs": ["/run", path], "mkdir": [path, {"path": format!("{path}2"), "owner": "root:root", "mode": "0700"}],
                "start": ["record", "boot", text], "port": 1,
            });
        });
    }
}

#[test]
fn a_path_stays_one_value_in_a_throwaway_configuration() {
    if !possible() {
        return;
    }
    let shells = shells();
    for (index, text) in HOSTILE.iter().enumerate() {
        let place = Place::new(&shells[index % shells.len()]);
        let texts = Texts {
            host: "h".into(),
            path: (*text).into(),
            variable: "v".into(),
            word: "w".into(),
        };
        let mut profile = place.profile(&texts);
        // Read back as what it is: JSON.
        profile["validate"] = json!([{
            "command": {"shell": "record template \"$(cat {template})\""},
            "via": "template",
            "template": "[{cert}, {key}]",
        }]);
        let local = json!({"ansible_connection": "local"});
        let ran = place.apply_to("h", &local, &profile, &place.play(&texts));
        assert_eq!(place.sung(), None, "{text:?}: {}", ran.said);
        if ran.refused() {
            continue;
        }
        let calls = place.calls();
        let written = &calls.iter().find(|call| call[0] == "template").unwrap()[1];
        let paths: Vec<String> = serde_json::from_str(written).unwrap();
        let name = |file: &str| place.dest(text, file).rsplit('/').next().unwrap().to_owned();
        assert!(paths[0].ends_with(&format!("/{}", name("cert.pem"))), "{written}");
        assert!(paths[1].ends_with(&format!("/{}", name("key.pem"))), "{written}");
    }
}

/// Names that end in command lines of the controller's own: a proxy command, `sudo`.
#[test]
fn hosts_and_users_are_refused_or_told_as_one_word() {
    if !possible() {
        return;
    }
    let shells = shells();
    for (index, text) in HOSTILE.iter().enumerate() {
        let shell = &shells[index % shells.len()];
        with(shell, text, &|_, _, host| {
            *host = json!({
                "ansible_host": text, "ansible_user": text,
                "ansible_ssh_common_args": "-o ProxyCommand='record proxy %h %r %n' -o ConnectTimeout=2",
            });
        });
        with(shell, text, &|_, _, host| {
            *host = json!({"ansible_connection": "local", "ansible_become": true, "ansible_become_user": text});
        });
    }
}

/// Changes the task, the profile, the host's variables; it ends in any way in which the canary did not sing.
fn with(shell: &std::path::Path, text: &str, change: &dyn Fn(&mut Value, &mut Value, &mut Value)) {
    let place = Place::new(shell);
    let plain =
        Texts { host: "h".into(), path: "p".into(), variable: "v".into(), word: "w".into() };
    let mut play = place.play(&plain);
    // The commands before the certificate have no part in it.
    let certificate = play[0]["tasks"][2].take();
    play[0]["tasks"] = json!([certificate]);
    let mut profile = place.profile(&plain);
    let mut host = json!({"ansible_connection": "local"});
    change(&mut play[0]["tasks"][0]["certificate"], &mut profile, &mut host);
    let ran = place.apply_to("h", &host, &profile, &play);
    assert_eq!(place.sung(), None, "{text:?}: {}", ran.said);
    assert!(ran.refused() || ran.outcome.is_some(), "{text:?}: {}", ran.said);
}
