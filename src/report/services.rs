//! The list of service profiles.

use super::theme::{self, Theme, line};
use crate::services::ListRow;
use anstyle::Style;

/// Columns of a name.
const NAME: usize = 14;

/// A block per profile, and how to see one in full. Where there is no terminal, each is one line.
pub(crate) fn blocks(theme: &Theme, rows: &[ListRow]) -> String {
    let blocks = rows.iter().map(|row| {
        let name = line(&row.name);
        let checked = match row.checked_on_host.as_slice() {
            [] => "nothing".to_owned(),
            some => some.join(", "),
        };
        let reload = match row.reload {
            "none" => "no reload",
            "required" => "`reload` must be given",
            _ => "reloaded",
        };
        let (about, origin) = (line(&row.description), line(&row.origin));
        let tried = match &row.experimental {
            Some(_) => "; experimental: never run on the real thing",
            None => "",
        };
        let words = format!("{about}; checked on the host: {checked}; {reload}; {origin}{tried}");
        let block = theme.hang(&format!("{name:<NAME$}  "), Style::new(), &words);
        block.replacen(&name, &theme.paint(theme::STRONG, &name), 1)
    });
    let text: String = blocks.collect();
    let more = theme.hang("", Style::new(), "`certroll services --show NAME` prints one in full.");
    theme.fit(&format!("{text}\n{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: Option<u16>) -> String {
        let row = |name: &str, description: &str, checked: &[&'static str]| ListRow {
            name: name.to_owned(),
            description: description.to_owned(),
            origin: "built-in".to_owned(),
            checked_on_host: checked.to_vec(),
            reload: "reload",
            experimental: None,
        };
        let rows = [
            row("nginx", "web server and reverse proxy", &["certificate", "key", "configuration"]),
            row("a-profile-of-our-own", "the shop's terminator", &[]),
        ];
        blocks(&Theme { color: false, width, ascii: width.is_none() }, &rows)
    }

    #[test]
    fn piped() {
        insta::assert_snapshot!(shown(None));
    }

    #[test]
    fn on_60_columns() {
        insta::assert_snapshot!(shown(Some(60)));
    }

    #[test]
    fn on_80_columns() {
        insta::assert_snapshot!(shown(Some(80)));
    }

    #[test]
    fn on_200_columns() {
        insta::assert_snapshot!(shown(Some(200)));
    }
}
