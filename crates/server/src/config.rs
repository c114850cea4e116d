//! Settings of the server for the person who runs it, each with its default. Bounds that nobody needs to set are in
//! [`crate::limits`]; they are fields here so that a test can reach them.

use std::time::Duration;

use ipnet::IpNet;

use crate::{limits, reach::Reach};

/// How a server serves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Proxies that are believed about whom they speak for, and how those requests came; none unless set.
    pub trusted_proxies: Vec<IpNet>,
    /// Where webhooks may lead.
    pub webhooks: Reach,
    /// [`limits::LISTENERS`].
    pub listeners: usize,
    /// [`limits::LISTENERS_OF_ONE`].
    pub listeners_of_one: usize,
    /// [`limits::CONNECTIONS`].
    pub connections: usize,
    /// [`limits::HEAD_WITHIN`].
    pub head_within: Duration,
    /// [`limits::PAUSE`].
    pub pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            webhooks: Reach::Outside,
            listeners: limits::LISTENERS,
            listeners_of_one: limits::LISTENERS_OF_ONE,
            connections: limits::CONNECTIONS,
            head_within: limits::HEAD_WITHIN,
            pause: limits::PAUSE,
        }
    }
}
