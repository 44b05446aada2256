//! Connections that are cut, controllers that die, devices that start anew, and two controllers at once.

use super::site::Site;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_anywhere_leaves_all_new_or_all_old() {
    let Some(site) = Site::new().await else { return };
    site.pair("new");
    let whole = site.state();
    // Before a command is done and after. A switch that is cut off before it is made may end either way: the program
    // there goes on without its connection, and may undo before the controller asks again.
    for (step, before, ends_new) in [
        ("install sys crypto cert", false, Some(false)),
        ("create ltm profile", true, Some(false)),
        ("modify ltm profile", true, None),
        ("modify ltm profile", false, Some(true)),
        ("save sys config", false, Some(true)),
    ] {
        site.set(|state| {
            *state = whole.clone();
            state["knobs"] = json!({"cut": step, "cut_before": before});
        });
        let ran = site.apply().await;
        assert!(site.state()["knobs"].get("cut").is_none(), "{step}: {}", ran.text);
        let is_new = ran.code == Some(0);
        assert!(ends_new.is_none_or(|new| new == is_new), "{step}: {}", ran.text);
        if !is_new {
            // The rest of the program there may come to its end a moment later.
            site.until("discarded", || site.seems_old()).await;
            site.apply().await.expect(0, &["changed=1"]);
        }
        site.is_new();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_the_device_goes_back_by_itself_and_a_second_one_waits_its_turn() {
    let Some(site) = Site::new().await else { return };
    site.pair("new");
    // Ends with this test's directory, whatever becomes of the controller.
    let (wait, begun) = (site.dir.path().join("wait"), site.dir.path().join("begun"));
    std::fs::write(&wait, "").expect("written");
    let slow = format!(
        "        checks: [{{shell: 'touch {}; while [ -e {} ]; do sleep 0.2; done', on: controller, timeout: 1h}}]\n        \
         confirm_timeout: 1h\n        lock_timeout: 1s\n",
        begun.display(),
        wait.display(),
    );
    site.playbook("new", "", &slow);
    let mut first = site.start(&["apply", "--allow-experimental"]);
    site.until("verified", || begun.exists()).await;
    let second = site.apply().await;
    second.expect(2, &["another run is changing this device"]);
    first.kill().expect("killed");
    first.wait().expect("waited for");
    // Its hour is over.
    std::fs::write(site.kept().join("now/until"), "0\n").expect("written");
    site.until("undone by the device", || site.seems_old()).await;
    site.is_old();

    // A device that starts anew before the confirmation has its old configuration, and what is left is settled.
    std::fs::remove_file(&begun).expect("removed");
    let mut second = site.start(&["apply", "--allow-experimental"]);
    site.until("verified", || begun.exists()).await;
    second.kill().expect("killed");
    second.wait().expect("waited for");
    site.end_job();
    site.set(|state| state["running"] = state["saved"].clone());
    site.playbook("new", "", "");
    site.apply().await.expect(0, &["changed=1", "unconfirmed change was undone"]);
    site.is_new();
}
