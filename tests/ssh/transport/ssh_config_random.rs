//! Random configurations: whatever `ssh -G` makes of one, so do we.

use crate::common::have;
use crate::transport::ssh_config::{compare, write};
use proptest::prelude::*;

fn lines() -> impl Strategy<Value = String> {
    let value = |keyword: &'static str, values: &'static [&'static str]| {
        proptest::sample::select(values).prop_map(move |value| format!("{keyword} {value}"))
    };
    prop_oneof![
        value(
            "Host",
            &["*", "a", "b", "a*", "!a *", "* !b", "a b", "*.x", "?", "a?", "!*", "\"a\" 'b'"]
        ),
        value(
            "Match",
            &[
                "all",
                "host a",
                "host *.x",
                "originalhost a",
                "!host a",
                "user u",
                "user v,root",
                "!user u",
                "host a user u",
                "final",
                "!final",
                "canonical",
                "host !a,*",
                "exec true",
                "exec false",
                "localuser *",
                "final host b.x",
                "!originalhost b",
            ]
        ),
        value("HostName", &["%h.x", "b", "h.x", "A.X", "192.0.2.1"]),
        value("User", &["u", "v", "'w w'", "\"x\""]),
        value("Port", &["1", "2", "65535"]),
        value("IdentityFile", &["/a", "/b", "~/%r", "none", "\"/c d\"", "/e\\ f"]),
        value("ProxyJump", &["none", "g", "u@g:1,h"]),
        value("ProxyCommand", &["none", "nc %h %p", "\"q\" # r"]),
        value("UserKnownHostsFile", &["/k", "/k /l", "none"]),
        value("StrictHostKeyChecking", &["yes", "no", "ask", "accept-new", "OFF"]),
        value("ConnectTimeout", &["3", "none", "1m", "0"]),
        value("Compression", &["yes"]),
        value("#", &["comment"]),
        value("", &["", "  Port=7", "\tUser = t"]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration_gives_what_ssh_says(
        lines in proptest::collection::vec(lines(), 1..14),
        host in proptest::sample::select(&["a", "b", "ab", "a.x", "A", "192.0.2.1"][..]),
    ) {
        if have(&["ssh"]) {
            let dir = tempfile::tempdir().unwrap();
            let file = write(dir.path(), "config", &(lines.join("\n") + "\n"));
            if let Err(error) = compare(&file, host) {
                return Err(TestCaseError::fail(error));
            }
        }
    }
}
