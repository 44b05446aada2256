//! What single tasks do.

use crate::plays::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn results_are_registered_and_conditions_and_loops_see_them() {
    let site = Site::good(2).await;
    let ran = site
        .play(
            "apply",
            "  vars: {wanted: [a, b]}\n",
            r#"
    - name: say
      command: [echo, "{{ inventory_hostname }} says $HOME;"]
      register: said
    - name: only edge2
      shell: echo second >>{{ host_dir }}/log.txt
      when: said.stdout is search('^edge2') and said.rc == 0
    - name: each
      shell: echo {{ index }}={{ item }} >>{{ host_dir }}/log.txt
      loop: "{{ wanted }}"
      loop_control: {index_var: index}
      register: each
    - name: show
      debug: {msg: "{{ said.stdout }} {{ each.results | length }} {{ each.changed }} {{ hostvars['edge1'].said.stdout }}"}
    - name: fact
      set_fact: {sum: "{{ wanted | join('+') }}"}
    - name: assertion
      assert: {that: ["sum == 'a+b'", "said is changed"]}
"#,
            &[],
        )
        .await;
    assert_eq!((ran.code, ran.outcomes().as_str()), (0, "edge1=changed edge2=changed"), "{ran}");
    assert_eq!(site.log("edge1"), "0=a\n1=b\n");
    assert_eq!(site.log("edge2"), "second\n0=a\n1=b\n");
    // An argument list is no shell text: nothing in it is expanded.
    assert_eq!(ran.output("edge2", "show"), "edge2 says $HOME; 2 True edge1 says $HOME;");
    assert_eq!((ran.count("edge1", "skipped"), ran.count("edge2", "skipped")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_can_be_replaced_and_failures_ignored() {
    let site = Site::good(1).await;
    let ran = site
        .play(
            "apply",
            "",
            r#"
    - name: quiet
      command: [echo, ok]
      changed_when: false
    - name: harmless
      command: ["sh", "-c", "exit 3"]
      register: harmless
      failed_when: harmless.rc != 3
    - name: ignored
      command: ["false"]
      ignore_errors: true
      register: ignored
    - name: known
      assert: {that: ["ignored is failed", "ignored.rc == 1"]}
    - name: again and again
      shell: echo x >>{{ host_dir }}/log.txt; test $(wc -l <{{ host_dir }}/log.txt) = 3
      register: tries
      until: tries.rc == 0
      retries: 5
      delay: 0
    - name: tries
      debug: {var: tries.attempts}
"#,
            &[],
        )
        .await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(ran.output("edge1", "tries"), "tries.attempts: 3");
    assert_eq!(ran.count("edge1", "ignored"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_was_rescued_is_told_as_such() {
    let site = Site::good(1).await;
    let tasks = "    - block:\n        - {name: breaks, command: [\"false\"]}\n      rescue:\n        - debug: {}\n";
    let ran = site.play("apply", "", tasks, &[]).await;
    assert_eq!(ran.code, 0, "{ran}");
    let shown = site.certroll(&["history", "show", "last"]).await;
    assert!(shown.stdout.contains("TASK FAILED on edge1: exited with code 1"), "{shown}");
    assert!(
        shown.stdout.contains("\n    outcome  rescued or ignored: the play went on\n"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_command_says_what_it_ran_and_what_it_printed() {
    let site = Site::good(1).await;
    let ran = site
        .play(
            "apply",
            "",
            "    - name: bad\n      shell: \"echo out; echo 'no\\e[31m way' >&2; exit 7\"\n",
            &[],
        )
        .await;
    assert_eq!((ran.code, ran.outcomes().as_str()), (2, "edge1=failed"), "{ran}");
    let events = ran.events();
    let failure = events.iter().find(|event| event["event"] == "failure").expect("a failure");
    assert_eq!(failure["exit_code"], 7, "{ran}");
    assert_eq!(failure["output"], serde_json::json!(["out", "no[31m way"]), "{ran}");
    assert_eq!(failure["step"], "task");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_can_be_drained_elsewhere_and_tasks_run_once() {
    let site = Site::good(3).await;
    let ran = site
        .play(
            "apply",
            "  serial: 1\n",
            r#"
    - name: drain
      shell: echo drain {{ inventory_hostname }} >>{{ hostvars['edge3'].host_dir }}/log.txt
      delegate_to: edge3
    - name: once
      shell: echo once >>{{ host_dir }}/once.txt
      run_once: true
      register: once
    - name: shared
      assert: {that: "once is changed"}
    - name: here
      command: [hostname]
      delegate_to: localhost
    - name: restore
      shell: echo enable {{ inventory_hostname }} >>{{ hostvars['edge3'].host_dir }}/log.txt
      delegate_to: edge3
"#,
            &[],
        )
        .await;
    assert_eq!(ran.code, 0, "{ran}");
    let each = |host| format!("drain {host}\nenable {host}\n");
    assert_eq!(site.log("edge3"), ["edge1", "edge2", "edge3"].map(each).concat());
    assert!(site.log("edge1").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_run_once_at_the_end_and_only_when_something_changed() {
    let site = Site::good(2).await;
    let playbook = r#"
- name: play
  hosts: web
  tasks:
    - name: one
      shell: echo one >>{{ host_dir }}/log.txt
      notify: [last, first]
      when: inventory_hostname == 'edge1'
    - name: two
      shell: echo two >>{{ host_dir }}/log.txt
      notify: last
      changed_when: inventory_hostname == 'edge1'
    - meta: flush_handlers
    - name: three
      shell: echo three >>{{ host_dir }}/log.txt
  handlers:
    - name: first
      shell: echo first >>{{ host_dir }}/log.txt
    - name: last
      shell: echo last >>{{ host_dir }}/log.txt
"#;
    let ran = site.run("apply", playbook, &[]).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(site.log("edge1"), "one\ntwo\nfirst\nlast\nthree\n");
    assert_eq!(site.log("edge2"), "two\nthree\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_and_files_are_waited_for_from_the_host() {
    let site = Site::good(1).await;
    let tasks = r#"
    - name: open
      wait_for: {port: "{{ tls_port }}", timeout: 60}
    - name: later
      shell: "(sleep 1; touch {{ host_dir }}/there) >/dev/null 2>&1 &"
    - name: file
      wait_for: {path: "{{ host_dir }}/there", timeout: 60}
    - name: gone
      wait_for: {port: "{{ tls_port }}", state: stopped, timeout: 1, sleep: 1, msg: still served}
"#;
    let ran = site.play("apply", "", tasks, &[]).await;
    assert_eq!((ran.code, ran.outcomes().as_str()), (2, "edge1=failed"), "{ran}");
    assert_eq!(ran.output("edge1", "gone"), "still served");
    assert_eq!(ran.count("edge1", "ok"), 3, "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_task_is_shown_when_it_says_so() {
    let site = Site::good(1).await;
    let tasks = r#"
    - name: hidden
      shell: echo s3cr3t; exit 1
      no_log: true
      ignore_errors: true
    - name: loud
      debug: {msg: "and then"}
"#;
    let ran = site.play("apply", "", tasks, &["-vvv"]).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert!(!ran.to_string().contains("s3cr3t"), "{ran}");
}
