//! What every kind of host is tried with, on nginx.

use crate::services_rollout::service::NGINX;
use crate::services_rollout::several::Many;
use crate::services_rollout::site::{Host, Task, step};
use std::fs::File;
use std::time::{Duration, Instant};

fn gen2() -> Task {
    Task::of(&NGINX, "gen2")
}

pub(super) fn quiet_the_second_time(host: &Host) {
    host.apply(&gen2(), "changed");
    host.expect(&NGINX, "gen2");
    let (state, reloaded) = (host.state_with_times(&NGINX), host.sh(NGINX.reloads));
    host.apply(&gen2(), "unchanged");
    assert_eq!(host.state_with_times(&NGINX), state);
    assert_eq!(host.sh(NGINX.reloads), reloaded);
}

/// Everything of a snapshot but sizes and digests of files.
fn attributes(host: &Host) -> Vec<String> {
    let snapshot = host.fleet().snapshot(host.name, &["/etc/nginx/tls"]);
    let words = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        match words[1] {
            "file" => [&words[..4], &words[6..]].concat().join(" "),
            _ => words.join(" "),
        }
    };
    // Earlier generations are certroll's own.
    snapshot.lines().map(words).filter(|line| !line.contains("/.certroll")).collect()
}

pub(super) fn attributes_kept(host: &Host) {
    host.sh("cd /etc/nginx/tls && chown www-data:adm fullchain.pem && chmod 664 fullchain.pem
         chown root:adm privkey.pem && chmod 640 privkey.pem
         setfacl -m u:mail:r fullchain.pem && setfattr -n user.note -v kept fullchain.pem");
    let before = attributes(host);
    assert!(before.iter().any(|line| line.contains("posix_acl") && line.contains("user.note")));
    host.apply(&gen2(), "changed");
    host.expect(&NGINX, "gen2");
    // BusyBox and toybox have no tool that copies attributes of users; access lists are kept there too.
    let copies = "cp --attributes-only --preserve=xattr /etc/hostname /tmp/.copied 2>/dev/null && echo yes || :";
    let copies = !host.sh(copies).is_empty();
    let kept = |line: &String| {
        if !copies { line.replace(" user.note=6b657074", "") } else { line.clone() }
    };
    assert_eq!(attributes(host), before.iter().map(kept).collect::<Vec<_>>());
}

pub(super) fn reload_false(host: &Host) {
    let before = host.state(&NGINX);
    let ran = host.apply(&gen2().with("reload: [/bin/false]"), "rolled_back");
    assert_eq!(step(&ran, host), "reload", "{ran}");
    assert_eq!(host.state(&NGINX), before);
    host.expect(&NGINX, "gen1");
}

pub(super) fn wrong_verify(host: &Host) {
    // A place of its own with files that nothing renews. Another host would show what its story is at.
    let apart = "mkdir /root/apart; cp /etc/nginx/tls/*.pem /root/apart; cd /etc/nginx/sites-enabled; \
                 sed 's#443#8443#; s#/etc/nginx/tls#/root/apart#' fleet.conf >apart.conf; nginx -s reload";
    host.sh(apart);
    let before = host.state(&NGINX);
    let elsewhere = format!("endpoint: '{}:8443'", host.address());
    let task = Task::of(&NGINX, "gen4-p384").seen_at(&elsewhere).attempts(3);
    let ran = host.apply(&task, "rolled_back");
    assert_eq!(step(&ran, host), "verify", "{ran}");
    assert_eq!(host.state(&NGINX), before);
    host.expect(&NGINX, "gen1");
    host.sh("rm -r /root/apart /etc/nginx/sites-enabled/apart.conf; nginx -s reload");
}

pub(super) fn thirty_pairs(host: &Host) {
    let many = Many::new(host, 30);
    many.expect(host, "old");
    host.apply(&many.task(), "changed");
    many.expect(host, "new");
    host.apply(&many.task(), "unchanged");
}

/// The controller dies while the service's reload runs, after the renames. Nobody helps the host; then certroll runs again.
pub(super) fn killed_in_a_reload(host: &Host) {
    let before = host.state(&NGINX);
    let slow = gen2().with("reload: {shell: 'touch /root/reloading; sleep 5; nginx -s reload'}");
    let play = host.play(&[slow]);
    host.sh("rm -f /root/reloading");
    let told = host.file("told");
    let (out, err) = (File::create(&told).unwrap(), File::options().append(true).open(&told));
    let mut controller =
        host.start("apply", &play, &[]).stdout(out).stderr(err.unwrap()).spawn().unwrap();
    // What to look at where it does not come to that.
    let seen = || {
        let told = std::fs::read_to_string(&told).unwrap_or_default();
        let now = host.sh("ls -lR /var/lib/certroll /run/certroll 2>&1; ps axfo pid,etimes,args");
        format!("certroll said: {told}\non the host:\n{now}\n{}", host.state(&NGINX))
    };
    within_a_minute("the reload begins", &seen, || !host.sh("ls /root/reloading || :").is_empty());
    controller.kill().unwrap();
    controller.wait().unwrap();
    let litter = "ls -A /var/lib/certroll /run/certroll/lock 2>/dev/null | grep -v : || :";
    within_a_minute("it goes back by itself", &seen, || {
        host.state(&NGINX) == before && host.sh(litter).trim().is_empty()
    });
    host.expect(&NGINX, "gen1");
    host.apply(&gen2(), "changed");
    host.expect(&NGINX, "gen2");
}

/// Each refusal in words of its own, whoever `sudo` and `su` are; and what they have to let in.
pub(super) fn become_refused(host: &Host) {
    let inventory = host.fleet().dir().join("inventory.ini").display().to_string();
    let busybox = host.sh("cp --help 2>&1 | head -n 1").starts_with("BusyBox");
    let variables = host.file("become.json");
    let become_as = |more: &str| {
        let admin = r#""ansible_user": "admin", "ansible_password": "fleet-admin""#;
        std::fs::write(&variables, more.replace("ADMIN", admin)).unwrap();
        let given = format!("@{}", variables.display());
        let ping =
            ["ping", "-i", &inventory, "--limit", host.name, "-b", "-o", "json", "-e", &given];
        host.fleet().run_to_end(host.fleet().certroll(&ping))
    };
    for (given, words) in [
        (r#"{"ansible_become_user": "nobody-here"}"#, "there is no user nobody-here on the host"),
        (r#"{"ansible_become_flags": "--nonsense"}"#, "sudo does not take these become_flags"),
        (r#"{ADMIN, "ansible_become_password": "mistaken"}"#, "sudo refused the become password"),
        (r"{ADMIN}", "sudo needs a password to become root"),
        (
            r#"{ADMIN, "ansible_become_method": "su", "ansible_become_password": "mistaken"}"#,
            "su refused the become password",
        ),
        (
            r#"{"ansible_become_method": "su", "ansible_become_user": "nobody-here", "ansible_become_password": "mistaken"}"#,
            "there is no user nobody-here on the host",
        ),
    ] {
        // BusyBox's is not set-uid there.
        if busybox && given.contains(r#""su""#) {
            continue;
        }
        let ran = become_as(given);
        assert_eq!(ran.outcome(host.name), "unreachable", "{given}: {ran}");
        let shown = ran.to_string();
        assert!(shown.contains(words), "{given}: {ran}");
        // Neither a password nor the text by which its prompt is known.
        assert!(["mistaken", "fleet-admin", "[certroll"].iter().all(|text| !shown.contains(text)));
    }
    host.sh("useradd --no-create-home --home-dir /nowhere --shell /bin/sh homeless");
    for flags in ["-H", "-i", "-s"] {
        let login = r#"{"ansible_become_user": "homeless", "ansible_become_flags": "FLAGS"}"#;
        let ran = become_as(&login.replace("FLAGS", flags));
        assert_eq!(ran.outcome(host.name), "unchanged", "{flags}: {ran}");
    }
}

fn within_a_minute(what: &str, seen: &dyn Fn() -> String, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "not within a minute: {what}\n{}", seen());
        std::thread::sleep(Duration::from_millis(200));
    }
}
