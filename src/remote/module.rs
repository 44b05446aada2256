//! A module on a host: what is to be so, by one program for each kind of thing.

use super::conversation::{BadReply, Conversation, Reply};
use super::encode::{decode, encode, encode_all, is_plain_text};
use super::error::RemoteError;
use super::program::{Then, module, nonce};
use super::sealing::{self, Sealing};
use crate::host::{ModuleRefusal, ModuleReply, ModuleRequest, Verb};
use crate::model::text::printable;
use crate::model::{Secret, Step};
use crate::transport::Process;
use zeroize::Zeroizing;

/// Content that is read of a host at most.
pub(crate) const LARGEST: usize = 4 << 20;

/// What sealing adds at most.
const SEALED: usize = 64;

/// Runs a module on the host that `process` runs [`BOOTSTRAP`](super::BOOTSTRAP) on. That it refuses is a result
/// and no error.
///
/// # Errors
/// See [`RemoteError`]. Once it had begun, what it did is unknown.
pub(crate) async fn run(
    process: Process,
    request: &ModuleRequest,
) -> Result<Result<ModuleReply, ModuleRefusal>, RemoteError> {
    let nonce = nonce();
    let mut sealing = request.reads().then(Sealing::new).flatten();
    let text = words(request, &nonce, sealing.as_ref());
    let program = module(request.verb);
    let mut host =
        Conversation::open(process.into(), program, &nonce, &text, Step::Task, Then::End).await?;
    host.may_have_changed = !request.check;
    let mut content: Option<Zeroizing<Vec<u8>>> = None;
    loop {
        let reply = host.next(request.timeout).await?;
        match reply.kind.as_str() {
            "part" => {
                let part = reply.bytes("hex");
                let part = Zeroizing::new(part.map_err(|bad| host.garbage(bad.into_words()))?);
                let all =
                    content.get_or_insert_with(|| Zeroizing::new(Vec::with_capacity(LARGEST)));
                if all.len() + part.len() > LARGEST + SEALED {
                    return Err(host.garbage("more content than was asked for"));
                }
                all.extend_from_slice(&part);
            }
            "send" => {
                let bytes = request.body.as_ref().map(Secret::expose);
                let bytes = bytes.map_or(&[][..], Vec::as_slice);
                let lines = sealing::answer(&reply, bytes);
                host.send(&lines.map_err(|bad| host.garbage(bad.into_words()))?).await?;
            }
            "done" => {
                let read = done(&reply).map_err(|bad| host.garbage(bad.into_words()))?;
                if let (Some(half), Some(all)) = (read.text("sealed"), &mut content) {
                    let seal = sealing.take().and_then(|own| own.agree(half));
                    let opened = seal.and_then(|seal| seal.open(all));
                    *all = opened.ok_or_else(|| host.garbage("content that nobody can open"))?;
                }
                host.finish().await;
                let content = content.map(|mut all| Secret::new(std::mem::take(&mut *all)));
                return Ok(Ok(ModuleReply { content, ..read }));
            }
            "failed" => {
                let read =
                    refusal(&reply, request.verb).map_err(|bad| host.garbage(bad.into_words()))?;
                host.finish().await;
                return Ok(Err(read));
            }
            _ => return Err(host.garbage(format!("'{}' was not expected", reply.kind()))),
        }
    }
}

/// Words as one setting, which the host takes apart.
pub(crate) fn word_list(words: &[String]) -> String {
    encode_all(words)
}

fn words(request: &ModuleRequest, nonce: &str, sealing: Option<&Sealing>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("tx {nonce} -\ncheck {}\n", u8::from(request.check)));
    for (name, value) in &request.settings {
        // Nothing on a host has a NUL in its name.
        text.push_str(&format!("set {name} {}\n", encode(value.replace('\0', "").as_bytes())));
    }
    if let Some(own) = sealing {
        text.push_str(&format!("set peer {}\n", encode(own.public().as_bytes())));
    }
    if let Some(bytes) = &request.body {
        let how = if is_plain_text(bytes.expose()) { "text" } else { "base64" };
        text.push_str(&format!("input {how}\n"));
        if request.allow_input_log {
            text.push_str("open\n");
        }
    }
    text.push_str("go\n");
    text
}

/// A field's text, safe to show.
fn shown(word: &str) -> Option<String> {
    Some(printable(&decode(word)?, 4096))
}

fn done(reply: &Reply) -> Result<ModuleReply, BadReply> {
    let bad = |name: &str| BadReply::new(&format!("'done' has an invalid '{name}'"));
    let mut read = ModuleReply { changed: reply.text("changed")? == "1", ..ModuleReply::default() };
    for (name, word) in reply.fields() {
        match name {
            "changed" => {}
            "changes" => {
                for change in word.split(';').filter(|change| !change.is_empty()) {
                    let mut parts = change.split('|');
                    let mut next = || parts.next().and_then(shown).ok_or_else(|| bad(name));
                    read.changes.push((next()?, next()?, next()?));
                }
            }
            _ => {
                let value = shown(word).ok_or_else(|| bad("field"))?;
                read.fields.push((name.to_owned(), value));
            }
        }
    }
    Ok(read)
}

fn refusal(reply: &Reply, verb: Verb) -> Result<ModuleRefusal, BadReply> {
    if reply.text("why")? == sealing::INPUT_RECORDED {
        let what =
            if verb == Verb::User { "the password's hash" } else { "what the file is to hold" };
        let why = sealing::recorded(what);
        return Ok(ModuleRefusal { why, output: String::new() });
    }
    if reply.text("why")? == sealing::OUTPUT_RECORDED {
        let why = sealing::OUTPUT_RECORDED_WORDS.to_owned();
        return Ok(ModuleRefusal { why, output: String::new() });
    }
    let why = shown(reply.text("why")?).ok_or_else(|| BadReply::new("'failed' without why"))?;
    Ok(ModuleRefusal { why: why.replace('\n', " "), output: reply.words("out")? })
}
