//! The delivery list: every recipient × message, those without a row derived from waves, claims and
//! retries in the same read.

use std::collections::HashMap;

use campaign::{CampaignId, Msisdn, Outcome, Totals};
use rusqlite::{Connection, Row, named_params};

use super::{
    Store, audit,
    campaigns::{full, load},
    dispatch::Turn,
    time,
};
use crate::{AttemptRow, By, Cursor, Deed, DeliveryFilter, DeliveryRow, Place, Problem, Result, StoreError};

/// Places without a row, numbered beyond the stored outcomes.
const PENDING: u8 = 100;
const SENDING: u8 = 101;
const CANCELLED: u8 = 102;

impl Place {
    const fn code(self) -> u8 {
        match self {
            Self::Settled(outcome) => outcome.code(),
            Self::Pending => PENDING,
            Self::Sending => SENDING,
            Self::Cancelled => CANCELLED,
        }
    }

    fn from_code(code: u8) -> Self {
        match (Outcome::from_code(code), code) {
            (Some(outcome), _) => Self::Settled(outcome),
            (None, SENDING) => Self::Sending,
            (None, CANCELLED) => Self::Cancelled,
            (None, _) => Self::Pending,
        }
    }

    fn count(self, totals: &mut Totals) -> i64 {
        match self {
            Self::Settled(outcome) => *totals.of(outcome),
            Self::Pending => totals.pending,
            Self::Sending => totals.sending,
            Self::Cancelled => totals.cancelled,
        }
    }
}

fn row(r: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let number: i64 = r.get(2)?;
    let (message, seq) = (r.get(0)?, r.get(1)?);
    Ok(DeliveryRow {
        id: Cursor { message, seq },
        message,
        seq,
        number: Msisdn::from_digits(number).to_string(),
        outcome: Place::from_code(r.get(3)?),
        reason: r.get(4)?,
        code: r.get(5)?,
        detail: r.get(6)?,
        provider_id: r.get(7)?,
        segments: r.get(8)?,
        attempts: r.get::<_, Option<u32>>(9)?.unwrap_or(0),
        sent_at: r.get::<_, Option<i64>>(10)?.map(time),
        changed_at: r.get::<_, Option<i64>>(11)?.map(time),
    })
}

fn page(c: &Connection, id: CampaignId, filter: &DeliveryFilter, limit: usize) -> Result<Vec<DeliveryRow>> {
    let campaign = full(c, load(c, id)?)?;
    let mut rows = Vec::new();
    let (start, mut from) = filter.from.map_or((1, 0), |cursor| (cursor.message, cursor.seq));
    for n in start..=campaign.totals.len() as u32 {
        let wanted = filter.message.is_none_or(|m| m == n);
        // Where the totals know that there is none, nothing is walked.
        let any =
            filter.outcome.is_none_or(|place| place.count(&mut campaign.totals[n as usize - 1].clone()) > 0);
        if wanted && any && rows.len() < limit {
            let sql = match filter.outcome {
                Some(Place::Settled(_)) => include_str!("sql/deliveries_settled.sql"),
                _ => include_str!("sql/deliveries.sql"),
            };
            let mut statement = c.prepare_cached(sql)?;
            let found = statement.query_map(
                named_params! {
                    ":campaign": id.0,
                    ":message": n,
                    ":from": from,
                    ":outcome": filter.outcome.map(Place::code),
                    ":number": filter.number,
                    ":limit": (limit - rows.len()) as i64,
                },
                row,
            )?;
            for one in found {
                rows.push(one?);
            }
        }
        from = 0;
    }
    Ok(rows)
}

impl Store {
    /// The attempts at each of these deliveries that were not the last, oldest first; those without any are left
    /// out.
    pub async fn attempts(
        &self,
        id: CampaignId,
        deliveries: Vec<Cursor>,
    ) -> Result<HashMap<Cursor, Vec<AttemptRow>>> {
        self.read(move |c| {
            let mut attempts: HashMap<Cursor, Vec<AttemptRow>> = HashMap::new();
            for delivery in deliveries {
                let rows: Vec<AttemptRow> = c
                    .prepare_cached(
                        "SELECT at, detail FROM attempt WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3 ORDER BY at",
                    )?
                    .query_map((id.0, delivery.message, delivery.seq), |r| {
                        Ok(AttemptRow { at: time(r.get(0)?), detail: r.get(1)? })
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                if !rows.is_empty() {
                    attempts.insert(delivery, rows);
                }
            }
            Ok(attempts)
        })
        .await
    }

    /// A page of a campaign's deliveries, in the order of message and place, and where the next one begins.
    pub async fn deliveries(
        &self,
        id: CampaignId,
        filter: DeliveryFilter,
        limit: usize,
    ) -> Result<(Vec<DeliveryRow>, Option<Cursor>)> {
        self.read(move |c| {
            let mut rows = page(c, id, &filter, limit + 1)?;
            let next = rows.get(limit).map(|r| Cursor { message: r.message, seq: r.seq });
            rows.truncate(limit);
            Ok((rows, next))
        })
        .await
    }

    /// Says what became of a delivery in doubt, by hand: Sent or Failed. A later receipt still counts.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for any other outcome, and where the delivery is not in doubt.
    pub async fn settle_doubt(
        &self,
        id: CampaignId,
        delivery: Cursor,
        outcome: Outcome,
        by: By,
    ) -> Result<DeliveryRow> {
        let wrong = |message: String| StoreError::Invalid(vec![Problem::new("outcome", message)]);
        if !matches!(outcome, Outcome::Sent | Outcome::Failed) {
            return Err(wrong("say sent or failed".to_owned()));
        }
        self.change(id, move |c| {
            let key = (id.0, delivery.message, delivery.seq);
            let mut turn = Turn::new(c, "by hand", by.at)?;
            match turn.standing(key)?.map(|standing| standing.outcome) {
                Some(Outcome::InDoubt) => {}
                Some(other) => {
                    return Err(wrong(format!(
                        "it is {}: only what is in doubt is settled by hand",
                        other.word()
                    )));
                }
                None => return Err(StoreError::NotFound("delivery in doubt")),
            }
            turn.news(key, outcome, None)?;
            c.prepare_cached(
                "UPDATE delivery SET detail = ?4 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
            )?
            .execute((key.0, key.1, key.2, format!("settled by {}", by.actor)))?;
            audit::note(c, &by, Deed::DoubtSettled, format!("{id} {delivery}"))?;
            turn.finish()?;
            let filter = DeliveryFilter {
                message: Some(delivery.message),
                from: Some(delivery),
                ..DeliveryFilter::default()
            };
            page(c, id, &filter, 1)?.pop().ok_or(StoreError::NotFound("delivery"))
        })
        .await
    }
}
