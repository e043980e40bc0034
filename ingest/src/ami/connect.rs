//! Opens the connection: TCP, and TLS over it where configured.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{AmiConfig, ConnectError, Tls};

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, encrypted or not.
pub(super) type Wire = Box<dyn Duplex>;

pub(super) async fn connect(config: &AmiConfig) -> Result<Wire, ConnectError> {
    let address = config.address();
    let unreachable = |source| ConnectError::Unreachable { address: address.clone(), source };
    let tcp = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let tls = |reason: String| ConnectError::Tls { address: address.clone(), reason };
    let Some(client) = client(&config.tls).map_err(tls)? else {
        return Ok(Box::new(tcp));
    };
    let name = ServerName::try_from(config.host.clone()).map_err(|error| tls(error.to_string()))?;
    let encrypted = TlsConnector::from(Arc::new(client)).connect(name, tcp).await;
    Ok(Box::new(encrypted.map_err(|error: io::Error| tls(error.to_string()))?))
}

/// The client's side of TLS, if any; an error is for people.
fn client(tls: &Tls) -> Result<Option<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    match tls {
        Tls::Off => return Ok(None),
        Tls::System => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err("the system has no trusted certificates".to_owned());
            }
        }
        Tls::CaFile(path) => {
            let named = |reason: String| format!("{}: {reason}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| named(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| named(error.to_string()))?;
                roots.add(certificate).map_err(|error| named(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(named("no certificate in it".to_owned()));
            }
        }
        Tls::Insecure => {
            let anybody = Arc::new(Anybody(provider));
            return Ok(Some(builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth()));
        }
    }
    Ok(Some(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Accepts every certificate: the configuration said `insecure`. Signatures are still checked.
struct Anybody(Arc<CryptoProvider>);

impl fmt::Debug for Anybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anybody")
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
