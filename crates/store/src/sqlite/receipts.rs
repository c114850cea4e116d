//! Receipts: matched by route, provider id and number; the first final one wins.
//!
//! The hot path is written as plain look-ups and updates by primary key: `RETURNING` builds a table for its
//! one row and took longer than the update itself.

use campaign::{Outcome, RouteId, SkipReason};
use jiff::SignedDuration;
use rusqlite::{OptionalExtension, params};

use super::dispatch::Turn;
use crate::{Receipt, Result, Settled};

/// A receipt that comes before its result waits so long.
const EARLY_RECEIPT: SignedDuration = SignedDuration::from_mins(10);
/// A receipt without a known id may settle a doubt so long.
const DOUBT: SignedDuration = SignedDuration::from_hours(48);

/// A delivery's row, as far as news concern it.
pub(super) struct Standing {
    pub(super) outcome: Outcome,
    reason: Option<SkipReason>,
    parts: i64,
    parts_left: i64,
    changed_at: i64,
}

impl Turn<'_> {
    pub(super) fn doubt(&self, route: i64, number: i64, key: (i64, u32, i64)) -> Result<()> {
        self.c
            .prepare_cached("INSERT OR REPLACE INTO in_doubt VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute((route, number, key.0, key.1, key.2, self.now))?;
        Ok(())
    }

    /// Applies receipts that were there before the result they belong to.
    pub(super) fn early_receipts(&mut self, route: i64, s: &Settled, ids: &[String]) -> Result<()> {
        for id in ids {
            let found: Option<(bool, Option<u32>)> = self
                .c
                .prepare_cached(
                    "SELECT delivered, code FROM early_receipt WHERE route_id = ?1 AND provider_id = ?2 AND number = ?3",
                )?
                .query_row((route, id, s.number.digits()), |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?;
            let Some((delivered, code)) = found else { continue };
            self.c
                .prepare_cached(
                    "DELETE FROM early_receipt WHERE route_id = ?1 AND provider_id = ?2 AND number = ?3",
                )?
                .execute((route, id, s.number.digits()))?;
            self.receipt(&Receipt {
                route: RouteId(route),
                provider_ids: vec![id.clone()],
                number: s.number,
                delivered,
                code,
            })?;
        }
        Ok(())
    }

    pub(super) fn standing(&self, key: (i64, u32, i64)) -> Result<Option<Standing>> {
        let standing = self
            .c
            .prepare_cached(
                "SELECT outcome, reason, parts, parts_left, changed_at FROM delivery
                 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
            )?
            .query_row(key, |r| {
                Ok(Standing {
                    outcome: Outcome::from_code(r.get(0)?).ok_or(rusqlite::Error::InvalidQuery)?,
                    reason: r.get_ref(1)?.as_str().ok().and_then(SkipReason::from_word),
                    parts: r.get(2)?,
                    parts_left: r.get(3)?,
                    changed_at: r.get(4)?,
                })
            })
            .optional()?;
        Ok(standing)
    }

    /// News of a delivery that has a row: applied where the row gives way to it.
    pub(super) fn news(&mut self, key: (i64, u32, i64), later: Outcome, code: Option<u32>) -> Result<()> {
        match self.standing(key)? {
            Some(standing) => self.apply(key, &standing, later, code),
            None => Ok(()),
        }
    }

    fn apply(
        &mut self,
        key: (i64, u32, i64),
        standing: &Standing,
        later: Outcome,
        code: Option<u32>,
    ) -> Result<()> {
        let current = standing.outcome;
        if !current.gives_way_to(later) {
            return Ok(());
        }
        // A long text is delivered when all its parts are.
        let left = standing.parts_left - i64::from(later == Outcome::Delivered);
        let becomes = if later == Outcome::Delivered && left > 0 { current } else { later };
        self.c.prepare_cached(include_str!("sql/delivery_receipt.sql"))?.execute(params![
            key.0,
            key.1,
            key.2,
            becomes.code(),
            code,
            left.max(0),
            self.now
        ])?;
        if becomes != current {
            self.news.add(key, false);
        }
        let reason = standing.reason;
        self.deltas.add(key.0, key.1, current, reason, standing.changed_at, -1);
        self.deltas.add(key.0, key.1, becomes, reason, self.now, 1);
        if current == Outcome::InDoubt && becomes != current {
            self.c
                .prepare_cached(
                    "DELETE FROM in_doubt WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
                )?
                .execute(key)?;
        }
        self.touched.insert(key.0);
        Ok(())
    }

    /// Whether this is the first final receipt of one part of a long text; from then on it is not.
    fn is_first_of_part(&self, route: i64, id: &str, number: i64) -> Result<bool> {
        let changed = self
            .c
            .prepare_cached(
                "UPDATE receipt_key SET final = 1
                 WHERE route_id = ?1 AND provider_id = ?2 AND number = ?3 AND NOT final",
            )?
            .execute((route, id, number))?;
        Ok(changed == 1)
    }

    pub(super) fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
        let later = if receipt.delivered { Outcome::Delivered } else { Outcome::Undelivered };
        let number = receipt.number.digits();
        for id in &receipt.provider_ids {
            let key: Option<(i64, u32, i64)> = self
                .c
                .prepare_cached(
                    "SELECT campaign_id, message_no, seq FROM receipt_key
                     WHERE route_id = ?1 AND provider_id = ?2 AND number = ?3",
                )?
                .query_row((receipt.route.0, id, number), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                .optional()?;
            let Some(key) = key else { continue };
            let Some(standing) = self.standing(key)? else { return Ok(()) };
            // A lone segment's own outcome tells a second receipt from the first; parts need it noted.
            if standing.parts > 1 && !self.is_first_of_part(receipt.route.0, id, number)? {
                return Ok(());
            }
            return self.apply(key, &standing, later, receipt.code);
        }
        // No result with that id yet. One doubt alone that fits is settled by it; else it waits.
        let since = self.now - DOUBT.as_millis() as i64;
        let doubts: Vec<(i64, u32, i64)> = self
            .c
            .prepare_cached(
                "SELECT campaign_id, message_no, seq FROM in_doubt WHERE route_id = ?1 AND number = ?2 AND at >= ?3 LIMIT 2",
            )?
            .query_map((receipt.route.0, number, since), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        if let [only] = doubts[..] {
            return self.news(only, later, receipt.code);
        }
        self.early = true;
        if !std::mem::replace(&mut self.swept, true) {
            self.c
                .prepare_cached("DELETE FROM early_receipt WHERE at < ?1")?
                .execute([self.now - EARLY_RECEIPT.as_millis() as i64])?;
        }
        for id in &receipt.provider_ids {
            self.c
                .prepare_cached(
                    "INSERT INTO early_receipt VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                )?
                .execute((receipt.route.0, id, number, receipt.delivered, receipt.code, self.now))?;
        }
        Ok(())
    }
}
