//! What a task wants of a kind of host, before anything is known of one.

use super::argv;
use crate::common::world::{AUTHORITY, DEBIAN, desired, facts, resolve, wanted, wanted_for};
use certroll::testing::host::{Attributes, Family, FileRole, HostKind, TimedCommand, ValidateVia};
use certroll::testing::model::{FileMode, StartTls};
use certroll::testing::plan::desired::DesiredState;
use certroll::testing::plan::inspection::{ask, ask_for_plan};
use certroll::testing::plan::request::{CertificateRequest, KeystoreSeal};
use certroll::testing::plan::variants::Variants;
use certroll::testing::playbook::certificate::{
    Dest, Ownership, ReloadChoice, Validation, VerifyChoice,
};

/// Everything that a resolved task says, without bytes.
fn told(desired: &DesiredState) -> String {
    let mut lines = Vec::new();
    for file in &desired.files {
        let show = |ownership: &Attributes| {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let mode = ownership.mode.map_or("-".to_owned(), |mode| mode.to_string());
            format!("{}:{} {mode}", text(&ownership.owner), text(&ownership.group))
        };
        lines.push(format!(
            "{:?} {} [{}] task {} else {}",
            file.role,
            file.path,
            file.pair,
            show(&file.wanted),
            show(&file.fallback)
        ));
    }
    for kept in &desired.kept_keys {
        lines.push(format!("kept key {}", kept.path));
    }
    for service in desired.services.iter() {
        let command = |want: &Option<TimedCommand>| {
            want.as_ref().map_or("-".to_owned(), |want| want.command.to_string())
        };
        for step in &service.validate {
            let via = match &step.step.via {
                ValidateVia::Boot(boot) => format!("boot {} on {}", boot.start, boot.port),
                via => format!("{via:?}"),
            };
            let names = step.step.names.iter().map(|(name, path)| format!(" {name}={path}"));
            let names: String = names.collect();
            lines.push(format!("{}: check {} via {via}{names}", service.name, step.label));
        }
        for check in &service.prechecks {
            lines.push(format!("{}: before {}", service.name, check.command.command));
        }
        lines.push(format!("{}: reload {}", service.name, command(&service.reload)));
        lines.push(format!("{}: recover {}", service.name, command(&service.recover)));
        lines.push(format!("{}: running {:?}", service.name, service.running));
        let discover = service.discover.as_ref().map(|discover| discover.command.clone());
        lines.push(format!("{}: discover {}", service.name, command(&discover)));
    }
    for probe in &desired.probes {
        lines.push(format!(
            "probe {} {} name {:?} group {:?}",
            probe.endpoint,
            probe.starttls.name(),
            probe.server_name,
            probe.alternatives
        ));
    }
    lines.extend(desired.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

#[test]
fn every_profile_is_resolved_on_debian_with_systemd() {
    for name in ["nginx", "apache", "haproxy", "postfix", "postfix-chain", "dovecot", "caddy"] {
        insta::assert_snapshot!(format!("debian_{name}"), told(&desired(&wanted(&[name]))));
    }
}

#[test]
fn apache_differs_between_families() {
    let wanted = wanted(&["apache"]);
    for (name, systemd, family) in
        [("alpine", false, Family::Alpine), ("rocky", true, Family::RedHat)]
    {
        let desired = resolve(&wanted, HostKind { systemd, family }).unwrap();
        insta::assert_snapshot!(format!("apache_{name}"), told(&desired));
    }
}

#[test]
fn the_task_wins_over_the_profile() {
    let mut wanted = wanted(&["nginx"]);
    let task = &mut wanted.certificate;
    task.pairs[0].dest = Dest {
        cert: Some("/srv/a.pem".parse().unwrap()),
        key: Some("/srv/a.key".parse().unwrap()),
        ..Dest::default()
    };
    task.ownership = Ownership {
        owner: Some("web".into()),
        mode: Some(FileMode::new(0o640)),
        key_group: Some("tls".into()),
        ..Ownership::default()
    };
    task.validate = Some(Validation::Command(argv(&["nginx", "-t", "-c", "/srv/nginx.conf"])));
    task.reload = Some(ReloadChoice::None);
    insta::assert_snapshot!(told(&desired(&wanted)));
}

#[test]
fn an_own_check_leaves_the_loaders_of_staged_files() {
    let mut wanted = wanted(&["postfix"]);
    wanted.certificate.validate =
        Some(Validation::Command(argv(&["postfix", "-c", "/p", "check"])));
    let labels = |wanted: &CertificateRequest| -> Vec<String> {
        let desired = desired(wanted);
        desired.services[0].validate.iter().map(|step| step.label.clone()).collect()
    };
    let own = labels(&wanted);
    assert_eq!(own.len(), 2);
    assert_eq!(own[0], "postfix -c /p check");
    assert!(own[1].starts_with("posttls-finger "), "{own:?}");
    wanted.certificate.validate = Some(Validation::Off);
    assert!(labels(&wanted).is_empty());
    wanted.certificate.validate = Some(Validation::Boot);
    assert_eq!(labels(&wanted).len(), 3);
    let boot = desired(&wanted).services[0].validate[2].clone();
    let ValidateVia::Boot(boot) = boot.step.via else { panic!() };
    assert_eq!(boot.starttls, StartTls::Smtp);
    assert_eq!(boot.server_name.as_deref(), Some("www.example.net"));
    assert!(boot.start.to_string().contains("chown 'postfix:postfix' '/var/lib/postfix'"));
    // A check that names the new file is shown the staged one.
    wanted.certificate.validate = Some(Validation::Command(argv(&["look", "{cert}"])));
    let check = desired(&wanted).services[0].validate[0].clone();
    assert_eq!(
        (check.step.via, check.step.command),
        (ValidateVia::Staged, argv(&["look", "{cert}"]))
    );
}

#[test]
fn nginx_has_no_recipe_for_a_boot() {
    let mut wanted = wanted(&["nginx"]);
    wanted.certificate.validate = Some(Validation::Boot);
    let why = resolve(&wanted, DEBIAN).unwrap_err();
    assert_eq!(why.to_string(), "the profile 'nginx' knows no `validate: boot`");
}

#[test]
fn what_is_missing_is_said() {
    let refused = |wanted: &CertificateRequest| resolve(wanted, DEBIAN).unwrap_err();
    let mut files = wanted(&["files"]);
    insta::assert_snapshot!(refused(&files), @"dest.cert is missing: files has no usual path here");
    files.certificate.pairs[0].dest.cert = Some("/c".parse().unwrap());
    insta::assert_snapshot!(refused(&files), @"dest.key is missing: files has no usual path here");
    files.certificate.pairs[0].dest.key = Some("/k".parse().unwrap());
    insta::assert_snapshot!(refused(&files), @"the profile 'files' has no reload command for this kind of host: give the task `reload:`, or `reload: none` if the service picks up new files by itself");
    let shared = wanted(&["postfix", "dovecot"]);
    insta::assert_snapshot!(refused(&shared), @"dest.cert is missing: postfix, dovecot has no usual path here");
    let keyless = |service| wanted_for(&[service], &[AUTHORITY.leaf(&["a.example"])], false);
    insta::assert_snapshot!(refused(&keyless("tomcat")), @"/etc/tomcat10/tls/keystore.p12 holds certificate and key in one file, so source.key is needed");
    // The host can join a key that it has with certificates, as text.
    assert_eq!(desired(&keyless("haproxy")).kept_keys.len(), 1);
}

#[test]
fn two_services_share_one_pair() {
    let mut wanted = wanted(&["postfix", "dovecot"]);
    wanted.certificate.pairs[0].dest = Dest {
        cert: Some("/etc/ssl/mail.pem".parse().unwrap()),
        key: Some("/etc/ssl/mail.key".parse().unwrap()),
        ..Dest::default()
    };
    insta::assert_snapshot!(told(&desired(&wanted)));
}

#[test]
fn a_pair_and_a_combined_file_side_by_side() {
    let mut wanted = wanted(&["nginx", "haproxy"]);
    wanted.certificate.pairs[0].dest = Dest {
        cert: Some("/c.pem".parse().unwrap()),
        key: Some("/k.pem".parse().unwrap()),
        combined: Some("/both.pem".parse().unwrap()),
        ..Dest::default()
    };
    let desired = desired(&wanted);
    let files: Vec<_> =
        desired.files.iter().map(|file| (file.role, file.path.to_str().unwrap())).collect();
    assert_eq!(
        files,
        [
            (FileRole::Key, "/k.pem"),
            (FileRole::Certificate, "/c.pem"),
            (FileRole::Combined, "/both.pem")
        ]
    );
    assert_eq!(desired.files[2].fallback.mode, Some(FileMode::new(0o600)));
}

#[test]
fn a_chain_of_its_own_only_splits_what_was_given_apart() {
    let mut wanted = wanted(&["nginx"]);
    wanted.certificate.pairs[0].dest = Dest {
        cert: Some("/c.pem".parse().unwrap()),
        key: Some("/k.pem".parse().unwrap()),
        chain: Some("/chain.pem".parse().unwrap()),
        ..Dest::default()
    };
    let certificates = |wanted: &CertificateRequest, path: &str| {
        let desired = desired(wanted);
        let file = desired.files.iter().find(|file| file.path.to_str() == Some(path)).unwrap();
        String::from_utf8_lossy(file.content.expose()).matches("BEGIN CERTIFICATE").count()
    };
    assert_eq!((certificates(&wanted, "/c.pem"), certificates(&wanted, "/chain.pem")), (2, 1));
    wanted.certificate.pairs[0].chain =
        Some(certroll::testing::playbook::certificate::SourceText::File("chain.pem".into()));
    assert_eq!((certificates(&wanted, "/c.pem"), certificates(&wanted, "/chain.pem")), (1, 1));
}

#[test]
fn three_hundred_certificates_share_one_validation_and_one_reload() {
    let names: Vec<String> = (0..300).map(|n| format!("n{n}.example.net")).collect();
    let leaves: Vec<_> = names.iter().map(|name| AUTHORITY.leaf(&[name])).collect();
    let mut wanted = wanted_for(&["nginx"], &leaves, true);
    for (n, pair) in wanted.certificate.pairs.iter_mut().enumerate() {
        pair.dest.cert = Some(format!("/etc/nginx/certs/{n}.pem").parse().unwrap());
        pair.dest.key = Some(format!("/etc/nginx/certs/{n}.key").parse().unwrap());
    }
    let desired = desired(&wanted);
    assert_eq!(desired.files.len(), 600);
    assert!(desired.files.iter().take(300).all(|file| file.role == FileRole::Key));
    assert_eq!(desired.services[0].validate.len(), 1);
    assert_eq!(desired.probes.len(), 300);
    assert_eq!(desired.probes[299].server_name.as_deref(), Some("n299.example.net"));
    let request = ask(&Variants::of(&wanted).unwrap());
    assert_eq!(request.variants.len(), 1);
    assert_eq!(request.variants[0].files.len(), 600);
    assert!(request.variants[0].kinds.is_empty());
    let again = wanted.certificate.pairs[0].dest.clone();
    wanted.certificate.pairs[1].dest = again;
    let why = resolve(&wanted, HostKind::default()).unwrap_err();
    assert_eq!(
        why.to_string(),
        "two files of this task have the same destination, /etc/nginx/certs/0.key"
    );
}

#[test]
fn an_optional_check_is_left_out_where_its_program_is_missing() {
    let wanted = wanted(&["postfix"]);
    let request = ask(&Variants::of(&wanted).unwrap());
    assert_eq!(request.variants[0].programs, ["posttls-finger", "postfix"]);
    let mut facts = facts(&desired(&wanted));
    assert_eq!(
        Variants::of(&wanted).unwrap().desired(&facts).unwrap().services[0].validate.len(),
        2
    );
    facts.absent = vec!["posttls-finger".to_owned()];
    let without = Variants::of(&wanted).unwrap().desired(&facts).unwrap();
    assert_eq!(without.services[0].validate.len(), 1);
    assert!(
        without.notes[0].starts_with("postfix: the host has no posttls-finger, so `posttls-finger")
    );
}

#[test]
fn the_inspection_asks_each_kind_for_its_own() {
    let wanted = wanted(&["apache"]);
    let request = ask_for_plan(&Variants::of(&wanted).unwrap());
    assert!(request.variants.len() > 1);
    let kinds: usize = request.variants.iter().map(|variant| variant.kinds.len()).sum();
    assert_eq!(kinds, HostKind::all().count());
    for variant in &request.variants {
        for kind in &variant.kinds {
            let Ok(desired) = resolve(&wanted, *kind) else {
                // No usual paths there, and none in the task: nothing is read.
                assert!(variant.files.is_empty() && variant.commands.is_empty());
                continue;
            };
            let files = &variant.files;
            let paths: Vec<_> = desired.files.iter().map(|file| file.path.clone()).collect();
            assert_eq!(*files, paths);
            // Its check, and what its configuration names.
            assert_eq!(variant.commands.len(), 2);
            assert!(variant.commands.iter().all(|one| one.only_if_running == Some(0)));
            assert!(variant.commands.iter().all(|one| !one.unless_mounts));
        }
    }
}

/// A rollout runs no program of a service before the switch whose answer another step of it gives as well.
#[test]
fn a_rollout_asks_no_service_what_its_own_steps_tell() {
    let asked = |wanted: &CertificateRequest| {
        let request = ask(&Variants::of(wanted).unwrap());
        let commands = &request.variants[0].commands;
        commands
            .iter()
            .map(|one| (one.command.command.brief(), one.unless_mounts))
            .collect::<Vec<_>>()
    };
    let mut wanted = wanted(&["nginx"]);
    assert_eq!(asked(&wanted), [("nginx -t -q".to_owned(), true)]);
    // Nobody looks at what is served: then the configuration has to tell.
    wanted.certificate.verify = VerifyChoice::Off;
    let asked = asked(&wanted);
    assert!(asked.len() == 2 && asked[1].0.contains("nginx -T") && !asked[1].1, "{asked:?}");
}

#[test]
fn each_service_has_its_own_files_of_one_pair() {
    let refused = |wanted: &CertificateRequest| resolve(wanted, DEBIAN).unwrap_err();
    let leaves = [AUTHORITY.leaf(&["www.example.net"]), AUTHORITY.leaf(&["www.example.net"])];
    let mut wanted = wanted_for(&["nginx", "haproxy"], &leaves, true);
    wanted.certificate.pairs[0].services = vec![0];
    wanted.certificate.pairs[1].services = vec![1];
    let desired = desired(&wanted);
    let files: Vec<_> =
        desired.files.iter().map(|file| (file.pair, file.path.to_str().unwrap())).collect();
    assert_eq!(
        files,
        [
            (0, "/etc/nginx/certs/key.pem"),
            (0, "/etc/nginx/certs/cert.pem"),
            (1, "/etc/haproxy/certs/site.pem")
        ]
    );
    let read: Vec<_> =
        desired.services.iter().map(|service| (service.name.as_str(), &service.pairs)).collect();
    assert_eq!(read, [("nginx", &vec![0]), ("haproxy", &vec![1])]);
    // Each is looked at where it listens, for the certificate that it reads.
    let places: Vec<_> =
        desired.probes.iter().map(|probe| (probe.pair, probe.service.as_str())).collect();
    assert_eq!(places, [(0, "nginx"), (1, "haproxy")]);
    wanted.certificate.pairs[1].services = vec![0];
    insta::assert_snapshot!(refused(&wanted), @"dest.cert is missing: nginx has no usual path here (with several certificates each one names its own)");
}

#[test]
fn a_keystore_and_binary_files_beside_a_pair() {
    let refused = |wanted: &CertificateRequest| resolve(wanted, DEBIAN).unwrap_err();
    let mut wanted = wanted(&["nginx"]);
    wanted.certificate.pairs[0].dest = Dest {
        cert: Some("/c.pem".parse().unwrap()),
        key: Some("/k.pem".parse().unwrap()),
        pkcs12: Some("/store.p12".parse().unwrap()),
        cert_der: Some("/c.der".parse().unwrap()),
        key_der: Some("/k.der".parse().unwrap()),
        ..Dest::default()
    };
    insta::assert_snapshot!(refused(&wanted), @"/store.p12 is a PKCS#12 keystore: dest.password (from a vault) or dest.password_file is missing");
    wanted.seals[0] =
        Some(KeystoreSeal { password: "changeit".to_owned().into(), alias: "tls".to_owned() });
    let desired = desired(&wanted);
    let files: Vec<_> = desired
        .files
        .iter()
        .map(|file| (file.role, file.path.to_str().unwrap(), file.fallback.mode.unwrap()))
        .collect();
    let (open, closed) = (FileMode::new(0o644), FileMode::new(0o600));
    assert_eq!(
        files,
        [
            (FileRole::Key, "/k.der", closed),
            (FileRole::Key, "/k.pem", closed),
            (FileRole::Certificate, "/c.der", open),
            (FileRole::Certificate, "/c.pem", open),
            (FileRole::Combined, "/store.p12", closed),
        ]
    );
    wanted.certificate.pairs[0].dest =
        Dest { pkcs12: Some("/store.p12".parse().unwrap()), ..Dest::default() };
    assert_eq!(self::desired(&wanted).files.len(), 1);
}
