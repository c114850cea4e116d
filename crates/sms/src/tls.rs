//! TLS to the far end: trusts the system's authorities, or the one that the route names.

use std::sync::Arc;

use engine::SmppConfig;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// A connector for the route and the name that the certificate of its far end at `host` must carry.
///
/// # Errors
/// In words, where the route's certificate authority or host name cannot be used.
pub(crate) fn connector(
    config: &SmppConfig,
    host: &str,
) -> Result<(TlsConnector, ServerName<'static>), String> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = &config.tls_ca {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|e| format!("the route's tls_ca is no PEM: {e}"))?;
            roots.add(certificate).map_err(|e| format!("the route's tls_ca cannot be used: {e}"))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("'{host}' is no host name that a certificate can carry"))?;
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(tls)), name))
}
