//! Texts put together at random out of what means something to somebody.

use crate::injection::place::{Place, Texts, possible, shells};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("$(canary)"),
        Just("`canary`"),
        Just(";canary;"),
        Just("\ncanary\n"),
        Just("&canary&"),
        Just("|canary"),
        Just("'"),
        Just("\""),
        Just("\\"),
        Just("$"),
        Just("{"),
        Just("}"),
        Just("{cert}"),
        Just("{key}"),
        Just("{certs}"),
        Just("{word}"),
        Just("{template}"),
        Just("-"),
        Just(" "),
        Just("\t"),
        Just("/"),
        Just("%"),
        Just("%047"),
        Just("%%"),
        Just("#"),
        Just("*"),
        Just("~"),
        Just("\u{1}"),
        Just("é"),
        Just("a"),
        Just("="),
        Just("\\0"),
        Just("@certroll1"),
        Just("<<END"),
        Just("\r"),
    ];
    proptest::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

fn hostile() -> impl Strategy<Value = Texts> {
    (text(), text(), text(), text()).prop_map(|(host, path, variable, word)| Texts {
        host,
        path,
        variable,
        word,
    })
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, path, variable, word } = self;
        write!(f, "host {host:?}, path {path:?}, variable {variable:?}, word {word:?}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_is_never_run(texts in hostile(), shell in 0usize..5) {
        prop_assume!(possible());
        let shells = shells();
        let place = Place::new(&shells[shell % shells.len()]);
        let ran = place.apply(&texts, &place.play(&texts));
        prop_assert_eq!(place.sung(), None, "{}", ran.said);
        if ran.refused() {
            prop_assert!(place.calls().is_empty());
        } else {
            prop_assert_eq!(ran.outcome.as_deref(), Some("changed"), "{}", ran.said);
            place.expect_literal(&texts, &ran);
        }
    }
}
