//! People who are deleted on request, audiences made of many lists, names, and copies of campaigns.

use super::*;

#[tokio::test]
async fn whoever_is_deleted_on_request_gets_nothing_more_of_what_was_scheduled_before() {
    let w = World::with(6).await;
    let store = &w.data.store;
    let two = r#"[{"now":true},{"after":"PT1H"}]"#;
    let (before, between) =
        (w.scheduled(two).await, w.data.schedule(TEXT, two, json!({"name": "Half"}), w.now).await);
    // One campaign has not begun; the first message of the other was sent, and he answered it.
    let claims = w.claim(between, 100).await;
    w.cycle(all_sent(&claims)).await;
    w.answers(vec![reply(&w, "Please ring me, I am Ben of 5 Main Street")]).await;
    assert!(store.delete_contact(number(1), by(w.now)).await.unwrap());
    let contact = store.contact(number(1)).await.unwrap();
    assert!(!contact.known && contact.last.is_empty() && contact.consent.is_none());
    assert_eq!(contact.replies.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), [""]);
    // A person who returns is written to by new campaigns, and by none from before.
    w.data.import(fixture::people(6, &["America/New_York"])).await;
    let numbers =
        |claims: &[Claimed]| claims.iter().flat_map(|c| &c.recipients).map(|r| r.number).collect::<Vec<_>>();
    let first = w.claim(before, 100).await;
    assert!(!numbers(&first).contains(&number(1)) && numbers(&first).len() == 5);
    assert_eq!(fixture::count(w.totals(before).await, "skipped"), 1);
    w.cycle(all_sent(&first)).await;
    let later = World { now: w.now + SignedDuration::from_hours(2), data: w.data };
    let second = later.claim(between, 100).await;
    assert!(!numbers(&second).contains(&number(1)) && numbers(&second).len() == 5, "{:?}", numbers(&second));
    assert_eq!(later.data.store.skips(between).await.unwrap(), [("deleted".to_owned(), 1)]);
    later.cycle(all_sent(&second)).await;
    let third = later.claim(before, 100).await;
    assert_eq!(numbers(&third).len(), 5);
    later.cycle(all_sent(&third)).await;
    assert_eq!(later.data.store.skips(before).await.unwrap(), [("deleted".to_owned(), 2)]);
    let new = later.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": "New"}), later.now).await;
    assert!(numbers(&later.claim(new, 100).await).contains(&number(1)));
    assert!(!later.data.store.delete_contact(number(99), by(later.now)).await.unwrap());
    later.data.assert_sound().await;
}

#[tokio::test]
async fn refused_rows_of_whoever_is_deleted_are_blanked_however_their_number_is_spelt() {
    let w = World::with(3).await;
    let store = &w.data.store;
    let import = store.begin_import(w.data.list, by(w.now)).await.unwrap();
    let row = |row: i64, value: &str, original: &[&str]| store::RowError {
        row,
        field: "phone".into(),
        value: value.into(),
        message: "no".into(),
        original: original.iter().map(ToString::to_string).collect(),
    };
    let errors = vec![
        row(2, "(202) 555-0001 ext. 5", &["(202) 555-0001 ext. 5", "Ben"]),
        row(3, "x", &["Ben", "+1 202-555-0001"]),
        row(4, "(202) 555-0002 ext. 5", &["(202) 555-0002 ext. 5", "Cem"]),
    ];
    let (theirs, now) = (store.clone(), w.now);
    tokio::task::spawn_blocking(move || {
        theirs.import_chunk(import, ImportChunk { errors, ..ImportChunk::default() }, now)
    })
    .await
    .unwrap()
    .unwrap();
    store.delete_contact(number(1), by(w.now)).await.unwrap();
    let left: Vec<(i64, String, Vec<String>)> = store
        .import_errors(import, 0, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|e| (e.row, e.value, e.original))
        .collect();
    assert_eq!((left[1].1.as_str(), left[1].2.len()), ("", 0));
    assert_eq!(left[2].2, ["(202) 555-0002 ext. 5", "Cem"]);
}

#[tokio::test]
async fn an_audience_may_be_made_of_any_number_of_lists() {
    let w = World::with(5).await;
    let mut lists = vec![w.data.list];
    for i in 0..650 {
        lists.push(w.data.store.create_list(format!("List {i}"), by(w.now)).await.unwrap());
    }
    for (list, from) in [(lists[1], 3), (lists[600], 6)] {
        let import = w.data.store.begin_import(list, by(w.now)).await.unwrap();
        let contacts = fixture::people(9, &["Asia/Tokyo"]).split_off(from);
        let (theirs, now) = (w.data.store.clone(), w.now);
        let chunk = ImportChunk { contacts, ..ImportChunk::default() };
        tokio::task::spawn_blocking(move || theirs.import_chunk(import, chunk, now)).await.unwrap().unwrap();
    }
    for (name, some) in [("Few", &lists[..2]), ("Many", &lists[..])] {
        let d = w.data.definition(TEXT, r#"[{"now":true}]"#, json!({"name": name, "list_ids": some}));
        let c = w.data.store.create_campaign(d, by(w.now)).await.unwrap();
        assert_eq!(w.data.store.forecast(c.id, None, w.now).await.unwrap().audience, 9, "{name}");
        assert_eq!(w.data.store.schedule(c.id, by(w.now)).await.unwrap().audience, 9, "{name}");
    }
}

#[tokio::test]
async fn names_are_tidied_and_unique_whatever_their_case() {
    let w = World::with(1).await;
    let named = async |name: &str| {
        let d = w.data.definition(TEXT, r#"[{"now":true}]"#, json!({"name": name}));
        w.data.store.create_campaign(d, by(w.now)).await
    };
    let first = named("  Été   Sale ").await.unwrap();
    assert_eq!(first.definition.name, "Été Sale");
    assert!(matches!(named("été sale").await, Err(StoreError::NameTaken(_))));
    assert!(matches!(named("\u{200B}").await, Err(StoreError::Invalid(_))));
    assert!(matches!(named("a\0b").await, Err(StoreError::Invalid(_))));
    // Its own name in another case does not belong to another campaign.
    let d = w.data.definition(TEXT, r#"[{"now":true}]"#, json!({"name": "été sale"}));
    let edited = w.data.store.edit_campaign(first.id, first.version, d, by(w.now)).await.unwrap();
    assert_eq!(edited.definition.name, "été sale");
    w.data.store.create_list("Patients".into(), by(w.now)).await.unwrap();
    assert!(w.data.store.create_list(" patients ".into(), by(w.now)).await.is_err());
    let copy = w.data.store.clone_campaign(first.id, None, by(w.now)).await.unwrap();
    let again = w.data.store.clone_campaign(first.id, None, by(w.now)).await.unwrap();
    assert_eq!(
        (copy.definition.name.as_str(), again.definition.name.as_str()),
        ("Copy of été sale", "Copy of été sale (2)")
    );
}

#[tokio::test]
async fn a_copy_begins_with_what_was_written_and_not_with_what_was_frozen() {
    let w = World::with(2).await;
    let settings = |dates: serde_json::Value, zone: &str| {
        serde_json::from_value(json!({"answers": {"en": {"opt_out": "", "help": ""}}, "blackout_dates": dates, "time_zone": zone})).unwrap()
    };
    let store = &w.data.store;
    store.change_settings(settings(json!(["2026-12-25"]), "Europe/Berlin"), by(w.now)).await.unwrap();
    let d = w.data.definition(
        TEXT,
        r#"[{"at":"2026-12-24T10:00:00Z"}]"#,
        json!({"name": "Once", "window": {"from": "08:00", "to": "20:00"}}),
    );
    let made = store.create_campaign(d.clone(), by(w.now)).await.unwrap();
    let scheduled = store.schedule(made.id, by(w.now)).await.unwrap();
    assert_eq!(scheduled.definition.time_zone.as_deref(), Some("Europe/Berlin"));
    let adjusted: Send = serde_json::from_str(r#"{"at":"2026-12-26T10:00:00Z"}"#).unwrap();
    store.adjust(made.id, 1, adjusted.clone(), by(w.now)).await.unwrap();
    let copy = store.clone_campaign(made.id, None, by(w.now)).await.unwrap().definition;
    assert_eq!((copy.time_zone, copy.window), (None, d.window));
    assert_eq!(*copy.content.send(1).unwrap(), adjusted);
}

#[tokio::test]
async fn a_forecast_counts_those_who_get_something_and_no_one_else() {
    let w = World::with(9).await;
    let store = &w.data.store;
    let mut route = store.routes().await.unwrap().remove(0);
    fixture::smpp_mut(&mut route.config).price_per_segment = Some("0.01".parse().unwrap());
    store.edit_route(route.id, route.config, by(w.now)).await.unwrap();
    store.suppress(number(1), Barred::Sms, SkipReason::OptedOut.word(), by(w.now)).await.unwrap();
    store.suppress(number(2), Barred::All, SkipReason::Blocked.word(), by(w.now)).await.unwrap();
    // Every third contact has a first name; numbers 1 and 2 have none.
    let d = w.data.definition("Hi {{ first_name }}", r#"[{"now":true}]"#, json!({"name": "Names"}));
    let c = store.create_campaign(d, by(w.now)).await.unwrap();
    let f = store.forecast(c.id, None, w.now).await.unwrap();
    let excluded: Vec<(&str, i64)> = f.excluded.iter().map(|(reason, n)| (reason.as_str(), *n)).collect();
    assert_eq!(excluded, [("blocked", 1), ("missing_field", 4), ("opted_out", 1)]);
    assert_eq!((f.audience, f.recipients, f.segments), (9, 3, vec![3]));
    assert_eq!(f.cost.unwrap().to_string(), "0.03");
    assert!(!f.over_budget);
    // A message that everybody can get reaches those who lack a field of another message.
    let two = r#"[{"now":true},{"after":"P1D"}]"#;
    let mut d = w.data.definition("Hi {{ first_name }}", two, json!({"name": "Two", "max_cost": "0.05"}));
    fixture::sms(&mut d).messages[1].text = "See you [first name].".into();
    let c = store.create_campaign(d, by(w.now)).await.unwrap();
    let f = store.forecast(c.id, None, w.now).await.unwrap();
    assert_eq!((f.recipients, f.segments, f.over_budget), (7, vec![3, 7], true));
    assert_eq!(f.warnings[0].field, "messages[1].text");
}

#[tokio::test]
async fn what_is_to_come_is_told_as_it_will_be_sent() {
    let w = World::with(2).await;
    let store = &w.data.store;
    // Closed in both zones until 15:00 UTC on the 25th; the second message goes two hours after the first.
    let now: Timestamp = "2026-11-25T03:00:00Z".parse().unwrap();
    let more = json!({"name": "Night", "window": {"from": "09:00", "to": "21:00"}});
    let id = w.data.schedule(TEXT, r#"[{"now":true},{"after":"PT2H"}]"#, more, now).await;
    let outlook = store.outlook(id, None, now).await.unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(outlook.next, Some(at("2026-11-25T14:00:00Z")));
    assert!(
        outlook.last.unwrap() >= at("2026-11-25T17:00:00Z")
            && outlook.last.unwrap() < at("2026-11-25T17:00:01Z")
    );
    // The first message was sent later than it was due: the second follows it.
    let later = World { now: at("2026-11-25T16:00:00Z"), data: w.data };
    let claims = later.claim(id, 100).await;
    later.cycle(all_sent(&claims)).await;
    let outlook = later.data.store.outlook(id, None, later.now + SignedDuration::from_mins(1)).await.unwrap();
    assert!(outlook.next.unwrap() >= at("2026-11-25T18:00:00Z"), "{outlook:?}");
    assert!(outlook.next.unwrap() <= at("2026-11-25T18:02:00Z"), "{outlook:?}");
}

#[tokio::test]
async fn what_failed_is_counted_by_its_reason() {
    let w = World::with(5).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    let mut cycle = Cycle::default();
    for claim in &claims {
        for (at, r) in claim.recipients.iter().enumerate() {
            let fate = if r.seq < 3 { failed() } else { sent(&r.seq.to_string()) };
            cycle.settled.push(settle(claim, at, fate));
        }
    }
    w.cycle(cycle).await;
    let failures = w.data.store.failures(id).await.unwrap();
    let told: Vec<(Outcome, Option<u32>, i64)> =
        failures.into_iter().map(|f| (f.outcome, f.code, f.count)).collect();
    assert_eq!(told, [(Outcome::Failed, Some(0x0B), 3)]);
}
