//! The engine under a clock of the test's own, against a route that answers as it is told.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use campaign::{CampaignId, Msisdn, Status, Totals};
use engine::{
    Attempt, Batch, Connect, Engine, Refusal, Report, Reports, Route, RouteState, Trouble, Waiting,
    WaitingReason,
};
use fixture::Data;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

type Answer = dyn Fn(Msisdn, usize) -> Attempt + std::marker::Send + Sync;

/// A route that remembers what it was given. It writes at most `writes` messages of a batch.
struct Phone {
    reports: Reports,
    state: Mutex<RouteState>,
    got: Mutex<Vec<(Msisdn, Arc<str>)>>,
    /// The sender of each message.
    from: Mutex<Vec<String>>,
    answer: Box<Answer>,
    holds: Mutex<Option<Vec<Batch>>>,
}

#[async_trait::async_trait]
impl Route for Phone {
    fn state(&self) -> RouteState {
        self.state.lock().unwrap().clone()
    }

    fn unanswered(&self) -> u32 {
        0
    }

    fn trouble(&self) -> Option<Trouble> {
        None
    }

    fn submit(&self, batch: Batch) {
        if let Some(held) = self.holds.lock().unwrap().as_mut() {
            held.push(batch);
            return;
        }
        for m in batch.messages {
            let mut got = self.got.lock().unwrap();
            got.push((m.number, m.text));
            self.from.lock().unwrap().push(m.sender.to_string());
            let attempt = (self.answer)(m.number, got.len());
            self.reports.send(Report::Result { job: batch.job, seq: m.seq, attempt }).unwrap();
        }
    }

    fn dial(&self, _: engine::Calls) {
        unreachable!("it carries messages alone");
    }

    async fn fence(&self, campaign: CampaignId) {
        let held = self.holds.lock().unwrap().take().unwrap_or_default();
        for batch in held.into_iter().filter(|b| b.job.is_of(campaign)) {
            self.reports.send(Report::Unwritten { job: batch.job, from_seq: batch.messages[0].seq }).unwrap();
        }
    }
}

struct World {
    data: Data,
    engine: Engine,
    phone: Arc<Phone>,
    now: Timestamp,
}

fn accept(_: Msisdn, nth: usize) -> Attempt {
    Attempt::Accepted { provider_ids: vec![format!("id{nth}")] }
}

impl World {
    async fn with(
        people: i64,
        answer: impl Fn(Msisdn, usize) -> Attempt + std::marker::Send + Sync + 'static,
    ) -> Self {
        Self::on(json!({"rate_per_second": 10_000, "claim_budget": 400}), people, answer).await
    }

    async fn on(
        route: Value,
        people: i64,
        answer: impl Fn(Msisdn, usize) -> Attempt + std::marker::Send + Sync + 'static,
    ) -> Self {
        let now = fixture::tuesday();
        let zones = ["America/New_York", "America/Los_Angeles", "Europe/Berlin"];
        let data = Data::with(fixture::people(people, &zones), route, now).await;
        let made: Arc<Mutex<Option<Arc<Phone>>>> = Arc::default();
        let theirs = made.clone();
        let answer: Mutex<Option<Box<Answer>>> = Mutex::new(Some(Box::new(answer)));
        let connect: Connect = Box::new(move |_, reports, _| {
            let phone = Arc::new(Phone {
                reports,
                state: Mutex::new(RouteState::Connected),
                got: Mutex::default(),
                from: Mutex::default(),
                answer: answer.lock().unwrap().take().unwrap(),
                holds: Mutex::default(),
            });
            *theirs.lock().unwrap() = Some(phone.clone());
            phone
        });
        let engine = Engine::start(data.store.clone(), "one".into(), connect, now).await.unwrap();
        let phone = made.lock().unwrap().take().unwrap();
        Self { data, engine, phone, now }
    }

    async fn schedule(&self, name: &str, sends: &str, more: Value) -> CampaignId {
        self.data.schedule(name, sends, more, self.now).await
    }

    fn waiting(&self, id: CampaignId) -> Vec<Waiting> {
        self.engine.handle().waiting(id)
    }

    /// Takes turns, jumping to whatever the engine waits for, until `end` or until there is nothing to wait for.
    async fn run_until(&mut self, end: Timestamp) -> usize {
        let mut turns = 0;
        while let Some(next) = self.engine.cycle(self.now).await.unwrap() {
            turns += 1;
            assert!(turns < 200_000, "it spins");
            if next > end {
                break;
            }
            self.now = self.now.max(next);
        }
        self.now = self.now.max(end);
        turns
    }

    async fn run_for(&mut self, hours: i64) -> usize {
        self.run_until(self.now + SignedDuration::from_hours(hours)).await
    }

    async fn totals(&self, id: CampaignId) -> Totals {
        self.data.store.campaign(id).await.unwrap().sum()
    }

    async fn status(&self, id: CampaignId) -> Status {
        self.data.store.campaign(id).await.unwrap().status
    }

    fn most_to_one_number(&self) -> usize {
        let mut count: BTreeMap<Msisdn, usize> = BTreeMap::new();
        for (number, _) in self.phone.got.lock().unwrap().iter() {
            *count.entry(*number).or_default() += 1;
        }
        count.into_values().max().unwrap_or(0)
    }
}

const NOW: &str = r#"[{"now":true}]"#;

fn any_time() -> Value {
    json!({})
}

fn daytime() -> Value {
    json!({"window": {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "08:00", "to": "21:00"}})
}

#[tokio::test]
async fn a_campaign_of_three_days_in_three_zones_runs_by_local_time() {
    let mut w = World::with(300, accept).await;
    let id = w
        .schedule("Days", r#"[{"local":"2026-11-25T10:00"},{"after":"P2D","time":"10:00"}]"#, daytime())
        .await;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let sent = |w: &World| w.phone.got.lock().unwrap().len();
    w.run_until(at("2026-11-25T08:59:59Z")).await;
    assert_eq!((sent(&w), w.status(id).await), (0, Status::Scheduled));
    // Ten o'clock comes to Berlin, then New York, then Los Angeles.
    w.run_until(at("2026-11-25T09:30:00Z")).await;
    assert_eq!((sent(&w), w.status(id).await), (100, Status::Running));
    w.run_until(at("2026-11-25T15:30:00Z")).await;
    assert_eq!(sent(&w), 200);
    w.run_until(at("2026-11-25T18:30:00Z")).await;
    assert_eq!(sent(&w), 300);
    w.run_until(at("2026-11-27T08:59:00Z")).await;
    assert_eq!(sent(&w), 300);
    w.run_until(at("2026-11-27T09:30:00Z")).await;
    assert_eq!(sent(&w), 400);
    w.run_until(at("2026-11-28T00:00:00Z")).await;
    assert_eq!((sent(&w), w.status(id).await), (600, Status::Completed));
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 600)]));
    assert_eq!(w.most_to_one_number(), 2);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_falls_outside_the_window_waits_for_the_recipients_morning_and_says_so() {
    let mut w = World::with(30, accept).await;
    // 15:00 UTC: 10:00 in New York, 07:00 in Los Angeles, 16:00 in Berlin.
    let id = w.schedule("Window", NOW, daytime()).await;
    w.run_until(w.now + SignedDuration::from_mins(30)).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 20), ("pending", 10)]));
    let waiting = w.waiting(id);
    assert_eq!(waiting[0].reason, WaitingReason::WindowClosed);
    assert_eq!(waiting[0].until.unwrap().to_string(), "2026-11-24T16:00:00Z");
    w.run_for(1).await;
    assert_eq!(w.status(id).await, Status::Completed);
}

#[tokio::test]
async fn throttling_is_tried_again_and_nobody_gets_it_twice() {
    let mut w = World::with(30, |_, nth| match nth {
        1..=10 => Attempt::Refused { kind: Refusal::Throttled, status: 0x58, words: "throttled".into() },
        _ => accept(Msisdn::from_digits(1), nth),
    })
    .await;
    let id = w.schedule("Slow", NOW, any_time()).await;
    w.run_for(1).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 30)]));
    assert_eq!(w.phone.got.lock().unwrap().len(), 40);
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_retry_obeys_the_window_and_its_follower_keeps_its_distance() {
    let mut w = World::with(1, |_, nth| match nth {
        1 => Attempt::Refused { kind: Refusal::Throttled, status: 0x58, words: "throttled".into() },
        _ => accept(Msisdn::from_digits(1), nth),
    })
    .await;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // Half a second before nine in the evening in New York: the second attempt would come after it.
    w.now = at("2026-11-25T01:59:59.5Z");
    let id = w.schedule("Night", r#"[{"now":true},{"after":"PT2H"}]"#, daytime()).await;
    w.run_until(at("2026-11-25T12:59:59Z")).await;
    assert_eq!(w.phone.got.lock().unwrap().len(), 1);
    w.run_until(at("2026-11-25T13:30:00Z")).await;
    assert_eq!(w.phone.got.lock().unwrap().len(), 2);
    w.run_until(at("2026-11-25T14:59:00Z")).await;
    assert_eq!(w.phone.got.lock().unwrap().len(), 2);
    w.run_until(at("2026-11-25T15:30:00Z")).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 2)]));
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_wrong_sender_burns_no_audience_and_goes_on_when_mended() {
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let theirs = mended.clone();
    let mut w = World::with(300, move |number, nth| {
        if theirs.load(std::sync::atomic::Ordering::Relaxed) {
            accept(number, nth)
        } else {
            Attempt::Refused { kind: Refusal::Route, status: 0x0A, words: "invalid source address".into() }
        }
    })
    .await;
    let id = w.schedule("Sender", NOW, any_time()).await;
    w.run_until(w.now + SignedDuration::from_mins(10)).await;
    assert_eq!(w.totals(id).await, fixture::totals([("pending", 300)]));
    assert_eq!(w.waiting(id)[0].reason, WaitingReason::RouteRefuses("invalid source address".into()));
    // The first claims, then one probe a minute.
    assert!(w.phone.got.lock().unwrap().len() <= 312, "{}", w.phone.got.lock().unwrap().len());
    mended.store(true, std::sync::atomic::Ordering::Relaxed);
    w.run_for(1).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 300)]));
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_stop_answers_when_all_is_accounted_for_and_a_restart_sends_the_rest() {
    let mut w = World::with(900, accept).await;
    let id = w.schedule("Stop", NOW, any_time()).await;
    w.engine.cycle(w.now).await.unwrap();
    w.engine.cycle(w.now + SignedDuration::from_millis(50)).await.unwrap();
    *w.phone.holds.lock().unwrap() = Some(Vec::new());
    w.engine.cycle(w.now + SignedDuration::from_millis(100)).await.unwrap();
    let mut stopped = w.engine.stop(id, fixture::by(w.now)).await.unwrap();
    while stopped.try_recv().is_err() {
        tokio::task::yield_now().await;
        w.engine.cycle(w.now).await.unwrap();
        w.engine.attend(w.now).await;
    }
    let before = w.phone.got.lock().unwrap().len() as i64;
    assert!(before > 0 && before < 900);
    assert_eq!(w.totals(id).await, fixture::totals([("sent", before), ("cancelled", 900 - before)]));
    w.run_for(1).await;
    assert_eq!(w.phone.got.lock().unwrap().len() as i64, before);
    w.data.assert_sound().await;
    w.data.store.restart(id, BTreeMap::new(), false, fixture::by(w.now)).await.unwrap();
    w.run_for(1).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 900)]));
    assert_eq!((w.status(id).await, w.most_to_one_number()), (Status::Completed, 1));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_is_late_is_held_and_goes_only_when_released() {
    let mut w = World::with(30, accept).await;
    let id = w.schedule("Late", NOW, any_time()).await;
    *w.phone.state.lock().unwrap() = RouteState::Connecting;
    w.engine.cycle(w.now).await.unwrap();
    assert_eq!(w.waiting(id)[0].reason, WaitingReason::RouteDown);
    w.now += SignedDuration::from_hours(3);
    *w.phone.state.lock().unwrap() = RouteState::Connected;
    w.run_for(1).await;
    assert_eq!(w.totals(id).await, fixture::totals([("pending", 30)]));
    assert!(w.data.store.campaign(id).await.unwrap().held);
    w.data.store.release(id, fixture::by(w.now)).await.unwrap();
    w.run_for(1).await;
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_small_campaign_is_not_starved_by_a_large_one() {
    let mut w = World::with(3000, accept).await;
    w.schedule("Large", NOW, any_time()).await;
    let small = w.schedule("Small", NOW, any_time()).await;
    for _ in 0..6 {
        w.engine.cycle(w.now).await.unwrap();
        w.now += SignedDuration::from_millis(100);
    }
    let got = w.phone.got.lock().unwrap().clone();
    let of_small = got.iter().filter(|(_, text)| &**text == "Small").count();
    assert!(of_small * 3 > got.len(), "{of_small} of {}", got.len());
    assert!(fixture::count(w.totals(small).await, "sent") > 0);
}

#[tokio::test]
async fn a_carrier_that_is_gone_for_a_minute_is_waited_for_and_nobody_is_sent_to_twice() {
    let mut w = World::with(30_000, accept).await;
    let route = w.data.store.routes().await.unwrap().remove(0);
    assert_eq!(route.config.per_second(), 10_000);
    let id = w.schedule("Gone", NOW, any_time()).await;
    w.run_until(w.now + SignedDuration::from_secs(1)).await;
    let before = w.phone.got.lock().unwrap().len();
    assert!((1..30_000).contains(&before), "{before}");
    *w.phone.state.lock().unwrap() = RouteState::Connecting;
    // Messages that were on their way when the line dropped.
    w.run_until(w.now + SignedDuration::from_secs(1)).await;
    let during = w.phone.got.lock().unwrap().len();
    w.run_until(w.now + SignedDuration::from_mins(1)).await;
    assert_eq!(w.phone.got.lock().unwrap().len(), during);
    assert_eq!(w.waiting(id)[0].reason, WaitingReason::RouteDown);
    assert_eq!(w.status(id).await, Status::Running);
    *w.phone.state.lock().unwrap() = RouteState::Connected;
    w.run_for(1).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 30_000)]));
    assert_eq!((w.most_to_one_number(), w.status(id).await), (1, Status::Completed));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_pilot_goes_to_the_first_and_the_rest_waits_for_a_person() {
    let mut w = World::with(100, accept).await;
    let sends = r#"[{"now":true},{"after":"PT1H"}]"#;
    let id = w.schedule("Pilot", sends, json!({"pilot": 10})).await;
    w.run_for(3).await;
    // Both messages to ten people, and nothing to anybody else, however long it takes.
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 20), ("pending", 180)]));
    assert_eq!(
        (w.waiting(id)[0].reason.clone(), w.status(id).await),
        (WaitingReason::Pilot, Status::Running)
    );
    let c = w.data.store.campaign(id).await.unwrap();
    assert!(c.held && c.available_actions().contains(&campaign::Action::Release));
    w.data.assert_sound().await;
    w.data.store.release(id, fixture::by(w.now)).await.unwrap();
    w.run_for(2).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 200)]));
    assert_eq!((w.most_to_one_number(), w.status(id).await), (2, Status::Completed));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn on_a_blackout_date_nothing_leaves_even_at_any_time() {
    let mut w = World::with(30, accept).await;
    let mut settings = w.data.store.settings().await.unwrap();
    settings.blackout_dates = vec!["2026-11-26".parse().unwrap()];
    w.data.store.change_settings(settings, fixture::by(w.now)).await.unwrap();
    let id = w.schedule("Holiday", r#"[{"local":"2026-11-26T10:00"}]"#, any_time()).await;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // Midnight comes to Berlin first, to Los Angeles last.
    w.run_until(at("2026-11-26T22:59:59Z")).await;
    assert_eq!(w.totals(id).await, fixture::totals([("pending", 30)]));
    w.run_until(at("2026-11-26T23:30:00Z")).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 10), ("pending", 20)]));
    w.run_until(at("2026-11-27T08:30:00Z")).await;
    assert_eq!((fixture::count(w.totals(id).await, "sent"), w.status(id).await), (30, Status::Completed));
}

/// The senders that wrote to each number, in order.
fn senders_of_each(w: &World) -> BTreeMap<Msisdn, Vec<String>> {
    let mut each: BTreeMap<Msisdn, Vec<String>> = BTreeMap::new();
    let (got, from) = (w.phone.got.lock().unwrap(), w.phone.from.lock().unwrap());
    for ((number, _), from) in got.iter().zip(from.iter()) {
        each.entry(*number).or_default().push(from.clone());
    }
    each
}

async fn pool(w: &World, senders: Value) -> store::Pool {
    let config = serde_json::from_value(json!({"name": "Numbers", "senders": senders})).unwrap();
    w.data.store.create_pool(config, fixture::by(w.now)).await.unwrap()
}

#[tokio::test]
async fn a_pools_senders_each_keep_their_rate_and_a_recipient_keeps_its_sender() {
    let mut w = World::with(90, accept).await;
    let senders = json!([{"sender": "ONE", "rate_per_second": 1}, {"sender": "TWO", "rate_per_second": 2}]);
    let pool = pool(&w, senders).await;
    let sends = r#"[{"now":true},{"after":"PT1H"}]"#;
    let more = fixture::with(any_time(), json!({"sender": {"pool": pool.id}}));
    let id = w.schedule("Pool", sends, more).await;
    // Three a second in total.
    w.run_until(w.now + SignedDuration::from_secs(20)).await;
    let sent = w.phone.got.lock().unwrap().len();
    assert!((58..=64).contains(&sent), "{sent}");
    let count =
        |w: &World, name: &str| w.phone.from.lock().unwrap().iter().filter(|from| *from == name).count();
    assert!((19..=22).contains(&count(&w, "ONE")), "{}", count(&w, "ONE"));
    w.run_for(3).await;
    assert_eq!(w.status(id).await, Status::Completed);
    assert_eq!((count(&w, "ONE"), count(&w, "TWO")), (60, 120));
    let each = senders_of_each(&w);
    assert!(each.len() == 90 && each.values().all(|from| from.len() == 2 && from[0] == from[1]), "{each:?}");
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_sender_that_is_taken_out_of_its_pool_is_replaced_and_the_history_says_so() {
    let mut w = World::with(60, accept).await;
    let both = json!([{"sender": "ONE", "rate_per_second": 1}, {"sender": "TWO", "rate_per_second": 1}]);
    let pool = pool(&w, both).await;
    let more = fixture::with(any_time(), json!({"sender": {"pool": pool.id}}));
    let id = w.schedule("Pool", NOW, more).await;
    w.run_until(w.now + SignedDuration::from_secs(5)).await;
    let mut config = pool.config.clone();
    config.senders.remove(0);
    w.data.store.edit_pool(pool.id, config, fixture::by(w.now)).await.unwrap();
    let before = w.phone.from.lock().unwrap().len();
    w.run_for(1).await;
    assert_eq!(w.status(id).await, Status::Completed);
    let from = w.phone.from.lock().unwrap().clone();
    // Messages claimed before may still leave unchanged.
    assert!(
        from[..before].contains(&"ONE".to_owned()) && from[before + 2..].iter().all(|f| f == "TWO"),
        "{from:?}"
    );
    assert_eq!((from.len(), w.most_to_one_number()), (60, 1));
    let history = w.data.store.timeline(id).await.unwrap();
    assert!(
        history.iter().any(|entry| entry.cause == "ONE replaced by TWO" && entry.actor == "test"),
        "{history:?}"
    );
    // A pool that campaigns send as stays; once they are done it may go.
    assert_eq!(
        w.data.store.remove_pool(pool.id, fixture::by(w.now)).await.map_err(|e| e.to_string()),
        Ok(())
    );
    w.data.assert_sound().await;
}

impl Phone {
    /// Drops the line: a third of what is held was read, and the rest was never written.
    fn drop_line(&self) {
        *self.state.lock().unwrap() = RouteState::Connecting;
        for batch in self.holds.lock().unwrap().take().unwrap_or_default() {
            let (read, unwritten) = batch.messages.split_at(batch.messages.len().div_ceil(3));
            for m in read {
                let mut got = self.got.lock().unwrap();
                got.push((m.number, m.text.clone()));
                let attempt = (self.answer)(m.number, got.len());
                self.reports.send(Report::Result { job: batch.job, seq: m.seq, attempt }).unwrap();
            }
            if let Some(first) = unwritten.first() {
                self.reports.send(Report::Unwritten { job: batch.job, from_seq: first.seq }).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_line_that_drops_every_three_seconds_leaves_tens_of_waves() {
    const RATE: i64 = 25;
    let route = json!({"rate_per_second": RATE, "claim_budget": 400});
    let mut w = World::on(route, 20_000, accept).await;
    let sends = r#"[{"now":true},{"after":"PT1M"},{"after":"PT1M"},{"after":"PT1M"},{"after":"PT1M"}]"#;
    let id = w.schedule("Drops", sends, any_time()).await;
    // An hour under `just week`; otherwise just enough drops to tell growth from none.
    let minutes = std::env::var("CARILLON_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let (end, mut up) = (w.now + SignedDuration::from_mins(minutes), 0);
    while w.now < end {
        *w.phone.state.lock().unwrap() = RouteState::Connected;
        w.run_until(w.now + SignedDuration::from_millis(2_300)).await;
        *w.phone.holds.lock().unwrap() = Some(Vec::new());
        w.run_until(w.now + SignedDuration::from_millis(200)).await;
        w.phone.drop_line();
        w.run_until(w.now + SignedDuration::from_millis(500)).await;
        up += 2_500;
    }
    let waves: i64 = rusqlite::Connection::open(w.data.folder.path().join("carillon.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM wave", [], |r| r.get(0))
        .unwrap();
    assert!(waves < 100, "{waves} waves");
    let sent = fixture::count(w.totals(id).await, "sent");
    assert!(sent * 1_000 * 10 >= RATE * up * 8, "{sent} sent while the line was up for {up} ms");
    assert!(w.most_to_one_number() <= 5, "somebody got a message twice");
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_stored_costs_its_campaign_and_nobody_else() {
    let mut w = World::with(30, accept).await;
    let broken = w.schedule("Broken", NOW, any_time()).await;
    let sound = w.schedule("Sound", NOW, any_time()).await;
    let raw = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    let row = "INSERT INTO delivery (campaign_id, message_no, seq, outcome, parts, parts_left, attempts, sent_at, changed_at)
        VALUES (?1, 1, 7, 4, 1, 0, 1, 0, 0)";
    raw.execute(row, [broken.0]).unwrap();
    w.run_until(w.now + SignedDuration::from_mins(5)).await;
    assert_eq!(w.totals(sound).await, fixture::totals([("sent", 30)]));
    assert_eq!(w.status(sound).await, Status::Completed);
    assert_eq!(w.status(broken).await, Status::Running);
    let waiting = w.waiting(broken);
    assert!(
        matches!(&waiting[0].reason, WaitingReason::Fault(words) if words.contains("delivery")),
        "{waiting:?}"
    );
    // Stop is answered though what was sent cannot be stored yet.
    let mut stopped = w.engine.stop(broken, fixture::by(w.now)).await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
        w.engine.cycle(w.now).await.unwrap();
        w.engine.attend(w.now).await;
    }
    assert_eq!(stopped.try_recv(), Ok(()));
    raw.execute("DELETE FROM delivery WHERE campaign_id = ?1", [broken.0]).unwrap();
    w.run_until(w.now + SignedDuration::from_mins(2)).await;
    assert_eq!((fixture::count(w.totals(broken).await, "sent"), w.most_to_one_number()), (30, 2));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_campaign_that_cannot_be_read_waits_alone() {
    let mut w = World::with(30, accept).await;
    let broken = w.schedule("Broken", NOW, any_time()).await;
    let sound = w.schedule("Sound", NOW, any_time()).await;
    let raw = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    let whole: String =
        raw.query_row("SELECT definition FROM campaign WHERE id = ?1", [broken.0], |r| r.get(0)).unwrap();
    let write = |text: &str| {
        let sql = "UPDATE campaign SET definition = ?2, version = version + 1 WHERE id = ?1";
        raw.execute(sql, (broken.0, text)).unwrap()
    };
    write(&whole.replace("+12025550100", "no sender at all, and far too long for one"));
    w.run_until(w.now + SignedDuration::from_mins(5)).await;
    assert_eq!(w.status(sound).await, Status::Completed);
    assert!(matches!(w.waiting(broken)[0].reason, WaitingReason::Fault(_)), "{:?}", w.waiting(broken));
    write(&whole);
    w.run_until(w.now + SignedDuration::from_mins(5)).await;
    assert_eq!(w.status(broken).await, Status::Completed);
}

#[tokio::test]
async fn ten_that_were_throttled_are_late_after_a_night_and_go_when_released() {
    let mut w = World::with(10, |_, nth| match nth {
        1..=10 => Attempt::Refused { kind: Refusal::Throttled, status: 0x58, words: "throttled".into() },
        _ => accept(Msisdn::from_digits(1), nth),
    })
    .await;
    let id = w.schedule("Night", NOW, any_time()).await;
    while w.phone.got.lock().unwrap().len() < 10 {
        w.engine.cycle(w.now).await.unwrap();
    }
    w.engine.cycle(w.now).await.unwrap();
    // The program was down for three days.
    w.now += SignedDuration::from_hours(72);
    w.run_for(1).await;
    assert_eq!(w.phone.got.lock().unwrap().len(), 10);
    assert!(w.data.store.campaign(id).await.unwrap().held);
    assert_eq!(w.waiting(id)[0].reason, WaitingReason::Late);
    w.data.store.release(id, fixture::by(w.now)).await.unwrap();
    w.run_for(1).await;
    assert_eq!((fixture::count(w.totals(id).await, "sent"), w.status(id).await), (10, Status::Completed));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_second_message_keeps_its_distance_though_the_first_is_not_through() {
    let mut w = World::on(json!({"rate_per_second": 1, "claim_budget": 400}), 4_000, accept).await;
    let mut definition = w.data.definition("One", r#"[{"now":true},{"after":"PT10M"}]"#, any_time());
    fixture::sms(&mut definition).messages[1].text = "Two".into();
    let id = w.data.store.create_campaign(definition, fixture::by(w.now)).await.unwrap().id;
    w.data.store.schedule(id, fixture::by(w.now)).await.unwrap();
    let twos = |w: &World| w.phone.got.lock().unwrap().iter().filter(|(_, text)| &**text == "Two").count();
    w.run_until(w.now + SignedDuration::from_mins(10)).await;
    assert_eq!(twos(&w), 0);
    w.run_until(w.now + SignedDuration::from_secs(30)).await;
    assert!((20..=32).contains(&twos(&w)), "{} of the second message", twos(&w));
}
