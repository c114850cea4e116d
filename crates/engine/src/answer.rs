//! Answers to replies: taken from their queue while a route is up, and handed over one at a time.

use std::sync::Arc;

use campaign::{RouteId, Sender};
use jiff::{SignedDuration, Timestamp};
use store::{Answer, AnswerFate, Cycle};

use crate::{Attempt, Batch, Engine, Job, Outgoing, Refusal, RouteState, choose::Key, dispatch::soonest};

/// The wait after a refusal that the recipient is not to blame for: leaves a few tries before it is too late.
const BACKOFF: SignedDuration = SignedDuration::from_secs(15);

impl Engine {
    /// Asks for the answers that are due on routes that are up.
    pub(crate) fn choose_answers(
        &self,
        waiting: &[(RouteId, Timestamp)],
        asks: &mut Cycle,
        wake: &mut Option<Timestamp>,
        now: Timestamp,
    ) {
        for (route, due_at) in waiting {
            let up = self
                .ports
                .get(route)
                .is_some_and(|p| !p.outdated && p.route.state() == RouteState::Connected);
            if up && *due_at <= now {
                asks.answer.push(*route);
            } else if up {
                soonest(wake, *due_at);
            }
        }
    }

    /// Hands an answer to its route.
    pub(crate) fn answer(&mut self, answer: Answer, now: Timestamp) {
        self.answering.insert(answer.id, answer.route);
        let port = self.ports.get_mut(&answer.route);
        let (Some(port), Ok(sender)) = (port, Sender::try_from(answer.sender)) else {
            return self.answered(answer.id, None, now);
        };
        let sender = Arc::new(sender);
        self.limits.take(&Key::Route(answer.route), 1, now);
        self.limits.take(&Key::Sender(sender.clone()), 1, now);
        port.route.submit(Batch {
            job: Job::Answer,
            send_before: answer.send_before,
            purpose: "".into(),
            validity: None,
            tlvs: Arc::default(),
            messages: vec![Outgoing {
                seq: answer.id,
                sender,
                number: answer.number,
                text: answer.text.into(),
            }],
        });
    }

    /// Records what became of an answer; `None`: it was not written.
    pub(crate) fn answered(&mut self, id: i64, attempt: Option<Attempt>, now: Timestamp) {
        let again = || AnswerFate::Again(now.saturating_add(BACKOFF).unwrap_or(now));
        let fate = match attempt {
            Some(Attempt::Accepted { provider_ids }) => AnswerFate::Sent(provider_ids),
            Some(Attempt::Lost { .. }) => AnswerFate::InDoubt,
            Some(Attempt::Refused { kind: Refusal::Recipient, words, .. }) => AnswerFate::Refused(words),
            // An answer is not held back by an opt-out.
            Some(Attempt::Refused { .. } | Attempt::OptedOut) | None => again(),
        };
        self.answering.remove(&id);
        self.pending.answered.push((id, fate));
    }
}
