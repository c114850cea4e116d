//! Receipts: matched by route, provider id and number; the first final one wins.

use campaign::{Outcome, RouteId};
use jiff::SignedDuration;
use rusqlite::{OptionalExtension, params};

use super::dispatch::Turn;
use crate::{Receipt, Result, Settled};

/// A receipt that comes before its result waits so long.
const EARLY_RECEIPT: SignedDuration = SignedDuration::from_mins(10);
/// A receipt without a known id may settle a doubt so long.
const DOUBT: SignedDuration = SignedDuration::from_hours(48);

impl Turn<'_> {
    pub(super) fn doubt(&self, route: i64, number: i64, key: (i64, u32, i64)) -> Result<()> {
        self.c
            .prepare_cached("INSERT OR REPLACE INTO in_doubt VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute((route, number, key.0, key.1, key.2, self.now))?;
        Ok(())
    }

    pub(super) fn early_receipts(&mut self, route: i64, s: &Settled, ids: &[String]) -> Result<()> {
        for id in ids {
            let found: Option<(bool, Option<u32>)> = self
                .c
                .prepare_cached(
                    "DELETE FROM early_receipt WHERE route_id = ?1 AND provider_id = ?2 AND number = ?3 RETURNING delivered, code",
                )?
                .query_row((route, id, s.number.digits()), |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?;
            if let Some((delivered, code)) = found {
                self.receipt(&Receipt {
                    route: RouteId(route),
                    provider_ids: vec![id.clone()],
                    number: s.number,
                    delivered,
                    code,
                })?;
            }
        }
        Ok(())
    }

    /// News of a delivery that has a row: applied where the row gives way to it.
    pub(super) fn news(&mut self, key: (i64, u32, i64), later: Outcome, code: Option<u32>) -> Result<()> {
        let row: Option<(u8, Option<String>, i64, i64)> = self
            .c
            .prepare_cached(
                "SELECT outcome, reason, parts_left, changed_at FROM delivery WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
            )?
            .query_row(key, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
            .optional()?;
        let Some((outcome, reason, parts_left, changed_at)) = row else { return Ok(()) };
        let Some(current) = Outcome::from_code(outcome) else { return Ok(()) };
        if !current.gives_way_to(later) {
            return Ok(());
        }
        // A long text is delivered when all its parts are.
        let left = if later == Outcome::Delivered { (parts_left - 1).max(0) } else { parts_left };
        let becomes = if later == Outcome::Delivered && left > 0 { current } else { later };
        self.c.prepare_cached(include_str!("sql/delivery_receipt.sql"))?.execute(params![
            key.0,
            key.1,
            key.2,
            becomes.code(),
            code,
            left,
            self.now
        ])?;
        let reason = reason.unwrap_or_default();
        self.deltas.add(key.0, key.1, current, &reason, changed_at, -1);
        self.deltas.add(key.0, key.1, becomes, &reason, self.now, 1);
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

    pub(super) fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
        let later = if receipt.delivered { Outcome::Delivered } else { Outcome::Undelivered };
        let number = receipt.number.digits();
        for id in &receipt.provider_ids {
            let found: Option<(i64, u32, i64, bool)> = self
                .c
                .prepare_cached(
                    "SELECT campaign_id, message_no, seq, final FROM receipt_key WHERE route_id = ?1 AND provider_id = ?2 AND number = ?3",
                )?
                .query_row((receipt.route.0, id, number), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
                .optional()?;
            if let Some((campaign, message, seq, done)) = found {
                if !done {
                    self.c
                        .prepare_cached(
                            "UPDATE receipt_key SET final = 1 WHERE route_id = ?1 AND provider_id = ?2 AND number = ?3",
                        )?
                        .execute((receipt.route.0, id, number))?;
                    self.news((campaign, message, seq), later, receipt.code)?;
                }
                return Ok(());
            }
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
        self.c
            .prepare_cached("DELETE FROM early_receipt WHERE at < ?1")?
            .execute([self.now - EARLY_RECEIPT.as_millis() as i64])?;
        for id in &receipt.provider_ids {
            self.c
                .prepare_cached(
                    "INSERT INTO early_receipt VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                )?
                .execute((receipt.route.0, id, number, receipt.delivered, receipt.code, self.now))?;
        }
        self.early = true;
        Ok(())
    }
}
