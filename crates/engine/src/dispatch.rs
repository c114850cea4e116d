//! The engine: what it knows, and its turn. What was reported and what is to be claimed go to the store in one transaction.

mod hear;
mod ports;
mod turn;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use campaign::{CampaignId, ClaimId, Msisdn, RouteId, Senders, Status, retry, script::Said, text::Text};
use jiff::{SignedDuration, Timestamp};
use store::{
    By, Claimed, ClockStep, Cycle, Cycled, Definition, Fault, Result, RouteConfig, RouteKind, Store,
    StoreError, Tries, Work,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Ack, Connect, Report, Reports, Route, RouteState, Traffic, Waiting, WaitingReason,
    ahead::Ahead,
    choose::{Asks, Facts, Key, PortFacts, SOON, Served, choose},
    crowded::Answers,
    limits::{Limit, Limits},
    refusal::Refusals,
    service::{Command, Handle, Stopping},
    trunk::Trunks,
    waiting,
};

/// How often the store is told that a route had room: the most that a crash adds to lateness.
const ALIVE_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How long to wait after the store could not commit (full disk).
pub(crate) const AFTER_FAILURE: SignedDuration = SignedDuration::from_secs(1);
/// A call that is made again within this time is due, for all that is known of its trunk.
const SOON_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// Free space needed before anything is claimed: sending stops before the disk is too full to record it.
const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Under these locks values are only put in and taken out whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What others may read while the engine works.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) waiting: Mutex<HashMap<CampaignId, Vec<Waiting>>>,
    pub(crate) routes: Mutex<BTreeMap<RouteId, Arc<dyn Route>>>,
    pub(crate) traffic: Mutex<BTreeMap<RouteId, Traffic>>,
}

pub(crate) struct Port {
    pub(crate) route: Arc<dyn Route>,
    config: RouteConfig,
    /// Whether its settings were changed: it claims nothing more, and goes once all it has is accounted for.
    pub(crate) outdated: bool,
    /// When it last had room to send; from the store until this engine has seen it.
    pub(crate) alive_at: Timestamp,
    pub(crate) alive_stored: Timestamp,
    pub(crate) traffic: Traffic,
    /// What calls were answered with.
    pub(crate) answers: Answers,
}

pub(crate) struct Open {
    pub(crate) campaign: CampaignId,
    pub(crate) message_no: u32,
    pub(crate) route: RouteId,
    pub(crate) senders: Arc<Senders>,
    pub(crate) definition: Arc<Definition>,
    /// How many segments each message counts as in the route's budget.
    pub(crate) segments: u32,
    pub(crate) unsettled: BTreeMap<i64, (Msisdn, Tries)>,
}

/// A campaign whose data could not be read or stored.
pub(crate) struct Faulty {
    words: String,
    /// When the campaign is tried again.
    until: Timestamp,
    /// What is still to be stored for it.
    unstored: Cycle,
}

/// The dispatching engine of one process.
pub struct Engine {
    pub(crate) store: Store,
    worker: String,
    connect: Connect,
    pub(crate) ports: BTreeMap<RouteId, Port>,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    pub(crate) sender: Reports,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    orders: mpsc::UnboundedSender<Command>,
    pub(crate) open: HashMap<ClaimId, Open>,
    /// What is to be stored with the next turn; kept when a commit fails.
    pub(crate) pending: Cycle,
    /// The turn before, emptied: its memory is used again.
    spare: Cycle,
    acks: Vec<Ack>,
    /// Acknowledgements that wait until the current turn is on disk.
    storing: Vec<Ack>,
    /// Claimed, not yet rendered and handed over.
    pub(crate) claimed: Vec<(Work, Claimed)>,
    pub(crate) texts: HashMap<(CampaignId, i64), Arc<Vec<Option<Text>>>>,
    pub(crate) scripts: HashMap<(CampaignId, i64), Arc<Option<Said>>>,
    /// How far what calls say is rendered.
    pub(crate) ahead: Ahead,
    /// Numbers with a call up, and the calls to each before it that count.
    pub(crate) calling: HashMap<Msisdn, Vec<retry::Call>>,
    pub(crate) trunks: Trunks,
    /// Campaigns whose calls go on differently since the last turn.
    progressed: HashSet<CampaignId>,
    /// The most segments that a message of each campaign came to.
    pub(crate) segments: HashMap<CampaignId, u32>,
    pub(crate) refusals: Refusals,
    /// Campaigns with recipients who can be tried now and have not been.
    asking: HashSet<CampaignId>,
    pub(crate) limits: Limits<Key>,
    /// When each campaign last had something claimed.
    served: HashMap<CampaignId, Served>,
    pub(crate) faulty: HashMap<CampaignId, Faulty>,
    /// A step of the clock that the store has not been told of yet.
    stepped: Option<ClockStep>,
    pub(crate) stopping: HashMap<CampaignId, Stopping>,
    pub(crate) desk: Arc<Desk>,
    turn: u64,
    /// Whether the process is about to end: it claims nothing more.
    pub(crate) closing: bool,
    /// Answers to replies that a route holds, by id, with the route.
    pub(crate) answering: HashMap<i64, RouteId>,
    /// The right to dispatch, which one process has at a time.
    _right: store::Hold,
}

impl Engine {
    /// An engine over `store` with the store's routes. `worker` names it: claims of any other name count
    /// as orphaned and are settled as In doubt, so no other engine may work on this data.
    ///
    /// # Errors
    /// [`StoreError::MayNotDispatch`] where the data was copied and not adopted, or another process
    /// dispatches from it.
    pub async fn start(store: Store, worker: String, connect: Connect, now: Timestamp) -> Result<Self> {
        let right = store.take_dispatch().await?;
        let doubts = store.recover(worker.clone(), now).await?;
        if doubts > 0 {
            tracing::warn!(doubts, "messages were in flight when the program ended; they are in doubt");
        }
        let (sender, reports) = mpsc::unbounded_channel();
        let (orders, commands) = mpsc::unbounded_channel();
        let mut engine = Self {
            store,
            worker,
            connect,
            ports: BTreeMap::new(),
            reports,
            sender,
            commands,
            orders,
            open: HashMap::new(),
            pending: Cycle::default(),
            spare: Cycle::default(),
            acks: Vec::new(),
            storing: Vec::new(),
            claimed: Vec::new(),
            texts: HashMap::new(),
            scripts: HashMap::new(),
            ahead: Ahead::default(),
            calling: HashMap::new(),
            trunks: Trunks::default(),
            progressed: HashSet::new(),
            segments: HashMap::new(),
            refusals: Refusals::default(),
            asking: HashSet::new(),
            limits: Limits::default(),
            served: HashMap::new(),
            faulty: HashMap::new(),
            stepped: None,
            stopping: HashMap::new(),
            desk: Arc::default(),
            turn: 0,
            closing: false,
            answering: HashMap::new(),
            _right: right,
        };
        engine.connect_routes(now).await?;
        Ok(engine)
    }

    /// A handle by which others speak to this engine while it runs.
    pub fn handle(&self) -> Handle {
        Handle::new(self.orders.clone(), self.desk.clone())
    }

    /// Stops a campaign. The receiver hears when nothing more of it will be written, the far end has read everything
    /// that was, and, where its content requires it, all of that is accounted for ([`campaign::content::Stopped`]). A
    /// second stop meanwhile waits for the same.
    pub async fn stop(&mut self, id: CampaignId, by: By) -> Result<oneshot::Receiver<()>> {
        let (answer, stopped) = oneshot::channel();
        if let Some(stopping) = self.stopping.get_mut(&id) {
            stopping.answers.push(answer);
            return Ok(stopped);
        }
        let answered_when = self.store.stop(id, by).await?;
        self.withdraw(id);
        self.stopping.insert(id, Stopping { answered_when, fenced: false, answers: vec![answer] });
        Ok(stopped)
    }

    /// Puts back what was claimed for a campaign and not handed over, and has every route write nothing more of it.
    pub(crate) fn withdraw(&mut self, id: CampaignId) {
        self.put_back(id);
        self.fence(id);
    }

    /// Tells every route to write nothing more of a campaign; [`Command::Fenced`] says when that holds.
    pub(crate) fn fence(&self, id: CampaignId) {
        let routes: Vec<_> = self.ports.values().map(|p| p.route.clone()).collect();
        let orders = self.orders.clone();
        tokio::spawn(async move {
            futures::future::join_all(routes.iter().map(|route| route.fence(id))).await;
            let _ = orders.send(Command::Fenced(id));
        });
    }

    /// Takes one turn at `now`. Returns when the next one is worth taking; `None`: only when something is reported or
    /// changed.
    pub async fn cycle(&mut self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.gather(now);
        self.renew_routes(now).await?;
        let agenda = self.store.agenda(now).await?;
        let work = agenda.campaigns;
        let (mut cycle, mut wake) = (Cycle::default(), None);
        if self.closing {
            // Only what was handed over is still recorded.
        } else if self.store.free_space()? >= RESERVE_BYTES {
            wake = self.ask(&work, &agenda.faults, &mut cycle, now);
            self.choose_answers(&agenda.answers, &mut cycle, &mut wake, now);
        } else {
            let waits = vec![Waiting { reason: WaitingReason::DiskFull, until: None }];
            *lock(&self.desk.waiting) = work.iter().map(|w| (w.id, waits.clone())).collect();
            soonest(&mut wake, now + AFTER_FAILURE);
        }
        self.take_up_faulty(now, &mut wake);
        // Results create retries and free followers, which the work read earlier does not show yet.
        let news = !self.pending.settled.is_empty()
            || !self.pending.unwritten.is_empty()
            || !self.pending.replies.is_empty();
        let asked = !cycle.claims.is_empty() || !cycle.due.is_empty();
        let committing = self.begin_turn(cycle, now);
        // While the turn is being written to disk, what the turn before claimed is rendered and handed over.
        for (work, claim) in std::mem::take(&mut self.claimed) {
            self.hand_over(&work, claim, now);
        }
        let cycled = match committing {
            Some(committing) => self.end_turn(committing.await, now),
            None => Ok(Cycled::default()),
        };
        let Cycled { claimed, answers, .. } = match cycled {
            Ok(cycled) => cycled,
            Err(StoreError::DiskFull) => return Ok(Some(now + AFTER_FAILURE)),
            Err(e) => return Err(e),
        };
        if news || !claimed.is_empty() {
            wake = Some(now);
        } else if asked {
            // None of the recipients asked for could go: they were skipped, held or rescheduled, so look again.
            soonest(&mut wake, now + SOON);
        }
        for answer in answers {
            self.answer(answer, now);
        }
        self.turn += 1;
        for claim in claimed {
            if let Some(work) = work.iter().find(|w| w.id == claim.campaign) {
                self.served.insert(work.id, Served { turn: self.turn, at: now });
                self.accept(work.clone(), claim, now);
            }
        }
        self.show_traffic();
        for campaign in self.progressed.drain() {
            self.store.calls_go_on(campaign);
        }
        let live: HashSet<_> = work.iter().map(|w| w.id).collect();
        self.texts.retain(|(id, _), _| live.contains(id));
        self.scripts.retain(|(id, _), _| live.contains(id));
        self.trunks.retain(|id| live.contains(&id));
        self.limits.retain(|key| !matches!(key, Key::Campaign(id) if !live.contains(id)));
        self.refusals.retain(|id| live.contains(&id));
        self.segments.retain(|id, _| live.contains(id));
        self.served.retain(|id, _| live.contains(id));
        let more =
            !self.pending.settled.is_empty() || !self.pending.answered.is_empty() || !self.reports.is_empty();
        Ok(if more { Some(now) } else { wake })
    }

    /// Asks for what is to be claimed, and shows why campaigns wait. Returns when it is worth asking again.
    fn ask(
        &mut self,
        work: &[Work],
        faults: &[Fault],
        cycle: &mut Cycle,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.limits.advance(now);
        let routes = self.ports.keys().map(|id| Key::Route(*id));
        let campaigns = work.iter().map(|w| Key::Campaign(w.id));
        let mut under_way: HashMap<Key, u32> = routes.chain(campaigns).map(|key| (key, 0)).collect();
        for open in self.open.values() {
            let units = open.unsettled.len() as u32 * open.segments;
            for key in [Key::Route(open.route), Key::Campaign(open.campaign)] {
                *under_way.entry(key).or_default() += units;
            }
        }
        for (id, port) in &self.ports {
            *under_way.entry(Key::Route(*id)).or_default() += port.route.legs();
        }
        for (key, units) in &under_way {
            self.limits.under_way(key, *units);
        }
        let mut segments = HashMap::with_capacity(work.len());
        for w in work {
            segments.insert(w.id, self.segments_of(w));
            let own = &w.definition.content;
            let limit = Limit {
                per_second: own.per_second().map(NonZeroU32::get),
                at_once: own.at_once().map(NonZeroU32::get).into_iter().chain(w.affordable).min(),
            };
            self.limits.set(Key::Campaign(w.id), limit, now);
            for (sender, rate) in w.senders.all().iter().filter(|(_, rate)| rate.is_some()) {
                let limit = Limit { per_second: rate.map(NonZeroU32::get), at_once: None };
                self.limits.set(Key::Sender(sender.clone()), limit, now);
            }
        }
        let ports: BTreeMap<RouteId, PortFacts> = self
            .ports
            .iter()
            .map(|(id, port)| {
                let state = port.route.state();
                let calls = matches!(port.config.kind, RouteKind::Sip(_));
                (*id, PortFacts { state, outdated: port.outdated, alive_at: port.alive_at, calls })
            })
            .collect();
        let sound: Vec<Work> = work.iter().filter(|w| !self.faulty.contains_key(&w.id)).cloned().collect();
        let unasked =
            |w: &&Work| w.waves.iter().any(|wave| wave.held.is_none() && wave.next_seq < wave.bound);
        self.asking = sound.iter().filter(unasked).map(|w| w.id).collect();
        let ready = self.render_ahead(&sound, now);
        let Asks { due, claims, late, probes, waiting: mut reasons, wake } = choose(&Facts {
            now,
            work: &sound,
            ports: &ports,
            limits: &self.limits,
            refusals: &self.refusals,
            segments: &segments,
            ready: &ready,
            served: &self.served,
        });
        for stream in probes {
            self.refusals.probe(&stream, now);
        }
        for (id, port) in &mut self.ports {
            if port.outdated || ports.get(id).is_none_or(|facts| facts.state != RouteState::Connected) {
                continue;
            }
            port.alive_at = now;
            if now.duration_since(port.alive_stored).abs() >= ALIVE_EVERY {
                port.alive_stored = now;
                cycle.alive.push(*id);
            }
        }
        let mut wake = wake;
        for w in sound.iter().filter(|w| w.status == Status::Running) {
            let port = w.definition.route_id.and_then(|id| self.ports.get(&id));
            if let Some(Port { route, config, answers, outdated: false, .. }) = port
                && let RouteKind::Sip(trunk) = &config.kind
            {
                let trouble = route.trouble();
                let waits = reasons.get(&w.id).map(Vec::as_slice).unwrap_or_default();
                let up = under_way.get(&Key::Campaign(w.id)).is_some_and(|units| *units > 0);
                if !up && !is_due(w, waits, now) {
                    self.trunks.nothing_due(w.id);
                }
                if let Some(at) = self.trunks.waits(w.id, waits, trunk.error_after, trouble.as_ref(), now) {
                    soonest(&mut wake, at);
                }
                if answers.is_crowded() {
                    waiting::add(reasons.entry(w.id).or_default(), WaitingReason::TrunkBusy, None);
                }
            }
        }
        let fault =
            |words: &str, until| vec![Waiting { reason: WaitingReason::Fault(words.to_owned()), until }];
        reasons.extend(faults.iter().map(|f| (f.campaign, fault(&f.words, None))));
        reasons.extend(self.faulty.iter().map(|(id, f)| (*id, fault(&f.words, Some(f.until)))));
        *lock(&self.desk.waiting) = reasons;
        (cycle.claims, cycle.due, cycle.late) = (claims, due, late);
        wake
    }

    /// The machine's clock was set by `by`; otherwise it would show `from`. Waits keep their length.
    pub fn clock_stepped(&mut self, from: Timestamp, by: SignedDuration) {
        for port in self.ports.values_mut() {
            port.alive_at = port.alive_at.saturating_add(by).unwrap_or(from);
            port.alive_stored = port.alive_stored.saturating_add(by).unwrap_or(from);
        }
        self.refusals.shift(by);
        self.trunks.shift(by);
        self.stepped = Some(match self.stepped.take() {
            Some(before) => ClockStep { from: before.from, by: before.by + by },
            None => ClockStep { from, by },
        });
    }
}

/// Whether anybody of a campaign of calls is due, or is called again within a minute.
fn is_due(work: &Work, waits: &[Waiting], now: Timestamp) -> bool {
    let later = |wait: &Waiting| matches!(wait.reason, WaitingReason::NotDue | WaitingReason::WindowClosed);
    work.retries_due > 0
        || work.next_retry.is_some_and(|at| at.duration_since(now) <= SOON_AGAIN)
        || waits.is_empty()
        || !waits.iter().all(later)
}

pub(crate) fn soonest(wake: &mut Option<Timestamp>, at: Timestamp) {
    *wake = Some(wake.map_or(at, |w| w.min(at)));
}
