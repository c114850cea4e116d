//! How many calls there are at once, in a second, and for one person.

use super::*;

/// Limits everybody to so many a day.
async fn limited(w: &World, most: u32, counts: Option<&str>) {
    let limit = json!({"limit": {"messages": most, "per": "P1D", "counts": counts}});
    w.data.store.change_settings(serde_json::from_value(limit).unwrap(), by(w.now)).await.unwrap();
}

#[tokio::test]
async fn a_limit_counts_each_call_that_rang_and_none_that_did_not() {
    let retry =
        json!({"most": 9, "busy": {"after": "PT5M", "times": 9}, "no_answer": {"after": "PT5M", "times": 9}});
    for counts in [None, Some("voice")] {
        let mut w = World::with(1, json!({})).await;
        limited(&w, 2, counts).await;
        let id = w.schedule("Limited", json!({"retry": retry})).await;
        w.run(1).await;
        // Busy three times, without a ring; then it rings twice, and there is no third time.
        for called in [Called::Busy, Called::Busy, Called::Busy, Called::NoAnswer, Called::NoAnswer] {
            assert_eq!(w.up(), 1, "{called:?}");
            w.all_came_to(called);
            w.run(301).await;
        }
        assert_eq!((w.up(), w.totals(id).await), (0, totals([("no_answer", 1)])));
        assert_eq!(w.data.store.skips(id).await.unwrap(), [("limit".to_owned(), 1)]);
        // Another campaign calls nobody who has had so many.
        let next = w.schedule("Next", json!({})).await;
        w.run(1).await;
        assert_eq!((w.up(), w.totals(next).await), (0, totals([("skipped", 1)])));
        w.now += SignedDuration::from_hours(24);
        let later = w.schedule("Later", json!({})).await;
        w.run(1).await;
        assert_eq!((w.up(), w.status(later).await), (1, Status::Running));
        w.data.assert_sound().await;
    }
    // Where only messages count, calls are not held back.
    let mut w = World::with(1, json!({})).await;
    limited(&w, 1, Some("sms")).await;
    for name in ["One", "Two"] {
        w.schedule(name, json!({})).await;
        w.run(1).await;
        assert_eq!(w.up(), 1);
        w.all_came_to(Called::Human);
        w.run(1).await;
    }
}

#[tokio::test]
async fn a_call_that_was_not_made_leaves_room_for_another() {
    let mut w = World::with(4, json!({})).await;
    limited(&w, 1, None).await;
    let stopped = w.schedule("Stopped", json!({})).await;
    w.run(1).await;
    let mut answered = w.engine.stop(stopped, by(w.now)).await.unwrap();
    while answered.try_recv().is_err() {
        w.run(1).await;
    }
    w.run(1).await;
    assert_eq!(w.totals(stopped).await, totals([("cancelled", 4)]));
    let id = w.schedule("Next", json!({})).await;
    w.run(1).await;
    assert_eq!(w.up(), 4);
    w.end(|_| CallEnd::NotBegun("no port is free".into()));
    w.run(6).await;
    assert_eq!(w.up(), 4);
    w.all_came_to(Called::Human);
    w.run(1).await;
    assert_eq!(
        (w.totals(id).await, w.status(id).await),
        (totals([("answered_human", 4)]), Status::Completed)
    );
    w.data.assert_sound().await;
}

#[tokio::test]
async fn no_more_calls_are_up_than_the_route_and_the_campaign_allow() {
    for (route, own, most) in [(7, Value::Null, 7), (50, json!(5), 5)] {
        let mut w = World::with(40, json!({"max_calls": route})).await;
        let id = w.schedule("Few", json!({"max_calls": own})).await;
        for _ in 0..20 {
            w.run(3).await;
            w.all_came_to(Called::Human);
        }
        w.run(3).await;
        assert_eq!(w.totals(id).await, totals([("answered_human", 40)]));
        assert_eq!(w.trunk.exchange.lock().unwrap().most, most);
    }
    // The campaign's own rate holds, too.
    let mut w = World::with(40, json!({})).await;
    w.schedule("Slow", json!({"calls_per_second": 2})).await;
    w.run(5).await;
    assert!((9..=12).contains(&w.up()), "{}", w.up());
}

#[tokio::test]
async fn a_trunk_that_suddenly_answers_busy_is_told_of_and_given_calls_more_slowly() {
    let mut w = World::with(600, json!({"calls_per_second": 20, "max_calls": 500})).await;
    let id = w.schedule("Crowded", json!({})).await;
    let told =
        |w: &World| w.engine.handle().waiting(id).iter().any(|wait| wait.reason.word() == "trunk_busy");
    let made = |w: &World| w.trunk.exchange.lock().unwrap().made.len();
    for second in 0..12 {
        w.run(1).await;
        assert!(!told(&w), "{second}");
        w.end(|up| came(if up.seq % 20 == 0 { Called::Busy } else { Called::Human }));
    }
    let before = made(&w);
    w.run(1).await;
    assert!(made(&w) - before >= 18, "{}", made(&w) - before);
    for _ in 0..3 {
        w.all_came_to(Called::Busy);
        w.run(1).await;
    }
    assert!(told(&w), "{:?}", w.engine.handle().waiting(id));
    let before = made(&w);
    w.all_came_to(Called::Busy);
    w.run(1).await;
    assert!(made(&w) - before < 18, "{}", made(&w) - before);
    assert_eq!(w.status(id).await, Status::Running);
}

#[tokio::test]
async fn legs_to_agents_take_places_of_the_trunk() {
    let mut w = World::with(30, json!({"max_calls": 10})).await;
    w.trunk.exchange.lock().unwrap().legs = 4;
    let id = w.schedule("Agents", json!({})).await;
    w.run(3).await;
    assert_eq!((w.up(), w.totals(id).await), (6, totals([("dialing", 6), ("pending", 24)])));
    let waits = w.engine.handle().waiting(id);
    assert!(waits.iter().any(|wait| wait.reason.word() == "calls_full"), "{waits:?}");
    w.trunk.exchange.lock().unwrap().legs = 0;
    w.all_came_to(Called::Human);
    w.run(1).await;
    assert_eq!(w.up(), 10);
}
