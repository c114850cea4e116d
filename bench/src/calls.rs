//! A store and an engine that make calls over a real trunk.

use std::sync::Arc;

use campaign::{AudioId, CampaignId, ListId, RouteId};
use engine::{Connect, Engine, Handle, RouteState};
use jiff::Timestamp;
use serde_json::json;
use store::{RouteKind, Store};
use voice::{Equipment, Library, Prompts, SipRoute, media::Media};

use crate::{by, machine};

/// The sound of calls: below the ports that the system gives out by itself.
const MEDIA_PORTS: &str = "10000-32000";

/// Stores a trunk to this port on loopback that begins so many calls a second and has so many up at most.
pub async fn trunk(store: &Store, port: u16, per_second: i64, at_once: i64) -> anyhow::Result<RouteId> {
    let config = json!({"name": "Trunk", "kind": "sip", "host": "127.0.0.1", "port": port,
        "numbers": ["+12025550100"], "calls_per_second": per_second, "max_calls": at_once, "media_ports": MEDIA_PORTS});
    Ok(store.create_route(serde_json::from_value(config)?, by()).await?.id)
}

/// Saves a campaign of calls that hang up as soon as they are answered; its own limits are those of the trunk.
pub async fn campaign(
    store: &Store,
    name: &str,
    (list, route): (ListId, RouteId),
    (per_second, at_once): (i64, i64),
) -> anyhow::Result<CampaignId> {
    let definition = json!({"channel": "voice", "name": name, "route_id": route, "caller_id": "+12025550100",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null, "start": {"now": true}, "ring_time": "PT60S",
        "calls_per_second": per_second, "max_calls": at_once,
        "script": {"first": "bye", "steps": {"bye": {"hang_up": true}}}});
    Ok(store.create_campaign(serde_json::from_value(definition)?, by()).await?.id)
}

/// Scripts of the benches play no uploads.
struct NoUploads;

#[async_trait::async_trait]
impl Library for NoUploads {
    async fn upload(&self, id: AudioId) -> Result<Vec<u8>, String> {
        Err(format!("there is no upload {id}"))
    }
}

/// An engine with SIP routes, running, once the route can carry calls.
pub async fn engine(store: &Store, route: RouteId) -> anyhow::Result<Handle> {
    let equipment = Equipment {
        media: Arc::new(Media::start(machine::cores())?),
        prompts: Arc::new(Prompts::new(Err("the benches say nothing".into()), Box::new(NoUploads))),
    };
    let connect: Connect = Box::new(move |route, reports, opt_outs| {
        let RouteKind::Sip(trunk) = &route.config.kind else {
            unreachable!("the benches of calls have no SMSC")
        };
        Arc::new(SipRoute::start(trunk, equipment.clone(), reports, opt_outs))
    });
    let engine = Engine::start(store.clone(), "bench".into(), connect, Timestamp::now()).await?;
    let handle = engine.handle();
    tokio::spawn(engine.run());
    while handle.route_state(route) != Some(RouteState::Connected) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(handle)
}
