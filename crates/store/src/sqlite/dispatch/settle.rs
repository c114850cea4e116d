//! What became of claimed messages and calls: deliveries, retries, and the keys by which receipts and replies find them.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use campaign::{CampaignId, ClaimId, Outcome, SkipReason};
use rusqlite::{OptionalExtension, params, types::ToSqlOutput};

use super::{Turn, zones_of};
use crate::{
    Fate, Result, Settled,
    provider_id::{folded, spelling},
    sqlite::{
        bulk::{self, Rows},
        ms, time,
    },
};

/// The most attempts to keep for a message; one that is throttled for days would fill the disk.
const ATTEMPTS_KEPT: u32 = 50;

/// Whether a claim took a part of a wave or retries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClaimKind {
    Wave,
    Retries,
}

impl Turn<'_> {
    /// Settles claimed messages. The claim is the right to settle: a result whose claim is gone (recovered, drained)
    /// was accounted for as In doubt and can only correct that.
    pub(in crate::sqlite) fn settle(&mut self, settled: &[Settled], low: &[(ClaimId, i64)]) -> Result<()> {
        let mut claims: HashMap<i64, Option<ClaimKind>> = HashMap::new();
        let mut left: HashMap<i64, i64> = HashMap::new();
        let mut finals = Vec::with_capacity(settled.len());
        let mut ended = Vec::new();
        for s in settled {
            self.touched.insert(s.campaign.0);
            let key = (s.campaign.0, s.message_no, s.seq);
            let kind = match claims.entry(s.claim.0) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(
                    self.c
                        .prepare_cached("SELECT wave_id IS NULL FROM claim WHERE id = ?1")?
                        .query_row([s.claim.0], |r| {
                            Ok(if r.get(0)? { ClaimKind::Retries } else { ClaimKind::Wave })
                        })
                        .optional()?,
                ),
            };
            let Some(kind) = kind else {
                if let Fate::Final { outcome, code, .. } = &s.fate {
                    self.news(key, *outcome, *code)?;
                }
                continue;
            };
            *left.entry(s.claim.0).or_default() += 1;
            let in_doubt = matches!(s.fate, Fate::Final { outcome: Outcome::InDoubt, .. });
            if self.noted && !in_doubt && self.know(s.campaign)?.definition.content.calls().is_some() {
                // A call that was made has its entry by now; the one of a call that was not made is left.
                self.unnote(s.campaign, s.message_no, s.seq)?;
            }
            match &s.fate {
                Fate::Final { .. } => {
                    if kind == ClaimKind::Retries {
                        self.end_retry(s.campaign, s.message_no, s.seq)?;
                    }
                    finals.push(s);
                }
                Fate::Again { otherwise: Some(fate), .. } if !self.know(s.campaign)?.active => {
                    if kind == ClaimKind::Retries {
                        self.end_retry(s.campaign, s.message_no, s.seq)?;
                    }
                    ended.push(Settled { fate: (**fate).clone(), ..s.clone() });
                }
                Fate::Again { due_at, detail, .. } => self.again(s, ms(*due_at), detail, None, true)?,
                Fate::Parked { tried, detail } => {
                    let sender = s.sender.as_ref().map(ToString::to_string);
                    self.again(s, self.now, detail, sender.as_deref(), *tried)?;
                }
            }
        }
        finals.extend(&ended);
        self.deliver(&finals)?;
        for (claim, low) in low {
            self.c.prepare_cached("UPDATE claim SET low = ?2 WHERE id = ?1")?.execute((claim.0, low))?;
        }
        for (claim, settled) in left {
            self.shrink_claim(claim, settled)?;
        }
        Ok(())
    }

    /// Puts back a message to be retried, or sets it aside until `parked` is accepted.
    fn again(
        &mut self,
        s: &Settled,
        due: i64,
        detail: &str,
        parked: Option<&str>,
        tried: bool,
    ) -> Result<()> {
        let known = self.know(s.campaign)?;
        let open = known.active;
        // Every call is kept by itself.
        let tried = tried && known.definition.content.calls().is_none();
        let Settled { campaign, message_no, seq, tries, .. } = s;
        if tried && tries.attempts <= ATTEMPTS_KEPT {
            self.c
                .prepare_cached("INSERT OR REPLACE INTO attempt VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute((campaign.0, message_no, seq, self.now, detail))?;
        }
        self.c.prepare_cached(include_str!("../sql/retry_again.sql"))?.execute(params![
            campaign.0,
            message_no,
            seq,
            due,
            tries.attempts,
            open,
            detail,
            tries.refusals,
            tries.refused_at.map(ms),
            parked,
        ])?;
        Ok(())
    }

    /// Accounts for `by` messages of a claim; an empty claim is deleted.
    pub(in crate::sqlite) fn shrink_claim(&mut self, claim: i64, by: i64) -> Result<()> {
        let (left, wave): (i64, Option<i64>) = self
            .c
            .prepare_cached(
                "UPDATE claim SET left_over = left_over - ?2 WHERE id = ?1 RETURNING left_over, wave_id",
            )?
            .query_row((claim, by), |r| Ok((r.get(0)?, r.get(1)?)))?;
        if left <= 0 {
            self.c.prepare_cached("DELETE FROM claim WHERE id = ?1")?.execute([claim])?;
        }
        self.waves.extend(wave);
        Ok(())
    }

    /// Appends settled deliveries, with the keys by which their receipts and replies are found.
    pub(in crate::sqlite) fn deliver(&mut self, settled: &[&Settled]) -> Result<()> {
        if settled.is_empty() {
            return Ok(());
        }
        let c = self.c;
        let mut rows = Rows::new(c, include_str!("../sql/delivery_add.sql"), 13)?;
        let mut keys = Rows::new(c, include_str!("../sql/receipt_key_add.sql"), 8)?;
        let mut contacts = Rows::new(c, include_str!("../sql/last_contact_add.sql"), 4)?;
        let number = |value: i64| ToSqlOutput::from(value);
        let at = self.now;
        let now = || number(at);
        for s in settled {
            let Fate::Final { outcome, reason, code, detail, provider_ids, parts } = &s.fate else {
                continue;
            };
            let route = self.know(s.campaign)?.route;
            self.news.add((s.campaign.0, s.message_no, s.seq), true);
            // An SMSC may give the parts of a long text one id, or only one of them an id: then one receipt covers all.
            let mut ids: Vec<(Cow<'_, str>, &str)> = provider_ids
                .iter()
                .filter(|id| !id.is_empty())
                .map(|id| (folded(id), spelling(id)))
                .collect();
            ids.sort_unstable();
            ids.dedup_by(|one, other| one.0 == other.0);
            let receipts = ids.len().clamp(usize::from(*parts > 0), *parts as usize) as u32;
            let [campaign, message, seq] = [s.campaign.0, i64::from(s.message_no), s.seq].map(number);
            rows.push([
                campaign.clone(),
                message.clone(),
                seq.clone(),
                ToSqlOutput::from(outcome.code()),
                bulk::text_or_null(reason.map(SkipReason::word)),
                bulk::or_null(*code),
                bulk::text_or_null(detail.as_deref()),
                bulk::text_or_null(provider_ids.first().map(String::as_str)),
                ToSqlOutput::from(*parts),
                ToSqlOutput::from(receipts),
                ToSqlOutput::from(s.tries.attempts),
                now(),
                now(),
            ])?;
            self.deltas.add(s.campaign.0, s.message_no, *outcome, *reason, self.now, 1);
            match outcome {
                Outcome::Sent => {
                    if ids.is_empty() {
                        self.doubt(route, s)?;
                    }
                    for (id, spelt) in ids {
                        let spelt = bulk::text_or_null((id != spelt).then_some(spelt));
                        let id = match id {
                            Cow::Borrowed(id) => bulk::text(id),
                            Cow::Owned(id) => ToSqlOutput::from(id),
                        };
                        let [campaign, message, seq] = [campaign.clone(), message.clone(), seq.clone()];
                        keys.push([
                            number(route),
                            id,
                            number(s.number.digits()),
                            campaign,
                            message,
                            seq,
                            spelt,
                            now(),
                        ])?;
                    }
                    if let Some(sender) = &s.sender {
                        contacts.push([
                            number(s.number.digits()),
                            bulk::text(sender.address()),
                            campaign,
                            now(),
                        ])?;
                    }
                }
                Outcome::InDoubt => {
                    self.doubt(route, s)?;
                }
                Outcome::Failed | Outcome::Skipped => self.unnote(s.campaign, s.message_no, s.seq)?,
                Outcome::Delivered
                | Outcome::Undelivered
                | Outcome::Unreachable
                | Outcome::Busy
                | Outcome::AnsweredHuman
                | Outcome::AnsweredMachine
                | Outcome::AnsweredUnknown
                | Outcome::NoAnswer
                | Outcome::Rejected => {}
            }
        }
        rows.finish()?;
        keys.finish()?;
        contacts.finish()?;
        if self.early {
            for s in settled {
                if let Fate::Final { outcome: Outcome::Sent, provider_ids, .. } = &s.fate {
                    let route = self.know(s.campaign)?.route;
                    self.early_receipts(route, s, provider_ids)?;
                }
            }
        }
        Ok(())
    }

    /// Settles a retry: its row is deleted, and the next message to the recipient, if it waited, gets its date.
    pub(in crate::sqlite) fn end_retry(
        &mut self,
        campaign: CampaignId,
        message_no: u32,
        seq: i64,
    ) -> Result<()> {
        let key = (campaign.0, message_no, seq);
        self.c
            .prepare_cached("DELETE FROM retry WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
            .execute(key)?;
        let due = self.follower_due(campaign, message_no, seq, self.now)?;
        self.c
            .prepare_cached(
                "UPDATE retry SET due_at = ?4
                 WHERE campaign_id = ?1 AND message_no = ?2 + 1 AND seq = ?3 AND due_at IS NULL",
            )?
            .execute((key.0, key.1, key.2, due))?;
        Ok(())
    }

    /// When the next message may go to a recipient whose message `n` was settled at `settled`.
    pub(in crate::sqlite) fn follower_due(
        &mut self,
        campaign: CampaignId,
        n: u32,
        seq: i64,
        settled: i64,
    ) -> Result<i64> {
        let Some(zones) = zones_of(self.c, campaign, seq)? else { return Ok(settled) };
        let known = self.know(campaign)?;
        let next = known.definition.content.send(n + 1);
        Ok(next.map_or(settled, |send| ms(send.due_after(&zones, time(settled)))))
    }
}
