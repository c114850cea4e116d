//! A route: its binds, and the fence over all of them.

use std::sync::Arc;

use campaign::{CampaignId, RouteId};
use engine::{
    Batch, BindMode, CallEnd, CallReport, Calls, OptOuts, OutgoingCall, Report, Reports, Route, RouteState,
    SmppConfig, Trouble,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    bind::Bind,
    connect::Role,
    shared::{Fence, Shared},
};

/// An SMPP route with its binds. Dropping it closes them.
pub struct SmppRoute {
    shared: Arc<Shared>,
    fences: Vec<mpsc::UnboundedSender<Fence>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl SmppRoute {
    /// Starts the binds of `config`; they connect by themselves, and reconnect whenever they lose the connection.
    /// Nothing is written to a number in `opt_outs`.
    pub fn start(id: RouteId, config: &SmppConfig, reports: Reports, opt_outs: OptOuts) -> Self {
        let binds = usize::from(config.binds.max(1));
        let roles = match config.bind_mode {
            BindMode::Transceiver => vec![Role::Transceiver; binds],
            BindMode::TransmitterReceiver => {
                [vec![Role::Transmitter; binds], vec![Role::Receiver; binds]].concat()
            }
        };
        let counts = (binds, roles.len() - binds);
        let shared = Arc::new(Shared::new(id, config.clone(), reports, opt_outs, counts));
        let (fences, tasks) = roles
            .into_iter()
            .enumerate()
            .map(|(at, role)| {
                let (tx, rx) = mpsc::unbounded_channel();
                (tx, tokio::spawn(Bind::new(at, role, shared.clone(), rx).live()))
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
        self.shared.state()
    }

    fn unanswered(&self) -> u32 {
        self.shared.used()
    }

    fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble()
    }

    fn submit(&self, batch: Batch) {
        self.shared.queue(batch);
    }

    fn dial(&self, calls: Calls) {
        // A campaign of calls is not scheduled on a route that carries none.
        for OutgoingCall { seq, .. } in calls.calls {
            let end = CallEnd::NotBegun("the route carries no calls".to_owned());
            let report = Box::new(CallReport { end, row: None, steps: Vec::new() });
            self.shared.report(Report::Called { claim: calls.claim, seq, report });
        }
    }

    async fn fence(&self, campaign: CampaignId) {
        self.shared.unqueue(campaign);
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
