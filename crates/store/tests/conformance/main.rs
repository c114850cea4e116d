//! What every implementation of the store must do. Each test drives a store as the engine would.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod commits;
mod course;
mod folder;
mod lists;
mod people;
mod receipts;
mod replies;
mod rules;
mod safety;

use std::sync::Arc;

use campaign::{
    Action, Address, CampaignId, Channel, Msisdn, Outcome, Send, Sender, SkipReason, Status, Totals,
};
use fixture::{Data, by, number};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    AnswerFate, Barred, CampaignFilter, CampaignSort, ClaimRequest, Claimed, ClockStep, Consent, Cycle,
    Cycled, Definition, DeliveryFilter, DeliveryRow, Fate, ImportChunk, ImportPlan, ImportTarget, NewContact,
    Part, Place, Receipt, Reply, ReplyFilter, RetriesOf, Settled, Store, StoreError, Stored, Tries, Unsent,
    Unwritten, Wave, WindowDelay, Work,
};

struct World {
    data: Data,
    now: Timestamp,
}

/// The sender of the fixture's campaigns.
const SENDER: &str = "+12025550100";

const TEXT: &str = "Hello {{ first_name | default('there') }}";

fn definition(w: &World, sends: &str) -> Definition {
    w.data.definition(TEXT, sends, json!({"name": "Reminder"}))
}

impl World {
    /// A store with one list of `people`.
    async fn with(people: i64) -> Self {
        let now = fixture::tuesday();
        let zones = ["America/New_York", "America/Chicago"];
        Self { data: Data::with(fixture::people(people, &zones), json!({}), now).await, now }
    }

    async fn scheduled(&self, sends: &str) -> CampaignId {
        self.data.schedule(TEXT, sends, json!({"name": "Reminder"}), self.now).await
    }

    async fn cycle(&self, cycle: Cycle) -> Cycled {
        self.data.store.cycle(cycle, "worker".into(), self.now).await.1.unwrap()
    }

    /// Claims from every open wave and from retries, at most `most` from each.
    async fn claim(&self, id: CampaignId, most: u32) -> Vec<Claimed> {
        let Some(work) =
            self.data.store.agenda(self.now).await.unwrap().campaigns.into_iter().find(|w| w.id == id)
        else {
            return Vec::new();
        };
        let mut cycle = Cycle::default();
        if work.status == Status::Scheduled {
            cycle.due.push(id);
        }
        cycle.claims.push(ClaimRequest::Retries {
            campaign: id,
            epoch: work.epoch,
            most,
            of: RetriesOf::Dated,
            alive_at: self.now,
        });
        cycle.claims.extend(work.waves.iter().map(|wave| next_of(&work, wave, most)));
        self.cycle(cycle).await.claimed
    }

    async fn totals(&self, id: CampaignId) -> Totals {
        self.data.store.campaign(id).await.unwrap().sum()
    }

    async fn status(&self, id: CampaignId) -> Status {
        self.data.store.campaign(id).await.unwrap().status
    }
}

/// Asks for at most `most` more of a wave.
fn next_of(work: &Work, wave: &Wave, most: u32) -> ClaimRequest {
    ClaimRequest::Wave { campaign: work.id, epoch: work.epoch, wave: wave.id, most, settled_before: None }
}

fn sent(id: &str) -> Fate {
    Fate::Final {
        outcome: Outcome::Sent,
        reason: None,
        code: None,
        detail: None,
        provider_ids: vec![id.to_owned()],
        parts: 1,
    }
}

fn settle(claim: &Claimed, at: usize, fate: Fate) -> Settled {
    let r = &claim.recipients[at];
    Settled {
        claim: claim.id,
        campaign: claim.campaign,
        message_no: claim.message_no,
        seq: r.seq,
        number: r.number,
        sender: Some(Arc::new(Sender::try_from(SENDER.to_owned()).unwrap())),
        fate,
        tries: Tries { attempts: r.tries.attempts + 1, ..r.tries },
    }
}

/// Nothing of a claim was written from `from` on.
fn unwritten(claim: &Claimed, from: i64) -> Unwritten {
    Unwritten { campaign: claim.campaign, claim: claim.id, from }
}

/// A message that the carrier refused.
fn failed() -> Fate {
    Fate::Final {
        outcome: Outcome::Failed,
        reason: None,
        code: Some(0x0B),
        detail: None,
        provider_ids: Vec::new(),
        parts: 1,
    }
}

/// Settles all of `claims` as sent, with ids made from message and seq.
fn all_sent(claims: &[Claimed]) -> Cycle {
    let mut cycle = Cycle::default();
    for claim in claims {
        for (at, r) in claim.recipients.iter().enumerate() {
            cycle.settled.push(settle(claim, at, sent(&format!("{}-{}", claim.message_no, r.seq))));
        }
    }
    cycle
}

fn reply(w: &World, text: &str) -> Reply {
    let route = w.data.route;
    let (from, to) = (international(number(1)), Address::international("12025550100"));
    Reply { route, from, to, text: text.into(), part: None }
}

fn international(number: Msisdn) -> Address {
    Address::international(number.digits().to_string())
}

/// A receipt from `number` to the campaign's sender.
fn receipt(w: &World, id: &str, number: Msisdn, delivered: bool) -> Receipt {
    Receipt {
        route: w.data.route,
        ids: vec![id.into()],
        from: international(number),
        to: Address::international("12025550100"),
        delivered,
        code: None,
        detail: (!delivered).then(|| "the network could not deliver it".to_owned()),
    }
}

impl World {
    /// Hears replies and takes the answers to them.
    async fn answers(&self, replies: Vec<Reply>) -> Vec<store::Answer> {
        self.cycle(Cycle { replies, ..Cycle::default() }).await;
        self.cycle(Cycle { answer: vec![self.data.route], ..Cycle::default() }).await.answers
    }
}
