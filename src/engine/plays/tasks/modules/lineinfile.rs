//! `lineinfile`: one line of a file is there, or is not. The file is read, changed here, and written as `copy` does,
//! unless another process has modified it meanwhile.

use super::super::action::{Action, Done, Failed};
use super::ask::ask;
use super::copy::{Put, validation};
use super::look;
use crate::model::{Fingerprint, Secret};
use crate::playbook::modules::{Arguments, FileContent, ModuleTask};
use crate::source::Node;
use crate::template::replacement;
use fancy_regex::{Captures, Regex};
use serde_json::json;

pub(super) async fn perform(
    action: &Action<'_>,
    task: &ModuleTask,
    arguments: &Arguments,
) -> Result<Done, Failed> {
    let path = arguments.text("path").unwrap_or_default();
    let edit = Edit::read(task, arguments)?;
    let found = look::read(action, path).await?;
    let create = arguments.flag("create").unwrap_or(false);
    if found.is_none() && (!edit.present || !create) {
        if !edit.present {
            return Ok(Done::default().saying("file not present"));
        }
        return Err(Failed::module(format!("Destination {path} does not exist !")));
    }
    let before = found.as_ref().map(|(content, _)| content.expose().clone()).unwrap_or_default();
    let text = std::str::from_utf8(&before)
        .map_err(|_| Failed::module(format!("{path} is not UTF-8 text")))?;
    let edited = edit.apply(text).map_err(Failed::module)?;
    let digest = found.as_ref().map_or_else(
        || "absent".to_owned(),
        |(content, _)| Fingerprint::of(content.expose()).to_string(),
    );
    let content = FileContent {
        bytes: Secret::new(edited.text.clone().into_bytes()),
        name: None,
        mode: None,
        secret: false,
    };
    let put = Put {
        dest: path.to_owned(),
        content: Some(content),
        mode: arguments.text("mode").map(str::to_owned),
        before: Some(digest),
        validate: validation(arguments)?,
    };
    let diff = action.context.inputs.project.options.diff;
    let mut request = put.request(arguments, action.check, diff).flag("follow", true);
    if found.is_none() {
        request = request.flag("parents", create);
    }
    let reply = ask(action, &request).await?;
    let mut done = put.done(arguments, &reply, diff.then(|| action.scope.opened()));
    let mut message = edited.message;
    let owned = |name: &str| matches!(name, "owner" | "group" | "mode");
    if reply.changes.iter().any(|(name, ..)| owned(name)) {
        let and = if message.is_empty() { "" } else { " and " };
        message = format!("{message}{and}ownership, perms or SE linux context changed");
    }
    let backup = reply.text("backup").unwrap_or_default();
    done.value = [("msg", json!(message)), ("backup", json!(backup))]
        .into_iter()
        .chain(edited.removed.map(|count| ("found", json!(count))))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(done)
}

impl Done {
    fn saying(mut self, message: &str) -> Self {
        self.value.insert("msg".to_owned(), json!(message));
        self
    }
}

/// What is to be done to the lines.
struct Edit<'a> {
    present: bool,
    line: &'a str,
    regexp: Option<Regex>,
    search: Option<&'a str>,
    after: Option<Place>,
    before: Option<Place>,
    backrefs: bool,
    first: bool,
}

/// Where a line is put.
enum Place {
    Begin,
    End,
    Line(Regex),
}

struct Edited {
    text: String,
    message: String,
    /// Lines that were taken out.
    removed: Option<usize>,
}

impl<'a> Edit<'a> {
    fn read(task: &ModuleTask, arguments: &'a Arguments) -> Result<Self, Failed> {
        let regex = |name: &str| -> Result<Option<Regex>, Failed> {
            let Some(text) = arguments.text(name) else { return Ok(None) };
            let place = |message: String| match task.node(name) {
                Some(node) => Failed::value(node, message),
                None => Failed::value(&Node::text(text), message),
            };
            let compiled = Regex::new(text);
            compiled
                .map(Some)
                .map_err(|error| place(format!("'{text}' is not a regular expression: {error}")))
        };
        let spot = |name: &str| -> Result<Option<Place>, Failed> {
            Ok(match arguments.text(name) {
                None => None,
                Some("BOF") => Some(Place::Begin),
                Some("EOF") => Some(Place::End),
                Some(_) => regex(name)?.map(Place::Line),
            })
        };
        let edit = Self {
            present: arguments.text("state") != Some("absent"),
            line: arguments.text("line").unwrap_or_default(),
            regexp: regex("regexp")?,
            search: arguments.text("search_string"),
            after: spot("insertafter")?,
            before: spot("insertbefore")?,
            backrefs: arguments.flag("backrefs").unwrap_or(false),
            first: arguments.flag("firstmatch").unwrap_or(false),
        };
        let has_line = arguments.text("line").is_some();
        let message = if edit.present && !has_line {
            "line is required with state=present"
        } else if edit.present && edit.backrefs && edit.regexp.is_none() {
            "regexp is required with backrefs=true"
        } else if !has_line && edit.regexp.is_none() && edit.search.is_none() {
            "one of line, search_string, or regexp is required with state=absent"
        } else {
            return Ok(edit);
        };
        Err(Failed::module(message))
    }

    /// Source of the rules: Ansible, `modules/lineinfile.py`, `present` and `absent`.
    fn apply(&self, text: &str) -> Result<Edited, String> {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if !self.present {
            let before = lines.len();
            let mut kept = Vec::with_capacity(before);
            for line in lines {
                if !self.is_wanted(&line)? {
                    kept.push(line);
                }
            }
            let removed = before - kept.len();
            let message = match removed {
                0 => String::new(),
                count => format!("{count} line(s) removed"),
            };
            return Ok(Edited { text: kept.concat(), message, removed: Some(removed) });
        }
        let message = self.put_line(&mut lines)?;
        Ok(Edited { text: lines.concat(), message: message.to_owned(), removed: None })
    }

    /// Whether `state: absent` takes the line out.
    fn is_wanted(&self, line: &str) -> Result<bool, String> {
        match (&self.regexp, self.search) {
            (Some(regexp), _) => matches(regexp, line),
            (None, Some(search)) => Ok(line.contains(search)),
            (None, None) => Ok(bare(line) == self.line),
        }
    }

    fn put_line(&self, lines: &mut Vec<String>) -> Result<&'static str, String> {
        let mut at: Option<usize> = None;
        for (index, line) in lines.iter().enumerate() {
            let found = match (&self.regexp, self.search) {
                (Some(regexp), _) => matches(regexp, line)?,
                (None, Some(search)) => line.contains(search),
                (None, None) => false,
            };
            if found {
                at = Some(index);
                if self.first {
                    break;
                }
            }
        }
        let matched = at.is_some();
        let mut spot: Option<usize> = None;
        if !matched {
            for (index, line) in lines.iter().enumerate() {
                if bare(line) == self.line {
                    at = Some(index);
                    continue;
                }
                let found = match (&self.after, &self.before) {
                    (Some(Place::Line(regex)), _) => matches(regex, line)?.then_some(index + 1),
                    (_, Some(Place::Line(regex))) => matches(regex, line)?.then_some(index),
                    _ => None,
                };
                if found.is_some() {
                    spot = found;
                    if self.first {
                        break;
                    }
                }
            }
        }
        let whole = format!("{}\n", self.line);
        if let Some(index) = at {
            let new = match &self.regexp {
                Some(regexp) if self.backrefs && matched => {
                    with_newline(expanded(regexp, &lines[index], self.line)?)
                }
                _ => with_newline(self.line.to_owned()),
            };
            if lines[index] == new {
                return Ok("");
            }
            lines[index] = new;
            return Ok("line replaced");
        }
        if self.backrefs {
            return Ok("");
        }
        let at_begin =
            matches!(self.before, Some(Place::Begin)) || matches!(self.after, Some(Place::Begin));
        match spot {
            _ if at_begin => lines.insert(0, whole),
            None => {
                if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
                    last.push('\n');
                }
                lines.push(whole);
            }
            Some(index) if self.after.is_some() => {
                let there = lines.get(index.min(lines.len() - 1)).map(|line| bare(line));
                if there == Some(self.line) {
                    return Ok("");
                }
                if let Some(last) =
                    lines.last_mut().filter(|last| index > 0 && !last.ends_with('\n'))
                {
                    last.push('\n');
                }
                lines.insert(index, whole);
            }
            Some(index) => lines.insert(index, whole),
        }
        Ok("line added")
    }
}

fn bare(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

fn with_newline(mut line: String) -> String {
    if !line.ends_with('\n') {
        line.push('\n');
    }
    line
}

/// Python's `$` is also before the newline at the end.
fn matches(regex: &Regex, line: &str) -> Result<bool, String> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    regex.is_match(line).map_err(|error| error.to_string())
}

/// A line in which `\1` and `\g<name>` stand for what the pattern matched.
fn expanded(regex: &Regex, line: &str, wanted: &str) -> Result<String, String> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let captures: Option<Captures<'_>> = regex.captures(line).map_err(|error| error.to_string())?;
    let mut text = String::new();
    if let Some(captures) = captures {
        captures.expand(&replacement(wanted), &mut text);
    }
    Ok(text)
}
