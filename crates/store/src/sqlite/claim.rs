//! Claims: the next part of a wave or of the retries that are due, with what decides for each recipient.

use campaign::{
    CampaignId, ClaimId, Msisdn, Outcome, SkipReason, WaveId,
    lateness::is_late,
    outcome::{Follow, follow},
    retry::{self, Called},
    window::Opening,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    calls, contacts,
    dispatch::{Turn, zones_of},
    ms, spending, time,
};
use crate::{ClaimRequest, Claimed, Fate, Recipient, Result, RetriesOf, Settings, Settled, Tries, Wave};

/// How often a retry whose window never opens is looked at.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone, Copy)]
enum Decision {
    Goes,
    Skip(SkipReason),
    /// The previous message is still to be retried.
    Waits,
    /// The previous message was retried and went at this time, later than its neighbours'.
    After(i64),
}

/// A retry that may go.
struct DueRetry {
    message_no: u32,
    seq: i64,
    due_at: i64,
    tries: Tries,
}

impl Turn<'_> {
    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Result<Option<Claimed>> {
        match request {
            ClaimRequest::Wave { campaign, epoch, wave, most, settled_before } => {
                let most = self.within_budget(*campaign, *most)?;
                self.claim_wave(*campaign, *epoch, *wave, most, *settled_before)
            }
            ClaimRequest::Retries { campaign, epoch, most, of, alive_at } => {
                let most = self.within_budget(*campaign, *most)?;
                self.claim_retries(*campaign, *epoch, most, of, *alive_at)
            }
        }
    }

    /// How many of `most` may be claimed as far as the campaign's budget goes, after what this very turn bills.
    fn within_budget(&mut self, campaign: CampaignId, most: u32) -> Result<u32> {
        let known = self.know(campaign)?;
        let content = &known.definition.content;
        // What has expired is claimed to be skipped, and costs nothing.
        let expired = content.until().is_some_and(|until| self.now >= ms(until));
        if known.definition.max_cost.is_none() || content.calls().is_none() || expired {
            return Ok(most);
        }
        let Some(affordable) = spending::affordable(self.c, campaign)? else { return Ok(most) };
        let up: u32 = self
            .c
            .prepare_cached("SELECT coalesce(sum(left_over), 0) FROM claim WHERE campaign_id = ?1")?
            .query_row([campaign.0], |r| r.get(0))?;
        Ok(most.min(affordable.saturating_sub(up)))
    }

    fn claim_wave(
        &mut self,
        campaign: CampaignId,
        epoch: i64,
        wave: WaveId,
        most: u32,
        settled_before: Option<Timestamp>,
    ) -> Result<Option<Claimed>> {
        let Some(bound) = bound(self.c, wave, settled_before)? else { return Ok(None) };
        let before: Option<i64> = self
            .c
            .prepare_cached("SELECT next_seq FROM wave WHERE id = ?1")?
            .query_row([wave.0], |r| r.get(0))
            .optional()?;
        let moved: Option<(u32, i64)> = self
            .c
            .prepare_cached(include_str!("sql/claim_wave.sql"))?
            .query_row((wave.0, most, bound, epoch, self.now), |r| Ok((r.get(1)?, r.get(3)?)))
            .optional()?;
        let (Some(from), Some((message_no, to))) = (before, moved) else { return Ok(None) };
        self.touched.insert(campaign.0);
        self.waves.insert(wave.0);
        let rows = self.recipients(campaign, message_no, from, to)?;
        let mut recipients = Vec::with_capacity(rows.len());
        let mut skipped = Vec::new();
        for (recipient, decision) in rows {
            match decision {
                Decision::Skip(reason) => skipped.push(skip(campaign, message_no, &recipient, reason)),
                Decision::Waits => self.defer(campaign, message_no, recipient.seq, None)?,
                Decision::After(sent) if settled_before.is_some_and(|at| sent > ms(at)) => {
                    let due = self.follower_due(campaign, message_no - 1, recipient.seq, sent)?;
                    self.defer(campaign, message_no, recipient.seq, Some(due))?;
                }
                Decision::Goes | Decision::After(_) => recipients.push(recipient),
            }
        }
        self.deliver(&skipped.iter().collect::<Vec<_>>())?;
        let Some(low) = recipients.first().map(|r| r.seq) else { return Ok(None) };
        let id = self.add_claim(campaign, message_no, Some(wave), (from, to), low, recipients.len())?;
        Ok(Some(Claimed { id, campaign, message_no, wave: Some(wave), send_before: None, recipients }))
    }

    /// Turns a recipient of a wave into a retry that was never tried; without a date it waits for the previous message.
    fn defer(&self, campaign: CampaignId, message_no: u32, seq: i64, due: Option<i64>) -> Result<()> {
        self.c
            .prepare_cached(
                "INSERT INTO retry (campaign_id, message_no, seq, due_at, attempts, open) VALUES (?1, ?2, ?3, ?4, 0, 1)",
            )?
            .execute((campaign.0, message_no, seq, due))?;
        Ok(())
    }

    fn claim_retries(
        &mut self,
        campaign: CampaignId,
        epoch: i64,
        most: u32,
        of: &RetriesOf,
        alive_at: Timestamp,
    ) -> Result<Option<Claimed>> {
        let known = self.know(campaign)?;
        if known.epoch != epoch || !known.active {
            return Ok(None);
        }
        let due = self.retries(campaign, most, of)?;
        let Some(message_no) = due.first().map(|d| d.message_no) else { return Ok(None) };
        self.touched.insert(campaign.0);
        let (mut recipients, mut skipped) = (Vec::new(), Vec::new());
        let mut send_before: Option<Timestamp> = None;
        let mut due: Vec<_> = due.into_iter().filter(|d| d.message_no == message_no).collect();
        due.sort_unstable_by_key(|d| d.seq);
        for DueRetry { seq, due_at, tries, .. } in due {
            // A retry obeys the window like a first attempt.
            let opening = match (&known.definition.window, zones_of(self.c, campaign, seq)?) {
                (Some(window), Some(zones)) => Some(window.at(&zones, time(self.now))),
                _ => None,
            };
            let mut opened = Timestamp::MIN;
            let next = match opening {
                None => None,
                Some(Opening::Open { since, until }) => {
                    opened = since;
                    send_before = Some(send_before.map_or(until, |at| at.min(until)));
                    None
                }
                Some(Opening::Closed { next }) => Some(next),
                // The window cannot open; look again in a day, in case the definition is corrected.
                Some(Opening::Never) => time(self.now).checked_add(A_DAY).ok(),
            };
            if let Some(next) = next {
                self.c
                    .prepare_cached("UPDATE retry SET due_at = ?4, parked = NULL WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
                    .execute((campaign.0, message_no, seq, ms(next)))?;
                continue;
            }
            let could_go = [time(due_at), opened, known.restarted_at];
            if is_late(could_go, alive_at, time(self.now), known.definition.lateness_limit) {
                self.c
                    .prepare_cached(
                        "UPDATE retry SET held = 1 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
                    )?
                    .execute((campaign.0, message_no, seq))?;
                continue;
            }
            for (mut recipient, decision) in self.recipients(campaign, message_no, seq, seq + 1)? {
                recipient.tries = tries;
                if known.definition.content.calls().is_some() {
                    recipient.calls = calls::counted(self.c, campaign, seq)?;
                }
                match decision {
                    Decision::Goes | Decision::After(_) => recipients.push(recipient),
                    Decision::Waits => {
                        self.c
                            .prepare_cached("UPDATE retry SET due_at = NULL WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
                            .execute((campaign.0, message_no, seq))?;
                    }
                    Decision::Skip(reason) => {
                        self.end_retry(campaign, message_no, seq)?;
                        skipped.push(skip(campaign, message_no, &recipient, reason));
                    }
                }
            }
        }
        self.deliver(&skipped.iter().collect::<Vec<_>>())?;
        let (Some(first), Some(last)) = (recipients.first(), recipients.last()) else { return Ok(None) };
        let (low, to) = (first.seq, last.seq + 1);
        let id = self.add_claim(campaign, message_no, None, (low, to), low, recipients.len())?;
        for r in &recipients {
            self.c
                .prepare_cached(
                    "UPDATE retry SET claim_id = ?4 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
                )?
                .execute((campaign.0, message_no, r.seq, id.0))?;
        }
        Ok(Some(Claimed { id, campaign, message_no, wave: None, send_before, recipients }))
    }

    /// The retries of a campaign that may go, at most `most`.
    fn retries(&self, campaign: CampaignId, most: u32, of: &RetriesOf) -> Result<Vec<DueRetry>> {
        let read = |r: &Row<'_>| {
            let tries = Tries {
                attempts: r.get(3)?,
                refusals: r.get(4)?,
                refused_at: r.get::<_, Option<i64>>(5)?.map(time),
            };
            Ok(DueRetry { message_no: r.get(0)?, seq: r.get(1)?, due_at: r.get(2)?, tries })
        };
        let rows = match of {
            RetriesOf::Dated => self
                .c
                .prepare_cached(include_str!("sql/retries_due.sql"))?
                .query_map((campaign.0, self.now), read)?
                .take(most as usize)
                .collect::<rusqlite::Result<_>>()?,
            RetriesOf::Parked(sender) => self
                .c
                .prepare_cached(include_str!("sql/retries_parked.sql"))?
                .query_map((campaign.0, sender.to_string()), read)?
                .take(most as usize)
                .collect::<rusqlite::Result<_>>()?,
        };
        Ok(rows)
    }

    fn add_claim(
        &self,
        campaign: CampaignId,
        message_no: u32,
        wave: Option<WaveId>,
        (from, to): (i64, i64),
        low: i64,
        count: usize,
    ) -> Result<ClaimId> {
        self.c
            .prepare_cached(
                "INSERT INTO claim (campaign_id, message_no, wave_id, from_seq, to_seq, low, left_over, worker, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                campaign.0,
                message_no,
                wave.map(|w| w.0),
                from,
                to,
                low,
                count as i64,
                self.worker,
                self.now
            ])?;
        Ok(ClaimId(self.c.last_insert_rowid()))
    }

    /// Whether a consent of the recipient is recorded.
    fn agreed(&self, number: Msisdn) -> Result<bool> {
        Ok(self.c.prepare_cached("SELECT 1 FROM consent WHERE number = ?1")?.exists([number.digits()])?)
    }

    fn recipients(
        &mut self,
        campaign: CampaignId,
        message_no: u32,
        from: i64,
        to: i64,
    ) -> Result<Vec<(Recipient, Decision)>> {
        let Settings { limit, require_consent, .. } = *self.settings()?;
        let known = self.know(campaign)?;
        let d = &known.definition;
        let (channel, purpose) = (d.channel().word(), d.purpose());
        let go_on = d.content.goes_on_after_failure();
        let expired = d.content.until().is_some_and(|until| self.now >= ms(until));
        let sql = if message_no == 1 {
            include_str!("sql/claim_read_first.sql")
        } else {
            include_str!("sql/claim_read.sql")
        };
        let mut statement = self.c.prepare_cached(sql)?;
        let mut rows = if message_no == 1 {
            statement.query((campaign.0, from, to, purpose, channel))?
        } else {
            statement.query((campaign.0, from, to, message_no, purpose, channel))?
        };
        let mut all = Vec::with_capacity((to - from) as usize);
        while let Some(row) = rows.next()? {
            let fields: Option<Box<str>> = row.get_ref(2)?.as_str().ok().map(Box::from);
            let deleted = fields.as_deref() == Some(contacts::DELETED);
            let recipient = Recipient {
                seq: row.get(0)?,
                number: Msisdn::from_digits(row.get(1)?),
                fields,
                tries: Tries::default(),
                calls: Vec::new(),
            };
            let suppressed: Option<String> = row.get(3)?;
            let previous: Option<u8> = row.get(4)?;
            let waits: Option<i64> = row.get(6)?;
            let mut decision = if expired {
                Decision::Skip(SkipReason::Expired)
            } else if deleted {
                Decision::Skip(SkipReason::Deleted)
            } else if let Some(reason) = suppressed {
                Decision::Skip(SkipReason::from_word(&reason).unwrap_or(SkipReason::Blocked))
            } else if let Some(previous) = previous.and_then(Outcome::from_code) {
                let reason: Option<String> = row.get(5)?;
                match follow(previous, reason.as_deref().and_then(SkipReason::from_word), go_on) {
                    Follow::Goes => Decision::After(row.get(7)?),
                    Follow::Skip(reason) => Decision::Skip(reason),
                }
            } else if waits.is_some() {
                Decision::Waits
            } else {
                Decision::Goes
            };
            if require_consent
                && matches!(decision, Decision::Goes | Decision::After(_))
                && !self.agreed(recipient.number)?
            {
                decision = Decision::Skip(SkipReason::NoConsent);
            }
            if let (Some(limit), Decision::Goes | Decision::After(_)) = (limit, decision)
                && !self.within(limit, &recipient, campaign, message_no)?
            {
                decision = Decision::Skip(SkipReason::Limit);
            }
            all.push((recipient, decision));
        }
        Ok(all)
    }
}

/// The seq up to which a wave may be claimed: a message never overtakes the one before it.
pub(super) fn bound(c: &Connection, wave: WaveId, settled_before: Option<Timestamp>) -> Result<Option<i64>> {
    let row: Option<(i64, u32, i64, i64)> = c
        .prepare_cached("SELECT campaign_id, message_no, from_seq, to_seq FROM wave WHERE id = ?1")?
        .query_row([wave.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
        .optional()?;
    let Some((campaign, message, from, to)) = row else { return Ok(None) };
    if message == 1 {
        return Ok(Some(to));
    }
    // Leaders may be cut finer than their follower: the run of settled leaders from the start counts.
    let leaders: Vec<(i64, i64, i64)> = c
        .prepare_cached(
            "SELECT id, to_seq, settled_to FROM wave WHERE campaign_id = ?1 AND message_no = ?2 - 1
             AND from_seq < ?4 AND to_seq > ?3 ORDER BY from_seq",
        )?
        .query_map((campaign, message, from, to), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut bound = from;
    for (leader, end, settled) in leaders {
        let stood = match settled_before {
            None => settled,
            Some(at) => c
                .prepare_cached(
                    "SELECT settled_to FROM wave_mark WHERE wave_id = ?1 AND at <= ?2 ORDER BY at DESC LIMIT 1",
                )?
                .query_row((leader, ms(at)), |r| r.get(0))
                .optional()?
                .unwrap_or(bound),
        };
        bound = bound.max(stood.min(to));
        if stood < end {
            break;
        }
    }
    Ok(Some(bound))
}

/// When, after `since`, the previous message was settled beyond the place where it holds `wave` up.
pub(super) fn next_mark(
    c: &Connection,
    campaign: CampaignId,
    wave: &Wave,
    since: Timestamp,
) -> Result<Option<Timestamp>> {
    let at: Option<i64> = c
        .prepare_cached(
            "SELECT at FROM wave_mark WHERE at > ?4 AND settled_to > ?3 AND wave_id = (SELECT id FROM wave
                 WHERE campaign_id = ?1 AND message_no = ?2 AND from_seq <= ?3 AND to_seq > ?3)
             ORDER BY at LIMIT 1",
        )?
        .query_row((campaign.0, wave.message_no - 1, wave.bound, ms(since)), |r| r.get(0))
        .optional()?;
    Ok(at.map(time))
}

/// Settles a recipient who is left out by a rule: skipped, or with what the calls so far came to.
fn skip(campaign: CampaignId, message_no: u32, r: &Recipient, reason: SkipReason) -> Settled {
    Settled {
        claim: ClaimId(0),
        campaign,
        message_no,
        seq: r.seq,
        number: r.number,
        sender: None,
        fate: Fate::settled(
            retry::best(&r.calls).map_or(Outcome::Skipped, Called::outcome),
            Some(reason),
            None,
            None,
        ),
        tries: r.tries,
    }
}
