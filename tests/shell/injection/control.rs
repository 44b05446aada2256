//! The detector finds what is really run.

use crate::injection::place::{HOSTILE, Place, shells};

/// Three ways to build a command out of a text, all of them wrong.
fn careless(place: &Place, text: &str) -> bool {
    for line in [format!("record {text}"), format!("record '{text}'"), format!("record \"{text}\"")]
    {
        // What the shell thinks of a text with open quotes does not matter here.
        place.command("sh").args(["-c", &line]).output().unwrap();
    }
    place.sung().is_some()
}

#[test]
fn careless_quoting_is_found_out() {
    for shell in shells() {
        let quiet = |text: &&&str| !careless(&Place::new(&shell), text);
        let missed: Vec<&&str> =
            HOSTILE.iter().filter(|text| text.contains("canary")).filter(quiet).collect();
        // Only what a shell takes literally, or as a process substitution that it does not have.
        let harmless =
            ["-e canary", "%141%073canary", "!canary", "<(canary)", "$'\\n'canary", "${IFS}canary"];
        let missed: Vec<_> = missed.into_iter().filter(|text| !harmless.contains(text)).collect();
        assert_eq!(missed, Vec::<&&str>::new(), "{}", shell.display());
    }
}

#[test]
fn arguments_are_recorded_as_they_are() {
    let place = Place::new(&shells()[0]);
    for text in HOSTILE {
        assert!(place.command("record").args(["x", text, ""]).status().unwrap().success());
    }
    // An empty last argument is not told from none; the others are.
    let wanted: Vec<Vec<String>> =
        HOSTILE.iter().map(|text| vec!["x".to_owned(), (*text).to_owned()]).collect();
    assert_eq!(place.calls(), wanted);
    assert_eq!(place.sung(), None);
}
