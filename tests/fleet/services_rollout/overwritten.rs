//! A device that writes a pair of its own over one that it dislikes: a fake, nginx whose start is a script that does what
//! UniFi OS was reported to do with keys that are not RSA.

use crate::services_rollout::service::NGINX;
use crate::services_rollout::site::{Host, Task, host};
use std::fs;

const DEVICE: &str = "#!/bin/sh
# a fake device: it takes RSA keys alone
cd /etc/nginx/tls || exit
if ! openssl pkey -in privkey.pem -noout -text | grep -q modulus; then
  openssl req -x509 -newkey rsa:2048 -noenc -subj /CN=device.invalid -days 30 -keyout own.key -out own.pem 2>/dev/null
  cat own.pem >fullchain.pem
  cat own.key >privkey.pem
  rm own.pem own.key
fi
nginx -s reload
";

const PROFILE: &str = "description: a device that takes RSA keys alone (a fake)
layout: {cert: fullchain, chain: in_cert, key: separate}
dest: {cert: /etc/nginx/tls/fullchain.pem, key: /etc/nginx/tls/privkey.pem}
modes: {cert: '0644', key: '0600', dir: '0755'}
validate: none
reload: {command: [/root/device], exit_code: meaningless}
overwrites: the device writes a self-signed pair over one with an EC key, when it starts
verify: {port: 443}
";

fn device(host: &Host, generation: &str) -> Task {
    let services = host.file("services");
    fs::create_dir_all(&services).unwrap();
    fs::write(services.join("device.yml"), PROFILE).unwrap();
    Task::of(&NGINX, generation).services("device")
}

#[test]
fn a_pair_that_the_device_itself_replaced_is_nobody_elses_change_and_rollback_ends_it() {
    let Some(host) = host(&[&NGINX]) else { return };
    fs::write(host.fleet().root(host.name).join("root/device"), DEVICE).unwrap();
    host.sh("chmod 755 /root/device");
    host.apply(&device(&host, "gen3-rsa"), "changed");
    host.expect(&NGINX, "gen3-rsa");

    let ran = host.apply(&device(&host, "gen2").attempts(4), "unknown");

    let words = "privkey.pem: the device writes a self-signed pair over one with an EC key";
    assert!(ran.stdout.contains(words), "{ran}");
    assert!(ran.stdout.contains("left alone: the device writes a self-signed pair over"), "{ran}");
    for blame in ["another process", "somebody"] {
        assert!(!ran.stdout.contains(blame), "{ran}");
    }
    assert!(ran.stdout.contains("`certroll rollback` puts the earlier files back"), "{ran}");
    let own = host.sh("openssl x509 -in /etc/nginx/tls/fullchain.pem -noout -subject");
    assert!(own.contains("device.invalid"), "{own}");

    let back = host.run("rollback", &[device(&host, "gen2")], &[]);
    assert_eq!(back.outcome(host.name), "changed", "{back}");
    host.expect(&NGINX, "gen3-rsa");
    host.apply(&device(&host, "gen3-rsa"), "unchanged");
}
