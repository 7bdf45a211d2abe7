//! TLS of listeners and of clusters: what can be told without reading a certificate.

use std::path::PathBuf;
use std::sync::Arc;

use super::Context;
use crate::config::defaults;
use crate::config::file::{self, At};
use crate::config::model::{
    CIPHER_SUITES, Certificate, ClientAuth, ClusterTls, Identity, Listener, ListenerTls, PemFile,
    TlsVersion,
};
use crate::config::values;

use super::login;

/// `[listener.NAME.tls]`; `section` is the listener's.
pub(super) fn of_listener(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::ListenerTls,
) -> ListenerTls {
    let section = &format!("{section}.tls");
    let key = format!("{section}.certificates");
    let certificates = file.certificates.iter().flatten();
    let suites = file.cipher_suites.iter().flatten();
    let suites = suites.filter_map(|name| {
        context.text(&format!("{section}.cipher_suites"), name, values::cipher_suite)
    });
    let cipher_suites: Vec<Arc<str>> = suites.collect();
    check_cipher_suites(context, section, file, &cipher_suites);
    let client_crl = file.client_crl.iter().flatten();
    let client_crl =
        client_crl.filter_map(|path| pem_file(context, &format!("{section}.client_crl"), path));
    let client_crl = client_crl.collect();
    let client_ca = file.client_ca.as_ref();
    let client_ca =
        client_ca.and_then(|path| pem_file(context, &format!("{section}.client_ca"), path));
    check_client_auth(context, section, file);
    ListenerTls {
        certificates: certificates.filter_map(|one| certificate(context, &key, one)).collect(),
        min_version: file.min_version.unwrap_or(TlsVersion::Tls12),
        cipher_suites,
        client_auth: file.client_auth.as_deref().copied().unwrap_or(ClientAuth::None),
        client_ca,
        client_crl,
        strict_sni: file.strict_sni.unwrap_or(defaults::STRICT_SNI),
    }
}

/// Each version that may be spoken needs a suite.
fn check_cipher_suites(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::ListenerTls,
    named: &[Arc<str>],
) {
    let written = file.cipher_suites.iter().flatten();
    let (Some(first), true) = (written.clone().next(), written.count() == named.len()) else {
        return;
    };
    let of = |version| {
        CIPHER_SUITES.iter().filter(move |suite| suite.version == version).map(|suite| suite.name)
    };
    let missing = |version| !of(version).any(|name| named.iter().any(|named| **named == *name));
    let tls12 = file.min_version.unwrap_or(TlsVersion::Tls12) == TlsVersion::Tls12;
    if missing(TlsVersion::Tls13) {
        let some = of(TlsVersion::Tls13).collect::<Vec<_>>().join(", ");
        let message = format!("{section}.cipher_suites has none of TLS 1.3");
        context.report.error(first.span(), message, format!("add some of: {some}"));
    }
    if tls12 && missing(TlsVersion::Tls12) {
        let some = of(TlsVersion::Tls12).collect::<Vec<_>>().join(", ");
        let message = format!("{section}.cipher_suites has none of TLS 1.2");
        let advice = format!("set min_version = \"1.3\", or add some of: {some}");
        context.report.error(first.span(), message, advice);
    }
}

/// Whoever asks for certificates has to know who signs them, and the other way round.
fn check_client_auth(context: &mut Context<'_, '_>, section: &str, file: &file::ListenerTls) {
    let asked = file.client_auth.as_ref().filter(|auth| ***auth != ClientAuth::None);
    let misread = |context: &Context<'_, '_>, key: &str| {
        context.dropped.mistake_under(&format!("{section}.{key}"))
    };
    match (asked, &file.client_ca) {
        (Some(asked), None) if !misread(context, "client_ca") => {
            let message =
                format!("{section}.client_auth asks for certificates, and no client_ca signs them");
            let advice = "add client_ca = \"PATH\": a PEM file with the authorities".to_owned();
            context.report.error(asked.span(), message, advice);
        }
        (None, Some(ca)) if !misread(context, "client_auth") => {
            warn_unasked(context, &format!("{section}.client_ca"), ca);
        }
        _ => {}
    }
    if let (None, Some(crl), false) =
        (asked, file.client_crl.iter().flatten().next(), misread(context, "client_auth"))
    {
        warn_unasked(context, &format!("{section}.client_crl"), crl);
    }
}

/// Warns of what only counts for certificates that nobody is asked for.
fn warn_unasked(context: &mut Context<'_, '_>, key: &str, text: &At<String>) {
    let message = format!("{key} has no effect without client_auth");
    let advice = "add client_auth = \"required\" or \"optional\", or remove it".to_owned();
    context.report.warning(text.span(), message, advice);
}

/// Warns of logins for certificates that no listener asks for; `section` is the cluster's.
pub(super) fn warn_of_unasked_identities(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Cluster,
    listeners: &[Listener],
) {
    let asks = |listener: &Listener| {
        listener.tls.as_ref().is_some_and(|tls| tls.client_auth != ClientAuth::None)
    };
    let mut named = file.identity.iter().flat_map(|named| &named.0);
    let misread = context.dropped.mistake_under("listener.");
    if let (Some((name, _)), false, false) = (named.next(), listeners.iter().any(asks), misread) {
        let message = format!(
            "{section}.identity.{} has no effect: no listener asks its clients for a certificate",
            name.as_str()
        );
        let advice = "add client_auth and client_ca to the tls of a listener, or remove it";
        context.report.warning(name.span(), message, advice.to_owned());
    }
}

/// `[cluster.NAME.tls]`; `section` is the cluster's.
pub(super) fn of_cluster(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::ClusterTls,
) -> ClusterTls {
    let key = |name: &str| format!("{section}.tls.{name}");
    let ca = file.ca.as_ref().and_then(|path| pem_file(context, &key("ca"), path));
    let name = file.server_name.as_ref();
    let server_name =
        name.and_then(|name| context.text(&key("server_name"), name, values::server_name));
    let own = file.certificate.as_ref();
    let own = own.and_then(|own| certificate(context, &key("certificate"), own));
    ClusterTls { ca, server_name, certificate: own }
}

/// A certificate in the list `key`.
pub(super) fn certificate(
    context: &mut Context<'_, '_>,
    key: &str,
    file: &At<file::Certificate>,
) -> Option<Certificate> {
    let place = context.report.place_of(file.span().start);
    let path = |context: &mut Context<'_, '_>, text: &At<String>| {
        context.take(key, text, |text| values::plain_text(text).map(PathBuf::from))
    };
    match (&file.chain, &file.key, &file.bundle) {
        (Some(chain), Some(private), None) => {
            let (chain, private) = (path(context, chain), path(context, private));
            Some(Certificate { chain: chain?, key: private?, place })
        }
        (None, None, Some(bundle)) => {
            let bundle = path(context, bundle)?;
            Some(Certificate { chain: bundle.clone(), key: bundle, place })
        }
        _ => {
            let message = format!("{key}: a certificate is `chain` and `key`, or a `bundle`");
            let advice = "write { chain = \"PATH\", key = \"PATH\" }, or { bundle = \"PATH\" }";
            context.report.error(file.span(), message, advice.to_owned());
            None
        }
    }
}

fn pem_file(context: &mut Context<'_, '_>, key: &str, text: &At<String>) -> Option<PemFile> {
    let path = context.take(key, text, |text| values::plain_text(text).map(PathBuf::from))?;
    Some(PemFile { path, place: context.report.place_of(text.span().start) })
}

/// `[cluster.CLUSTER.identity.NAME]`; `section` is the cluster's.
pub(super) fn identities(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Cluster,
) -> Vec<Identity> {
    let named = file.identity.iter().flat_map(|named| &named.0);
    named.filter_map(|(name, file)| identity(context, section, name, file)).collect()
}

fn identity(
    context: &mut Context<'_, '_>,
    section: &str,
    name: &At<String>,
    file: &file::Identity,
) -> Option<Identity> {
    let section = format!("{section}.identity.{}", name.as_str());
    let own_name: Arc<str> = context.name(&section, name).into();
    if file.common_name.is_none() && file.san.is_none() && !context.dropped.any_under(&section) {
        let message = format!("{section} says nothing of the certificates that it stands for");
        let advice = "add common_name = \"PATTERN\", or san = \"PATTERN\"".to_owned();
        context.report.error(name.span(), message, advice);
    }
    let mut pattern = |key: &str, text: &Option<At<String>>| {
        context.take(&format!("{section}.{key}"), text.as_ref()?, values::pattern)
    };
    let common_name = pattern("common_name", &file.common_name);
    let san = pattern("san", &file.san);
    let written = login::Written {
        username: file.username.as_ref(),
        password: file.password.as_ref(),
        password_file: file.password_file.as_ref(),
    };
    let login = login::login(context, &section, &written)?;
    Some(Identity { name: own_name, common_name, san, login })
}
