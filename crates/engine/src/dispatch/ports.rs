//! The routes that an engine dispatches through: connected, and renewed where their settings were changed.

use campaign::RouteId;
use jiff::Timestamp;
use store::Result;

use super::{Engine, Port, lock};
use crate::{Traffic, choose::Key, crowded::Answers, limits::Limit};

impl Engine {
    /// Connects the store's routes that are not connected yet, and retires those whose settings were changed.
    pub(crate) async fn connect_routes(&mut self, now: Timestamp) -> Result<()> {
        let alive = self.store.routes_alive_at().await?;
        for stored in self.store.routes().await? {
            if let Some(port) = self.ports.get_mut(&stored.id) {
                port.outdated = port.config != stored.config;
                continue;
            }
            if stored.config.disabled {
                continue;
            }
            let route = (self.connect)(&stored, self.sender.clone(), self.store.opt_outs());
            lock(&self.desk.routes).insert(stored.id, route.clone());
            let alive_at = alive.get(&stored.id.0).copied().unwrap_or(Timestamp::MIN);
            let limit = Limit {
                per_second: Some(stored.config.per_second()),
                at_once: Some(stored.config.at_once()),
            };
            self.limits.forget(&Key::Route(stored.id));
            self.limits.set(Key::Route(stored.id), limit, now);
            self.ports.insert(
                stored.id,
                Port {
                    route,
                    config: stored.config,
                    outdated: false,
                    alive_at,
                    alive_stored: alive_at,
                    traffic: Traffic::default(),
                    answers: Answers::default(),
                },
            );
        }
        Ok(())
    }

    /// Releases outdated routes that have nothing left, and reconnects them.
    pub(super) async fn renew_routes(&mut self, now: Timestamp) -> Result<()> {
        let busy = |id: &RouteId| {
            self.open.values().any(|o| o.route == *id) || self.answering.values().any(|route| route == id)
        };
        let gone: Vec<RouteId> =
            self.ports.iter().filter(|(id, port)| port.outdated && !busy(id)).map(|(id, _)| *id).collect();
        if gone.is_empty() {
            return Ok(());
        }
        for id in gone {
            self.ports.remove(&id);
            lock(&self.desk.routes).remove(&id);
        }
        self.connect_routes(now).await
    }

    /// Publishes what the routes carry, for others to read.
    pub(super) fn show_traffic(&self) {
        let mut shown = lock(&self.desk.traffic);
        for (id, port) in &self.ports {
            let open = self.open.values().filter(|o| o.route == *id).map(|o| o.unsettled.len() as u32).sum();
            shown.insert(*id, Traffic { open, ..port.traffic.clone() });
        }
    }
}
