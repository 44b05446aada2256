//! The export of a service's store, in the words that `sh/files/seed.sh` reads.

use super::expanding::{directory, expand};
use crate::host::{Seed, TransactionRequest};
use crate::model::RemotePath;
use crate::remote::encode::{BadRequest, argv, seconds};

/// The line. `order`: the host's file numbers → indices into the request's files.
pub(super) fn seed_line(
    seed: &Seed,
    request: &TransactionRequest,
    order: &[usize],
) -> Result<String, BadRequest> {
    let mut numbers = Vec::new();
    for (_, path) in &seed.names {
        let is_it =
            |index: &usize| request.files.get(*index).is_some_and(|file| file.path == *path);
        let number = order.iter().position(is_it);
        let number = number.ok_or_else(|| {
            BadRequest::new(format!("{path} is to be seeded and is no file of the transaction"))
        })?;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    let command = expand(&seed.command, &seed.names, |path| kept(path, request))?;
    let files: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Ok(format!(
        "seed {} {} {} {} {}",
        u8::from(seed.needed),
        files.len(),
        files.join(" "),
        seconds(seed.timeout),
        argv(&command)?
    ))
}

/// Where the old file of a destination is kept.
fn kept(path: &RemotePath, request: &TransactionRequest) -> Option<RemotePath> {
    let file = request.files.iter().find(|file| file.path == *path)?;
    let kept = [directory(&file.real_path), b"/.certroll-", request.id.as_str().as_bytes()];
    RemotePath::in_directory(&kept.concat(), file.real_path.file_name()).ok()
}
