//! Whom to claim for: due waves and retries within budget, rate and windows, each campaign in its turn.

use std::collections::HashMap;

use campaign::{CampaignId, RouteId, Status, WaveId, ZoneGroup, window::Opening};
use jiff::{SignedDuration, Timestamp};
use store::{ClaimRequest, Cycle, Held, Wave, Work};

use crate::{
    RouteState,
    dispatch::{Engine, PROBE_EVERY, lock, soonest},
};

/// Messages in one claim at most.
const LARGEST_CLAIM: u32 = 1_000;
/// How often it is stored that a route had room: what a crash adds to lateness at most.
const ALIVE_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// Why a campaign does not send at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingReason {
    /// Its time has not come.
    NotDue,
    /// Outside the sending window.
    WindowClosed,
    /// The route has no connection.
    RouteDown,
    /// The far end refuses, in its words.
    RouteRefuses(String),
    /// The disk is nearly full: what is sent could not be accounted for.
    DiskFull,
    /// Held until a person releases it: nothing was dispatched for too long.
    Late,
    /// The pilot is sent; a person looks at it and releases the rest.
    Pilot,
}

impl WaitingReason {
    /// The word used in the API.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::WindowClosed => "window_closed",
            Self::RouteDown => "route_down",
            Self::RouteRefuses(_) => "route_refuses",
            Self::DiskFull => "disk_full",
            Self::Late => "late",
            Self::Pilot => "pilot",
        }
    }
}

/// Why, and until when if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Why.
    pub reason: WaitingReason,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl Engine {
    /// Decides what to claim at `now`.
    pub(crate) fn choose(
        &mut self,
        work: &[Work],
        asks: &mut Cycle,
        wake: &mut Option<Timestamp>,
        now: Timestamp,
    ) {
        self.turn += 1;
        let mut waiting = HashMap::new();
        for w in work {
            if w.status == Status::Scheduled && w.waves.iter().any(|wave| wave.due_at <= now) {
                asks.due.push(w.id);
            }
        }
        let mut outstanding: HashMap<RouteId, u32> = HashMap::new();
        for open in self.open.values() {
            *outstanding.entry(open.route).or_default() += open.unsettled.len() as u32 * open.segments;
        }
        let segments: HashMap<CampaignId, u32> = work.iter().map(|w| (w.id, self.segments_of(w))).collect();
        for (id, port) in &mut self.ports {
            let mine: Vec<&Work> = work.iter().filter(|w| w.definition.route_id == Some(*id)).collect();
            if mine.is_empty() {
                continue;
            }
            let state = port.route.state();
            let connected = state == RouteState::Connected && !port.outdated;
            let mut room = port
                .budget
                .saturating_sub(outstanding.get(id).copied().unwrap_or(0))
                .min(port.rate.room(now));
            // Each campaign in turn begins, and none takes more than its share while others wait.
            let share = room.div_ceil(mine.len() as u32).max(1);
            let mut queueing = false;
            for turn in 0..mine.len() {
                let w = mine[(self.turn + turn) % mine.len()];
                let mut waits = Vec::new();
                let mut chooser = Chooser {
                    w,
                    alive_at: port.alive_at,
                    now,
                    wake,
                    late: &mut asks.late,
                    waits: &mut waits,
                };
                let ready = chooser.ready();
                if !connected && (!ready.is_empty() || w.next_retry.is_some_and(|at| at <= now)) {
                    let reason = match &state {
                        RouteState::Refused(words) => WaitingReason::RouteRefuses(words.clone()),
                        _ => WaitingReason::RouteDown,
                    };
                    waits = vec![Waiting { reason, until: None }];
                }
                // Room is in segments, claims are in messages; one with more than the room goes alone.
                let each = segments[&w.id];
                let within = |room: u32| if room == 0 { 0 } else { (room / each).max(1) };
                if connected && !ready.is_empty() {
                    // It sends: what else of it is not due yet is no reason. What is held still waits for a person.
                    waits.retain(|wait| matches!(wait.reason, WaitingReason::Late | WaitingReason::Pilot));
                }
                let mut most = within(share.min(room)).min(LARGEST_CLAIM);
                let mut pace = self.paces.room(&w.senders, now);
                if let Some(refusing) = self.refusing.get_mut(&w.id)
                    && let Some(probe_at) = refusing.probe_at
                {
                    waits.push(Waiting {
                        reason: WaitingReason::RouteRefuses(refusing.words.clone()),
                        until: Some(probe_at),
                    });
                    most = most.min(u32::from(probe_at <= now));
                    if most == 1 {
                        refusing.probe_at = Some(now + PROBE_EVERY);
                    }
                    soonest(wake, probe_at.max(now + SignedDuration::from_millis(1)));
                }
                waiting.insert(w.id, waits);
                if !connected {
                    continue;
                }
                let again = if w.next_retry.is_some_and(|at| at <= now) { pace.grant_any(most) } else { 0 };
                if again > 0 {
                    asks.claims.push(ClaimRequest::Retries { campaign: w.id, epoch: w.epoch, most: again });
                    room = room.saturating_sub(again * each);
                    most = within(share.min(room)).min(most);
                    if self.refusing.get(&w.id).is_some_and(|r| r.probe_at.is_some()) {
                        most = 0;
                    }
                }
                for (wave, settled_before) in ready {
                    let take = most.min((wave.to_seq - wave.next_seq) as u32);
                    if take == 0 {
                        queueing = true;
                        continue;
                    }
                    let take = pace.grant(&w.senders, wave.next_seq, take);
                    if take == 0 {
                        continue;
                    }
                    asks.claims.push(ClaimRequest::Wave {
                        campaign: w.id,
                        epoch: w.epoch,
                        wave: wave.id,
                        most: take,
                        settled_before,
                    });
                    most -= take;
                    room = room.saturating_sub(take * each);
                }
                if let Some(next) = pace.next {
                    soonest(wake, next.max(now + SignedDuration::from_millis(1)));
                }
            }
            if connected {
                port.alive_at = now;
                if now.duration_since(port.alive_stored) >= ALIVE_EVERY {
                    port.alive_stored = now;
                    asks.alive.push(*id);
                }
            }
            if queueing {
                soonest(wake, port.rate.next().max(now + SignedDuration::from_millis(1)));
            }
        }
        for at in work.iter().filter_map(|w| w.next_retry).filter(|at| *at > now) {
            soonest(wake, at);
        }
        *lock(&self.desk.waiting) = waiting;
    }
}

/// Looks through one campaign's waves.
struct Chooser<'w, 'a> {
    w: &'w Work,
    alive_at: Timestamp,
    now: Timestamp,
    wake: &'a mut Option<Timestamp>,
    late: &'a mut Vec<WaveId>,
    waits: &'a mut Vec<Waiting>,
}

impl<'w> Chooser<'w, '_> {
    /// The waves that may be claimed now, with the bound for followers.
    fn ready(&mut self) -> Vec<(&'w Wave, Option<Timestamp>)> {
        let mut ready = Vec::new();
        for wave in &self.w.waves {
            if let Some(held) = wave.held {
                let reason = match held {
                    Held::Late => WaitingReason::Late,
                    Held::Pilot => WaitingReason::Pilot,
                };
                self.wait(reason, None);
                continue;
            }
            if wave.due_at > self.now {
                self.wait(WaitingReason::NotDue, Some(wave.due_at));
                soonest(self.wake, wave.due_at);
                continue;
            }
            // Names were checked when the audience was frozen.
            let Ok(zones) = ZoneGroup::parse(&wave.zones) else { continue };
            let mut since = wave.due_at;
            if let Some(window) = &self.w.definition.window {
                match window.at(&zones, self.now) {
                    Opening::Open { since: opened, .. } => since = since.max(opened),
                    Opening::Closed { next } => {
                        self.wait(WaitingReason::WindowClosed, Some(next));
                        soonest(self.wake, next);
                        continue;
                    }
                    Opening::Never => {
                        self.wait(WaitingReason::WindowClosed, None);
                        continue;
                    }
                }
            }
            // Queueing while the route had room to send is not lateness.
            let base = since.max(self.alive_at).max(self.w.restarted_at.unwrap_or(Timestamp::MIN));
            let send = &self.w.definition.messages[wave.message_no as usize - 1].send;
            if self.now.duration_since(base) > self.w.definition.lateness_limit {
                self.late.push(wave.id);
                self.wait(WaitingReason::Late, None);
                continue;
            }
            if send.is_after() {
                // What its leader has not settled long enough ago is looked for again every second.
                soonest(self.wake, self.now + SignedDuration::from_secs(1));
            }
            ready.push((wave, send.is_after().then(|| send.settled_before(&zones, self.now))));
        }
        ready
    }

    fn wait(&mut self, reason: WaitingReason, until: Option<Timestamp>) {
        match self.waits.iter_mut().find(|w| w.reason == reason) {
            Some(known) => {
                known.until = known.until.into_iter().chain(until).min();
            }
            None => self.waits.push(Waiting { reason, until }),
        }
    }
}
