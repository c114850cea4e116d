//! What the binds of a route share: its settings, the queue, their states, and the room for incoming messages.
//!
//! Queue and states are under one lock: a batch is never queued for binds that are all gone.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    time::Duration,
};

use campaign::{CampaignId, RouteId};
use engine::{Batch, OptOuts, Report, Reports, RouteState, SmppConfig, Trouble};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use crate::crowd::Crowd;

/// The most receipts and replies of a route to hold unstored: beyond that its far end is not read from.
const ROOM: usize = 2_000;

/// Asks a bind to write nothing more of a campaign, and to report when the far end has read what was written.
pub(crate) struct Fence {
    pub(crate) campaign: CampaignId,
    pub(crate) done: oneshot::Sender<()>,
}

/// What the binds of a route share.
pub(crate) struct Shared {
    pub(crate) config: SmppConfig,
    pub(crate) id: RouteId,
    pub(crate) reports: Reports,
    pub(crate) opt_outs: OptOuts,
    /// Notified when something is queued.
    pub(crate) more: Notify,
    room: Arc<Semaphore>,
    /// Ties the parts of a long text together. It counts on over binds and connections, and begins at random: two
    /// consecutive texts to one phone never share a reference.
    reference: AtomicU16,
    /// How many of the binds send; they come first.
    senders: usize,
    /// How many parts each bind has written and has no answer to.
    used: Vec<AtomicU32>,
    inner: Mutex<Inner>,
}

struct Inner {
    queue: VecDeque<Batch>,
    states: Vec<RouteState>,
    trouble: Option<Trouble>,
    crowd: Crowd,
}

impl Shared {
    /// For `senders` binds that send, and `receivers` more that receive.
    pub(crate) fn new(
        id: RouteId,
        config: SmppConfig,
        reports: Reports,
        opt_outs: OptOuts,
        (senders, receivers): (usize, usize),
    ) -> Self {
        let binds = senders + receivers;
        let inner = Inner {
            queue: VecDeque::new(),
            states: vec![RouteState::Connecting; binds],
            trouble: None,
            crowd: Crowd::new(senders, binds),
        };
        Self {
            config,
            id,
            reports,
            opt_outs,
            more: Notify::new(),
            room: Arc::new(Semaphore::new(ROOM)),
            reference: AtomicU16::new(rand::random()),
            senders,
            used: (0..binds).map(|_| AtomicU32::new(0)).collect(),
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half done under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self, report: Report) {
        // An engine that is gone takes no reports.
        let _ = self.reports.send(report);
    }

    /// Hands back `batch` from its message `at` on.
    pub(crate) fn hand_back(&self, batch: &Batch, at: usize) {
        if let Some(first) = batch.messages.get(at) {
            self.report(Report::Unwritten { job: batch.job, from_seq: first.seq });
        }
    }

    pub(crate) fn next(&self) -> Option<Batch> {
        self.lock().queue.pop_front()
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    /// Queues a batch; without a bind that sends, it goes back at once.
    pub(crate) fn queue(&self, batch: Batch) {
        let mut inner = self.lock();
        if inner.states[..self.senders].contains(&RouteState::Connected) {
            inner.queue.push_back(batch);
            drop(inner);
            self.more.notify_one();
        } else {
            self.hand_back(&batch, 0);
        }
    }

    /// Hands back the queued batches of a campaign.
    pub(crate) fn unqueue(&self, campaign: CampaignId) {
        self.lock().queue.retain(|batch| {
            let stays = !batch.job.is_of(campaign);
            if !stays {
                self.hand_back(batch, 0);
            }
            stays
        });
    }

    /// Room for one thing that the far end hands over; waits until earlier ones are stored.
    pub(crate) fn room(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + use<> {
        let room = self.room.clone();
        async move { room.acquire_owned().await.ok() }
    }

    /// As [`Shared::room`], if there is room at this moment.
    pub(crate) fn room_now(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }

    pub(crate) fn next_reference(&self) -> u16 {
        self.reference.fetch_add(1, Ordering::Relaxed)
    }

    /// Records how much of its window a bind uses.
    pub(crate) fn uses(&self, bind: usize, unanswered: u32) {
        self.used[bind].store(unanswered, Ordering::Relaxed);
    }

    /// How many binds the route has.
    pub(crate) fn binds(&self) -> usize {
        self.used.len()
    }

    pub(crate) fn used(&self) -> u32 {
        self.used.iter().map(|used| used.load(Ordering::Relaxed)).sum()
    }

    /// Records what went wrong with a connection.
    pub(crate) fn note_trouble(&self, words: String) {
        self.lock().trouble = Some(Trouble::now(words));
    }

    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.lock().trouble.clone()
    }

    /// A bind is up.
    pub(crate) fn came_up(&self, bind: usize) {
        self.lock().crowd.came_up(bind, Instant::now());
        self.say(bind, RouteState::Connected);
    }

    /// A bind is no longer up, or did not come up.
    pub(crate) fn went_down(&self, bind: usize, state: RouteState, why: String) {
        self.lock().crowd.went_down(bind);
        self.uses(bind, 0);
        self.note_trouble(why);
        self.say(bind, state);
    }

    /// How long a bind that was up from one time to another should stay away for its siblings ([`Crowd::rest`]).
    pub(crate) fn rest(&self, bind: usize, up: (Instant, Instant)) -> Option<Duration> {
        self.lock().crowd.rest(bind, up)
    }

    /// Sets a bind's state. Batches that wait for a route with no bind that sends go back at once.
    pub(crate) fn say(&self, bind: usize, state: RouteState) {
        let mut inner = self.lock();
        if inner.states[bind] == state {
            return;
        }
        inner.states[bind] = state;
        if !inner.states[..self.senders].contains(&RouteState::Connected) {
            for batch in inner.queue.drain(..) {
                self.hand_back(&batch, 0);
            }
        }
        drop(inner);
        self.report(Report::State);
    }

    /// The best state of its sending binds.
    pub(crate) fn state(&self) -> RouteState {
        let inner = self.lock();
        let states = &inner.states[..self.senders];
        let refused = || states.iter().find(|s| matches!(s, RouteState::Refused(_)));
        let connected = states.iter().find(|s| **s == RouteState::Connected);
        connected.or_else(refused).cloned().unwrap_or(RouteState::Connecting)
    }
}
