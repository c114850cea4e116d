//! Budgets and forecasts of calls.

use super::*;

#[tokio::test]
async fn no_call_begins_once_the_budget_is_spent_until_a_person_releases_the_rest() {
    let mut w = World::with(10, json!({"price_per_minute": "0.06", "increment_seconds": 60})).await;
    // Ten calls of a minute each at least.
    let refused = w.data.store.create_campaign(
        serde_json::from_value(w.definition("Poor", json!({"max_cost": "0.59"}))).unwrap(),
        by(w.now),
    );
    let refused = w.data.store.schedule(refused.await.unwrap().id, by(w.now)).await;
    let Err(StoreError::Invalid(wrong)) = refused else { panic!("{refused:?}") };
    assert_eq!(wrong[0].field, "max_cost");
    assert!(wrong[0].message.contains("would cost 0.60 at least, and its budget is 0.59"), "{wrong:?}");
    let id = w.schedule("Budget", json!({"max_cost": "0.60", "max_calls": 2})).await;
    w.run(1).await;
    // Each goes on for over two minutes, and is billed as three.
    for made in [2, 4] {
        assert_eq!((w.up(), w.trunk.exchange.lock().unwrap().made.len()), (2, made));
        w.all_came_to(Called::Human);
        w.run(3).await;
    }
    assert_eq!((w.up(), w.totals(id).await), (0, totals([("answered_human", 4), ("pending", 6)])));
    let waits = w.engine.handle().waiting(id);
    assert_eq!(waits.iter().map(|wait| wait.reason.word()).collect::<Vec<_>>(), ["budget"]);
    let campaign = w.data.store.campaign(id).await.unwrap();
    assert!(campaign.held && campaign.available_actions().contains(&campaign::Action::Release));
    w.run(3_600).await;
    assert_eq!((w.up(), w.status(id).await), (0, Status::Running), "it is not late meanwhile");
    w.data.store.release(id, by(w.now)).await.unwrap();
    for _ in 0..3 {
        w.run(1).await;
        assert_eq!(w.up(), 2);
        w.all_came_to(Called::Human);
    }
    w.run(1).await;
    assert_eq!(
        (w.totals(id).await, w.status(id).await),
        (totals([("answered_human", 10)]), Status::Completed)
    );
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_campaign_that_has_spent_its_budget_with_its_last_call_holds_nobody() {
    let mut w = World::with(2, json!({"price_per_minute": "0.06"})).await;
    let id = w.schedule("Spent", json!({"max_cost": "0.12"})).await;
    w.run(1).await;
    w.all_came_to(Called::Human);
    w.run(1).await;
    let campaign = w.data.store.campaign(id).await.unwrap();
    assert_eq!((campaign.status, campaign.held), (Status::Completed, false));
}

#[tokio::test]
async fn the_calls_that_are_up_keep_the_rest_of_the_budget_from_further_ones() {
    let mut w = World::with(10, json!({"price_per_minute": "0.06", "increment_seconds": 1})).await;
    // A prompt of some 20 seconds, and a key that ends the call at once.
    let script = json!({"first": "ask", "steps": {
        "ask": {"gather": {"timeout": "PT5S", "prompt": {"say": "x".repeat(14 * 20)}}, "on": {"1": "bye"}, "none": "bye"},
        "bye": {"hang_up": true}}});
    let id = w.schedule("Budget", json!({"script": script, "max_cost": "0.07"})).await;
    w.run(1).await;
    // Seventy seconds: three calls of 26 seconds could spend them.
    assert_eq!((w.up(), w.status(id).await), (3, Status::Running));
    w.run(3).await;
    let waits = w.engine.handle().waiting(id);
    assert!(waits.iter().any(|wait| wait.reason.word() == "budget"), "{waits:?}");
    assert!(!w.data.store.campaign(id).await.unwrap().held, "nothing is spent yet");
    // They cost nothing after all.
    w.all_came_to(Called::NoAnswer);
    w.run(1).await;
    assert_eq!(w.up(), 3);
}

#[tokio::test]
async fn a_forecast_of_calls_is_a_range_of_money_and_takes_the_time_that_calls_take() {
    let w =
        World::with(10, json!({"price_per_minute": "0.06", "increment_seconds": 6, "max_calls": 2})).await;
    let forecast = async |name: &str, more: Value| {
        let d = serde_json::from_value(w.definition(name, more)).unwrap();
        let id = w.data.store.create_campaign(d, by(w.now)).await.unwrap().id;
        w.data.store.forecast(id, None, w.now).await.unwrap()
    };
    let ask = json!({"first": "ask", "steps": {
        "ask": {"gather": {"timeout": "PT6S", "tries": 3, "prompt": {"say": "x"}}, "on": {"1": "bye"}, "none": "bye"},
        "bye": {"hang_up": true}}});
    // At least an increment of six seconds; at most three times seven, billed as 24.
    let asks = forecast("Asks", json!({"script": ask})).await;
    let shown = |money: Option<campaign::money::Money>| money.map(|money| money.to_string());
    assert_eq!((shown(asks.cost), shown(asks.cost_most)), (Some("0.06".into()), Some("0.24".into())));
    // Two at a time, each ringing for a while and talking for ten seconds: ten calls take some minutes.
    let span = asks.last_send.unwrap().duration_since(asks.first_send.unwrap());
    assert!((60..=140).contains(&span.as_secs()), "{span}");
    let unpriced = World::with(10, json!({})).await;
    let d = serde_json::from_value(unpriced.definition("Unpriced", json!({"max_cost": "5"}))).unwrap();
    let id = unpriced.data.store.create_campaign(d, by(unpriced.now)).await.unwrap().id;
    let Err(StoreError::Invalid(wrong)) = unpriced.data.store.schedule(id, by(unpriced.now)).await else {
        panic!()
    };
    assert!(wrong[0].message.contains("no price per minute"), "{wrong:?}");
}

#[tokio::test]
async fn a_forecast_of_calls_counts_the_time_that_rendering_takes() {
    let w = World::with(100, json!({"max_calls": 100})).await;
    let forecast = async |name: &str, pace: Option<f64>, more: Value| {
        let d = serde_json::from_value(w.definition(name, more)).unwrap();
        let id = w.data.store.create_campaign(d, by(w.now)).await.unwrap().id;
        let forecast = w.data.store.forecast(id, pace.map(Pace), w.now).await.unwrap();
        let lasts = forecast.last_send.unwrap().duration_since(forecast.first_send.unwrap());
        (forecast.rendering.map(|time| time.as_secs()), lasts.as_secs())
    };
    let script = |text: &str| json!({"script": {"first": "hello", "steps": {"hello": {"say": text, "next": "bye"}, "bye": {"hang_up": true}}}});
    // Forty characters for each of a hundred people, at a twentieth of a second a character.
    let each = "Good morning {{first_name|default('x')}}";
    assert_eq!(forecast("Each", Some(0.05), script(each)).await, (Some(200), 200));
    assert_eq!(forecast("Unknown", None, script(each)).await.0, None);
    let (rendering, lasts) = forecast("All", Some(0.1), script("Hello, all of you!!!")).await;
    assert!(rendering == Some(2) && lasts < 30, "{rendering:?} {lasts}");
    let silent = json!({"script": {"first": "bye", "steps": {"bye": {"hang_up": true}}}});
    assert_eq!(forecast("Silent", Some(0.1), silent).await.0, None);
}
