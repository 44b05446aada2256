//! Templates over a page.

use super::page::Page;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use std::io;

/// For a browser.
pub(super) fn html(page: &Page) -> io::Result<String> {
    filled(include_str!("page.html"), AutoEscape::Html, page)
}

/// For a ticket. Words of hosts cannot end a cell or begin a tag.
pub(super) fn markdown(page: &Page) -> io::Result<String> {
    filled(include_str!("page.md"), AutoEscape::Custom("markdown".into()), page)
}

/// For CI systems. Characters that XML 1.0 (section 2.2) has no form for are left out; control characters are none of
/// them, as texts are printable.
pub(super) fn junit(page: &Page) -> io::Result<String> {
    let text = filled(include_str!("junit.xml"), AutoEscape::Html, page)?;
    Ok(text.replace(['\u{fffe}', '\u{ffff}'], ""))
}

fn filled(template: &str, escape: AutoEscape, page: &Page) -> io::Result<String> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(io::Error::other)?);
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_formatter(|out, state, value| {
        let markdown =
            matches!(state.auto_escape(), AutoEscape::Custom(name) if name == "markdown");
        if markdown && !value.is_safe() {
            let text = escaped(&value.to_string());
            return out.write_str(&text).map_err(minijinja::Error::from);
        }
        minijinja::escape_formatter(out, state, value)
    });
    let page = Value::from(Serde(page));
    environment.render_str(template, context! { page }).map_err(io::Error::other)
}

/// Text that Markdown (CommonMark 0.31, and the tables of GitHub's) takes as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_host_stay_words_in_markdown() {
        let text = "a|b `x` <img src=y> [z](javascript:1) @all\n# h";
        assert_eq!(
            escaped(text),
            "a\\|b \\`x\\` &lt;img src=y&gt; \\[z\\](javascript:1) &#64;all \\# h"
        );
    }
}
