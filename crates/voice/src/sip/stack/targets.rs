//! Where a trunk's messages go: the addresses behind its name in the order to try them (RFC 3263), and the address
//! that each call's INVITE went to, so that its CANCEL goes there too.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use rsipstack::{
    resolver::SipResolver,
    sip::{Domain, Header, HostWithPort, Param, Scheme, Uri},
    transaction::endpoint::TargetLocator,
    transport::SipAddr,
};

use super::super::trunk::{Fault, Transport, Trunk};

/// The most addresses of one trunk that are tried.
const MOST: usize = 8;
/// The parameter that marks a [`hop`].
const HOP: &str = "carillon-hop";

/// The library's word for a transport.
pub(super) fn wire(transport: Transport) -> rsipstack::sip::Transport {
    match transport {
        Transport::Udp => rsipstack::sip::Transport::Udp,
        Transport::Tcp => rsipstack::sip::Transport::Tcp,
        Transport::Tls => rsipstack::sip::Transport::Tls,
    }
}

/// The addresses of the next hop.
pub(super) async fn resolve(trunk: &Trunk) -> Result<Vec<SocketAddr>, Fault> {
    let (host, port) = match &trunk.outbound_proxy {
        Some(proxy) => {
            let read = HostWithPort::try_from(proxy.as_str()).map_err(|e| Fault::Field {
                field: "outbound_proxy",
                value: proxy.clone(),
                words: e.to_string(),
            })?;
            (read.host.to_string(), read.port.map(|port| port.value()))
        }
        None => (trunk.host.clone(), trunk.port),
    };
    let unresolved = |words: String| Fault::Unresolved { host: host.clone(), words };
    let transport = wire(trunk.transport);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut found: Vec<SocketAddr> = if let Ok(ip) = bare.parse::<IpAddr>() {
        vec![SocketAddr::new(ip, port.unwrap_or(transport.default_port().value()))]
    } else if let Some(port) = port {
        tokio::net::lookup_host((bare, port)).await.map_err(|e| unresolved(e.to_string()))?.collect()
    } else {
        let secure = trunk.transport == Transport::Tls;
        let targets = SipResolver::default().lookup(&Domain::from(bare), None, Some(transport), secure).await;
        targets.map_err(unresolved)?.into_iter().map(|target| target.addr).collect()
    };
    // One socket speaks one family: the first address decides.
    let Some(v4) = found.first().map(SocketAddr::is_ipv4) else {
        return Err(unresolved("the answer is empty".to_owned()));
    };
    found.retain(|address| address.is_ipv4() == v4);
    found.truncate(MOST);
    Ok(found)
}

/// The library's form of an address.
pub(super) fn sip_addr(address: SocketAddr, transport: Transport) -> SipAddr {
    SipAddr::new(wire(transport), HostWithPort::from(address))
}

/// A Route that names the next hop of a call's INVITE, and so of its CANCEL and of the ACK of a refusal
/// (RFC 3261 §9.1). It is the library's to read: [`is_hop`] takes it off before a message leaves.
pub(super) fn hop(address: &SipAddr) -> Header {
    let mut uri = Uri::from(address);
    uri.scheme = Some(Scheme::Sip);
    uri.params.push(Param::Lr);
    uri.params.push(Param::Other(HOP.into(), None));
    Header::Route(format!("<{uri}>").into())
}

/// Whether the header is a [`hop`].
pub(super) fn is_hop(header: &Header) -> bool {
    matches!(header, Header::Route(route) if route.value().contains(HOP))
}

/// The trunk's addresses in the order to try them.
#[derive(Debug)]
pub(super) struct Targets {
    all: RwLock<Vec<SocketAddr>>,
    transport: Transport,
    /// The hosts that stand for the trunk in addresses.
    hosts: Vec<String>,
}

impl Targets {
    pub(super) fn new(all: Vec<SocketAddr>, transport: Transport, hosts: Vec<String>) -> Self {
        Self { all: RwLock::new(all), transport, hosts }
    }

    pub(super) fn all(&self) -> Vec<SocketAddr> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, all: Vec<SocketAddr>) {
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// Finds the far end where a message names the trunk as a whole.
pub(super) struct Locator(pub(super) Arc<Targets>);

#[async_trait]
impl TargetLocator for Locator {
    async fn locate(&self, uri: &Uri) -> rsipstack::Result<SipAddr> {
        let host = uri.host_with_port.host.to_string();
        // A port of its own names one machine.
        let whole = uri.host_with_port.port.is_none();
        let is_trunk = whole && self.0.hosts.iter().any(|of_trunk| of_trunk.eq_ignore_ascii_case(&host));
        match self.0.all().first().filter(|_| is_trunk) {
            Some(address) => Ok(sip_addr(*address, self.0.transport)),
            None => SipAddr::try_from(uri),
        }
    }
}
