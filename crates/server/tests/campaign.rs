//! A whole campaign over the API, against an SMSC that is not ours.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use serde_json::{Value, json};
use world::World;

/// A long text in no GSM alphabet: several UCS-2 segments.
const LONG: &str = "Грозовое предупреждение ⚡ для {{ first_name | default('жителей') }}: с 18:00 до 23:00 ожидаются \
                    ливни и порывы ветра до 25 м/с. Не паркуйтесь под деревьями.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_of_2000_goes_through_every_status_and_the_far_end_agrees() {
    const PEOPLE: i64 = 2_000;
    let w = World::start().await;
    let csv: String = std::iter::once("phone,first_name\n".to_owned())
        .chain((0..PEOPLE).map(|i| format!("+1202555{i:04},Ana{i}\n")))
        .collect();
    let list = w.list_of(&csv).await;
    let route = w.route(json!({"window": 20, "rate_per_second": 1_500})).await;
    let c = w
        .post(
            "/campaigns",
            &json!({"channel": "sms", "name": "Storm", "route_id": route, "sender": "+12025550100", "list_ids": [list],
                "opt_in_acknowledged": true, "window": null, "messages": [{"text": LONG, "send": {"now": true}}]}),
        )
        .await
        .created();
    assert_eq!(
        (&c["status"], &c["available_actions"]),
        (&json!("defined"), &json!(["edit", "schedule", "archive", "clone"]))
    );
    let at = format!("/campaigns/{}", c["id"].as_str().unwrap());

    let forecast = w.post(&format!("{at}/schedule?dry_run=true"), &json!({})).await.ok();
    assert_eq!(forecast["audience"], PEOPLE);
    let segments = forecast["segments"][0].as_i64().unwrap();
    assert!(segments >= 2 * PEOPLE, "{forecast}");

    // Planned for later, then for now: Scheduled, adjusted, Running.
    let later = json!({"version": c["version"], "messages": [{"text": LONG, "send": {"at": "2099-01-01T00:00:00Z"}}]});
    w.patch(&at, &later).await.ok();
    let c = w.post(&format!("{at}/schedule"), &json!({})).await.ok();
    assert_eq!((&c["status"], &c["totals"]["pending"]), (&json!("scheduled"), &json!(PEOPLE)));
    w.patch(&format!("{at}/messages/1/send"), &json!({"now": true})).await.ok();

    w.until(&at, |c| sent(c) >= 300).await;
    let c = w.post(&format!("{at}/stop"), &json!({})).await.ok();
    let arrived = w.smsc.per_number().len() as i64;
    assert_eq!((&c["status"], &c["totals"]["sending"]), (&json!("stopped"), &json!(0)));
    assert_eq!((sent(&c), c["totals"]["cancelled"].as_i64().unwrap()), (arrived, PEOPLE - arrived));
    let segments_then = w.smsc.count();
    // Receipts of messages already sent still come; not one more message does.
    let c = w.until(&at, |c| c["totals"]["delivered"] == arrived).await;
    assert_eq!((w.smsc.count(), &c["totals"]["cancelled"]), (segments_then, &json!(PEOPLE - arrived)));

    let refused = w.post(&format!("{at}/stop"), &json!({})).await;
    assert_eq!(
        (refused.status, &refused.body["campaign_status"], &refused.body["available_actions"]),
        (409, &json!("stopped"), &json!(["restart", "archive", "clone"]))
    );
    let plan = w.post(&format!("{at}/restart?dry_run=true"), &json!({})).await.ok();
    assert_eq!(plan["messages"][0]["remaining"], PEOPLE - arrived);
    let c = w.post(&format!("{at}/restart"), &json!({})).await.ok();
    assert_eq!(c["status"], "running");
    let c = w.until(&at, |c| c["status"] == "completed" && c["totals"]["delivered"] == PEOPLE).await;
    let mut expected = World::zero();
    expected["delivered"] = json!(PEOPLE);
    assert_eq!(c["totals"], expected);

    // The screen's count is the far end's; the texts that arrived are those of the preview.
    assert_eq!(w.smsc.count(), segments);
    let texts = w.smsc.texts();
    assert_eq!(texts.len() as i64, PEOPLE);
    for i in 0..PEOPLE {
        let shown = LONG.replace("{{ first_name | default('жителей') }}", &format!("Ana{i}"));
        assert_eq!(texts[&format!("1202555{i:04}")], shown);
    }
    let parts = segments / PEOPLE;
    assert!(w.smsc.per_number().values().all(|n| *n as i64 == parts), "somebody got a segment twice");

    let c = w.post(&format!("{at}/archive"), &json!({})).await.ok();
    assert_eq!((&c["status"], &c["archived_from"]), (&json!("archived"), &json!("completed")));
    assert_eq!(w.get("/campaigns").await.ok()["items"], json!([]));
    let copy = w.post(&format!("{at}/clone"), &json!({})).await.created();
    assert_eq!(
        (&copy["status"], &copy["name"], &copy["opt_in_acknowledged"]),
        (&json!("defined"), &json!("Copy of Storm"), &json!(false))
    );
    let timeline = w.get(&format!("{at}/timeline")).await.ok();
    let causes: Vec<&str> =
        timeline["items"].as_array().unwrap().iter().map(|e| e["status"].as_str().unwrap()).collect();
    assert_eq!(
        causes,
        [
            "defined",
            "defined",
            "scheduled",
            "scheduled",
            "running",
            "stopped",
            "running",
            "completed",
            "archived"
        ]
    );
    w.assert_sound().await;
}

fn sent(c: &Value) -> i64 {
    ["sent", "delivered", "undelivered"].iter().map(|k| c["totals"][k].as_i64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_a_reply_holds_for_later_messages_and_later_campaigns() {
    let w = World::start().await;
    let list = w.list_of("phone\n+12025550001\n+12025550002\n").await;
    let route = w.route(json!({})).await;
    let campaign = |name: &str| {
        json!({"channel": "sms", "name": name, "route_id": route, "sender": "+12025550100", "list_ids": [list],
            "opt_in_acknowledged": true, "window": null, "messages": [{"text": name, "send": {"now": true}}]})
    };
    let first = w.start_campaign(&campaign("First")).await;
    w.until(&first, |c| c["status"] == "completed" && c["totals"]["delivered"] == 2).await;
    w.smsc.reply("12025550001", "12025550100", "Stop.").await;
    // The far end is answered once the reply is stored.
    let replies = w.get(&format!("{first}/replies")).await.ok();
    assert_eq!(
        (&replies["items"][0]["text"], &replies["items"][0]["keyword"]),
        (&json!("Stop."), &json!("opt_out"))
    );
    let second = w.start_campaign(&campaign("Second")).await;
    let c = w.until(&second, |c| c["status"] == "completed" && c["totals"]["delivered"] == 1).await;
    assert_eq!(c["totals"]["skipped"], 1);
    let skipped = w.get(&format!("{second}/deliveries?outcome=skipped")).await.ok();
    assert_eq!(
        (&skipped["items"][0]["number"], &skipped["items"][0]["reason"]),
        (&json!("+12025550001"), &json!("opted_out"))
    );
    let got = w.smsc.got();
    let to: Vec<_> =
        got.iter().filter(|sm| sm.short_message == b"Second").map(|sm| &sm.destination_addr).collect();
    assert_eq!(to, ["12025550002"]);
    w.smsc.reply("12025550001", "12025550100", "start").await;
    let third = w.start_campaign(&campaign("Third")).await;
    w.until(&third, |c| c["totals"]["delivered"] == 2).await;
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opt_out_is_confirmed_once_help_is_answered_and_a_long_reply_is_whole() {
    let w = World::start().await;
    let list = w.list_of("phone,language\n+12025550001,es\n").await;
    let route = w.route(json!({})).await;
    let texts = json!({"opt_out": "Bye.", "help": "Reply STOP to end."});
    let settings = json!({"answers": {"en": texts, "es": {"opt_out": "Adiós.", "help": "Responda STOP."}}});
    assert_eq!(w.put("/settings", &settings).await.ok()["answers"]["es"]["opt_out"], "Adiós.");
    assert_eq!(w.put("/settings", &json!({"answers": {}})).await.refused(), (422, vec!["answers"]));
    let campaign = json!({"channel": "sms", "name": "First", "route_id": route, "sender": "+12025550100",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null, "validity": "P2D",
        "messages": [{"text": "Hello", "send": {"now": true}}]});
    let first = w.start_campaign(&campaign).await;
    w.until(&first, |c| c["totals"]["delivered"] == 1).await;
    assert_eq!(w.smsc.got()[0].validity_period, "000002000000000R");
    for text in ["Stop.", "STOP", "help", "HELP"] {
        w.smsc.reply("12025550001", "12025550100", text).await;
    }
    for (part, text) in [(2, "see you."), (1, "Thank you, ")] {
        let octets = [&[5, 0, 3, 77, 2, part], text.as_bytes()].concat();
        w.smsc.reply_octets("12025550001", "12025550100", 0x40, &octets).await;
    }
    let answered = |r: &Value| {
        let items = r["items"].as_array().unwrap();
        items.len() == 5 && items.iter().filter(|i| i["answer"]["state"] == "sent").count() == 2
    };
    let replies = w.until(&format!("{first}/replies"), answered).await;
    assert_eq!(replies["items"][0]["text"], "Thank you, see you.");
    let got: Vec<_> = w.smsc.got().into_iter().map(|sm| (sm.source_addr, sm.destination_addr)).collect();
    assert_eq!(got, vec![("12025550100".to_owned(), "12025550001".to_owned()); 3]);
    let answered: Vec<_> =
        replies["items"].as_array().unwrap().iter().map(|r| r["answer"]["text"].clone()).collect();
    assert_eq!(answered, [json!(null), json!(null), json!("Responda STOP."), json!(null), json!("Adiós.")]);
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_and_mended_and_the_campaign_goes_on() {
    let w = World::start().await;
    let list = w.list_of("phone\n+12025550001\n").await;
    let route = w.route(json!({"password": "wrong"})).await;
    let campaign = json!({"channel": "sms", "name": "Patient", "route_id": route, "sender": "CLINIC", "list_ids": [list],
        "opt_in_acknowledged": true, "window": null, "messages": [{"text": "Hello", "send": {"now": true}}]});
    let c = w.start_campaign(&campaign).await;
    let at = format!("/routes/{route}");
    let shown = w.until(&at, |r| r["state"] == "refused").await;
    assert_eq!(shown["last_error"], "the password is wrong");
    assert!(shown.get("password").is_none());
    let waiting = w.until(&c, |c| c["waiting"][0]["reason"] == "route_refuses").await;
    assert_eq!(
        (&waiting["waiting"][0]["detail"], &waiting["totals"]["pending"]),
        (&json!("the password is wrong"), &json!(1))
    );
    assert_eq!(w.patch(&at, &json!({"binds": 0})).await.refused(), (422, vec!["binds"]));
    w.patch(&at, &json!({"password": fixture::smsc::PASSWORD})).await.ok();
    w.until(&c, |c| c["status"] == "completed" && c["totals"]["delivered"] == 1).await;
    w.patch(&at, &json!({"disabled": true})).await.ok();
    w.until(&at, |r| r["state"] == "disabled").await;
    w.assert_sound().await;
}
