//! A trunk that fails, and what ends a campaign of calls in error.

use super::*;

async fn error(w: &World, id: CampaignId) -> CampaignError {
    w.data.store.campaign_error(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_trunk_that_fails_every_call_ends_the_campaign_in_error_and_the_rest_is_not_called() {
    let mut w = World::with(60, json!({"max_calls": 25})).await;
    let id = w.schedule("Broken", json!({})).await;
    w.run(1).await;
    let talk = {
        let mut exchange = w.trunk.exchange.lock().unwrap();
        exchange.up[0].answered = true;
        exchange.up.remove(0)
    };
    w.end(|_| trunk_failed());
    w.run(1).await;
    assert_eq!(w.status(id).await, Status::Errored);
    let told = error(&w, id).await;
    assert!(told.calls_affected >= 20 && !told.check.is_empty(), "{told:?}");
    assert_eq!(w.totals(id).await, totals([("dialing", 1), ("not_called", 59)]));
    // A talk that ends later is stored all the same.
    w.trunk.report(&talk, came(Called::Human), Called::Human.into(), "the person hung up");
    w.run(3_600).await;
    assert_eq!(w.totals(id).await, totals([("answered_human", 1), ("not_called", 59)]));
    assert_eq!(w.up(), 0, "nobody is called any more");
    w.data.store.archive(id, by(w.now)).await.unwrap();
    assert_eq!(w.totals(id).await, totals([("answered_human", 1), ("not_called", 59)]));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn one_number_a_few_failures_and_a_small_campaign_never_end_in_error() {
    let mut w = World::with(5, json!({})).await;
    let id = w.schedule("Small", json!({})).await;
    for _ in 0..10 {
        w.run(60).await;
        w.end(|_| trunk_failed());
    }
    w.run(60).await;
    assert_eq!((w.totals(id).await, w.status(id).await), (totals([("failed", 5)]), Status::Completed));
    assert_eq!(w.trunk.exchange.lock().unwrap().made.len(), 20, "each was called four times");
}

#[tokio::test]
async fn a_trunk_that_is_down_or_refuses_us_is_waited_for_as_long_as_the_route_says() {
    for state in [RouteState::Connecting, RouteState::Refused("401 Unauthorized".into())] {
        let mut w = World::with(5, json!({"error_after": "PT2M"})).await;
        w.trunk.exchange.lock().unwrap().state = Some(state);
        let id = w.schedule("Down", json!({})).await;
        w.run(115).await;
        assert_eq!(w.status(id).await, Status::Running);
        w.run(10).await;
        assert_eq!((w.status(id).await, w.totals(id).await), (Status::Errored, totals([("not_called", 5)])));
        assert_eq!(error(&w, id).await.calls_affected, 0);
    }
}

/// Puts a row in the place of one that is to be stored.
fn occupy(w: &World, sql: &str, id: CampaignId) -> rusqlite::Connection {
    let raw = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    assert_eq!(raw.execute(sql, [id.0]).unwrap(), 1);
    raw
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_ends_its_campaign_of_calls_in_error_and_no_other() {
    let mut w = World::with(10, json!({})).await;
    let broken = w.schedule("Broken", json!({"max_calls": 4})).await;
    w.run(1).await;
    let raw = occupy(&w, RESULT, broken);
    w.all_came_to(Called::Human);
    w.run(1).await;
    assert_eq!(w.status(broken).await, Status::Errored);
    let told = error(&w, broken).await;
    assert!(told.cause.contains("could not be stored") && told.detail.contains("delivery"), "{told:?}");
    assert_eq!(w.up(), 0, "nobody is called any more");
    let sound = w.schedule("Sound", json!({})).await;
    w.run(1).await;
    w.all_came_to(Called::Human);
    w.run(1).await;
    assert_eq!(
        (w.totals(sound).await, w.status(sound).await),
        (totals([("answered_human", 10)]), Status::Completed)
    );
    // What the calls came to is kept, and stored as soon as it can be.
    raw.execute("DELETE FROM delivery WHERE campaign_id = ?1 AND seq = 3", [broken.0]).unwrap();
    w.run(120).await;
    assert_eq!(w.totals(broken).await, totals([("answered_human", 4), ("not_called", 6)]));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_broke_a_campaign_is_told_though_a_result_of_the_same_turn_cannot_be_stored() {
    let mut w = World::with(40, json!({})).await;
    let id = w.schedule("Broken", json!({"max_calls": 25})).await;
    w.run(1).await;
    occupy(&w, RESULT, id);
    w.end(|up| if up.seq == 3 { came(Called::Human) } else { trunk_failed() });
    w.run(1).await;
    assert_eq!(w.status(id).await, Status::Errored);
    let told = error(&w, id).await;
    assert!(told.calls_affected >= 20 && told.sip_code == Some(503), "{told:?}");
}

#[tokio::test]
async fn a_route_that_is_changed_while_a_talk_is_up_is_no_dead_trunk() {
    let mut w = World::with(30, json!({"max_calls": 1, "error_after": "PT1M"})).await;
    let id = w.schedule("Changed", json!({})).await;
    w.run(1).await;
    let mut route = w.data.store.routes().await.unwrap().remove(0);
    route.config.name = "Renamed".into();
    w.data.store.edit_route(route.id, route.config, by(w.now)).await.unwrap();
    w.engine.handle().routes_changed();
    w.run(600).await;
    assert_eq!((w.status(id).await, w.up()), (Status::Running, 1));
}
