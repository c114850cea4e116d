//! The outcome for each recipient, page by page or as one file.

use axum::{
    Json,
    body::{Body as RawBody, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use campaign::CampaignId;
use futures::stream;
use serde::{Deserialize, Serialize};
use store::{AttemptRow, CallRow, Cursor, DeliveryFilter, DeliveryRow, Place, StoreError};
use utoipa::ToSchema;

use super::{CampaignPath, Page, limit};
use crate::{
    App,
    auth::Caller,
    body::{Body, DeliveryQuery, Query},
    problem::{Answer, Problem},
    shapes,
    spreadsheet::neutral,
};

/// Rows of the file to read together.
const CHUNK: usize = 5_000;

/// Every recipient × message in order, including those that nothing has been sent to yet.
#[utoipa::path(get, path = "/campaigns/{id}/deliveries", params(("id" = String, Path), ("outcome" = Option<String>, Query), ("message" = Option<u32>, Query), ("reason" = Option<String>, Query), ("code" = Option<u32>, Query), ("q" = Option<String>, Query), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Page<shapes::DeliveryWithHistory>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    Query(query): Query<DeliveryQuery>,
) -> Answer<Json<Page<DeliveryView>>> {
    let limit = limit(query.limit)? as usize;
    let (rows, next) = app.deliveries(id, query.filter()?, limit).await?;
    Ok(Json(Page { items: views(&app, id, rows).await?, next: next.map(|c| c.to_string()) }))
}

/// Deliveries with what led to them.
async fn views(app: &App, id: CampaignId, rows: Vec<DeliveryRow>) -> Answer<Vec<DeliveryView>> {
    let ids: Vec<Cursor> = rows.iter().map(|row| row.id).collect();
    let mut attempts = app.store.attempts(id, ids.clone()).await?;
    let mut calls = app.store.calls(id, ids).await?;
    let view = |row: DeliveryRow| {
        let calls = calls.as_mut().map(|calls| calls.remove(&row.id).unwrap_or_default());
        DeliveryView {
            history: attempts.remove(&row.id).unwrap_or_default(),
            opted_out: calls.as_ref().map(|calls| calls.iter().any(|call| call.opted_out)),
            calls,
            row,
        }
    };
    Ok(rows.into_iter().map(view).collect())
}

/// A delivery with its earlier attempts, or its calls.
#[derive(Serialize)]
pub(super) struct DeliveryView {
    #[serde(flatten)]
    row: DeliveryRow,
    /// All attempts but the last, oldest first.
    history: Vec<AttemptRow>,
    /// Whether the person opted out in a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    opted_out: Option<bool>,
    /// Every call to the person, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Vec<CallRow>>,
}

fn cursor(path: &str) -> Answer<Cursor> {
    path.parse().map_err(|()| Problem::not_found("there is no such delivery"))
}

/// One delivery, with every call.
#[utoipa::path(get, path = "/campaigns/{id}/deliveries/{delivery}", params(("id" = String, Path), ("delivery" = String, Path)), responses((status = 200, body = shapes::DeliveryWithHistory), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    Path(path): Path<(String, String)>,
) -> Answer<Json<DeliveryView>> {
    let from = cursor(&path.1)?;
    let row = app.delivery(id, from).await?;
    let delivery = views(&app, id, row.into_iter().collect()).await?.pop();
    Ok(Json(delivery.ok_or_else(|| Problem::not_found("there is no such delivery"))?))
}

/// The outcome of a delivery in doubt.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settle {
    /// `sent` or `failed`; of a call `answered_unknown` or `no_answer`.
    outcome: String,
}

/// Settles a delivery in doubt by hand; a later receipt still counts.
#[utoipa::path(post, path = "/campaigns/{id}/deliveries/{delivery}/settle", params(("id" = String, Path), ("delivery" = String, Path)), request_body = Settle, responses((status = 200, body = shapes::Delivery), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn settle(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    Path(path): Path<(String, String)>,
    caller: Caller,
    Body(settle): Body<Settle>,
) -> Answer<Json<DeliveryRow>> {
    let delivery = cursor(&path.1)?;
    let Some(Place::Settled(outcome)) = Place::from_word(&settle.outcome) else {
        return Err(Problem::field("outcome", format!("'{}' is no outcome", settle.outcome)));
    };
    Ok(Json(app.store.settle_doubt(id, delivery, outcome, caller.by()).await?))
}

/// All deliveries as CSV.
#[utoipa::path(get, path = "/campaigns/{id}/deliveries.csv", params(("id" = String, Path), ("outcome" = Option<String>, Query), ("message" = Option<u32>, Query), ("reason" = Option<String>, Query), ("code" = Option<u32>, Query), ("q" = Option<String>, Query)), responses((status = 200, content_type = "text/csv", body = String), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn csv(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    Query(query): Query<DeliveryQuery>,
) -> Answer<Response> {
    app.store.campaign(id).await?;
    let filter = query.filter()?;
    let pages = stream::unfold(Some((filter, true)), move |state| {
        let app = app.clone();
        async move {
            let (filter, first) = state?;
            let page = app.deliveries(id, filter.clone(), CHUNK).await;
            let (rows, next) = match page {
                Ok(page) => page,
                Err(e) => return Some((Err(e), None)),
            };
            let text = rows_csv(&rows, first);
            // Rare deliveries come in stretches, some of them empty: the header goes before the first row.
            let first = first && rows.is_empty();
            let after = next.map(|from| (DeliveryFilter { from: Some(from), ..filter }, first));
            Some((text, after))
        }
    });
    let kind = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"deliveries.csv\""),
    ];
    Ok((kind, RawBody::from_stream(pages)).into_response())
}

fn rows_csv(rows: &[DeliveryRow], header: bool) -> Result<Bytes, StoreError> {
    let broken = |e: csv::Error| StoreError::Database(e.to_string());
    let mut writer = csv::WriterBuilder::new().has_headers(header).from_writer(Vec::new());
    if header && rows.is_empty() {
        return Ok(Bytes::new());
    }
    let safe = |text: &Option<String>| text.as_deref().map(|text| neutral(text).into_owned());
    for row in rows {
        let (reason, detail, provider_id) = (safe(&row.reason), safe(&row.detail), safe(&row.provider_id));
        writer.serialize(DeliveryRow { reason, detail, provider_id, ..row.clone() }).map_err(broken)?;
    }
    let bytes = writer.into_inner().map_err(|e| StoreError::Database(e.to_string()))?;
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_carrier_says_runs_in_no_spreadsheet() {
        let formulas = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"];
        let row = |text: &str| DeliveryRow {
            id: Cursor { message: 1, seq: 0 },
            message: 1,
            seq: 0,
            number: "+12025550123".into(),
            outcome: Place::Pending,
            reason: Some(text.into()),
            code: None,
            detail: Some(text.into()),
            provider_id: Some(text.into()),
            segments: None,
            attempts: 0,
            sent_at: None,
            changed_at: None,
        };
        let file = rows_csv(&formulas.map(row), true).unwrap();
        let mut file = csv::Reader::from_reader(&file[..]);
        let at = |header: &csv::StringRecord, name| header.iter().position(|h| h == name).unwrap();
        let header = file.headers().unwrap().clone();
        for (record, formula) in file.records().zip(formulas) {
            let record = record.unwrap();
            for name in ["reason", "detail", "provider_id"] {
                assert_eq!(record[at(&header, name)], format!("'{formula}"), "{name}");
            }
            assert_eq!(&record[at(&header, "number")], "+12025550123");
        }
    }
}
