//! How carriers are reached.

use std::collections::BTreeMap;

use campaign::{RouteId, money::Money};
use serde::{Deserialize, Serialize};

/// How an SMSC is reached (SMPP 3.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Unique.
    pub name: String,
    /// `smpp`.
    pub kind: RouteKind,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// At most 15 characters (SMPP 3.4 §5.2.1).
    pub system_id: String,
    /// At most 8 characters (SMPP 3.4 §5.2.2).
    #[serde(default)]
    pub password: String,
    /// Whether the connection is TLS.
    #[serde(default)]
    pub tls: bool,
    /// The certificate authority of the far end, PEM, where it is none that the system trusts.
    #[serde(default)]
    pub tls_ca: Option<String>,
    /// How many connections.
    #[serde(default = "one")]
    pub binds: u16,
    /// Unanswered `submit_sm` per bind.
    #[serde(default = "hundred")]
    pub window: u32,
    /// Messages per second over all binds; segments count.
    #[serde(default = "five_hundred")]
    pub rate_per_second: u32,
    /// Messages claimed and not yet committed; default 4 × binds × window.
    #[serde(default)]
    pub claim_budget: Option<u32>,
    /// Whose fault a command status is, where this SMSC means another than usual.
    #[serde(default)]
    pub refusals: BTreeMap<u32, Refusal>,
    /// What a segment costs, in the account's currency.
    #[serde(default)]
    pub price_per_segment: Option<Money>,
    /// Not used while true.
    #[serde(default)]
    pub disabled: bool,
}

const fn one() -> u16 {
    1
}

const fn hundred() -> u32 {
    100
}

const fn five_hundred() -> u32 {
    500
}

impl RouteConfig {
    /// What a crash can leave in doubt at most, in messages.
    pub fn claim_budget(&self) -> u32 {
        self.claim_budget.unwrap_or(4 * u32::from(self.binds) * self.window).max(1)
    }
}

/// Whose fault a refusal is, and so what follows (architecture.md, "Refusals are of three kinds").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The recipient's: never again.
    Recipient,
    /// We are too fast, or a queue is full: again later.
    Throttled,
    /// The route's or sender's: put back, nothing counted.
    Route,
}

/// What kind of carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    /// SMPP 3.4.
    Smpp,
}

/// A route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// How it is reached.
    pub config: RouteConfig,
}
