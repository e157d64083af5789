//! What the central system proves itself with over TLS, whom it lets in by certificate, and a certificate authority
//! that makes both for a test. Nothing here is fit for anything but tests: keys are plain text.

use std::fmt;
use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rcgen::{KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// The TLS side of a central system.
#[derive(Clone)]
pub struct Tls {
    /// Certificate chain in PEM, its own certificate first.
    pub chain_pem: String,
    /// Private key of the first certificate, in PEM.
    pub key_pem: String,
    /// Only stations whose certificate leads to one of these roots are let in; without it no certificate is asked for.
    pub client_root_pem: Option<String>,
    /// Versions offered.
    pub versions: TlsVersions,
}

/// The versions of TLS that are offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 alone.
    Only12,
    /// TLS 1.3 alone.
    Only13,
}

/// Why a [`Tls`] cannot be used, or a certificate not made.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A text is not PEM of the kind expected.
    #[error("the {what} is not PEM")]
    Pem {
        /// Which text.
        what: &'static str,
        /// Why.
        #[source]
        cause: pem::Error,
    },
    /// A text holds no certificate.
    #[error("the {what} holds no certificate")]
    Empty {
        /// Which text.
        what: &'static str,
    },
    /// Chain, key or root do not fit together.
    #[error("the certificates cannot be used")]
    Unusable(#[source] rustls::Error),
    /// The root for the stations' certificates cannot be used.
    #[error("the root of the stations' certificates cannot be used")]
    Verifier(#[source] VerifierBuilderError),
    /// A certificate cannot be made.
    #[error("the certificate cannot be made")]
    Making(#[source] rcgen::Error),
}

impl From<TlsFault> for io::Error {
    fn from(fault: TlsFault) -> Self {
        Self::new(io::ErrorKind::InvalidInput, fault)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.client_root_pem.is_some();
        out.debug_struct("Tls").field("asks_for_certificate", &asked).field("versions", &self.versions).finish()
    }
}

impl Tls {
    /// A certificate for these host names and addresses, and the root that a station has to trust.
    ///
    /// # Errors
    /// If a name cannot stand in a certificate.
    pub fn self_signed(names: &[&str]) -> Result<SelfSigned, TlsFault> {
        let authority = Authority::new("Busbar test root")?;
        let tls = authority.server(names)?;
        Ok(SelfSigned { tls, root_pem: authority.root_pem().to_owned(), authority })
    }

    /// Likewise, letting in only stations whose certificate leads to one of these roots.
    #[must_use]
    pub fn asking_for(self, client_root_pem: &str) -> Self {
        Self { client_root_pem: Some(client_root_pem.to_owned()), ..self }
    }

    /// Likewise, offering these versions.
    #[must_use]
    pub fn offering(self, versions: TlsVersions) -> Self {
        Self { versions, ..self }
    }

    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, TlsFault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[&SupportedProtocolVersion] = match self.versions {
            TlsVersions::Both => &[&TLS13, &TLS12],
            TlsVersions::Only12 => &[&TLS12],
            TlsVersions::Only13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(TlsFault::Unusable)?;
        let builder = match &self.client_root_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for root in certificates("root", pem)? {
                    roots.add(root).map_err(TlsFault::Unusable)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(TlsFault::Verifier)?)
            }
        };
        let chain = certificates("certificate chain", &self.chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|cause| TlsFault::Pem { what: "key", cause })?;
        let config = builder.with_single_cert(chain, key).map_err(TlsFault::Unusable)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|cause| TlsFault::Pem { what, cause })?;
    if read.is_empty() { Err(TlsFault::Empty { what }) } else { Ok(read) }
}

/// A fresh certificate and where it comes from.
#[derive(Debug)]
pub struct SelfSigned {
    /// For [`crate::Options::tls`].
    pub tls: Tls,
    /// What a station has to trust, in PEM.
    pub root_pem: String,
    /// Makes further certificates under the same root, such as the stations' own.
    pub authority: Authority,
}

/// A certificate authority of a test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub chain_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Issued").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

impl Authority {
    /// An authority with a root of its own.
    ///
    /// # Errors
    /// If no key or certificate can be made.
    pub fn new(name: &str) -> Result<Self, TlsFault> {
        let key = KeyPair::generate().map_err(TlsFault::Making)?;
        let mut params = params(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_pem = params.self_signed(&key).map_err(TlsFault::Making)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), root_pem })
    }

    /// The root certificate in PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// A central system's certificate for these host names and addresses.
    ///
    /// # Errors
    /// If a name cannot stand in a certificate.
    pub fn server(&self, names: &[&str]) -> Result<Tls, TlsFault> {
        self.server_with(names, |_| ())
    }

    /// Likewise, but its time was over long ago.
    ///
    /// # Errors
    /// If a name cannot stand in a certificate.
    pub fn expired_server(&self, names: &[&str]) -> Result<Tls, TlsFault> {
        self.server_with(names, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Result<Tls, TlsFault> {
        let name = names.first().copied().unwrap_or("central system");
        let mut params = params(name, names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let Issued { chain_pem, key_pem } = self.issue(&params)?;
        Ok(Tls { chain_pem, key_pem, client_root_pem: None, versions: TlsVersions::default() })
    }

    /// A station's certificate; OCPP wants its serial number as common name.
    ///
    /// # Errors
    /// If no key or certificate can be made.
    pub fn station(&self, common_name: &str) -> Result<Issued, TlsFault> {
        let mut params = params(common_name, &[])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Result<Issued, TlsFault> {
        let key = KeyPair::generate().map_err(TlsFault::Making)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(TlsFault::Making)?;
        Ok(Issued { chain_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn params(name: &str, names: &[&str]) -> Result<CertificateParams, TlsFault> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(TlsFault::Making)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Busbar tests");
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_used_and_other_texts_are_named() {
        let made = Tls::self_signed(&["localhost", "127.0.0.1"]).unwrap();
        made.tls.acceptor().unwrap();
        made.tls.clone().asking_for(&made.root_pem).offering(TlsVersions::Only12).acceptor().unwrap();
        let no_chain = Tls { chain_pem: "nothing".into(), ..made.tls.clone() };
        assert!(matches!(no_chain.acceptor().err(), Some(TlsFault::Empty { what: "certificate chain" })));
        let no_key = Tls { key_pem: String::new(), ..made.tls.clone() };
        assert!(matches!(no_key.acceptor().err(), Some(TlsFault::Pem { what: "key", .. })));
        let other = made.authority.station("BENCH-0001").unwrap();
        let mixed = Tls { key_pem: other.key_pem, ..made.tls.clone() };
        assert!(matches!(mixed.acceptor().err(), Some(TlsFault::Unusable(_))));
    }

    #[test]
    fn keys_are_not_shown() {
        let made = Tls::self_signed(&["localhost"]).unwrap();
        let issued = made.authority.station("BENCH-0001").unwrap();
        let shown = format!("{made:?} {issued:?}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
}
