//! A campaign from Defined to its end: claims, stops, restarts, the order of messages.

use super::*;

#[tokio::test]
async fn a_campaign_runs_from_defined_to_completed_and_every_total_adds_up() {
    let w = World::with(10).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    assert_eq!(w.totals(id).await, fixture::totals([("pending", 10)]));
    let claims = w.claim(id, 100).await;
    assert_eq!(claims.iter().map(|c| c.recipients.len()).sum::<usize>(), 10);
    assert_eq!(w.totals(id).await, fixture::totals([("sending", 10)]));
    assert_eq!(w.status(id).await, Status::Running);
    w.data.assert_sound().await;
    w.cycle(all_sent(&claims)).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 10)]));
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
    let words: Vec<_> = w.data.store.timeline(id).await.unwrap().into_iter().map(|t| t.cause).collect();
    assert_eq!(words, ["created", "schedule", "first delivery due", "last delivery settled"]);
}

#[tokio::test]
async fn the_fields_that_the_texts_need_are_frozen() {
    let w = World::with(4).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let names: Vec<_> =
        w.claim(id, 100).await.iter().flat_map(|c| &c.recipients).map(|r| (r.number, r.values())).collect();
    assert!(names.contains(&(number(0), vec![Some("Ana".into())])));
    assert!(names.contains(&(number(1), vec![])));
}

#[tokio::test]
async fn nobody_is_claimed_twice_whatever_the_size_of_the_claims() {
    let w = World::with(101).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let claims = w.claim(id, 7).await;
        if claims.is_empty() {
            break;
        }
        for r in claims.iter().flat_map(|c| &c.recipients) {
            assert!(seen.insert(r.seq), "{} twice", r.seq);
        }
    }
    assert_eq!(seen.len(), 101);
}

#[tokio::test]
async fn a_stop_cancels_the_unsent_and_a_restart_sends_exactly_those() {
    let w = World::with(20).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 4).await;
    w.data.store.stop(id, by(w.now)).await.unwrap();
    assert!(w.claim(id, 100).await.is_empty());
    assert!(w.data.store.is_draining(id).await.unwrap());
    // Two of each claim were written; the tail goes back, closed.
    let mut cycle = Cycle::default();
    let mut done = Vec::new();
    for claim in &claims {
        for at in 0..2 {
            cycle.settled.push(settle(claim, at, sent(&format!("{}-{at}", claim.id))));
            done.push(claim.recipients[at].seq);
        }
        cycle.unwritten.push(unwritten(claim, claim.recipients[2].seq));
    }
    w.cycle(cycle).await;
    assert!(!w.data.store.is_draining(id).await.unwrap());
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 4), ("cancelled", 16)]));
    w.data.assert_sound().await;
    let c = w.data.store.restart(id, std::collections::BTreeMap::new(), false, by(w.now)).await.unwrap();
    assert_eq!(c.status, Status::Running);
    let again = w.claim(id, 100).await;
    assert_eq!(again.iter().map(|c| c.recipients.len()).sum::<usize>(), 16);
    assert!(again.iter().flat_map(|c| &c.recipients).all(|r| !done.contains(&r.seq)));
    w.cycle(all_sent(&again)).await;
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

/// Claims all of `n` recipients, throttles them for half a minute, and stops.
async fn throttled_and_stopped(w: &World, id: CampaignId) {
    let mut cycle = Cycle::default();
    let due_at = w.now + SignedDuration::from_secs(30);
    for claim in w.claim(id, 100).await {
        for at in 0..claim.recipients.len() {
            let fate = Fate::Again { due_at, detail: "throttled".into(), otherwise: None };
            cycle.settled.push(settle(&claim, at, fate));
        }
    }
    w.cycle(cycle).await;
    w.data.store.stop(id, by(w.now)).await.unwrap();
}

fn changed(n: u32, send: &str) -> std::collections::BTreeMap<u32, Send> {
    [(n, serde_json::from_str(send).unwrap())].into()
}

fn people(claims: &[Claimed]) -> usize {
    claims.iter().map(|claim| claim.recipients.len()).sum()
}

#[tokio::test]
async fn a_restart_with_a_new_time_keeps_retries_until_then_and_its_plan_counts_them() {
    let mut w = World::with(10).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    throttled_and_stopped(&w, id).await;
    let store = w.data.store.clone();
    let plan = store.restart_plan(id, std::collections::BTreeMap::new(), w.now).await.unwrap();
    assert_eq!(plan.iter().map(|m| (m.n, m.remaining)).collect::<Vec<_>>(), [(1, 10)]);
    let later = changed(1, r#"{"at":"2026-11-27T15:00:00Z"}"#);
    let at: Timestamp = "2026-11-27T15:00:00Z".parse().unwrap();
    let plan = store.restart_plan(id, later.clone(), w.now).await.unwrap();
    assert_eq!(
        plan.iter().map(|m| (m.remaining, m.first_due, m.last_due)).collect::<Vec<_>>(),
        [(10, at, at)]
    );
    store.restart(id, later, false, by(w.now)).await.unwrap();
    w.now += SignedDuration::from_mins(10);
    assert!(w.claim(id, 100).await.is_empty());
    w.now = at;
    assert_eq!(people(&w.claim(id, 100).await), 10);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn retries_of_a_message_that_is_to_follow_another_keep_each_their_distance() {
    let mut w = World::with(4).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT0S"}]"#).await;
    // The first message reaches them a minute apart; the second is throttled for all.
    let mut settled = Vec::new();
    for mut claim in w.claim(id, 100).await {
        claim.recipients.sort_by_key(|r| r.seq);
        for at in 0..claim.recipients.len() {
            w.now += SignedDuration::from_mins(1);
            settled.push((claim.recipients[at].seq, w.now));
            w.cycle(Cycle {
                settled: vec![settle(&claim, at, sent(&format!("{}-{at}", claim.id)))],
                ..Cycle::default()
            })
            .await;
        }
    }
    w.now += SignedDuration::from_mins(1);
    throttled_and_stopped(&w, id).await;
    let store = w.data.store.clone();
    let two_hours = changed(2, r#"{"after":"PT2H"}"#);
    let due = |at: &Timestamp| *at + SignedDuration::from_hours(2);
    let plan = store.restart_plan(id, two_hours.clone(), w.now).await.unwrap();
    assert_eq!((plan[0].remaining, plan[0].first_due), (4, due(&settled[0].1)));
    store.restart(id, two_hours, false, by(w.now)).await.unwrap();
    for (seq, at) in settled {
        w.now = due(&at) - SignedDuration::from_secs(1);
        assert!(w.claim(id, 100).await.is_empty(), "{seq} before its time");
        w.now = due(&at);
        let claims = w.claim(id, 100).await;
        assert_eq!(claims.iter().flat_map(|c| &c.recipients).map(|r| r.seq).collect::<Vec<_>>(), [seq]);
        w.cycle(all_sent(&claims)).await;
    }
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_a_kill_left_of_a_freeze_is_swept_by_the_next_one() {
    let w = World::with(7).await;
    let d = definition(&w, r#"[{"now":true}]"#);
    let id = w.data.store.create_campaign(d, by(w.now)).await.unwrap().id;
    let raw = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    for seq in 0..9_000 {
        raw.execute(
            "INSERT INTO audience (campaign_id, seq, number) VALUES (?1, ?2, 15550000000 + ?2)",
            (id.0, seq),
        )
        .unwrap();
    }
    assert_eq!(w.status(id).await, Status::Defined);
    w.data.store.schedule(id, by(w.now)).await.unwrap();
    assert_eq!(w.totals(id).await, fixture::totals([("pending", 7)]));
    let claims = w.claim(id, 100).await;
    assert!(claims.iter().flat_map(|c| &c.recipients).all(|r| r.number.digits() < 15_550_000_000));
    w.cycle(all_sent(&claims)).await;
    assert_eq!((w.totals(id).await, w.status(id).await), (fixture::totals([("sent", 7)]), Status::Completed));
    w.data.assert_sound().await;
}

/// What an engine would ask for now, and has not yet.
async fn chosen(w: &World, id: CampaignId) -> Cycle {
    let work = w.data.store.agenda(w.now).await.unwrap().campaigns.into_iter().find(|w| w.id == id).unwrap();
    let retries = ClaimRequest::Retries {
        campaign: id,
        epoch: work.epoch,
        most: 100,
        of: RetriesOf::Dated,
        alive_at: w.now,
    };
    let mut cycle = Cycle { due: vec![id], claims: vec![retries], ..Cycle::default() };
    cycle.claims.extend(work.waves.iter().map(|wave| next_of(&work, wave, 100)));
    assert!(cycle.claims.len() > 1, "nothing is due");
    cycle
}

#[tokio::test]
async fn what_was_chosen_before_a_campaign_was_changed_is_not_claimed() {
    let december = || serde_json::from_str::<Send>(r#"{"at":"2026-12-24T15:00:00Z"}"#).unwrap();
    for change in ["adjust", "stop", "archive", "pool"] {
        let mut w = World::with(5).await;
        let pool = |senders: &[&str]| {
            let senders: Vec<_> =
                senders.iter().map(|s| json!({"sender": s, "rate_per_second": 10})).collect();
            serde_json::from_value(json!({"name": "Pool", "senders": senders})).unwrap()
        };
        let pool_id = w.data.store.create_pool(pool(&[SENDER]), by(w.now)).await.unwrap().id;
        let soon = r#"[{"at":"2026-11-24T15:01:00Z"}]"#;
        let more = json!({"name": "Reminder", "sender": {"pool": pool_id}});
        let id = w.data.schedule(TEXT, soon, more, w.now).await;
        w.now += SignedDuration::from_mins(2);
        let cycle = chosen(&w, id).await;
        let store = &w.data.store;
        let wanted = match change {
            "adjust" => store.adjust(id, 1, december(), by(w.now)).await.map(|_| Status::Running),
            "stop" => store.stop(id, by(w.now)).await.map(|_| Status::Stopped),
            "archive" => store.archive(id, by(w.now)).await.map(|_| Status::Archived),
            _ => store.edit_pool(pool_id, pool(&["+12025550111"]), by(w.now)).await.map(|_| Status::Running),
        };
        let cycled = w.cycle(cycle).await;
        assert!(cycled.claimed.is_empty(), "{change}: {:?}", cycled.claimed);
        assert_eq!(w.status(id).await, wanted.unwrap(), "{change}");
        w.data.assert_sound().await;
    }
}

#[tokio::test]
async fn what_was_chosen_before_a_release_is_not_claimed_and_what_is_chosen_after_it_is() {
    let w = World::with(5).await;
    let more = json!({"name": "Reminder", "pilot": 2});
    let id = w.data.schedule(TEXT, r#"[{"now":true}]"#, more, w.now).await;
    let cycle = chosen(&w, id).await;
    w.data.store.release(id, by(w.now)).await.unwrap_err();
    let claims = w.cycle(cycle).await.claimed;
    w.cycle(all_sent(&claims)).await;
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 2), ("pending", 3)]));
    let epoch = async || w.data.store.agenda(w.now).await.unwrap().campaigns[0].epoch;
    let before = epoch().await;
    w.data.store.release(id, by(w.now)).await.unwrap();
    assert_ne!(epoch().await, before, "an earlier choice would be void");
    assert_eq!(people(&w.claim(id, 100).await), 3);
    w.data.assert_sound().await;
}

/// A long text of which one part was refused.
fn in_part() -> Fate {
    match failed() {
        Fate::Final { outcome, reason, code, provider_ids, parts, .. } => Fate::Final {
            outcome,
            reason,
            code,
            provider_ids,
            parts,
            detail: Some("partial: 1 of 2".to_owned()),
        },
        other => other,
    }
}

#[tokio::test]
async fn a_restart_with_the_failed_asks_each_of_them_again_and_nobody_else() {
    // More than are moved at once.
    let w = World::with(3_000).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let mut refused = std::collections::BTreeSet::new();
    for claim in w.claim(id, 1_400).await {
        let mut cycle = Cycle::default();
        for (at, r) in claim.recipients.iter().enumerate() {
            let fate = match at % 10 {
                0 => sent(&format!("{}-{at}", claim.id)),
                1 => in_part(),
                _ => {
                    refused.insert(r.seq);
                    failed()
                }
            };
            cycle.settled.push(settle(&claim, at, fate));
        }
        w.cycle(cycle).await;
    }
    let before = fixture::count(w.totals(id).await, "failed");
    let busy = w.claim(id, 1).await;
    w.data.store.stop(id, by(w.now)).await.unwrap();
    let restart = || w.data.store.restart(id, std::collections::BTreeMap::new(), true, by(w.now));
    assert!(matches!(restart().await, Err(StoreError::Busy)));
    assert_eq!(
        fixture::count(w.totals(id).await, "failed"),
        before,
        "nothing is moved by a restart that is refused"
    );
    w.cycle(all_sent(&busy)).await;
    assert_eq!(restart().await.unwrap().status, Status::Running);
    let after = fixture::count(w.totals(id).await, "failed");
    assert_eq!(after, before - refused.len() as i64, "what failed in part is left alone");
    w.data.assert_sound().await;
    let mut asked = std::collections::BTreeSet::new();
    loop {
        let claims = w.claim(id, 1_000).await;
        if claims.is_empty() {
            break;
        }
        for r in claims.iter().flat_map(|c| &c.recipients) {
            assert!(asked.insert(r.seq), "{} twice", r.seq);
        }
        w.cycle(all_sent(&claims)).await;
    }
    assert!(refused.is_subset(&asked));
    let end = w.totals(id).await;
    assert_eq!(end, fixture::totals([("sent", 3_000 - after), ("failed", after)]));
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_tail_in_the_middle_of_a_wave_becomes_a_wave_of_its_own_with_its_followers() {
    let w = World::with(40).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT0S"}]"#).await;
    let first = w.claim(id, 6).await;
    let second = w.claim(id, 6).await;
    let mut cycle = all_sent(&second);
    for claim in &first {
        cycle.settled.push(settle(claim, 0, sent(&format!("x{}", claim.id))));
        cycle.low.push((claim.id, claim.recipients[1].seq));
        cycle.unwritten.push(unwritten(claim, claim.recipients[1].seq));
    }
    w.cycle(cycle).await;
    w.data.assert_sound().await;
    assert_eq!(w.totals(id).await.sum(), 80);
    let mut turns = 0;
    while w.status(id).await == Status::Running {
        let claims = w.claim(id, 9).await;
        w.cycle(all_sent(&claims)).await;
        w.data.assert_sound().await;
        turns += 1;
        assert!(turns < 50, "it never completes");
    }
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 80)]));
}

#[tokio::test]
async fn a_message_never_overtakes_the_one_before_it() {
    let w = World::with(10).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT0S"}]"#).await;
    let first = w.claim(id, 100).await;
    assert!(first.iter().all(|c| c.message_no == 1));
    // One recipient is still open: those behind it wait too, those before it go.
    let mut cycle = all_sent(&first[..1]);
    let open = cycle.settled.remove(2);
    cycle.low.push((first[0].id, open.seq));
    w.cycle(cycle).await;
    let follow = w.claim(id, 100).await;
    assert_eq!(follow.iter().map(|c| (c.message_no, c.recipients.len())).collect::<Vec<_>>(), [(2, 2)]);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_follower_of_a_retry_waits_without_a_date_and_a_failure_ends_the_sequence() {
    let w = World::with(2).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT0S"}]"#).await;
    let claims = w.claim(id, 100).await;
    let mut cycle = Cycle::default();
    let due_at = w.now + SignedDuration::from_secs(30);
    cycle.settled.push(settle(
        &claims[0],
        0,
        Fate::Again { due_at, detail: "throttled".into(), otherwise: None },
    ));
    cycle.settled.push(settle(
        &claims[1],
        0,
        Fate::Final {
            outcome: Outcome::Failed,
            reason: None,
            code: Some(0x0B),
            detail: None,
            provider_ids: vec![],
            parts: 1,
        },
    ));
    w.cycle(cycle).await;
    assert!(w.claim(id, 100).await.is_empty());
    let messages = w.data.store.campaign(id).await.unwrap().totals;
    assert_eq!(messages[0], fixture::totals([("pending", 1), ("failed", 1)]));
    assert_eq!(messages[1], fixture::totals([("pending", 1), ("skipped", 1)]));
    w.data.assert_sound().await;
    let later = World { now: due_at, ..w };
    let retry = later.claim(id, 100).await;
    assert_eq!((retry.len(), retry[0].message_no, retry[0].recipients[0].tries.attempts), (1, 1, 1));
    later.cycle(all_sent(&retry)).await;
    let follower = later.claim(id, 100).await;
    assert_eq!((follower.len(), follower[0].message_no), (1, 2));
    later.cycle(all_sent(&follower)).await;
    assert_eq!(later.status(id).await, Status::Completed);
    later.data.assert_sound().await;
}

#[tokio::test]
async fn what_is_missing_is_named_at_schedule_and_nothing_is_changed() {
    let w = World::with(0).await;
    let mut d = definition(&w, r#"[{"now":true}]"#);
    let c = w.data.store.create_campaign(d.clone(), by(w.now)).await.unwrap();
    let problems = |e: StoreError| match e {
        StoreError::Invalid(problems) => problems.into_iter().map(|p| p.field).collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    let empty = w.data.store.schedule(c.id, by(w.now)).await.unwrap_err();
    assert!(empty.to_string().contains("the audience is empty"), "{empty}");
    d.opt_in_acknowledged = false;
    fixture::sms(&mut d).sender = None;
    fixture::sms(&mut d).messages.clear();
    let c = w.data.store.edit_campaign(c.id, c.version, d.clone(), by(w.now)).await.unwrap();
    let error = w.data.store.schedule(c.id, by(w.now)).await.unwrap_err();
    assert_eq!(problems(error), ["opt_in_acknowledged", "sender", "messages"]);
    let stale = w.data.store.edit_campaign(c.id, 1, d.clone(), by(w.now)).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { now: 2 }));
    let taken = w.data.store.create_campaign(d, by(w.now)).await.unwrap_err();
    assert!(matches!(taken, StoreError::NameTaken(_)));
    assert_eq!(w.status(c.id).await, Status::Defined);
}

#[tokio::test]
async fn actions_that_the_status_does_not_allow_are_refused() {
    let w = World::with(3).await;
    let id = w.scheduled(r#"[{"at":"2026-12-01T10:00:00Z"}]"#).await;
    let again = w.data.store.schedule(id, by(w.now)).await.unwrap_err();
    assert!(matches!(again, StoreError::NotAllowed(_)));
    assert!(w.data.store.restart(id, std::collections::BTreeMap::new(), false, by(w.now)).await.is_err());
    let send: Send = serde_json::from_str(r#"{"at":"2026-12-02T10:00:00Z"}"#).unwrap();
    w.data.store.adjust(id, 1, send, by(w.now)).await.unwrap();
    let work = w.data.store.agenda(w.now).await.unwrap().campaigns;
    assert_eq!(
        (work[0].waves.len(), work[0].next_due.unwrap().to_string().as_str()),
        (0, "2026-12-02T10:00:00Z")
    );
    let c = w.data.store.archive(id, by(w.now)).await.unwrap();
    assert_eq!((c.status, c.archived_from), (Status::Archived, Some(Status::Scheduled)));
    assert_eq!(c.sum(), fixture::totals([("cancelled", 3)]));
    assert_eq!(c.available_actions(), [Action::Clone]);
    let copy = w.data.store.clone_campaign(id, None, by(w.now)).await.unwrap();
    assert_eq!((copy.definition.name.as_str(), copy.status), ("Copy of Reminder", Status::Defined));
    assert!(!copy.definition.opt_in_acknowledged);
    assert_eq!(copy.definition.channel(), Channel::Sms);
    assert_eq!(w.data.store.campaigns(CampaignFilter::default(), 50).await.unwrap().len(), 1);
    w.data.assert_sound().await;
}

/// The waves of a campaign as they lie in the table: zone group, range.
fn waves(w: &World) -> Vec<(i64, i64, i64)> {
    let raw = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    let mut statement = raw.prepare("SELECT grp, from_seq, to_seq FROM wave ORDER BY from_seq").unwrap();
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

impl World {
    /// Claims at most `most` of the first wave of each zone group of the only campaign, as an engine does.
    async fn claim_front(&self, most: u32) -> Vec<Claimed> {
        let work = self.data.store.agenda(self.now).await.unwrap().campaigns.remove(0);
        let mut cycle = Cycle::default();
        let mut zones = std::collections::BTreeSet::new();
        let front = work.waves.iter().filter(|wave| zones.insert(wave.zones.clone()));
        cycle.claims.extend(front.map(|wave| next_of(&work, wave, most)));
        self.cycle(cycle).await.claimed
    }
}

#[tokio::test]
async fn whatever_is_put_back_leaves_few_waves_and_each_in_its_zones() {
    let w = World::with(600).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let planned = waves(&w);
    assert_eq!(planned.len(), 2);
    // Of two claims from the front of each group, a few messages are written and the rest goes back, in any order.
    w.cycle(Cycle { due: vec![id], ..Cycle::default() }).await;
    for round in 0..40_usize {
        let mut claims = w.claim_front(10).await;
        claims.extend(w.claim_front(10).await);
        if round % 2 == 1 {
            claims.reverse();
        }
        let mut cycle = Cycle::default();
        for (at, claim) in claims.iter().enumerate() {
            let written = ((round * 7 + at * 3) % 4).min(claim.recipients.len());
            for r in 0..written {
                cycle.settled.push(settle(claim, r, sent(&format!("{}-{r}", claim.id))));
            }
            cycle.unwritten.extend(claim.recipients.get(written).map(|r| unwritten(claim, r.seq)));
        }
        w.cycle(cycle).await;
        assert!(waves(&w).len() <= 6, "round {round}: {:?}", waves(&w));
    }
    // What is left is claimed whole and goes back whole.
    for _ in 0..2 {
        let claims = w.claim(id, 600).await;
        let mut cycle = Cycle::default();
        cycle.unwritten.extend(claims.iter().map(|claim| unwritten(claim, claim.recipients[0].seq)));
        w.cycle(cycle).await;
    }
    let left = waves(&w);
    assert!(
        left.iter().all(|(grp, from, to)| planned.iter().any(|p| p.0 == *grp && p.1 <= *from && *to <= p.2))
    );
    loop {
        let claims = w.claim(id, 600).await;
        if claims.is_empty() {
            break;
        }
        w.cycle(all_sent(&claims)).await;
    }
    assert_eq!((w.status(id).await, fixture::count(w.totals(id).await, "sent")), (Status::Completed, 600));
    w.data.assert_sound().await;
}
