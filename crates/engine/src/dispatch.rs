//! The turn itself: whom to claim for, within budget, rate and windows, and what to hand over.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use campaign::{
    CampaignId, ClaimId, Msisdn, Outcome, RouteId, SkipReason, Status, WaveId, ZoneGroup,
    text::{RenderError, Text},
    window::Opening,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    ClaimRequest, Claimed, Cycle, Fate, Result, RouteConfig, Settled, Store, StoreError, Wave, Work,
};
use tokio::sync::mpsc;

use crate::{Attempt, Batch, Outgoing, Refusal, Report, Reports, Route, RouteState, fate, rate::Rate};

/// Messages in one claim at most.
const LARGEST_CLAIM: u32 = 500;
/// So many refusals of the route's or sender's kind in a row, and the campaign waits.
const REFUSALS_IN_A_ROW: u32 = 20;
/// How often a waiting campaign tries one message.
const PROBE_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How long to wait after the store could not commit (full disk).
const AFTER_FAILURE: SignedDuration = SignedDuration::from_secs(1);
/// Space that must be free before anything is claimed: sending stops before accounting does.
const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// Why a campaign does not send at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingReason {
    /// Its time has not come.
    NotDue,
    /// Outside the sending window.
    WindowClosed,
    /// The route has no connection.
    RouteDown,
    /// The far end refuses, in its words.
    RouteRefuses(String),
    /// Held until a person releases it: nothing was dispatched for too long.
    Late,
}

/// Why, and until when if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Why.
    pub reason: WaitingReason,
    /// Until when.
    pub until: Option<Timestamp>,
}

struct Port {
    route: Arc<dyn Route>,
    budget: u32,
    rate: Rate,
    /// When it last had room to send: before this engine, as stored.
    alive_at: Timestamp,
}

struct Open {
    campaign: CampaignId,
    message_no: u32,
    route: RouteId,
    unsettled: BTreeMap<i64, (Msisdn, u32)>,
}

#[derive(Default)]
struct Refusing {
    in_a_row: u32,
    words: String,
    probe_at: Option<Timestamp>,
}

/// The dispatching engine of one process.
pub struct Engine {
    store: Store,
    worker: String,
    ports: BTreeMap<RouteId, Port>,
    reports: mpsc::UnboundedReceiver<Report>,
    sender: Reports,
    open: HashMap<ClaimId, Open>,
    /// What is to be stored with the next turn. Kept where a commit fails.
    pending: Cycle,
    texts: HashMap<(CampaignId, i64), Arc<Vec<Text>>>,
    refusing: HashMap<CampaignId, Refusing>,
    waiting: HashMap<CampaignId, Vec<Waiting>>,
    turn: usize,
}

impl Engine {
    /// An engine over `store`. `worker` names it: claims of any other name count as orphaned and are
    /// settled as In doubt, so no other engine may work on this data.
    ///
    /// # Errors
    /// Where the data lies in another place than it was made or adopted in: it must not dispatch.
    pub async fn start(store: Store, worker: String, now: Timestamp) -> Result<Self> {
        if !store.is_at_home().await? {
            return Err(StoreError::Database(
                "this data was copied or restored; run `carillon adopt` before it may send".into(),
            ));
        }
        let doubts = store.recover(worker.clone(), now).await?;
        if doubts > 0 {
            tracing::warn!(doubts, "messages were in flight when the program ended; they are in doubt");
        }
        let (sender, reports) = mpsc::unbounded_channel();
        Ok(Self {
            store,
            worker,
            ports: BTreeMap::new(),
            reports,
            sender,
            open: HashMap::new(),
            pending: Cycle::default(),
            texts: HashMap::new(),
            refusing: HashMap::new(),
            waiting: HashMap::new(),
            turn: 0,
        })
    }

    /// Where routes put their reports.
    pub fn reports(&self) -> Reports {
        self.sender.clone()
    }

    /// Adds a route.
    pub async fn add_route(
        &mut self,
        id: RouteId,
        config: &RouteConfig,
        route: Arc<dyn Route>,
        now: Timestamp,
    ) -> Result<()> {
        let alive_at = self.store.routes_alive_at().await?.get(&id.0).copied().unwrap_or(Timestamp::MIN);
        let rate = Rate::new(config.rate_per_second, now);
        self.ports.insert(id, Port { route, budget: config.claim_budget(), rate, alive_at });
        Ok(())
    }

    /// Why a campaign does not send at this moment; empty while it does.
    pub fn waiting(&self, id: CampaignId) -> &[Waiting] {
        self.waiting.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Stops a campaign. When this answers, everything that was written has been read by the far end, and
    /// nothing more of the campaign will be.
    pub async fn stop(&mut self, id: CampaignId, actor: String, now: Timestamp) -> Result<()> {
        self.store.stop(id, actor, now).await?;
        for port in self.ports.values() {
            port.route.fence(id).await;
        }
        while self.open.values().any(|o| o.campaign == id) {
            self.gather(now);
            self.store_turn(Cycle::default(), now).await?;
        }
        Ok(())
    }

    /// One turn at `now`. Answers when the next one is worth taking; `None`: only when something is
    /// reported or changed.
    pub async fn cycle(&mut self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.gather(now);
        let work = self.store.work().await?;
        let mut asks = Cycle::default();
        let mut wake = None;
        if self.store.free_space()? >= RESERVE_BYTES {
            self.choose(&work, &mut asks, &mut wake, now);
        } else {
            soonest(&mut wake, now + AFTER_FAILURE);
        }
        // Results make retries and free followers, which the work that was read does not show yet.
        let news = !self.pending.settled.is_empty() || !self.pending.unwritten.is_empty();
        let claimed = match self.store_turn(asks, now).await {
            Ok(claimed) => claimed,
            Err(StoreError::DiskFull) => return Ok(Some(now + AFTER_FAILURE)),
            Err(e) => return Err(e),
        };
        if news || !claimed.is_empty() {
            wake = Some(now);
        }
        for claim in claimed {
            if let Some(work) = work.iter().find(|w| w.id == claim.campaign) {
                self.hand_over(work, claim);
            }
        }
        let live: HashSet<_> = work.iter().map(|w| w.id).collect();
        self.texts.retain(|(id, _), _| live.contains(id));
        self.waiting.retain(|id, _| live.contains(id));
        self.refusing.retain(|id, _| live.contains(id));
        Ok(if self.pending.settled.is_empty() { wake } else { Some(now) })
    }

    /// Takes what routes reported into the next turn.
    fn gather(&mut self, now: Timestamp) {
        while let Ok(report) = self.reports.try_recv() {
            match report {
                Report::Receipt(receipt) => self.pending.receipts.push(receipt),
                Report::Unwritten { claim, from_seq } => {
                    if let Some(open) = self.open.get_mut(&claim) {
                        open.unsettled.split_off(&from_seq);
                        self.pending.unwritten.push((claim, from_seq));
                    }
                }
                Report::Result { claim, seq, attempt } => self.result(claim, seq, attempt, now),
            }
        }
    }

    fn result(&mut self, claim: ClaimId, seq: i64, attempt: Attempt, now: Timestamp) {
        let Some(open) = self.open.get_mut(&claim) else { return };
        let Some((number, before)) = open.unsettled.remove(&seq) else { return };
        let campaign = open.campaign;
        match &attempt {
            Attempt::Accepted { .. } => {
                self.refusing.remove(&campaign);
            }
            Attempt::Refused { kind: Refusal::Route, words, .. } => {
                let refusing = self.refusing.entry(campaign).or_default();
                refusing.in_a_row += 1;
                refusing.words.clone_from(words);
                if refusing.in_a_row >= REFUSALS_IN_A_ROW && refusing.probe_at.is_none() {
                    refusing.probe_at = Some(now + PROBE_EVERY);
                }
            }
            Attempt::Refused { .. } | Attempt::Lost { .. } => {}
        }
        let (fate, attempts) = fate::of(attempt, before, now);
        let message_no = open.message_no;
        self.settle(claim, campaign, message_no, seq, number, fate, attempts);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one row")]
    fn settle(
        &mut self,
        claim: ClaimId,
        campaign: CampaignId,
        message_no: u32,
        seq: i64,
        number: Msisdn,
        fate: Fate,
        attempts: u32,
    ) {
        self.pending.settled.push(Settled { claim, campaign, message_no, seq, number, fate, attempts });
    }

    /// Stores what is pending together with `asks`; what could not be stored stays pending.
    async fn store_turn(&mut self, asks: Cycle, now: Timestamp) -> Result<Vec<Claimed>> {
        let mut cycle = std::mem::take(&mut self.pending);
        let touched: HashSet<ClaimId> = cycle.settled.iter().map(|s| s.claim).collect();
        cycle.low = touched
            .iter()
            .filter_map(|id| {
                let (low, _) = self.open.get(id)?.unsettled.first_key_value()?;
                Some((*id, *low))
            })
            .collect();
        cycle.claims = asks.claims;
        cycle.due = asks.due;
        cycle.late = asks.late;
        cycle.alive = asks.alive;
        let (back, result) = self.store.cycle(cycle, self.worker.clone(), now).await?;
        match result {
            Ok(cycled) => {
                self.open.retain(|_, open| !open.unsettled.is_empty());
                Ok(cycled.claimed)
            }
            Err(e) => {
                self.pending = Cycle {
                    settled: back.settled,
                    receipts: back.receipts,
                    unwritten: back.unwritten,
                    ..Cycle::default()
                };
                Err(e)
            }
        }
    }

    /// Decides what to claim at `now`.
    fn choose(&mut self, work: &[Work], asks: &mut Cycle, wake: &mut Option<Timestamp>, now: Timestamp) {
        self.turn += 1;
        self.waiting.clear();
        for w in work {
            if w.status == Status::Scheduled && w.waves.iter().any(|wave| wave.due_at <= now) {
                asks.due.push(w.id);
            }
        }
        let mut outstanding: HashMap<RouteId, u32> = HashMap::new();
        for open in self.open.values() {
            *outstanding.entry(open.route).or_default() += open.unsettled.len() as u32;
        }
        for (id, port) in &mut self.ports {
            let mine: Vec<&Work> = work.iter().filter(|w| w.definition.route_id == Some(*id)).collect();
            if mine.is_empty() {
                continue;
            }
            let state = port.route.state();
            let connected = state == RouteState::Connected;
            if connected {
                asks.alive.push(*id);
            }
            let mut room = port
                .budget
                .saturating_sub(outstanding.get(id).copied().unwrap_or(0))
                .min(port.rate.room(now));
            // Each campaign in turn begins, and none takes more than its share while others wait.
            let share = room.div_ceil(mine.len() as u32).max(1);
            let mut queueing = false;
            for turn in 0..mine.len() {
                let w = mine[(self.turn + turn) % mine.len()];
                let mut waits = Vec::new();
                let mut chooser = Chooser {
                    w,
                    alive_at: port.alive_at,
                    now,
                    wake,
                    late: &mut asks.late,
                    waits: &mut waits,
                };
                let ready = chooser.ready();
                if !connected && (!ready.is_empty() || w.next_retry.is_some_and(|at| at <= now)) {
                    let reason = match &state {
                        RouteState::Refused(words) => WaitingReason::RouteRefuses(words.clone()),
                        _ => WaitingReason::RouteDown,
                    };
                    waits = vec![Waiting { reason, until: None }];
                }
                let mut most = share.min(room).min(LARGEST_CLAIM);
                if let Some(refusing) = self.refusing.get_mut(&w.id)
                    && let Some(probe_at) = refusing.probe_at
                {
                    waits.push(Waiting {
                        reason: WaitingReason::RouteRefuses(refusing.words.clone()),
                        until: Some(probe_at),
                    });
                    most = most.min(u32::from(probe_at <= now));
                    if most == 1 {
                        refusing.probe_at = Some(now + PROBE_EVERY);
                    }
                    soonest(wake, probe_at.max(now + SignedDuration::from_millis(1)));
                }
                self.waiting.insert(w.id, waits);
                if !connected {
                    continue;
                }
                if w.next_retry.is_some_and(|at| at <= now) && most > 0 {
                    asks.claims.push(ClaimRequest::Retries { campaign: w.id, epoch: w.epoch, most });
                    room -= most;
                    most = share.min(room).min(most);
                    if self.refusing.get(&w.id).is_some_and(|r| r.probe_at.is_some()) {
                        most = 0;
                    }
                }
                for (wave, settled_before) in ready {
                    let take = most.min((wave.to_seq - wave.next_seq) as u32);
                    if take == 0 {
                        queueing = true;
                        continue;
                    }
                    asks.claims.push(ClaimRequest::Wave {
                        campaign: w.id,
                        epoch: w.epoch,
                        wave: wave.id,
                        most: take,
                        settled_before,
                    });
                    most -= take;
                    room -= take;
                }
            }
            if connected {
                port.alive_at = now;
            }
            if queueing {
                soonest(wake, port.rate.next().max(now + SignedDuration::from_millis(1)));
            }
        }
        for at in work.iter().filter_map(|w| w.next_retry).filter(|at| *at > now) {
            soonest(wake, at);
        }
    }

    /// Renders what was claimed and hands it to the route.
    fn hand_over(&mut self, work: &Work, claim: Claimed) {
        let (Some(route), Some(sender)) = (work.definition.route_id, work.definition.sender.clone()) else {
            return;
        };
        self.open.insert(
            claim.id,
            Open {
                campaign: work.id,
                message_no: claim.message_no,
                route,
                unsettled: claim.recipients.iter().map(|r| (r.seq, (r.number, r.attempts))).collect(),
            },
        );
        let texts = self.texts.entry((work.id, work.epoch)).or_insert_with(|| {
            // Checked at save and at schedule; one that cannot be read any more sends nothing.
            Arc::new(work.definition.messages.iter().filter_map(|m| Text::parse(&m.text).ok()).collect())
        });
        let text = texts.get(claim.message_no as usize - 1).cloned();
        let mut messages = Vec::with_capacity(claim.recipients.len());
        let mut skipped = Vec::new();
        for mut r in claim.recipients {
            let values = std::mem::take(&mut r.fields);
            match text.as_ref().map(|t| t.render(&work.fields, values)) {
                Some(Ok(text)) => messages.push(Outgoing { seq: r.seq, number: r.number, text }),
                Some(Err(RenderError::MissingField)) => {
                    skipped.push((r, Some(SkipReason::MissingField), None));
                }
                Some(Err(RenderError::Broken(why))) => skipped.push((r, None, Some(why))),
                None => skipped.push((r, None, Some("the text cannot be read".to_owned()))),
            }
        }
        for (r, reason, detail) in skipped {
            let outcome = if reason.is_some() { Outcome::Skipped } else { Outcome::Failed };
            let fate =
                Fate::Final { outcome, reason, code: None, detail, provider_ids: Vec::new(), parts: 0 };
            if let Some(open) = self.open.get_mut(&claim.id) {
                open.unsettled.remove(&r.seq);
            }
            self.settle(claim.id, work.id, claim.message_no, r.seq, r.number, fate, r.attempts + 1);
        }
        if let Some(port) = self.ports.get_mut(&route)
            && !messages.is_empty()
        {
            port.rate.take(messages.len());
            port.route.submit(Batch {
                claim: claim.id,
                campaign: work.id,
                sender,
                to_seq: claim.to_seq,
                messages,
            });
        }
    }
}

/// Looks through one campaign's waves.
struct Chooser<'w, 'a> {
    w: &'w Work,
    alive_at: Timestamp,
    now: Timestamp,
    wake: &'a mut Option<Timestamp>,
    late: &'a mut Vec<WaveId>,
    waits: &'a mut Vec<Waiting>,
}

impl<'w> Chooser<'w, '_> {
    /// The waves that may be claimed now, with the bound for followers.
    fn ready(&mut self) -> Vec<(&'w Wave, Option<Timestamp>)> {
        let mut ready = Vec::new();
        for wave in &self.w.waves {
            if wave.held {
                self.wait(WaitingReason::Late, None);
                continue;
            }
            if wave.due_at > self.now {
                self.wait(WaitingReason::NotDue, Some(wave.due_at));
                soonest(self.wake, wave.due_at);
                continue;
            }
            // Names were checked when the audience was frozen.
            let Ok(zones) = ZoneGroup::parse(&wave.zones) else { continue };
            let mut since = wave.due_at;
            if let Some(window) = &self.w.definition.window {
                match window.at(&zones, self.now) {
                    Opening::Open { since: opened, .. } => since = since.max(opened),
                    Opening::Closed { next } => {
                        self.wait(WaitingReason::WindowClosed, Some(next));
                        soonest(self.wake, next);
                        continue;
                    }
                    Opening::Never => {
                        self.wait(WaitingReason::WindowClosed, None);
                        continue;
                    }
                }
            }
            // Queueing while the route had room to send is not lateness.
            let base = since.max(self.alive_at).max(self.w.restarted_at.unwrap_or(Timestamp::MIN));
            let send = &self.w.definition.messages[wave.message_no as usize - 1].send;
            if self.now.duration_since(base) > self.w.definition.lateness_limit {
                self.late.push(wave.id);
                self.wait(WaitingReason::Late, None);
                continue;
            }
            if send.is_after() {
                // What its leader has not settled long enough ago is looked for again every second.
                soonest(self.wake, self.now + SignedDuration::from_secs(1));
            }
            ready.push((wave, send.is_after().then(|| send.settled_before(&zones, self.now))));
        }
        ready
    }

    fn wait(&mut self, reason: WaitingReason, until: Option<Timestamp>) {
        match self.waits.iter_mut().find(|w| w.reason == reason) {
            Some(known) => known.until = known.until.min(until),
            None => self.waits.push(Waiting { reason, until }),
        }
    }
}

fn soonest(wake: &mut Option<Timestamp>, at: Timestamp) {
    *wake = Some(wake.map_or(at, |w| w.min(at)));
}
