//! How output looks on one stream: colours, width, characters. And the words shared by all reporters.

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Color, Style};
use std::fmt::Display;
use std::time::Duration;

/// The properties of a stream that shape what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Escape sequences for colours may be written.
    pub color: bool,
    /// Columns of the terminal; `None`: no terminal, lines may have any length.
    pub width: Option<u16>,
    /// Only ASCII: no `→`, no lines between columns.
    pub ascii: bool,
}

impl Theme {
    /// For pipes and files: no colour, any width, ASCII.
    pub(crate) const PLAIN: Self = Self { color: false, width: None, ascii: true };

    /// What fits `stream`. With [`ColorChoice::Auto`] colours need a terminal and no `NO_COLOR`
    /// (<https://no-color.org>), `CLICOLOR=0` or `TERM=dumb`.
    pub(crate) fn of(stream: &impl RawStream, color: ColorChoice) -> Self {
        let color = match color {
            ColorChoice::Auto => AutoStream::choice(stream),
            chosen => chosen,
        };
        let width = stream
            .is_terminal()
            .then(|| terminal_size::terminal_size().map_or(80, |(width, _)| width.0.max(20)));
        let ascii = width.is_none() || !unicode_locale(|name| std::env::var(name).ok());
        Self { color: color != ColorChoice::Never, width, ascii }
    }

    /// `text` in `style`, or as it is where there are no colours.
    pub(crate) fn paint(&self, style: Style, text: impl Display) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    /// Replaces the few characters beyond ASCII that certroll itself writes.
    pub(crate) fn fit(&self, text: &str) -> String {
        if self.ascii { text.replace('→', "->").replace('…', "...") } else { text.to_owned() }
    }

    /// A line of `prefix` and `text`; where a terminal is narrower, further lines begin below the text. Only the
    /// text is painted.
    pub(crate) fn hang(&self, prefix: &str, style: Style, text: &str) -> String {
        self.wrapped(self.width, prefix, style, text)
    }

    /// The same, in at most [`PAGE`] columns where there is no terminal: for what is read as a page, and not line by
    /// line by `grep`.
    pub(crate) fn block(&self, prefix: &str, style: Style, text: &str) -> String {
        self.wrapped(self.width.or(Some(PAGE)), prefix, style, text)
    }

    fn wrapped(&self, width: Option<u16>, prefix: &str, style: Style, text: &str) -> String {
        let indent = " ".repeat(textwrap::core::display_width(prefix));
        let room = width.map(|width| usize::from(width).saturating_sub(indent.len()));
        let text = self.fit(text);
        let lines = match room {
            // Paths and commands stay whole, to be copied.
            Some(room) if room >= NARROWEST => {
                let whole = textwrap::Options::new(room)
                    .break_words(false)
                    .word_separator(textwrap::WordSeparator::AsciiSpace)
                    .word_splitter(textwrap::WordSplitter::NoHyphenation);
                textwrap::wrap(&text, whole)
            }
            _ => vec![text.as_str().into()],
        };
        let mut out = String::new();
        for (index, line) in lines.iter().enumerate() {
            out.push_str(if index == 0 { prefix } else { &indent });
            out.push_str(&self.paint(style, line));
            out.push('\n');
        }
        out
    }

    /// Columns to fill where the stream has no width.
    pub(crate) fn columns(&self) -> usize {
        usize::from(self.width.unwrap_or(100))
    }
}

/// POSIX locale rules: the first of these that is set and not empty decides.
fn unicode_locale(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable);
    let decides = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    decides.to_ascii_uppercase().replace('-', "").ends_with("UTF8")
}

/// All is well and something changed.
pub(crate) const CHANGED: Style = AnsiColor::Yellow.on_default();
/// All is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Something failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Nobody knows.
pub(crate) const LOUD: Style = Style::new()
    .fg_color(Some(Color::Ansi(AnsiColor::White)))
    .bg_color(Some(Color::Ansi(AnsiColor::Red)))
    .bold();
/// Not done, not important.
pub(crate) const QUIET: Style = AnsiColor::Cyan.on_default();
/// Deserves attention.
pub(crate) const WARNING: Style = AnsiColor::Magenta.on_default();
/// Headings and names.
pub(crate) const STRONG: Style = Style::new().bold();

/// Columns of a page where there is no terminal.
const PAGE: u16 = 120;

/// Text is not wrapped into fewer columns.
const NARROWEST: usize = 24;

/// The longest line of foreign text that is shown, in bytes.
const LONGEST_LINE: usize = 2_000;

/// Foreign text as one printable line of bounded length.
pub(crate) fn line(text: &str) -> String {
    let kept = floor_boundary(text, LONGEST_LINE);
    let mut line = crate::model::text::printable(kept.as_bytes(), LONGEST_LINE);
    if line.contains(['\n', '\t']) {
        line = line.replace(['\n', '\t'], " ");
    }
    if kept.len() < text.len() {
        line.push('…');
    }
    line
}

/// Foreign text as printable lines, without a trailing empty one.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let text = crate::model::text::printable(text.as_bytes(), 64 * 1024);
    text.trim_end().lines().map(|line| line.replace('\t', "    ")).collect()
}

fn floor_boundary(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// As much of `text` as fits `width` columns; what was cut ends in `…` (or `.` in ASCII).
pub(crate) fn cut(text: &str, width: usize, theme: &Theme) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    if width > 0 {
        out.push(if theme.ascii { '.' } else { '…' });
    }
    out
}

/// The same, of whole words where there are several: half a moment or half a number would be read as another one.
pub(crate) fn cut_at_a_word(text: &str, width: usize, theme: &Theme) -> String {
    let ending = theme.fit(" …");
    let shortened = cut(text, width, theme);
    if shortened == text {
        return shortened;
    }
    let room = width.saturating_sub(ending.chars().count());
    let kept = cut(text, room, theme);
    match kept.rfind(' ') {
        Some(end) => kept[..end].trim_end_matches([',', ';', ':', ' ']).to_owned() + &ending,
        None => shortened,
    }
}

/// `0.12s`, `12.3s`, `1m05s`, `2h03m`.
pub(crate) fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..10_000 => format!("{:.2}s", duration.as_secs_f64()),
        10_000..60_000 => format!("{:.1}s", (millis / 100) as f64 / 10.0),
        60_000..3_600_000 => format!("{}m{:02}s", millis / 60_000, millis / 1_000 % 60),
        _ => format!("{}h{:02}m", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// [`seconds`] of milliseconds.
pub(crate) fn millis(millis: u64) -> String {
    seconds(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_stay_short() {
        let shown = [0, 120, 9_994, 12_345, 59_999, 65_000, 3_599_999, 7_380_000].map(millis);
        assert_eq!(
            shown,
            ["0.00s", "0.12s", "9.99s", "12.3s", "59.9s", "1m05s", "59m59s", "2h03m"]
        );
    }

    #[test]
    fn foreign_text_becomes_one_bounded_line() {
        assert_eq!(line("a\x1b[2Jb\r\nc\td"), "a[2Jb c d");
        let long = line(&"ä".repeat(5_000));
        assert_eq!(long.chars().count(), 1_001);
        assert!(long.ends_with('…'));
        assert_eq!(lines("one\n\ttwo\x07\n\n"), ["one", "    two"]);
    }

    #[test]
    fn cutting_counts_columns() {
        let theme = Theme { ascii: false, ..Theme::PLAIN };
        assert_eq!(cut("abcdef", 6, &theme), "abcdef");
        assert_eq!(cut("abcdefg", 6, &theme), "abcde…");
        let at = "back by itself at 2026-11-24T08:56:32Z, 12s after the switch";
        assert_eq!(cut_at_a_word(at, 24, &theme), "back by itself at …");
        assert_eq!(cut_at_a_word(at, 39, &theme), "back by itself at …");
        assert_eq!(cut_at_a_word(at, 45, &theme), "back by itself at 2026-11-24T08:56:32Z …");
        assert_eq!(
            cut_at_a_word(at, 45, &Theme::PLAIN),
            "back by itself at 2026-11-24T08:56:32Z ..."
        );
        assert_eq!(cut_at_a_word(at, 60, &theme), at);
        assert_eq!(cut_at_a_word("2026-11-24T08:56:32Z", 10, &theme), "2026-11-2…");
        assert_eq!(cut("日本語", 4, &theme), "日…");
        assert_eq!(cut("abcdefg", 6, &Theme::PLAIN), "abcde.");
        assert_eq!(cut("abc", 0, &theme), "");
    }

    #[test]
    fn long_text_hangs_below_its_beginning() {
        let theme = Theme { color: false, width: Some(36), ascii: true };
        assert_eq!(
            theme.hang("  note: ", Style::new(), "one two three four five six → 7"),
            "  note: one two three four five six\n        -> 7\n"
        );
        assert_eq!(
            theme.hang("  note: ", Style::new(), &"/a-path".repeat(6)),
            format!("  note: {}\n", "/a-path".repeat(6))
        );
        assert_eq!(
            Theme::PLAIN.hang("x ", Style::new(), &"a b ".repeat(80)),
            format!("x {}\n", "a b ".repeat(80))
        );
    }

    #[test]
    fn the_locale_decides_about_characters() {
        let locale = |set: &'static [(&str, &str)]| {
            unicode_locale(move |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(locale(&[("LANG", "de_DE.UTF-8")]));
        assert!(locale(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!locale(&[("LC_ALL", "C"), ("LANG", "C.utf8")]));
        assert!(!locale(&[]));
    }
}
