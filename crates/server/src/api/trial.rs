//! One message or call of a campaign to a phone of one's own, as a contact would get it.

use axum::{Json, extract::State, http::StatusCode};
use campaign::{Content, text::RenderError};
use engine::TestCall;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CampaignPath;
use crate::{
    App,
    auth::Caller,
    body::Body,
    problem::{Answer, Problem},
    trial::{self, number},
};

/// Whom to write to or call, and as whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// The phone.
    to: String,
    /// The contact whose fields the texts are rendered with; none: nobody's.
    #[serde(rename = "as")]
    contact: Option<String>,
    /// Which message to send, from 1; the first by default. A campaign of calls has none.
    message: Option<usize>,
}

/// A test that has begun.
#[derive(Serialize, ToSchema)]
pub(super) struct Begun {
    /// Always: it is in no total.
    test: bool,
    to: String,
}

/// Sends a message of the campaign to a phone of one's own, or calls it with the campaign's script, rendered as for a contact. It is
/// marked as a test and in no total; do-not-contact lists hold; ten an hour.
#[utoipa::path(post, path = "/campaigns/{id}/test", params(("id" = String, Path)), request_body = Trial, responses((status = 202, body = Begun), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn begin(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(trial): Body<Trial>,
) -> Answer<(StatusCode, Json<Begun>)> {
    let d = app.store.campaign(id).await?.definition;
    let to = number("to", &trial.to)?;
    let voice = match &d.content {
        Content::Voice(voice) => voice,
        Content::Sms(sms) => {
            let n = trial.message.unwrap_or(1);
            let message = n.checked_sub(1).and_then(|at| sms.messages.get(at));
            let message = message.ok_or_else(|| Problem::field("message", "there is no such message"))?;
            let text = message.parse().map_err(|e| Problem::field("message", e))?;
            app.try_message(&caller, &d, &text, to, trial.contact.as_deref()).await?;
            return Ok((StatusCode::ACCEPTED, Json(Begun { test: true, to: to.to_string() })));
        }
    };
    let route = d.route_id.ok_or_else(|| Problem::field("route_id", "choose the route that carries it"))?;
    let script = voice.script.as_ref().ok_or_else(|| Problem::field("script", "write what is said"))?;
    let (names, values) = app.fields_of(trial.contact.as_deref()).await?;
    let said = script.said().map_err(|e| Problem::field("script", e))?;
    let script = said.render(&names, &values).map_err(|why| match why {
        RenderError::MissingField => {
            Problem::field("as", "name a contact who has the fields that the script needs")
        }
        RenderError::Broken(why) => Problem::field("script", why),
    })?;
    let call = TestCall {
        number: to,
        caller_id: trial::sender(&app, &d, "caller_id").await?,
        ring_time: voice.ring_time,
        script,
    };
    app.begin_call(&caller.name, route, call).await?;
    Ok((StatusCode::ACCEPTED, Json(Begun { test: true, to: to.to_string() })))
}
