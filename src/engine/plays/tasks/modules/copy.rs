//! `copy` and `template`: a file's content, from here or from another file of the host.

use super::super::action::{Action, Done, Failed};
use super::ask::ask;
use super::result;
use crate::engine::difference::{SHOWN, difference};
use crate::host::{ModuleReply, ModuleRequest, Verb};
use crate::model::{Fingerprint, Secret};
use crate::playbook::modules::{Arguments, FileContent, ModuleTask, content};
use crate::template::Opened;
use aws_lc_rs::digest;
use serde_json::{Map, json};
use std::sync::Arc;

pub(super) async fn perform(
    action: &Action<'_>,
    task: &ModuleTask,
    arguments: &Arguments,
) -> Result<Done, Failed> {
    let content = content(task, arguments, action.scope)?;
    if let Some(wanted) = arguments.text("checksum")
        && let Some(content) = &content
        && sha1(content.bytes.expose()) != wanted.to_ascii_lowercase()
    {
        return Err(Failed::module("the file has another checksum than the task says"));
    }
    let put = Put::of(arguments, content)?;
    let diff = action.context.inputs.project.options.diff;
    let reply = ask(action, &put.request(arguments, action.check, diff)).await?;
    Ok(put.done(arguments, &reply, diff.then(|| action.scope.opened())))
}

/// New content for a file.
pub(super) struct Put {
    pub(super) dest: String,
    pub(super) content: Option<FileContent>,
    pub(super) mode: Option<String>,
    /// The digest that the file has; nothing is written over another.
    pub(super) before: Option<String>,
    pub(super) validate: Option<String>,
}

impl Put {
    fn of(arguments: &Arguments, content: Option<FileContent>) -> Result<Self, Failed> {
        let mode = match (arguments.text("mode"), &content) {
            (Some("preserve"), Some(FileContent { mode: Some(mode), .. })) => {
                Some(mode.to_string())
            }
            (Some("preserve"), Some(_)) => {
                return Err(Failed::module("mode: preserve needs a file as its source"));
            }
            (mode, _) => mode.map(str::to_owned),
        };
        let dest = arguments.text("dest").unwrap_or_default().to_owned();
        let validate = validation(arguments)?;
        Ok(Self { dest, content, mode, before: None, validate })
    }

    pub(super) fn request(&self, arguments: &Arguments, check: bool, diff: bool) -> ModuleRequest {
        let mut request = ModuleRequest::new(Verb::Put, check)
            .with("path", self.dest.as_str())
            .maybe("owner", arguments.text("owner"))
            .maybe("group", arguments.text("group"))
            .maybe("mode", self.mode.as_deref())
            .maybe("directory_mode", arguments.text("directory_mode"))
            .maybe("validate", self.validate.as_deref())
            .maybe("before", self.before.as_deref())
            .flag("backup", arguments.flag("backup").unwrap_or(false))
            .flag("force", arguments.flag("force").unwrap_or(true))
            .flag("follow", arguments.flag("follow").unwrap_or(false));
        if diff && self.content.is_some() {
            request = request.flag("show", true).with("limit", (SHOWN + 1).to_string());
        }
        match &self.content {
            Some(content) => {
                let sum = Fingerprint::of(content.bytes.expose()).to_string();
                request.body = Some(content.bytes.clone());
                request.allow_input_log = arguments.flag("allow_input_log").unwrap_or(false);
                request.with("sum", sum).maybe("name", content.name.as_deref())
            }
            None => {
                let src = arguments.text("src").unwrap_or_default();
                let name = src.trim_end_matches('/').rsplit('/').next();
                request.with("src", src).maybe("name", name)
            }
        }
    }

    pub(super) fn done(
        &self,
        arguments: &Arguments,
        reply: &ModuleReply,
        diff: Option<Arc<Opened>>,
    ) -> Done {
        let kept = reply.is("kept");
        let mut value = if kept { Map::new() } else { result::path_info(reply) };
        let path = reply.text("path").unwrap_or(&self.dest);
        value.insert("dest".to_owned(), json!(path));
        let written = reply.is("written");
        if !written && !kept && self.content.is_some() {
            value.insert("path".to_owned(), json!(path));
        }
        for (name, field) in [("checksum", "sha1"), ("md5sum", "md5")] {
            if let Some(digest) = reply.text(field) {
                value.insert(name.to_owned(), json!(digest));
            }
        }
        if let Some(src) = arguments.text("src") {
            value.insert("src".to_owned(), json!(src));
        }
        if let Some(backup) = reply.text("backup") {
            value.insert("backup_file".to_owned(), json!(backup));
        }
        let mut output = None;
        if let Some(content) = &self.content {
            let bytes = content.bytes.expose();
            if !kept {
                value.insert("checksum".to_owned(), json!(sha1(bytes)));
            }
            if written {
                value.insert("md5sum".to_owned(), json!(format!("{:x}", md5::compute(bytes))));
            }
            if let Some(opened) = diff.filter(|_| written) {
                let before = reply.content.as_ref().map(Secret::expose);
                let before = before.map_or(&[][..], Vec::as_slice);
                output = difference(path, before, bytes, content.secret, &opened);
            }
        }
        result::done(reply, value, output)
    }
}

/// The words of `validate`, in which `%s` stands for the new file, in the words that the host reads.
pub(super) fn validation(arguments: &Arguments) -> Result<Option<String>, Failed> {
    let Some(line) = arguments.text("validate") else { return Ok(None) };
    if !line.contains("%s") {
        return Err(Failed::module(format!("validate must contain %s: {line}")));
    }
    let words = shlex::split(line).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| Failed::module("validate: a quote is not closed"))?;
    Ok(Some(crate::remote::module::word_list(&words)))
}

/// SHA-1 as Ansible's `checksum`: to compare with, not to trust.
pub(super) fn sha1(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes))
}
