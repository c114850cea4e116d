//! A route: its binds, the queue that they share, the fence over all of them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use campaign::{CampaignId, RouteId};
use engine::{Batch, OptOuts, Report, Reports, Route, RouteConfig, RouteState, Trouble};
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::bind::{Bind, Fence};

/// What the binds of a route share. Queue and states lie under one lock: a batch is never queued for
/// binds that are all gone.
pub(crate) struct Shared {
    pub(crate) config: RouteConfig,
    pub(crate) id: RouteId,
    pub(crate) reports: Reports,
    pub(crate) opt_outs: OptOuts,
    pub(crate) more: Notify,
    /// What each bind has written and has no answer to.
    used: Vec<AtomicU32>,
    inner: Mutex<Inner>,
}

struct Inner {
    queue: VecDeque<Batch>,
    states: Vec<RouteState>,
    trouble: Option<Trouble>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half-done under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self, report: Report) {
        // An engine that is gone takes no reports.
        let _ = self.reports.send(report);
    }

    /// Hands the whole of `batch` from its message `at` on back.
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

    /// Notes how much of its window a bind has used.
    pub(crate) fn uses(&self, bind: usize, unanswered: u32) {
        self.used[bind].store(unanswered, Ordering::Relaxed);
    }

    /// Notes what went wrong with a connection.
    pub(crate) fn note_trouble(&self, words: String) {
        self.lock().trouble = Some(Trouble { at: Timestamp::now(), words });
    }

    /// Sets a bind's state. What waits for a route without any bind goes back at once.
    pub(crate) fn say(&self, bind: usize, state: RouteState) {
        let mut inner = self.lock();
        if inner.states[bind] == state {
            return;
        }
        inner.states[bind] = state;
        if !inner.states.contains(&RouteState::Connected) {
            for batch in inner.queue.drain(..) {
                self.hand_back(&batch, 0);
            }
        }
        drop(inner);
        self.report(Report::State);
    }
}

/// An SMPP route with its binds. Dropping it closes them.
pub struct SmppRoute {
    shared: Arc<Shared>,
    fences: Vec<mpsc::UnboundedSender<Fence>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl SmppRoute {
    /// Starts the binds of `config`; they connect by themselves, and again whenever they lose the line.
    /// Nothing is written to a number in `opt_outs`.
    pub fn start(id: RouteId, config: &RouteConfig, reports: Reports, opt_outs: OptOuts) -> Self {
        let binds = usize::from(config.binds.max(1));
        let shared = Arc::new(Shared {
            config: config.clone(),
            id,
            reports,
            opt_outs,
            more: Notify::new(),
            used: (0..binds).map(|_| AtomicU32::new(0)).collect(),
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                states: vec![RouteState::Connecting; binds],
                trouble: None,
            }),
        });
        let (fences, tasks) = (0..binds)
            .map(|at| {
                let (tx, rx) = mpsc::unbounded_channel();
                (tx, tokio::spawn(Bind::new(at, shared.clone(), rx).live()))
            })
            .unzip();
        Self { shared, fences, tasks }
    }
}

impl Drop for SmppRoute {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait::async_trait]
impl Route for SmppRoute {
    fn state(&self) -> RouteState {
        let inner = self.shared.lock();
        let refused = || inner.states.iter().find(|s| matches!(s, RouteState::Refused(_)));
        let connected = inner.states.iter().find(|s| **s == RouteState::Connected);
        connected.or_else(refused).cloned().unwrap_or(RouteState::Connecting)
    }

    fn unanswered(&self) -> u32 {
        self.shared.used.iter().map(|used| used.load(Ordering::Relaxed)).sum()
    }

    fn trouble(&self) -> Option<Trouble> {
        self.shared.lock().trouble.clone()
    }

    fn submit(&self, batch: Batch) {
        let mut inner = self.shared.lock();
        if inner.states.contains(&RouteState::Connected) {
            inner.queue.push_back(batch);
            drop(inner);
            self.shared.more.notify_one();
        } else {
            self.shared.hand_back(&batch, 0);
        }
    }

    async fn fence(&self, campaign: CampaignId) {
        self.shared.lock().queue.retain(|batch| {
            let stays = !batch.job.is_of(campaign);
            if !stays {
                self.shared.hand_back(batch, 0);
            }
            stays
        });
        let answers: Vec<_> = self
            .fences
            .iter()
            .filter_map(|bind| {
                let (done, answered) = oneshot::channel();
                bind.send(Fence { campaign, done }).is_ok().then_some(answered)
            })
            .collect();
        for answer in answers {
            let _ = answer.await;
        }
    }
}
