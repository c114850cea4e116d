//! One delivery: what the person got, word for word, and each step of it with its time.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use campaign::{Msisdn, content};
use jiff::Timestamp;
use store::{AttemptRow, CallRow, Campaign, Cursor, DeliveryRow};

use super::{
    Me, Shown,
    details::{id, why},
    index::{Row, list_names},
    page, t,
};
use crate::{App, auth::Caller, problem::Problem};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/campaigns/{id}/recipients/{delivery}", get(delivery))
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct Delivery {
    me: Me,
    row: Row,
    d: DeliveryRow,
    /// The person's name, if it has one.
    name: Option<String>,
    /// The text as this person gets it; none where it is a call, or where the person was deleted.
    text: Option<Arc<str>>,
    attempts: Vec<AttemptRow>,
    calls: Vec<CallRow>,
}

impl Delivery {
    fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.d.number)
    }

    /// When it last changed after it was sent, such as by a receipt.
    fn changed(&self) -> Option<Timestamp> {
        self.d.changed_at.filter(|at| Some(*at) != self.d.sent_at)
    }
}

/// The text of a delivery, rendered from what was frozen of its recipient.
async fn text(app: &App, campaign: &Campaign, at: Cursor) -> store::Result<Option<Arc<str>>> {
    let Some(texts) = campaign.definition.content.readable() else { return Ok(None) };
    let names: Arc<[String]> = content::fields(&texts).into();
    let frozen = app.store.frozen_fields(campaign.id, at.seq..at.seq + 1).await?.pop();
    let (_, values) = frozen.unwrap_or_default();
    let text = (at.message as usize).checked_sub(1).and_then(|n| texts.get(n));
    Ok(text.and_then(|text| text.render(&names, values).ok()))
}

async fn delivery(
    State(app): State<App>,
    caller: Caller,
    Path((path, delivery)): Path<(String, String)>,
) -> Shown {
    let id = id(&path)?;
    let nothing = || Problem::not_found("there is no such delivery");
    let at: Cursor = delivery.parse().map_err(|()| nothing())?;
    let campaign = app.store.campaign(id).await?;
    let d = app.delivery(id, at).await?.ok_or_else(nothing)?;
    let text = text(&app, &campaign, at).await?;
    let attempts = app.store.attempts(id, vec![at]).await?.remove(&at).unwrap_or_default();
    let calls = app.store.calls(id, vec![at]).await?.unwrap_or_default().remove(&at).unwrap_or_default();
    let number = Msisdn::from_address(&d.number).into_iter().collect();
    let name = app.store.names_of(number).await?.remove(&d.number);
    let row = Row::of(&app, campaign, &list_names(&app).await?);
    Ok(page(&Delivery { me: Me::new(caller, "campaigns"), row, d, name, text, attempts, calls }))
}
