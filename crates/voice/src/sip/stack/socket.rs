//! What an agent opens and shows: its socket on the interface that faces the trunk, its Contact, the domain of its
//! addresses, and whose certificates it trusts.

use std::{net::SocketAddr, sync::Arc};

use base64::Engine as _;
use rsipstack::{
    sip::{Auth, HostWithPort, Param, Scheme, Uri},
    transport::{TransportLayer, tcp_listener::TcpListenerConnection, tls::TlsConfig, udp::UdpConnection},
};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::{incoming::Datagrams, targets};
use crate::sip::trunk::{Fault, Transport, Trunk};

/// The user of our Contact where the trunk has no account.
const NAMELESS: &str = "carillon";
/// Room for the answers to a burst of calls, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The domain of our addresses at the trunk: its own, else the host with its port.
pub(super) fn domain_of(trunk: &Trunk) -> Result<HostWithPort, Fault> {
    let mut of_host = host("host", &trunk.host)?;
    of_host.port = trunk.port.map(Into::into);
    trunk.domain.as_ref().map_or(Ok(of_host), |domain| host("domain", domain))
}

/// Reads a host name or an address.
fn host(field: &'static str, text: &str) -> Result<HostWithPort, Fault> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let read = HostWithPort::try_from(text).ok().filter(|_| !text.is_empty() && text.chars().all(fits));
    read.ok_or_else(|| Fault::Field {
        field,
        value: text.to_owned(),
        words: "it must be a host name or an address".to_owned(),
    })
}

/// Opens our socket on the interface that faces the far end, and returns its address.
pub(super) async fn listen(
    trunk: &Trunk,
    first: SocketAddr,
    layer: &TransportLayer,
    gone: &CancellationToken,
) -> Result<SocketAddr, Fault> {
    let socket = |e: std::io::Error| Fault::Socket(e.to_string());
    let any: SocketAddr = if first.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let probe = std::net::UdpSocket::bind(any).map_err(socket)?;
    probe.connect(first).map_err(socket)?;
    let interface = SocketAddr::new(probe.local_addr().map_err(socket)?.ip(), 0);
    let external = |port| trunk.public_address.map(|public| SocketAddr::new(public, port));
    if trunk.transport == Transport::Tcp {
        let free =
            std::net::TcpListener::bind(interface).and_then(|free| free.local_addr()).map_err(socket)?;
        let listener = TcpListenerConnection::new(free, external(free.port())).await;
        layer.add_transport(listener.map_err(|e| Fault::Socket(e.to_string()))?.into());
        return Ok(free);
    }
    // Under TLS the far end comes back over our connection: the socket only lends its address to Via and Contact.
    let datagrams = UdpSocket::bind(interface).await.map_err(socket)?;
    // As much as the kernel grants: a burst of answers must find room.
    let _ = socket2::SockRef::from(&datagrams).set_recv_buffer_size(RECEIVE_BUFFER);
    let local = datagrams.local_addr().map_err(socket)?;
    let external = external(local.port());
    let datagrams = Datagrams::new(datagrams);
    let connection =
        UdpConnection::from_socket(Arc::new(datagrams), external, Some(gone.child_token())).await;
    layer.add_transport(connection.map_err(|e| Fault::Socket(e.to_string()))?.into());
    Ok(local)
}

/// Where the far end reaches us.
pub(super) fn contact(trunk: &Trunk, local: SocketAddr) -> Uri {
    let user = trunk.credentials.as_ref().map_or(NAMELESS, |credentials| &credentials.username);
    let ip = trunk.public_address.unwrap_or(local.ip());
    let params = match trunk.transport {
        Transport::Udp => Vec::new(),
        stream => vec![Param::Transport(targets::wire(stream))],
    };
    Uri {
        scheme: Some(Scheme::Sip),
        auth: Some(Auth { user: user.to_owned(), password: None }),
        host_with_port: SocketAddr::new(ip, local.port()).into(),
        params,
        ..Uri::default()
    }
}

/// Trusts the route's authority or the system's, for the name that the operator wrote.
pub(super) fn tls(trunk: &Trunk) -> Result<TlsConfig, Fault> {
    let pem = match &trunk.tls_ca {
        Some(pem) if pem.contains("BEGIN CERTIFICATE") => pem.clone(),
        Some(pem) => {
            let value = pem.chars().take(40).collect();
            let words = "it must be a certificate as PEM".to_owned();
            return Err(Fault::Field { field: "tls_ca", value, words });
        }
        None => rustls_native_certs::load_native_certs().certs.iter().fold(
            String::new(),
            |mut pem, certificate| {
                pem.push_str("-----BEGIN CERTIFICATE-----\n");
                pem.push_str(&base64::engine::general_purpose::STANDARD.encode(certificate));
                pem.push_str("\n-----END CERTIFICATE-----\n");
                pem
            },
        ),
    };
    let hop = trunk.outbound_proxy.as_deref().unwrap_or(&trunk.host);
    let name = HostWithPort::try_from(hop).map_or_else(|_| hop.to_owned(), |read| read.host.to_string());
    Ok(TlsConfig { ca_certs: Some(pem.into_bytes()), sni_hostname: Some(name), ..TlsConfig::default() })
}
