//! Tables that fit a terminal, and plain columns everywhere else.

use super::theme::{self, Theme};
use anstyle::{AnsiColor, Style};
use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
    Width,
};

/// Text of a cell and how it is painted.
pub(super) type Text = (String, Style);

/// A cell without colour.
pub(super) fn plain(text: impl Into<String>) -> Text {
    (text.into(), Style::new())
}

/// How a column shares the width.
#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    /// As wide as its content, up to so many columns.
    Whole(u16),
    /// It gives way, but keeps so many columns.
    Rest(u16),
}

/// `rows` under `header`; lines end without blanks. On a terminal long cells are wrapped into its
/// width; elsewhere every row is one line and nothing is cut.
pub(super) fn render(theme: &Theme, header: &[(&str, Share)], rows: Vec<Vec<Text>>) -> String {
    let mut table = Table::new();
    let heads = header.iter().map(|(name, _)| cell(theme, (theme.fit(name), theme::STRONG)));
    table.set_header(heads.collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(|text| cell(theme, text)).collect::<Vec<_>>());
    }
    match theme.width {
        Some(width) => arrange(&mut table, theme, width, header),
        None => {
            table.load_style(TableStyle::new());
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    if theme.color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn arrange(table: &mut Table, theme: &Theme, width: u16, header: &[(&str, Share)]) {
    let rule = if theme.ascii { '-' } else { '─' };
    let style = TableStyle::new().header_separator(LineStyle::none().fill(rule));
    table.load_style(style).set_width(width);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let content = table.column_max_content_widths();
    for ((column, (_, share)), content) in table.column_iter_mut().zip(header).zip(content) {
        // Two for the padding.
        column.set_constraint(match share {
            Share::Whole(most) => ColumnConstraint::Absolute(Width::Fixed(content.min(*most) + 2)),
            Share::Rest(least) => {
                ColumnConstraint::LowerBoundary(Width::Fixed(content.min(*least) + 2))
            }
        });
    }
}

fn cell(theme: &Theme, (text, style): Text) -> Cell {
    let mut cell = Cell::new_owned(theme.fit(&text));
    if let Some(color) = color(style.get_fg_color()) {
        cell = cell.fg(color);
    }
    if let Some(color) = color(style.get_bg_color()) {
        cell = cell.bg(color);
    }
    if style.get_effects().contains(anstyle::Effects::BOLD) {
        cell = cell.add_attribute(Attribute::Bold);
    }
    cell
}

fn color(color: Option<anstyle::Color>) -> Option<Color> {
    let anstyle::Color::Ansi(color) = color? else { return None };
    // The names of crossterm are shifted: its `Red` is the bright one.
    Some(match color {
        AnsiColor::Red => Color::DarkRed,
        AnsiColor::Green => Color::DarkGreen,
        AnsiColor::Yellow => Color::DarkYellow,
        AnsiColor::Magenta => Color::DarkMagenta,
        AnsiColor::Cyan => Color::DarkCyan,
        AnsiColor::White => Color::Grey,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(theme: &Theme) -> String {
        let header = [("host", Share::Whole(10)), ("what → why", Share::Rest(10))];
        let rows = vec![
            vec![plain("edge1"), ("changed".to_owned(), theme::CHANGED)],
            vec![plain("edge2"), plain("a long tale of what happened on this host → the end")],
        ];
        render(theme, &header, rows)
    }

    #[test]
    fn a_pipe_gets_one_line_per_row() {
        insta::assert_snapshot!(sample(&Theme::PLAIN), @r"
        host   what -> why
        edge1  changed
        edge2  a long tale of what happened on this host -> the end
        ");
    }

    #[test]
    fn a_terminal_is_never_exceeded() {
        let theme = Theme { color: false, width: Some(40), ascii: false };
        insta::assert_snapshot!(sample(&theme), @r"
        host   what → why
        ────────────────────────────────────────
        edge1  changed
        edge2  a long tale of what happened on
               this host → the end
        ");
    }

    #[test]
    fn colours_are_those_of_the_style() {
        let theme = Theme { color: true, width: None, ascii: false };
        assert!(sample(&theme).contains("\u{1b}[38;5;3mchanged"), "{:?}", sample(&theme));
    }
}
