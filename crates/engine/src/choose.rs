//! Which campaigns to claim for: a pure answer from plain facts.
//!
//! The choice first looks at what is due in each campaign (waves in order, as far as their windows, leaders and
//! lateness allow), then divides each route's room among the campaigns that have something to send. The campaign that
//! was served longest ago comes first, so a campaign of next year takes no share of today's rate and a small one is not
//! starved. Within a campaign, retries that are due go first, then messages that follow an earlier one (their distance
//! was promised), then the rest by due time. Every campaign that sends nothing has a reason.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use campaign::{
    CampaignId, RouteId, Sender, Senders, Status, WaveId, ZoneGroup, lateness::is_late, window::Opening,
};
use jiff::{SignedDuration, Timestamp};
use store::{ClaimRequest, Held, RetriesOf, Wave, Work};

use crate::{
    RouteState, Waiting, WaitingReason,
    limits::{Grant, Limits},
    refusal::{Refusals, Stream},
    waiting,
};

/// The most messages in one claim.
const LARGEST_CLAIM: u32 = 1_000;
/// A used-up rate, or a text that is not rendered, is given as a reason once it has held a campaign back for this long.
const RATE_IS_TOLD_AFTER: SignedDuration = SignedDuration::from_secs(2);
/// The shortest wait before looking again at what a clock between two milliseconds holds back.
pub(crate) const SOON: SignedDuration = SignedDuration::from_millis(1);

/// What a limit applies to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The segments of a route: those sent each second, and those claimed and not yet committed.
    Route(RouteId),
    /// The deliveries of a campaign that has a limit of its own.
    Campaign(CampaignId),
    /// The segments of a sender that has a rate of its own, over all campaigns and routes.
    Sender(Arc<Sender>),
}

/// A route as it stands now.
#[derive(Debug, Clone)]
pub(crate) struct PortFacts {
    pub(crate) state: RouteState,
    /// Whether its settings were changed: it claims nothing more.
    pub(crate) outdated: bool,
    /// When it last had room to send.
    pub(crate) alive_at: Timestamp,
    /// Whether it carries calls, of which only so many may be up at once.
    pub(crate) calls: bool,
}

/// When a campaign last had something claimed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) turn: u64,
    pub(crate) at: Timestamp,
}

/// Everything that a choice is made from.
pub(crate) struct Facts<'a> {
    pub(crate) now: Timestamp,
    pub(crate) work: &'a [Work],
    /// The routes that are connected here.
    pub(crate) ports: &'a BTreeMap<RouteId, PortFacts>,
    pub(crate) limits: &'a Limits<Key>,
    pub(crate) refusals: &'a Refusals,
    /// How many segments a message of each campaign counts as.
    pub(crate) segments: &'a HashMap<CampaignId, u32>,
    /// How far the waves of calls may go, as far as what is said in them is rendered.
    pub(crate) ready: &'a HashMap<WaveId, i64>,
    pub(crate) served: &'a HashMap<CampaignId, Served>,
}

impl Facts<'_> {
    /// One past the last place of a wave that may be claimed now.
    fn bound(&self, wave: &Wave) -> i64 {
        self.ready.get(&wave.id).map_or(wave.bound, |ready| wave.bound.min(*ready))
    }

    /// When it is worth saying that a campaign is held back that has something due since then.
    fn told_at(&self, campaign: CampaignId, due: Option<Timestamp>) -> Option<Timestamp> {
        let served = self.served.get(&campaign).map(|served| served.at);
        let since = served.into_iter().chain(due).max()?;
        Some(since.saturating_add(RATE_IS_TOLD_AFTER).unwrap_or(since))
    }
}

/// What the engine is to do.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    /// Campaigns whose first delivery has come due.
    pub(crate) due: Vec<CampaignId>,
    pub(crate) claims: Vec<ClaimRequest>,
    /// Waves to hold because they are late.
    pub(crate) late: Vec<(CampaignId, WaveId)>,
    /// Waiting streams that try one message each.
    pub(crate) probes: Vec<Stream>,
    pub(crate) waiting: HashMap<CampaignId, Vec<Waiting>>,
    /// When to look again; none: only when something is reported or changed.
    pub(crate) wake: Option<Timestamp>,
}

impl Asks {
    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// What one campaign has to send.
struct Demand<'a> {
    work: &'a Work,
    /// Waves that may be claimed, each with the time by which the leader must have settled a recipient.
    waves: Vec<(&'a Wave, Option<Timestamp>)>,
    waits: Vec<Waiting>,
    /// Whether somebody is due whose texts are not rendered yet.
    renders: bool,
}

impl Demand<'_> {
    fn is_empty(&self) -> bool {
        self.waves.is_empty() && self.work.retries_due == 0 && self.work.parked.is_empty()
    }
}

/// Decides what to claim.
pub(crate) fn choose(facts: &Facts<'_>) -> Asks {
    let mut asks = Asks::default();
    let mut by_route: BTreeMap<RouteId, Vec<Demand<'_>>> = BTreeMap::new();
    for work in facts.work {
        if work.status == Status::Scheduled && work.waves.iter().any(|wave| wave.due_at <= facts.now) {
            asks.due.push(work.id);
        }
        for at in work.next_due.into_iter().chain(work.next_retry) {
            asks.wake_at(at);
        }
        // A scheduled campaign has a route.
        let Some(route) = work.definition.route_id else { continue };
        let demand = look(facts, work, facts.ports.get(&route), &mut asks);
        by_route.entry(route).or_default().push(demand);
    }
    let mut rooms = Rooms { facts, used: HashMap::new() };
    for (route, demands) in by_route {
        match facts.ports.get(&route) {
            Some(port) if port.state == RouteState::Connected && !port.outdated => {
                divide(facts, route, port, demands, &mut rooms, &mut asks);
            }
            port => {
                let reason = match port.map(|port| &port.state) {
                    None => WaitingReason::Disabled,
                    Some(RouteState::Refused(words)) => WaitingReason::RouteRefuses(words.clone()),
                    Some(_) => WaitingReason::RouteDown,
                };
                for demand in demands {
                    let waits = if demand.is_empty() && !demand.renders {
                        demand.waits
                    } else {
                        vec![Waiting { reason: reason.clone(), until: None }]
                    };
                    asks.waiting.insert(demand.work.id, waits);
                }
            }
        }
    }
    asks
}

/// Finds what a campaign may send, and why the rest may not go.
fn look<'a>(facts: &Facts<'_>, work: &'a Work, port: Option<&PortFacts>, asks: &mut Asks) -> Demand<'a> {
    let now = facts.now;
    let alive_at = port.map_or(Timestamp::MIN, |port| port.alive_at);
    let (mut waves, mut waits, mut renders) = (Vec::new(), Vec::new(), false);
    if let Some(due) = work.next_due {
        waiting::add(&mut waits, WaitingReason::NotDue, Some(due));
    }
    if work.retries_held {
        waiting::add(&mut waits, WaitingReason::Late, None);
    }
    let expired = work.definition.content.until().is_some_and(|until| until <= now);
    for wave in &work.waves {
        if expired && wave.held.is_none() {
            // It is claimed to be skipped, whatever the hour.
            waves.push((wave, None));
            continue;
        }
        if let Some(held) = wave.held {
            let reason = match held {
                Held::Late => WaitingReason::Late,
                Held::Pilot => WaitingReason::Pilot,
            };
            waiting::add(&mut waits, reason, None);
            continue;
        }
        let Some(send) = work.definition.content.send(wave.message_no) else { continue };
        if wave.bound <= wave.next_seq {
            // A wave that waits for its leader takes nothing, and is not late while it waits.
            waiting::add(&mut waits, WaitingReason::EarlierMessage, wave.bound_moves_at);
            if let Some(at) = wave.bound_moves_at {
                asks.wake_at(at.max(now + SOON));
            }
            continue;
        }
        // Names were checked when the audience was frozen.
        let Ok(zones) = ZoneGroup::parse(&wave.zones) else { continue };
        let mut opened = Timestamp::MIN;
        if let Some(window) = &work.definition.window {
            match window.at(&zones, now) {
                Opening::Open { since, .. } => opened = since,
                Opening::Closed { next } => {
                    waiting::add(&mut waits, WaitingReason::WindowClosed, Some(next));
                    asks.wake_at(next);
                    continue;
                }
                Opening::Never => {
                    waiting::add(&mut waits, WaitingReason::WindowClosed, None);
                    continue;
                }
            }
        }
        let could_go = [wave.due_at, opened, work.restarted_at.unwrap_or(Timestamp::MIN)];
        if is_late(could_go, alive_at, now, work.definition.lateness_limit) {
            asks.late.push((work.id, wave.id));
            waiting::add(&mut waits, WaitingReason::Late, None);
            continue;
        }
        if facts.bound(wave) <= wave.next_seq {
            renders = true;
            match facts.told_at(work.id, Some(wave.due_at)) {
                Some(at) if at > now => asks.wake_at(at),
                _ => waiting::add(&mut waits, WaitingReason::Rendering, None),
            }
            continue;
        }
        waves.push((wave, send.is_after().then(|| send.settled_before(&zones, now))));
    }
    // Messages that follow another keep their distance; all others go by their due time.
    waves.sort_by_key(|(wave, follows)| {
        (follows.is_none(), wave.due_at, wave.message_no, wave.next_seq, wave.id)
    });
    if renders {
        // Somebody is due: that others are not is no reason.
        waits.retain(|wait| wait.reason != WaitingReason::NotDue);
    } else if waves.is_empty()
        && waits.is_empty()
        && let Some(at) = work.next_retry
    {
        waiting::add(&mut waits, WaitingReason::NotDue, Some(at));
    }
    Demand { work, waves, waits, renders }
}

/// Divides a route's room among the campaigns that have something to send.
fn divide(
    facts: &Facts<'_>,
    route: RouteId,
    port: &PortFacts,
    demands: Vec<Demand<'_>>,
    rooms: &mut Rooms<'_>,
    asks: &mut Asks,
) {
    let (idle, mut hungry): (Vec<_>, Vec<_>) = demands.into_iter().partition(Demand::is_empty);
    asks.waiting.extend(idle.into_iter().map(|demand| (demand.work.id, demand.waits)));
    let room = rooms.left(&Key::Route(route));
    let mut left = room.granted;
    hungry
        .sort_by_key(|demand| (facts.served.get(&demand.work.id).map(|served| served.turn), demand.work.id));
    let count = hungry.len();
    for (at, mut demand) in hungry.into_iter().enumerate() {
        let id = demand.work.id;
        // Room is in segments, claims are in messages; a message larger than the room is sent alone.
        let each = facts.segments.get(&id).copied().unwrap_or(1).max(1);
        let own = rooms.left(&Key::Campaign(id));
        let share = left.div_ceil((count - at) as u32).min(own.granted);
        // Whichever leaves less is what is waited for.
        let room = if own.granted < left { own } else { room };
        let until = demand.work.definition.content.until();
        // What has expired is claimed to be skipped, which takes no room.
        let expired = until.is_some_and(|until| until <= facts.now);
        let most = match (expired, share) {
            (true, _) => LARGEST_CLAIM,
            (false, 0) => 0,
            (false, _) => (share / each).clamp(1, LARGEST_CLAIM),
        };
        if let Some(until) = until.filter(|_| !expired) {
            asks.wake_at(until);
        }
        let mut claims = Claims { most, taken: 0, next: None, asks };
        claims.claim(facts, port, &mut demand, rooms);
        let Claims { taken, next, .. } = claims;
        if !expired {
            left = left.saturating_sub(taken.saturating_mul(each));
        }
        if taken > 0 {
            // The campaign sends, so what is not due yet is no reason to wait. What waits for a person still is.
            demand.waits.retain(|wait| {
                matches!(
                    wait.reason,
                    WaitingReason::Late | WaitingReason::Pilot | WaitingReason::RouteRefuses(_)
                )
            });
        } else if most == 0 || next.is_some() {
            let until = next.or(room.next);
            let due = demand.waves.iter().map(|(wave, _)| wave.due_at).min();
            if facts.told_at(id, due).is_none_or(|at| at <= facts.now) {
                let full = port.calls && until.is_none();
                let budget = demand.work.affordable.is_some_and(|most| {
                    own.granted == 0
                        && demand.work.definition.content.at_once().is_none_or(|own| most < own.get())
                });
                let reason = match (full, budget) {
                    (true, true) => WaitingReason::Budget,
                    (true, false) => WaitingReason::CallsFull,
                    (false, _) => WaitingReason::Rate,
                };
                waiting::add(&mut demand.waits, reason, until);
            }
            // A campaign's own rate is not looked at with the route's.
            if let Some(at) = own.next.filter(|_| own.granted == 0) {
                asks.wake_at(at);
            }
        }
        if let Some(next) = next {
            asks.wake_at(next);
        }
        asks.waiting.insert(id, demand.waits);
    }
    // Wakes by the rate only where the rate is short: results wake the engine by themselves.
    if count > 0
        && left == 0
        && let Some(next) = room.next
    {
        asks.wake_at(next);
    }
}

/// The claims for one campaign.
struct Claims<'a> {
    /// Messages that may still be claimed.
    most: u32,
    taken: u32,
    /// When a sender that has no room will have some again.
    next: Option<Timestamp>,
    asks: &'a mut Asks,
}

impl Claims<'_> {
    fn claim(&mut self, facts: &Facts<'_>, port: &PortFacts, demand: &mut Demand<'_>, rooms: &mut Rooms<'_>) {
        let work = demand.work;
        let senders = &work.senders;
        let stream = |sender: &Arc<Sender>| Stream { campaign: work.id, sender: sender.clone() };
        let mut going = 0;
        let mut probe = None;
        for (sender, _) in senders.all() {
            let stream = stream(sender);
            let Some(wait) = facts.refusals.wait(&stream) else {
                going += 1;
                continue;
            };
            let reason = WaitingReason::RouteRefuses(wait.words.clone());
            waiting::add(&mut demand.waits, reason, Some(wait.probe_at));
            if wait.probe_at > facts.now {
                self.asks.wake_at(wait.probe_at);
            } else if self.most > 0 {
                probe.get_or_insert_with(|| sender.clone());
                self.asks.probes.push(stream);
            }
        }
        if going == 0 {
            // Only the probe goes: to a recipient who was never refused, if there is one.
            self.most = u32::from(probe.is_some());
            self.waves(facts, demand, rooms);
        }
        let retries = |most, of| ClaimRequest::Retries {
            campaign: work.id,
            epoch: work.epoch,
            most,
            of,
            alive_at: port.alive_at,
        };
        for parked in &work.parked {
            let waits = facts.refusals.wait(&stream(&parked.sender)).is_some();
            let most = match (waits, &probe) {
                (false, _) => parked.count,
                // The probe comes from those set aside where no wave offers one.
                (true, Some(probe)) if *probe == parked.sender => u32::from(demand.waves.is_empty()),
                (true, _) => 0,
            };
            let most = rooms.grant_any(senders, most.min(self.most), &mut self.next);
            if most > 0 {
                self.add(retries(most, RetriesOf::Parked(parked.sender.clone())), most);
            }
        }
        let dated = rooms.grant_any(senders, work.retries_due.min(self.most), &mut self.next);
        if dated > 0 {
            self.add(retries(dated, RetriesOf::Dated), dated);
        }
        if going > 0 {
            self.waves(facts, demand, rooms);
        }
    }

    fn waves(&mut self, facts: &Facts<'_>, demand: &Demand<'_>, rooms: &mut Rooms<'_>) {
        let work = demand.work;
        for (wave, settled_before) in &demand.waves {
            let there = (facts.bound(wave) - wave.next_seq).clamp(0, i64::from(self.most)) as u32;
            let take = rooms.grant(&work.senders, wave.next_seq, there, &mut self.next);
            if take > 0 {
                let request = ClaimRequest::Wave {
                    campaign: work.id,
                    epoch: work.epoch,
                    wave: wave.id,
                    most: take,
                    settled_before: *settled_before,
                };
                self.add(request, take);
            }
        }
    }

    fn add(&mut self, request: ClaimRequest, messages: u32) {
        self.most -= messages;
        self.taken += messages;
        self.asks.claims.push(request);
    }
}

/// The room that the limits leave during a choice: what one campaign is granted, the next cannot have.
struct Rooms<'a> {
    facts: &'a Facts<'a>,
    used: HashMap<Key, u32>,
}

impl Rooms<'_> {
    fn left(&self, key: &Key) -> Grant {
        let room = self.facts.limits.room(key, self.facts.now);
        Grant { granted: room.granted.saturating_sub(self.used.get(key).copied().unwrap_or(0)), ..room }
    }

    /// How many recipients from `seq` on, at most `most`, can be sent to before a sender runs out of room.
    fn grant(&mut self, senders: &Senders, seq: i64, most: u32, next: &mut Option<Timestamp>) -> u32 {
        if !senders.are_paced() {
            return most;
        }
        let before = self.of_senders(senders);
        let mut rooms = before.clone();
        let mut granted = most;
        for at in 0..most {
            let room = &mut rooms[senders.index(seq + i64::from(at))];
            if room.granted == 0 {
                *next = next.iter().copied().chain(room.next).min();
                granted = at;
                break;
            }
            room.granted -= 1;
        }
        for ((sender, _), (before, room)) in senders.all().iter().zip(before.iter().zip(&rooms)) {
            *self.used.entry(Key::Sender(sender.clone())).or_default() += before.granted - room.granted;
        }
        granted
    }

    fn of_senders(&self, senders: &Senders) -> Vec<Grant> {
        senders.all().iter().map(|(sender, _)| self.left(&Key::Sender(sender.clone()))).collect()
    }

    /// How many recipients can be sent to, at most `most`, while their senders are unknown. Whose room they take is
    /// known once they are claimed; until then no room is taken.
    fn grant_any(&self, senders: &Senders, most: u32, next: &mut Option<Timestamp>) -> u32 {
        if !senders.are_paced() || most == 0 {
            return most;
        }
        let rooms = self.of_senders(senders);
        let granted = most.min(rooms.iter().fold(0, |sum: u32, room| sum.saturating_add(room.granted)));
        if granted == 0 {
            *next = next.iter().copied().chain(rooms.iter().filter_map(|room| room.next)).min();
        }
        granted
    }
}

#[cfg(test)]
mod tests;
