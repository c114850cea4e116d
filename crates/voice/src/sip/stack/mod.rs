//! The only module that knows the SIP library (`rsipstack`). Kept here: one endpoint a trunk, its sockets, the task
//! that hears requests (`hear`), the one that keeps the trunk (`keep`), and one task a call (`dial`, then `talk`).
//! Whatever ends an answered call, `talk` removes its dialog from the library's layer: nothing else does that.

mod challenge;
mod dial;
mod hear;
mod incoming;
mod inspect;
mod keep;
mod socket;
mod talk;
mod targets;
mod words;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rsipstack::{
    EndpointBuilder,
    dialog::{authenticate::Credential, dialog_layer::DialogLayer},
    sip::{Auth, HostWithPort, Scheme, Uri, typed},
    transaction::{
        CallIdFormat,
        endpoint::{EndpointInnerRef, EndpointOption},
        make_call_id,
    },
    transport::{SipAddr, TransportLayer},
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, unconstrained},
};
use tokio_util::sync::CancellationToken;

pub use inspect::Facts;

use self::{
    inspect::{Calls, Inspector},
    targets::{Locator, Targets},
};
use super::{
    call::{self, Call, Callee, Event, Invite},
    trunk::{Fault, State, Transport, Trunk},
};

/// What our Call-IDs end in.
const CALL_ID_SUFFIX: &str = "carillon";
/// The most connections that far ends may open to us.
const MOST_CONNECTIONS: usize = 256;
/// How long `close` waits for the calls to end.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// A user agent at one trunk. Dropped, it is gone with its sockets; `close` ends its calls first.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
}

/// What the tasks of an agent share.
struct Shared {
    trunk: Trunk,
    /// The domain of our Request-URIs, From and To.
    domain: HostWithPort,
    /// The address of our socket.
    local: SocketAddr,
    contact: std::sync::RwLock<Uri>,
    endpoint: EndpointInnerRef,
    layer: Arc<DialogLayer>,
    targets: Arc<Targets>,
    calls: Arc<Calls>,
    count: Arc<AtomicUsize>,
    state: watch::Sender<State>,
    /// Cancelled when the agent closes: calls end.
    closing: CancellationToken,
    /// Cancelled when the endpoint shall go.
    gone: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("trunk", &self.trunk).finish_non_exhaustive()
    }
}

impl Shared {
    fn credential(&self) -> Option<Credential> {
        self.trunk.credentials.as_ref().map(|credentials| Credential {
            username: credentials.username.clone(),
            password: credentials.password.expose().to_owned(),
            realm: None,
            auth_username: None,
        })
    }

    /// Our name at the trunk; empty where it needs none.
    fn account(&self) -> &str {
        self.trunk.credentials.as_ref().map_or("", |credentials| &credentials.username)
    }

    fn contact(&self) -> Uri {
        self.contact.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// An address at the trunk.
    fn uri(&self, user: Option<&str>) -> Uri {
        Uri {
            scheme: Some(Scheme::Sip),
            auth: user.map(|user| Auth { user: user.to_owned(), password: None }),
            host_with_port: self.domain.clone(),
            ..Uri::default()
        }
    }

    /// The Request-URI of a callee.
    fn uri_of(&self, callee: &Callee) -> Result<Uri, Fault> {
        let address = match callee {
            Callee::User(user) => return Ok(self.uri(Some(user))),
            Callee::Address(address) => address,
        };
        let wrong =
            |words: &str| Fault::Field { field: "callee", value: address.clone(), words: words.to_owned() };
        let uri = Uri::try_from(address.as_str()).map_err(|e| wrong(&e.to_string()))?;
        // RFC 3261 §26.2.2: such an address is called over TLS or not at all.
        if uri.scheme == Some(Scheme::Sips) && self.trunk.transport != Transport::Tls {
            return Err(wrong("a sips: address needs a trunk over TLS"));
        }
        Ok(uri)
    }

    /// The Via of a request outside a dialog.
    fn via(&self) -> Result<typed::Via, Box<rsipstack::Error>> {
        let mut address = self.endpoint.transport_layer.get_listen_addrs().into_iter().next();
        if let Some(address) = &mut address {
            address.r#type = Some(targets::wire(self.trunk.transport));
        }
        self.endpoint.get_via(address, None).map_err(Box::new)
    }

    /// Notes where the far end sees us.
    fn contact_at(&self, seen: HostWithPort) {
        if self.trunk.public_address.is_some() {
            return;
        }
        self.contact.write().unwrap_or_else(std::sync::PoisonError::into_inner).host_with_port = seen;
    }

    /// Makes sure of a connection to the address, where one is needed, so that its failure is known with its reason.
    async fn connect(&self, address: &SipAddr) -> Result<(), String> {
        if self.trunk.transport == Transport::Udp {
            return Ok(());
        }
        let within = Duration::from_secs(4);
        match tokio::time::timeout(within, self.endpoint.transport_layer.lookup(address, None)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(format!("{} cannot be reached: {e}", address.addr)),
            Err(_) => Err(format!("{} does not take the connection within {within:?}", address.addr)),
        }
    }
}

impl Agent {
    /// Opens the socket, begins to register where the trunk asks for it, and to ask the far end by OPTIONS whether it
    /// is there. What comes of it is told by [`Agent::state`].
    ///
    /// # Errors
    /// Where a field cannot be used, the name has no address, or there is no socket.
    pub async fn start(trunk: Trunk) -> Result<Self, Fault> {
        socket::domain_of(&trunk)?;
        let targets = targets::resolve(&trunk).await?;
        Self::start_at(trunk, targets, true).await
    }

    /// As [`Agent::start`], with the addresses in the order to try them, as SRV records would give them.
    ///
    /// # Errors
    /// As for [`Agent::start`].
    pub async fn start_with(trunk: Trunk, targets: Vec<SocketAddr>) -> Result<Self, Fault> {
        Self::start_at(trunk, targets, false).await
    }

    async fn start_at(trunk: Trunk, targets: Vec<SocketAddr>, resolve_again: bool) -> Result<Self, Fault> {
        let domain = socket::domain_of(&trunk)?;
        let first = targets.first().copied().ok_or_else(|| Fault::Unresolved {
            host: trunk.host.clone(),
            words: "there is none".to_owned(),
        })?;
        let gone = CancellationToken::new();
        let transport = TransportLayer::new(gone.clone());
        let local = socket::listen(&trunk, first, &transport, &gone).await?;
        if trunk.transport == Transport::Tls {
            transport.set_tls_config(socket::tls(&trunk)?);
        }

        let calls = Arc::new(Calls::default());
        let hosts = vec![trunk.host.clone(), domain.host.to_string()];
        let targets = Arc::new(Targets::new(targets, trunk.transport, hosts));
        let option =
            EndpointOption { callid_suffix: Some(CALL_ID_SUFFIX.to_owned()), ..EndpointOption::default() };
        let endpoint = EndpointBuilder::new()
            .with_cancel_token(gone.clone())
            .with_transport_layer(transport)
            .with_user_agent(concat!("Carillon/", env!("CARGO_PKG_VERSION")))
            .with_option(option)
            .with_inspector(Box::new(Inspector(calls.clone())))
            .with_transport_inspector(Box::new(incoming::Share::default()))
            .with_target_locator(Box::new(Locator(targets.clone())))
            .build();
        let incoming = endpoint.incoming_transactions().map_err(|e| Fault::Socket(e.to_string()))?;
        let inner = endpoint.inner.clone();
        if trunk.transport == Transport::Tcp {
            let layer = Arc::downgrade(&inner);
            inner.transport_layer.set_whitelist(move |_: IpAddr| {
                let open = layer.upgrade().map_or(0, |inner| inner.transport_layer.connections_count());
                async move { open < MOST_CONNECTIONS }
            });
        }
        // Its share is bounded by the inspector above, not by the runtime.
        tokio::spawn(unconstrained(async move { endpoint.serve().await }));

        let layer = Arc::new(DialogLayer::new(inner.clone()));
        tokio::spawn(hear::hear(incoming, layer.clone(), calls.clone()));
        let contact = socket::contact(&trunk, local);
        let shared = Arc::new(Shared {
            trunk,
            domain,
            local,
            contact: std::sync::RwLock::new(contact),
            endpoint: inner,
            layer,
            targets,
            calls,
            count: Arc::default(),
            state: watch::channel(State::Starting).0,
            closing: CancellationToken::new(),
            gone,
        });
        let keeper = tokio::spawn(keep::keep(shared.clone(), resolve_again));
        Ok(Self { shared, keeper })
    }

    /// What is known of the trunk, and every change of it.
    pub fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// The address of our signalling socket: the interface that faces the trunk.
    pub fn local_address(&self) -> SocketAddr {
        self.shared.local
    }

    /// Calls up, ending ones included.
    pub fn calls(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Dialogs that the library holds: as many as calls are up, and none when none is.
    pub fn dialogs(&self) -> usize {
        self.shared.layer.len()
    }

    /// Begins a call. Its events tell the rest.
    ///
    /// # Errors
    /// Where a field cannot be used, or no further call may begin. Nothing was sent.
    pub fn invite(&self, invite: Invite) -> Result<Call, Fault> {
        invite.check()?;
        let uri = self.shared.uri_of(&invite.callee)?;
        if self.shared.closing.is_cancelled() {
            return Err(Fault::Closing);
        }
        let id = String::from(make_call_id(Some(CALL_ID_SUFFIX), CallIdFormat::UuidWithSuffix));
        let facts = Arc::new(Facts::new(uri.user().unwrap_or_default(), self.shared.account(), invite.trace));
        let place = Place::take(&self.shared, &id, facts.clone());
        let place = place.ok_or(Fault::Full(self.shared.trunk.max_calls))?;
        let (to_owner, events) = mpsc::channel(call::MOST_EVENTS + 1);
        let (orders, from_owner) = mpsc::channel(call::MOST_ORDERS);
        // The end always finds room: it has a place of its own.
        let Ok(last) = to_owner.clone().try_reserve_owned() else { return Err(Fault::Closing) };
        let mut line = dial::Line { events: to_owner, last, orders: from_owner, rings: false };
        let dial =
            dial::Dial { shared: self.shared.clone(), invite, uri, id: id.clone(), facts: facts.clone() };
        tokio::spawn(async move {
            let end = dial.run(&mut line).await;
            // Who hears of the end may begin the next call at once.
            drop(place);
            line.last.send(Event::Ended(end));
        });
        Ok(Call { id, events, orders, facts })
    }

    /// Ends all calls, takes the registration back, and closes the sockets.
    pub async fn close(mut self) {
        self.shared.closing.cancel();
        let ended = async {
            while self.calls() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_WITHIN, ended).await;
        let _ = tokio::time::timeout(CLOSE_WITHIN, &mut self.keeper).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.shared.closing.cancel();
        self.shared.gone.cancel();
    }
}

/// A call's place among those that may be up, given back when it is dropped.
struct Place {
    count: Arc<AtomicUsize>,
    calls: Arc<Calls>,
    id: String,
}

impl Place {
    /// Takes one where there is room, and has the call's messages noted in `facts`.
    fn take(shared: &Shared, id: &str, facts: Arc<Facts>) -> Option<Self> {
        let most = shared.trunk.max_calls;
        let room = |up| (up < most).then_some(up + 1);
        shared.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        shared.calls.add(id, facts);
        Some(Self { count: shared.count.clone(), calls: shared.calls.clone(), id: id.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.calls.remove(&self.id);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
