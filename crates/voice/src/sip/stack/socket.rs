//! What an agent opens and shows: its socket on the interface that faces the trunk, its Contact, the domain of its
//! addresses, and whose certificates it trusts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use base64::Engine as _;
use rsipstack::{
    sip::{Auth, HostWithPort, Param, Scheme, Uri},
    transaction::endpoint::TransportEventInspector,
    transport::{
        TransportEvent, TransportLayer, tcp_listener::TcpListenerConnection, tls::TlsConfig,
        udp::UdpConnection,
    },
};
use tokio::{
    net::UdpSocket,
    task::{unconstrained, yield_now},
};
use tokio_util::sync::CancellationToken;

use super::targets;
use crate::sip::trunk::{Fault, Transport, Trunk};

/// The user of our Contact where the trunk has no account.
const NAMELESS: &str = "carillon";
/// Room for the answers to a burst of calls, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How many messages are worked on before others have their turn.
const AT_ONCE: u32 = 1_024;

/// What a task that works for all calls has done of its share of the processor.
#[derive(Debug, Default)]
pub(super) struct Share(AtomicU32);

impl Share {
    /// Counts a message; gives others their turn where the share is used up.
    async fn use_up(&self) {
        if self.0.fetch_add(1, Ordering::Relaxed) % AT_ONCE == AT_ONCE - 1 {
            yield_now().await;
        }
    }
}

/// The task that hands on what came in keeps the timers too, which have their turn with the others.
#[async_trait::async_trait]
impl TransportEventInspector for Share {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        self.use_up().await;
        Some(event)
    }
}

/// Our socket as the library reads it. One task reads for all calls, so it reads on as long as there is something: by the
/// runtime's measure it would have to wait after 128 datagrams until each of thousands of calls had its turn, and answers
/// would lie there until their requests were repeated.
struct Datagrams {
    socket: UdpSocket,
    share: Share,
}

#[async_trait::async_trait]
impl rsipstack::platform::net::UdpSocket for Datagrams {
    async fn recv_from(&self, buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        self.share.use_up().await;
        Ok(unconstrained(self.socket.recv_from(buffer)).await?)
    }

    async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        Ok(self.socket.send_to(datagram, to).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

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
    let datagrams = Arc::new(Datagrams { socket: datagrams, share: Share::default() });
    let connection = UdpConnection::from_socket(datagrams, external, Some(gone.child_token())).await;
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

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll};

    use rsipstack::platform::net::UdpSocket as _;

    use super::*;

    #[tokio::test]
    async fn all_that_has_come_is_read_in_one_turn() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let datagrams = Datagrams { socket, share: Share::default() };
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // More than a task may read by the runtime's measure.
        for _ in 0..200 {
            sender.send_to(b"SIP", datagrams.local_addr().unwrap()).unwrap();
        }
        datagrams.socket.readable().await.unwrap();
        let reading = async {
            for _ in 0..200 {
                datagrams.recv_from(&mut [0; 8]).await.unwrap();
            }
        };
        assert!(is_done_in_one_turn(reading).await, "it stopped though more had come");
    }

    #[tokio::test]
    async fn after_a_thousand_messages_others_have_their_turn() {
        let share = Share::default();
        for _ in 0..3 {
            let all_but_one = async {
                for _ in 0..AT_ONCE - 1 {
                    share.use_up().await;
                }
            };
            assert!(is_done_in_one_turn(all_but_one).await);
            assert!(!is_done_in_one_turn(share.use_up()).await);
        }
    }

    async fn is_done_in_one_turn(work: impl Future<Output = ()>) -> bool {
        let mut work = pin!(work);
        poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await
    }
}
