//! Reports of real runs, looked at in a real browser.

use super::site::{CERTIFICATE, Site};
use certroll::testing::lab::story::Scenario;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Reports what the page looks like once it is laid out. The report itself forbids scripts: this goes into a copy.
const LOOK: &str = r#"<script>
const all = (selector) => [...document.querySelectorAll(selector)];
const style = (element) => getComputedStyle(element);
for (const one of all('details')) one.open = true;
document.body.innerHTML = '<p id="look">' + JSON.stringify({
  hosts: all('details').length,
  words: all('.totals li').map((one) => one.textContent).join(', '),
  wider: document.documentElement.scrollWidth - innerWidth,
  unseen: all('summary, h1, h2, td').filter((one) => one.textContent && one.getClientRects().length === 0).length,
  paper: style(document.body).backgroundColor,
  ink: style(document.body).color,
  images: all('img, script[src], link, iframe, object').length,
}).replaceAll('<', ' ') + '</p>';
</script></body>"#;

/// What Chromium makes of a page.
async fn look(page: &Path, width: u32, dark: bool) -> Value {
    let copy = page.with_extension("looked.html");
    let text = fs::read_to_string(page).expect("a report");
    let begin = text.find("<meta http-equiv=\"Content-Security-Policy\"").expect("a policy");
    let end = begin + text[begin..].find('>').expect("its end") + 1;
    let open = format!("{}{}", &text[..begin], &text[end..]).replace("</body>", LOOK);
    fs::write(&copy, open).expect("writable");
    let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
    let window = format!("--window-size={width},900");
    let dom = browser(&[&scheme, &window, "--dump-dom", &url(&copy)]).await;
    let found = dom.split("<p id=\"look\">").nth(1).and_then(|rest| rest.split("</p>").next());
    let found = found.unwrap_or_else(|| panic!("the page was not laid out: {dom}"));
    serde_json::from_str(&found.replace("&amp;", "&").replace("&gt;", ">")).expect("JSON")
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

async fn browser(arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("chromium-headless-shell");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .kill_on_drop(true);
    let limit = std::time::Duration::from_secs(180);
    let output = tokio::time::timeout(limit, command.output()).await.expect("it ends");
    let output = output.expect("chromium-headless-shell starts (tests/packages.txt)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The record of a run of `edge1` and `edge2` as one of many hosts: every second is like the one, the others like
/// the other.
fn multiplied(record: &str, hosts: usize) -> String {
    let names: Vec<String> = (0..hosts).map(|number| format!("web{number:04}")).collect();
    let like = |index: usize| if index.is_multiple_of(2) { "edge1" } else { "edge2" };
    let mut text = String::new();
    for line in record.lines() {
        let mut event: Value = serde_json::from_str(line).expect("an event");
        if let Some(host) = event["host"].as_str().map(str::to_owned) {
            for (_, name) in names.iter().enumerate().filter(|(index, _)| like(*index) == host) {
                text.push_str(&line.replace(&host, name));
                text.push('\n');
            }
            continue;
        }
        if event["names"].is_array() {
            (event["names"], event["hosts"]) = (json!(names), json!(hosts));
        } else if event["hosts"].is_array() {
            event["hosts"] = json!(names);
        } else if event["hosts"].is_object() {
            let each = names.iter().enumerate();
            event["hosts"] = each
                .map(|(index, name)| (name.clone(), event["hosts"][like(index)].clone()))
                .collect();
        }
        text.push_str(&format!("{event}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_fit_to_be_read_in_a_browser() {
    let site = Site::new(&[Scenario::None, Scenario::BrokenConfiguration]).await;
    let apply =
        site.play("apply", "", CERTIFICATE, &["--report", "run.html", "--report", "run.xml"]).await;
    assert_eq!(apply.code, 2, "{apply}");
    let directory = site.lab.directory().to_owned();
    let key = fs::read_to_string(directory.join("certs/edge1/privkey.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for name in ["run.html", "run.xml"] {
        assert!(!fs::read_to_string(directory.join(name)).unwrap().contains(secret), "{name}");
    }
    let seen = look(&directory.join("run.html"), 1280, false).await;
    assert_eq!(
        (&seen["hosts"], &seen["words"]),
        (&json!(2), &json!("2 hosts, 1 failed, 1 changed"))
    );

    let record = fs::read_dir(site.state().join("certroll/runs")).unwrap().next().unwrap();
    let record: PathBuf = record.unwrap().path();
    let told = fs::read_to_string(&record).unwrap();
    for hosts in [1, 50, 2_000] {
        fs::write(&record, multiplied(&told, hosts)).unwrap();
        let html = site.certroll(&["history", "show", "last", "--format", "html"]).await;
        assert_eq!(html.code, 0, "{}", html.stderr);
        let page = directory.join(format!("{hosts}.html"));
        fs::write(&page, &html.stdout).unwrap();
        let light = look(&page, 1280, false).await;
        assert_eq!(light["hosts"], hosts, "{light}");
        let clean = |seen: &Value| {
            assert_eq!((&seen["unseen"], &seen["images"]), (&json!(0), &json!(0)), "{seen}");
            assert!(seen["wider"].as_i64().unwrap() <= 0, "it is wider than the window: {seen}");
        };
        clean(&light);
        if hosts == 50 {
            assert_eq!(light["words"], "50 hosts, 25 failed, 25 changed");
            let dark = look(&page, 400, true).await;
            clean(&dark);
            assert_ne!((&light["paper"], &light["ink"]), (&dark["paper"], &dark["ink"]));
            let pdf = directory.join("run.pdf");
            browser(&[&format!("--print-to-pdf={}", pdf.display()), &url(&page)]).await;
            let pdf = fs::read(pdf).unwrap();
            assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 10_000, "{} bytes", pdf.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_begins_no_second_stream_of_events() {
    let site = Site::new(&[Scenario::None]).await;
    fs::create_dir(site.lab.directory().join("run.html")).unwrap();
    let apply = site.play("apply", "", CERTIFICATE, &["--report", "run.html"]).await;
    assert_eq!(apply.code, 1, "{apply}");
    assert!(apply.stderr.contains("run.html cannot be written: Is a directory"), "{apply}");
    let events = apply.events();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("run_start"), of("summary")), (1, 1), "{apply}");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["hosts"]["edge1"]["changed"]),
        (&json!("summary"), &json!(1))
    );

    // That hosts failed is not hidden by it.
    let site = Site::new(&[Scenario::BrokenConfiguration]).await;
    fs::create_dir(site.lab.directory().join("run.html")).unwrap();
    let apply = site.play("apply", "", CERTIFICATE, &["--report", "run.html"]).await;
    assert!(apply.stderr.contains("run.html cannot be written: Is a directory"), "{apply}");
    assert_eq!(apply.code, 2, "{apply}");
    apply.summary();
}
