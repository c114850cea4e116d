//! The delivery list, page by page and as a file.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use serde_json::{Value, json};
use world::World;

#[tokio::test]
async fn every_recipient_of_every_message_is_listed_once_in_order_before_anything_is_sent() {
    let w = World::start().await;
    let list =
        w.list_of("phone\n+12025550001\n+12025550002\n+12025550003\n+12025550004\n+12025550005\n").await;
    let route = w.route(json!({})).await;
    let at = w
        .start_campaign(&json!({"channel": "sms", "name": "Later", "route_id": route, "sender": "CLINIC",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null, "messages": [
                {"text": "One", "send": {"at": "2099-01-01T00:00:00Z"}}, {"text": "Two", "send": {"after": "P2D"}}]}))
        .await;
    let (mut rows, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = w.get(&format!("{at}/deliveries?limit=3{cursor}")).await.ok();
        rows.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let places: Vec<(u64, u64)> =
        rows.iter().map(|r| (r["message"].as_u64().unwrap(), r["seq"].as_u64().unwrap())).collect();
    let expected: Vec<(u64, u64)> =
        (1..=2).flat_map(|message| (0..5).map(move |seq| (message, seq))).collect();
    assert_eq!((places, pages), (expected, 4));
    assert!(rows.iter().all(|r| r["outcome"] == "pending" && r["attempts"] == 0));

    let items = async |query: &str| w.get(&format!("{at}/deliveries?{query}")).await.ok()["items"].clone();
    let of_one = items("q=5550003").await;
    assert_eq!(of_one.as_array().unwrap().len(), 2);
    assert_eq!((&of_one[0]["number"], &of_one[1]["message"]), (&json!("+12025550003"), &json!(2)));
    assert_eq!(items("message=2&outcome=pending").await.as_array().unwrap().len(), 5);
    assert_eq!(items("outcome=sent").await, json!([]));
    assert_eq!(w.get(&format!("{at}/deliveries?outcome=lost")).await.refused(), (422, vec!["outcome"]));
    assert_eq!(w.get(&format!("{at}/deliveries?cursor=x")).await.refused(), (422, vec!["cursor"]));

    w.post(&format!("{at}/archive"), &json!({})).await.ok();
    let cancelled = items("outcome=cancelled").await;
    assert_eq!(cancelled.as_array().map(Vec::len), Some(10));
    let csv = w.get(&format!("{at}/deliveries.csv")).await.text;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 11);
    assert!(lines[0].starts_with("id,message,seq,number,outcome,"), "{}", lines[0]);
    assert!(lines[1].starts_with("1-0,1,0,+12025550001,cancelled,"), "{}", lines[1]);
    assert_eq!(w.get(&at).await.ok()["totals"]["cancelled"], Value::from(10));
}

#[tokio::test]
async fn what_a_person_got_is_shown_word_for_word_with_each_step_until_the_person_is_deleted() {
    let w = World::start().await;
    let list = w.list_of("phone,first_name,town\n+12025550001,Ana,Bonn\n+12025550002,Ben,Ulm\n").await;
    let route = w.route(json!({})).await;
    let at = w
        .start_campaign(
            &json!({"channel": "sms", "name": "Word for word", "route_id": route, "sender": "CLINIC",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null, "messages": [
                {"text": "{{ town }} greets {{ first_name }}", "send": {"now": true}},
                {"text": "As it <stands>: {{ x }}", "send": {"after": "P2D"}, "template": false}]}),
        )
        .await;
    w.until(&at, |c| c["totals"]["delivered"] == 2).await;
    let page = async |what: &str| {
        let answer = w.answer(w.request(reqwest::Method::GET, &format!("/{at}/{what}"))).await;
        (answer.status, answer.text)
    };
    // Names stand in the list, and each outcome leads to its delivery.
    let (_, recipients) = page("recipients").await;
    assert!(
        recipients.contains("<bdi>Ana</bdi>")
            && recipients.contains(&format!("href=\"{at}/recipients/1-0\""))
    );
    let (_, first) = page("recipients/1-0").await;
    assert!(first.contains("Bonn greets Ana") && first.contains("Accepted by the carrier"), "{first}");
    assert!(first.contains("<bdi>Ana</bdi>") && first.contains("Delivered"), "{first}");
    // What was frozen counts, not what the contact is called now.
    let form = [("first_name", "Anna"), ("town", "Rome")];
    w.answer(w.request(reqwest::Method::POST, "//contacts/+12025550001/edit").form(&form)).await;
    let (_, first) = page("recipients/1-0").await;
    assert!(first.contains("Bonn greets Ana") && first.contains("<bdi>Anna</bdi>"), "{first}");
    let (_, second) = page("recipients/2-1").await;
    assert!(
        second.contains("As it &#60;stands&#62;: {{ x }}") && second.contains("Nothing has happened yet."),
        "{second}"
    );
    assert_eq!(page("recipients/3-0").await.0, 404);
    assert_eq!(page("recipients/1-9").await.0, 404);
    assert_eq!(page("recipients/x").await.0, 404);
    // Nothing is known any more of whoever was deleted.
    w.answer(w.request(reqwest::Method::POST, "//contacts/+12025550001/delete")).await;
    let (status, first) = page("recipients/1-0").await;
    assert!(status == 200 && !first.contains("Bonn") && !first.contains("Ana"), "{first}");
}
