//! A certificate authority for simulated hosts: a root, an intermediate, and leaves below it.

use crate::material::{self, Bundle};
use crate::model::{Secret, Timestamp};
use anyhow::{Context, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
};
use std::time::Duration;

/// A root and an intermediate that signs the leaves.
pub(crate) struct Authority {
    root_pem: String,
    intermediate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    now: Timestamp,
}

/// Days before and after the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// It was issued so many days ago.
    pub since: i64,
    /// It ends in so many days; negative: it has ended.
    pub left: i64,
}

impl Validity {
    /// Near its end.
    pub(crate) const OLD: Self = Self { since: 40, left: 7 };
    /// Just issued.
    pub(crate) const NEW: Self = Self { since: 1, left: 46 };

    fn around(self, now: Timestamp, params: &mut CertificateParams) {
        let moment = |seconds: i64| {
            let since_epoch = u64::try_from(now.unix() + seconds).unwrap_or(0);
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since_epoch)
        };
        params.not_before = moment(-self.since * DAY);
        // Half a day more: the whole days left do not change while somebody looks.
        params.not_after = moment(self.left * DAY + DAY / 2);
    }
}

/// The kind of a leaf's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA with P-256.
    P256,
    /// ECDSA with P-384.
    P384,
}

impl Authority {
    /// A new authority, valid for a year around `now`.
    ///
    /// # Errors
    /// No randomness.
    pub(crate) fn new(name: &str, now: Timestamp) -> anyhow::Result<Self> {
        let root_key = KeyPair::generate()?;
        let root_params = authority(&format!("{name} root"), now)?;
        let root_pem = root_params.self_signed(&root_key)?.pem();
        let root = Issuer::new(root_params, root_key);
        let key = KeyPair::generate()?;
        let params = authority(&format!("{name} intermediate"), now)?;
        let intermediate_pem = params.signed_by(&key, &root)?.pem();
        Ok(Self { root_pem, intermediate_pem, issuer: Issuer::new(params, key), now })
    }

    /// The root, for those who want to trust it.
    pub(crate) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// A leaf for these names with a new key, and its chain, as the checks of the controller give it.
    ///
    /// # Errors
    /// A name that no certificate can hold.
    pub(crate) fn leaf(
        &self,
        names: &[&str],
        kind: KeyKind,
        valid: Validity,
    ) -> anyhow::Result<Bundle> {
        let key = KeyPair::generate_for(match kind {
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &PKCS_ECDSA_P384_SHA384,
        })?;
        let mut params = CertificateParams::new(
            names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        )?;
        let common = names.first().context("a leaf needs a name")?;
        params.distinguished_name.push(DnType::CommonName, *common);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid.around(self.now, &mut params);
        let leaf = params.signed_by(&key, &self.issuer)?;
        let fullchain = format!("{}{}", leaf.pem(), self.intermediate_pem);
        let key = Secret::new(key.serialize_pem().into_bytes());
        let input = material::Input {
            cert_pem: fullchain.as_bytes(),
            chain_pem: None,
            key: Some(&key),
            passphrase: None,
            server_names: &[],
            // Expired leaves are wanted as well.
            now: Timestamp::from_unix(self.now.unix() + (valid.left.min(0) - 1) * DAY),
            warn: Duration::ZERO,
        };
        material::check(&input).map_err(|problems| {
            let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow!("the leaf for {common} is not usable: {}", all.join("; "))
        })
    }
}

const DAY: i64 = 86_400;

fn authority(name: &str, now: Timestamp) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Validity { since: 365, left: 365 }.around(now, &mut params);
    Ok(params)
}
