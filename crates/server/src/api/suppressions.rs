//! Do-not-contact lists.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use campaign::{Msisdn, SkipReason};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    body::Body,
    problem::{Answer, Problem},
};

/// Where a number is not to be contacted.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Channel {
    Sms,
    Voice,
    All,
}

impl Channel {
    const fn word(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::All => "all",
        }
    }
}

/// A number on a do-not-contact list.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suppression {
    channel: Channel,
    /// E.164.
    number: String,
}

fn read(number: &str) -> Answer<Msisdn> {
    Msisdn::parse(number, None).map_err(|e| Problem::field("number", e))
}

/// Puts a number on a do-not-contact list. When this answers, nothing more is written to it.
#[utoipa::path(post, path = "/suppressions", request_body = Suppression, responses((status = 201, body = Suppression), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Body(s): Body<Suppression>,
) -> Answer<(StatusCode, Json<Suppression>)> {
    let number = read(&s.number)?;
    app.store.suppress(number, s.channel.word(), SkipReason::Blocked.word(), Timestamp::now()).await?;
    Ok((StatusCode::CREATED, Json(Suppression { channel: s.channel, number: number.to_string() })))
}

/// Takes a number off a do-not-contact list.
#[utoipa::path(delete, path = "/suppressions/{channel}/{number}", params(("channel" = String, Path), ("number" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    Path((channel, number)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let known = [Channel::Sms, Channel::Voice, Channel::All].into_iter().find(|c| c.word() == channel);
    let channel = known.ok_or_else(|| Problem::not_found("channels are sms, voice and all"))?;
    if app.store.unsuppress(read(&number)?, channel.word()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("the number is not on this list"))
    }
}
