//! A trunk as its operator describes it, and what is known of it while it is in use.

use std::{fmt, net::IpAddr, time::Duration};

use super::trace::Exchange;

/// How signalling travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection in the clear.
    Tcp,
    /// A connection under TLS.
    Tls,
}

/// Registration (RFC 3261 §10), where the trunk asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// For how long to ask; the trunk may grant another time.
    pub expires: Duration,
}

/// A password: never part of debug output and so of no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The text itself, for the digest.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Who we are to the trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account's name; also the user of our Contact.
    pub username: String,
    /// Its password.
    pub password: Password,
}

/// Everything that is needed to signal over a trunk.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Name or address of the far end.
    pub host: String,
    /// Its port. Without one, SRV records are asked for (RFC 3263), else the default of the transport is taken.
    pub port: Option<u16>,
    /// How signalling travels.
    pub transport: Transport,
    /// The next hop as `host` or `host:port`, where it is another than `host`.
    pub outbound_proxy: Option<String>,
    /// Whether and for how long to register.
    pub register: Option<Register>,
    /// What challenges are answered with.
    pub credentials: Option<Credentials>,
    /// The domain of From, To and the Request-URI, where it is another than `host`.
    pub domain: Option<String>,
    /// Our address as the far end sees it, where that is another than the interface's.
    pub public_address: Option<IpAddr>,
    /// The authority of the far end's certificate as PEM; without it, the system's authorities.
    pub tls_ca: Option<String>,
    /// How often to ask by OPTIONS whether the far end is there; `None`: never, then its calls tell.
    pub keep_alive: Option<Duration>,
    /// The most calls at once.
    pub max_calls: usize,
}

/// What is known of a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing was heard yet, nothing has failed.
    Starting,
    /// The far end answers, and where we register, we are registered.
    Reachable,
    /// The far end does not answer. Alone this is no fault: some trunks ignore OPTIONS and take calls.
    Silent(String),
    /// The far end cannot be reached: no connection, no TLS, no address.
    Unreachable(String),
    /// The far end refuses our registration.
    Refused {
        /// The SIP code.
        code: u16,
        /// In words.
        words: String,
        /// What was asked and answered.
        exchange: Exchange,
    },
}

/// Why an agent cannot start or a call cannot begin. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A field cannot be used.
    #[error("{field} '{value}' cannot be used: {words}")]
    Field {
        /// The field's name as in [`Trunk`] or [`super::Invite`].
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        words: String,
    },
    /// The far end's name has no address.
    #[error("the name {host} has no address ({words}): check the route's host and the machine's DNS")]
    Unresolved {
        /// The name.
        host: String,
        /// The resolver's words.
        words: String,
    },
    /// No socket.
    #[error("no socket for signalling can be opened: {0}")]
    Socket(String),
    /// As many calls are up as the trunk may carry.
    #[error("all {0} calls of the route are in use")]
    Full(usize),
    /// The agent is closing.
    #[error("the route is closing")]
    Closing,
}
