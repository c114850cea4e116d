//! A simulated week of calls: campaigns over a trunk that is answered, busy, silent, refuses or goes away, with windows,
//! retries and opt-outs, a clock that is set, a program that ends, people who stop, edit, release and call the rest. Every
//! promise holds for each seed; a seed that fails is printed and can be replayed with
//! `CARILLON_SEED=N cargo test -p engine --test calls_week`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use campaign::{
    Action, CampaignId, Channel, Msisdn, Status,
    outcome::Place,
    retry::{Call, Called},
};
use engine::{
    Batch, CallEnd, CallOutcome, CallReport, CallRow, Calls, Connect, Engine, Live, OptOuts, Phase, Report,
    Reports, Route, RouteState, Trouble,
};
use fixture::{Data, by, with};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use store::DeliveryFilter;

const PEOPLE: i64 = 40;
const ZONES: [&str; 3] = ["America/New_York", "America/Los_Angeles", "Europe/Berlin"];
/// The most calls of a person, the first included.
const MOST: usize = 3;
/// How often a person is called again after an outcome, and how many minutes later.
const AGAIN: [(&str, usize, i64); 4] =
    [("busy", 2, 5), ("no_answer", 1, 60), ("congestion", 1, 10), ("no_goal", 1, 30)];

/// What a call came to, as far as the rules of calling again look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// An outcome that counts, by the rule that it falls under; none: no further call.
    Counted(Option<&'static str>),
    /// The trunk was at fault.
    Trunk,
    /// It was put back or withdrawn, and nothing came of it.
    Nothing,
    /// The program ended while it was up: in doubt.
    Lost,
}

#[derive(Debug, Clone)]
struct Made {
    campaign: CampaignId,
    number: Msisdn,
    /// When it began, and how often the clock had been set by then.
    at: (Timestamp, u32),
    /// When it ended, how often the clock had been set by then, and what it came to.
    ended: Option<(Timestamp, u32, Came)>,
}

/// A call that is up.
struct Up {
    calls: Arc<Calls>,
    reports: Reports,
    seq: i64,
    number: Msisdn,
    /// Its place in `made`.
    nth: usize,
    answers_at: Option<Timestamp>,
    ends_at: Timestamp,
    presses: bool,
    end: CallEnd,
}

impl Up {
    fn is_answered(&self, now: Timestamp) -> bool {
        self.answers_at.is_some_and(|at| at <= now)
    }
}

/// How the trunk is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Sound,
    /// It answers every call with an error of its own.
    Fails,
    /// It refuses the account.
    Refuses,
    /// It cannot be reached.
    Down,
}

/// The trunk and the phones, which outlive the program.
struct Exchange {
    rng: StdRng,
    now: Timestamp,
    /// How often the clock was set.
    set: u32,
    mood: Mood,
    most: usize,
    up: Vec<Up>,
    made: Vec<Made>,
    /// The most calls at once of each campaign that has a limit of its own.
    own: BTreeMap<CampaignId, usize>,
    /// Campaigns whose calls begin from 8 to 21 in the person's zone alone.
    windows: BTreeSet<CampaignId>,
    /// Campaigns that no call may begin of any more.
    over: BTreeSet<CampaignId>,
}

struct Trunk(Arc<Mutex<Exchange>>, Reports, OptOuts);

fn zone_of(number: Msisdn) -> TimeZone {
    let i = number.digits() - fixture::number(0).digits();
    TimeZone::get(ZONES[i as usize % ZONES.len()]).unwrap()
}

fn report(up: &Up, now: Timestamp, end: CallEnd) {
    let outcome = match &end {
        CallEnd::Came(call) => call.called.into(),
        CallEnd::Trunk { as_if, .. } => (*as_if).into(),
        _ => CallOutcome(Place::Cancelled),
    };
    let sent = !matches!(end, CallEnd::OptedOut | CallEnd::NotBegun(_) | CallEnd::NoSpeech(_));
    let row = CallRow {
        sip_code: matches!(end, CallEnd::Trunk { .. }).then_some(503),
        words: "as the week says".into(),
        talk_seconds: up.is_answered(now).then_some(7),
        opted_out: up.presses && up.is_answered(now),
        ..CallRow::new(now, outcome, "+12025550100".into())
    };
    let report = CallReport { end, row: sent.then_some(row), steps: Vec::new() };
    // A program that has ended hears nothing.
    let _ = up.reports.send(Report::Called { claim: up.calls.claim, seq: up.seq, report: Box::new(report) });
}

impl Exchange {
    fn dial(
        &mut self,
        calls: &Arc<Calls>,
        call: &engine::OutgoingCall,
        reports: &Reports,
        opt_outs: &OptOuts,
    ) {
        let (now, id, number) = (self.now, calls.campaign, call.number);
        let nth = self.made.len();
        let mut up = Up {
            calls: calls.clone(),
            reports: reports.clone(),
            seq: call.seq,
            number,
            nth,
            answers_at: None,
            ends_at: now,
            presses: false,
            end: CallEnd::Withdrawn,
        };
        // What a route looks at immediately before the INVITE leaves.
        if opt_outs.contains(number, Channel::Voice, &calls.purpose) {
            return report(&up, now, CallEnd::OptedOut);
        }
        if now >= calls.send_before {
            return report(&up, now, CallEnd::NotBegun("its time was over".into()));
        }
        assert!(!self.over.contains(&id), "{number} is called by campaign {id}, which has ended");
        assert!(self.up.iter().all(|up| up.number != number), "two calls to {number}");
        if self.windows.contains(&id) {
            let hour = zone_of(number).to_datetime(now).hour();
            assert!((8..21).contains(&hour), "{number} is called at {hour} o'clock");
        }
        let (ring, talk) = (self.rng.random_range(1..25), self.rng.random_range(1..200));
        let after = |seconds: i64| now + SignedDuration::from_secs(seconds);
        let came = |called, goal| CallEnd::Came(Call { called, goal });
        up.ends_at = after(ring);
        up.end = match (self.mood, self.rng.random_range(0..10)) {
            (Mood::Fails | Mood::Refuses, _) => {
                CallEnd::Trunk { as_if: Called::Failed, exchange: Vec::new() }
            }
            (_, 0) => came(Called::Busy, false),
            (_, 1) => came(Called::NoAnswer, false),
            (_, 2) => came(Called::Congestion, false),
            (_, 3) => came(Called::Unreachable, false),
            (_, 4) => CallEnd::NotBegun("no port is free".into()),
            (_, which) => {
                up.answers_at = Some(after(ring));
                up.ends_at = after(ring + talk);
                up.presses = which == 5;
                came(Called::Human, which > 6)
            }
        };
        self.made.push(Made { campaign: id, number, at: (now, self.set), ended: None });
        self.up.push(up);
        assert!(self.up.len() <= self.most, "{} calls are up", self.up.len());
        if let Some(own) = self.own.get(&id) {
            let of = self.up.iter().filter(|up| up.calls.campaign == id).count();
            assert!(of <= *own, "{of} calls of campaign {id} are up, and it allows {own}");
        }
    }

    fn end(&mut self, up: &Up, end: CallEnd) {
        let came = match &end {
            CallEnd::Came(call) => Came::Counted(match call.called {
                Called::Busy => Some("busy"),
                Called::NoAnswer => Some("no_answer"),
                Called::Congestion => Some("congestion"),
                Called::Human if !call.goal => Some("no_goal"),
                _ => None,
            }),
            CallEnd::Trunk { .. } => Came::Trunk,
            _ => Came::Nothing,
        };
        self.made[up.nth].ended = Some((self.now, self.set, came));
        report(up, self.now, end);
    }

    /// Lets the time come to `self.now`: keys are pressed, calls end.
    fn advance(&mut self) {
        let now = self.now;
        for up in &mut self.up {
            if up.presses && up.is_answered(now) {
                up.presses = false;
                let (campaign, number) = (up.calls.campaign, up.number);
                let _ = up.reports.send(Report::OptedOut { campaign, number });
            }
        }
        let ended: Vec<Up> = self.up.extract_if(.., |up| up.ends_at <= now).collect();
        for up in ended {
            self.end(&up, up.end.clone());
        }
    }

    /// When the next phone answers, or the next call ends.
    fn next(&self) -> Option<Timestamp> {
        let now = self.now;
        self.up.iter().flat_map(|up| [Some(up.ends_at), up.answers_at.filter(|at| *at > now)]).flatten().min()
    }
}

#[async_trait::async_trait]
impl Route for Trunk {
    fn state(&self) -> RouteState {
        match self.0.lock().unwrap().mood {
            Mood::Sound | Mood::Fails => RouteState::Connected,
            Mood::Refuses => RouteState::Refused("403 Forbidden".into()),
            Mood::Down => RouteState::Connecting,
        }
    }

    fn unanswered(&self) -> u32 {
        self.0.lock().unwrap().up.len() as u32
    }

    fn trouble(&self) -> Option<Trouble> {
        None
    }

    fn submit(&self, _: Batch) {
        unreachable!("it carries calls alone");
    }

    fn dial(&self, mut calls: Calls) {
        let to_make = std::mem::take(&mut calls.calls);
        let calls = Arc::new(calls);
        let mut exchange = self.0.lock().unwrap();
        for call in to_make {
            exchange.dial(&calls, &call, &self.1, &self.2);
        }
    }

    fn live(&self, campaign: CampaignId) -> Live {
        let exchange = self.0.lock().unwrap();
        let of = exchange.up.iter().filter(|up| up.calls.campaign == campaign);
        let phase = |up: &Up| if up.is_answered(exchange.now) { Phase::InProgress } else { Phase::Ringing };
        Live(of.map(|up| (up.number, phase(up))).collect())
    }

    async fn fence(&self, campaign: CampaignId) {
        let mut exchange = self.0.lock().unwrap();
        let now = exchange.now;
        let of = |up: &mut Up| up.calls.campaign == campaign && !up.is_answered(now);
        let withdrawn: Vec<Up> = exchange.up.extract_if(.., of).collect();
        for up in withdrawn {
            exchange.end(&up, CallEnd::Withdrawn);
        }
    }
}

struct Week {
    data: Data,
    engine: Option<Engine>,
    exchange: Arc<Mutex<Exchange>>,
    rng: StdRng,
    now: Timestamp,
    campaigns: BTreeMap<CampaignId, i64>,
    lives: u32,
}

impl Week {
    async fn begin(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = fixture::tuesday();
        let most: usize = [1, 7, 60][rng.random_range(0..3)];
        let trunk = json!({"error_after": "PT1H", "numbers": ["+12025550100", "+12025550101"], "max_calls": most,
            "calls_per_second": 20});
        let data = Data::with_trunk(fixture::people(PEOPLE, &ZONES), trunk, now).await;
        let exchange = Exchange {
            rng: StdRng::seed_from_u64(seed ^ 1),
            now,
            set: 0,
            mood: Mood::Sound,
            most,
            up: Vec::new(),
            made: Vec::new(),
            own: BTreeMap::new(),
            windows: BTreeSet::new(),
            over: BTreeSet::new(),
        };
        let exchange = Arc::new(Mutex::new(exchange));
        let campaigns = BTreeMap::new();
        let mut week = Self { data, engine: None, exchange, rng, now, campaigns, lives: 0 };
        week.live().await;
        for name in ["A", "B", "C"] {
            week.schedule(name).await;
        }
        week
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap()
    }

    /// Starts the program; the one before it ended without a word, and the phones hang up.
    async fn live(&mut self) {
        self.engine = None;
        {
            let mut exchange = self.exchange();
            let (now, set) = (exchange.now, exchange.set);
            for up in std::mem::take(&mut exchange.up) {
                exchange.made[up.nth].ended = Some((now, set, Came::Lost));
            }
        }
        self.lives += 1;
        let exchange = self.exchange.clone();
        let connect: Connect = Box::new(move |_, reports, opt_outs| {
            Arc::new(Trunk(exchange.clone(), reports, opt_outs)) as Arc<dyn Route>
        });
        let worker = format!("life {}", self.lives);
        self.engine = Some(Engine::start(self.data.store.clone(), worker, connect, self.now).await.unwrap());
    }

    fn definition(&mut self, name: &str) -> Value {
        let retry: BTreeMap<&str, Value> = AGAIN
            .iter()
            .map(|(rule, times, minutes)| (*rule, json!({"after": format!("PT{minutes}M"), "times": times})))
            .collect();
        let starts = [
            json!({"now": true}),
            json!({"local": "2026-11-26T10:00"}),
            json!({"at": "2026-11-25T12:00:00Z"}),
        ];
        let windows = [json!({"from": "08:00", "to": "21:00"}), Value::Null];
        let most = [Value::Null, json!(3)][self.rng.random_range(0..2)].clone();
        json!({"channel": "voice", "name": name, "route_id": self.data.route, "caller_id": "+12025550100",
            "list_ids": [self.data.list], "opt_in_acknowledged": true, "purpose": "care",
            "window": windows[self.rng.random_range(0..2)], "start": starts[self.rng.random_range(0..3)],
            "max_calls": most, "retry": with(json!({"most": MOST}), json!(retry)), "goal": "bye", "opt_out_key": "9",
            "script": {"first": "hello", "steps": {"hello": {"say": "Hello.", "next": "bye"}, "bye": {"hang_up": true}}}})
    }

    /// Takes note of what a campaign's definition allows.
    async fn know(&mut self, id: CampaignId, people: i64) {
        let d = self.data.store.campaign(id).await.unwrap().definition;
        self.campaigns.insert(id, people);
        let mut exchange = self.exchange();
        exchange.own.remove(&id);
        exchange.own.extend(d.content.at_once().map(|most| (id, most.get() as usize)));
        exchange.windows.remove(&id);
        exchange.windows.extend(d.window.is_some().then_some(id));
    }

    async fn schedule(&mut self, name: &str) {
        let d = serde_json::from_value(self.definition(name)).unwrap();
        let id = self.data.store.create_campaign(d, by(self.now)).await.unwrap().id;
        self.data.store.schedule(id, by(self.now)).await.unwrap();
        self.know(id, PEOPLE).await;
    }

    async fn status(&self, id: CampaignId) -> Status {
        self.data.store.campaign(id).await.unwrap().status
    }

    /// Takes turns until `end`, going from one thing that happens to the next.
    async fn run_until(&mut self, end: Timestamp) {
        let mut at_once = 0;
        loop {
            {
                let mut exchange = self.exchange();
                exchange.now = self.now;
                exchange.advance();
            }
            let engine = self.engine.as_mut().unwrap();
            let wake = engine.cycle(self.now).await.unwrap();
            engine.attend(self.now).await;
            // One agenda tells more cheaply than each campaign's totals.
            let agenda = self.data.store.agenda(self.now).await.unwrap().campaigns;
            let ended = self.campaigns.keys().filter(|id| agenda.iter().all(|work| work.id != **id));
            self.exchange.lock().unwrap().over.extend(ended.copied());
            at_once += 1;
            assert!(at_once < 2_000, "it spins at {}", self.now);
            let next = self.exchange().next();
            match wake.into_iter().chain(next).min() {
                Some(at) if at <= self.now => {}
                Some(at) if at < end => {
                    self.now = at;
                    at_once = 0;
                }
                _ => break,
            }
        }
        self.now = self.now.max(end);
    }

    async fn run_for(&mut self, seconds: i64) {
        self.run_until(self.now + SignedDuration::from_secs(seconds)).await;
    }

    async fn something_happens(&mut self) {
        match self.rng.random_range(0..14) {
            0 => self.exchange().mood = Mood::Down,
            1 => self.exchange().mood = Mood::Fails,
            2 => self.exchange().mood = Mood::Refuses,
            3..=6 => self.exchange().mood = Mood::Sound,
            7 => {
                let by = SignedDuration::from_secs([-3_600, -60, -2, 2, 60][self.rng.random_range(0..5)]);
                let from = self.now;
                self.now += by;
                self.engine.as_mut().unwrap().clock_stepped(from, by);
                let mut exchange = self.exchange();
                exchange.set += 1;
                for up in &mut exchange.up {
                    up.ends_at += by;
                    up.answers_at = up.answers_at.map(|at| at + by);
                }
            }
            8 => self.live().await,
            9 => self.stop_one().await,
            10 | 11 => self.edit_one().await,
            12 => self.call_the_rest().await,
            _ => self.release().await,
        }
        self.assert_sums().await;
    }

    async fn pick(&mut self, action: Action) -> Option<CampaignId> {
        let mut able = Vec::new();
        for id in self.campaigns.keys() {
            if self.data.store.campaign(*id).await.unwrap().available_actions().contains(&action) {
                able.push(*id);
            }
        }
        if able.is_empty() { None } else { Some(able.swap_remove(self.rng.random_range(0..able.len()))) }
    }

    async fn stop_one(&mut self) {
        let Some(id) = self.pick(Action::Stop).await else { return };
        let now = self.now;
        self.exchange().now = now;
        let engine = self.engine.as_mut().unwrap();
        let _ = engine.cycle(now).await.unwrap();
        let mut stopped = engine.stop(id, by(now)).await.unwrap();
        let mut turns = 0;
        while stopped.try_recv().is_err() {
            turns += 1;
            assert!(turns < 10_000, "Stop is never answered");
            tokio::task::yield_now().await;
            let _ = engine.cycle(now).await.unwrap();
            engine.attend(now).await;
        }
        self.exchange().over.insert(id);
        let restarted = self.data.store.restart(id, BTreeMap::new(), false, by(now)).await;
        assert!(restarted.is_err(), "a campaign of calls is stopped for good");
    }

    async fn edit_one(&mut self) {
        let Some(id) = self.pick(Action::Edit).await else { return };
        let before = self.data.store.campaign(id).await.unwrap();
        let at = self.now + SignedDuration::from_mins(self.rng.random_range(1..600));
        let changed = self.definition(&before.definition.name);
        let d = serde_json::from_value(with(changed, json!({"start": {"at": at}}))).unwrap();
        self.data.store.edit_campaign(id, before.version, d, by(self.now)).await.unwrap();
        let people = self.campaigns[&id];
        self.know(id, PEOPLE.max(people)).await;
    }

    /// Clones what a campaign did not come to, and schedules the copy.
    async fn call_the_rest(&mut self) {
        let mut ended = Vec::new();
        for id in self.campaigns.keys() {
            let c = self.data.store.campaign(*id).await.unwrap();
            let left =
                ["cancelled", "not_called"].map(|word| fixture::count(c.sum(), word)).iter().sum::<i64>();
            if matches!(c.status, Status::Stopped | Status::Errored) && left > 0 {
                ended.push((*id, left));
            }
        }
        if ended.is_empty() || self.campaigns.len() > 8 {
            return;
        }
        let (id, left) = ended.swap_remove(self.rng.random_range(0..ended.len()));
        let store = self.data.store.clone();
        let rest = store.clone_remaining(id, None, by(self.now)).await.unwrap();
        assert_eq!(store.list(rest.definition.list_ids[0]).await.unwrap().1, left);
        let mut d = rest.definition.clone();
        d.opt_in_acknowledged = true;
        let mut json = serde_json::to_value(&d).unwrap();
        json["start"] = json!({"now": true});
        let edited =
            store.edit_campaign(rest.id, rest.version, serde_json::from_value(json).unwrap(), by(self.now));
        let edited = edited.await.unwrap();
        store.schedule(edited.id, by(self.now)).await.unwrap();
        self.know(edited.id, left).await;
    }

    async fn release(&mut self) {
        if let Some(id) = self.pick(Action::Release).await {
            self.data.store.release(id, by(self.now)).await.unwrap();
        }
    }

    /// Totals equal the audience, whatever is up.
    async fn assert_sums(&self) {
        for (id, people) in &self.campaigns {
            let c = self.data.store.campaign(*id).await.unwrap();
            assert_eq!(c.sum().sum(), *people, "{}: {:?}", c.definition.name, c.sum());
        }
    }

    /// From now on all is well: every campaign ends.
    async fn heal_and_end(&mut self) {
        self.exchange().mood = Mood::Sound;
        for _ in 0..40 {
            self.release().await;
            self.run_for(8 * 3_600).await;
            let mut ended = true;
            for id in self.campaigns.keys() {
                ended &= !matches!(self.status(*id).await, Status::Scheduled | Status::Running);
            }
            if ended {
                return;
            }
        }
        for id in self.campaigns.keys() {
            let c = self.data.store.campaign(*id).await.unwrap();
            let waits = self.engine.as_ref().unwrap().handle().waiting(*id);
            let work = self.data.store.agenda(self.now).await.unwrap().campaigns;
            let work = work.iter().find(|work| work.id == *id);
            assert!(
                !matches!(c.status, Status::Scheduled | Status::Running),
                "{:?} at {}, waits for {waits:?}: {work:?}",
                c.sum(),
                self.now
            );
        }
    }

    /// Nobody is called more often, or sooner, than the rules allow.
    fn assert_promises(&self) {
        let exchange = self.exchange();
        assert!(exchange.up.is_empty());
        let mut by_person: BTreeMap<(CampaignId, Msisdn), Vec<&Made>> = BTreeMap::new();
        for made in &exchange.made {
            by_person.entry((made.campaign, made.number)).or_default().push(made);
        }
        for (person, made) in by_person {
            let mut counted: Vec<Option<&str>> = Vec::new();
            for (nth, call) in made.iter().enumerate() {
                if let Some((ended, set, last)) = nth.checked_sub(1).map(|before| made[before].ended.unwrap())
                {
                    assert_ne!(
                        last,
                        Came::Lost,
                        "{person:?} is called again though it is in doubt: {made:?}"
                    );
                    if let Came::Counted(rule) = last {
                        let (rule, times, minutes) =
                            AGAIN.iter().find(|(name, ..)| Some(*name) == rule).unwrap_or_else(|| {
                                panic!("{person:?} is called again though no rule says so: {made:?}")
                            });
                        let so_far = counted.iter().filter(|came| **came == Some(*rule)).count();
                        assert!(
                            so_far <= *times && counted.len() < MOST,
                            "{person:?} is called too often: {made:?}"
                        );
                        // Where the clock was set meanwhile, it does not tell how long that took.
                        let waited = call.at.0.duration_since(ended);
                        // Times are kept in milliseconds.
                        let least = SignedDuration::from_mins(*minutes) - SignedDuration::from_millis(1);
                        let early = set == call.at.1 && waited < least;
                        assert!(!early, "{person:?} is called again after {waited}: {made:?}");
                    }
                }
                if let Some((_, _, Came::Counted(rule))) = call.ended {
                    counted.push(rule);
                }
            }
        }
    }

    async fn assert_reached(&self) {
        for id in self.campaigns.keys() {
            let c = self.data.store.campaign(*id).await.unwrap();
            let rows = self.data.store.deliveries(*id, DeliveryFilter::default(), 1_000).await.unwrap().0;
            assert_eq!(rows.len() as i64, self.campaigns[id]);
            for row in rows {
                let place = row.outcome.word();
                let over = matches!(place, "pending" | "dialing" | "ringing" | "in_progress");
                assert!(!over, "{} of {} is {place}", row.number, c.definition.name);
                let left = matches!(place, "cancelled" | "not_called");
                assert!(
                    !left || c.status != Status::Completed,
                    "{} of {} is {place}",
                    row.number,
                    c.definition.name
                );
            }
        }
    }
}

async fn week(seed: u64) {
    let mut week = Week::begin(seed).await;
    let end = week.now + SignedDuration::from_hours(7 * 24);
    while week.now < end {
        let pause = [30, 600, 7_200, 36_000][week.rng.random_range(0..4)];
        let seconds = week.rng.random_range(1..=pause);
        week.run_for(seconds).await;
        week.something_happens().await;
    }
    week.data.assert_sound().await;
    week.heal_and_end().await;
    week.assert_sums().await;
    week.data.assert_sound().await;
    week.assert_promises();
    week.assert_reached().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_through_weeks_of_calls() {
    fixture::weeks(week).await;
}
