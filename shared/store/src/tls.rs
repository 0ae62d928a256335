//! TLS to the database.

use crate::{ConfigError, DatabaseConfig, SslMode};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use std::{path::Path, sync::Arc};
use tls::CertificatesError;
use tokio_postgres_rustls::MakeRustlsConnect;

/// The connector for a configuration.
pub fn connector(config: &DatabaseConfig) -> Result<MakeRustlsConnect, ConfigError> {
    let verifier = verifier(config, tls::provider())?;
    let builder = tls::builder().map_err(ConfigError::Tls)?.dangerous().with_custom_certificate_verifier(verifier);
    let tls = match (&config.ssl_cert, &config.ssl_key) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(tls::certificates(certificate).map_err(unusable("DB_SSL_CERT"))?, private_key(key)?)
            .map_err(ConfigError::Tls)?,
        _ => builder.with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(tls))
}

fn verifier(
    config: &DatabaseConfig,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    let trust = || {
        let authorities = tls::authorities(config.ssl_root_cert.as_deref()).map_err(unusable("DB_SSL_ROOT_CERT"))?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider))
            .build()
            .map_err(|error| ConfigError::Tls(rustls::Error::General(error.to_string())))
    };
    Ok(match config.ssl_mode {
        SslMode::VerifyFull => trust()?,
        SslMode::VerifyCa => Arc::new(Lenient { trust: Some(trust()?), provider }),
        // As in libpq: with a root certificate at hand, `require` verifies it.
        SslMode::Require if config.ssl_root_cert.is_some() => Arc::new(Lenient { trust: Some(trust()?), provider }),
        SslMode::Require | SslMode::Prefer | SslMode::Disable => Arc::new(Lenient { trust: None, provider }),
    })
}

fn unusable(name: &'static str) -> impl Fn(CertificatesError) -> ConfigError {
    move |error| ConfigError::File(name, std::io::Error::other(error))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| ConfigError::File("DB_SSL_KEY", std::io::Error::other(error)))
}

/// Verifies less than `verify-full` does: the chain but not the host's name, or nothing.
#[derive(Debug)]
struct Lenient {
    trust: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(trust) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        match trust.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is checked before the name, so this error means that the chain is good.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
