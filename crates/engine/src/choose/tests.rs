//! The choice as tables: facts in, claims and reasons out.

use store::{Definition, Parked};

use super::*;
use crate::{limits::Limit, refusal::Refused};

const ROUTE: RouteId = RouteId(1);

fn now() -> Timestamp {
    "2026-11-24T15:00:00Z".parse().unwrap()
}

fn in_seconds(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn definition() -> Definition {
    serde_json::from_value(serde_json::json!({"channel": "sms", "name": "C", "route_id": ROUTE, "sender": "CLINIC",
        "window": null, "messages": [{"text": "1", "send": {"now": true}}, {"text": "2", "send": {"after": "PT10M"}}]}))
    .unwrap()
}

fn clinic() -> Arc<Sender> {
    Arc::new(Sender::Alphanumeric("CLINIC".into()))
}

/// A running campaign with these waves.
fn work(id: i64, waves: Vec<Wave>) -> Work {
    Work {
        id: CampaignId(id),
        epoch: 0,
        status: Status::Running,
        definition: Arc::new(definition()),
        senders: Arc::new(Senders::one(clinic().as_ref().clone())),
        fields: Arc::from([]),
        restarted_at: None,
        waves,
        coming: Vec::new(),
        next_due: None,
        retries_due: 0,
        next_retry: None,
        retries_held: false,
        affordable: None,
        parked: Vec::new(),
    }
}

/// A wave of 100 that became due some seconds ago.
fn wave(id: i64, message_no: u32, ago: i64) -> Wave {
    Wave {
        id: WaveId(id),
        message_no,
        zones: "America/New_York".into(),
        due_at: in_seconds(-ago),
        held: None,
        next_seq: 0,
        bound: 100,
        bound_moves_at: None,
        to_seq: 100,
    }
}

struct World {
    limits: Limits<Key>,
    refusals: Refusals,
    ports: BTreeMap<RouteId, PortFacts>,
    ready: HashMap<WaveId, i64>,
    served: HashMap<CampaignId, Served>,
}

impl World {
    /// A route with this rate and budget that is connected.
    fn new(per_second: u32, at_once: u32) -> Self {
        let mut limits = Limits::default();
        let limit = Limit { per_second: Some(per_second), at_once: Some(at_once) };
        limits.set(Key::Route(ROUTE), limit, now());
        let port = PortFacts { state: RouteState::Connected, outdated: false, alive_at: now(), calls: false };
        Self {
            limits,
            refusals: Refusals::default(),
            ports: BTreeMap::from([(ROUTE, port)]),
            ready: HashMap::new(),
            served: HashMap::new(),
        }
    }

    fn choose(&self, work: &[Work]) -> Asks {
        choose(&Facts {
            now: now(),
            work,
            ports: &self.ports,
            limits: &self.limits,
            refusals: &self.refusals,
            segments: &HashMap::new(),
            ready: &self.ready,
            served: &self.served,
        })
    }

    /// Has the carrier refuse the sender of campaign 1, which waits; the probe is due in this many seconds.
    fn refuse(&mut self, probe_in: i64) {
        let stream = Stream { campaign: CampaignId(1), sender: clinic() };
        let refused = Refused { route: ROUTE, seq: 1, listed: true, words: "no", others_left: true };
        let mut tries = store::Tries::default();
        let then = in_seconds(probe_in - 60);
        self.refusals.refused(&stream, refused, &mut tries, then);
        self.refusals.refused(&stream, refused, &mut tries, then);
    }
}

/// What is claimed, as (campaign, wave or none for retries, how many).
fn claimed(asks: &Asks) -> Vec<(i64, Option<i64>, u32)> {
    let claim = |request: &ClaimRequest| match request {
        ClaimRequest::Wave { campaign, wave, most, .. } => (campaign.0, Some(wave.0), *most),
        ClaimRequest::Retries { campaign, most, .. } => (campaign.0, None, *most),
    };
    asks.claims.iter().map(claim).collect()
}

fn reasons(asks: &Asks, campaign: i64) -> Vec<&'static str> {
    asks.waiting[&CampaignId(campaign)].iter().map(|w| w.reason.word()).collect()
}

#[test]
fn a_follower_that_can_get_nothing_takes_nothing_from_others() {
    let held = Wave { held: Some(Held::Late), ..wave(1, 1, 60) };
    let follower = Wave { bound: 0, ..wave(2, 2, 60) };
    let asks = World::new(1_000, 50).choose(&[work(1, vec![held, follower, wave(3, 1, 60)])]);
    assert_eq!(claimed(&asks), [(1, Some(3), 50)]);
    assert_eq!(reasons(&asks, 1), ["late"]);
}

#[test]
fn only_what_is_due_shares_the_rate() {
    let mut all = vec![work(1, vec![wave(1, 1, 0)])];
    all.extend((2..400).map(|id| Work { next_due: Some(in_seconds(86_400 * 365)), ..work(id, Vec::new()) }));
    let asks = World::new(500, 400).choose(&all);
    assert_eq!(claimed(&asks), [(1, Some(1), 50)]);
    assert_eq!(reasons(&asks, 2), ["not_due"]);
}

#[test]
fn room_is_divided_and_what_one_does_not_need_goes_to_the_others() {
    let small = work(1, vec![Wave { bound: 3, ..wave(1, 1, 0) }]);
    let asks =
        World::new(300, 400).choose(&[small, work(2, vec![wave(2, 1, 0)]), work(3, vec![wave(3, 1, 0)])]);
    assert_eq!(claimed(&asks), [(1, Some(1), 3), (2, Some(2), 14), (3, Some(3), 13)]);
}

#[test]
fn whoever_was_served_longest_ago_is_first() {
    let mut w = World::new(1, 400);
    w.served.insert(CampaignId(1), Served { turn: 5, at: in_seconds(-1) });
    w.served.insert(CampaignId(2), Served { turn: 4, at: in_seconds(-9) });
    let both = [work(1, vec![wave(1, 1, 60)]), work(2, vec![wave(2, 1, 60)])];
    let asks = w.choose(&both);
    assert_eq!(claimed(&asks), [(2, Some(2), 1)]);
    // The other has waited for a second only: the rate is not given as a reason yet.
    assert_eq!((reasons(&asks, 1), reasons(&asks, 2)), (vec![], vec![]));
    w.served.insert(CampaignId(1), Served { turn: 5, at: in_seconds(-3) });
    assert_eq!(reasons(&w.choose(&both), 1), ["rate"]);
}

#[test]
fn what_follows_keeps_its_distance_and_all_else_goes_by_its_due_time() {
    let waves = vec![wave(1, 1, 60), wave(2, 1, 90), Wave { bound: 5, ..wave(3, 2, 1) }];
    let asks = World::new(10_000, 400).choose(&[work(1, waves)]);
    assert_eq!(claimed(&asks), [(1, Some(3), 5), (1, Some(2), 100), (1, Some(1), 100)]);
}

#[test]
fn nothing_wakes_by_the_rate_where_results_are_waited_for() {
    let mut w = World::new(10_000, 400);
    w.limits.under_way(&Key::Route(ROUTE), 400);
    let asks = w.choose(&[work(1, vec![wave(1, 1, 60)])]);
    assert_eq!((claimed(&asks), asks.wake), (vec![], None));
    assert_eq!(reasons(&asks, 1), ["rate"]);
}

#[test]
fn no_more_retries_are_asked_for_than_are_due_and_they_go_first() {
    let one = Work { retries_due: 1, ..work(1, vec![wave(1, 1, 60)]) };
    let asks = World::new(500, 400).choose(&[one]);
    assert_eq!(claimed(&asks), [(1, None, 1), (1, Some(1), 49)]);
}

#[test]
fn where_the_carrier_refuses_one_is_tried_a_minute_and_of_those_who_were_not_asked_first() {
    let parked = |waves| Work {
        parked: vec![Parked { sender: clinic(), count: 30 }],
        retries_due: 2,
        ..work(1, waves)
    };
    // (probe is due in seconds, waves) -> claims.
    let table = [
        (0, vec![wave(1, 1, 60)], vec![(1, Some(1), 1)]),
        (0, vec![], vec![(1, None, 1)]),
        (5, vec![wave(1, 1, 60)], vec![]),
    ];
    for (probe_in, waves, expected) in table {
        let mut w = World::new(500, 400);
        w.refuse(probe_in);
        let asks = w.choose(&[parked(waves)]);
        assert_eq!(claimed(&asks), expected, "{probe_in}");
        assert_eq!(asks.probes.len(), usize::from(probe_in == 0));
        assert_eq!(asks.wake, (probe_in > 0).then(|| in_seconds(probe_in)));
        assert!(reasons(&asks, 1).contains(&"route_refuses"));
    }
    // Once it is accepted again, all of them go.
    let asks = World::new(500, 400).choose(&[parked(vec![wave(1, 1, 60)])]);
    assert_eq!(claimed(&asks), [(1, None, 30), (1, None, 2), (1, Some(1), 18)]);
}

#[test]
fn a_route_that_is_off_down_or_refused_is_the_reason() {
    let all = [work(1, vec![wave(1, 1, 60)])];
    let states = [
        (None, "disabled"),
        (Some(RouteState::Connecting), "route_down"),
        (Some(RouteState::Refused("the password is wrong".into())), "route_refuses"),
    ];
    for (state, reason) in states {
        let mut w = World::new(500, 400);
        w.ports.clear();
        if let Some(state) = state {
            w.ports.insert(ROUTE, PortFacts { state, outdated: false, alive_at: now(), calls: false });
        }
        let asks = w.choose(&all);
        assert_eq!((claimed(&asks), reasons(&asks, 1)), (vec![], vec![reason]));
    }
}

#[test]
fn a_follower_waits_for_its_leader_and_says_until_when() {
    let follower = Wave { bound: 0, bound_moves_at: Some(in_seconds(300)), ..wave(1, 2, 60) };
    let asks = World::new(500, 400).choose(&[work(1, vec![follower])]);
    let waits = &asks.waiting[&CampaignId(1)];
    assert_eq!((waits[0].reason.word(), waits[0].until), ("earlier_message", Some(in_seconds(300))));
    assert_eq!(asks.wake, Some(in_seconds(300)));
}

#[test]
fn what_is_late_is_held_and_what_queued_is_not() {
    let three_hours = vec![wave(1, 1, 3 * 3_600)];
    let mut w = World::new(500, 400);
    assert!(w.choose(&[work(1, three_hours.clone())]).late.is_empty());
    w.ports.get_mut(&ROUTE).unwrap().alive_at = in_seconds(-3 * 3_600);
    let asks = w.choose(&[work(1, three_hours.clone())]);
    assert_eq!((asks.late.len(), claimed(&asks), reasons(&asks, 1)), (1, vec![], vec!["late"]));
    let restarted = Work { restarted_at: Some(in_seconds(-60)), ..work(1, three_hours) };
    assert!(w.choose(&[restarted]).late.is_empty());
}
