//! What the routes report, on its way into the next turn.

use campaign::ClaimId;
use jiff::Timestamp;
use store::{Settled, Unwritten};

use super::Engine;
use crate::{
    Attempt, Job, Refusal, Report,
    choose::Key,
    fate,
    refusal::{Refused, Stream},
};

impl Engine {
    /// Takes what the routes have reported so far into the next turn. Returns whether all of it [can wait](Report::can_wait).
    pub(crate) fn gather(&mut self, now: Timestamp) -> bool {
        let mut all_wait = true;
        // What comes meanwhile is taken the next time.
        for _ in 0..self.reports.len() {
            let Ok(report) = self.reports.try_recv() else { break };
            all_wait &= report.can_wait();
            self.hear(report, now);
        }
        all_wait
    }

    pub(crate) fn hear(&mut self, report: Report, now: Timestamp) {
        match report {
            Report::Receipt(receipt, ack) => {
                self.pending.receipts.push(receipt);
                self.acks.push(ack);
            }
            Report::Reply(reply, ack) => {
                self.pending.replies.push(reply);
                self.acks.push(ack);
            }
            Report::Unwritten { job: Job::Claim { claim, .. }, from_seq: from } => {
                if let Some(open) = self.open.get_mut(&claim) {
                    open.unsettled.split_off(&from);
                    self.pending.unwritten.push(Unwritten { campaign: open.campaign, claim, from });
                }
            }
            Report::Result { job: Job::Claim { claim, .. }, seq, attempt } => {
                self.result(claim, seq, attempt, now);
            }
            Report::Unwritten { job: Job::Answer, from_seq } => self.answered(from_seq, None, now),
            Report::Result { job: Job::Answer, seq, attempt } => self.answered(seq, Some(attempt), now),
            Report::Called { claim, seq, report } => self.called(claim, seq, *report, now),
            Report::OptedOut { campaign, number } => self.opted_out(campaign, number),
            Report::Progress { campaign } => drop(self.progressed.insert(campaign)),
            Report::Rendered { wave, epoch, to } => self.ahead.ready(wave, epoch, to),
            Report::State => {}
        }
    }

    fn result(&mut self, claim: ClaimId, seq: i64, attempt: Attempt, now: Timestamp) {
        let Some(open) = self.open.get_mut(&claim) else { return };
        let Some((number, mut tries)) = open.unsettled.remove(&seq) else { return };
        let (campaign, route, message_no) = (open.campaign, open.route, open.message_no);
        let stream = Stream { campaign, sender: open.senders.of(seq).clone() };
        if let Some(port) = self.ports.get_mut(&route) {
            port.traffic.note(&attempt, now);
        }
        match &attempt {
            Attempt::Accepted { .. } => self.refusals.accepted(&stream, route, now),
            Attempt::Refused { kind: Refusal::Throttled, .. } => {
                self.limits.slow_down(&Key::Route(route), now);
            }
            Attempt::Refused { .. } | Attempt::OptedOut | Attempt::Lost { .. } => {}
        }
        let fate = fate::of(attempt, &mut tries, now, |kind, words, tries| {
            let listed = kind != Refusal::Unlisted;
            let others_left = self.asking.contains(&campaign);
            self.refusals.refused(&stream, Refused { route, seq, listed, words, others_left }, tries, now)
        });
        let sender = Some(stream.sender);
        self.pending.settled.push(Settled { claim, campaign, message_no, seq, number, sender, fate, tries });
    }
}
