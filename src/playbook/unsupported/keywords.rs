//! Keywords of plays, tasks and `meta` that certroll does not have.

use super::remedies::Group;

pub(super) const PLAY: &[Group] = &[
    (
        &["strategy"],
        "leave it out: certroll runs every task on a whole batch before the next, as `linear` does",
    ),
    (&["vars_prompt"], "pass the value with -e"),
    (&["connection"], "set the variable `ansible_connection: local` for the hosts concerned"),
    (&["port"], "set the variable `ansible_port`"),
    (&["collections"], "certroll has no collections: leave it out"),
    (&["include"], "this old form is gone from Ansible too: use `import_playbook`"),
    (&["module_defaults"], "write the arguments at each task"),
    (
        &["gather_subset", "gather_timeout", "fact_path"],
        "leave it out: facts are gathered only where something asks for them, in one program on the host",
    ),
    (&["ignore_errors"], "write it at the tasks concerned"),
    (
        &["ignore_unreachable"],
        "an unreachable host takes no further part; `max_fail_percentage` says how many may be",
    ),
    (&["no_log", "check_mode", "run_once"], "write it at the tasks concerned"),
    (&["diff"], "use the flag --diff"),
    (&["debugger"], "certroll has no debugger: `-vvv` shows what is done"),
    (&["throttle"], "use the flag --forks, or `serial`"),
    (
        &["timeout"],
        "use the timeouts of the tasks: `timeout`, `validate_timeout`, `reload_timeout`",
    ),
    (
        &["sudo", "sudo_user", "su", "su_user"],
        "this old form is gone from Ansible too: use `become` and `become_user`",
    ),
    (&["user"], "use `remote_user`"),
    (
        &["when"],
        "a play takes no condition: write `when` at its tasks, or choose hosts with `hosts`",
    ),
    (&["register", "notify", "loop", "delegate_to", "until"], "this is a key of tasks"),
    (&["block", "rescue", "always"], "a block stands among `tasks:`: write it there"),
    (
        &["become_password"],
        "use the variable `ansible_become_password` from a vault, or the flag -K",
    ),
];

pub(super) const META: &[Group] = &[
    (
        &["clear_facts", "refresh_inventory", "gather_facts"],
        "leave it out: `setup` gathers facts anew, and the inventory is read once",
    ),
    (
        &["clear_host_errors"],
        "a host that failed takes no further part in this run: use `ignore_errors` at the task that may fail",
    ),
    (&["end_batch"], "use `end_play`, or `when` at the tasks that follow"),
    (&["end_role"], "use `when` at the tasks that follow"),
    (&["reset_connection"], "each run logs in anew: leave it out"),
];

pub(super) const TASK: &[Group] = &[
    (
        &["remote_user"],
        "`remote_user` is a key of the play; for single hosts set the variable `ansible_user`",
    ),
    (&["port"], "set the variable `ansible_port`"),
    (&["connection"], "use `delegate_to: localhost`, or the variable `ansible_connection: local`"),
    (&["async", "poll"], "a task ends before the next begins: give it a `timeout`"),
    (
        &["timeout"],
        "use the module's own: `timeout` of `command`, `validate_timeout` and `reload_timeout` of `certificate`",
    ),
    (&["throttle"], "use the flag --forks, or `serial` of the play"),
    (&["diff"], "use the flag --diff"),
    (&["debugger"], "certroll has no debugger: `-vvv` shows what is done"),
    (&["collections"], "certroll has no collections: leave it out"),
    (&["module_defaults"], "write the arguments at each task"),
    (
        &["delegate_facts"],
        "what a delegated task sets belongs to the host of the play: leave it out",
    ),
    (
        &["ignore_unreachable"],
        "an unreachable host takes no further part; `max_fail_percentage` says how many may be",
    ),
    (&["first_available_file"], "use `query('first_found', …)`"),
    (
        &["sudo", "sudo_user", "su", "su_user"],
        "this old form is gone from Ansible too: use `become` and `become_user`",
    ),
    (
        &["become_password", "become_pass"],
        "use the variable `ansible_become_password` from a vault, or the flag -K",
    ),
    (&["only_if"], "this old form is gone from Ansible too: use `when`"),
    (
        &["static", "tasks_from", "vars_from", "apply", "public"],
        "this is an argument of an include: write it below `include_role:` or `include_tasks:`",
    ),
    (
        &[
            "hosts",
            "tasks",
            "handlers",
            "serial",
            "vars_files",
            "roles",
            "gather_facts",
            "strategy",
            "max_fail_percentage",
            "order",
            "pre_tasks",
            "post_tasks",
        ],
        "this is a key of a play: begin a play of its own with `- hosts: …`",
    ),
    (&["with_lines"], "use `loop: \"{{ lookup('file', 'NAME').splitlines() }}\"`"),
    (&["with_nested", "with_cartesian"], "use `loop: \"{{ one | product(two) | list }}\"`"),
    (&["with_subelements"], "use `loop: \"{{ list | subelements('KEY') }}\"`"),
    (&["with_flattened"], "use `loop: \"{{ lists | flatten }}\"`"),
    (&["with_indexed_items"], "use `loop` with `loop_control: {index_var: NAME}`"),
    (&["with_random_choice"], "use `{{ list | random }}`"),
    (&["with_inventory_hostnames"], "use `loop: \"{{ groups['GROUP'] }}\"`"),
    (&["with_env"], "use `lookup('env', 'NAME')`"),
    (&["with_url", "with_pipe"], "`register` a `command` with `delegate_to: localhost`"),
];
