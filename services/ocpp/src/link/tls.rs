//! TLS: whom the station trusts, what it shows of itself, and the handshake. The files are read for each link, so that
//! a new root or a new certificate holds without a restart.

use crate::link::error::{CertificateFault, DialError, FileError};
use crate::link::talk::Carrier;
use crate::settings::{ClientCertificate, LinkSettings};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom the station trusts and what it shows of itself.
pub struct Trust {
    connector: TlsConnector,
    roots: usize,
    /// What is among the roots and cannot be used.
    faults: Vec<String>,
}

/// Reads the certificates.
///
/// # Errors
/// When the station's own cannot be used, or is missing and needed. Roots that cannot be used are passed over: others
/// may do.
pub async fn trust(settings: &LinkSettings, security_profile: u8) -> Result<Trust, DialError> {
    if security_profile >= 3 && settings.client_certificate.is_none() {
        return Err(DialError::NoClientCertificate);
    }
    let settings = settings.clone();
    let read = tokio::task::spawn_blocking(move || Trust::read(&settings)).await;
    read.unwrap_or_else(|error| Err(DialError::Tls(error.to_string())))
}

impl Trust {
    fn read(settings: &LinkSettings) -> Result<Trust, DialError> {
        let (roots, faults) = roots(settings);
        let known = roots.len();
        let unfit = |error: rustls::Error| DialError::Tls(error.to_string());
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_root_certificates(roots);
        let mut config = match &settings.client_certificate {
            Some(own) => {
                let (chain, key) = read_own(own).map_err(DialError::Unread)?;
                let unusable = |error: rustls::Error| FileError { path: own.chain.clone(), fault: error.to_string() };
                config.with_client_auth_cert(chain, key).map_err(unusable).map_err(DialError::Unread)?
            }
            None => config.with_no_client_auth(),
        };
        // One link, and nothing of it is needed for the next.
        config.resumption = Resumption::disabled();
        Ok(Trust { connector: TlsConnector::from(Arc::new(config)), roots: known, faults })
    }

    /// Speaks TLS with a host, which must prove that it is that host.
    ///
    /// # Errors
    /// When it cannot, or when it does not want the station.
    pub async fn secure<S: Carrier>(self, host: &str, stream: S) -> Result<TlsStream<S>, DialError> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| DialError::Unusable("its host is no name that a certificate can hold"))?;
        let secured = self.connector.connect(name, stream).await;
        secured.map_err(|error| match DialError::of_tls(&error) {
            Some(DialError::Certificate(CertificateFault::UnknownIssuer { .. })) => {
                DialError::Certificate(CertificateFault::UnknownIssuer { roots: self.roots, faults: self.faults })
            }
            Some(of_tls) => of_tls,
            None => DialError::TlsCut(error),
        })
    }
}

/// The roots, and what is wrong with those that cannot be used.
fn roots(settings: &LinkSettings) -> (RootCertStore, Vec<String>) {
    let (mut store, mut faults) = (RootCertStore::empty(), Vec::new());
    for path in settings.root_certificates.iter().flat_map(|path| pem_files(path)) {
        if let Err(fault) = add(&mut store, &path) {
            faults.push(FileError { path, fault }.to_string());
        }
    }
    if settings.system_roots {
        // The system's collection always holds some that are of no use here.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    (store, faults)
}

/// A file is itself; a directory is its PEM files, in the order of their names.
fn pem_files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        // A store that has never been written to is empty.
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    }
    let entries = std::fs::read_dir(path).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .collect();
    files.sort();
    files
}

fn add(store: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| said(&error))?;
    let mut any = false;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| said(&error))?;
        store.add(certificate).map_err(|error| error.to_string())?;
        any = true;
    }
    if any { Ok(()) } else { Err("holds no certificate".to_owned()) }
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_own(own: &ClientCertificate) -> Result<Own, FileError> {
    let in_file = |path: &Path, error| FileError { path: path.to_owned(), fault: said(&error) };
    let chain = CertificateDer::pem_file_iter(&own.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| in_file(&own.chain, error))?;
    let key = PrivateKeyDer::from_pem_file(&own.key).map_err(|error| in_file(&own.key, error))?;
    Ok((chain, key))
}

/// What is wrong with a file; never what is in it, for it may be a key.
fn said(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::NotFound => "there is no such file".to_owned(),
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "holds nothing that is wanted".to_owned(),
        _ => "is not PEM".to_owned(),
    }
}
