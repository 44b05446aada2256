//! Reading the state of a host without changing it.

mod request;
mod values;

use super::conversation::{BadReply, Conversation, Reply, Shell};
use super::error::RemoteError;
use super::packed::{PLAIN, reading};
use super::program::{INSPECTING, nonce};
use crate::host::{
    BootGuard, CommandResult, ContainerFacts, ContainerState, Engine, Family, FileFacts, FileState,
    Generation, Held, HeldAs, HostFacts, Inspection, InspectionVariant, JournalFacts, JournalState,
    LockHolder, ProcessFacts, RegularFile, RunningCheck, Tools, TransactionId, Workers,
};
use crate::model::text::printable;
use crate::model::{FileMode, RemotePath, Step};
use crate::transport::Process;
use request::request_text;
use std::collections::BTreeMap;
use std::time::Duration;
use values::{
    Taken, bytes, certificates, list, number, peeked, pem_block, process_names, product, text,
};

/// For everything but commands, which have limits of their own: a slow disk, or a busy machine, may have many files to read.
const LIMIT: Duration = Duration::from_secs(60);
/// What a host may tell about journals, generations and orphans in all.
const MOST_ITEMS: usize = 100_000;
/// Groups of one process; Linux knows no more.
const MOST_GROUPS: usize = 65_536;

/// Reads what `request` asks for. Nothing on the host is written, not even a scratch file; commands run
/// with their time limits, and what they print is bounded.
///
/// # Errors
/// No shell answered, the connection was lost, or the answers make no sense.
pub async fn inspect(process: Process, request: &Inspection) -> Result<HostFacts, RemoteError> {
    let (facts, shell) = ask(process.into(), request, false).await?;
    shell.end().await;
    Ok(facts)
}

/// The same, and the shell that did it, which was brought the transaction that may come next. The inspection ran in a
/// process of its own and left nothing behind in it.
///
/// # Errors
/// As [`inspect`].
pub async fn inspect_in(
    shell: Shell,
    request: &Inspection,
) -> Result<(HostFacts, Shell), RemoteError> {
    ask(shell, request, true).await
}

/// As [`inspect`], and the shell that did it, for another program.
///
/// # Errors
/// As [`inspect`].
pub(crate) async fn inspect_only_in(
    shell: Shell,
    request: &Inspection,
) -> Result<(HostFacts, Shell), RemoteError> {
    ask(shell, request, false).await
}

async fn ask(
    shell: Shell,
    request: &Inspection,
    may_go_on: bool,
) -> Result<(HostFacts, Shell), RemoteError> {
    let nonce = nonce();
    let text = request_text(request, &nonce)?;
    let packed = reading(request.variants.iter().any(request::asks_the_seldom), may_go_on);
    let mut conversation =
        Conversation::open_packed(shell, packed, &nonce, &text, Step::Inspect, may_go_on).await?;
    let mut reader =
        Reader { request, facts: HostFacts::default(), files: Vec::new(), chosen: None };
    let mut items = 0;
    loop {
        let limit = reader.limit();
        let reply = conversation.next(limit).await?;
        items += 1;
        if items > MOST_ITEMS {
            return Err(conversation.garbage("too many replies"));
        }
        if reply.kind == PLAIN && items == 1 {
            conversation.send_plain(&INSPECTING, &text).await?;
            continue;
        }
        match reader.take(&reply) {
            Ok(false) => {}
            Ok(true) => break,
            Err(bad) => return Err(conversation.garbage(bad)),
        }
    }
    Ok((reader.facts, conversation.into_shell()))
}

/// Puts the facts together from replies.
struct Reader<'a> {
    request: &'a Inspection,
    facts: HostFacts,
    /// Commands and services told so far, to wait for the next one's limit.
    files: Vec<BTreeMap<TransactionId, Generation>>,
    /// The variant that the host picked.
    chosen: Option<&'a InspectionVariant>,
}

impl Reader<'_> {
    /// How long the next reply may take.
    fn limit(&self) -> Duration {
        let Some(chosen) = self.chosen else { return LIMIT };
        if self.facts.files.len() < chosen.files.len() {
            return LIMIT;
        }
        if self.facts.processes.len() < chosen.processes.len()
            || self.facts.workers.len() < chosen.workers.len()
        {
            return LIMIT;
        }
        let running = chosen.running.get(self.facts.running.len()).map(RunningCheck::limit);
        let command = || chosen.commands.get(self.facts.commands.len());
        let limit = running.or_else(|| command().map(|command| command.command.timeout));
        limit.unwrap_or_default() + LIMIT
    }

    /// Takes one reply; true for the terminal one.
    fn take(&mut self, reply: &Reply) -> Taken<bool> {
        match reply.kind.as_str() {
            "host" => self.host(reply).map(|()| false),
            "absent" => {
                let name = text(reply, "name")?;
                self.facts.absent.push(name);
                Ok(false)
            }
            "file" => self.file(reply).map(|()| false),
            "gen" => self.generation(reply).map(|()| false),
            "running" => {
                let expected = self.facts.running.len();
                self.in_order(reply, expected, |chosen| chosen.running.len())?;
                self.facts.running.push(reply.maybe_bool("up").map_err(BadReply::into_words)?);
                Ok(false)
            }
            "held" => self.held(reply).map(|()| false),
            "container" => self.container(reply).map(|()| false),
            "process" => self.process(reply).map(|()| false),
            "workers" => self.workers(reply).map(|()| false),
            "cmd" => self.command(reply).map(|()| false),
            "boot_guard" => {
                self.facts.boot_guard = match text(reply, "way")?.as_str() {
                    "possible" => BootGuard::Possible,
                    "no_systemd" => BootGuard::NoSystemd,
                    "not_root" => BootGuard::NotRoot,
                    "read_only" => BootGuard::ReadOnly,
                    "volatile" => BootGuard::Volatile,
                    _ => return Err("an unknown boot guard".to_owned()),
                };
                Ok(false)
            }
            "journal" => self.journal(reply).map(|()| false),
            "lock" => {
                self.facts.lock = Some(LockHolder {
                    pid: number(reply, "pid")?,
                    note: reply.words("note").map_err(BadReply::into_words)?,
                });
                Ok(false)
            }
            "facts" => self.end().map(|()| true),
            _ => Err(format!("'{}' during an inspection", reply.kind())),
        }
    }

    fn host(&mut self, reply: &Reply) -> Taken<()> {
        if !self.facts.user.is_empty() {
            return Err("'host' twice".to_owned());
        }
        let flag = |name| reply.maybe_bool(name).map(|flag| flag == Some(true));
        let tool = |name: &str| -> Taken<Option<String>> {
            let tool = text(reply, name)?;
            Ok(Some(tool).filter(|tool| tool != "none"))
        };
        let facts = &mut self.facts;
        facts.uid = number(reply, "uid")?;
        facts.user = text(reply, "user")?;
        facts.input_log = flag("inputlog").map_err(BadReply::into_words)?;
        facts.unseals = flag("unseals").map_err(BadReply::into_words)?;
        facts.os_id = text(reply, "os")?;
        facts.machine = reply
            .find("machine")
            .filter(|machine| !machine.is_empty())
            .map(|machine| printable(machine.as_bytes(), 100));
        facts.kind.family = family(&text(reply, "family")?)?;
        facts.kind.systemd = flag("systemd").map_err(BadReply::into_words)?;
        facts.tools = Tools {
            sha256: tool("sha256")?,
            sync: tool("sync")?,
            stat: tool("stat")?,
            mount_namespace: flag("mountns").map_err(BadReply::into_words)?,
            missing: reply
                .find("missing")
                .unwrap_or_default()
                .split(',')
                .filter(|name| !name.is_empty())
                .map(|name| printable(name.as_bytes(), 100))
                .collect(),
        };
        let picked: Option<usize> = reply.maybe_number("variant").map_err(BadReply::into_words)?;
        self.chosen = match picked {
            None => None,
            Some(index) => {
                Some(self.request.variants.get(index).ok_or("a kind that was not asked for")?)
            }
        };
        Ok(())
    }

    fn in_order(
        &self,
        reply: &Reply,
        expected: usize,
        asked: impl Fn(&InspectionVariant) -> usize,
    ) -> Taken<()> {
        let index: usize = number(reply, "i")?;
        let asked = self.chosen.map_or(0, asked);
        if index == expected && index < asked {
            Ok(())
        } else {
            Err(format!("'{}' out of order", reply.kind()))
        }
    }

    fn file(&mut self, reply: &Reply) -> Taken<()> {
        self.in_order(reply, self.facts.files.len(), |chosen| chosen.files.len())?;
        let asked = self.chosen.and_then(|chosen| chosen.files.get(self.facts.files.len()));
        let path = asked.ok_or("a file that was not asked for")?.clone();
        let state = text(reply, "state")?;
        let real_path = match state.as_str() {
            "loop" => None,
            _ => RemotePath::new(bytes(reply, "real")?).ok(),
        };
        let flag = |name: &str| reply.maybe_bool(name).map_err(BadReply::into_words);
        let state = match state.as_str() {
            "absent" => FileState::Absent,
            "dangling" => FileState::DanglingLink,
            "dir" => FileState::Directory,
            "special" => FileState::Special,
            "loop" => FileState::LinkLoop,
            "unreadable" => FileState::Unreadable,
            "file" => regular(reply)?,
            _ => return Err("a file in an unknown state".to_owned()),
        };
        self.facts.files.push(FileFacts {
            path,
            real_path,
            via_links: list(reply, "links")?
                .into_iter()
                .filter_map(|link| RemotePath::new(link).ok())
                .collect(),
            missing_directories: list(reply, "made")?
                .into_iter()
                .map(|made| RemotePath::new(made).map_err(|error| format!("a directory: {error}")))
                .collect::<Result<_, _>>()?,
            read_only: flag("ro")? == Some(true),
            writable: flag("writable")? != Some(false),
            free_bytes: product(reply, "free")?,
            free_inodes: reply.maybe_number("inodes").map_err(BadReply::into_words)?,
            state,
            generations: Vec::new(),
            held: Vec::new(),
            orphans: list(reply, "orphans")?,
        });
        self.files.push(BTreeMap::new());
        Ok(())
    }

    fn generation(&mut self, reply: &Reply) -> Taken<()> {
        let index: usize = number(reply, "i")?;
        let known = self.files.get_mut(index).ok_or("a generation of no file")?;
        let id = TransactionId::parse(&text(reply, "id")?).ok_or("an invalid generation")?;
        let sha256 = match text(reply, "sha")?.as_str() {
            "absent" => Some(None),
            digest => digest.parse().ok().map(Some),
        };
        // One that cannot be read cannot be brought back either.
        if let Some(sha256) = sha256 {
            let certificates = certificates(reply)?;
            known.insert(id.clone(), Generation { id, sha256, certificates });
        }
        Ok(())
    }

    fn held(&mut self, reply: &Reply) -> Taken<()> {
        let index: usize = number(reply, "i")?;
        let containers = self.facts.containers.len();
        let file = self.facts.files.get_mut(index).ok_or("held, and not a file")?;
        let asked: Option<usize> = reply.maybe_number("asked").map_err(BadReply::into_words)?;
        if asked.is_some_and(|asked| asked >= containers) {
            return Err("held by a container that was not asked for".to_owned());
        }
        let container = text(reply, "container")?;
        file.held.push(Held {
            kind: match text(reply, "kind")?.as_str() {
                "file" => HeldAs::File,
                "old" => HeldAs::Older,
                "dir" => HeldAs::Directory,
                _ => return Err("held in an unknown way".to_owned()),
            },
            pid: number(reply, "pid")?,
            process: printable(text(reply, "comm")?.as_bytes(), 100),
            container: (!container.is_empty()).then(|| container.chars().take(12).collect()),
            path: printable(&bytes(reply, "path")?, 4096),
            asked,
        });
        Ok(())
    }

    fn container(&mut self, reply: &Reply) -> Taken<()> {
        self.in_order(reply, self.facts.containers.len(), |chosen| chosen.containers.len())?;
        let pair = |name: &str| -> Taken<Option<(u32, u32)>> {
            let text = text(reply, name)?;
            let numbers = text.split_once(':');
            Ok(numbers.and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?))))
        };
        let asked =
            self.chosen.and_then(|chosen| chosen.containers.get(self.facts.containers.len()));
        let uid: Option<u32> = reply.maybe_number("uid").map_err(BadReply::into_words)?;
        let home = text(reply, "home")?;
        self.facts.containers.push(ContainerFacts {
            state: match text(reply, "state")?.as_str() {
                "running" => ContainerState::Running,
                "stopped" => ContainerState::Stopped,
                "paused" => ContainerState::Paused,
                "missing" => ContainerState::Missing,
                "no_engine" => ContainerState::NoEngine,
                "failed" => {
                    ContainerState::EngineFailed(reply.words("out").map_err(BadReply::into_words)?)
                }
                _ => return Err("a container in an unknown state".to_owned()),
            },
            engine: Engine::of_program(&text(reply, "engine")?),
            user: uid
                .filter(|_| asked.is_some_and(|asked| asked.user.is_some()))
                .map(|uid| (home, uid)),
            pid: number(reply, "pid")?,
            started: text(reply, "start")?,
            root: pair("root")?.unwrap_or_default(),
            runs_as: pair("runs_as")?,
            can_enter: reply.maybe_bool("enter").map_err(BadReply::into_words)? == Some(true),
        });
        Ok(())
    }

    fn workers(&mut self, reply: &Reply) -> Taken<()> {
        self.in_order(reply, self.facts.workers.len(), |chosen| chosen.workers.len())?;
        let main = process_names(reply, "main")?.pop();
        let started = process_names(reply, "started")?;
        self.facts.workers.push(main.map(|main| Workers { main, started }));
        Ok(())
    }

    fn process(&mut self, reply: &Reply) -> Taken<()> {
        self.in_order(reply, self.facts.processes.len(), |chosen| chosen.processes.len())?;
        let Some(pid) = reply.maybe_number("pid").map_err(BadReply::into_words)? else {
            self.facts.processes.push(None);
            return Ok(());
        };
        let uid = number(reply, "uid")?;
        let further = reply.find("groups").unwrap_or_default().split(',');
        let further = further.filter_map(|group| group.parse().ok()).take(MOST_GROUPS);
        let reads = reply.find("can").unwrap_or_default().split(',').map(|can| match can {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        });
        self.facts.processes.push(Some(ProcessFacts {
            pid,
            uid,
            user: printable(text(reply, "user")?.as_bytes(), 100),
            groups: std::iter::once(number(reply, "gid")?).chain(further).collect(),
            reads_any: uid == 0
                || reply.maybe_bool("any").map_err(BadReply::into_words)? == Some(true),
            unit: Some(text(reply, "unit")?).filter(|unit| !unit.is_empty()),
            reads: reads.take(self.facts.files.len()).collect(),
        }));
        Ok(())
    }

    fn command(&mut self, reply: &Reply) -> Taken<()> {
        self.in_order(reply, self.facts.commands.len(), |chosen| chosen.commands.len())?;
        let skipped = reply.maybe_bool("skipped").map_err(BadReply::into_words)? == Some(true);
        let result = if skipped {
            CommandResult { skipped, ..CommandResult::default() }
        } else {
            peeked(reply)?
        };
        self.facts.commands.push(result);
        Ok(())
    }

    fn journal(&mut self, reply: &Reply) -> Taken<()> {
        let state = match text(reply, "state")?.as_str() {
            "j" | "undo" => JournalState::Undo,
            "done" => JournalState::Done,
            "conflict" => JournalState::Conflict,
            _ => return Err("a journal in an unknown state".to_owned()),
        };
        // A journal that was torn while it was written is nothing that keeps the host from being read.
        let by = reply.words("by").unwrap_or_default();
        self.facts.journals.push(JournalFacts { id: text(reply, "id")?, state, by });
        Ok(())
    }

    fn end(&mut self) -> Taken<()> {
        let empty = InspectionVariant::default();
        let chosen = self.chosen.unwrap_or(&empty);
        if self.facts.files.len() != chosen.files.len()
            || self.facts.running.len() != chosen.running.len()
            || self.facts.processes.len() != chosen.processes.len()
            || self.facts.workers.len() != chosen.workers.len()
            || self.facts.commands.len() != chosen.commands.len()
        {
            return Err("the end came before all answers".to_owned());
        }
        for (file, generations) in self.facts.files.iter_mut().zip(std::mem::take(&mut self.files))
        {
            file.generations = generations.into_values().collect();
        }
        self.facts.journals.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(())
    }
}

fn family(name: &str) -> Taken<Family> {
    Ok(match name {
        "debian" => Family::Debian,
        "redhat" => Family::RedHat,
        "alpine" => Family::Alpine,
        // Profiles do not tell these apart.
        "suse" | "arch" | "freebsd" | "other" => Family::Other,
        _ => return Err("an unknown family".to_owned()),
    })
}

fn regular(reply: &Reply) -> Taken<FileState> {
    let flag = |name: &str| reply.maybe_bool(name).map_err(BadReply::into_words);
    let Ok(sha256) = text(reply, "sha")?.parse() else { return Ok(FileState::Unreadable) };
    if reply.find("mode").is_none() {
        return Ok(FileState::Unreadable);
    }
    let mode = FileMode::parse_octal(&text(reply, "mode")?).ok_or("an invalid mode")?;
    let public_key = reply.find("pub").filter(|body| *body != "-");
    Ok(FileState::File(Box::new(RegularFile {
        sha256,
        size: number(reply, "size")?,
        uid: number(reply, "uid")?,
        gid: number(reply, "gid")?,
        owner: text(reply, "owner")?,
        group: text(reply, "group")?,
        mode,
        hard_links: number(reply, "nlink")?,
        immutable: flag("imm")?,
        acl: flag("acl")? == Some(true),
        readers: {
            let readers = list(reply, "readers")?;
            readers.iter().map(|name| printable(name, 100)).collect()
        },
        mount_point: flag("mounted")? == Some(true),
        certificates: certificates(reply)?,
        holds_key: flag("holds_key")? == Some(true),
        public_key_pem: match public_key {
            None => None,
            Some(body) => Some(pem_block("PUBLIC KEY", body)?),
        },
        readable_by_user: flag("can")?,
    })))
}
