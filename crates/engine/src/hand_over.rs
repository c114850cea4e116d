//! What was claimed, on its way to a route: rendered, counted against the rate, or put back.

use std::sync::Arc;

use campaign::{CampaignId, Outcome, SkipReason, ZoneGroup, segment, text::RenderError, window::Opening};
use jiff::{SignedDuration, Timestamp};
use store::{Claimed, Fate, Settled, Work};

use crate::{Batch, Engine, Job, Outgoing, dispatch::Open};

/// How long a claim may lie unwritten with its route before it goes back (architecture.md, leases).
const LEASE: SignedDuration = SignedDuration::from_secs(10);

impl Engine {
    /// Takes on what was claimed: it is handed over with the next turn.
    pub(crate) fn accept(&mut self, work: Work, claim: Claimed) {
        let Some(route) = work.definition.route_id else {
            // A scheduled campaign has one; one that has not keeps its messages.
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
                segments,
                unsettled: claim.recipients.iter().map(|r| (r.seq, (r.number, r.attempts))).collect(),
            },
        );
        if let Some(port) = self.ports.get_mut(&route) {
            port.rate.take(claim.recipients.len());
        }
        if work.senders.are_paced() {
            for r in &claim.recipients {
                self.paces.take(work.senders.of(r.seq), 1);
            }
        }
        self.claimed.push((work, claim));
    }

    /// Segments that a message of a campaign counts as before it is rendered: as many as the longest so far,
    /// or as its bare text has.
    pub(crate) fn segments_of(&mut self, work: &Work) -> u32 {
        *self.segments.entry(work.id).or_insert_with(|| {
            let sizes = work.definition.messages.iter().filter_map(|m| segment::measure(&m.text).ok());
            sizes.map(|size| size.segments as u32).max().unwrap_or(1).max(1)
        })
    }

    /// Puts back what was claimed of a campaign and not handed over.
    pub(crate) fn put_back(&mut self, id: CampaignId) {
        let unwritten: Vec<_> = self.claimed.extract_if(.., |(work, _)| work.id == id).collect();
        for (_, claim) in unwritten {
            self.return_claim(&claim);
        }
    }

    fn return_claim(&mut self, claim: &Claimed) {
        if let Some(open) = self.open.get_mut(&claim.id) {
            open.unsettled.clear();
        }
        self.pending.unwritten.extend(claim.recipients.first().map(|r| (claim.id, r.seq)));
    }

    /// Renders what was claimed and hands it to the route.
    pub(crate) fn hand_over(&mut self, work: &Work, claim: Claimed, now: Timestamp) {
        let Some(id) = work.definition.route_id else { return self.return_claim(&claim) };
        let send_before = send_before(work, &claim, now);
        let texts = self.texts.entry((work.id, work.epoch)).or_insert_with(|| {
            // Checked at save and at schedule; one that cannot be read any more sends nothing.
            Arc::new(work.definition.messages.iter().filter_map(|m| m.parse().ok()).collect())
        });
        let text = texts.get(claim.message_no as usize - 1).cloned();
        let mut messages = Vec::with_capacity(claim.recipients.len());
        let (mut segments, mut most) = (0, 1);
        for r in claim.recipients {
            let (reason, detail) = match text.as_ref().map(|t| t.render(&work.fields, r.values())) {
                Some(Ok(text)) => {
                    let size = segment::measure(&text).map_or(1, |size| size.segments);
                    segments += size;
                    most = most.max(size as u32);
                    let sender = work.senders.of(r.seq).clone();
                    // One was taken with the claim.
                    self.paces.take(&sender, size.saturating_sub(1));
                    messages.push(Outgoing { seq: r.seq, sender, number: r.number, text });
                    continue;
                }
                Some(Err(RenderError::MissingField)) => (Some(SkipReason::MissingField), None),
                Some(Err(RenderError::Broken(why))) => (None, Some(why)),
                None => (None, Some("the text cannot be read".to_owned())),
            };
            if let Some(open) = self.open.get_mut(&claim.id) {
                open.unsettled.remove(&r.seq);
            }
            let outcome = if reason.is_some() { Outcome::Skipped } else { Outcome::Failed };
            let fate =
                Fate::Final { outcome, reason, code: None, detail, provider_ids: Vec::new(), parts: 0 };
            self.pending.settled.push(Settled {
                claim: claim.id,
                campaign: work.id,
                message_no: claim.message_no,
                seq: r.seq,
                number: r.number,
                sender: None,
                fate,
                attempts: r.attempts + 1,
            });
        }
        let known = self.segments.entry(work.id).or_insert(1);
        *known = most.max(*known);
        if let Some(port) = self.ports.get_mut(&id)
            && !messages.is_empty()
        {
            // One each was taken with the claim.
            port.rate.take(segments - messages.len());
            port.route.submit(Batch {
                job: Job::Claim { campaign: work.id, claim: claim.id },
                send_before,
                purpose: work.definition.purpose().into(),
                validity: work.definition.validity,
                tlvs: work.definition.tlvs.clone(),
                messages,
            });
        }
    }
}

/// Until when what is claimed at `now` may be written.
fn send_before(work: &Work, claim: &Claimed, now: Timestamp) -> Timestamp {
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
