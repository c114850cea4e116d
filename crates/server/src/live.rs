//! Live events: what changed, as server-sent events. Changes of a quarter of a second go together, so that
//! a campaign at full speed costs a page four updates a second.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use serde_json::json;
use store::Change;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Interval, MissedTickBehavior},
};

use crate::{
    App,
    api::view::{CampaignView, RouteView},
};

/// How soon a page that lost its connection tries again.
const RETRY: Duration = Duration::from_millis(500);
/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(250);
/// How often routes are looked at: what they carry is no change of the store's.
const LOOK_AT_ROUTES: Duration = Duration::from_secs(1);

struct Listening {
    app: App,
    changes: Receiver<Change>,
    look: Interval,
    /// How the routes were when they were last told of.
    routes: Option<String>,
    ready: Vec<Event>,
}

impl Listening {
    fn new(app: App) -> Self {
        let changes = app.store.changes();
        // Said at once, so that whoever connects looks at what it missed since it was loaded.
        let reload = Event::default().event("reload").data(app.store.change_count().to_string()).retry(RETRY);
        let mut look = tokio::time::interval(LOOK_AT_ROUTES);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { app, changes, look, routes: None, ready: vec![reload] }
    }

    /// Waits for something to tell, gathers what comes with it, and makes events of it. `None`: it is over.
    async fn gather(&mut self) -> Option<()> {
        let first = tokio::select! {
            change = self.changes.recv() => change,
            _ = self.look.tick() => {
                self.look_at_routes().await;
                return Some(());
            }
        };
        let mut changed = BTreeSet::new();
        let mut missed = false;
        match first {
            Ok(change) => {
                changed.insert(change);
            }
            Err(RecvError::Lagged(_)) => missed = true,
            Err(RecvError::Closed) => return None,
        }
        tokio::time::sleep(GATHER).await;
        while !self.changes.is_empty() {
            match self.changes.try_recv() {
                Ok(change) => {
                    changed.insert(change);
                }
                Err(_) => missed = true,
            }
        }
        if missed {
            // Too much changed to say what: the page loads anew what it shows.
            let count = self.app.store.change_count().to_string();
            self.ready.push(Event::default().event("reload").data(count));
        }
        for change in changed {
            self.ready.extend(self.event(change).await);
        }
        self.ready.reverse();
        Some(())
    }

    async fn event(&self, change: Change) -> Option<Event> {
        match change {
            Change::Campaign(id) => {
                // A campaign that cannot be read at this moment is read with its next change.
                let view = CampaignView::of(&self.app, self.app.store.campaign(id).await.ok()?);
                Event::default().event("campaign").json_data(&view).ok()
            }
            Change::Import(id) => Event::default().event("import").json_data(json!({"id": id})).ok(),
            Change::Webhook(id) => Event::default().event("webhook").json_data(json!({"id": id})).ok(),
        }
    }

    /// Tells of the routes where they are not as they were.
    async fn look_at_routes(&mut self) {
        let Ok(routes) = self.app.store.routes().await else { return };
        let now: Vec<RouteView> = routes.into_iter().map(|route| RouteView::of(&self.app, route)).collect();
        let now = serde_json::to_string(&now).ok();
        if now != self.routes {
            self.routes = now;
            self.ready.push(Event::default().event("routes").data("{}"));
        }
    }
}

/// What changes: `event: campaign` with the campaign as its data; `import`, `webhook` with the id; `routes`; `reload`, at
/// first and where so much changed that some was missed.
#[utoipa::path(get, path = "/events", responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn events(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::unfold(Listening::new(app), |mut listening| async {
        loop {
            if let Some(event) = listening.ready.pop() {
                return Some((Ok(event), listening));
            }
            listening.gather().await?;
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
