//! One call of a campaign to a phone of one's own, as a contact would get it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use campaign::{Msisdn, SendAs, Sender, text::RenderError};
use engine::TestCall;
use serde::{Deserialize, Serialize};
use store::Definition;
use utoipa::ToSchema;

use super::CampaignPath;
use crate::{
    App,
    auth::Caller,
    body::Body,
    problem::{Answer, Problem},
};

/// Whom to call, and as whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// The phone to call.
    to: String,
    /// The contact whose fields the texts are rendered with; none: nobody's.
    #[serde(rename = "as")]
    contact: Option<String>,
}

/// A test call that has begun.
#[derive(Serialize, ToSchema)]
pub(super) struct Begun {
    /// Always: it is in no total.
    test: bool,
    to: String,
}

fn number(field: &str, text: &str) -> Answer<Msisdn> {
    Msisdn::parse(text, None).map_err(|e| Problem::field(field, e))
}

/// The number that phones show: of a pool, its first.
async fn shown(app: &App, d: &Definition) -> Answer<Arc<Sender>> {
    let sender = match d.content.send_as() {
        Some(SendAs::One(sender)) => Some(sender.clone()),
        Some(SendAs::Pool(id)) => {
            app.store.pool(*id).await?.config.senders.into_iter().next().map(|one| one.sender)
        }
        None => None,
    };
    sender.map(Arc::new).ok_or_else(|| Problem::field("caller_id", "choose the number that phones show"))
}

/// Calls a phone of one's own with the campaign's script, rendered as for a contact. It is marked as a test and in no
/// total; do-not-contact lists hold; ten an hour.
#[utoipa::path(post, path = "/campaigns/{id}/test", params(("id" = String, Path)), request_body = Trial, responses((status = 202, body = Begun), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn begin(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(trial): Body<Trial>,
) -> Answer<(StatusCode, Json<Begun>)> {
    let d = app.store.campaign(id).await?.definition;
    let Some(voice) = d.content.calls() else {
        return Err(Problem::field(
            "to",
            "only campaigns of calls can be tried so; test messages on their route",
        ));
    };
    let route = d.route_id.ok_or_else(|| Problem::field("route_id", "choose the route that carries it"))?;
    let script = voice.script.as_ref().ok_or_else(|| Problem::field("script", "write what is said"))?;
    let to = number("to", &trial.to)?;
    let fields = match &trial.contact {
        Some(contact) => app.store.contact(number("as", contact)?).await?.fields,
        None => Vec::new(),
    };
    let (names, values): (Vec<_>, Vec<_>) =
        fields.into_iter().map(|(name, value)| (name, Some(value))).unzip();
    let said = script.said().map_err(|e| Problem::field("script", e))?;
    let script = said.render(&names.into(), &values).map_err(|why| match why {
        RenderError::MissingField => {
            Problem::field("as", "name a contact who has the fields that the script needs")
        }
        RenderError::Broken(why) => Problem::field("script", why),
    })?;
    let call = TestCall { number: to, caller_id: shown(&app, &d).await?, ring_time: voice.ring_time, script };
    app.begin_call(&caller.name, route, call).await?;
    Ok((StatusCode::ACCEPTED, Json(Begun { test: true, to: to.to_string() })))
}
