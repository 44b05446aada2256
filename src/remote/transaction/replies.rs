//! What the host's lines mean.

use crate::host::{Recovered, RecoveredEnd, Reloaded, Validation, ValidationWay};
use crate::host::{RolledBack, ServiceBack, StepFailure};
use crate::host::{TransactionId, TransactionRequest};
use crate::model::text::printable;
use crate::model::{Fingerprint, Step};
use crate::remote::conversation::{BadReply, Reply};
use crate::remote::encode::decode;
use crate::remote::error::RemoteError;

/// Lines of one kind that a host may send before its terminal one.
const LINES: usize = 10_000;

/// What was answered so far on the way to an awaited reply.
#[derive(Debug, Default)]
pub(super) struct Replies {
    pub(super) recovered: Vec<Recovered>,
    pub(super) recovering: bool,
    pub(super) validations: Vec<Validation>,
    pub(super) reloads: Vec<Reloaded>,
    pub(super) files: Vec<Option<Fingerprint>>,
    pub(super) guarded: bool,
    /// The host's half of what seals bodies, in hex.
    pub(super) key: Option<String>,
    pub(super) back: RolledBack,
    lines: usize,
}

/// `None`: go on. Otherwise the awaited reply came, or another terminal one.
type Ended = Option<Result<(), RemoteError>>;

impl Replies {
    /// Takes in one reply of a transaction.
    pub(super) fn take(
        &mut self,
        reply: &Reply,
        awaited: &str,
        request: &TransactionRequest,
        order: &[usize],
        checks: &[(usize, usize)],
    ) -> Result<Ended, BadReply> {
        self.count()?;
        let file = |number: usize| {
            let index = *order.get(number)?;
            request.files.get(index).map(|file| file.path.clone())
        };
        match reply.kind.as_str() {
            "checked" => {
                let (service, step) = *checks
                    .get(reply.number::<usize>("check")?)
                    .ok_or_else(|| BadReply::new("a check that was not asked for"))?;
                self.validations.push(Validation {
                    service,
                    step,
                    way: way(reply.text("way")?)?,
                    rc: reply.number("rc")?,
                    output: reply.words("out")?,
                });
            }
            "reloaded" => {
                let service = reply.number("service")?;
                if request.services.get(service).is_none() {
                    return Err(BadReply::new("a service that was not asked for"));
                }
                self.reloads.push(Reloaded {
                    service,
                    rc: reply.maybe_number("rc")?,
                    up_before: reply.maybe_bool("before")?,
                    up: reply.maybe_bool("up")?,
                    output: reply.words("out")?,
                });
            }
            "back" => {
                let number: usize = reply.number("service")?;
                let service = request
                    .services
                    .get(number)
                    .ok_or_else(|| BadReply::new("a service that was not asked for"))?;
                self.back.services.push(ServiceBack {
                    service: service.name.clone(),
                    reload: reply.maybe_number("reload")?,
                    recover: reply.maybe_number("recover")?,
                    up_before: reply.maybe_bool("before")?,
                    up: reply.maybe_bool("up")?,
                    output: reply.words("out")?,
                });
            }
            "conflict" => {
                let path = file(reply.number("file")?);
                let path = path.ok_or_else(|| BadReply::new("a file that was not asked for"))?;
                self.back.conflicts.push(path);
            }
            // A step begins; its own replies follow.
            "validating" | "reloading" => {}
            kind if kind == awaited => {
                self.key = reply.find("key").map(str::to_owned);
                if kind == "staged" || kind == "committed" {
                    self.files = reply.digests("files")?;
                    self.guarded = reply.find("guarded") == Some("1");
                }
                return Ok(Some(Ok(())));
            }
            "rolled_back" => {
                let failure = failure(reply, request, order, checks)?;
                let rollback = std::mem::take(&mut self.back);
                return Ok(Some(Err(RemoteError::RolledBack { failure, rollback })));
            }
            "failed" => {
                return Ok(Some(Err(RemoteError::Failed(failure(reply, request, order, checks)?))));
            }
            "aborted" => return Ok(Some(Err(RemoteError::Aborted { why: text(reply, "why")? }))),
            "stale" => {
                let path = file(reply.number("file")?).or_else(|| {
                    request.directories.first().map(|directory| directory.path.clone())
                });
                let path = path.ok_or_else(|| BadReply::new("a file that was not asked for"))?;
                let now = reply.find("now").and_then(|now| now.parse().ok());
                return Ok(Some(Err(RemoteError::Stale { path, now, why: text(reply, "why")? })));
            }
            _ => return self.take_shared(reply),
        }
        Ok(None)
    }

    /// Takes in one reply of a recovery.
    pub(super) fn take_recovery(&mut self, reply: &Reply) -> Result<Ended, BadReply> {
        self.count()?;
        match reply.kind.as_str() {
            "done" => Ok(Some(Ok(()))),
            "failed" => {
                let failure = StepFailure {
                    check: None,
                    step: step(reply.text("step")?)?,
                    why: text(reply, "why")?,
                    service: None,
                    rc: None,
                    output: reply.words("out")?,
                };
                Ok(Some(Err(RemoteError::Failed(failure))))
            }
            "aborted" => Ok(Some(Err(RemoteError::Aborted { why: text(reply, "why")? }))),
            _ => self.take_shared(reply),
        }
    }

    /// What both may say.
    fn take_shared(&mut self, reply: &Reply) -> Result<Ended, BadReply> {
        match reply.kind.as_str() {
            "recovering" => self.recovering = true,
            // How an earlier transaction's services went back: its `recovered` line sums it up.
            "back" => {}
            "recovered" => {
                let id = TransactionId::parse(reply.text("tx")?)
                    .ok_or_else(|| BadReply::new("an invalid transaction id"))?;
                self.recovered.push(Recovered {
                    id: id.to_string(),
                    end: match reply.text("end")? {
                        "old" if reply.number::<u32>("conflicts")? > 0 => RecoveredEnd::Conflict,
                        "old" => RecoveredEnd::Old,
                        "new" => RecoveredEnd::New,
                        "conflict" => RecoveredEnd::Conflict,
                        _ => return Err(BadReply::new("an unknown end")),
                    },
                    reload: reply.maybe_number("reload")?,
                    conflicts: reply.number("conflicts")?,
                    by: reply.words("by").unwrap_or_default(),
                });
            }
            "busy" => {
                return Ok(Some(Err(RemoteError::Busy {
                    pid: reply.number("pid")?,
                    holder: reply.words("held")?.replace('\n', " "),
                })));
            }
            _ => return Err(BadReply::new(&format!("'{}' was not expected", reply.kind()))),
        }
        Ok(None)
    }

    fn count(&mut self) -> Result<(), BadReply> {
        self.lines += 1;
        if self.lines > LINES { Err(BadReply::new("too many lines")) } else { Ok(()) }
    }
}

/// Words with `_` between, safe to show.
fn text(reply: &Reply, name: &str) -> Result<String, BadReply> {
    let text = reply.text(name)?.replace('_', " ");
    Ok(printable(text.as_bytes(), 200))
}

fn failure(
    reply: &Reply,
    request: &TransactionRequest,
    order: &[usize],
    checks: &[(usize, usize)],
) -> Result<StepFailure, BadReply> {
    let file = reply.maybe_number::<usize>("file")?;
    let path = file.and_then(|number| request.files.get(*order.get(number)?));
    let service = reply.maybe_number::<usize>("service")?;
    let words = match reply.find("in").and_then(decode) {
        None => text(reply, "why")?,
        Some(place) => {
            let cause = match reply.find("cause") {
                Some("full") => ": its file system is full",
                Some(_) => {
                    ": its file system is mounted read-only, or it is closed to this account"
                }
                None => "",
            };
            format!("{} in {}{cause}", text(reply, "why")?, printable(&place, 200))
        }
    };
    let check = reply.maybe_number::<usize>("check")?.and_then(|number| checks.get(number));
    Ok(StepFailure {
        check: check.map(|(_, step)| *step),
        step: step(reply.text("step")?)?,
        why: match path {
            Some(file) => format!("{}: {words}", file.path),
            None => words,
        },
        service: service.and_then(|number| Some(request.services.get(number)?.name.clone())),
        rc: reply.maybe_number("rc")?,
        output: reply.words("out")?,
    })
}

fn step(name: &str) -> Result<Step, BadReply> {
    Ok(match name {
        "lock" => Step::Lock,
        "recover" => Step::Recover,
        "stage" => Step::Stage,
        "validate" => Step::Validate,
        "commit" => Step::Commit,
        "reload" => Step::Reload,
        "confirm" => Step::Confirm,
        _ => return Err(BadReply::new("an unknown step")),
    })
}

fn way(name: &str) -> Result<ValidationWay, BadReply> {
    Ok(match name {
        "mnt" => ValidationWay::MountNamespace,
        "net" => ValidationWay::MountAndNetNamespace,
        "user" => ValidationWay::UserNamespace,
        "staged" => ValidationWay::Staged,
        "container" => ValidationWay::Container,
        "throwaway" => ValidationWay::Throwaway,
        "boot" => ValidationWay::Boot,
        "live" | "later" => ValidationWay::Live,
        "inconclusive" => ValidationWay::Inconclusive,
        "absent" => ValidationWay::Absent,
        _ => return Err(BadReply::new("an unknown way of checking")),
    })
}
