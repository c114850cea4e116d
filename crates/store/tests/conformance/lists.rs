//! What pages list: campaigns, deliveries, attempts.

use super::*;

#[tokio::test]
async fn a_search_finds_names_by_any_part_of_them_in_every_order() {
    let w = World::with(1).await;
    for name in ["Flu shots 2026", "Storm \"Ana\"", "Flu shots, children", "Élections"] {
        let d = w.data.definition("Hello", r#"[{"now":true}]"#, json!({"name": name}));
        w.data.store.create_campaign(d, by(w.now)).await.unwrap();
    }
    let found = async |search: &str, sort: CampaignSort| {
        let filter = CampaignFilter { search: Some(search.into()), sort, ..CampaignFilter::default() };
        let campaigns = w.data.store.campaigns(filter, 10).await.unwrap();
        campaigns.into_iter().map(|c| c.definition.name).collect::<Vec<_>>()
    };
    for sort in CampaignSort::ALL {
        assert_eq!(found("SHOTS", sort).await.len(), 2, "{sort:?}");
    }
    assert_eq!(found("lu", CampaignSort::Name).await, ["Flu shots 2026", "Flu shots, children"]);
    assert_eq!(found("m \"a", CampaignSort::Created).await, ["Storm \"Ana\""]);
    assert_eq!(found("éle", CampaignSort::Created).await, ["Élections"]);
    assert!(found("nowhere", CampaignSort::Created).await.is_empty());
    // A new name is found, the old one is not.
    let flu = w
        .data
        .store
        .campaigns(CampaignFilter { search: Some("2026".into()), ..CampaignFilter::default() }, 1)
        .await
        .unwrap();
    let d = Definition { name: "Autumn".into(), ..flu[0].definition.clone() };
    w.data.store.edit_campaign(flu[0].id, flu[0].version, d, by(w.now)).await.unwrap();
    assert!(found("2026", CampaignSort::Created).await.is_empty());
    assert_eq!(found("autumn", CampaignSort::Created).await, ["Autumn"]);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_runs_comes_first_then_what_starts_next_then_the_newest_and_each_status_is_counted() {
    let w = World::with(1).await;
    let day = |n: i64| format!(r#"[{{"at":"{}"}}]"#, w.now + SignedDuration::from_hours(24 * n));
    let times = [Some(day(3)), None, Some(day(1)), Some(r#"[{"now":true}]"#.to_owned()), None, Some(day(2))];
    let mut ids = Vec::new();
    for (sends, name) in times.iter().zip(["A", "B", "C", "D", "E", "F"]) {
        ids.push(if let Some(sends) = sends {
            w.data.schedule(name, sends, json!({}), w.now).await
        } else {
            let d = w.data.definition(name, r#"[{"now":true}]"#, json!({}));
            w.data.store.create_campaign(d, by(w.now)).await.unwrap().id
        });
    }
    w.cycle(Cycle { due: vec![ids[3]], ..Cycle::default() }).await;
    let shown = async |reverse| {
        let sort = CampaignSort::Current;
        let filter = CampaignFilter { sort, reverse, ..CampaignFilter::default() };
        w.data.store.campaigns(filter, 10).await.unwrap().into_iter().map(|c| c.id).collect::<Vec<_>>()
    };
    let mut wanted = [3, 2, 5, 0, 4, 1].map(|at: usize| ids[at]);
    assert_eq!(shown(false).await, wanted);
    wanted.reverse();
    assert_eq!(shown(true).await, wanted);
    let mut counts = w.data.store.campaign_counts(Channel::Sms).await.unwrap();
    counts.sort_by_key(|(status, _)| status.word());
    assert_eq!(counts, [(Status::Defined, 2), (Status::Running, 1), (Status::Scheduled, 3)]);
    assert_eq!(w.data.store.campaign_counts(Channel::Voice).await.unwrap(), []);
}

#[tokio::test]
async fn every_attempt_at_a_recipient_is_kept_with_its_time_and_words() {
    let mut w = World::with(2).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let begin = w.now;
    for _ in 0..2 {
        let mut cycle = Cycle::default();
        for claim in w.claim(id, 100).await {
            let again = Fate::Again { due_at: w.now, detail: "throttled".into(), otherwise: None };
            cycle.settled.extend((0..claim.recipients.len()).map(|at| settle(&claim, at, again.clone())));
        }
        w.cycle(cycle).await;
        w.now += SignedDuration::from_secs(1);
    }
    let claims = w.claim(id, 100).await;
    w.cycle(all_sent(&claims)).await;
    let (rows, _) = w.data.store.deliveries(id, DeliveryFilter::default(), 10).await.unwrap();
    let attempts = w.data.store.attempts(id, rows.iter().map(|r| r.id).collect()).await.unwrap();
    for row in rows {
        let history: Vec<_> = attempts[&row.id].iter().map(|a| (a.at, a.detail.as_str())).collect();
        assert_eq!(history, [(begin, "throttled"), (begin + SignedDuration::from_secs(1), "throttled")]);
        assert_eq!((row.attempts, row.outcome), (3, Place::Settled(Outcome::Sent)));
    }
}

/// All pages that `filter` finds, one after the other.
async fn all_pages(w: &World, id: CampaignId, filter: &DeliveryFilter, limit: usize) -> Vec<DeliveryRow> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let filter = DeliveryFilter { from, ..filter.clone() };
        let (rows, next) = w.data.store.deliveries(id, filter, limit).await.unwrap();
        assert!(rows.len() <= limit);
        all.extend(rows);
        match next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

#[tokio::test]
async fn every_filter_of_the_deliveries_finds_what_the_whole_list_holds_page_by_page() {
    const PEOPLE: i64 = 60;
    let w = World::with(PEOPLE).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT1H"}]"#).await;
    for claim in w.claim(id, 20).await {
        let fate = |at: usize| match at % 4 {
            0 => Some(Fate::Again { due_at: w.now, detail: "throttled".into(), otherwise: None }),
            1 => Some(sent(&format!("{}-{at}", claim.id))),
            2 => Some(failed()),
            // Still on its way.
            _ => None,
        };
        let fates = (0..claim.recipients.len()).filter_map(|at| Some((at, fate(at)?)));
        let settled: Vec<Settled> = fates.map(|(at, fate)| settle(&claim, at, fate)).collect();
        w.cycle(Cycle { settled, ..Cycle::default() }).await;
    }
    for stopped in [false, true] {
        if stopped {
            w.data.store.stop(id, by(w.now)).await.unwrap();
        }
        let list = all_pages(&w, id, &DeliveryFilter::default(), 1_000).await;
        assert_eq!(list.len() as i64, 2 * PEOPLE);
        for outcome in ["pending", "sending", "sent", "failed", "cancelled", "delivered"] {
            for number in [
                None,
                Some("1202555000".to_owned()),
                Some(number(7).digits().to_string()),
                Some("0007".into()),
                Some("44".into()),
            ] {
                let place = Place::from_word(outcome);
                let expected: Vec<_> = list
                    .iter()
                    .filter(|r| Some(r.outcome) == place)
                    .filter(|r| number.as_ref().is_none_or(|digits| r.number[1..].contains(digits.as_str())))
                    .map(|r| r.id)
                    .collect();
                for longest_walk in [None, Some(3)] {
                    let filter = DeliveryFilter {
                        outcome: place,
                        number: number.clone(),
                        longest_walk,
                        ..DeliveryFilter::default()
                    };
                    let found: Vec<_> =
                        all_pages(&w, id, &filter, 4).await.into_iter().map(|r| r.id).collect();
                    assert_eq!(found, expected, "{outcome} {number:?} {longest_walk:?} stopped: {stopped}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_person_sees_what_every_campaign_sent_or_will_send_them() {
    let w = World::with(9).await;
    let first = w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": "First"}), w.now).await;
    w.cycle(all_sent(&w.claim(first, 100).await)).await;
    let later = r#"[{"at":"2026-12-01T10:00:00Z"},{"after":"P2D"}]"#;
    w.data.schedule(TEXT, later, json!({"name": "Second"}), w.now).await;
    for who in 0..9 {
        let seen = w.data.store.deliveries_to(number(who), 10).await.unwrap();
        let seen: Vec<_> =
            seen.iter().map(|m| (m.name.as_str(), m.delivery.message, m.delivery.outcome.word())).collect();
        assert_eq!(seen, [("Second", 2, "pending"), ("Second", 1, "pending"), ("First", 1, "sent")], "{who}");
    }
    assert!(w.data.store.deliveries_to(number(20), 10).await.unwrap().is_empty());
    assert_eq!(w.data.store.deliveries_to(number(0), 1).await.unwrap().len(), 2);
}

#[tokio::test]
async fn people_are_found_by_the_names_that_they_have_and_by_none_that_they_had() {
    let w = World::with(0).await;
    let named = |at: i64, fields: &str| NewContact {
        number: number(at),
        zones: None,
        fields: Some(fields.to_owned()),
        consent: None,
    };
    w.data
        .import(vec![
            named(1, r#"{"first_name":"Ana","last_name":"Ivanova"}"#),
            named(2, r#"{"first_name":"Ana Maria","last_name":"Brown","email":"am@clinic.example"}"#),
            named(3, r#"{"first_name":"Ivan","last_name":"Anan"}"#),
        ])
        .await;
    let find = async |text: &str, limit: usize| {
        let (people, more) = w.data.store.find_contacts(text.into(), limit).await.unwrap();
        (people.into_iter().map(|c| c.number.digits() - number(0).digits()).collect::<Vec<_>>(), more)
    };
    assert_eq!(find("an", 10).await, (vec![1, 2, 3], false));
    assert_eq!(find("AN", 2).await, (vec![1, 2], true));
    assert_eq!(find("ana ivanova", 10).await, (vec![1], false));
    assert_eq!(find("ivanova ana", 10).await, (vec![1], false));
    assert_eq!(find("ana maria", 10).await, (vec![2], false));
    assert_eq!(find("am@", 10).await, (vec![2], false));
    assert_eq!(find("", 10).await, (vec![], false));
    assert_eq!(find("1202555", 2).await, (vec![1, 2], true));
    // A new name replaces the old one, and a deleted contact leaves none.
    w.data.import(vec![named(1, r#"{"last_name":"Petrova"}"#)]).await;
    assert_eq!(find("ivanova", 10).await, (vec![], false));
    assert_eq!(find("petrova", 10).await, (vec![1], false));
    assert!(w.data.store.delete_contact(number(2), by(w.now)).await.unwrap());
    assert_eq!((find("brown", 10).await, find("am@", 10).await), ((vec![], false), (vec![], false)));
    assert!(!w.data.store.names_are_due().await.unwrap());
}
