//! A service that no built-in profile knows: the one that `docs/add-a-service.md` adds.

use crate::common::fleet::S_CLIENT;
use crate::services_rollout::service::Service;
use crate::services_rollout::site::{Task, host};

const VSFTPD: Service = Service {
    name: "vsftpd",
    profile: "vsftpd",
    directory: "/etc/vsftpd",
    cert: "/etc/vsftpd/tls/cert.pem",
    key: Some("/etc/vsftpd/tls/key.pem"),
    port: 21,
    starttls: "ftp",
    reloads: "true",
    broken: None,
    fresh: ["root:root 644", "root:root 600"],
};

#[test]
fn the_service_of_the_documentation_is_rolled_out() {
    if !crate::common::have(&["vsftpd", "openssl"]) {
        return;
    }
    let Some(host) = host(&[]) else { return };
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/add-a-service.md");
    let page = std::fs::read_to_string(page).unwrap();
    let profile = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    std::fs::create_dir(host.file("services")).unwrap();
    std::fs::write(host.file("services/vsftpd.yml"), profile).unwrap();
    let pki = |file| std::fs::read_to_string(host.fleet().pki("gen1", file)).unwrap();
    host.sh("mkdir -p /etc/vsftpd/tls /var/run/vsftpd/empty; chmod 700 /etc/vsftpd");
    let tls = host.fleet().root(host.name).join("etc/vsftpd/tls");
    std::fs::write(tls.join("cert.pem"), pki("fullchain.pem")).unwrap();
    std::fs::write(tls.join("key.pem"), pki("privkey.pem")).unwrap();
    host.sh(
        "chmod 600 /etc/vsftpd/tls/key.pem
         printf '%s\\n' listen=YES listen_ipv6=NO background=YES ssl_enable=YES anonymous_enable=YES \
           ssl_ciphers=HIGH rsa_cert_file=/etc/vsftpd/tls/cert.pem rsa_private_key_file=/etc/vsftpd/tls/key.pem \
           secure_chroot_dir=/var/run/vsftpd/empty >/etc/vsftpd.conf
         vsftpd /etc/vsftpd.conf",
    );
    let served = || {
        let script = format!(
            "{S_CLIENT} -starttls ftp -connect {}:21 </dev/null 2>/dev/null \
             | openssl x509 -noout -fingerprint -sha256 | tr -d ':' | tr A-F a-f",
            host.address()
        );
        let output = host.fleet().controller("sh", &["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().rsplit('=').next().unwrap().to_owned()
    };
    assert_eq!(served(), host.fleet().leaf("gen1"));
    let usual =
        "verify: {server_name: www.fleet.test, attempts: 60, backoff: 200ms, max_backoff: 1s}";
    let task = |generation| Task::at(&VSFTPD, generation, "").with(usual);

    let plan = host.run("plan", &[task("gen2")], &["--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert!(!plan.stdout.contains("not named"), "{plan}");
    host.apply(&task("gen2"), "changed");
    assert_eq!(served(), host.fleet().leaf("gen2"));
    host.apply(&task("gen2"), "unchanged");
    let state = host.state(&VSFTPD);
    host.apply(&task("gen3-rsa").with("checks: [{command: ['false']}]"), "rolled_back");
    assert_eq!((host.state(&VSFTPD), served()), (state, host.fleet().leaf("gen2")));
    host.sh("kill $(pgrep -x vsftpd)");
}
