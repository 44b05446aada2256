//! The modules that work on hosts. Names, types and defaults are those of Ansible's documentation of each.

use super::definition::Kind::{Accepted, Choice, Content, Flag, Mode, Number, Path, Text, Words};
use super::definition::{Argument, Definition, of};

const OWNER: Argument = of("owner", Text);
const GROUP: Argument = of("group", Text);
const MODE: Argument = of("mode", Mode);
/// Every write is a rename already; where none is possible nothing is written.
const UNSAFE_WRITES: Argument = of("unsafe_writes", Accepted);
const BACKUP: Argument = of("backup", Flag);
const VALIDATE: Argument = of("validate", Text);
const FOLLOW: Argument = of("follow", Flag);
const FORCE: Argument = of("force", Flag);
/// Ours alone: what is sent may be recorded by sudo where nothing on the host opens it sealed.
const ALLOW_INPUT_LOG: Argument = of("allow_input_log", Flag);

const STATES: &[&str] = &["started", "stopped", "restarted", "reloaded"];

/// Every module that works on hosts.
pub(super) static HOST_MODULES: &[Definition] = &[
    Definition {
        name: "file",
        aliases: &[],
        arguments: &[
            of("path", Path).or(&["dest", "name"]).required(),
            of("state", Choice(&["absent", "directory", "file", "hard", "link", "touch"])),
            of("src", Text),
            OWNER,
            GROUP,
            MODE,
            of("recurse", Flag),
            FORCE,
            FOLLOW,
            of("modification_time", Choice(&["preserve", "now"])),
            of("access_time", Choice(&["preserve", "now"])),
            UNSAFE_WRITES,
        ],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "copy",
        aliases: &[],
        arguments: &[
            of("dest", Path).required(),
            of("content", Content),
            of("src", Text),
            of("remote_src", Flag),
            OWNER,
            GROUP,
            MODE,
            of("directory_mode", Mode),
            BACKUP,
            FORCE,
            FOLLOW,
            VALIDATE,
            of("decrypt", Flag),
            of("checksum", Text),
            of("local_follow", Accepted),
            UNSAFE_WRITES,
            ALLOW_INPUT_LOG,
        ],
        one_of: &["content", "src"],
        exclusive: &[],
    },
    Definition {
        name: "template",
        aliases: &[],
        arguments: &[
            of("src", Text).required(),
            of("dest", Path).required(),
            OWNER,
            GROUP,
            MODE,
            BACKUP,
            FORCE,
            FOLLOW,
            VALIDATE,
            of("newline_sequence", Choice(&["\n", "\\n", "\r\n", "\\r\\n", "\r", "\\r"])),
            of("trim_blocks", Flag),
            of("lstrip_blocks", Flag),
            UNSAFE_WRITES,
            ALLOW_INPUT_LOG,
        ],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "stat",
        aliases: &[],
        arguments: &[
            of("path", Path).or(&["dest", "name"]).required(),
            FOLLOW,
            of("get_checksum", Flag),
            of(
                "checksum_algorithm",
                Choice(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]),
            )
            .or(&["checksum", "checksum_algo"]),
            of("get_mime", Accepted).or(&["mime", "mime_type", "mime-type"]),
            of("get_attributes", Accepted).or(&["attr", "attributes"]),
            of("get_selinux_context", Accepted),
        ],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "slurp",
        aliases: &[],
        arguments: &[of("src", Path).or(&["path"]).required()],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "lineinfile",
        aliases: &[],
        arguments: &[
            of("path", Path).or(&["dest", "destfile", "name"]).required(),
            of("state", Choice(&["absent", "present"])),
            of("line", Text).or(&["value"]),
            of("regexp", Text).or(&["regex"]),
            of("search_string", Text),
            of("insertafter", Text),
            of("insertbefore", Text),
            of("backrefs", Flag),
            of("create", Flag),
            of("firstmatch", Flag),
            BACKUP,
            OWNER,
            GROUP,
            MODE,
            VALIDATE,
            UNSAFE_WRITES,
            ALLOW_INPUT_LOG,
        ],
        one_of: &[],
        exclusive: &[
            &["insertbefore", "insertafter"],
            &["regexp", "search_string"],
            &["backrefs", "search_string"],
        ],
    },
    Definition {
        name: "service",
        aliases: &["sysvinit", "openrc"],
        arguments: &[
            of("name", Text).required(),
            of("state", Choice(STATES)),
            of("enabled", Flag),
            of("runlevel", Text),
            of("sleep", Number(0, 3600)),
            of("pattern", Accepted),
            of("arguments", Accepted).or(&["args"]),
            of("use", Accepted),
        ],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "systemd",
        aliases: &["systemd_service"],
        arguments: &[
            of("name", Text).or(&["service", "unit"]),
            of("state", Choice(STATES)),
            of("enabled", Flag),
            of("masked", Flag),
            of("daemon_reload", Flag).or(&["daemon-reload"]),
            of("no_block", Accepted),
            of("force", Accepted),
            of("scope", Choice(&["system"])),
        ],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "setup",
        aliases: &["gather_facts"],
        arguments: &[
            of("filter", Words),
            of("gather_subset", Accepted),
            of("gather_timeout", Accepted),
            of("fact_path", Accepted),
            of("parallel", Accepted),
        ],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "group",
        aliases: &[],
        arguments: &[
            of("name", Text).required(),
            of("state", Choice(&["present", "absent"])),
            of("gid", Number(0, 4_294_967_294)),
            of("system", Flag),
        ],
        one_of: &[],
        exclusive: &[],
    },
    Definition {
        name: "user",
        aliases: &[],
        arguments: &[
            of("name", Text).or(&["user"]).required(),
            of("state", Choice(&["present", "absent"])),
            of("uid", Number(0, 4_294_967_294)),
            of("group", Text),
            of("groups", Words),
            of("append", Flag),
            of("shell", Text),
            of("home", Path),
            of("create_home", Flag).or(&["createhome"]),
            of("move_home", Flag),
            of("system", Flag),
            of("comment", Text),
            of("password", Text),
            of("update_password", Choice(&["always", "on_create"])),
            of("non_unique", Flag),
            of("remove", Flag),
            of("force", Flag),
        ],
        one_of: &[],
        exclusive: &[],
    },
];
