//! What must hold when things go wrong: crashes, copies, late and doubled receipts, requests with keys.

use super::*;

#[tokio::test]
async fn what_an_orphaned_claim_leaves_is_in_doubt_and_a_receipt_that_fits_it_alone_settles_it() {
    let w = World::with(6).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 2).await;
    w.cycle(Cycle { settled: vec![settle(&claims[0], 0, sent("a"))], ..Cycle::default() }).await;
    let World { data: Data { store, folder, list, route }, now } = w;
    drop(store);
    let w = World { data: Data { store: Store::open(folder.path()).unwrap(), folder, list, route }, now };
    assert_eq!(w.data.store.recover("another worker".into(), w.now).await.unwrap(), 3);
    assert_eq!(w.totals(id).await, fixture::totals([("pending", 2), ("sent", 1), ("in_doubt", 3)]));
    w.data.assert_sound().await;
    let doubtful = claims[0].recipients[1].number;
    w.cycle(Cycle { receipts: vec![receipt(&w, "?", doubtful, true)], ..Cycle::default() }).await;
    assert_eq!(
        w.totals(id).await,
        fixture::totals([("pending", 2), ("sent", 1), ("delivered", 1), ("in_doubt", 2)])
    );
    w.data.assert_sound().await;
}

#[tokio::test]
async fn receipts_are_matched_early_late_twice_and_by_part() {
    let w = World::with(2).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    let (one, two) = (&claims[0], &claims[1]);
    let receipt = |id, number, delivered| receipt(&w, id, number, delivered);
    // The receipt of the first comes before its result.
    w.cycle(Cycle { receipts: vec![receipt("a", one.recipients[0].number, true)], ..Cycle::default() }).await;
    let long = Fate::Final {
        outcome: Outcome::Sent,
        reason: None,
        code: None,
        detail: None,
        provider_ids: vec!["b1".into(), "b2".into()],
        parts: 2,
    };
    w.cycle(Cycle { settled: vec![settle(one, 0, sent("a")), settle(two, 0, long)], ..Cycle::default() })
        .await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 1), ("delivered", 1)]));
    let number = two.recipients[0].number;
    // One part, twice: the text is not delivered yet. The other part's id, in another spelling: now it is.
    let twice = vec![receipt("b1", number, true), receipt("b1", number, true)];
    w.cycle(Cycle { receipts: twice, ..Cycle::default() }).await;
    assert_eq!(fixture::count(w.totals(id).await, "delivered"), 1);
    w.cycle(Cycle { receipts: vec![receipt("178", number, true)], ..Cycle::default() }).await;
    assert_eq!(w.totals(id).await, fixture::totals([("delivered", 2)]));
    // The first final receipt wins.
    w.cycle(Cycle { receipts: vec![receipt("a", one.recipients[0].number, false)], ..Cycle::default() })
        .await;
    assert_eq!(w.totals(id).await, fixture::totals([("delivered", 2)]));
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_corrupted_tally_is_named_by_check() {
    let w = World::with(5).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    w.cycle(all_sent(&claims)).await;
    w.data.assert_sound().await;
    let raw = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    raw.execute("UPDATE tally SET count = count + 1", []).unwrap();
    let off: Vec<_> = w.data.store.check().await.unwrap().into_iter().filter(|f| !f.off.is_empty()).collect();
    assert_eq!(off.len(), 1);
    assert_eq!(off[0].invariant, "totals equal a count over the deliveries");
    assert_eq!(off[0].off, ["campaign 1, message 1, outcome 1: tally says 6, rows say 5"]);
}

#[tokio::test]
async fn a_backup_and_a_moved_folder_must_be_adopted_before_they_dispatch() {
    let w = World::with(3).await;
    assert!(w.data.store.is_at_home().await.unwrap());
    let copy = tempfile::tempdir().unwrap();
    w.data.store.backup(&copy.path().join("carillon.db")).await.unwrap();
    let restored = Store::open(copy.path()).unwrap();
    assert!(!restored.is_at_home().await.unwrap());
    assert_eq!(restored.adopt(Unsent::Keep, by(w.now)).await.unwrap(), 0);
    assert!(restored.is_at_home().await.unwrap());
    assert!(w.data.store.backup(&copy.path().join("carillon.db")).await.is_err());
}

#[tokio::test]
async fn keys_of_receipts_go_after_a_week_and_no_sooner() {
    let mut w = World::with(20).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    w.cycle(all_sent(&w.claim(id, 5).await)).await;
    w.now += SignedDuration::from_hours(24);
    w.cycle(all_sent(&w.claim(id, 100).await)).await;
    let sent = fixture::count(w.totals(id).await, "sent");
    let eight_days_on = w.now + SignedDuration::from_hours(6 * 24 + 12);
    assert_eq!(w.data.store.prune(w.now).await.unwrap(), 0);
    let first = w.data.store.prune(eight_days_on).await.unwrap();
    assert!(first > 0 && (first as i64) < sent, "{first} of {sent}");
    let rest = w.data.store.prune(eight_days_on + SignedDuration::from_hours(24)).await.unwrap();
    assert_eq!((first + rest) as i64, sent);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_was_unsent_in_a_copy_can_be_taken_as_in_doubt() {
    let w = World::with(20).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"P1D"}]"#).await;
    let claims = w.claim(id, 4).await;
    let mut some = all_sent(&claims);
    some.settled.truncate(5);
    some.settled[4].fate = Fate::Again { due_at: w.now, detail: "throttled".into(), otherwise: None };
    w.cycle(some).await;
    let copy = tempfile::tempdir().unwrap();
    w.data.store.backup(&copy.path().join("carillon.db")).await.unwrap();
    let restored = Store::open(copy.path()).unwrap();
    assert_eq!(restored.adopt(Unsent::InDoubt, by(w.now)).await.unwrap(), 36);
    let c = restored.campaign(id).await.unwrap();
    assert_eq!((c.sum(), c.status), (fixture::totals([("sent", 4), ("in_doubt", 36)]), Status::Completed));
    fixture::assert_sound(&restored).await;
    // The original knows nothing of it.
    assert_eq!(w.status(id).await, Status::Running);
}

#[tokio::test]
async fn a_keyed_request_that_was_begun_and_never_answered_is_not_begun_again() {
    let w = World::with(1).await;
    let begin = async |request| w.data.store.begin_keyed("key".into(), [request; 32], w.now).await.unwrap();
    let held = begin(1).await;
    assert!(matches!(begin(1).await, Stored::InUse));
    // The program ends here.
    drop(held);
    assert!(matches!(begin(1).await, Stored::Unknown));
    assert!(matches!(begin(2).await, Stored::OtherRequest));
}

#[tokio::test]
async fn a_delivery_in_doubt_is_settled_by_hand_once_and_nothing_else_is() {
    let w = World::with(3).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    w.cycle(Cycle { settled: vec![settle(&claims[0], 0, sent("a"))], ..Cycle::default() }).await;
    w.data.store.recover("next".into(), w.now).await.unwrap();
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 1), ("in_doubt", 2)]));
    let doubt = DeliveryFilter { outcome: Place::from_word("in_doubt"), ..DeliveryFilter::default() };
    let (rows, _) = w.data.store.deliveries(id, doubt, 10).await.unwrap();
    let by_hand =
        async |row: &DeliveryRow, outcome| w.data.store.settle_doubt(id, row.id, outcome, by(w.now)).await;
    let row = by_hand(&rows[0], Outcome::Sent).await.unwrap();
    assert_eq!(
        (row.outcome, row.detail.as_deref()),
        (Place::Settled(Outcome::Sent), Some("settled by test"))
    );
    by_hand(&rows[1], Outcome::Failed).await.unwrap();
    let again = by_hand(&rows[1], Outcome::Sent).await.unwrap_err();
    assert_eq!(again.to_string(), "it is failed: only what is in doubt is settled by hand");
    assert!(by_hand(&rows[0], Outcome::Delivered).await.is_err());
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 2), ("failed", 1)]));
    w.data.assert_sound().await;
}
