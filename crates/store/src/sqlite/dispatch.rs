//! The engine's turn: results, receipts, put-backs and new claims, all in one transaction.

mod settle;

use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use campaign::{CampaignId, Status, ZoneGroup, lifecycle::Cause};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{
    Store, answer, campaigns, freeze, limit, ms, operate, opt_out, reply, settings,
    tally::Deltas,
    time,
    webhooks::News,
    writer::{self, Effect},
};
use crate::{
    By, CampaignError, Change, ClockStep, Cycle, Cycled, Definition, Fault, Held, Result, Settings,
    StoreError, Unwritten,
};

/// A date this near was set by a wait after a refusal, and moves with a clock that is set.
const BACKOFF_DATED: SignedDuration = SignedDuration::from_mins(5);

/// Who histories name where the program acts by itself.
pub const BY_ITSELF: &str = "engine";

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
    operate::fail(c, id, &error, &By::new(BY_ITSELF, now))?;
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
            match operate::step(self.c, *campaign, Cause::Due, &By::new(BY_ITSELF, time(self.now))) {
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
            operate::fail(self.c, *campaign, error, &By::new(BY_ITSELF, time(self.now)))?;
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
        operate::step(c, CampaignId(campaign), Cause::Settled, &By::new(BY_ITSELF, time(now)))?;
    }
    Ok(())
}
