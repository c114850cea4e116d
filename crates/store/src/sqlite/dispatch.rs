//! The engine's turn: results, receipts, put-backs and new claims, all in one transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use campaign::{
    CampaignId, ClaimId, Msisdn, Outcome, RouteId, SkipReason, WaveId, ZoneGroup,
    lifecycle::Cause,
    outcome::{Follow, follow},
    window::Opening,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, campaigns, ms, operate, tally::Deltas, time};
use crate::{
    ClaimRequest, Claimed, Cycle, Cycled, Definition, Fate, Receipt, Recipient, Result, Settled, StoreError,
};

/// A receipt that comes before its result waits so long.
const EARLY_RECEIPT: SignedDuration = SignedDuration::from_mins(10);
/// A receipt without a known id may settle a doubt so long.
const DOUBT: SignedDuration = SignedDuration::from_hours(48);

impl Store {
    /// One turn of the engine. `worker` names this engine: its claims are orphaned when it is gone.
    pub async fn cycle(
        &self,
        cycle: Cycle,
        worker: String,
        now: Timestamp,
    ) -> Result<(Cycle, Result<Cycled>)> {
        // The input comes back with the answer, so that nothing is lost where the commit fails.
        let cycle = std::sync::Arc::new(cycle);
        let theirs = cycle.clone();
        let result = self.write(move |c| Turn::new(c, &worker, now).run(&theirs)).await;
        Ok((std::sync::Arc::try_unwrap(cycle).unwrap_or_else(|shared| shared.copy()), result))
    }
}

impl Cycle {
    fn copy(&self) -> Self {
        Self {
            settled: self.settled.clone(),
            low: self.low.clone(),
            receipts: self.receipts.clone(),
            unwritten: self.unwritten.clone(),
            claims: self.claims.clone(),
            due: self.due.clone(),
            late: self.late.clone(),
            alive: self.alive.clone(),
        }
    }
}

/// What a turn knows of a campaign.
struct Known {
    definition: Definition,
    epoch: i64,
    active: bool,
}

struct Turn<'a> {
    c: &'a Connection,
    worker: &'a str,
    now: i64,
    deltas: Deltas,
    known: HashMap<i64, Known>,
    touched: BTreeSet<i64>,
    waves: HashSet<i64>,
    early: bool,
}

impl<'a> Turn<'a> {
    fn new(c: &'a Connection, worker: &'a str, now: Timestamp) -> Self {
        Self {
            c,
            worker,
            now: ms(now),
            deltas: Deltas::default(),
            known: HashMap::new(),
            touched: BTreeSet::new(),
            waves: HashSet::new(),
            early: false,
        }
    }

    fn run(mut self, cycle: &Cycle) -> Result<Cycled> {
        self.early = self
            .c
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM early_receipt)")?
            .query_row([], |r| r.get(0))?;
        for campaign in &cycle.due {
            operate::step(self.c, *campaign, Cause::Due, "engine", self.now)?;
            self.touched.insert(campaign.0);
        }
        for wave in &cycle.late {
            self.c.prepare_cached("UPDATE wave SET held = 1 WHERE id = ?1 AND open")?.execute([wave.0])?;
        }
        for route in &cycle.alive {
            self.c
                .prepare_cached("UPDATE route SET alive_at = ?2 WHERE id = ?1")?
                .execute((route.0, self.now))?;
        }
        self.settle(&cycle.settled, &cycle.low)?;
        for (claim, from) in &cycle.unwritten {
            self.put_back(*claim, *from)?;
        }
        for receipt in &cycle.receipts {
            self.receipt(receipt)?;
        }
        let mut claimed = Vec::new();
        for request in &cycle.claims {
            claimed.extend(self.claim(request)?);
        }
        self.move_waves()?;
        self.deltas.apply(self.c)?;
        for campaign in &self.touched {
            complete(self.c, *campaign, self.now)?;
        }
        Ok(Cycled { claimed, changed: self.touched.into_iter().map(CampaignId).collect() })
    }

    fn know(&mut self, campaign: i64) -> Result<&Known> {
        if !self.known.contains_key(&campaign) {
            let row = campaigns::load(self.c, CampaignId(campaign))?;
            let known = Known {
                definition: row.definition,
                epoch: row.epoch,
                active: matches!(row.status, campaign::Status::Scheduled | campaign::Status::Running),
            };
            self.known.insert(campaign, known);
        }
        Ok(&self.known[&campaign])
    }

    fn settle(&mut self, settled: &[Settled], low: &[(ClaimId, i64)]) -> Result<()> {
        let mut left: HashMap<i64, i64> = HashMap::new();
        for s in settled {
            self.touched.insert(s.campaign.0);
            let key = (s.campaign.0, s.message_no, s.seq);
            // The claim is the right to settle: a result whose claim is gone (recovered, drained) was
            // accounted for as In doubt and can only mend that.
            let claim: Option<Option<i64>> = self
                .c
                .prepare_cached("SELECT wave_id FROM claim WHERE id = ?1")?
                .query_row([s.claim.0], |r| r.get(0))
                .optional()?;
            if claim.is_none() {
                if let Fate::Final { outcome, code, .. } = &s.fate {
                    self.news(key, *outcome, *code)?;
                }
                continue;
            }
            *left.entry(s.claim.0).or_default() += 1;
            match &s.fate {
                Fate::Final { .. } => {
                    if claim == Some(None) {
                        self.c
                            .prepare_cached(
                                "DELETE FROM retry WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
                            )?
                            .execute(key)?;
                    }
                    self.deliver(s, claim == Some(None))?;
                }
                Fate::Again { due_at, detail } => {
                    let open = self.know(s.campaign.0)?.active;
                    self.c
                        .prepare_cached(
                            "INSERT INTO retry (campaign_id, message_no, seq, due_at, attempts, open, detail)
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                             ON CONFLICT DO UPDATE SET due_at = excluded.due_at, attempts = excluded.attempts,
                                 open = excluded.open, detail = excluded.detail, claim_id = NULL",
                        )?
                        .execute(params![key.0, key.1, key.2, ms(*due_at), s.attempts, open, detail])?;
                }
            }
        }
        for (claim, low) in low {
            self.c.prepare_cached("UPDATE claim SET low = ?2 WHERE id = ?1")?.execute((claim.0, low))?;
        }
        for (claim, settled) in left {
            self.shrink_claim(claim, settled)?;
        }
        Ok(())
    }

    /// `by` messages of a claim are accounted for; an empty claim goes.
    fn shrink_claim(&mut self, claim: i64, by: i64) -> Result<()> {
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

    /// Appends a settled delivery. `waited`: it was a retry, so a later message may wait for it.
    fn deliver(&mut self, s: &Settled, waited: bool) -> Result<()> {
        let Fate::Final { outcome, reason, code, detail, provider_ids, parts } = &s.fate else {
            return Ok(());
        };
        let reason_word = reason.map(SkipReason::word);
        self.c.prepare_cached(include_str!("sql/delivery_add.sql"))?.execute(params![
            s.campaign.0,
            s.message_no,
            s.seq,
            outcome.code(),
            reason_word,
            code,
            detail,
            provider_ids.first(),
            parts,
            s.attempts,
            self.now,
        ])?;
        self.deltas.add(s.campaign.0, s.message_no, *outcome, reason_word.unwrap_or(""), self.now, 1);
        if waited {
            let due = self.follower_due(s.campaign, s.message_no, s.seq, self.now)?;
            self.c
                .prepare_cached(
                    "UPDATE retry SET due_at = ?4
                     WHERE campaign_id = ?1 AND message_no = ?2 + 1 AND seq = ?3 AND due_at IS NULL",
                )?
                .execute((s.campaign.0, s.message_no, s.seq, due))?;
        }
        let now = self.now;
        let known = self.know(s.campaign.0)?;
        let route = known.definition.route_id.map_or(0, |r| r.0);
        let sender = known.definition.sender.as_ref().map(ToString::to_string).unwrap_or_default();
        match outcome {
            Outcome::Sent => {
                for id in provider_ids {
                    self.c.prepare_cached(include_str!("sql/receipt_key_add.sql"))?.execute((
                        route,
                        id,
                        s.number.digits(),
                        s.campaign.0,
                        s.message_no,
                        s.seq,
                        now,
                    ))?;
                }
                self.c
                    .prepare_cached(
                        "INSERT INTO last_contact (number, sender, campaign_id, at) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT DO UPDATE SET campaign_id = excluded.campaign_id, at = excluded.at",
                    )?
                    .execute((s.number.digits(), sender, s.campaign.0, now))?;
                if self.early {
                    self.early_receipts(route, s, provider_ids)?;
                }
            }
            Outcome::InDoubt => self.doubt(route, s.number.digits(), (s.campaign.0, s.message_no, s.seq))?,
            _ => {}
        }
        Ok(())
    }

    /// When the next message may go to a recipient whose message `n` was settled at `settled`.
    fn follower_due(&mut self, campaign: CampaignId, n: u32, seq: i64, settled: i64) -> Result<i64> {
        let Some(zones) = zones_of(self.c, campaign, seq)? else { return Ok(settled) };
        let next = self.know(campaign.0)?.definition.messages.get(n as usize);
        Ok(next.map_or(settled, |m| ms(m.send.due_after(&zones, time(settled)))))
    }

    fn doubt(&self, route: i64, number: i64, key: (i64, u32, i64)) -> Result<()> {
        self.c
            .prepare_cached("INSERT OR REPLACE INTO in_doubt VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute((route, number, key.0, key.1, key.2, self.now))?;
        Ok(())
    }

    fn early_receipts(&mut self, route: i64, s: &Settled, ids: &[String]) -> Result<()> {
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
    fn news(&mut self, key: (i64, u32, i64), later: Outcome, code: Option<u32>) -> Result<()> {
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

    fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
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

    /// The tail of a claim from `from` on was not written: it goes back to be claimed anew.
    fn put_back(&mut self, claim: ClaimId, from: i64) -> Result<()> {
        let row: Option<(i64, u32, Option<i64>, i64)> = self
            .c
            .prepare_cached("SELECT campaign_id, message_no, wave_id, to_seq FROM claim WHERE id = ?1")?
            .query_row([claim.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
            .optional()?;
        let Some((campaign, message, wave, to)) = row else { return Ok(()) };
        self.touched.insert(campaign);
        let Some(wave) = wave else {
            let freed = self
                .c
                .prepare_cached("UPDATE retry SET claim_id = NULL WHERE claim_id = ?1 AND seq >= ?2")?
                .execute((claim.0, from))?;
            return self.shrink_claim(claim.0, freed as i64);
        };
        // Those of the tail that were skipped at the claim have their row already and stay settled.
        let done: i64 = self.c.prepare_cached(
            "SELECT count(*) FROM delivery WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4",
        )?.query_row((campaign, message, from, to), |r| r.get(0))?;
        let waiting: i64 = self.c.prepare_cached(
            "SELECT count(*) FROM retry WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4",
        )?.query_row((campaign, message, from, to), |r| r.get(0))?;
        let unsettled = to - from - done - waiting;
        self.c.prepare_cached("UPDATE claim SET to_seq = ?2 WHERE id = ?1")?.execute((claim.0, from))?;
        let next: i64 = self
            .c
            .prepare_cached("SELECT next_seq FROM wave WHERE id = ?1")?
            .query_row([wave], |r| r.get(0))?;
        if next == to && done + waiting == 0 {
            // The last claim of its wave: the wave simply steps back.
            self.c
                .prepare_cached(
                    "UPDATE wave SET next_seq = ?2, settled_to = min(settled_to, ?2) WHERE id = ?1",
                )?
                .execute((wave, from))?;
        } else {
            // Rows inside the tail would be claimed twice: only the gaps between them become waves.
            for (a, b) in self.gaps(campaign, message, from, to)? {
                self.carve(campaign, message, a, b)?;
            }
        }
        self.shrink_claim(claim.0, unsettled)
    }

    /// The runs of `[from, to)` that have neither delivery nor retry row.
    fn gaps(&self, campaign: i64, message: u32, from: i64, to: i64) -> Result<Vec<(i64, i64)>> {
        let rows: Vec<i64> = self
            .c
            .prepare_cached(
                "SELECT seq FROM delivery WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4
                 UNION SELECT seq FROM retry WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4
                 ORDER BY 1",
            )?
            .query_map((campaign, message, from, to), |r| r.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut gaps = Vec::new();
        let mut at = from;
        for seq in rows.into_iter().chain([to]) {
            if at < seq {
                gaps.push((at, seq));
            }
            at = seq + 1;
        }
        Ok(gaps)
    }

    /// Makes `[from, to)` of a message a wave of its own that was never claimed. Later messages are cut
    /// at the same places, so that a follower's leader always has its very range.
    fn carve(&mut self, campaign: i64, message: u32, from: i64, to: i64) -> Result<()> {
        for at in [from, to] {
            self.cut(campaign, message, at)?;
        }
        self.c
            .prepare_cached(
                "UPDATE wave SET next_seq = from_seq, settled_to = from_seq
                 WHERE campaign_id = ?1 AND message_no = ?2 AND from_seq = ?3",
            )?
            .execute((campaign, message, from))?;
        Ok(())
    }

    /// Cuts the waves of `message` and all later ones that hold `at` in their middle.
    fn cut(&mut self, campaign: i64, message: u32, at: i64) -> Result<()> {
        let whole: Vec<i64> = self
            .c
            .prepare_cached(
                "SELECT id FROM wave WHERE campaign_id = ?1 AND message_no >= ?2 AND from_seq < ?3 AND to_seq > ?3",
            )?
            .query_map((campaign, message, at), |r| r.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for wave in whole {
            self.c
                .prepare_cached(
                    "INSERT INTO wave (campaign_id, message_no, grp, from_seq, to_seq, next_seq, settled_to, due_at, open, held)
                     SELECT campaign_id, message_no, grp, ?2, to_seq, max(next_seq, ?2), max(settled_to, ?2), due_at, open, held
                     FROM wave WHERE id = ?1",
                )?
                .execute((wave, at))?;
            let right = self.c.last_insert_rowid();
            self.c
                .prepare_cached(
                    "UPDATE wave SET to_seq = ?2, next_seq = min(next_seq, ?2), settled_to = min(settled_to, ?2) WHERE id = ?1",
                )?
                .execute((wave, at))?;
            self.c
                .prepare_cached("UPDATE claim SET wave_id = ?3 WHERE wave_id = ?1 AND from_seq >= ?2")?
                .execute((wave, at, right))?;
            self.c
                .prepare_cached(
                    "INSERT INTO wave_mark SELECT ?2, at, max(settled_to, ?3) FROM wave_mark WHERE wave_id = ?1 ",
                )?
                .execute((wave, right, at))?;
            self.c
                .prepare_cached("UPDATE wave_mark SET settled_to = min(settled_to, ?2) WHERE wave_id = ?1")?
                .execute((wave, at))?;
            self.waves.extend([wave, right]);
        }
        Ok(())
    }

    fn claim(&mut self, request: &ClaimRequest) -> Result<Option<Claimed>> {
        match request {
            ClaimRequest::Wave { campaign, epoch, wave, most, settled_before } => {
                self.claim_wave(*campaign, *epoch, *wave, *most, *settled_before)
            }
            ClaimRequest::Retries { campaign, epoch, most } => self.claim_retries(*campaign, *epoch, *most),
        }
    }

    fn claim_wave(
        &mut self,
        campaign: CampaignId,
        epoch: i64,
        wave: WaveId,
        most: u32,
        settled_before: Option<Timestamp>,
    ) -> Result<Option<Claimed>> {
        let Some(bound) = self.bound(wave, settled_before)? else { return Ok(None) };
        let before: Option<i64> = self
            .c
            .prepare_cached("SELECT next_seq FROM wave WHERE id = ?1")?
            .query_row([wave.0], |r| r.get(0))
            .optional()?;
        let moved: Option<(u32, i64)> = self
            .c
            .prepare_cached(include_str!("sql/claim_wave.sql"))?
            .query_row((wave.0, most, bound, epoch), |r| Ok((r.get(1)?, r.get(3)?)))
            .optional()?;
        let (Some(from), Some((message_no, to))) = (before, moved) else { return Ok(None) };
        self.touched.insert(campaign.0);
        self.waves.insert(wave.0);
        let rows = self.recipients(campaign, message_no, from, to)?;
        let mut recipients = Vec::with_capacity(rows.len());
        for (recipient, decision) in rows {
            match decision {
                Decision::Skip(reason) => self.skip(campaign, message_no, &recipient, reason, false)?,
                Decision::Waits => self.defer(campaign, message_no, recipient.seq, None)?,
                Decision::After(sent) if settled_before.is_some_and(|at| sent > ms(at)) => {
                    let due = self.follower_due(campaign, message_no - 1, recipient.seq, sent)?;
                    self.defer(campaign, message_no, recipient.seq, Some(due))?;
                }
                Decision::Goes | Decision::After(_) => recipients.push(recipient),
            }
        }
        let Some(low) = recipients.first().map(|r| r.seq) else { return Ok(None) };
        let id = self.add_claim(campaign, message_no, Some(wave), (from, to), low, recipients.len())?;
        Ok(Some(Claimed { id, campaign, epoch, message_no, wave: Some(wave), to_seq: to, recipients }))
    }

    /// Makes a recipient of a wave a retry that was never tried; without a date it waits for the message
    /// before it.
    fn defer(&self, campaign: CampaignId, message_no: u32, seq: i64, due: Option<i64>) -> Result<()> {
        self.c
            .prepare_cached(
                "INSERT INTO retry (campaign_id, message_no, seq, due_at, attempts, open) VALUES (?1, ?2, ?3, ?4, 0, 1)",
            )?
            .execute((campaign.0, message_no, seq, due))?;
        Ok(())
    }

    /// Up to which seq a wave may be claimed: a message never overtakes the one before it.
    fn bound(&self, wave: WaveId, settled_before: Option<Timestamp>) -> Result<Option<i64>> {
        let row: Option<(i64, u32, i64, i64)> = self
            .c
            .prepare_cached("SELECT campaign_id, message_no, from_seq, to_seq FROM wave WHERE id = ?1")?
            .query_row([wave.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
            .optional()?;
        let Some((campaign, message, from, to)) = row else { return Ok(None) };
        if message == 1 {
            return Ok(Some(to));
        }
        // Leaders may be cut finer than their follower: the run of settled ones from the start counts.
        let leaders: Vec<(i64, i64, i64)> = self
            .c
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
                Some(at) => self
                    .c
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

    fn claim_retries(&mut self, campaign: CampaignId, epoch: i64, most: u32) -> Result<Option<Claimed>> {
        let known = self.know(campaign.0)?;
        if known.epoch != epoch || !known.active {
            return Ok(None);
        }
        let due: Vec<(u32, i64, u32)> = self
            .c
            .prepare_cached(
                "SELECT message_no, seq, attempts FROM retry WHERE campaign_id = ?1 AND due_at <= ?2 AND open
                 AND claim_id IS NULL ORDER BY due_at LIMIT ?3",
            )?
            .query_map((campaign.0, self.now, most), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let Some(message_no) = due.first().map(|d| d.0) else { return Ok(None) };
        self.touched.insert(campaign.0);
        let mut recipients = Vec::new();
        let mut due: Vec<_> = due.into_iter().filter(|d| d.0 == message_no).collect();
        due.sort_unstable_by_key(|d| d.1);
        let window = self.know(campaign.0)?.definition.window.clone();
        for (_, seq, attempts) in due {
            // A retry obeys the window as a first attempt does.
            if let Some(window) = &window
                && let Some(zones) = zones_of(self.c, campaign, seq)?
                && let Opening::Closed { next } = window.at(&zones, time(self.now))
            {
                self.c
                    .prepare_cached("UPDATE retry SET due_at = ?4 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
                    .execute((campaign.0, message_no, seq, ms(next)))?;
                continue;
            }
            for (mut recipient, decision) in self.recipients(campaign, message_no, seq, seq + 1)? {
                recipient.attempts = attempts;
                match decision {
                    Decision::Goes | Decision::After(_) => recipients.push(recipient),
                    Decision::Waits => {
                        self.c
                            .prepare_cached("UPDATE retry SET due_at = NULL WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
                            .execute((campaign.0, message_no, seq))?;
                    }
                    Decision::Skip(reason) => {
                        self.c
                            .prepare_cached(
                                "DELETE FROM retry WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
                            )?
                            .execute((campaign.0, message_no, seq))?;
                        self.skip(campaign, message_no, &recipient, reason, true)?;
                    }
                }
            }
        }
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
        Ok(Some(Claimed { id, campaign, epoch, message_no, wave: None, to_seq: to, recipients }))
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

    fn skip(
        &mut self,
        campaign: CampaignId,
        message_no: u32,
        r: &Recipient,
        reason: SkipReason,
        waited: bool,
    ) -> Result<()> {
        let settled = Settled {
            claim: ClaimId(0),
            campaign,
            message_no,
            seq: r.seq,
            number: r.number,
            fate: Fate::Final {
                outcome: Outcome::Skipped,
                reason: Some(reason),
                code: None,
                detail: None,
                provider_ids: Vec::new(),
                parts: 0,
            },
            attempts: r.attempts,
        };
        self.deliver(&settled, waited)
    }

    fn recipients(
        &mut self,
        campaign: CampaignId,
        message_no: u32,
        from: i64,
        to: i64,
    ) -> Result<Vec<(Recipient, Decision)>> {
        let go_on = self.know(campaign.0)?.definition.go_on_after_failure;
        let mut statement = self.c.prepare_cached(include_str!("sql/claim_read.sql"))?;
        let mut rows = statement.query((campaign.0, from, to, message_no))?;
        let mut all = Vec::with_capacity((to - from) as usize);
        while let Some(row) = rows.next()? {
            let fields = match row.get_ref(2)?.as_str() {
                Ok(json) => serde_json::from_str(json).unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            let recipient =
                Recipient { seq: row.get(0)?, number: Msisdn::from_digits(row.get(1)?), fields, attempts: 0 };
            let suppressed: Option<String> = row.get(3)?;
            let previous: Option<u8> = row.get(4)?;
            let waits: Option<i64> = row.get(6)?;
            let decision = if let Some(reason) = suppressed {
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
            all.push((recipient, decision));
        }
        Ok(all)
    }

    /// Brings `settled_to` of the touched waves up to date, and leaves a mark where a follower needs it.
    fn move_waves(&mut self) -> Result<()> {
        for wave in std::mem::take(&mut self.waves) {
            mark(self.c, wave, self.now)?;
        }
        Ok(())
    }
}

/// The zones of one recipient of a frozen audience.
fn zones_of(c: &Connection, campaign: CampaignId, seq: i64) -> Result<Option<ZoneGroup>> {
    let name: Option<String> = c
        .prepare_cached(
            "SELECT zones FROM audience_group WHERE campaign_id = ?1 AND from_seq <= ?2 AND to_seq > ?2",
        )?
        .query_row((campaign.0, seq), |r| r.get(0))
        .optional()?;
    name.map(|n| ZoneGroup::parse(&n).map_err(|e| StoreError::Database(e.to_string()))).transpose()
}

#[derive(Debug, Clone, Copy)]
enum Decision {
    Goes,
    Skip(SkipReason),
    /// The message before it is still to be tried again.
    Waits,
    /// The message before it was tried again and went at this time, later than its neighbours'.
    After(i64),
}

/// Brings a wave's `settled_to` up to date and leaves a mark, at most one a second while it moves.
pub(super) fn mark(c: &Connection, wave: i64, now: i64) -> Result<()> {
    let settled: Option<i64> =
        c.prepare_cached(include_str!("sql/settled_to.sql"))?.query_row([wave], |r| r.get(0)).optional()?;
    let Some(settled) = settled else { return Ok(()) };
    // The mark's second has begun: a later position within it belongs to the second's end, so that
    // nobody counts as settled before they were.
    let second = (now / 1000 + 1) * 1000;
    c.prepare_cached(
        "INSERT INTO wave_mark (wave_id, at, settled_to)
         SELECT ?1, ?2, ?3 FROM wave w WHERE w.id = ?1 AND EXISTS
             (SELECT 1 FROM wave f WHERE f.campaign_id = w.campaign_id AND f.message_no = w.message_no + 1)
         ON CONFLICT DO UPDATE SET settled_to = excluded.settled_to",
    )?
    .execute((wave, second, settled))?;
    Ok(())
}

/// Completes the campaign if nothing of it is left to do.
pub(super) fn complete(c: &Connection, campaign: i64, now: i64) -> Result<()> {
    let left: bool = c
        .prepare_cached(
            "SELECT status <> 'running'
                 OR EXISTS (SELECT 1 FROM wave WHERE campaign_id = ?1 AND open AND next_seq < to_seq)
                 OR EXISTS (SELECT 1 FROM claim WHERE campaign_id = ?1)
                 OR EXISTS (SELECT 1 FROM retry WHERE campaign_id = ?1 AND open)
             FROM campaign WHERE id = ?1",
        )?
        .query_row([campaign], |r| r.get(0))?;
    if !left {
        operate::step(c, CampaignId(campaign), Cause::Settled, "engine", now)?;
    }
    Ok(())
}
