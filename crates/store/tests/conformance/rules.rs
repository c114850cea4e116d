//! The people whom rules keep from getting messages, and what a forecast says about them.

use super::*;

#[tokio::test]
async fn suppressed_numbers_get_nothing_and_are_counted_as_skipped() {
    let w = World::with(6).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    w.data.store.suppress(number(1), Barred::Sms, SkipReason::OptedOut.word(), by(w.now)).await.unwrap();
    w.data.store.suppress(number(2), Barred::All, SkipReason::Blocked.word(), by(w.now)).await.unwrap();
    w.data.store.suppress(number(3), Barred::Voice, SkipReason::OptedOut.word(), by(w.now)).await.unwrap();
    let claims = w.claim(id, 100).await;
    let numbers: Vec<_> = claims.iter().flat_map(|c| &c.recipients).map(|r| r.number).collect();
    assert_eq!(numbers.len(), 4);
    assert!(!numbers.contains(&number(1)) && !numbers.contains(&number(2)));
    assert_eq!(fixture::count(w.totals(id).await, "skipped"), 2);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_would_cost_more_than_its_budget_is_not_scheduled() {
    let w = World::with(10).await;
    let now = r#"[{"now":true}]"#;
    let budget = async |name: &str, most: &str| {
        let d = w.data.definition(TEXT, now, json!({"name": name, "max_cost": most}));
        let c = w.data.store.create_campaign(d, by(w.now)).await.unwrap();
        (c.id, w.data.store.schedule(c.id, by(w.now)).await)
    };
    let (_, unknown) = budget("No price", "1").await;
    assert!(unknown.unwrap_err().to_string().contains("no price per segment"));
    let mut route = w.data.store.routes().await.unwrap().remove(0);
    fixture::smpp_mut(&mut route.config).price_per_segment = Some("0.0125".parse().unwrap());
    w.data.store.edit_route(route.id, route.config, by(w.now)).await.unwrap();
    let (id, over) = budget("Over", "0.12").await;
    assert!(over.unwrap_err().to_string().contains("it would cost 0.125, and its budget is 0.12"));
    assert_eq!(w.status(id).await, Status::Defined);
    let (_, within) = budget("Within", "0.125").await;
    assert_eq!(within.unwrap().status, Status::Scheduled);
}

/// Limits everybody to `messages` a day.
async fn limited(w: &World, messages: u32) {
    let settings = json!({"answers": {"en": {"opt_out": "", "help": ""}}, "limit": {"messages": messages, "per": "P1D"}});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
}

#[tokio::test]
async fn what_is_over_the_limit_of_a_person_is_skipped_over_all_campaigns_until_the_period_is_over() {
    let mut w = World::with(6).await;
    limited(&w, 2).await;
    let schedule = async |w: &World, name: &str| {
        w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": name}), w.now).await
    };
    for name in ["First", "Second"] {
        let id = schedule(&w, name).await;
        let claims = w.claim(id, 100).await;
        w.cycle(all_sent(&claims)).await;
        assert_eq!(w.totals(id).await, fixture::totals([("sent", 6)]));
    }
    let third = schedule(&w, "Third").await;
    assert!(w.claim(third, 100).await.is_empty());
    assert_eq!(w.totals(third).await, fixture::totals([("skipped", 6)]));
    let why = w.data.store.skips(third).await.unwrap();
    assert_eq!(why, [(SkipReason::Limit.word().to_owned(), 6)]);
    w.now += SignedDuration::from_hours(24);
    w.data.store.prune(w.now).await.unwrap();
    let fourth = schedule(&w, "Fourth").await;
    let claims = w.claim(fourth, 100).await;
    assert_eq!(claims.iter().map(|c| c.recipients.len()).sum::<usize>(), 6);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_did_not_leave_does_not_count_towards_the_limit() {
    let w = World::with(6).await;
    limited(&w, 1).await;
    let first = w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": "First"}), w.now).await;
    let mut cycle = Cycle::default();
    for claim in w.claim(first, 100).await {
        // One refused, one sent, the rest not written.
        let refused = Fate::Final {
            outcome: Outcome::Failed,
            reason: None,
            code: Some(11),
            detail: None,
            provider_ids: Vec::new(),
            parts: 0,
        };
        cycle.settled.push(settle(&claim, 0, refused));
        cycle.settled.push(settle(&claim, 1, sent(&format!("x{}", claim.id))));
        cycle.unwritten.push(unwritten(&claim, claim.recipients[2].seq));
    }
    w.cycle(cycle).await;
    w.data.store.stop(first, by(w.now)).await.unwrap();
    let sent_so_far = fixture::count(w.totals(first).await, "sent");
    let second = w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": "Second"}), w.now).await;
    let claims = w.claim(second, 100).await;
    assert_eq!(fixture::count(w.totals(second).await, "skipped"), sent_so_far);
    assert_eq!(claims.iter().map(|c| c.recipients.len() as i64).sum::<i64>(), 6 - sent_so_far);
    w.cycle(all_sent(&claims)).await;
    // After a restart, the first campaign has nobody left whom it may write to.
    w.data.store.restart(first, std::collections::BTreeMap::new(), false, by(w.now)).await.unwrap();
    assert!(w.claim(first, 100).await.is_empty());
    assert_eq!(fixture::count(w.totals(first).await, "skipped"), 6 - 2 * sent_so_far);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn an_opt_out_for_one_purpose_leaves_the_others_and_whoever_says_none_reaches_nobody_who_opted_out() {
    let w = World::with(2).await;
    let settings =
        json!({"answers": {"en": {"opt_out": "Bye.", "help": ""}}, "opt_out_holds_for": "purpose"});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
    let schedule = async |name: &str, purpose: Option<&str>| {
        let more = json!({"name": name, "purpose": purpose});
        w.data.schedule(TEXT, r#"[{"now":true}]"#, more, w.now).await
    };
    let asked = schedule("Asked", Some("marketing")).await;
    let claims = w.claim(asked, 100).await;
    w.cycle(all_sent(&claims)).await;
    assert_eq!(w.answers(vec![reply(&w, "stop")]).await.len(), 1);
    let opt_outs = w.data.store.opt_outs();
    let held = ["marketing", "care", ""].map(|purpose| opt_outs.contains(number(1), Channel::Sms, purpose));
    assert_eq!(held, [true, false, true]);
    for (name, purpose, skipped) in
        [("Sale", Some("marketing"), 1), ("Visit", Some("care"), 0), ("Unsaid", None, 1)]
    {
        let id = schedule(name, purpose).await;
        w.claim(id, 100).await;
        assert_eq!(fixture::count(w.totals(id).await, "skipped"), skipped, "{name}");
    }
    // START lifts it again.
    w.answers(vec![reply(&w, "start")]).await;
    assert!(!opt_outs.contains(number(1), Channel::Sms, "marketing"));
    let refused = w.data.definition(TEXT, r#"[{"now":true}]"#, json!({"name": "Odd", "purpose": "fun"}));
    let refused = w.data.store.create_campaign(refused, by(w.now)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(p)) if p[0].field == "purpose"));
}

#[tokio::test]
async fn whoever_has_no_zone_lives_in_the_campaigns_and_else_in_the_accounts() {
    let w = World {
        data: Data::with(fixture::people(2, &[]), json!({}), fixture::tuesday()).await,
        now: fixture::tuesday(),
    };
    let settings = json!({"answers": {"en": {"opt_out": "", "help": ""}}, "time_zone": "Asia/Tokyo"});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
    let sends = r#"[{"local":"2026-11-25T10:00"}]"#;
    for (name, zone, due) in
        [("Tokyo", None, "2026-11-25T01:00:00Z"), ("Paris", Some("Europe/Paris"), "2026-11-25T09:00:00Z")]
    {
        let id = w.data.schedule(TEXT, sends, json!({"name": name, "time_zone": zone}), w.now).await;
        let starts = w.data.store.campaign(id).await.unwrap().starts_at;
        assert_eq!(starts, Some(due.parse().unwrap()), "{name}");
    }
}

#[tokio::test]
async fn where_consent_is_required_whoever_gave_none_is_skipped() {
    let w = World::with(4).await;
    let settings = json!({"answers": {"en": {"opt_out": "", "help": ""}}, "require_consent": true});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
    let consent = Some(Consent { source: "sign-up form".into(), at: w.now, by: "ana".into() });
    let more = NewContact { consent: consent.clone(), ..fixture::people(1, &[]).remove(0) };
    w.data.import(vec![more]).await;
    w.data.store.set_consent(number(1), consent.clone(), by(w.now)).await.unwrap();
    w.data.store.set_consent(number(2), consent.clone(), by(w.now)).await.unwrap();
    w.data.store.set_consent(number(2), None, by(w.now)).await.unwrap();
    assert_eq!(w.data.store.contact(number(0)).await.unwrap().consent, consent);
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    let mut claimed: Vec<_> = claims.iter().flat_map(|c| c.recipients.iter().map(|r| r.number)).collect();
    claimed.sort();
    assert_eq!(claimed, [number(0), number(1)]);
    let why = w.data.store.skips(id).await.unwrap();
    assert_eq!(why, [(SkipReason::NoConsent.word().to_owned(), 2)]);
}

#[tokio::test]
async fn a_file_onto_a_do_not_contact_list_holds_back_even_what_is_claimed() {
    let w = World::with(10).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let opt_outs = w.data.store.opt_outs();
    let bar = async |from: i64, to: i64| {
        let import =
            w.data.store.queue_import(ImportTarget::DoNotContact(Barred::Sms), 1, by(w.now)).await.unwrap();
        w.data.store.start_import(import, ImportPlan::default(), by(w.now)).await.unwrap();
        let contacts = fixture::people(10, &[]).drain(from as usize..to as usize).collect();
        let (theirs, now) = (w.data.store.clone(), w.now);
        let chunk = ImportChunk { contacts, ..ImportChunk::default() };
        tokio::task::spawn_blocking(move || theirs.import_chunk(import, chunk, now)).await.unwrap().unwrap();
    };
    bar(0, 2).await;
    // Later claims see it by themselves.
    assert!(!opt_outs.contains(number(0), Channel::Sms, ""));
    let claims = w.claim(id, 2).await;
    let claimed: Vec<_> = claims.iter().flat_map(|c| c.recipients.iter().map(|r| r.number)).collect();
    assert!(!claimed.is_empty() && !claimed.contains(&number(0)) && !claimed.contains(&number(1)));
    bar(2, 10).await;
    // A message that was claimed before is held back at the last moment; the others need no memory.
    for i in 2..10 {
        assert_eq!(opt_outs.contains(number(i), Channel::Sms, ""), claimed.contains(&number(i)), "{i}");
    }
}

#[tokio::test]
async fn a_forecast_says_whom_sending_windows_keep_waiting_and_until_when() {
    // 7,200 people at two a second; ten in New York is nine in Chicago, and each city has one hour a day.
    let data = Data::with(
        fixture::people(7_200, &["America/New_York", "America/Chicago"]),
        json!({"rate_per_second": 2}),
        fixture::tuesday(),
    )
    .await;
    let w = World { data, now: fixture::tuesday() };
    let window = json!({"days": ["mon", "tue", "wed", "thu", "fri"], "from": "10:00", "to": "11:00"});
    let d = w.data.definition("Hello", r#"[{"now":true}]"#, json!({"name": "Slow", "window": window}));
    let id = w.data.store.create_campaign(d, by(w.now)).await.unwrap().id;
    let forecast = w.data.store.forecast(id, None, w.now).await.unwrap();
    // New York's half is sent in half an hour; Chicago's half waits for its hour.
    let chicago = "2026-11-24T16:00:00Z".parse().unwrap();
    assert_eq!(forecast.delayed, [WindowDelay { n: 1, recipients: 3_600, until: chicago }]);
    assert_eq!(forecast.last_send, Some("2026-11-24T16:30:00Z".parse().unwrap()));
    // Begun three quarters of an hour late, half of New York waits for tomorrow; Chicago is sent to today.
    let late = w.now + SignedDuration::from_mins(45);
    let forecast = w.data.store.forecast(id, None, late).await.unwrap();
    let tomorrow = "2026-11-25T15:00:00Z".parse().unwrap();
    assert_eq!(forecast.delayed, [WindowDelay { n: 1, recipients: 1_800, until: tomorrow }]);
    assert_eq!(forecast.last_send, Some("2026-11-25T15:15:00Z".parse().unwrap()));
}
