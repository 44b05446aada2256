//! What `certroll demo` says around the tables of `plan` and `apply`.

use super::fleet::{Lab, USER};
use super::story::{Expected, Scenario};
use crate::model::text::plural;
use std::fmt::Write;

/// Before anything runs: what this is, and what to look at.
pub(crate) fn intro(lab: &Lab) -> String {
    let mut text = format!(
        "A fleet of {}, all in this process, on 127.0.0.1 only. The services are simulated; SSH, files,\n\
         shell commands, certificates and TLS handshakes are real. No root is needed, and nothing stays\n\
         behind.\n\n",
        plural(lab.hosts.len(), "host")
    );
    let width = lab.stories().iter().map(|story| story.name.len()).max().unwrap_or(0);
    let mut good = Vec::new();
    for story in lab.stories() {
        if story.scenario == Scenario::None {
            good.push(story.name.as_str());
        } else {
            let _ = writeln!(text, "  {:width$}  {}", story.name, story.scenario.describe());
        }
    }
    let _ = writeln!(text, "  {}: {}\n", good.join(", "), Scenario::None.describe());
    text
}

/// Before the plan.
pub(crate) const BEFORE_PLAN: &str = "First the plan: it connects, reads, and changes nothing.";

/// Before the rollout.
pub(crate) const BEFORE_APPLY: &str =
    "Now the rollout: edge1 as a canary, then the rest, then mail.";

/// After it, when every host ended as it should.
pub(crate) fn as_told(expected: &[Expected]) -> String {
    let new = expected.iter().filter(|end| end.serves_new).count();
    format!(
        "As expected: {} with the new certificate, proven by a handshake; the other {} with the old one and\n\
         the files that they had. No host is in between.\n",
        plural(new, "host"),
        expected.len() - new
    )
}

/// After it, when some host did not.
pub(crate) fn not_as_told(differences: &[String]) -> String {
    format!(
        "This is not how the demo should end; please report it:\n  {}\n",
        differences.join("\n  ")
    )
}

/// Without `--keep`: how to look closer.
pub(crate) const CLOSING: &str = "\
To look closer, keep the fleet running:   certroll demo --keep
For your own hosts:                       certroll plan PLAYBOOK -i INVENTORY
";

/// With `--keep`: what to try.
pub(crate) fn kept(lab: &Lab) -> String {
    let (playbook, inventory) = (lab.playbook(), lab.inventory());
    let (playbook, inventory) = (playbook.display(), inventory.display());
    let place = lab.directory().display();
    let mut text = format!(
        "The servers run until you press Ctrl-C; the directory stays. In another terminal:\n\n  \
         less {playbook}\n  \
         certroll plan   {playbook} -i {inventory}\n  \
         certroll apply  {playbook} -i {inventory}\n  \
         certroll status {playbook} -i {inventory}\n"
    );
    let of = |scenario| lab.stories().iter().find(|story| story.scenario == scenario);
    if let Some(host) = of(Scenario::BrokenConfiguration) {
        let _ = writeln!(
            text,
            "\nFix {name} by deleting the last line of this file, then apply again:\n\n  \
             {place}/{name}/service.conf",
            name = host.name
        );
    }
    if let Some(host) = lab.hosts.first() {
        let _ = writeln!(
            text,
            "\nLook at {name} as a client and from inside:\n\n  \
             curl --cacert {place}/pki/root.pem --resolve {name}.demo.test:{tls}:127.0.0.1 \
             https://{name}.demo.test:{tls}/\n  \
             ssh -p {ssh} -i {place}/id_ed25519 -o UserKnownHostsFile={place}/known_hosts \
             {USER}@127.0.0.1\n  \
             tail -f {place}/{name}/log/service.log",
            name = host.name,
            tls = host.service.port(),
            ssh = host.sshd.port(),
        );
    }
    let _ = writeln!(text, "\nRemove it all with:   rm -r {place}");
    text
}
