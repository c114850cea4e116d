//! Communication limits: a maximum number of messages and calls to a person in a period, over all campaigns. While a
//! limit is on, each claim logs the recipients that it takes; messages that did not leave after all, and calls that did
//! not ring, are removed from the log. While none is on, nothing is written.

use campaign::CampaignId;
use jiff::Timestamp;
use rusqlite::Connection;

use super::{Store, dispatch::Turn, ms, settings, writer::Lane};
use crate::{Limit, Recipient, Result};

/// Numbers whose log is examined in one step of bulk work: some milliseconds.
const STEP: i64 = 2_000;

/// Whether anybody's messages are logged.
pub(super) fn noted(c: &Connection) -> Result<bool> {
    Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM contact_log)")?.query_row([], |r| r.get(0))?)
}

impl Turn<'_> {
    /// Logs that a recipient is to get a message or a call; returns whether that is within `limit`.
    pub(super) fn within(
        &mut self,
        limit: Limit,
        recipient: &Recipient,
        campaign: CampaignId,
        message: u32,
    ) -> Result<bool> {
        if !limit.holds(self.know(campaign)?.definition.channel()) {
            return Ok(true);
        }
        let entry = self.entry(campaign, message, recipient.seq)?;
        let (number, since) = (recipient.number.digits(), self.now - limit.per.as_millis() as i64);
        let of: Vec<i64> = self
            .c
            .prepare_cached(
                "SELECT campaign_id FROM contact_log
                 WHERE number = ?1 AND at > ?2 AND NOT (campaign_id = ?3 AND message_no = ?4)",
            )?
            .query_map((number, since, campaign.0, entry), |r| r.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut got = 0;
        for other in of {
            let counts =
                limit.counts.is_none() || limit.holds(self.know(CampaignId(other))?.definition.channel());
            got += u32::from(counts);
        }
        let within = got < limit.messages.get();
        if within {
            self.c
                .prepare_cached("INSERT OR REPLACE INTO contact_log VALUES (?1, ?2, ?3, ?4)")?
                .execute((number, campaign.0, entry, self.now))?;
            self.noted = true;
        }
        Ok(within)
    }

    /// Under which number the next message or call to a recipient is logged: each call has an entry of its own.
    fn entry(&mut self, campaign: CampaignId, message: u32, seq: i64) -> Result<u32> {
        if self.know(campaign)?.definition.content.calls().is_none() {
            return Ok(message);
        }
        let calls: u32 = self
            .c
            .prepare_cached("SELECT coalesce(max(n), 0) FROM call WHERE campaign_id = ?1 AND seq = ?2")?
            .query_row((campaign.0, seq), |r| r.get(0))?;
        Ok(message + calls)
    }

    /// Removes the entry of a message or call that did not leave, or did not ring.
    pub(super) fn unnote(&mut self, campaign: CampaignId, message: u32, seq: i64) -> Result<()> {
        if self.noted {
            let entry = self.entry(campaign, message, seq)?;
            self.c
                .prepare_cached(
                    "DELETE FROM contact_log WHERE campaign_id = ?1 AND message_no = ?2
                     AND number = (SELECT number FROM audience WHERE campaign_id = ?1 AND seq = ?3)",
                )?
                .execute((campaign.0, entry, seq))?;
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
                    "DELETE FROM contact_log WHERE campaign_id = ?2 AND (number, message_no) IN
                         (SELECT number, ?3 + (SELECT coalesce(max(n), 0) FROM call k WHERE k.campaign_id = ?2 AND k.seq = a.seq)
                          FROM audience a WHERE campaign_id = ?2 AND seq >= ?4 AND seq < ?5
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
