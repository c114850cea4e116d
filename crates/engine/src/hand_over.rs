//! What was claimed, on its way to a route: rendered, counted against the rate, or put back.

use std::sync::Arc;

use campaign::{
    CampaignId, ClaimId, Content, Outcome, Sender, SkipReason, ZoneGroup, content::Sms, segment,
    text::RenderError, window::Opening,
};
use jiff::{SignedDuration, Timestamp};
use store::{Claimed, Fate, Recipient, Settled, Unwritten, Work};

use crate::{Batch, Engine, Job, Outgoing, choose::Key, dispatch::Open, refusal::Stream};

/// How long a claim may stay unwritten with its route before it goes back (architecture.md, leases).
const LEASE: SignedDuration = SignedDuration::from_secs(10);

impl Engine {
    /// Takes on what was claimed, to be handed over with the next turn.
    pub(crate) fn accept(&mut self, work: Work, claim: Claimed, now: Timestamp) {
        let Some(route) = work.definition.route_id else {
            // A scheduled campaign has a route; one without keeps its messages.
            return self.return_claim(&claim);
        };
        let segments = self.segments_of(&work);
        self.open.insert(
            claim.id,
            Open {
                campaign: work.id,
                message_no: claim.message_no,
                route,
                senders: work.senders.clone(),
                definition: work.definition.clone(),
                segments,
                unsettled: claim.recipients.iter().map(|r| (r.seq, (r.number, r.tries))).collect(),
            },
        );
        self.limits.take(&Key::Route(route), claim.recipients.len() as u32, now);
        self.limits.take(&Key::Campaign(work.id), claim.recipients.len() as u32, now);
        if work.senders.are_paced() {
            for r in &claim.recipients {
                self.limits.take(&Key::Sender(work.senders.of(r.seq).clone()), 1, now);
            }
        }
        self.claimed.push((work, claim));
    }

    /// How many segments a message of a campaign counts as before it is rendered: the longest so far, or those of its
    /// bare text.
    pub(crate) fn segments_of(&mut self, work: &Work) -> u32 {
        *self
            .segments
            .entry(work.id)
            .or_insert_with(|| work.definition.content.units().into_iter().max().unwrap_or(1).max(1))
    }

    /// Puts back what was claimed for a campaign and not handed over.
    pub(crate) fn put_back(&mut self, id: CampaignId) {
        let unwritten: Vec<_> = self.claimed.extract_if(.., |(work, _)| work.id == id).collect();
        for (_, claim) in unwritten {
            self.return_claim(&claim);
        }
    }

    pub(crate) fn return_claim(&mut self, claim: &Claimed) {
        if let Some(open) = self.open.get_mut(&claim.id) {
            open.unsettled.clear();
        }
        let (campaign, claim_id) = (claim.campaign, claim.id);
        let tail = |from| Unwritten { campaign, claim: claim_id, from };
        self.pending.unwritten.extend(claim.recipients.first().map(|r| tail(r.seq)));
    }

    /// Renders what was claimed and hands it to the route.
    pub(crate) fn hand_over(&mut self, work: &Work, claim: Claimed, now: Timestamp) {
        match &work.definition.content {
            Content::Sms(sms) => self.hand_over_texts(work, sms, claim, now),
            Content::Voice(voice) => self.hand_over_calls(work, voice, claim, now),
        }
    }

    fn hand_over_texts(&mut self, work: &Work, sms: &Sms, claim: Claimed, now: Timestamp) {
        let Some(id) = work.definition.route_id else { return self.return_claim(&claim) };
        let send_before = send_before(work, &claim, now);
        let texts = self.texts.entry((work.id, work.epoch)).or_insert_with(|| {
            // The text was checked at save and at schedule; one that can no longer be read sends nothing.
            Arc::new(sms.messages.iter().map(|m| m.parse().ok()).collect())
        });
        let text = texts.get(claim.message_no as usize - 1).cloned().flatten();
        let stream = |sender: &Arc<Sender>| Stream { campaign: work.id, sender: sender.clone() };
        let refused = work.senders.all().iter().any(|(s, _)| self.refusals.wait(&stream(s)).is_some());
        let mut messages = Vec::with_capacity(claim.recipients.len());
        let (mut segments, mut most) = (0, 1);
        for r in claim.recipients {
            if refused && let Err(detail) = self.refusals.may_go(&stream(work.senders.of(r.seq))) {
                // Its sender was refused since this message was chosen: set aside, nothing counted.
                self.settle_unsent(
                    work,
                    claim.id,
                    claim.message_no,
                    &r,
                    Fate::Parked { tried: false, detail },
                );
                continue;
            }
            let (reason, detail) = match text.as_ref().map(|t| t.render(&work.fields, r.values())) {
                Some(Ok(text)) => {
                    let size = segment::measure(&text).map_or(1, |size| size.segments);
                    segments += size;
                    most = most.max(size as u32);
                    let sender = work.senders.of(r.seq).clone();
                    // One segment was taken with the claim.
                    if work.senders.are_paced() {
                        self.limits.take(&Key::Sender(sender.clone()), size.saturating_sub(1) as u32, now);
                    }
                    messages.push(Outgoing { seq: r.seq, sender, number: r.number, text });
                    continue;
                }
                Some(Err(RenderError::MissingField)) => (Some(SkipReason::MissingField), None),
                Some(Err(RenderError::Broken(why))) => (None, Some(why)),
                None => (None, Some("the text cannot be read".to_owned())),
            };
            let outcome = if reason.is_some() { Outcome::Skipped } else { Outcome::Failed };
            let fate = Fate::settled(outcome, reason, None, detail);
            self.settle_unsent(work, claim.id, claim.message_no, &r, fate);
        }
        let known = self.segments.entry(work.id).or_insert(1);
        *known = most.max(*known);
        if let Some(port) = self.ports.get_mut(&id)
            && !messages.is_empty()
        {
            // One segment of each message was taken with the claim.
            self.limits.take(&Key::Route(id), (segments - messages.len()) as u32, now);
            port.route.submit(Batch {
                job: Job::Claim { campaign: work.id, claim: claim.id },
                send_before,
                purpose: work.definition.purpose().into(),
                validity: sms.validity,
                tlvs: sms.tlvs.clone(),
                messages,
            });
        }
    }
}

impl Engine {
    /// Settles a message that is not handed over.
    fn settle_unsent(&mut self, work: &Work, claim: ClaimId, message_no: u32, r: &Recipient, fate: Fate) {
        if let Some(open) = self.open.get_mut(&claim) {
            open.unsettled.remove(&r.seq);
        }
        let mut tries = r.tries;
        let sender = match fate {
            Fate::Parked { .. } => Some(work.senders.of(r.seq).clone()),
            Fate::Final { .. } | Fate::Again { .. } => {
                tries.attempts += 1;
                None
            }
        };
        self.pending.settled.push(Settled {
            claim,
            campaign: work.id,
            message_no,
            seq: r.seq,
            number: r.number,
            sender,
            fate,
            tries,
        });
    }
}

/// Until when what is claimed at `now` may be written.
pub(crate) fn send_before(work: &Work, claim: &Claimed, now: Timestamp) -> Timestamp {
    let lease = now + LEASE;
    let closes = claim.send_before.or_else(|| {
        let window = work.definition.window.as_ref()?;
        let wave = work.waves.iter().find(|w| Some(w.id) == claim.wave)?;
        match window.at(&ZoneGroup::parse(&wave.zones).ok()?, now) {
            Opening::Open { until, .. } => Some(until),
            Opening::Closed { .. } | Opening::Never => Some(now),
        }
    });
    closes.map_or(lease, |at| at.min(lease))
}
