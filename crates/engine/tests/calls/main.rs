//! Voice campaigns over a trunk that a test decides for: the same waves, claims and tallies as messages.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod ahead;
mod errored;
mod limits;
mod money;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use campaign::{
    CampaignId, Msisdn, Status,
    lifecycle::NotAllowed,
    outcome::Place,
    retry::{Call, Called},
};
use engine::{
    Batch, CallEnd, CallOutcome, CallReport, CallRow, Calls, Connect, Engine, Live, Phase, Renderer, Report,
    Reports, Route, RouteState, Trouble,
};
use fixture::{Data, by, people, totals, tuesday, with};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{CampaignError, DeliveryFilter, Pace, StoreError};

/// A call that is up.
#[derive(Clone)]
struct Up {
    calls: Arc<Calls>,
    seq: i64,
    number: Msisdn,
    caller_id: String,
    script: Arc<campaign::Script>,
    answered: bool,
}

#[derive(Default)]
struct Exchange {
    state: Option<RouteState>,
    up: Vec<Up>,
    /// Every call that was ever made.
    made: Vec<Msisdn>,
    /// The most calls that were up at once.
    most: usize,
    /// Further legs, to agents.
    legs: u32,
}

/// A trunk: what becomes of its calls is for the test to say.
struct Trunk {
    exchange: Mutex<Exchange>,
    reports: Reports,
    /// Renders what is said, where the test renders anything.
    renderer: Option<Arc<dyn Renderer>>,
}

#[async_trait::async_trait]
impl Route for Trunk {
    fn state(&self) -> RouteState {
        self.exchange.lock().unwrap().state.clone().unwrap_or(RouteState::Connected)
    }

    fn unanswered(&self) -> u32 {
        self.exchange.lock().unwrap().up.len() as u32
    }

    fn legs(&self) -> u32 {
        self.exchange.lock().unwrap().legs
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
        let mut exchange = self.exchange.lock().unwrap();
        for call in to_make {
            exchange.made.push(call.number);
            assert!(exchange.up.iter().all(|up| up.number != call.number), "two calls to {}", call.number);
            exchange.up.push(Up {
                calls: calls.clone(),
                seq: call.seq,
                number: call.number,
                caller_id: call.caller_id.to_string(),
                script: call.script,
                answered: false,
            });
        }
        exchange.most = exchange.most.max(exchange.up.len());
    }

    fn live(&self, campaign: CampaignId) -> Live {
        let exchange = self.exchange.lock().unwrap();
        let of = exchange.up.iter().filter(|up| up.calls.campaign == campaign);
        let phase = |up: &Up| if up.answered { Phase::InProgress } else { Phase::Ringing };
        Live(of.map(|up| (up.number, phase(up))).collect())
    }

    fn renderer(&self) -> Option<Arc<dyn Renderer>> {
        self.renderer.clone()
    }

    async fn fence(&self, campaign: CampaignId) {
        let of = |up: &mut Up| up.calls.campaign == campaign && !up.answered;
        let withdrawn: Vec<Up> = self.exchange.lock().unwrap().up.extract_if(.., of).collect();
        for up in withdrawn {
            self.report(&up, CallEnd::Withdrawn, CallOutcome(Place::Cancelled), "cancelled");
        }
    }
}

impl Trunk {
    fn report(&self, up: &Up, end: CallEnd, outcome: CallOutcome, words: &str) {
        let rang =
            matches!(&end, CallEnd::Came(call) if matches!(call.called, Called::Human | Called::NoAnswer));
        let row = CallRow {
            ring_seconds: rang.then_some(5),
            talk_seconds: matches!(&end, CallEnd::Came(Call { called: Called::Human, .. })).then_some(125),
            sip_code: matches!(end, CallEnd::Trunk { .. }).then_some(503),
            words: words.into(),
            ..CallRow::new(tuesday(), outcome, up.caller_id.clone())
        };
        let report = CallReport { end, row: Some(row), steps: vec![("hello".into(), None)] };
        let report = Box::new(report);
        self.reports.send(Report::Called { claim: up.calls.claim, seq: up.seq, report }).unwrap();
    }
}

struct World {
    data: Data,
    engine: Engine,
    trunk: Arc<Trunk>,
    now: Timestamp,
}

async fn begin(data: &Data, now: Timestamp, renderer: Option<Arc<dyn Renderer>>) -> (Engine, Arc<Trunk>) {
    let made: Arc<Mutex<Option<Arc<Trunk>>>> = Arc::default();
    let theirs = made.clone();
    let connect: Connect = Box::new(move |_, reports, _| {
        let trunk = Arc::new(Trunk { exchange: Mutex::default(), reports, renderer: renderer.clone() });
        *theirs.lock().unwrap() = Some(trunk.clone());
        trunk
    });
    let engine = Engine::start(data.store.clone(), now.to_string(), connect, now).await.unwrap();
    (engine, made.lock().unwrap().take().unwrap())
}

impl World {
    async fn with(count: i64, trunk: Value) -> Self {
        Self::rendering(count, trunk, None).await
    }

    /// A world whose trunk renders what calls say.
    async fn rendering(count: i64, trunk: Value, renderer: Option<Arc<dyn Renderer>>) -> Self {
        let now = tuesday();
        let usual = json!({"numbers": ["+12025550100"], "max_calls": 50, "calls_per_second": 100});
        let data = Data::with_trunk(people(count, &["America/New_York"]), with(usual, trunk), now).await;
        let (engine, trunk) = begin(&data, now, renderer).await;
        Self { data, engine, trunk, now }
    }

    fn definition(&self, name: &str, more: Value) -> Value {
        let script = json!({"first": "hello", "steps": {
            "hello": {"say": "Hello {{ first_name | default('there') }}.", "next": "bye"}, "bye": {"hang_up": true}}});
        let usual = json!({"channel": "voice", "name": name, "route_id": self.data.route, "caller_id": "+12025550100",
            "list_ids": [self.data.list], "opt_in_acknowledged": true, "window": null, "start": {"now": true}, "script": script});
        with(usual, more)
    }

    async fn schedule(&self, name: &str, more: Value) -> CampaignId {
        let d = serde_json::from_value(self.definition(name, more)).unwrap();
        let made = self.data.store.create_campaign(d, by(self.now)).await.unwrap();
        self.data.store.schedule(made.id, by(self.now)).await.unwrap().id
    }

    /// Takes turns for so many seconds.
    async fn run(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        loop {
            let wake = self.engine.cycle(self.now).await.unwrap();
            self.engine.attend(self.now).await;
            if self.now >= end {
                return;
            }
            let step = self.now + SignedDuration::from_millis(50);
            self.now = wake.map_or(end, |wake| wake.max(step)).min(end);
        }
    }

    fn up(&self) -> usize {
        self.trunk.exchange.lock().unwrap().up.len()
    }

    /// Ends the calls that are up, as `end` says of each.
    fn end(&self, end: impl Fn(&Up) -> CallEnd) {
        let up = std::mem::take(&mut self.trunk.exchange.lock().unwrap().up);
        for up in up {
            let end = end(&up);
            let outcome = match &end {
                CallEnd::Came(call) => call.called.into(),
                CallEnd::Trunk { as_if, .. } => (*as_if).into(),
                _ => CallOutcome(Place::Cancelled),
            };
            self.trunk.report(&up, end, outcome, "as the test says");
        }
    }

    fn all_came_to(&self, called: Called) {
        self.end(|_| came(called));
    }

    async fn totals(&self, id: CampaignId) -> campaign::Totals {
        self.data.store.campaign(id).await.unwrap().sum()
    }

    async fn status(&self, id: CampaignId) -> Status {
        self.data.store.campaign(id).await.unwrap().status
    }
}

fn came(called: Called) -> CallEnd {
    CallEnd::Came(Call { called, goal: true })
}

fn trunk_failed() -> CallEnd {
    CallEnd::Trunk { as_if: Called::Failed, exchange: Vec::new() }
}

#[tokio::test]
async fn each_call_comes_to_its_outcome_and_the_campaign_completes() {
    let mut w = World::with(8, json!({})).await;
    let id = w.schedule("Reminder", json!({})).await;
    w.run(1).await;
    assert_eq!((w.up(), w.status(id).await), (8, Status::Running));
    assert_eq!(w.totals(id).await, totals([("dialing", 8)]));
    let first = w.trunk.exchange.lock().unwrap().up[0].clone();
    assert!(serde_json::to_string(&*first.script).unwrap().contains("Hello Ana."), "rendered");
    let all = [
        Called::Human,
        Called::Unknown,
        Called::Busy,
        Called::NoAnswer,
        Called::Rejected,
        Called::Unreachable,
        Called::Congestion,
        Called::Failed,
    ];
    w.end(|up| came(all[up.seq as usize]));
    w.run(1).await;
    let words = ["answered_human", "answered_unknown", "busy", "no_answer", "rejected", "unreachable"];
    let mut wanted = totals(words.map(|word| (word, 1)));
    wanted.add(&totals([("failed", 2)]));
    assert_eq!((w.totals(id).await, w.status(id).await), (wanted, Status::Completed));
    let steps = w.data.store.campaign(id).await.unwrap().steps;
    assert_eq!(
        steps.iter().map(|step| (step.id.as_str(), step.reached)).collect::<Vec<_>>(),
        [("bye", 0), ("hello", 8)]
    );
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_person_is_called_again_by_the_rules_and_the_best_answer_counts() {
    let mut w = World::with(2, json!({})).await;
    let retry = json!({"most": 3, "busy": {"after": "PT5M", "times": 2}});
    let id = w.schedule("Again", json!({"retry": retry})).await;
    w.run(1).await;
    w.end(|up| came(if up.seq == 0 { Called::Busy } else { Called::Human }));
    w.run(299).await;
    assert_eq!((w.up(), w.totals(id).await), (0, totals([("pending", 1), ("answered_human", 1)])));
    w.run(3).await;
    w.all_came_to(Called::Busy);
    w.run(301).await;
    w.all_came_to(Called::NoAnswer);
    w.run(3_600).await;
    assert_eq!(
        (w.totals(id).await, w.status(id).await),
        (totals([("no_answer", 1), ("answered_human", 1)]), Status::Completed)
    );
    assert_eq!(w.trunk.exchange.lock().unwrap().made.len(), 4);
    let (rows, _) = w.data.store.deliveries(id, DeliveryFilter::default(), 10).await.unwrap();
    let calls = w.data.store.calls(id, rows.iter().map(|row| row.id).collect()).await.unwrap().unwrap();
    let words: Vec<_> = calls[&rows[0].id].iter().map(|call| call.outcome.0.word()).collect();
    assert_eq!(words, ["busy", "busy", "no_answer"]);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn an_opt_out_by_key_is_stored_while_the_call_goes_on_and_forbids_a_further_one() {
    let mut w = World::with(1, json!({})).await;
    let retry = json!({"most": 2, "no_goal": {"after": "PT5M", "times": 1}});
    let id = w.schedule("Opt-out", json!({"retry": retry, "goal": "bye"})).await;
    w.run(1).await;
    let number = w.trunk.exchange.lock().unwrap().up[0].number;
    w.trunk.reports.send(Report::OptedOut { campaign: id, number }).unwrap();
    w.run(1).await;
    assert!(w.data.store.opt_outs().contains(number, campaign::Channel::Voice, "care"));
    assert_eq!(w.up(), 1, "the call goes on");
    w.end(|_| CallEnd::Came(Call { called: Called::Human, goal: false }));
    w.run(600).await;
    // The rule would call again; the claim finds the opt-out, and the call that was made stands.
    assert_eq!(
        (w.totals(id).await, w.trunk.exchange.lock().unwrap().made.len()),
        (totals([("answered_human", 1)]), 1)
    );
    w.data.assert_sound().await;
}

#[tokio::test]
async fn stop_is_answered_once_no_call_can_begin_and_talks_go_on() {
    let mut w = World::with(30, json!({"max_calls": 10})).await;
    // The rule would call the one again who is up; a stopped campaign calls nobody.
    let retry = json!({"most": 3, "no_goal": {"after": "PT1M", "times": 2}});
    let id = w.schedule("Stopped", json!({"goal": "bye", "retry": retry})).await;
    w.run(1).await;
    w.trunk.exchange.lock().unwrap().up[0].answered = true;
    let mut stopped = w.engine.stop(id, by(w.now)).await.unwrap();
    while stopped.try_recv().is_err() {
        w.run(1).await;
    }
    w.run(1).await;
    // The talk is the one call that is left.
    let now = w.totals(id).await;
    assert_eq!((w.up(), now), (1, totals([("dialing", 1), ("cancelled", 29)])));
    w.end(|_| CallEnd::Came(Call { called: Called::Human, goal: false }));
    w.run(600).await;
    assert_eq!(w.totals(id).await, totals([("answered_human", 1), ("cancelled", 29)]));
    assert_eq!((w.status(id).await, w.trunk.exchange.lock().unwrap().made.len()), (Status::Stopped, 10));
    let restarted = w.data.store.restart(id, BTreeMap::new(), false, by(w.now)).await;
    assert!(matches!(restarted, Err(StoreError::NotAllowed(NotAllowed { status: Status::Stopped, .. }))));
    // Those whom it did not come to can be called by a copy.
    let rest = w.data.store.clone_remaining(id, None, by(w.now)).await.unwrap();
    let (name, size) = w.data.store.list(rest.definition.list_ids[0]).await.unwrap();
    assert_eq!((name.as_str(), size), ("Remaining of Stopped", 29));
    w.data.assert_sound().await;
}

const RESULT: &str = "INSERT INTO delivery (campaign_id, message_no, seq, outcome, parts, parts_left, attempts, sent_at, changed_at)
    VALUES (?1, 1, 3, 4, 1, 0, 1, 0, 0)";

#[tokio::test]
async fn a_pilot_of_calls_is_its_recipients_with_their_retries_and_the_rest_waits_for_a_person() {
    let mut w = World::with(10, json!({})).await;
    let retry = json!({"most": 3, "busy": {"after": "PT5M", "times": 2}});
    let id = w.schedule("Pilot", json!({"pilot": 2, "retry": retry})).await;
    w.run(1).await;
    for _ in 0..2 {
        assert_eq!(w.up(), 2);
        w.all_came_to(Called::Busy);
        w.run(301).await;
    }
    assert_eq!(w.up(), 2);
    w.all_came_to(Called::Human);
    w.run(3_600).await;
    assert_eq!((w.up(), w.totals(id).await), (0, totals([("answered_human", 2), ("pending", 8)])));
    assert!(w.engine.handle().waiting(id).iter().any(|wait| wait.reason.word() == "pilot"));
    w.data.store.release(id, by(w.now)).await.unwrap();
    w.run(1).await;
    w.all_came_to(Called::Human);
    w.run(1).await;
    assert_eq!(
        (w.totals(id).await, w.status(id).await),
        (totals([("answered_human", 10)]), Status::Completed)
    );
}

#[tokio::test]
async fn calls_for_marketing_keep_the_rules_of_the_account_and_a_tick_is_kept_with_the_campaign() {
    let w = World::with(2, json!({})).await;
    let settings = async |more: Value| {
        w.data.store.change_settings(serde_json::from_value(more).unwrap(), by(w.now)).await
    };
    let wrong = settings(json!({"call_back_number": "12"})).await;
    assert!(matches!(wrong, Err(StoreError::Invalid(wrong)) if wrong[0].field == "call_back_number"));
    settings(
        json!({"organisation": "Northside Clinic", "call_back_number": "(202) 555-0188", "country": "US"}),
    )
    .await
    .unwrap();
    assert_eq!(w.data.store.settings().await.unwrap().call_back_number.as_deref(), Some("+12025550188"));
    let audio = w.data.store.add_audio("Hello".into(), 3.0, b"RIFF".to_vec(), by(w.now)).await.unwrap().id;
    let bye =
        json!({"say": "Northside Clinic. Press 9 for no more calls. Call 202 555 0188.", "next": "end"});
    let said = json!({"first": "bye", "steps": {"bye": bye, "end": {"hang_up": true}}});
    let played = json!({"first": "hello", "steps": {"hello": {"play": audio, "next": "bye"}, "bye": bye, "end": {"hang_up": true}}});
    let usual = json!({"purpose": "marketing", "opt_out_key": "9"});
    let schedule = async |name: &str, more: Value| {
        let d = serde_json::from_value(w.definition(name, with(usual.clone(), more))).unwrap();
        let id = w.data.store.create_campaign(d, by(w.now)).await.unwrap().id;
        w.data.store.schedule(id, by(w.now)).await.map(|campaign| campaign.id)
    };
    schedule("Said", json!({"script": said})).await.unwrap();
    let Err(StoreError::Invalid(wrong)) = schedule("Played", json!({"script": played})).await else {
        panic!()
    };
    assert_eq!(wrong.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["script.steps.hello"]);
    let ticked = json!({"script": played, "audio_says": ["organisation"]});
    let id = schedule("Ticked", ticked).await.unwrap();
    let history = w.data.store.timeline(id).await.unwrap();
    let kept = history.iter().find(|entry| entry.cause.contains("uploads say: organisation")).unwrap();
    assert_eq!(kept.actor, "test");
    // Where the rules do not hold, none is asked for.
    let off = json!(["ring_time", "organisation", "call_back_number", "opt_out_key"]);
    settings(json!({"marketing_rules_off": off})).await.unwrap();
    schedule("Elsewhere", json!({"opt_out_key": null, "ring_time": "PT5S"})).await.unwrap();
}

#[tokio::test]
async fn a_caller_id_is_the_same_on_every_call_and_replaced_only_where_the_route_loses_it() {
    let mut w = World::with(2, json!({"numbers": ["+12025550100", "+12025550101"]})).await;
    let retry = json!({"most": 4, "busy": {"after": "PT1M", "times": 3}});
    let id = w.schedule("Shown", json!({"caller_id": "+12025550101", "retry": retry})).await;
    let route = w.data.store.routes().await.unwrap().remove(0);
    let edit = async |w: &World, numbers: Value| {
        let mut json = serde_json::to_value(&route.config).unwrap();
        json["numbers"] = numbers;
        w.data.store.edit_route(route.id, serde_json::from_value(json).unwrap(), by(w.now)).await
    };
    for (numbers, shown) in [
        (json!(["+12025550100", "+12025550101"]), "+12025550101"),
        (json!(["+12025550102", "+12025550101"]), "+12025550101"),
        (json!(["+12025550102"]), "+12025550102"),
    ] {
        edit(&w, numbers).await.unwrap();
        w.engine.handle().routes_changed();
        w.run(70).await;
        // The test's trunk is made anew with each change of the route.
        assert_eq!(
            w.data
                .store
                .campaign(id)
                .await
                .unwrap()
                .definition
                .content
                .send_as()
                .map(|shown| { serde_json::to_value(shown).unwrap() }),
            Some(json!(shown))
        );
    }
    assert!(matches!(edit(&w, json!([])).await, Err(StoreError::Invalid(_))));
    let history = w.data.store.timeline(id).await.unwrap();
    assert!(
        history.iter().any(|entry| entry.cause == "+12025550101 replaced by +12025550102"),
        "{history:?}"
    );
}

#[tokio::test]
async fn a_pool_takes_no_number_that_the_trunk_of_a_campaign_at_work_may_not_show() {
    let mut w = World::with(4, json!({"numbers": ["+12025550100", "+12025550101"]})).await;
    let pool = |numbers: &[&str]| {
        let senders: Vec<_> = numbers.iter().map(|n| json!({"sender": n, "rate_per_second": 10})).collect();
        serde_json::from_value(json!({"name": "Shown", "senders": senders})).unwrap()
    };
    let store = w.data.store.clone();
    let id = store.create_pool(pool(&["+12025550100"]), by(w.now)).await.unwrap().id;
    let campaign = w.schedule("Pooled", json!({"caller_id": {"pool": id}})).await;
    let others = pool(&["+12025550100", "+12025559999"]);
    let Err(StoreError::Invalid(wrong)) = store.edit_pool(id, others.clone(), by(w.now)).await else {
        panic!()
    };
    assert!(wrong[0].message.contains("+12025559999") && wrong[0].message.contains("'Pooled'"), "{wrong:?}");
    // One of the trunk's own numbers may take the place of another.
    store.edit_pool(id, pool(&["+12025550101"]), by(w.now)).await.unwrap();
    w.run(1).await;
    assert!(w.trunk.exchange.lock().unwrap().up.iter().all(|up| up.caller_id == "+12025550101"));
    w.all_came_to(Called::Human);
    w.run(1).await;
    assert_eq!(w.status(campaign).await, Status::Completed);
    store.edit_pool(id, others, by(w.now)).await.unwrap();
}

#[tokio::test]
async fn what_a_crash_leaves_up_is_in_doubt_and_nobody_of_it_is_called_again() {
    let mut w = World::with(30, json!({"max_calls": 10})).await;
    let id = w.schedule("Crash", json!({})).await;
    w.run(1).await;
    let before = w.trunk.exchange.lock().unwrap().made.clone();
    let (data, mut now) = (w.data, w.now);
    drop(w.engine);
    now += SignedDuration::from_secs(5);
    let (engine, trunk) = begin(&data, now, None).await;
    let mut w = World { data, engine, trunk, now };
    assert_eq!(w.totals(id).await, totals([("in_doubt", 10), ("pending", 20)]));
    for _ in 0..5 {
        w.run(2).await;
        w.all_came_to(Called::Human);
    }
    w.run(2).await;
    assert_eq!(
        (w.totals(id).await, w.status(id).await),
        (totals([("in_doubt", 10), ("answered_human", 20)]), Status::Completed)
    );
    assert!(w.trunk.exchange.lock().unwrap().made.iter().all(|number| !before.contains(number)));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_scheduled_campaign_is_edited_whole_or_not_at_all() {
    let mut w = World::with(6, json!({"numbers": ["+12025550100", "+12025550101"]})).await;
    let later = json!({"start": {"at": "2026-11-24T16:00:00Z"}});
    let id = w.schedule("Edited", later.clone()).await;
    let store = w.data.store.clone();
    let version = || async { store.campaign(id).await.unwrap().version };
    let edit = async |more: Value| {
        let d = serde_json::from_value(w.definition("Edited", with(later.clone(), more))).unwrap();
        store.edit_campaign(id, version().await, d, by(w.now)).await
    };
    // What cannot be scheduled is refused, and the old plan stands.
    for wrong in [json!({"script": null}), json!({"caller_id": "+12025559999"}), json!({"list_ids": []})] {
        let before = store.campaign(id).await.unwrap();
        assert!(matches!(edit(wrong.clone()).await, Err(StoreError::Invalid(_))), "{wrong}");
        let after = store.campaign(id).await.unwrap();
        assert_eq!((before.version, before.totals), (after.version, after.totals), "{wrong}");
    }
    let edited =
        edit(json!({"caller_id": "+12025550101", "start": {"at": "2026-11-24T15:10:00Z"}})).await.unwrap();
    assert_eq!((edited.status, edited.sum()), (Status::Scheduled, totals([("pending", 6)])));
    w.data.assert_sound().await;
    w.run(601).await;
    assert_eq!(w.up(), 6);
    assert!(w.trunk.exchange.lock().unwrap().up.iter().all(|up| up.caller_id == "+12025550101"));
    let late = serde_json::from_value(w.definition("Edited", later)).unwrap();
    let version = w.data.store.campaign(id).await.unwrap().version;
    let refused = w.data.store.edit_campaign(id, version, late, by(w.now)).await;
    assert!(matches!(refused, Err(StoreError::NotAllowed(_))), "{refused:?}");
}

#[tokio::test]
async fn no_call_begins_after_until_and_one_who_was_called_keeps_what_came_of_it() {
    let mut w = World::with(30, json!({"max_calls": 10})).await;
    let retry = json!({"most": 2, "busy": {"after": "PT5M", "times": 1}});
    let until = "2026-11-24T15:06:00Z";
    let id = w.schedule("Until", json!({"until": until, "retry": retry})).await;
    w.run(1).await;
    w.all_came_to(Called::Busy);
    // Their second call would be at 15:05; all places are taken until then.
    w.run(200).await;
    w.run(170).await;
    w.all_came_to(Called::Human);
    w.run(600).await;
    let made = w.trunk.exchange.lock().unwrap().made.len();
    assert_eq!(w.status(id).await, Status::Completed);
    let (skipped, busy) =
        (fixture::count(w.totals(id).await, "skipped"), fixture::count(w.totals(id).await, "busy"));
    assert_eq!((made, busy, skipped), (20, 10, 10));
    assert_eq!(w.data.store.skips(id).await.unwrap(), [("expired".to_owned(), 20)]);
}
