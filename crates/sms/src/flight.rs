//! One message on the wire, from its first octet to its last answer.

use engine::{Attempt, Job, Refusal, Refusals, Report};
use jiff::Timestamp;
use rusmpp::pdus::SubmitSm;
use tokio::time::Instant;

use crate::status;

/// One message on the wire.
pub(crate) struct Flight {
    pub(crate) job: Job,
    pub(crate) seq: i64,
    /// The number to look up among the opt-outs until the first octet is written.
    pub(crate) number: campaign::Msisdn,
    pub(crate) purpose: std::sync::Arc<str>,
    pub(crate) send_before: Timestamp,
    pub(crate) unanswered: usize,
    pub(crate) ids: Vec<Option<String>>,
    pub(crate) refused: Option<u32>,
    /// The parts of a long text, kept to send those that are throttled again.
    pub(crate) pdus: Vec<SubmitSm>,
    pub(crate) began: Instant,
    pub(crate) written: Instant,
}

/// A throttled part that waits to be written again.
pub(crate) struct Again {
    pub(crate) at: Instant,
    pub(crate) message: u64,
    pub(crate) part: usize,
}

impl Flight {
    /// The message's result, once every part is answered.
    pub(crate) fn result(self, refusals: &Refusals) -> Report {
        let ids: Vec<String> = self.ids.into_iter().flatten().collect();
        let attempt = match self.refused {
            None => Attempt::Accepted { provider_ids: ids },
            Some(status) if ids.is_empty() => {
                let (kind, words) = status::of(status, refusals);
                Attempt::Refused { kind, status, words }
            }
            // Never sent again: a part of the message was accepted.
            Some(status) => Attempt::Refused {
                kind: Refusal::Recipient,
                status,
                words: format!("partial: {}", status::of(status, refusals).1),
            },
        };
        Report::Result { job: self.job, seq: self.seq, attempt }
    }

    /// Reports a message whose answer will not come. `waiting` of its parts were refused and wait to be written again.
    pub(crate) fn lost(self, waiting: usize, refusals: &Refusals, why: &str) -> Report {
        // A message refused whole that waited to be written again is known not to have been accepted.
        let refused = waiting == self.unanswered && self.ids.iter().all(Option::is_none);
        let attempt = if refused {
            let (kind, words) = status::of(status::THROTTLED, refusals);
            Attempt::Refused { kind, status: status::THROTTLED, words }
        } else {
            Attempt::Lost { words: why.to_owned() }
        };
        Report::Result { job: self.job, seq: self.seq, attempt }
    }
}
