//! Lines that stay at the bottom of a terminal, painted anew again and again, while text goes by above them.
//!
//! It moves up by no more rows than it has painted: what stands above is never erased, also when the terminal was
//! made narrower meanwhile.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bottom of a terminal. Clones share it.
#[derive(Clone)]
pub(super) struct Painter(Arc<Mutex<State>>);

struct State {
    out: Box<dyn Write + Send>,
    /// Rows that are painted.
    rows: usize,
    /// Somebody else writes to the terminal: nothing is painted, and what is said above waits.
    paused: bool,
    waiting: String,
}

impl Painter {
    /// On a terminal.
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        let out = Box::new(out);
        Self(Arc::new(Mutex::new(State { out, rows: 0, paused: false, waiting: String::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `above` goes by, and `lines` stand below it; none: the bottom is left empty. Each must be narrower than the
    /// terminal.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn paint(&self, above: &str, lines: &[String]) -> io::Result<()> {
        let mut state = self.state();
        if state.paused {
            state.waiting.push_str(above);
            return Ok(());
        }
        let mut text = state.erasing();
        text.push_str(above);
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        state.rows = lines.len();
        if text.is_empty() {
            return Ok(());
        }
        state.out.write_all(text.as_bytes())?;
        state.out.flush()
    }

    /// What is painted belongs to the past: the next lines come below whatever is there.
    pub(super) fn let_go(&self) {
        self.state().rows = 0;
    }

    /// Runs `work`, which writes to the terminal, with the bottom empty.
    pub(super) fn around<T>(&self, work: impl FnOnce() -> T) -> T {
        {
            let mut state = self.state();
            let text = state.erasing();
            state.rows = 0;
            state.paused = true;
            // A terminal that is gone shows itself at the next event.
            let _ = state.out.write_all(text.as_bytes()).and_then(|()| state.out.flush());
        }
        let result = work();
        let mut state = self.state();
        state.paused = false;
        let waiting = std::mem::take(&mut state.waiting);
        let _ = state.out.write_all(waiting.as_bytes()).and_then(|()| state.out.flush());
        result
    }
}

impl State {
    /// What takes the painted rows away.
    fn erasing(&self) -> String {
        match self.rows {
            0 => String::new(),
            // Up to the first of them, and everything below it (ECMA-48: CUU, ED).
            rows => format!("\r\u{1b}[{rows}A\u{1b}[J"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Shared;
    use super::*;

    /// What a terminal of so many columns shows.
    fn screen(written: &Shared, columns: u16) -> String {
        let mut terminal = vt100::Parser::new(12, columns, 0);
        terminal.process(written.text().replace('\n', "\r\n").as_bytes());
        let rows: Vec<String> = terminal.screen().rows(0, columns).collect();
        rows.join("\n").trim_end().to_owned()
    }

    fn lines(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_bottom_is_painted_anew_and_what_is_above_stays() {
        let out = Shared::default();
        let painter = Painter::new(out.clone());
        painter.paint("", &lines(&["one", "two", "three"])).unwrap();
        painter.paint("edge1 failed\n", &lines(&["four", "five"])).unwrap();
        assert_eq!(screen(&out, 40), "edge1 failed\nfour\nfive");
        painter.paint("", &[]).unwrap();
        assert_eq!(screen(&out, 40), "edge1 failed");
    }

    #[test]
    fn what_somebody_else_writes_is_left_alone() {
        let out = Shared::default();
        let painter = Painter::new(out.clone());
        painter.paint("", &lines(&["one"])).unwrap();
        painter.around(|| {
            out.clone().write_all(b"Keep it? y\n").unwrap();
            painter.paint("edge2 failed\n", &lines(&["two"])).unwrap();
        });
        painter.paint("", &lines(&["three"])).unwrap();
        assert_eq!(screen(&out, 40), "Keep it? y\nedge2 failed\nthree");
    }

    #[test]
    fn after_a_stop_the_shells_lines_are_not_erased() {
        let out = Shared::default();
        let painter = Painter::new(out.clone());
        painter.paint("", &lines(&["one", "two"])).unwrap();
        out.clone().write_all(b"[1]+  Stopped\n$ fg\n").unwrap();
        painter.let_go();
        painter.paint("", &lines(&["three"])).unwrap();
        assert_eq!(screen(&out, 40), "one\ntwo\n[1]+  Stopped\n$ fg\nthree");
    }
}
