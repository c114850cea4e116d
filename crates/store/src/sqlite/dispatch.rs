//! The engine's turn: results, receipts, put-backs and new claims, all in one transaction.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    rc::Rc,
    sync::Arc,
};

use campaign::{CampaignId, ClaimId, Outcome, SkipReason, Status, ZoneGroup, lifecycle::Cause};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params, types::ToSqlOutput};

use super::{
    Store, answer,
    bulk::{self, Rows},
    campaigns, freeze, limit, ms, operate, opt_out, reply, settings,
    tally::Deltas,
    time,
    webhooks::News,
    writer::{self, Effect},
};
use crate::{
    By, CampaignError, Change, ClockStep, Cycle, Cycled, Definition, Fate, Fault, Held, Result, Settings,
    Settled, StoreError, Unwritten,
    provider_id::{folded, spelling},
};

/// The most attempts to keep for a message; one that is throttled for days would fill the disk.
const ATTEMPTS_KEPT: u32 = 50;
/// A date this near was set by a wait after a refusal, and moves with a clock that is set.
const BACKOFF_DATED: SignedDuration = SignedDuration::from_mins(5);

/// The name in histories for what happens by itself.
const ENGINE: &str = "engine";

impl Store {
    /// Runs one turn of the engine. `worker` names this engine: its claims are orphaned when it is gone. The writer has
    /// the turn when this returns; the future resolves after the commit.
    pub fn cycle(
        &self,
        cycle: Cycle,
        worker: String,
        now: Timestamp,
    ) -> impl Future<Output = (Cycle, Result<Cycled>)> + use<> {
        // The input comes back with the result, so that nothing is lost where the commit fails.
        let cycle = Arc::new(cycle);
        let theirs = cycle.clone();
        let committed = self.write_begun(move |c, effects| {
            let (cycled, heard) = turn(c, &worker, now, &theirs)?;
            effects.extend(heard.into_iter().map(|(number, held)| Effect::OptOuts(number, held)));
            effects.extend(cycled.changed.iter().map(|id| Effect::Told(Change::Campaign(*id))));
            Ok(cycled)
        });
        async move {
            let result = committed.await;
            (Arc::try_unwrap(cycle).unwrap_or_else(|shared| (*shared).clone()), result)
        }
    }
}

type Ran = (Cycled, Vec<opt_out::Held>);

/// Runs a turn whole. Where part of it cannot be stored, each campaign is stored separately, so that a bad row affects
/// its own campaign and no other.
fn turn(c: &Connection, worker: &str, now: Timestamp, cycle: &Cycle) -> Result<Ran> {
    // A savepoint costs something with each page that is written: the usual turn has none but its job's.
    match Turn::new(c, worker, now)?.run(cycle) {
        Ok(ran) => Ok(ran),
        Err(StoreError::DiskFull) => Err(StoreError::DiskFull),
        Err(whole) => {
            // An error that rolled everything back is not for the campaigns to bear.
            if c.is_autocommit() {
                return Err(whole);
            }
            writer::undo(c)?;
            let mut rest = cycle.clone();
            let (mut all, mut heard) = (Cycled::default(), Vec::new());
            let mut stored = false;
            let mut take = |part: &Cycle| match within(c, || Turn::new(c, worker, now)?.run(part)) {
                Ok((cycled, held)) => {
                    stored = true;
                    all.claimed.extend(cycled.claimed);
                    all.answers.extend(cycled.answers);
                    all.changed.extend(cycled.changed);
                    heard.extend(held);
                    None
                }
                Err(e) => Some(e),
            };
            let mut faults = Vec::new();
            for campaign in cycle.campaigns() {
                let part = rest.take_campaign(campaign);
                let Some(e) = take(&part) else { continue };
                let words = e.to_string();
                let ended = within(c, || end_faulty(c, campaign, part.broken, &words, now)).unwrap_or(false);
                faults.push(Fault { campaign, words, ended });
            }
            // A receipt or reply that cannot be stored is left out: if it were asked for again, it would fail again.
            for receipt in std::mem::take(&mut rest.receipts) {
                if let Some(e) = take(&Cycle { receipts: vec![receipt], ..Cycle::default() }) {
                    tracing::error!(error = %e, "a receipt could not be stored and is left out");
                }
            }
            for reply in std::mem::take(&mut rest.replies) {
                if let Some(e) = take(&Cycle { replies: vec![reply], ..Cycle::default() }) {
                    tracing::error!(error = %e, "a reply could not be stored and is left out");
                }
            }
            if let Some(e) = take(&rest) {
                return Err(e);
            }
            // Where nothing at all can be stored, the campaigns are not to blame.
            if !stored || c.is_autocommit() {
                return Err(whole);
            }
            all.faults = faults;
            Ok((all, heard))
        }
    }
}

/// Ends a campaign of calls whose part of a turn cannot be stored: what the turn found broken stands, if it did. Returns
/// whether the campaign has ended by it; one of messages waits and goes on.
fn end_faulty(
    c: &Connection,
    id: CampaignId,
    broken: Vec<(CampaignId, CampaignError)>,
    words: &str,
    now: Timestamp,
) -> Result<bool> {
    let old = campaigns::load(c, id)?;
    if old.definition.content.calls().is_none() || old.status != Status::Running {
        return Ok(false);
    }
    let error = broken.into_iter().next().map_or_else(
        || CampaignError {
            cause: "results of calls could not be stored".to_owned(),
            detail: words.to_owned(),
            first_at: now,
            last_at: now,
            calls_affected: 0,
            sip_code: None,
            exchange: Vec::new(),
            check: vec![
                "the data with `carillon check`".to_owned(),
                "the disk that holds the data, and the log of this server".to_owned(),
            ],
        },
        |(_, error)| error,
    );
    operate::fail(c, id, &error, &By::new(ENGINE, now))?;
    Ok(true)
}

/// Runs `f` in a savepoint: kept where it succeeds, undone where it fails.
fn within<T>(c: &Connection, f: impl FnOnce() -> Result<T>) -> Result<T> {
    c.prepare_cached("SAVEPOINT turn")?.execute([])?;
    let result = f();
    // A full disk rolls the whole transaction back, savepoints and all.
    if !c.is_autocommit() {
        if result.is_err() {
            c.prepare_cached("ROLLBACK TO turn")?.execute([])?;
        }
        c.prepare_cached("RELEASE turn")?.execute([])?;
    }
    result
}

/// What a turn knows about a campaign.
pub(super) struct Known {
    pub(super) definition: Definition,
    pub(super) epoch: i64,
    /// Whether it is Scheduled or Running: its retries stay open.
    pub(super) active: bool,
    pub(super) restarted_at: Timestamp,
    route: i64,
}

/// Whether a claim took a part of a wave or retries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClaimKind {
    Wave,
    Retries,
}

/// One transaction of the engine: gathers what it changes, and brings totals, waves and statuses up to date at its end.
pub(super) struct Turn<'a> {
    pub(super) c: &'a Connection,
    pub(super) worker: &'a str,
    pub(super) now: i64,
    pub(super) deltas: Deltas,
    known: HashMap<i64, Rc<Known>>,
    pub(super) touched: BTreeSet<i64>,
    pub(super) waves: HashSet<i64>,
    /// The account's settings, once they have been read.
    settings: OnceCell<Settings>,
    /// Whether messages are logged because of a limit.
    pub(super) noted: bool,
    /// What webhooks are to be notified of.
    pub(super) news: News,
    /// Whether any receipts wait for their results.
    pub(super) early: bool,
    /// Whether receipts that had waited too long were dropped in this turn.
    pub(super) swept: bool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(c: &'a Connection, worker: &'a str, now: Timestamp) -> Result<Self> {
        let early =
            c.prepare_cached("SELECT EXISTS (SELECT 1 FROM early_receipt)")?.query_row([], |r| r.get(0))?;
        Ok(Self {
            c,
            worker,
            now: ms(now),
            deltas: Deltas::default(),
            known: HashMap::new(),
            touched: BTreeSet::new(),
            waves: HashSet::new(),
            settings: OnceCell::new(),
            noted: limit::noted(c)?,
            news: News::new(c)?,
            early,
            swept: false,
        })
    }

    fn run(mut self, cycle: &Cycle) -> Result<(Cycled, Vec<opt_out::Held>)> {
        for campaign in &cycle.due {
            match operate::step(self.c, *campaign, Cause::Due, &By::new(ENGINE, time(self.now))) {
                // It was stopped or archived at the moment when it came due: nothing of it is due any more.
                Ok(_) | Err(StoreError::NotAllowed(_)) => {}
                Err(e) => return Err(e),
            }
            self.touched.insert(campaign.0);
        }
        if let Some(ClockStep { from, by }) = cycle.stepped {
            self.c.prepare_cached(include_str!("sql/retries_redate.sql"))?.execute((
                by.as_millis() as i64,
                ms(from),
                ms(from.saturating_add(BACKOFF_DATED).unwrap_or(from)),
            ))?;
            answer::clock_stepped(self.c, ms(from), by.as_millis() as i64)?;
        }
        for (_, wave) in &cycle.late {
            self.c
                .prepare_cached("UPDATE wave SET held = ?2 WHERE id = ?1 AND open")?
                .execute((wave.0, Held::Late.code()))?;
        }
        for route in &cycle.alive {
            self.c
                .prepare_cached("UPDATE route SET alive_at = ?2 WHERE id = ?1")?
                .execute((route.0, self.now))?;
        }
        // Before what it is about: an opt-out that is heard in the same turn forbids a further call.
        let mut heard = self.opt_out_by_key(&cycle.opt_outs)?;
        self.keep_calls(&cycle.calls)?;
        self.settle(&cycle.settled, &cycle.low)?;
        for Unwritten { claim, from, .. } in &cycle.unwritten {
            self.put_back(*claim, *from)?;
        }
        for receipt in &cycle.receipts {
            self.receipt(receipt)?;
        }
        answer::settle(self.c, &cycle.answered, self.now)?;
        for reply in &cycle.replies {
            let reply = reply::hear(self.c, reply, self.now)?;
            self.touched.extend(reply.campaign.map(|c| c.0));
            heard.extend(reply.held);
        }
        for (campaign, error) in &cycle.broken {
            operate::fail(self.c, *campaign, error, &By::new(ENGINE, time(self.now)))?;
            self.touched.insert(campaign.0);
        }
        let mut claimed = Vec::new();
        for request in &cycle.claims {
            claimed.extend(self.claim(request)?);
        }
        let mut answers = Vec::new();
        for route in &cycle.answer {
            answers.extend(answer::take(self.c, *route, self.now)?);
        }
        let changed = self.finish()?;
        Ok((Cycled { claimed, answers, changed, faults: Vec::new() }, heard))
    }

    /// Brings `settled_to` of the touched waves, the totals and the statuses up to date.
    pub(super) fn finish(mut self) -> Result<Vec<CampaignId>> {
        for wave in std::mem::take(&mut self.waves) {
            mark(self.c, wave, self.now)?;
        }
        self.tell_news()?;
        self.deltas.apply(self.c)?;
        for campaign in &self.touched {
            complete(self.c, *campaign, self.now)?;
        }
        Ok(self.touched.into_iter().map(CampaignId).collect())
    }

    pub(super) fn settings(&self) -> Result<&Settings> {
        if let Some(known) = self.settings.get() {
            return Ok(known);
        }
        let settings = settings::read(self.c)?;
        Ok(self.settings.get_or_init(|| settings))
    }

    pub(super) fn know(&mut self, campaign: CampaignId) -> Result<Rc<Known>> {
        if let Some(known) = self.known.get(&campaign.0) {
            return Ok(known.clone());
        }
        let row = campaigns::load(self.c, campaign)?;
        let known = Rc::new(Known {
            epoch: row.epoch,
            active: matches!(row.status, Status::Scheduled | Status::Running),
            restarted_at: row.restarted_at.map_or(Timestamp::MIN, time),
            route: row.definition.route_id.map_or(0, |r| r.0),
            definition: row.definition,
        });
        self.known.insert(campaign.0, known.clone());
        Ok(known)
    }

    /// Settles claimed messages. The claim is the right to settle: a result whose claim is gone (recovered, drained)
    /// was accounted for as In doubt and can only correct that.
    pub(super) fn settle(&mut self, settled: &[Settled], low: &[(ClaimId, i64)]) -> Result<()> {
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
            if self.noted && self.know(s.campaign)?.definition.content.calls().is_some() {
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
        self.c.prepare_cached(include_str!("sql/retry_again.sql"))?.execute(params![
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
    pub(super) fn shrink_claim(&mut self, claim: i64, by: i64) -> Result<()> {
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
    pub(super) fn deliver(&mut self, settled: &[&Settled]) -> Result<()> {
        if settled.is_empty() {
            return Ok(());
        }
        let c = self.c;
        let mut rows = Rows::new(c, include_str!("sql/delivery_add.sql"), 13)?;
        let mut keys = Rows::new(c, include_str!("sql/receipt_key_add.sql"), 8)?;
        let mut contacts = Rows::new(c, include_str!("sql/last_contact_add.sql"), 4)?;
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
    pub(super) fn end_retry(&mut self, campaign: CampaignId, message_no: u32, seq: i64) -> Result<()> {
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
    pub(super) fn follower_due(
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

/// The zones of one recipient of a frozen audience.
pub(super) fn zones_of(c: &Connection, campaign: CampaignId, seq: i64) -> Result<Option<ZoneGroup>> {
    let name: Option<String> = c
        .prepare_cached(
            "SELECT zones FROM audience_group WHERE campaign_id = ?1 AND from_seq <= ?2 AND to_seq > ?2",
        )?
        .query_row((campaign.0, seq), |r| r.get(0))
        .optional()?;
    name.map(|n| freeze::zone(&n)).transpose()
}

/// Brings a wave's `settled_to` up to date and leaves a mark, at most one a second while it moves.
pub(super) fn mark(c: &Connection, wave: i64, now: i64) -> Result<()> {
    let settled: Option<i64> =
        c.prepare_cached(include_str!("sql/settled_to.sql"))?.query_row([wave], |r| r.get(0)).optional()?;
    let Some(settled) = settled else { return Ok(()) };
    // The mark's second has begun: a later position within it belongs to the second's end, so that nobody counts as
    // settled before they were.
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
        operate::step(c, CampaignId(campaign), Cause::Settled, &By::new(ENGINE, time(now)))?;
    }
    Ok(())
}
