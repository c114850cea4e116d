//! One transaction of the store: begun with what is pending, ended with what is stored and what is not.

use std::collections::HashSet;

use campaign::{CampaignId, ClaimId};
use jiff::{SignedDuration, Timestamp};
use store::{Cycle, Cycled, Fault, Result};

use super::{Engine, Faulty, soonest};

/// How often a campaign whose data could not be read or stored is tried again.
const FAULT_EVERY: SignedDuration = SignedDuration::from_mins(1);

impl Engine {
    /// Begins to store what is pending together with `asks`; does nothing where there is nothing to store.
    pub(super) fn begin_turn(
        &mut self,
        asks: Cycle,
        now: Timestamp,
    ) -> Option<impl Future<Output = (Cycle, Result<Cycled>)> + use<>> {
        let mut cycle = std::mem::replace(&mut self.pending, std::mem::take(&mut self.spare));
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
        cycle.answer = asks.answer;
        // Kept where the commit fails: they are still broken then.
        cycle.broken.extend(self.trunks.take_broken());
        cycle.stepped = self.stepped.take();
        // Acknowledged once this turn is stored; acknowledgements that come meanwhile wait for the next.
        std::mem::swap(&mut self.storing, &mut self.acks);
        (!cycle.is_empty()).then(|| self.store.cycle(cycle, self.worker.clone(), now))
    }

    /// Takes note of a stored turn; what could not be stored stays pending.
    pub(super) fn end_turn(
        &mut self,
        (mut back, result): (Cycle, Result<Cycled>),
        now: Timestamp,
    ) -> Result<Cycled> {
        match result {
            Ok(cycled) => {
                for ack in self.storing.drain(..) {
                    ack.stored();
                }
                for Fault { campaign, words, ended } in &cycled.faults {
                    tracing::error!(%campaign, error = words, ended, "nothing of a campaign could be stored");
                    let mut unstored = back.take_campaign(*campaign);
                    if *ended {
                        unstored.broken.clear();
                        self.withdraw(*campaign);
                    }
                    self.set_aside(*campaign, words, unstored, now);
                }
                // A message handed over meanwhile may be settled already, and waits for the next turn.
                let unstored = self.faulty.values().map(|faulty| &faulty.unstored);
                let waiting: HashSet<ClaimId> = std::iter::once(&self.pending)
                    .chain(unstored)
                    .flat_map(|cycle| {
                        let settled = cycle.settled.iter().map(|s| s.claim);
                        settled.chain(cycle.unwritten.iter().map(|u| u.claim))
                    })
                    .collect();
                self.open.retain(|id, open| !open.unsettled.is_empty() || waiting.contains(id));
                for (campaign, error) in back.broken.drain(..) {
                    tracing::error!(%campaign, cause = error.cause, detail = error.detail, "a campaign cannot go on");
                    self.withdraw(campaign);
                }
                back.clear();
                self.spare = back;
                Ok(cycled)
            }
            Err(e) => {
                let meanwhile = std::mem::take(&mut self.pending);
                self.stepped = back.stepped.take().or(self.stepped.take());
                self.pending = Cycle {
                    claims: Vec::new(),
                    due: Vec::new(),
                    late: Vec::new(),
                    alive: Vec::new(),
                    answer: Vec::new(),
                    ..back
                };
                self.pending.add_results(meanwhile);
                self.acks.append(&mut self.storing);
                Err(e)
            }
        }
    }

    /// Keeps what could not be stored of a campaign until it is tried again.
    fn set_aside(&mut self, campaign: CampaignId, words: &str, unstored: Cycle, now: Timestamp) {
        let until = now.saturating_add(FAULT_EVERY).unwrap_or(now);
        let faulty = self.faulty.entry(campaign).or_insert_with(|| Faulty {
            words: String::new(),
            until,
            unstored: Cycle::default(),
        });
        words.clone_into(&mut faulty.words);
        faulty.until = until;
        faulty.unstored.add_results(unstored);
    }

    /// Takes up again what could not be stored once its minute is over; the rest of those campaigns waits beside it.
    pub(super) fn take_up_faulty(&mut self, now: Timestamp, wake: &mut Option<Timestamp>) {
        let due = |faulty: &Faulty| faulty.until <= now;
        for (_, faulty) in self.faulty.extract_if(|_, faulty| due(faulty)) {
            self.pending.add_results(faulty.unstored);
        }
        for (id, faulty) in &mut self.faulty {
            faulty.unstored.add_results(self.pending.take_campaign(*id));
            soonest(wake, faulty.until);
        }
    }
}
