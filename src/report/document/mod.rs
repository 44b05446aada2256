//! Reports: a run or a plan as a document for a ticket, a reviewer, an archive or a CI system.
//!
//! [`Page`] is made of the story of the run once; each form is a template over it, whose engine escapes everything
//! that is not the template's own.

mod certificates;
mod page;
mod render;

use super::{Reporter, RunView};
use crate::event::{Event, Kind, json};
pub(crate) use page::Heading;
use page::Page;
use render::{html, junit, markdown};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The forms of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One file for a browser: no script, nothing from elsewhere.
    Html,
    /// For a ticket.
    Markdown,
    /// One object: how the run began, its summary, all its events.
    Json,
    /// JUnit's XML, hosts as cases, for CI systems.
    Junit,
}

impl Form {
    /// The form that the ending of a file's name asks for.
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "html" => Some(Self::Html),
            "md" => Some(Self::Markdown),
            "json" => Some(Self::Json),
            "xml" => Some(Self::Junit),
            _ => None,
        }
    }
}

/// A run as a document. `events` are only needed for [`Form::Json`].
///
/// # Errors
/// None that templates of this program have.
pub(crate) fn render(
    form: Form,
    view: &RunView,
    events: &[Event],
    heading: &Heading,
) -> io::Result<String> {
    let page = || Page::of(view, heading);
    match form {
        Form::Html => html(&page()),
        Form::Markdown => markdown(&page()),
        Form::Junit => junit(&page()),
        Form::Json => {
            let events: Result<Vec<Value>, _> = events.iter().map(json::to_object).collect();
            let all = json!({
                "schema": view.start.schema,
                "run": view.start,
                "summary": view.summary_so_far(),
                "events": events?,
            });
            Ok(serde_json::to_string_pretty(&all)? + "\n")
        }
    }
}

/// A file whose name does not say which form it shall have.
#[derive(Debug, thiserror::Error)]
#[error("{0}: no report has this extension")]
pub(crate) struct UnknownForm(String);

/// Writes a document when the run has ended.
pub(crate) struct Document {
    path: PathBuf,
    form: Form,
    events: Vec<Event>,
}

impl Document {
    /// To `path`, in the form that its ending asks for.
    ///
    /// # Errors
    /// There is no such form.
    pub(crate) fn to(path: &Path) -> Result<Self, UnknownForm> {
        let form = Form::of(path).ok_or_else(|| UnknownForm(path.display().to_string()))?;
        Ok(Self { path: path.to_owned(), form, events: Vec::new() })
    }

    /// Beside the file, and renamed. It may be for a group or a web server, as the umask says.
    fn write(&self, text: &str) -> io::Result<()> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = format!(".certroll-report-{}", std::process::id());
        let beside = directory.join(name);
        let written = std::fs::File::create(&beside)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&beside, &self.path));
        if written.is_err() {
            // Whatever stands there is of no use; the first error is the one to tell.
            let _ = std::fs::remove_file(&beside);
        }
        written
    }
}

impl Reporter for Document {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        if self.form == Form::Json {
            self.events.push(event.clone());
        }
        if !matches!(event.kind, Kind::Summary(_)) {
            return Ok(());
        }
        let text = render(self.form, view, &self.events, &Heading::default())?;
        self.write(&text).map_err(|error| {
            let path = self.path.display();
            io::Error::new(error.kind(), format!("the report {path} cannot be written: {error}"))
        })
    }
}

#[cfg(test)]
mod tests;
