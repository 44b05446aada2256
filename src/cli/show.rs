//! `certroll show`: a saved plan printed again, or two compared.

use super::args::{Format, ShowArgs};
use super::failure::Failure;
use super::{console, saved_plan};
use crate::event::{Event, Kind, Summary};
use crate::report::console::Console;
use crate::report::document::{self, Form, Heading};
use crate::report::{RunView, plan_diff};
use crate::source::Diagnostic;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What `show` prints.
///
/// # Errors
/// A file is no plan that can be read.
pub(super) fn run(args: &ShowArgs) -> Result<Vec<u8>, Failure> {
    match (args.diff, args.files.as_slice()) {
        (false, [file]) => {
            let plan = saved_plan::read(file)?;
            let path = file.display().to_string();
            let sums = plan.header.sources.iter();
            let sums: Vec<String> =
                sums.map(|source| format!("{} {}", source.file, source.sha256)).collect();
            let heading = Heading {
                title: Some(format!("plan {path}")),
                remark: Some(format!(
                    "made at {} by certroll {}, sha256 {}; {}",
                    plan.header.made,
                    plan.header.version,
                    plan.digest,
                    sums.join(", ")
                )),
            };
            let mut events = plan.events;
            for event in &mut events {
                if let Kind::RunStart(start) = &mut event.kind {
                    start.out = Some(path.clone());
                }
            }
            print(&events, args.format, &heading, args)
        }
        (true, [a, b]) => {
            let (a, b) = (saved_plan::read(a)?, saved_plan::read(b)?);
            let options = console::options(&args.output(), false);
            let text = plan_diff::text(&options.stdout, &a.events, &b.events);
            let text = if text.is_empty() { "the plans say the same\n".to_owned() } else { text };
            Ok(text.into_bytes())
        }
        (true, _) => Err(Diagnostic::error("show --diff compares two plans").into()),
        (false, _) => {
            let problem = Diagnostic::error("show prints one plan");
            Err(problem.help("`certroll show --diff A B` compares two").into())
        }
    }
}

fn print(
    events: &[Event],
    format: Format,
    heading: &Heading,
    args: &ShowArgs,
) -> Result<Vec<u8>, Failure> {
    if let Some(form) = format.form() {
        return Ok(documented(events, form, heading)?);
    }
    let mut options = console::options(&args.output(), args.details);
    options.watching = crate::report::console::Watching::None;
    let text = replayed(events, &options, None)?;
    let head = format!(
        "{}\n{}\n",
        heading.title.as_deref().unwrap_or_default(),
        heading.remark.as_deref().unwrap_or_default()
    );
    Ok([crate::report::theme::lines(&head).join("\n").into_bytes(), b"\n".to_vec(), text].concat())
}

/// Events as a document.
///
/// # Errors
/// None that templates of this program have.
pub(super) fn documented(events: &[Event], form: Form, heading: &Heading) -> io::Result<Vec<u8>> {
    let mut view = RunView::default();
    events.iter().for_each(|event| view.take(event));
    Ok(document::render(form, &view, events, heading)?.into_bytes())
}

/// Events as the console shows them; of a run that was cut off with what is known of its hosts in the end, as `cut_off`
/// says.
///
/// # Errors
/// None that memory has.
pub(super) fn replayed(
    events: &[Event],
    options: &crate::report::console::Options,
    cut_off: Option<Summary>,
) -> io::Result<Vec<u8>> {
    let shown = Shown::default();
    let mut console = Console::on(options, Box::new(shown.clone()), Box::new(io::stderr()));
    events.iter().for_each(|event| console.on_event(event));
    if let (Some(summary), Some(last)) = (cut_off, events.last()) {
        let kind = Kind::Summary(summary);
        console.on_event(&Event { kind, host: None, seq: last.seq + 1, ..last.clone() });
    }
    console.finish()?;
    Ok(shown.take())
}

/// A writer whose text is taken at the end.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
