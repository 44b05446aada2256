//! `certroll help TOPIC`: pages of the documentation.

/// The pages, by name.
const TOPICS: [(&str, &str); 12] = [
    ("playbook", include_str!("../../docs/playbook.md")),
    ("connection", include_str!("../../docs/connection.md")),
    ("watching", include_str!("../../docs/watching.md")),
    ("exit-codes", include_str!("../../docs/exit-codes.md")),
    ("saved-plans", include_str!("../../docs/saved-plans.md")),
    ("records", include_str!("../../docs/history.md")),
    ("reports", include_str!("../../docs/reports.md")),
    ("events", include_str!("../../docs/events.md")),
    ("metrics", include_str!("../../docs/metrics.md")),
    ("scale", include_str!("../../docs/scale.md")),
    ("transaction", include_str!("../../docs/transaction.md")),
    ("security", include_str!("../../docs/security.md")),
];

/// The names of the pages.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|(name, _)| *name)
}

/// The text for the words of a command line, where they ask for a topic.
pub(super) fn asked(words: &[String]) -> Option<String> {
    let [_, help, topic] = words else { return None };
    if help != "help" {
        return None;
    }
    if topic == "topics" {
        let names = TOPICS.map(|(name, _)| format!("  {name}\n")).concat();
        return Some(format!("certroll help TOPIC, of:\n\n{names}"));
    }
    let page = TOPICS.iter().find(|(name, _)| name == topic);
    page.map(|(_, text)| (*text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Option<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        asked(&words)
    }

    #[test]
    fn topics_are_pages() {
        assert!(
            said(&["certroll", "help", "exit-codes"]).unwrap().contains("| 130 | interrupted |")
        );
        let list = said(&["certroll", "help", "topics"]).unwrap();
        assert!(TOPICS.iter().all(|(name, _)| list.contains(&format!("  {name}\n"))), "{list}");
    }

    #[test]
    fn verbs_and_other_words_are_left_to_others() {
        for words in [
            &["certroll", "help"][..],
            &["certroll", "help", "apply"],
            &["certroll", "plan", "topics"],
        ] {
            assert_eq!(said(words), None);
        }
        // What is a verb's name as well is the verb's.
        let command = super::super::args::command();
        let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        for (name, _) in TOPICS {
            assert!(!verbs.contains(&name), "{name}");
        }
    }
}
