//! Totals, changed by deltas in the same transaction that changes the deliveries.
//!
//! The cell of a delivery is (message, outcome, reason) and, for the chart, (message, outcome, minute of
//! its last change). So each cell equals a count over the rows, and `check` can prove it.

use std::collections::HashMap;

use campaign::{CampaignId, Outcome, SkipReason};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{Store, time};
use crate::Result;

const MINUTE_MS: i64 = 60_000;

/// Deltas gathered over one transaction.
#[derive(Default)]
pub(super) struct Deltas {
    totals: HashMap<(i64, u32, u8, Option<SkipReason>), i64>,
    minutes: HashMap<(i64, u32, u8, i64), i64>,
}

impl Deltas {
    /// Adds `by` deliveries that are at `outcome` since `changed_ms`.
    pub(super) fn add(
        &mut self,
        campaign: i64,
        message: u32,
        outcome: Outcome,
        reason: Option<SkipReason>,
        changed_ms: i64,
        by: i64,
    ) {
        let code = outcome.code();
        let key = (campaign, message, code, reason);
        *self.totals.entry(key).or_default() += by;
        *self.minutes.entry((campaign, message, code, changed_ms / MINUTE_MS)).or_default() += by;
    }

    /// Writes the deltas.
    pub(super) fn apply(self, c: &Connection) -> Result<()> {
        let mut totals = c.prepare_cached(include_str!("sql/tally_add.sql"))?;
        let mut settled: HashMap<i64, i64> = HashMap::new();
        for ((campaign, message, outcome, reason), by) in self.totals {
            if by != 0 {
                *settled.entry(campaign).or_default() += by;
                totals.execute((campaign, message, outcome, reason.map_or("", SkipReason::word), by))?;
            }
        }
        for (campaign, by) in settled.into_iter().filter(|(_, by)| *by != 0) {
            c.prepare_cached("UPDATE campaign SET settled = settled + ?2 WHERE id = ?1")?
                .execute((campaign, by))?;
        }
        let mut minutes = c.prepare_cached(include_str!("sql/tally_minute_add.sql"))?;
        for ((campaign, message, outcome, minute), by) in self.minutes {
            if by != 0 {
                minutes.execute((campaign, message, outcome, minute, by))?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// How many deliveries reached each outcome in each minute, oldest first: (minute's beginning, outcome, count).
    /// Each delivery counts once, in the minute in which it reached its present outcome.
    pub async fn course(&self, id: CampaignId) -> Result<Vec<(Timestamp, Outcome, i64)>> {
        self.read(move |c| {
            let rows: Vec<(i64, u8, i64)> = c
                .prepare_cached(
                    "SELECT minute, outcome, sum(count) FROM tally_minute WHERE campaign_id = ?1
                     GROUP BY minute, outcome HAVING sum(count) > 0 ORDER BY minute",
                )?
                .query_map([id.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let known = |(minute, outcome, count): (i64, u8, i64)| {
                Some((time(minute * MINUTE_MS), Outcome::from_code(outcome)?, count))
            };
            Ok(rows.into_iter().filter_map(known).collect())
        })
        .await
    }

    /// Why recipients got nothing, by reason, the commonest first.
    pub async fn skips(&self, id: CampaignId) -> Result<Vec<(String, i64)>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT reason, sum(count) FROM tally WHERE campaign_id = ?1 AND reason <> ''
                 GROUP BY reason HAVING sum(count) > 0 ORDER BY 2 DESC",
            )?
            .query_map([id.0], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
