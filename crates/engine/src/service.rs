//! The engine as it runs: it takes a turn whenever something is reported, changed, due or ordered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use campaign::{CampaignId, RouteId, content::Stopped};
use jiff::{SignedDuration, Timestamp};
use store::{By, Result, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Engine, Live, Route, RouteState, Traffic, Waiting,
    clock::Watch,
    dispatch::{AFTER_FAILURE, Desk, Open, lock},
};

/// The longest sleep between two turns.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// How long reports are gathered before a turn when nothing is leaving.
const GATHER: Duration = Duration::from_millis(2);
/// How long after a turn the next one begins while nothing but calls is under way: beside the time that a call takes it is
/// nothing, and each turn is a commit.
const GATHER_CALLS: Duration = Duration::from_millis(50);
/// How often it is looked meanwhile whether something came that cannot wait.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often old data is dropped.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How long a shut-down waits for answers to messages; one without by then is In doubt after the next start.
const SHUT_DOWN_WITHIN: Duration = Duration::from_secs(5);
/// How long talks may go on during a shut-down, and how long it waits for their results afterwards.
const TALKS_END_AFTER: Duration = Duration::from_millis(7_500);
const TALKS_ENDED_WITHIN: Duration = Duration::from_secs(1);

/// The longest sleep while the program ends.
const WHILE_CLOSING: SignedDuration = SignedDuration::from_millis(100);

/// A stop under way.
pub(crate) struct Stopping {
    pub(crate) answered_when: Stopped,
    pub(crate) fenced: bool,
    pub(crate) answers: Vec<oneshot::Sender<()>>,
}

impl Stopping {
    /// Whether to answer, given whether any of the campaign is `under_way`.
    fn holds(&self, under_way: bool) -> bool {
        let stopped = match (self.fenced, under_way) {
            (false, _) => None,
            (true, true) => Some(Stopped::Fenced),
            (true, false) => Some(Stopped::Drained),
        };
        stopped >= Some(self.answered_when)
    }
}

/// What can be asked of a running engine.
pub(crate) enum Command {
    Stop {
        id: CampaignId,
        by: By,
        answer: oneshot::Sender<Result<oneshot::Receiver<()>>>,
    },
    /// The calls of a campaign that are up are to end.
    HangUp(CampaignId),
    /// Every route's fence of a campaign holds, and all its messages have been reported.
    Fenced(CampaignId),
    RoutesChanged,
    /// The store holds something new that belongs to no campaign.
    Look,
    ShutDown,
}

/// Speaks to a running engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::UnboundedSender<Command>,
    desk: Arc<Desk>,
}

impl Handle {
    pub(crate) fn new(orders: mpsc::UnboundedSender<Command>, desk: Arc<Desk>) -> Self {
        Self { orders, desk }
    }

    /// Stops a campaign; answers when the barrier holds ([`Engine::stop`]).
    pub async fn stop(&self, id: CampaignId, by: By) -> Result<()> {
        let gone = || StoreError::Database("the engine has ended".into());
        let (answer, begun) = oneshot::channel();
        self.orders.send(Command::Stop { id, by, answer }).map_err(|_| gone())?;
        let stopped = begun.await.map_err(|_| gone())??;
        stopped.await.map_err(|_| gone())
    }

    /// Ends the calls of a campaign that are up.
    pub fn hang_up(&self, id: CampaignId) {
        let _ = self.orders.send(Command::HangUp(id));
    }

    /// The calls of a campaign that are up.
    pub fn live(&self, id: CampaignId) -> Live {
        let mut live = Live::default();
        for route in lock(&self.desk.routes).values() {
            live.0.extend(route.live(id).0);
        }
        live
    }

    /// Whether the engine is at work.
    pub fn is_running(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Connects routes that were added to the store.
    pub fn routes_changed(&self) {
        let _ = self.orders.send(Command::RoutesChanged);
    }

    /// Has the engine look at what was put into the store for a route.
    pub fn look(&self) {
        let _ = self.orders.send(Command::Look);
    }

    /// Lets messages that were handed over be answered, then ends [`Engine::run`].
    pub fn shut_down(&self) {
        let _ = self.orders.send(Command::ShutDown);
    }

    /// Why a campaign does not send at this moment; empty while it does.
    pub fn waiting(&self, id: CampaignId) -> Vec<Waiting> {
        lock(&self.desk.waiting).get(&id).cloned().unwrap_or_default()
    }

    /// A route that is connected here.
    pub fn route(&self, id: RouteId) -> Option<Arc<dyn Route>> {
        lock(&self.desk.routes).get(&id).cloned()
    }

    /// The state of a route that is connected here.
    pub fn route_state(&self, id: RouteId) -> Option<RouteState> {
        self.route(id).map(|route| route.state())
    }

    /// The traffic of a route that is connected here.
    pub fn traffic(&self, id: RouteId) -> Traffic {
        lock(&self.desk.traffic).get(&id).cloned().unwrap_or_default()
    }
}

impl Engine {
    /// Takes turns until it is told to shut down.
    pub async fn run(mut self) {
        // Registered before the first look: a change in between is not missed.
        let mut changes = self.store.changes();
        let mut closes_at: Option<Instant> = None;
        let mut talks_end_at: Option<Instant> = None;
        let mut prune_at = Instant::now();
        let mut watch = Watch::begin();
        loop {
            let began = Instant::now();
            let (now, set) = watch.now();
            if let Some((from, by)) = set {
                tracing::warn!(by = %by, "the machine's clock was set");
                self.clock_stepped(from, by);
            }
            let wake = match self.cycle(now).await {
                Ok(wake) => wake,
                Err(e) => {
                    tracing::error!(error = %e, "a turn could not be stored; trying again");
                    Some(now + AFTER_FAILURE)
                }
            };
            self.answer_stops();
            if prune_at <= Instant::now() {
                prune_at = Instant::now() + PRUNE_EVERY;
                self.prune(now);
            }
            if talks_end_at.take_if(|at| *at <= Instant::now()).is_some() {
                for port in self.ports.values() {
                    port.route.hang_up(None, "ended by shutdown");
                }
            }
            if self.closing
                && (self.open.is_empty() && self.answering.is_empty()
                    || closes_at.is_some_and(|at| at <= Instant::now()))
            {
                return;
            }
            let pause = wake.map_or(LONGEST_PAUSE, |at| at.duration_since(now)).min(LONGEST_PAUSE);
            let pause = if self.closing { pause.min(WHILE_CLOSING) } else { pause };
            let mut gathers = self.has_calls_alone();
            tokio::select! {
                Some(report) = self.reports.recv() => {
                    gathers &= report.can_wait();
                    self.hear(report, Timestamp::now());
                    if self.open.is_empty() {
                        // Receipts that trickle in share a commit; while messages leave, turns are full anyway.
                        tokio::time::sleep(GATHER).await;
                    }
                }
                Some(command) = self.commands.recv() => {
                    gathers = false;
                    if matches!(command, Command::ShutDown) {
                        let ends = (!self.calling.is_empty()).then(|| Instant::now() + TALKS_END_AFTER);
                        talks_end_at = ends;
                        closes_at = ends
                            .map(|at| at + TALKS_ENDED_WITHIN)
                            .or_else(|| Some(Instant::now() + SHUT_DOWN_WITHIN));
                    }
                    self.obey(command, Timestamp::now()).await;
                }
                _ = changes.recv() => {}
                () = tokio::time::sleep(Duration::try_from(pause).unwrap_or_default()) => {}
            }
            if gathers && self.stopping.is_empty() {
                self.gather_calls(began + GATHER_CALLS).await;
            }
        }
    }

    /// Hears what calls report until then, or until something comes that cannot wait: an opt-out, a command.
    async fn gather_calls(&mut self, until: Instant) {
        while Instant::now() < until && self.commands.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.gather(Timestamp::now()) {
                return;
            }
        }
    }

    /// Whether what is under way are calls, and calls alone.
    fn has_calls_alone(&self) -> bool {
        let is_of_calls = |open: &Open| open.definition.content.calls().is_some();
        !self.calling.is_empty() && self.answering.is_empty() && self.open.values().all(is_of_calls)
    }

    /// Drops old data, beside everything else.
    fn prune(&self, now: Timestamp) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(e) = store.prune(now).await {
                tracing::error!(error = %e, "what is too old could not be dropped; trying again tomorrow");
            }
        });
    }

    async fn obey(&mut self, command: Command, now: Timestamp) {
        match command {
            Command::Stop { id, by, answer } => {
                // The asker may have gone; the campaign stops all the same.
                let _ = answer.send(self.stop(id, by).await);
            }
            Command::HangUp(id) => {
                for port in self.ports.values() {
                    port.route.hang_up(Some(id), "hung up by hand");
                }
            }
            Command::Fenced(id) => {
                if let Some(stopping) = self.stopping.get_mut(&id) {
                    stopping.fenced = true;
                }
            }
            Command::RoutesChanged => {
                if let Err(e) = self.connect_routes(now).await {
                    tracing::error!(error = %e, "routes could not be read");
                }
            }
            // Every order is followed by a turn, which looks.
            Command::Look => {}
            Command::ShutDown => {
                self.closing = true;
                let mut campaigns: Vec<_> = self.open.values().map(|o| o.campaign).collect();
                campaigns.sort_unstable();
                campaigns.dedup();
                for id in campaigns {
                    self.put_back(id);
                    self.fence(id);
                }
            }
        }
    }

    /// Carries out the orders that are waiting, and answers stops whose barrier holds: for callers who take turns
    /// themselves.
    pub async fn attend(&mut self, now: Timestamp) {
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command, now).await;
        }
        self.answer_stops();
    }

    /// Answers the stops that have come far enough.
    fn answer_stops(&mut self) {
        let (open, faulty) = (&self.open, &self.faulty);
        // What cannot be stored for a campaign was reported all the same: nothing of it can leave.
        let under_way = |id: &CampaignId| {
            open.values().any(|o| o.campaign == *id && !(o.unsettled.is_empty() && faulty.contains_key(id)))
        };
        for (_, stopping) in self.stopping.extract_if(|id, stopping| stopping.holds(under_way(id))) {
            for answer in stopping.answers {
                let _ = answer.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_answered_once_it_is_fenced_and_drained_where_its_content_waits_for_that() {
        let holds = |answered_when, fenced, under_way| {
            Stopping { answered_when, fenced, answers: Vec::new() }.holds(under_way)
        };
        for answered_when in [Stopped::Fenced, Stopped::Drained] {
            for under_way in [false, true] {
                assert!(!holds(answered_when, false, under_way), "nothing is stopped before its fence");
            }
            assert!(holds(answered_when, true, false));
        }
        assert!(holds(Stopped::Fenced, true, true), "a talk that goes on keeps nobody waiting");
        assert!(!holds(Stopped::Drained, true, true));
    }
}
