//! Live events: what changed, as server-sent events. Changes of a quarter of a second go together, so that
//! a campaign at full speed costs a page four updates a second.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use campaign::CampaignId;
use futures::{Stream, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{App, api::view::CampaignView};

/// How soon a page that lost its connection tries again.
const RETRY: Duration = Duration::from_millis(500);
/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(250);

struct Listening {
    app: App,
    changes: Receiver<CampaignId>,
    ready: Vec<Event>,
}

impl Listening {
    /// Waits for changes, gathers what comes with them, and makes them events.
    async fn gather(&mut self) -> Option<()> {
        let mut changed = BTreeSet::new();
        let mut missed = false;
        match self.changes.recv().await {
            Ok(id) => {
                changed.insert(id);
            }
            Err(RecvError::Lagged(_)) => missed = true,
            Err(RecvError::Closed) => return None,
        }
        tokio::time::sleep(GATHER).await;
        while !self.changes.is_empty() {
            match self.changes.try_recv() {
                Ok(id) => {
                    changed.insert(id);
                }
                Err(_) => missed = true,
            }
        }
        if missed {
            // Too much changed to say what: the page loads anew what it shows.
            self.ready.push(Event::default().event("reload").data("{}"));
        }
        for id in changed {
            // A campaign that cannot be read at this moment is read with its next change.
            let Ok(campaign) = self.app.store.campaign(id).await else { continue };
            let view = CampaignView::of(&self.app, campaign);
            if let Ok(event) = Event::default().event("campaign").json_data(&view) {
                self.ready.push(event);
            }
        }
        self.ready.reverse();
        Some(())
    }
}

/// Campaigns as they change: `event: campaign` with the campaign as its data; `event: reload` where so much
/// changed that some was missed.
#[utoipa::path(get, path = "/events", responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn events(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = app.store.changes();
    // Said at once, so that whoever connects again looks at what it missed.
    let ready = vec![Event::default().event("reload").data("{}").retry(RETRY)];
    let events = stream::unfold(Listening { app, changes, ready }, |mut listening| async {
        loop {
            if let Some(event) = listening.ready.pop() {
                return Some((Ok(event), listening));
            }
            listening.gather().await?;
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
