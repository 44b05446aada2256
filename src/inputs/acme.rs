//! Directories that ACME clients keep: where the newest complete pair of certificate and key lies.
//!
//! certbot (`docs/using.rst`, "Where are my certificates?"): `live/NAME/fullchain.pem` and `privkey.pem` are links to
//! `archive/NAME/fullchainN.pem` and `privkeyN.pem`, changed one after the other at a renewal. acme.sh: `NAME/fullchain.cer`
//! and `NAME.key`, in a directory NAME or `NAME_ecc`.

use crate::source::Diagnostic;
use std::fs;
use std::path::{Path, PathBuf};

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) fullchain: PathBuf,
    pub(super) key: PathBuf,
}

/// The newest complete pair of a directory.
///
/// # Errors
/// There is no such directory, or it is none of certbot's or acme.sh's.
pub(super) fn newest(directory: &Path) -> Result<Files, Diagnostic> {
    let place = directory.display();
    if !directory.is_dir() {
        let problem = Diagnostic::error(format!("{place}: there is no such directory"));
        return Err(
            problem.help("certbot's is /etc/letsencrypt/live/NAME, acme.sh's ~/.acme.sh/NAME_ecc")
        );
    }
    certbot(directory).or_else(|| acme_sh(directory)).ok_or_else(|| {
        Diagnostic::error(format!("{place}: neither certbot's directory nor acme.sh's")).help(
            "it needs fullchain.pem and privkey.pem, or fullchain.cer and NAME.key; name the files in 'cert' and 'key'",
        )
    })
}

fn certbot(directory: &Path) -> Option<Files> {
    let linked = |name: &str| fs::canonicalize(directory.join(name)).ok();
    let files = (linked("fullchain.pem"), linked("privkey.pem"));
    if let (Some(fullchain), Some(key)) = &files {
        let [of_cert, of_key] =
            [(fullchain, "fullchain"), (key, "privkey")].map(|(file, stem)| number(file, stem));
        if of_cert == of_key {
            return Some(Files { fullchain: fullchain.clone(), key: key.clone() });
        }
    }
    // A renewal is under way, or this is the archive itself.
    let archive = match &files {
        (Some(file), _) | (_, Some(file)) => file.parent()?,
        (None, None) => directory,
    };
    let numbers = fs::read_dir(archive).ok()?.flatten().filter_map(|entry| {
        let number = number(&entry.path(), "fullchain")?;
        archive.join(format!("privkey{number}.pem")).is_file().then_some(number)
    });
    let newest = numbers.max()?;
    Some(Files {
        fullchain: archive.join(format!("fullchain{newest}.pem")),
        key: archive.join(format!("privkey{newest}.pem")),
    })
}

/// N of `STEMN.pem`.
fn number(file: &Path, stem: &str) -> Option<u64> {
    file.file_name()?.to_str()?.strip_prefix(stem)?.strip_suffix(".pem")?.parse().ok()
}

fn acme_sh(directory: &Path) -> Option<Files> {
    let name = fs::canonicalize(directory).ok()?.file_name()?.to_str()?.to_owned();
    let name = name.strip_suffix("_ecc").unwrap_or(&name);
    let files = Files {
        fullchain: directory.join("fullchain.cer"),
        key: directory.join(format!("{name}.key")),
    };
    (files.fullchain.is_file() && files.key.is_file()).then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(files: &Files) -> [String; 2] {
        [&files.fullchain, &files.key]
            .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn certbot_s_links_lead_to_the_newest_complete_pair() {
        let etc = tempfile::tempdir().unwrap();
        let (live, archive) = (etc.path().join("live/www"), etc.path().join("archive/www"));
        fs::create_dir_all(&live).unwrap();
        fs::create_dir_all(&archive).unwrap();
        for number in [1, 9, 10] {
            for stem in ["fullchain", "privkey"] {
                fs::write(archive.join(format!("{stem}{number}.pem")), "").unwrap();
            }
        }
        let link = |name: &str, number: u32| {
            let file = live.join(format!("{name}.pem"));
            let _ = fs::remove_file(&file);
            symlink(format!("../../archive/www/{name}{number}.pem"), file).unwrap();
        };
        link("fullchain", 9);
        link("privkey", 9);
        assert_eq!(names(&newest(&live).unwrap()), ["fullchain9.pem", "privkey9.pem"]);
        // Between the links of a renewal, and before its key is written.
        link("fullchain", 10);
        assert_eq!(names(&newest(&live).unwrap()), ["fullchain10.pem", "privkey10.pem"]);
        fs::remove_file(archive.join("privkey10.pem")).unwrap();
        assert_eq!(names(&newest(&live).unwrap()), ["fullchain9.pem", "privkey9.pem"]);
        assert_eq!(names(&newest(&archive).unwrap()), ["fullchain9.pem", "privkey9.pem"]);
    }

    #[test]
    fn acme_sh_names_the_key_after_the_certificate() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("www.example.net_ecc");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("fullchain.cer"), "").unwrap();
        assert!(newest(&directory).unwrap_err().message.contains("neither certbot's"));
        fs::write(directory.join("www.example.net.key"), "").unwrap();
        assert_eq!(names(&newest(&directory).unwrap()), ["fullchain.cer", "www.example.net.key"]);
        let gone = newest(&home.path().join("gone")).unwrap_err();
        assert!(gone.message.contains("there is no such directory"));
    }
}
