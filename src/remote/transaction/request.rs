//! A request in the words that `sh/request.sh` reads.

use super::expanding::{directory, expand};
use super::seeding::seed_line;
use crate::host::{
    Attributes, Content, FileChange, FileRole, RunningCheck, ServiceCommands, StateDirs,
    TimedCommand, TransactionRequest, ValidateStep, ValidateVia,
};
use crate::model::{Fingerprint, RemotePath, StartTls};
use crate::remote::encode::{
    BadRequest, argv, body, encode, is_plain_text, note, places, running_words, seconds, timed,
};
use crate::remote::sealing::{Seal, Sealing};
use std::time::Duration;
use zeroize::Zeroizing;

/// Time for everything on the host that is no command of the service: copies, digests, flushes.
const WORK: Duration = Duration::from_secs(60);

/// A request ready to be sent.
#[derive(Debug)]
pub(super) struct Worded {
    /// The lines up to `go`.
    pub(super) text: String,
    /// The file bodies, in the host's order; none where they are to be sealed.
    pub(super) bodies: Zeroizing<Vec<u8>>,
    /// For [`sealed_bodies`], once the host has told its half.
    pub(super) sealing: Option<Sealing>,
    /// The host's file numbers → indices into the request's files.
    pub(super) order: Vec<usize>,
    /// The host's check numbers → service and step.
    pub(super) checks: Vec<(usize, usize)>,
    /// How long each part may take on the host.
    pub(super) limits: Waits,
}

/// How long to wait for each reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub(super) hello: Duration,
    pub(super) staged: Duration,
    pub(super) committed: Duration,
    pub(super) ended: Duration,
}

/// Puts a request into words.
///
/// # Errors
/// What no host could be asked for.
pub(super) fn word(request: &TransactionRequest, nonce: &str) -> Result<Worded, BadRequest> {
    let mut real: Vec<&RemotePath> = request.files.iter().map(|file| &file.real_path).collect();
    real.sort();
    if let Some(twice) = real.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BadRequest::new(format!("{} is the destination of two files", twice[0])));
    }
    let directories = directories(request);
    let order = order(request, &directories);
    let limits = waits(request);
    let mut lines = vec![format!("tx {nonce} {}", request.id)];
    lines.extend(places(request.dirs.as_ref()));
    lines.push(note(&request.holder));
    let Limits { lock, stage, confirm, guard } = Limits::of(request, &limits);
    lines.push(format!("times {lock} {stage} {confirm} {guard}"));
    lines.push(format!("keep {}", request.backups));
    lines.extend(
        request.boot_guard.iter().map(|units| format!("units {}", encode(units.as_bytes()))),
    );
    for made in &request.directories {
        let path = encode(made.path.as_bytes());
        lines.push(format!("made {path} {}", attributes(&made.attributes)?));
    }
    for directory in &directories {
        lines.push(format!("dir {}", encode(directory)));
    }
    let mut bodies = Zeroizing::new(Vec::with_capacity(body_room(&request.files)));
    let hushed = hushed(request);
    for (number, index) in order.iter().enumerate() {
        let file = &request.files[*index];
        lines.push(file_line(file, &directories, request.sealed)?);
        if hushed.contains(index) {
            lines.push(format!("hush {number}"));
        }
        if is_remembered(file, request.backups) {
            lines.push(format!("mark {number}"));
        }
        if file.in_place {
            lines.push(format!("in_place {number}"));
        }
        if let (Some(bytes), false) = (file.content.sent(), request.sealed) {
            body(bytes.expose(), &mut bodies);
        }
    }
    let mut checks = Vec::new();
    for (number, service) in request.services.iter().enumerate() {
        lines.extend(service_lines(service)?);
        if let Some(seed) = &service.seed {
            lines.push(seed_line(seed, request, &order)?);
        }
        for (step_number, step) in service.validate.iter().enumerate() {
            lines.extend(check_lines(step, request)?);
            checks.push((number, step_number));
        }
    }
    lines.push(format!("bodies {}", bodies.len()));
    let sealing = request.sealed.then(|| Sealing::new().ok_or_else(unsealed)).transpose()?;
    lines.extend(sealing.iter().map(|own| format!("peer {}", encode(own.public().as_bytes()))));
    lines.push("go\n".to_owned());
    Ok(Worded { text: lines.join("\n"), bodies, sealing, order, checks, limits })
}

/// The file bodies, in the host's order, for nobody but whom `seal` was agreed on with.
pub(super) fn sealed_bodies(
    request: &TransactionRequest,
    order: &[usize],
    seal: &Seal,
) -> Result<Zeroizing<Vec<u8>>, BadRequest> {
    let mut bodies = Vec::new();
    for file in order.iter().filter_map(|index| request.files.get(*index)) {
        if let Some(bytes) = file.content.sent() {
            body(&seal.seal(bytes.expose()).ok_or_else(unsealed)?, &mut bodies);
        }
    }
    Ok(Zeroizing::new(bodies))
}

fn unsealed() -> BadRequest {
    BadRequest::new("the files cannot be sealed for the host")
}

/// The request of a recovery.
pub(super) fn recovery(
    nonce: &str,
    holder: &str,
    lock: Duration,
    files: &[RemotePath],
    dirs: Option<&StateDirs>,
) -> String {
    let mut lines = vec![format!("tx {nonce} recovery")];
    lines.extend(places(dirs));
    lines.push(note(holder));
    lines.push(format!("times {} 1 1 1", lock.as_secs()));
    lines.extend(files.iter().map(|file| format!("sweep {}", encode(file.as_bytes()))));
    lines.push("go\n".to_owned());
    lines.join("\n")
}

struct Limits {
    lock: u64,
    stage: u64,
    confirm: u64,
    guard: u64,
}

impl Limits {
    fn of(request: &TransactionRequest, waits: &Waits) -> Self {
        let confirm = seconds(request.limits.confirm);
        Self {
            lock: request.limits.lock.as_secs(),
            stage: seconds(request.limits.stage),
            confirm,
            // Everything between the last file and the end of a way back, but for the wait between.
            guard: seconds(waits.staged)
                + seconds(waits.committed)
                + confirm
                + seconds(waits.ended),
        }
    }
}

fn waits(request: &TransactionRequest) -> Waits {
    let mut waits =
        Waits { hello: request.limits.lock + WORK, staged: WORK, committed: WORK, ended: WORK };
    // A loaded host with many files needs longer for them; `stage` of `sh/stage.sh` says the same.
    waits.staged += Duration::from_secs(request.files.len() as u64 / 8);
    for service in &request.services {
        let running = service.running.as_ref().map_or(Duration::ZERO, RunningCheck::limit);
        let time = |command: &Option<TimedCommand>| {
            command.as_ref().map_or(Duration::ZERO, |command| command.timeout)
        };
        let back = time(&service.reload) + time(&service.recover) + 3 * running;
        waits.hello += running;
        waits.staged += service.seed.as_ref().map_or(Duration::ZERO, |seed| seed.timeout);
        for step in &service.validate {
            // Both namespaces, or both boots.
            waits.staged += 3 * (step.timeout + Duration::from_secs(6));
            waits.committed += step.timeout;
        }
        waits.committed += time(&service.reload) + running + back;
        waits.ended += back + Duration::from_secs(3);
    }
    waits
}

/// The real directories, those with what is renamed first before others.
fn directories(request: &TransactionRequest) -> Vec<&[u8]> {
    let files = request.files.iter();
    let mut with_role: Vec<_> = files
        .map(|file| (file.role.rank(&request.order), file.role, directory(&file.real_path)))
        .collect();
    with_role.sort();
    let mut directories: Vec<&[u8]> = Vec::new();
    for (_, _, directory) in with_role {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

/// Without the slash at the end that only `/` has.
/// Indices of the files: by directory, then as the request orders them.
fn order(request: &TransactionRequest, directories: &[&[u8]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..request.files.len()).collect();
    let place = |index: &usize| {
        let file = &request.files[*index];
        let rank = file.role.rank(&request.order);
        (position(directories, &file.real_path), rank, file.role, *index)
    };
    order.sort_by_key(place);
    order
}

/// Which files change without a rename: where somebody watches for those, all but those that come last, which
/// are certificates as a rule, and the configuration files behind them. Without such among the files there is no last.
fn hushed(request: &TransactionRequest) -> Vec<usize> {
    let named_last = request.order.last().copied().unwrap_or(FileRole::Certificate);
    let last = |role: FileRole| role.rank(&request.order) >= named_last.rank(&request.order);
    let mut files = request.files.iter();
    if !request.watched || !files.any(|file| last(file.role)) {
        return Vec::new();
    }
    let all = request.files.iter().enumerate();
    all.filter(|(_, file)| !last(file.role) && !file.in_place && file.after.is_some())
        .map(|(index, _)| index)
        .collect()
}

/// Whether it is to be known later that the file was not there: so that a configuration that came with a pair can go with it.
fn is_remembered(file: &FileChange, backups: u32) -> bool {
    let is_new = file.before.is_none() && file.after.is_some();
    backups > 0 && is_new && file.role == FileRole::Config
}

fn position(directories: &[&[u8]], path: &RemotePath) -> usize {
    directories.iter().position(|known| *known == directory(path)).unwrap_or_default()
}

fn file_line(file: &FileChange, directories: &[&[u8]], sealed: bool) -> Result<String, BadRequest> {
    let name = file.real_path.file_name();
    if file.in_place && (file.before.is_none() || file.attributes != Attributes::default()) {
        return Err(BadRequest::new(format!(
            "{}: what is overwritten in place must be there, and keeps its attributes",
            file.path
        )));
    }
    if name.starts_with(b".certroll") {
        return Err(BadRequest::new(format!("{}: the name is reserved", file.path)));
    }
    if file.after.is_none() != matches!(file.content, Content::Absent)
        || (file.after.is_none() && (file.before.is_none() || file.in_place))
    {
        return Err(BadRequest::new(format!(
            "{}: what is to go must be there, has no content, and is not overwritten",
            file.path
        )));
    }
    let content = match &file.content {
        Content::Absent => "gone".to_owned(),
        Content::Bytes(_) if sealed => "sealed".to_owned(),
        Content::Bytes(bytes) if is_plain_text(bytes.expose()) => "text".to_owned(),
        Content::Bytes(_) => "base64".to_owned(),
        Content::Keep if file.before.is_none() => {
            return Err(BadRequest::new(format!("{}: there is nothing to keep", file.path)));
        }
        Content::Keep => "keep".to_owned(),
        Content::Generation(id) => format!("gen:{id}"),
        Content::WithOwnKey(..) if file.before.is_none() => {
            return Err(BadRequest::new(format!("{}: there is no key to keep", file.path)));
        }
        Content::WithOwnKey(_, place) if sealed => format!("sealed-own:{}", place.name()),
        Content::WithOwnKey(bytes, _) if !is_plain_text(bytes.expose()) => {
            return Err(BadRequest::new(format!("{}: certificates are lines", file.path)));
        }
        Content::WithOwnKey(_, place) => format!("own:{}", place.name()),
    };
    let known = |digest: Option<Fingerprint>| {
        digest.map_or_else(|| "absent".to_owned(), |digest| digest.to_string())
    };
    let before = known(file.before);
    Ok(format!(
        "file {} {} {before} {} {} {} {content} {}",
        position(directories, &file.real_path),
        encode(name),
        known(file.after),
        attributes(&file.attributes)?,
        attributes(&file.defaults)?,
        encode(file.path.as_bytes()),
    ))
}

/// Owner, group and mode; `-` for none.
fn attributes(wanted: &Attributes) -> Result<String, BadRequest> {
    let account = |name: &Option<String>| match name {
        None => Ok("-".to_owned()),
        Some(name) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@$-".contains(&byte);
            if name.is_empty() || name.starts_with('-') || !name.bytes().all(plain) {
                return Err(BadRequest::new(format!("'{name}' is no account's name")));
            }
            Ok(name.clone())
        }
    };
    let mode = wanted.mode.map_or_else(|| "-".to_owned(), |mode| format!("{:o}", mode.bits()));
    Ok(format!("{} {} {mode}", account(&wanted.owner)?, account(&wanted.group)?))
}

fn body_room(files: &[FileChange]) -> usize {
    files
        .iter()
        .map(|file| file.content.sent().map_or(0, |bytes| bytes.expose().len() * 3 / 2 + 80))
        .sum()
}

fn service_lines(service: &ServiceCommands) -> Result<Vec<String>, BadRequest> {
    let mut lines = vec![format!("service {}", encode(service.name.as_bytes()))];
    if let Some(running) = &service.running {
        lines.push(format!("running {}", running_words(running)?));
    }
    if let Some(reload) = &service.reload {
        lines.push(format!("reload {}", timed(reload)?));
    }
    if let Some(recover) = &service.recover {
        lines.push(format!("recover {}", timed(recover)?));
    }
    Ok(lines)
}

fn check_lines(
    step: &ValidateStep,
    request: &TransactionRequest,
) -> Result<Vec<String>, BadRequest> {
    let mut lines = Vec::new();
    let expand = |place: &dyn Fn(&RemotePath) -> Option<RemotePath>| {
        expand(&step.command, &step.names, place)
    };
    let (via, command) = match &step.via {
        ValidateVia::MountNamespace => ("mnt", expand(&|path| Some(path.clone()))?),
        ValidateVia::Live => ("live", expand(&|path| Some(path.clone()))?),
        ValidateVia::Staged => ("staged", expand(&|path| staged(path, request))?),
        ValidateVia::Throwaway => ("throwaway", expand(&|path| staged(path, request))?),
        ValidateVia::Container => ("container", expand(&|path| staged(path, request))?),
        ValidateVia::Boot(recipe) => {
            let word = |text: &Option<String>| {
                text.as_deref().map_or("-".to_owned(), |text| encode(text.as_bytes()))
            };
            let starttls = match recipe.starttls {
                StartTls::None => "-",
                dialogue => dialogue.name(),
            };
            let mut line = format!(
                "seal {} {} {} {} {} {}",
                recipe.port,
                starttls,
                word(&recipe.signatures),
                word(&recipe.server_name),
                recipe.leaf,
                recipe.tmpfs.len()
            );
            for path in recipe.tmpfs.iter().chain(&recipe.mkdir) {
                line.push(' ');
                line.push_str(&encode(path.as_bytes()));
            }
            lines.push(line);
            ("boot", recipe.start.clone())
        }
    };
    let user = step.user.as_deref().map_or("-".to_owned(), |user| encode(user.as_bytes()));
    let optional = step.optional.as_deref().map_or("-".to_owned(), |name| encode(name.as_bytes()));
    let refusals: Vec<&String> =
        step.refuse_output.iter().filter(|text| !text.is_empty() && !text.contains('\0')).collect();
    let mut line = format!(
        "check {via} {} {user} {optional} {} {}",
        u8::from(step.private_net),
        seconds(step.timeout),
        refusals.len()
    );
    for refusal in refusals {
        line.push(' ');
        line.push_str(&encode(refusal.as_bytes()));
    }
    line.push(' ');
    line.push_str(&argv(&command)?);
    lines.push(line);
    Ok(lines)
}

/// Where the new bytes of a destination are while they are staged; kept files are where they are.
fn staged(path: &RemotePath, request: &TransactionRequest) -> Option<RemotePath> {
    let Some(file) = request.files.iter().find(|file| file.path == *path) else {
        return Some(path.clone());
    };
    let stage =
        [directory(&file.real_path), b"/.certroll-", request.id.as_str().as_bytes(), b".new"];
    RemotePath::in_directory(&stage.concat(), file.real_path.file_name()).ok()
}

/// The digest that a reply gives for the host's file number `n` must be this.
pub(super) fn wanted(request: &TransactionRequest, order: &[usize]) -> Vec<Option<Fingerprint>> {
    order.iter().map(|index| request.files[*index].after).collect()
}
