//! Which files a task makes on a kind of host: paths, contents, owners, modes.

use super::command::mentions;
use super::desired::{Encoding, FileWant, KeptKey, OwnKey, ServiceContainer, Told};
use super::error::PlanError;
use super::request::{CertificateRequest, ConfigContent, Content, Material, Shape};
use crate::host::{Attributes, FileRole, KeyOrder};
use crate::material::Certificate;
use crate::model::{CommandLine, FileMode, Fingerprint, RemotePath, Secret};
use crate::playbook::certificate::Pair;
use crate::playbook::certificate::SingleFiles;
use crate::services::{CertFile, ChainPlace, Files, KeyPlace, Owner, Paths, Profile, Resolved};
use std::collections::HashSet;
use std::sync::Arc;

/// A service of the task, made concrete.
pub(super) struct Service<'a> {
    pub profile: &'a Profile,
    /// Which of the task's certificates it reads, from 0.
    pub pairs: Vec<usize>,
    pub resolved: Resolved,
    /// The container that it runs in, or that one of its checks enters.
    pub container: Option<ServiceContainer>,
}

impl Service<'_> {
    /// Whether its commands are those of a container.
    pub(super) fn is_in_container(&self) -> bool {
        self.container.as_ref().is_some_and(|container| !container.in_check_only)
    }

    /// Whether its reload is made once the container is known.
    pub(super) fn is_told_in_container(&self) -> bool {
        let told = |container: &ServiceContainer| {
            container.told != Told::Otherwise || container.single_files == SingleFiles::Restart
        };
        self.is_in_container() && self.container.as_ref().is_some_and(told)
    }
}

/// The files of all pairs.
#[derive(Default)]
pub(super) struct Layout {
    /// In commit order.
    pub files: Vec<FileWant>,
    pub kept_keys: Vec<KeptKey>,
    /// What placeholders mean in commands about the live files, each with its pair.
    pub live: Vec<(usize, Files)>,
    pub notes: Vec<String>,
}

impl Layout {
    /// The command about live files of a service: `{cert}` and the others are those of its first pair, `{certs}` are the
    /// certificate files of all that it reads.
    pub(super) fn filled(&self, service: &Service<'_>, command: &CommandLine) -> CommandLine {
        let own = || self.live.iter().filter(|(pair, _)| service.pairs.contains(pair));
        command.expand_lists(|name| match name {
            "certs" => Some(own().filter_map(|(_, files)| files.value("cert")).collect()),
            _ => own().next()?.1.value(name).map(|path| vec![path]),
        })
    }
}

impl Layout {
    /// The files whose key stays in them.
    fn around_their_keys(&self) -> impl Iterator<Item = &RemotePath> {
        self.files.iter().filter(|file| file.own_key.is_some()).map(|file| &file.path)
    }

    /// What the placeholders of a service's command stand for that is about that pair: `{cert}`, `{key}` and `{chain}`
    /// are the pair's, `{certs}` are those of all pairs that it reads. Only those that it names.
    pub(super) fn names(
        &self,
        service: &Service<'_>,
        pair: usize,
        command: &CommandLine,
    ) -> Vec<(String, RemotePath)> {
        let mut names: Vec<(&str, &RemotePath)> = Vec::new();
        let own = || self.files.iter().filter(|file| file.pair == pair);
        // What a service's commands are given is what it reads, and not a copy in another form.
        let is_main =
            |file: &&FileWant| matches!(file.encoding, Encoding::Pem | Encoding::Keystore(_));
        let has_main = own().any(|file| is_main(&file) && file.role.holds_leaf());
        let is_other = |file: &&FileWant| match file.encoding {
            Encoding::Hashed => true,
            Encoding::Der => has_main,
            _ => false,
        };
        for file in own().filter(|file| !is_other(file)) {
            match file.role {
                FileRole::Certificate => names.push(("cert", &file.path)),
                FileRole::Key => names.push(("key", &file.path)),
                FileRole::Chain => names.push(("chain", &file.path)),
                FileRole::Config => {}
                FileRole::Combined => {
                    names.push(("cert", &file.path));
                    names.push(("key", &file.path));
                }
            }
        }
        let kept = self.kept_keys.iter().filter(|kept| kept.pair == pair);
        let kept = kept.filter(|kept| self.around_their_keys().all(|path| *path != kept.path));
        names.extend(kept.map(|kept| ("key", &kept.path)));
        // Without a file of its own the chain is in the certificate's.
        let of = |wanted| names.iter().find(|(name, _)| *name == wanted).map(|(_, path)| *path);
        if let (None, Some(cert)) = (of("chain"), of("cert")) {
            names.push(("chain", cert));
        }
        names.retain(|(name, _)| mentions(command, name));
        if mentions(command, "certs") {
            let own = self.files.iter().filter(|file| service.pairs.contains(&file.pair));
            let all = own.filter(|file| file.role.holds_leaf());
            names.extend(all.map(|file| ("certs", &file.path)));
        }
        names.into_iter().map(|(name, path)| (name.to_owned(), path.clone())).collect()
    }
}

/// Lays out every pair.
pub(super) fn lay_out(
    wanted: &CertificateRequest,
    services: &[Service<'_>],
) -> Result<Layout, PlanError> {
    let mut layout = Layout::default();
    for (index, (pair, material)) in
        wanted.certificate.pairs.iter().zip(&wanted.materials).enumerate()
    {
        let services: Vec<&Service<'_>> =
            services.iter().filter(|service| service.pairs.contains(&index)).collect();
        // A service that reads several certificates has no usual place for each.
        let alone = services.iter().all(|service| service.pairs.len() == 1);
        let defaults = if alone { default_paths(&services) } else { None };
        let one = OnePair { index, pair, material, services, defaults, wanted };
        one.lay_out(&mut layout)?;
    }
    layout.files.extend(wanted.configs.iter().map(config));
    // The service whose check and reload come first says what is renamed first, too.
    let order = services.first().map_or(&[][..], |service| service.profile.order.as_slice());
    layout.files.sort_by_key(|file| (file.role.rank(order), file.role));
    let mut known = HashSet::new();
    let kept = layout.kept_keys.iter().map(|kept| &kept.path);
    let around: Vec<&RemotePath> = layout.around_their_keys().collect();
    let kept = kept.filter(|path| !around.contains(path));
    for path in layout.files.iter().map(|file| &file.path).chain(kept) {
        if !known.insert(path) {
            return Err(PlanError::SameDestination(path.clone()));
        }
    }
    layout.files.shrink_to_fit();
    Ok(layout)
}

/// A file of `with`. One that is new is root's, and everybody may read it.
fn config(config: &ConfigContent) -> FileWant {
    let root = || Some("root".to_owned());
    FileWant {
        path: config.path.clone(),
        role: FileRole::Config,
        pair: 0,
        content: Arc::clone(&config.content.bytes),
        digest: Some(config.content.digest),
        generation: None,
        wanted: config.wanted.clone(),
        fallback: Attributes { owner: root(), group: root(), mode: Some(FileMode::new(0o644)) },
        widest: None,
        leaf: None,
        missing_issuer: None,
        hidden: config.hidden,
        encoding: Encoding::Pem,
        own_key: None,
    }
}

/// The paths that all services of the task have as their default, if any.
fn default_paths(services: &[&Service<'_>]) -> Option<Paths> {
    let known: Vec<&Paths> =
        services.iter().filter_map(|service| service.resolved.dest.as_ref()).collect();
    match known.as_slice() {
        [] => None,
        [first, rest @ ..] if rest.iter().all(|paths| paths == first) => Some((*first).clone()),
        // Services with different usual places cannot share a pair there; the task has to say.
        _ => None,
    }
}

struct OnePair<'a> {
    index: usize,
    pair: &'a Pair,
    material: &'a Material,
    services: Vec<&'a Service<'a>>,
    defaults: Option<Paths>,
    wanted: &'a CertificateRequest,
}

impl OnePair<'_> {
    fn lay_out(&self, layout: &mut Layout) -> Result<(), PlanError> {
        let dest = &self.pair.dest;
        let (separate, combined) = self.key_places();
        let mut live = None;
        if self.wants_keystore() {
            let path = self.keystore_path(separate || combined.is_some())?;
            live = Some(Paths { cert: path.clone(), key: None, chain: None });
            layout.files.push(self.keystore(path)?);
        }
        for (path, shape) in [(&dest.cert_der, Shape::LeafDer), (&dest.key_der, Shape::KeyDer)] {
            if let Some(path) = path {
                layout.files.push(self.file(path.clone(), shape)?);
            }
        }
        if let Some(place) = combined {
            let path = dest
                .combined
                .clone()
                .or_else(|| dest.cert.clone().filter(|_| !separate))
                .or_else(|| self.defaults.as_ref().map(|paths| paths.cert.clone()))
                .ok_or_else(|| self.missing("combined"))?;
            live = Some(Paths { cert: path.clone(), key: None, chain: None });
            let file = match self.material.bundle.key {
                Some(_) if place == KeyPlace::First => self.file(path, Shape::KeyFirst)?,
                Some(_) => self.file(path, Shape::KeyLast)?,
                None => self.around_its_key(path, place, layout)?,
            };
            layout.files.push(file);
        }
        if separate {
            let paths = self.separate(layout)?;
            live = Some(paths);
        }
        if let Some(directory) = &dest.hashed {
            self.hashed(directory, layout)?;
        }
        // Binary files alone.
        let binary = || {
            let cert = dest.cert_der.clone()?;
            Some(Paths { cert, key: dest.key_der.clone(), chain: None })
        };
        let live = live.or_else(binary);
        layout.live.extend(live.as_ref().map(|paths| (self.index, Files::of(paths))));
        Ok(())
    }

    /// Whether a PKCS#12 keystore is one of the files.
    fn wants_keystore(&self) -> bool {
        let mut layouts = self.services.iter().map(|service| service.profile.layout.key);
        self.pair.dest.pkcs12.is_some() || layouts.any(|key| key == KeyPlace::Pkcs12)
    }

    fn keystore_path(&self, others: bool) -> Result<RemotePath, PlanError> {
        let dest = &self.pair.dest;
        let usual = self.defaults.as_ref().filter(|paths| paths.key.is_none() && !others);
        dest.pkcs12
            .clone()
            .or_else(|| dest.cert.clone().filter(|_| !others))
            .or_else(|| usual.map(|paths| paths.cert.clone()))
            .ok_or_else(|| self.missing("pkcs12"))
    }

    fn keystore(&self, path: RemotePath) -> Result<FileWant, PlanError> {
        if self.material.bundle.key.is_none() {
            return Err(PlanError::KeyNeeded(path));
        }
        match self.wanted.keystore(self.index) {
            Some(content) => {
                let seal = self.wanted.seals.get(self.index).and_then(Option::as_ref);
                let password = seal.map(|seal| seal.password.clone());
                Ok(FileWant {
                    encoding: password.map_or(Encoding::Pem, Encoding::Keystore),
                    ..self.file_of(path, FileRole::Combined, content, KeyPlace::Pkcs12)
                })
            }
            None => Err(PlanError::NoPassword(path)),
        }
    }

    /// Whether a pair of files is wanted, and whether (and how) one file with everything in it.
    fn key_places(&self) -> (bool, Option<KeyPlace>) {
        let dest = &self.pair.dest;
        let inside = self
            .services
            .iter()
            .map(|service| service.profile.layout.key)
            .find(|key| matches!(key, KeyPlace::First | KeyPlace::Last));
        let apart =
            self.services.iter().any(|service| service.profile.layout.key == KeyPlace::Separate);
        // HAProxy also reads SITE.pem.key beside SITE.pem: a task that names both gets both.
        let named_apart = dest.key.is_some() && dest.key != dest.cert;
        let same = dest.key.is_some() && dest.key == dest.cert;
        let whole = [&dest.combined, &dest.pkcs12, &dest.cert_der, &dest.key_der];
        let only_whole =
            whole.into_iter().any(Option::is_some) && dest.cert.is_none() && dest.key.is_none();
        let keystore = self.wants_keystore();
        let combined = if dest.combined.is_some() || same {
            Some(inside.unwrap_or(KeyPlace::Last))
        } else {
            inside.filter(|_| !named_apart)
        };
        let separate =
            !same && !only_whole && (apart || named_apart || (combined.is_none() && !keystore));
        (separate, combined)
    }

    /// Certificate and key, and the chain where it has a file of its own.
    fn separate(&self, layout: &mut Layout) -> Result<Paths, PlanError> {
        let dest = &self.pair.dest;
        let defaults = self.defaults.as_ref().filter(|paths| paths.key.is_some());
        let cert = dest
            .cert
            .clone()
            .or_else(|| defaults.map(|paths| paths.cert.clone()))
            .ok_or_else(|| self.missing("cert"))?;
        let key = dest.key.clone().or_else(|| defaults.and_then(|paths| paths.key.clone()));
        let key = match (key, dest.cert.is_some() && dest.key.is_none()) {
            // A certificate elsewhere with the key at the usual place is hardly meant.
            (_, true) if self.material.bundle.key.is_some() => return Err(self.missing("key")),
            (None, _) => return Err(self.missing("key")),
            (Some(key), _) => key,
        };
        let profile_chain = defaults.and_then(|paths| paths.chain.clone());
        let chain = dest.chain.clone().or(profile_chain);
        let rule = self.services.first().map(|service| service.profile.layout);
        let chain_apart = rule.is_some_and(|rule| rule.chain == ChainPlace::Separate);
        let leaf_only = rule.is_some_and(|rule| rule.cert == CertFile::Leaf)
            // Who gives the chain as a file and names a file for it wants it there.
            || (dest.chain.is_some() && self.pair.chain.is_some());
        if chain_apart && chain.is_none() && !self.material.bundle.chain.is_empty() {
            return Err(self.missing("chain"));
        }
        if leaf_only && !chain_apart && !self.material.bundle.chain.is_empty() {
            layout.notes.push(format!(
                "{cert} holds the leaf alone, because the task gives the chain a file of its own: few \
                 services send that to clients; leave out dest.chain if this one does not"
            ));
        }
        let shape = if leaf_only { Shape::Leaf } else { Shape::Fullchain };
        layout.files.push(self.file(cert.clone(), shape)?);
        if let Some(path) = chain.clone().filter(|_| !self.material.bundle.chain.is_empty()) {
            layout.files.push(self.file(path, Shape::Chain)?);
        }
        if self.material.bundle.key.is_some() {
            layout.files.push(self.file(key.clone(), Shape::Key)?);
        } else {
            let leaf = self.material.leaf.clone();
            layout.kept_keys.push(KeptKey { path: key.clone(), pair: self.index, leaf });
        }
        Ok(Paths { cert, key: Some(key), chain })
    }

    /// The certificate, and each of its chain, in a file of its own under the name that OpenSSL looks for.
    fn hashed(&self, directory: &RemotePath, layout: &mut Layout) -> Result<(), PlanError> {
        let bundle = &self.material.bundle;
        let all: Vec<&Certificate> = std::iter::once(&bundle.leaf).chain(&bundle.chain).collect();
        for (place, certificate) in all.iter().enumerate() {
            let alike = |other: &&&Certificate| other.subject_hash == certificate.subject_hash;
            let number = all.iter().take(place).filter(alike).count();
            let name = format!("/{}.{number}", certificate.subject_hash);
            let path = [directory.as_bytes(), name.as_bytes()].concat();
            // A directory's path and a short name: too long is what it may be.
            let path =
                RemotePath::new(path).map_err(|_| PlanError::SameDestination(directory.clone()))?;
            let bytes = Arc::new(Secret::new(certificate.pem()));
            let digest = Fingerprint::of(bytes.expose());
            let content = Content { bytes, digest };
            let file = self.file_of(path, FileRole::Chain, content, KeyPlace::Separate);
            layout.files.push(FileWant { encoding: Encoding::Hashed, ..file });
        }
        Ok(())
    }

    /// One file with everything in it, whose key stays.
    fn around_its_key(
        &self,
        path: RemotePath,
        place: KeyPlace,
        layout: &mut Layout,
    ) -> Result<FileWant, PlanError> {
        let certificates = self.material.content(Shape::Fullchain);
        let content = certificates.ok_or_else(|| PlanError::KeyNeeded(path.clone()))?;
        let leaf = self.material.leaf.clone();
        layout.kept_keys.push(KeptKey { path: path.clone(), pair: self.index, leaf });
        let order = if place == KeyPlace::First { KeyOrder::First } else { KeyOrder::Last };
        let own_key = Some(OwnKey { place: order, is_told: false });
        Ok(FileWant { own_key, ..self.file_of(path, FileRole::Combined, content, place) })
    }

    fn file(&self, path: RemotePath, shape: Shape) -> Result<FileWant, PlanError> {
        let content =
            self.material.content(shape).ok_or_else(|| PlanError::KeyNeeded(path.clone()))?;
        let place = match shape {
            Shape::KeyFirst => KeyPlace::First,
            Shape::KeyLast => KeyPlace::Last,
            _ => KeyPlace::Separate,
        };
        let encoding = match shape {
            Shape::LeafDer => Encoding::Der,
            _ => Encoding::Pem,
        };
        Ok(FileWant { encoding, ..self.file_of(path, shape.role(), content, place) })
    }

    fn file_of(
        &self,
        path: RemotePath,
        role: FileRole,
        content: Content,
        place: KeyPlace,
    ) -> FileWant {
        let (fallback, widest) = self.fallback(role, place);
        let task = &self.wanted.certificate.ownership;
        let wanted = if role.holds_key() {
            // A `mode` meant for certificates must not open the key in a file that holds both.
            let narrow = task.mode.filter(|mode| {
                role == FileRole::Combined
                    && widest.is_some_and(|widest| !mode.is_wider_than(widest))
            });
            Attributes {
                owner: task.key_owner.clone().or_else(|| task.owner.clone()),
                group: task.key_group.clone().or_else(|| task.group.clone()),
                mode: task.key_mode.or(narrow),
            }
        } else {
            Attributes { owner: task.owner.clone(), group: task.group.clone(), mode: task.mode }
        };
        FileWant {
            path,
            role,
            pair: self.index,
            content: content.bytes,
            digest: Some(content.digest),
            generation: None,
            wanted,
            fallback,
            widest,
            leaf: role.holds_leaf().then(|| self.material.leaf.clone()),
            missing_issuer: Some(&self.material.bundle)
                .filter(|_| role.holds_leaf())
                .and_then(|bundle| bundle.missing_issuer().map(str::to_owned)),
            hidden: true,
            encoding: Encoding::Pem,
            own_key: None,
        }
    }

    /// Owner, group and mode of a file that is not there yet, and the limit for a key that is.
    fn fallback(&self, role: FileRole, place: KeyPlace) -> (Attributes, Option<FileMode>) {
        let combined = role == FileRole::Combined;
        // The service whose layout has just this file, one with such a file, else the first.
        let just = |service: &&&Service<'_>| service.profile.layout.key == place;
        let fits = |service: &&&Service<'_>| {
            (service.profile.layout.key != KeyPlace::Separate) == combined
        };
        let mut services = self.services.iter();
        let chosen = services.find(just).or_else(|| self.services.iter().find(fits));
        let Some(service) = chosen.or(self.services.first()) else {
            return (Attributes::default(), None);
        };
        let (modes, owners) = (&service.profile.modes, &service.resolved.owners);
        // In a layout with the key inside, `cert` is what the profile says about the one file.
        let as_cert =
            !role.holds_key() || (combined && service.profile.layout.key != KeyPlace::Separate);
        let (mode, owner): (FileMode, &Owner) =
            if as_cert { (modes.cert, &owners.cert) } else { (modes.key, &owners.key) };
        let fallback = Attributes {
            owner: Some(owner.user.clone()),
            group: Some(owner.group.clone()),
            mode: Some(mode),
        };
        (fallback, role.holds_key().then_some(mode))
    }

    fn missing(&self, which: &'static str) -> PlanError {
        let names = self.services.iter().map(|service| service.profile.name.clone());
        let several = self.wanted.certificate.pairs.len() > 1;
        PlanError::NoDestination { which, services: names.collect(), several }
    }
}
