//! A task whose certificates are not at hand: what its servers ought to show is then what the host has in its files.

use super::desired::ProbeWant;
use super::destinations::of_certificate;
use super::probes::probes;
use super::request::{CertificateRequest, Material};
use crate::host::{FileFacts, HostFacts};
use crate::material::{Bundle, Certificate};
use crate::model::HostName;
use crate::playbook::certificate::{CertificateTask, Pair, VerifyChoice, VerifySpec};
use crate::services::Profile;
use std::sync::Arc;

/// A rendered task without its certificates, for one host.
#[derive(Clone, Debug)]
pub(crate) struct HeldTask {
    /// The host.
    pub host: HostName,
    /// As [`CertificateRequest::address`].
    pub address: String,
    /// The task's title.
    pub title: String,
    /// The task.
    pub certificate: CertificateTask,
    /// One per service of the task, in its order.
    pub profiles: Vec<Arc<Profile>>,
}

impl HeldTask {
    /// The places where the certificates in the host's files are looked for. A pair without a certificate there has none,
    /// and neither has a name that no certificate there covers.
    pub(crate) fn places(&self, facts: &HostFacts) -> Vec<ProbeWant> {
        let specs = match &self.certificate.verify {
            VerifyChoice::Off => return Vec::new(),
            VerifyChoice::Profile => vec![VerifySpec::default()],
            VerifyChoice::Endpoints(specs) => specs.clone(),
        };
        let there = |pair: &Pair| {
            let paths = of_certificate(&self.certificate, pair, &self.profiles, facts.kind);
            let files = facts.files.iter().filter(|file| paths.contains(&file.path));
            Some((pair.clone(), material(files.filter_map(FileFacts::leaf).next()?)))
        };
        let (pairs, materials): (Vec<Pair>, Vec<Arc<Material>>) =
            self.certificate.pairs.iter().filter_map(there).unzip();
        let mut wanted = CertificateRequest {
            host: self.host.clone(),
            address: self.address.clone(),
            task: self.title.clone(),
            certificate: CertificateTask { pairs, ..self.certificate.clone() }.into(),
            materials,
            configs: Vec::new(),
            seals: Vec::new(),
            profiles: self.profiles.clone(),
            roots: Vec::new(),
            allow_experimental: false,
            notes: Vec::new(),
        };
        let mut places = Vec::new();
        for spec in specs {
            // Nothing is judged, so no roots are needed.
            let spec = VerifySpec { trust: None, ..spec };
            wanted.certificate.verify = VerifyChoice::Endpoints(vec![spec]);
            places.extend(probes(&wanted).unwrap_or_default());
        }
        places
    }
}

fn material(leaf: &Arc<Certificate>) -> Arc<Material> {
    let leaf = Certificate::clone(leaf);
    let bundle = Bundle { leaf, chain: Vec::new(), key: None, notes: Vec::new() };
    Arc::new(Material::new(Arc::new(bundle)))
}
