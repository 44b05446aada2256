//! The list of service profiles.

use super::table::{Share, plain, render};
use super::theme::{self, Theme, line};
use crate::services::ListRow;

/// One line per profile, and how to see one in full.
pub(crate) fn table(theme: &Theme, rows: &[ListRow]) -> String {
    let header = [
        ("SERVICE", Share::Whole(24)),
        ("RELOAD", Share::Whole(10)),
        ("CHECKED ON THE HOST", Share::Rest(20)),
        ("FROM", Share::Whole(24)),
        ("ABOUT", Share::Rest(24)),
    ];
    let rows = rows.iter().map(|row| {
        let checked = match row.checked_on_host.as_slice() {
            [] => "nothing".to_owned(),
            some => some.join(", "),
        };
        vec![
            (line(&row.name), theme::STRONG),
            plain(row.reload),
            plain(checked),
            plain(line(&row.origin)),
            plain(line(&row.description)),
        ]
    });
    let text = render(theme, &header, rows.collect());
    format!("{text}\n`certroll services --show NAME` prints one in full.\n")
}
