//! Communication limits: a maximum number of messages to a person in a period, over all campaigns. While a limit is on,
//! each claim logs the recipients that it takes; messages that did not leave after all are removed from the log. While
//! none is on, nothing is written.

use campaign::Msisdn;
use jiff::Timestamp;
use rusqlite::Connection;

use super::{Store, dispatch::Turn, ms, settings, writer::Lane};
use crate::{Limit, Result};

/// Numbers whose log is examined in one step of bulk work: some milliseconds.
const STEP: i64 = 2_000;

/// Whether anybody's messages are logged.
pub(super) fn noted(c: &Connection) -> Result<bool> {
    Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM contact_log)")?.query_row([], |r| r.get(0))?)
}

impl Turn<'_> {
    /// Logs that `number` is to get a message; returns whether that is within `limit`.
    pub(super) fn within(
        &mut self,
        limit: Limit,
        number: Msisdn,
        campaign: i64,
        message: u32,
    ) -> Result<bool> {
        let since = self.now - limit.per.as_millis() as i64;
        let got: u32 = self
            .c
            .prepare_cached(
                "SELECT count(*) FROM contact_log
                 WHERE number = ?1 AND at > ?2 AND NOT (campaign_id = ?3 AND message_no = ?4)",
            )?
            .query_row((number.digits(), since, campaign, message), |r| r.get(0))?;
        let within = got < limit.messages.get();
        if within {
            self.c
                .prepare_cached("INSERT OR REPLACE INTO contact_log VALUES (?1, ?2, ?3, ?4)")?
                .execute((number.digits(), campaign, message, self.now))?;
            self.noted = true;
        }
        Ok(within)
    }

    /// Removes a logged message that did not leave.
    pub(super) fn unnote(&self, number: Msisdn, campaign: i64, message: u32) -> Result<()> {
        if self.noted {
            self.c
                .prepare_cached(
                    "DELETE FROM contact_log WHERE number = ?1 AND campaign_id = ?2 AND message_no = ?3",
                )?
                .execute((number.digits(), campaign, message))?;
        }
        Ok(())
    }

    /// Removes what was claimed from `from` on and did not leave: of a wave everybody up to `to`, of retries those that
    /// `claim` holds.
    pub(super) fn unnote_tail(
        &self,
        claim: Option<i64>,
        (campaign, message): (i64, u32),
        (from, to): (i64, i64),
    ) -> Result<()> {
        if self.noted {
            self.c
                .prepare_cached(
                    "DELETE FROM contact_log WHERE campaign_id = ?2 AND message_no = ?3 AND number IN
                         (SELECT number FROM audience a WHERE campaign_id = ?2 AND seq >= ?4 AND seq < ?5
                            AND (?1 IS NULL OR EXISTS (SELECT 1 FROM retry r WHERE r.campaign_id = ?2
                                 AND r.message_no = ?3 AND r.seq = a.seq AND r.claim_id = ?1)))",
                )?
                .execute((claim, campaign, message, from, to))?;
        }
        Ok(())
    }
}

impl Store {
    /// Drops log entries that no limit needs any more.
    pub(super) fn prune_notes(&self, now: Timestamp) -> Result<()> {
        let per = self.read_now(settings::read)?.limit.map(|limit| limit.per);
        let before = per.map_or(i64::MAX, |per| ms(now) - per.as_millis() as i64);
        let mut from = Some(0_i64);
        while let Some(at) = from {
            from = self.inner.writer.run_now(Lane::Bulk, move |c, _| {
                let next: Option<i64> = c
                    .prepare_cached(
                        "SELECT max(number) FROM (SELECT number FROM contact_log WHERE number > ?1 ORDER BY number LIMIT ?2)",
                    )?
                    .query_row((at, STEP), |r| r.get(0))?;
                let to = next.unwrap_or(i64::MAX);
                c.prepare_cached("DELETE FROM contact_log WHERE number > ?1 AND number <= ?2 AND at <= ?3")?
                    .execute((at, to, before))?;
                Ok(next)
            })?;
        }
        Ok(())
    }
}
