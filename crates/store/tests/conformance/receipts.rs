//! Receipts settle the messages that they belong to, and nothing else.

use super::*;

/// A message that was handed over, and its answer lost.
fn lost() -> Fate {
    Fate::Final {
        outcome: Outcome::InDoubt,
        reason: None,
        code: None,
        detail: Some("the connection ended".into()),
        provider_ids: Vec::new(),
        parts: 1,
    }
}

impl World {
    /// A campaign whose recipients' messages had these fates, in order; returns the recipients' numbers.
    async fn with_fates(fates: &[Fate]) -> (Self, CampaignId, Vec<Msisdn>) {
        let w = Self::with(fates.len() as i64).await;
        let id = w.scheduled(r#"[{"now":true}]"#).await;
        let claims = w.claim(id, 100).await;
        let (mut cycle, mut numbers) = (Cycle::default(), Vec::new());
        for claim in &claims {
            for at in 0..claim.recipients.len() {
                cycle.settled.push(settle(claim, at, fates[numbers.len()].clone()));
                numbers.push(claim.recipients[at].number);
            }
        }
        w.cycle(cycle).await;
        (w, id, numbers)
    }

    async fn hear(&self, receipts: Vec<Receipt>) {
        self.cycle(Cycle { receipts, ..Cycle::default() }).await;
        self.data.assert_sound().await;
    }

    async fn outcome(&self, id: CampaignId, number: Msisdn) -> (&'static str, Option<String>) {
        let rows = self.data.store.deliveries(id, DeliveryFilter::default(), 100).await.unwrap().0;
        let row: DeliveryRow = rows.into_iter().find(|row| row.number == number.to_string()).unwrap();
        (row.outcome.word(), row.detail)
    }

    /// Has an answer to `number` accepted under `id`; none: it is handed over and lost.
    async fn answered_under(&self, number: Msisdn, id: Option<&str>) {
        let help = Reply { from: international(number), ..reply(self, "HELP") };
        let answers = self.answers(vec![help]).await;
        let fate = id.map_or(AnswerFate::InDoubt, |id| AnswerFate::Sent(vec![id.to_owned()]));
        self.cycle(Cycle { answered: vec![(answers[0].id, fate)], ..Cycle::default() }).await;
    }
}

#[tokio::test]
async fn the_very_spelling_goes_before_the_same_letters_and_these_before_another_base() {
    // 0x10 is 16, 0x16 is 22.
    for (ids, said, hit) in [
        (["10", "16"], "16", Some(1)),
        (["10", "16"], "10", Some(0)),
        (["16", "22"], "16", Some(0)),
        (["0a", "A"], "A", Some(1)),
        (["0a", "A"], "0a", Some(0)),
        (["0a", "b"], "000A", Some(0)),
        (["10", "x"], "16", Some(0)),
        (["16", "x"], "10", Some(0)),
        (["y", "x"], "z", None),
    ] {
        let (w, id, numbers) = World::with_fates(&[sent(ids[0]), sent(ids[1])]).await;
        let of = hit.map_or(numbers[0], |at: usize| numbers[at]);
        w.hear(vec![receipt(&w, said, of, true)]).await;
        for (at, number) in numbers.iter().enumerate() {
            let expected = if hit == Some(at) { "delivered" } else { "sent" };
            assert_eq!(w.outcome(id, *number).await.0, expected, "{ids:?} {said} {at}");
        }
    }
}

#[tokio::test]
async fn of_two_ids_the_second_counts_where_the_first_finds_nothing_to_that_number() {
    // 0x10 is 16. Nobody has the place 9.
    for (sent_as, said, to, hit) in [
        (["a", "b"], &["own-7", "b"][..], 1, Some(1)),
        (["a", "b"], &["b", "own-7"], 1, Some(1)),
        (["a", "b"], &["", "b"], 1, Some(1)),
        // The SMSC's own id happens to be another message's.
        (["a", "b"], &["a", "b"], 1, Some(1)),
        // The first id alone is enough, the second is not.
        (["a", "b"], &["a", "own-7"], 9, Some(0)),
        (["a", "b"], &["a", "b"], 9, Some(0)),
        (["a", "b"], &["own-7", "b"], 9, None),
        (["10", "b"], &["own-7", "16"], 0, Some(0)),
        (["10", "16"], &["own-7", "16"], 1, Some(1)),
        (["a", "b"], &["own-7", "own-8", "b"], 1, None),
        (["a", "b"], &[], 1, None),
    ] {
        let (w, id, numbers) = World::with_fates(&[sent(sent_as[0]), sent(sent_as[1])]).await;
        let to = numbers.get(to).copied().unwrap_or(number(999));
        let ids = said.iter().map(|id| (*id).to_owned()).collect();
        w.hear(vec![Receipt { ids, ..receipt(&w, "", to, true) }]).await;
        for (at, number) in numbers.iter().enumerate() {
            let expected = if hit == Some(at) { "delivered" } else { "sent" };
            assert_eq!(w.outcome(id, *number).await.0, expected, "{sent_as:?} {said:?} {at}");
        }
    }
}

#[tokio::test]
async fn an_early_receipt_with_two_ids_waits_under_both() {
    let w = World::with(3).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    let recipients =
        || claims.iter().flat_map(|claim| (0..claim.recipients.len()).map(move |at| (claim, at)));
    let of = |said: [&str; 2], place: usize| {
        let (claim, at) = recipients().nth(place).unwrap();
        let ids = said.map(str::to_owned).to_vec();
        Receipt { ids, ..receipt(&w, "", claim.recipients[at].number, true) }
    };
    w.hear(vec![of(["own-0", "a"], 0), of(["b", "own-1"], 1), of(["own-2", "own-3"], 2)]).await;
    let settled = recipients().zip(["a", "b", "c"]).map(|((claim, at), id)| settle(claim, at, sent(id)));
    w.cycle(Cycle { settled: settled.collect(), ..Cycle::default() }).await;
    w.data.assert_sound().await;
    assert_eq!(w.totals(id).await, fixture::totals([("delivered", 2), ("sent", 1)]));
}

#[tokio::test]
async fn an_id_alone_is_enough_and_the_number_chooses_where_several_have_it() {
    let nowhere = |w: &World, id: &str| Receipt {
        from: Address::default(),
        to: Address::default(),
        ..receipt(w, id, number(0), true)
    };
    let (w, id, numbers) = World::with_fates(&[sent("a"), sent("b"), sent("b")]).await;
    // A strange number, or none, is enough for an id that only one message has.
    w.hear(vec![receipt(&w, "a", number(999), true)]).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "delivered");
    // Two messages have this id: without a number neither is meant.
    w.hear(vec![nowhere(&w, "b"), receipt(&w, "b", number(999), true)]).await;
    assert_eq!((w.outcome(id, numbers[1]).await.0, w.outcome(id, numbers[2]).await.0), ("sent", "sent"));
    // In national form, and with the addresses swapped.
    let digits = numbers[2].digits().to_string();
    let national = Address { ton: 2, text: digits[1..].to_owned() };
    w.hear(vec![Receipt { from: national, ..nowhere(&w, "b") }]).await;
    let swapped = Receipt { to: international(numbers[1]), ..nowhere(&w, "b") };
    w.hear(vec![swapped]).await;
    assert_eq!(
        (w.outcome(id, numbers[1]).await.0, w.outcome(id, numbers[2]).await.0),
        ("delivered", "delivered")
    );
    // In another base, the number must not contradict the id.
    let (w, id, numbers) = World::with_fates(&[sent("10")]).await;
    w.hear(vec![receipt(&w, "16", number(999), true)]).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "sent");
    w.hear(vec![nowhere(&w, "16")]).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "delivered");
}

#[tokio::test]
async fn of_many_messages_with_one_id_the_number_chooses_in_whatever_form_it_comes() {
    let (w, id, numbers) = World::with_fates(&vec![sent("0"); 40]).await;
    let mut settings = w.data.store.settings().await.unwrap();
    settings.country = Some("US".into());
    w.data.store.change_settings(settings, by(w.now)).await.unwrap();
    let digits = |at: usize| numbers[at].digits().to_string();
    let from =
        |ton, text: String| Receipt { from: Address { ton, text }, ..receipt(&w, "0", number(0), true) };
    w.hear(vec![
        from(1, digits(36)),
        from(2, digits(37)[1..].to_owned()),
        from(0, format!("+{}", digits(38))),
        Receipt {
            from: Address::international(SENDER),
            to: international(numbers[39]),
            ..from(1, digits(0))
        },
    ])
    .await;
    for number in &numbers[36..] {
        assert_eq!(w.outcome(id, *number).await.0, "delivered", "{number}");
    }
    assert_eq!(w.totals(id).await, fixture::totals([("sent", 36), ("delivered", 4)]));
}

#[tokio::test]
async fn ids_that_begin_anew_are_the_newest_messages() {
    let (w, first, numbers) = World::with_fates(&[sent("1")]).await;
    let later = World { now: w.now + SignedDuration::from_hours(24), ..w };
    let d = later.data.definition(TEXT, r#"[{"now":true}]"#, json!({"name": "Later"}));
    let second = later.data.store.create_campaign(d, by(later.now)).await.unwrap().id;
    later.data.store.schedule(second, by(later.now)).await.unwrap();
    let claims = later.claim(second, 100).await;
    let settled = vec![settle(&claims[0], 0, sent("1"))];
    later.cycle(Cycle { settled, ..Cycle::default() }).await;
    later.hear(vec![receipt(&later, "1", numbers[0], true)]).await;
    assert_eq!(later.outcome(second, numbers[0]).await.0, "delivered");
    assert_eq!(later.outcome(first, numbers[0]).await.0, "sent");
}

#[tokio::test]
async fn receipts_of_our_own_answers_settle_no_campaigns_message() {
    // The answer's id is the message's in another base, or in its own.
    for (message, answer) in [("10", "16"), ("16", "10"), ("7", "7")] {
        let (w, id, numbers) = World::with_fates(&[sent(message)]).await;
        let number = numbers[0];
        w.answered_under(number, Some(answer)).await;
        if message != answer {
            w.hear(vec![receipt(&w, answer, number, true)]).await;
            assert_eq!(w.outcome(id, number).await.0, "sent", "{message} {answer}");
        }
        w.hear(vec![receipt(&w, message, number, true)]).await;
        let expected = if message == answer { "sent" } else { "delivered" };
        assert_eq!(w.outcome(id, number).await.0, expected, "{message} {answer}");
    }
    // Nor is a delivery in doubt settled: by the answer's own id, by its early receipt, or where the answer has no id.
    let (w, id, numbers) = World::with_fates(&[lost()]).await;
    w.answered_under(numbers[0], Some("77")).await;
    w.hear(vec![receipt(&w, "77", numbers[0], true)]).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "in_doubt");
    let (w, id, numbers) = World::with_fates(&[lost()]).await;
    w.answered_under(numbers[0], None).await;
    w.hear(vec![receipt(&w, "78", numbers[0], true)]).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "in_doubt");
    // Nor where the SMSC accepted the answer and gave it no id.
    let (w, id, numbers) = World::with_fates(&[lost()]).await;
    w.answered_under(numbers[0], Some("")).await;
    w.hear(vec![receipt(&w, "79", numbers[0], true)]).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "in_doubt");
}

#[tokio::test]
async fn what_is_in_doubt_is_found_by_route_sender_and_number_where_it_fits_alone() {
    let other_sender =
        |w: &World, n| Receipt { to: Address::international("12025550177"), ..receipt(w, "?", n, true) };
    let (w, id, numbers) = World::with_fates(&[lost(), lost(), sent("")]).await;
    w.hear(vec![other_sender(&w, numbers[0]), receipt(&w, "?", number(999), true)]).await;
    assert_eq!(w.totals(id).await, fixture::totals([("in_doubt", 2), ("sent", 1)]));
    // With an id that no message has, and with none; a message accepted without an id is found likewise.
    let undelivered = Receipt { ids: Vec::new(), ..receipt(&w, "", numbers[1], false) };
    w.hear(vec![receipt(&w, "?", numbers[0], true), undelivered, receipt(&w, "??", numbers[2], true)]).await;
    assert_eq!(w.outcome(id, numbers[0]).await, ("delivered", None));
    let words = Some("the network could not deliver it".to_owned());
    assert_eq!(w.outcome(id, numbers[1]).await, ("undelivered", words));
    assert_eq!(w.outcome(id, numbers[2]).await.0, "delivered");
    // Two days have passed.
    let (w, id, numbers) = World::with_fates(&[lost()]).await;
    let later = World { now: w.now + SignedDuration::from_hours(49), ..w };
    later.hear(vec![receipt(&later, "?", numbers[0], true)]).await;
    assert_eq!(later.outcome(id, numbers[0]).await.0, "in_doubt");
}

#[tokio::test]
async fn a_receipt_waits_while_another_message_to_that_number_is_on_its_way() {
    let (w, id, numbers) = World::with_fates(&[lost()]).await;
    let d = w.data.definition(TEXT, r#"[{"now":true}]"#, json!({"name": "Second"}));
    let second = w.data.store.create_campaign(d, by(w.now)).await.unwrap().id;
    w.data.store.schedule(second, by(w.now)).await.unwrap();
    let claims = w.claim(second, 100).await;
    // The receipt comes before the answer of the second campaign's message, which it belongs to.
    w.hear(vec![receipt(&w, "early", numbers[0], true)]).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "in_doubt");
    w.cycle(Cycle { settled: vec![settle(&claims[0], 0, sent("early"))], ..Cycle::default() }).await;
    assert_eq!(w.outcome(id, numbers[0]).await.0, "in_doubt");
    assert_eq!(w.outcome(second, numbers[0]).await.0, "delivered");
}

#[tokio::test]
async fn a_reply_is_heard_from_whoever_its_address_names_and_says_where_it_answers_nobody() {
    let (w, id, numbers) = World::with_fates(&[sent("a"), sent("b"), sent("c")]).await;
    let mut settings = w.data.store.settings().await.unwrap();
    settings.country = Some("US".into());
    w.data.store.change_settings(settings, by(w.now)).await.unwrap();
    let digits = |at: usize| numbers[at].digits().to_string();
    let from = |ton, text: String| Reply { from: Address { ton, text }, ..reply(&w, "STOP") };
    let forms = vec![
        from(2, digits(0)[1..].to_owned()),
        // International by its type, national by its digits: we wrote to nobody in Egypt.
        from(1, digits(1)[1..].to_owned()),
        from(0, format!("({}) {}-{}", &digits(2)[1..4], &digits(2)[4..7], &digits(2)[7..])),
        // We wrote to none of these; the first is American by the account's country.
        from(0, "3125550123".into()),
        from(1, "447700900123".into()),
    ];
    w.cycle(Cycle { replies: forms, ..Cycle::default() }).await;
    let opted_out = async |number: &str| {
        let number = Msisdn::parse(number, None).unwrap();
        !w.data.store.contact(number).await.unwrap().suppressed.is_empty()
    };
    for number in &numbers {
        assert!(opted_out(&number.to_string()).await, "{number}");
    }
    let replies = w.data.store.replies(None, ReplyFilter::default(), 10).await.unwrap();
    let heard: Vec<_> = replies.iter().map(|r| (r.number.as_str(), r.matched, r.campaign_id)).collect();
    assert_eq!(heard[0], ("+447700900123", false, None));
    assert_eq!(heard[1], ("+13125550123", false, None));
    assert!(heard[2..].iter().all(|(_, matched, campaign)| *matched && *campaign == Some(id)), "{heard:?}");
    let unmatched = ReplyFilter { unmatched: true, ..ReplyFilter::default() };
    assert_eq!(w.data.store.replies(None, unmatched, 10).await.unwrap().len(), 2);
    assert_eq!(w.data.store.replies(id, ReplyFilter::default(), 10).await.unwrap().len(), 3);
}
