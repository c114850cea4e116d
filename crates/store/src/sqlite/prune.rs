//! Drops old data: keys of receipts after a week, marks of waves that nothing follows any more.

use super::writer::Effect;
use campaign::CampaignId;
use jiff::{SignedDuration, Timestamp};

use super::{Store, ms, reply, writer::Lane};
use crate::{Result, StoreError};

/// How long a receipt may come after its message (architecture.md, receipt key).
const RECEIPTS_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a receipt without an id may find a delivery without one (product document §3, In doubt).
const DOUBTS_WITHIN: SignedDuration = SignedDuration::from_hours(48);
/// How long the parts of a long reply wait for each other.
const PARTS_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// Keys examined in one step of bulk work: some milliseconds.
const STEP: i64 = 5_000;

impl Store {
    /// Drops what is too old at `now`, in steps that let everything else go first. Returns how many keys of receipts
    /// were dropped.
    pub async fn prune(&self, now: Timestamp) -> Result<u64> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.prune_now(now))
            .await
            .map_err(|e| StoreError::Database(e.to_string()))?
    }

    fn prune_now(&self, now: Timestamp) -> Result<u64> {
        let finished: Vec<CampaignId> = self.read_now(|c| {
            Ok(c.prepare("SELECT id FROM campaign WHERE status IN ('completed', 'archived')")?
                .query_map([], |r| Ok(CampaignId(r.get(0)?)))?
                .collect::<rusqlite::Result<_>>()?)
        })?;
        for id in finished {
            self.inner.writer.run_now(Lane::Bulk, move |c, _| {
                c.prepare_cached(
                    "DELETE FROM wave_mark WHERE wave_id IN (SELECT id FROM wave WHERE campaign_id = ?1)",
                )?
                .execute([id.0])?;
                Ok(())
            })?;
        }
        let parts_before = ms(now) - PARTS_WITHIN.as_millis() as i64;
        self.inner.writer.run_now(Lane::Bulk, move |c, effects| {
            let held = reply::close_parts(c, parts_before, ms(now))?;
            effects.extend(held.into_iter().map(|(number, held)| Effect::OptOuts(number, held)));
            Ok(())
        })?;
        let doubts_before = ms(now) - DOUBTS_WITHIN.as_millis() as i64;
        self.inner.writer.run_now(Lane::Bulk, move |c, _| {
            c.execute("DELETE FROM in_doubt WHERE at < ?1", [doubts_before])?;
            Ok(())
        })?;
        self.prune_events(now)?;
        self.prune_notes(now)?;
        let before = ms(now) - RECEIPTS_WITHIN.as_millis() as i64;
        let mut from = Some((0, String::new(), 0));
        let mut gone = 0;
        while let Some(at) = from {
            // Walks along the primary key: an index by time would cost every message more than this does.
            let (next, dropped) = self.inner.writer.run_now(Lane::Bulk, move |c, _| {
                let last: Option<(i64, String, i64)> = c
                    .prepare_cached(include_str!("sql/receipt_key_step.sql"))?
                    .query_map((at.0, &at.1, at.2, STEP), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                    .next()
                    .transpose()?;
                let to = last.as_ref().map_or((i64::MAX, "", 0), |l| (l.0, l.1.as_str(), l.2));
                let dropped = c
                    .prepare_cached(include_str!("sql/receipt_key_drop.sql"))?
                    .execute((at.0, &at.1, at.2, to.0, to.1, to.2, before))?;
                Ok((last, dropped))
            })?;
            gone += dropped as u64;
            from = next;
        }
        Ok(gone)
    }
}
