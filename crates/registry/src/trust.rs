//! Whose certificates are believed, and which are shown: the host's authorities and `certs.d`.
//!
//! docker's and containers' layout: `DIR/HOST[:PORT]/` holds `*.crt` (authorities), and `*.cert` with the `*.key` of the
//! same name (this client's own). docker's documentation "Verify repository client with certificates", containers-certs.d(5).

use crate::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Where the authorities of a distribution are.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Where certificates are looked for.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// `SSL_CERT_FILE`: authorities instead of the host's.
    pub bundle: Option<PathBuf>,
    /// `certs.d` directories; what the first of them has of a host comes first.
    pub directories: Vec<PathBuf>,
}

impl Trust {
    /// What a host has to show, and is shown.
    pub(crate) fn of(&self, host: &str, insecure: bool) -> Result<TlsConfig> {
        let directories = || self.directories.iter().map(|dir| dir.join(host));
        let own = directories().map(|dir| own_certificate(&dir)).find_map(Result::transpose).transpose()?;
        let config = TlsConfig::builder().client_cert(own);
        if insecure {
            return Ok(config.disable_verification(true).build());
        }
        let mut roots = self.authorities()?;
        for dir in directories() {
            for file in files(&dir, "crt")? {
                roots.get_or_insert_with(Vec::new).extend(certificates(&file)?);
            }
        }
        let roots = roots.map_or(RootCerts::WebPki, |roots| RootCerts::Specific(Arc::new(roots)));
        Ok(config.root_certs(roots).build())
    }

    /// The host's; nothing where it has none, and Mozilla's that are built in are believed, unless the registry has its own.
    fn authorities(&self) -> Result<Option<Vec<Certificate<'static>>>> {
        if let Some(bundle) = &self.bundle {
            return certificates(bundle).map(Some);
        }
        let bundle = BUNDLES.into_iter().map(Path::new).find(|path| path.exists());
        let certificates = bundle.map(certificates).transpose()?;
        Ok(certificates.filter(|certificates| !certificates.is_empty()))
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(&read(path)?) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| bad(path, error))? {
            found.push(certificate);
        }
    }
    Ok(found)
}

/// The first pair of `*.cert` and `*.key`.
fn own_certificate(dir: &Path) -> Result<Option<ClientCert>> {
    let Some(path) = files(dir, "cert")?.into_iter().next() else { return Ok(None) };
    let key_path = path.with_extension("key");
    if !key_path.exists() {
        let what =
            format!("missing key `{}` for client certificate `{}`", key_path.display(), path.display());
        return Err(Error::new(Kind::Invalid, what));
    }
    let key = PrivateKey::from_pem(&read(&key_path)?).map_err(|error| bad(&key_path, error))?;
    Ok(Some(ClientCert::new_with_certs(&certificates(&path)?, key)))
}

/// Those of a directory with an extension, sorted; none of a directory that is not there.
fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(bad(dir, error)),
        Ok(entries) => entries,
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<_> = paths.filter(|path| path.extension().is_some_and(|is| is == extension)).collect();
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| bad(path, error))
}

fn bad(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Invalid, format!("read certificates from `{}`", path.display())).caused_by(cause)
}
