//! Whom this product trusts when it calls somebody by TLS, and by which cryptography: aws-lc-rs, everywhere.

use ::aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion, WantsVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};
use std::{path::Path, sync::Arc};

/// A file of certificates is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// It cannot be read, or is not PEM.
    #[error("the file with certificates cannot be read")]
    File(#[source] pem::Error),
    /// It has none.
    #[error("the file holds no certificate")]
    Empty,
    /// One of them is not a certificate of an authority.
    #[error("a certificate in the file is not one")]
    Certificate(#[source] rustls::Error),
}

/// The certificates in a PEM file, at least one.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(CertificatesError::File)?;
    if found.is_empty() { Err(CertificatesError::Empty) } else { Ok(found) }
}

/// What an app pins of a certificate: the SHA-256 of its `SubjectPublicKeyInfo` in base64 (RFC 7469 section 2.4).
pub fn pin(certificate: &CertificateDer<'_>) -> Result<String, webpki::Error> {
    let key = webpki::EndEntityCert::try_from(certificate)?.subject_public_key_info();
    Ok(STANDARD.encode(digest(&SHA256, key.as_ref())))
}

/// The authorities that browsers trust. They are compiled in: a function need not read them at each start.
#[must_use]
pub fn authorities_of_the_web() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// The authorities in a PEM file and no others, or without a file those of the web.
pub fn authorities(file: Option<&Path>) -> Result<RootCertStore, CertificatesError> {
    file.map_or_else(|| Ok(authorities_of_the_web()), |file| with(RootCertStore::empty(), file))
}

/// The authorities of the web, and those in a PEM file besides.
pub fn authorities_of_the_web_and(file: Option<&Path>) -> Result<RootCertStore, CertificatesError> {
    file.map_or_else(|| Ok(authorities_of_the_web()), |file| with(authorities_of_the_web(), file))
}

fn with(mut roots: RootCertStore, file: &Path) -> Result<RootCertStore, CertificatesError> {
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(CertificatesError::Certificate)?;
    }
    Ok(roots)
}

/// The cryptography.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A client of TLS 1.2 and 1.3 that has yet to be told whom it trusts.
pub fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()
}

/// A client of TLS 1.2 and 1.3 that trusts these authorities.
pub fn client(authorities: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?.with_root_certificates(authorities).with_no_client_auth())
}

/// A client of these versions that trusts these authorities.
pub fn client_of(
    versions: &[&'static SupportedProtocolVersion],
    authorities: RootCertStore,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    Ok(builder.with_root_certificates(authorities).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::generate_simple_self_signed;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn certificate() -> String {
        generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem()
    }

    #[test]
    fn a_file_is_trusted_alone_or_besides_the_web() {
        let web = authorities_of_the_web().len();
        let two = file(&(certificate() + &certificate()));
        assert_eq!(authorities(Some(two.path())).unwrap().len(), 2);
        assert_eq!(authorities(None).unwrap().len(), web);
        assert_eq!(authorities_of_the_web_and(Some(two.path())).unwrap().len(), web + 2);
        assert_eq!(authorities_of_the_web_and(None).unwrap().len(), web);
    }

    #[test]
    fn a_file_that_is_of_no_use_is_an_error() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(authorities(Some(file("").path())), Err(CertificatesError::Empty)));
        assert!(matches!(authorities(Some(file(broken).path())), Err(CertificatesError::Certificate(_))));
        assert!(matches!(authorities(Some(Path::new("/nowhere"))), Err(CertificatesError::File(_))));
    }
}
