//! Replies: keywords, answers, long replies.

use super::*;

#[tokio::test]
async fn an_opt_out_is_confirmed_once_and_help_is_answered_in_the_contacts_language() {
    let w = World::with(3).await;
    let mut settings = w.data.store.settings().await.unwrap();
    let mut french = settings.answers["en"].clone();
    french.help = "Répondez STOP.".into();
    settings.answers.insert("fr".into(), french);
    w.data.store.change_settings(settings.clone(), by(w.now)).await.unwrap();
    let first = w.answers(vec![reply(&w, "stop"), reply(&w, "STOP!")]).await;
    assert_eq!(first.iter().map(|a| &a.text).collect::<Vec<_>>(), [&settings.answers["en"].opt_out]);
    assert_eq!(first[0].send_before, w.now + SignedDuration::from_mins(5));
    assert!(w.answers(vec![reply(&w, "Stop")]).await.is_empty());
    let help = w.answers(vec![reply(&w, "help"), reply(&w, "Help?")]).await;
    assert_eq!(help.len(), 1);
    // An answer that was taken is not taken again; one that could not be written is.
    let again = w.cycle(Cycle { answer: vec![w.data.route], ..Cycle::default() }).await.answers;
    assert!(again.is_empty());
    let back = (help[0].id, AnswerFate::Again(w.now));
    w.cycle(Cycle { answered: vec![back], ..Cycle::default() }).await;
    let again = w.cycle(Cycle { answer: vec![w.data.route], ..Cycle::default() }).await.answers;
    assert_eq!(again[0].id, help[0].id);
    // The program ends: an answer that was handed over is in doubt, for good.
    w.data.store.recover("next".into(), w.now).await.unwrap();
    assert!(w.data.store.agenda(w.now).await.unwrap().answers.is_empty());
    let fields = Some(r#"{"language":"fr-CA"}"#.to_owned());
    w.data.import(vec![NewContact { number: number(1), zones: None, fields, consent: None }]).await;
    let later = World { now: w.now + SignedDuration::from_mins(11), ..w };
    assert_eq!(later.answers(vec![reply(&later, "INFO")]).await[0].text, "Répondez STOP.");
}

#[tokio::test]
async fn an_answer_that_could_not_leave_within_five_minutes_is_dropped() {
    let w = World::with(3).await;
    w.cycle(Cycle { replies: vec![reply(&w, "stop")], ..Cycle::default() }).await;
    let later = World { now: w.now + SignedDuration::from_mins(5), ..w };
    let late = later.cycle(Cycle { answer: vec![later.data.route], ..Cycle::default() }).await.answers;
    assert!(late.is_empty());
    assert!(later.data.store.agenda(later.now).await.unwrap().answers.is_empty());
}

#[tokio::test]
async fn an_answer_waits_no_longer_and_no_shorter_where_the_clock_is_set() {
    for minutes in [-120, -60, -1, 1, 10, 60] {
        let w = World::with(3).await;
        w.cycle(Cycle { replies: vec![reply(&w, "stop")], ..Cycle::default() }).await;
        let by = SignedDuration::from_mins(minutes);
        let from = w.now + SignedDuration::from_secs(30);
        let stepped = World { now: from + by, ..w };
        let take = || vec![stepped.data.route];
        let step = Cycle { stepped: Some(ClockStep { from, by }), answer: take(), ..Cycle::default() };
        let answers = stepped.cycle(step).await.answers;
        assert_eq!(answers.len(), 1, "{minutes}");
        assert_eq!(answers[0].send_before, stepped.now + SignedDuration::from_secs(270), "{minutes}");
    }
}

#[tokio::test]
async fn what_waits_for_somebody_who_is_suppressed_meanwhile_is_not_sent_but_the_confirmation_is() {
    let w = World::with(3).await;
    let route = w.data.route;
    let take = async || {
        let answers = w.cycle(Cycle { answer: vec![route], ..Cycle::default() }).await.answers;
        answers.into_iter().map(|a| (a.number, a.text)).collect::<Vec<_>>()
    };
    let try_out = async |n| {
        let sender = Sender::try_from("+12025550100".to_owned()).unwrap();
        w.data.store.test_send(route, sender, number(n), "Test".into(), by(w.now)).await
    };
    // A route that is down: everything waits.
    try_out(2).await.unwrap();
    try_out(3).await.unwrap();
    w.data.store.suppress(number(2), Barred::All, SkipReason::Blocked.word(), by(w.now)).await.unwrap();
    let mut settings = w.data.store.settings().await.unwrap();
    let (stop, start) = (settings.answers["en"].opt_out.clone(), "Welcome back.".to_owned());
    settings.answers.get_mut("en").unwrap().opt_in.clone_from(&start);
    w.data.store.change_settings(settings, by(w.now)).await.unwrap();
    for text in ["stop", "start", "stop", "help"] {
        w.cycle(Cycle { replies: vec![reply(&w, text)], ..Cycle::default() }).await;
    }
    let taken = take().await;
    assert!(taken.contains(&(number(3), "Test".into())) && taken.contains(&(number(1), stop)), "{taken:?}");
    assert!(taken.iter().all(|(to, _)| *to != number(2)), "{taken:?}");
    assert!(taken.iter().all(|(_, text)| *text != start), "{taken:?}");
    let tests = w.data.store.test_sends(route, 10).await.unwrap();
    let refused = tests.iter().find(|t| t.number == number(2).to_string()).unwrap();
    assert_eq!(refused.state, "refused");
    assert!(refused.detail.as_ref().unwrap().contains("must not be contacted"));
    // The other way round, the last word counts as well.
    let later = World { now: w.now + SignedDuration::from_mins(1), ..w };
    let welcome = later.answers(vec![reply(&later, "start")]).await;
    assert_eq!(welcome.into_iter().map(|a| a.text).collect::<Vec<_>>(), [start]);
}

#[tokio::test]
async fn the_parts_of_a_long_reply_are_put_together_in_any_order_and_what_never_comes_leaves_a_gap() {
    let w = World::with(3).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    w.cycle(all_sent(&claims)).await;
    let part = |reference, number, text: &str| Reply {
        part: Some(Part { reference, total: 3, number }),
        ..reply(&w, text)
    };
    let texts = async || -> Vec<(String, Option<String>)> {
        let replies = w.data.store.replies(id, ReplyFilter::default(), 10).await.unwrap();
        replies.into_iter().map(|r| (r.text, r.keyword)).collect()
    };
    let replies = vec![part(7, 3, "texting me."), part(7, 1, "Would you "), part(7, 1, "Would you ")];
    w.cycle(Cycle { replies, ..Cycle::default() }).await;
    assert_eq!(texts().await, []);
    w.cycle(Cycle { replies: vec![part(7, 2, "please stop "), part(8, 2, "middle")], ..Cycle::default() })
        .await;
    let whole = ("Would you please stop texting me.".to_owned(), Some("refusal".to_owned()));
    assert_eq!(texts().await, std::slice::from_ref(&whole));
    w.data.store.prune(w.now + SignedDuration::from_hours(25)).await.unwrap();
    assert_eq!(texts().await, [("[...]middle[...]".to_owned(), None), whole]);
}

#[tokio::test]
async fn a_keyword_that_is_switched_off_for_a_sender_is_an_ordinary_reply_there() {
    let w = World::with(3).await;
    let mut settings = w.data.store.settings().await.unwrap();
    settings.keywords_off.insert("+12025550100".into(), vec!["Cancel".into()]);
    w.data.store.change_settings(settings.clone(), by(w.now)).await.unwrap();
    assert!(w.answers(vec![reply(&w, "CANCEL")]).await.is_empty());
    let elsewhere = Reply { to: Address { ton: 3, text: "888111".into() }, ..reply(&w, "CANCEL") };
    assert_eq!(w.answers(vec![elsewhere]).await.len(), 1);
    settings.keywords_off.insert("888111".into(), vec!["STOP".into()]);
    let refused = w.data.store.change_settings(settings, by(w.now)).await.unwrap_err();
    assert_eq!(refused.to_string(), "'STOP' always counts; CANCEL and YES can be switched off");
}
