//! Which certificate is in a file that is no PEM. Every host tells PEM by itself; a keystore it opens with its password, so
//! that is asked only where an earlier generation of it is to come back.

use super::desired::{DesiredState, Encoding};
use crate::host::{Enclosed, FileState, HostFacts, Inspection, InspectionVariant};

/// What to read of such files; none: there are none.
///
/// # Errors
/// The password would be recorded on the host.
pub(crate) fn ask_enclosed(
    desired: &DesiredState,
    facts: &HostFacts,
) -> Result<Option<Inspection>, String> {
    let mut variant = InspectionVariant::default();
    for want in &desired.files {
        let password = match &want.encoding {
            Encoding::Pem | Encoding::Hashed => continue,
            Encoding::Der => None,
            Encoding::Keystore(password) => Some(password.clone()),
        };
        if password.is_some() && facts.input_log && !desired.allow_input_log {
            return Err(
                "sudo records its input here (log_input or log_stdin), so the keystore's password would be in its log; \
                 switch that off for this login in sudoers, log in as root, or say `allow_input_log: true` in the task"
                    .to_owned(),
            );
        }
        variant.enclosed.push(Enclosed { file: variant.files.len(), password });
        variant.files.push(want.path.clone());
    }
    let is_asked = !variant.files.is_empty();
    Ok(is_asked.then(|| Inspection { variants: vec![variant], ..Inspection::default() }))
}

/// Puts the certificates that were told to the files that are known.
pub(crate) fn take_enclosed(facts: &mut HostFacts, told: HostFacts) {
    for there in told.files {
        let Some(known) = facts.files.iter_mut().find(|known| known.path == there.path) else {
            continue;
        };
        if let (FileState::File(known), FileState::File(there)) = (&mut known.state, there.state)
            && known.sha256 == there.sha256
        {
            known.certificates = there.certificates;
        }
        for generation in there.generations {
            let mut kept = known.generations.iter_mut();
            if let Some(kept) =
                kept.find(|kept| kept.id == generation.id && kept.sha256 == generation.sha256)
            {
                kept.certificates = generation.certificates;
            }
        }
    }
}
