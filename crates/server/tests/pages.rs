//! What pages say: whom a search finds, how a text reads for each person, pages of replies.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::time::Duration;

use fixture::smsc::{Fate, SmppError};
use reqwest::Method;
use serde_json::json;
use world::World;

const PEOPLE: &str = "phone,first_name,last_name,email\n\
    +12025550001,Ana,Ivanova,ana@clinic.example\n\
    +12025550002,Ben,Ivanov,ben@clinic.example\n\
    +13125550003,Ana,Brown,\n";

impl World {
    /// A page as a person without scripts gets it.
    async fn page(&self, path: &str) -> String {
        let seen = self.answer(self.request(Method::GET, &format!("/{path}"))).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.text);
        seen.text
    }

    /// Waits until contacts can be found by their names.
    async fn named(&self) {
        while self.store.names_are_due().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The people that a search for `q` finds.
    async fn found(&self, q: &str) -> Vec<&'static str> {
        let request = self.request(Method::GET, "//contacts").query(&[("q", q)]);
        let text = self.answer(request).await.text;
        let all = ["+12025550001", "+12025550002", "+13125550003"];
        all.into_iter().filter(|number| text.contains(&format!(">{number}</a>"))).collect()
    }

    /// What the editor shows for a text.
    async fn preview(&self, campaign: &str, text: &str, see: &str) -> String {
        let form = [("text", text), ("campaign", campaign), ("see", see)];
        let seen = self.answer(self.request(Method::POST, "//preview").form(&form)).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        seen.text
    }
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_a_name_an_address_or_a_number() {
    let w = World::start().await;
    w.list_of(PEOPLE).await;
    w.named().await;
    assert_eq!(w.found("ivan").await, ["+12025550001", "+12025550002"]);
    assert_eq!(w.found("Ana").await, ["+12025550001", "+13125550003"]);
    assert_eq!(w.found("ana iv").await, ["+12025550001"]);
    assert_eq!(w.found("ben@").await, ["+12025550002"]);
    assert_eq!(w.found("+1 (202)").await, ["+12025550001", "+12025550002"]);
    assert_eq!(w.found("%").await, Vec::<&str>::new());
    assert!(w.page("/contacts?q=nobody").await.contains("No matches."));
}

#[tokio::test]
async fn a_text_is_shown_for_chosen_people_with_what_it_costs() {
    let w = World::start().await;
    let list = w.list_of(PEOPLE).await;
    let route = w.route(json!({"price_per_segment": "0.0125"})).await;
    let definition = json!({"channel": "sms", "name": "Prices", "route_id": route, "list_ids": [list]});
    let id = w.post("/campaigns", &definition).await.created()["id"].as_str().unwrap().to_owned();
    let text = "Hello {{ email }}";
    let first = w.preview(&id, text, "").await;
    assert!(
        first.contains("1 person lacks a field") && first.contains("Hello ana@clinic.example"),
        "{first}"
    );
    assert!(first.contains(">+13125550003</a>"), "{first}");
    let chosen = w.preview(&id, text, "+12025550002, not a number").await;
    assert!(chosen.contains("Hello ben@clinic.example") && !chosen.contains("Hello ana@"), "{chosen}");
    let long = w.preview(&id, &"ä".repeat(161), "").await;
    assert!(long.contains("2 segments") && long.contains("0.025 per person"), "{long}");
    let emoji = w.preview(&id, "⚡", "").await;
    assert!(emoji.contains("1 character<") && emoji.contains("UCS-2"), "{emoji}");
}

#[tokio::test]
async fn a_text_of_many_segments_is_warned_of_wherever_it_is_written_or_shown() {
    let w = World::start().await;
    let (route, list) = (w.route(json!({})).await, w.list_of(PEOPLE).await);
    // 153 characters a segment, of a text that takes more than one.
    let (four, five) = ("x".repeat(4 * 153), "x".repeat(4 * 153 + 1));
    let warning = "the text takes 5 segments, and each of them is paid for";
    let definition = json!({"channel": "sms", "name": "Long", "route_id": route, "sender": "CLINIC", "list_ids": [list],
        "opt_in_acknowledged": true, "window": null,
        "messages": [{"text": four, "send": {"now": true}}, {"text": five, "send": {"after": "P1D"}}]});
    let made = w.post("/campaigns", &definition).await.created();
    assert_eq!(made["warnings"], json!([{"field": "messages[1].text", "message": warning}]));
    let id = made["id"].as_str().unwrap();
    assert_eq!(w.get(&format!("/campaigns/{id}")).await.ok()["warnings"], made["warnings"]);
    let forecast = w.post(&format!("/campaigns/{id}/schedule?dry_run=true"), &json!({})).await.ok();
    assert_eq!(forecast["warnings"], made["warnings"]);
    for part in ["messages", "schedule"] {
        let page = w.page(&format!("/campaigns/{id}/{part}")).await;
        assert_eq!(page.matches(warning).count(), 1, "{part}");
    }
    assert!(w.preview(id, &five, "").await.contains(warning));
    assert!(!w.preview(id, &four, "").await.contains("paid for"));
}

#[tokio::test]
async fn replies_come_in_pages_newest_first() {
    const REPLIES: usize = 130;
    let w = World::start().await;
    let list = w.list_of(PEOPLE).await;
    let route = w.route(json!({})).await;
    let at = w
        .start_campaign(&json!({"channel": "sms", "name": "Ask", "route_id": route, "sender": "+12025550100",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "Will you come?", "send": {"now": true}}]}))
        .await;
    w.until(&at, |c| c["totals"]["delivered"] == 3).await;
    for n in 0..REPLIES {
        w.smsc.reply("12025550001", "12025550100", &format!("Answer {n}.")).await;
    }
    w.smsc.reply("12025550002", "12025550100", "please stop writing to me").await;
    let replies = format!("{at}/replies?limit=500");
    w.until(&replies, |r| r["items"].as_array().unwrap().len() == REPLIES + 1).await;

    let first = w.page(&format!("{at}/replies")).await;
    assert!(first.contains("please stop") && first.contains("Answer 129.") && !first.contains("Answer 30."));
    let next = first.split("href=\"?before=").nth(1).unwrap().split('"').next().unwrap();
    let second = w.page(&format!("{at}/replies?before={next}")).await;
    assert!(second.contains("Answer 30.") && second.contains("Answer 0.") && !second.contains("Answer 31."));
    let refusals = w.page(&format!("{at}/replies?only=refusal")).await;
    assert!(refusals.contains("please stop") && !refusals.contains("Answer 1"));

    let page = w.get(&format!("{at}/replies?limit=100")).await.ok();
    let rest = w.get(&format!("{at}/replies?limit=100&cursor={}", page["next"].as_str().unwrap())).await.ok();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (31, &json!(null)));
}

#[tokio::test]
async fn a_campaign_is_sent_as_a_pool_and_a_pool_in_use_stays() {
    let w = World::start().await;
    let list = w.list_of(PEOPLE).await;
    let route = w.route(json!({})).await;
    let twice = json!({"name": "Numbers", "senders": [{"sender": "ONE", "rate_per_second": 5}, {"sender": "ONE", "rate_per_second": 5}]});
    let refused = w.post("/pools", &twice).await;
    assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (422, &json!("senders[1].sender")));
    let senders = json!([{"sender": "+12025550198", "rate_per_second": 50}, {"sender": "+12025550199", "rate_per_second": 50}]);
    let pool = w.post("/pools", &json!({"name": "Numbers", "senders": senders})).await.created();
    let definition = |pool: &serde_json::Value| {
        json!({"channel": "sms", "name": "Dealt", "route_id": route, "sender": {"pool": pool}, "list_ids": [list],
            "opt_in_acknowledged": true, "window": null, "messages": [{"text": "Hello", "send": {"now": true}}]})
    };
    let unknown = w.post("/campaigns", &definition(&json!("pol_9"))).await;
    assert_eq!((unknown.status, &unknown.body["errors"][0]["field"]), (422, &json!("sender.pool")));
    let dealt = w.post("/campaigns", &definition(&pool["id"])).await.created();
    let at = format!("/pools/{}", pool["id"].as_str().unwrap());
    let in_use = w.answer(w.request(Method::DELETE, &at)).await;
    assert!(in_use.status == 422 && in_use.text.contains("'Dealt' is sent as this pool"), "{}", in_use.text);

    let campaign = format!("/campaigns/{}", dealt["id"].as_str().unwrap());
    w.post(&format!("{campaign}/schedule"), &json!({})).await.ok();
    w.until(&campaign, |c| c["status"] == "completed").await;
    // A reply to either sender finds the campaign.
    let from =
        |number: &str| w.smsc.got().into_iter().find(|sm| sm.destination_addr == number).unwrap().source_addr;
    let one = from("12025550001");
    assert_ne!(one, from("12025550002"));
    w.smsc.reply("12025550001", &one, "Thank you").await;
    let replies = w.until(&format!("{campaign}/replies"), |r| r["items"][0].is_object()).await;
    assert_eq!(replies["items"][0]["text"], "Thank you");
    assert!(w.page(&campaign).await.contains(">Numbers</dd>"));
    let index = w.page("/?sender=%7B%22pool%22%3A%22pol_1%22%7D").await;
    assert!(index.contains(">Numbers</option>") && index.contains(">Dealt</a>"), "{index}");
    // Also by one of the pool's numbers, and by no other.
    let by_number = w.page("/?sender=%2B12025550198").await;
    assert!(
        by_number.contains("selected>+12025550198</option>") && by_number.contains(">Dealt</a>"),
        "{by_number}"
    );
    assert!(!w.page("/?sender=%2B12025550197").await.contains(">Dealt</a>"));
    // Once the campaign is done, the pool may be removed.
    assert_eq!(w.answer(w.request(Method::DELETE, &at)).await.status, 204);
    assert!(w.page(&campaign).await.contains(">pol_1</dd>"));
    w.assert_sound().await;
}

#[tokio::test]
async fn events_tell_of_imports_webhooks_and_routes_and_whether_anything_was_missed() {
    let w = World::start().await;
    let page = w.page("/").await;
    let seen = page.split("data-seen=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut events = w.request(Method::GET, "/events").send().await.unwrap();
    let mut heard = String::new();
    let mut hear = async |part: &str| {
        while !heard.contains(part) {
            let chunk = tokio::time::timeout(Duration::from_secs(20), events.chunk()).await;
            heard.push_str(std::str::from_utf8(&chunk.expect(part).unwrap().unwrap()).unwrap());
        }
    };
    // Nothing changed since the page was read, so it stays as it is.
    hear(&format!("event: reload\ndata: {seen}\n")).await;
    w.list_of(PEOPLE).await;
    hear("event: import\ndata: {\"id\":\"imp_1\"}").await;
    let hook =
        w.post("/webhooks", &json!({"url": "http://127.0.0.1:9/", "levels": ["campaign"]})).await.created();
    w.post(&format!("/webhooks/{}/test", hook["id"].as_str().unwrap()), &json!({})).await;
    hear("event: webhook\ndata: {\"id\":\"whk_1\"}").await;
    w.route(json!({})).await;
    hear("event: routes\n").await;
    let later = w.page("/").await;
    assert!(!later.contains(&format!("data-seen=\"{seen}\"")), "{later}");
}

#[tokio::test]
async fn days_of_the_index_begin_and_end_in_the_readers_zone_otherwise_in_the_accounts() {
    let w = World::start().await;
    // The fifteenth of June begins here ten hours before it ends everywhere west of Greenwich.
    let settings = json!({"answers": {"en": {"opt_out": "", "help": ""}}, "time_zone": "Pacific/Kiritimati"});
    w.put("/settings", &settings).await.ok();
    let (route, list) = (w.route(json!({})).await, w.list_of(PEOPLE).await);
    for (name, at) in [
        ("Eve", "2098-06-14T09:59:00Z"),
        ("Midnight", "2098-06-14T10:00:00Z"),
        ("Late", "2098-06-15T09:59:00Z"),
        ("Morrow", "2098-06-15T10:00:00Z"),
    ] {
        w.start_campaign(&json!({"channel": "sms", "name": name, "route_id": route, "sender": "CLINIC",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "Hello", "send": {"at": at}}]}))
            .await;
    }
    let shown = async |query: &str| {
        let page = w.page(&format!("/?{query}")).await;
        let all = ["Eve", "Midnight", "Late", "Morrow"];
        all.into_iter().filter(|name| page.contains(&format!(">{name}</a>"))).collect::<Vec<_>>()
    };
    assert_eq!(shown("from=2098-06-15&to=2098-06-15").await, ["Midnight", "Late"]);
    assert_eq!(shown("from=2098-06-15").await, ["Midnight", "Late", "Morrow"]);
    assert_eq!(shown("to=2098-06-14").await, ["Eve"]);
    // A browser says where its reader is: there the day began 21 hours later.
    assert_eq!(
        shown("from=2098-06-15&to=2098-06-15&zone=America/Los_Angeles").await,
        ["Late", "Morrow"],
        "the fifteenth lasts from seven in the morning to seven in the morning, in UTC"
    );
    assert_eq!(shown("to=2098-06-14&zone=America/Los_Angeles").await, ["Eve", "Midnight"]);
}

/// The rows of the list of reasons: each outcome, reason and count, and where its link leads.
fn reasons(page: &str) -> Vec<(String, String, String, String)> {
    let list = page.split("data-part=\"why-not\"").nth(1).unwrap().split("</ul>").next().unwrap();
    let rows = list.split("<li>").skip(1).map(|row| {
        let link = row.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        let inside = |tag: &str| {
            let element = row.split(&format!("<{tag}")).nth(1).unwrap().split_once('>').unwrap().1;
            element.split('<').next().unwrap().to_owned()
        };
        (inside("small"), inside("a "), inside("b"), link.replace("&#38;", "&").replace("&amp;", "&"))
    });
    rows.collect()
}

#[tokio::test]
async fn why_messages_did_not_arrive_is_counted_by_reason_in_words_that_lead_to_those_people() {
    let w = World::start().await;
    let numbers: Vec<String> = (0..16).map(|i| fixture::number(i).to_string()).collect();
    let named = |at: usize| if at == 12 || at == 13 || at == 14 { "" } else { "Ana" };
    let rows: Vec<String> =
        numbers.iter().enumerate().map(|(at, n)| format!("{n},{}\n", named(at))).collect();
    let list = w.list_of(&format!("phone,first_name\n{}", rows.concat())).await;
    let fates = [
        (0..3, Fate::Refused(SmppError::ESME_RINVDSTADR)),
        (3..5, Fate::Refused(SmppError::ESME_RSUBMITFAIL)),
        (5..9, Fate::Undelivered(27)),
        (9..10, Fate::Undelivered(1)),
    ];
    for (people, fate) in fates {
        people.for_each(|at| w.smsc.decide(&numbers[at][1..], fate));
    }
    for number in &numbers[10..12] {
        w.post("/suppressions", &json!({"channel": "sms", "number": number})).await.created();
    }
    let route = w.route(json!({})).await;
    let at = w
        .start_campaign(&json!({"channel": "sms", "name": "Why", "route_id": route, "sender": "CLINIC",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "Hello {{ first_name }}", "send": {"now": true}}]}))
        .await;
    let totals =
        w.until(&at, |c| c["totals"]["delivered"] == 1 && c["totals"]["undelivered"] == 5).await["totals"]
            .clone();
    assert_eq!((&totals["failed"], &totals["skipped"]), (&json!(5), &json!(5)), "{totals}");

    let told = reasons(&w.page(&at).await);
    let shown: Vec<(&str, &str, &str)> =
        told.iter().map(|(o, why, n, _)| (o.as_str(), why.as_str(), n.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("Undelivered", "the phone was switched off or out of reach (error 027) (carrier code 27)", "4"),
            ("Failed", "the SMSC does not know this number (carrier code 11)", "3"),
            ("Skipped", "Missing field", "3"),
            ("Failed", "the SMSC refused the message (carrier code 69)", "2"),
            ("Skipped", "Blocked", "2"),
            ("Undelivered", "the number is not in service (error 001) (carrier code 1)", "1"),
        ]
    );
    // Each link leads to exactly those people, and each of them says the same reason.
    for (outcome, why, count, link) in &told {
        let page = w.page(link).await;
        let there = numbers.iter().filter(|number| page.contains(&format!(">{number}</a>"))).count();
        assert_eq!(there.to_string(), *count, "{outcome} {why} {link}");
        let words = why.split(" (carrier code ").next().unwrap();
        assert_eq!(page.matches(words).count(), there, "{outcome} {why} {link}");
        // The API and the file count the same.
        let query = link.split_once('?').unwrap().1;
        let items = w.get(&format!("{at}/deliveries?{query}")).await.ok()["items"].as_array().unwrap().len();
        let lines = w.get(&format!("{at}/deliveries.csv?{query}")).await.text.lines().count() - 1;
        assert_eq!((items, lines), (there, there), "{outcome} {why} {query}");
    }
}

#[tokio::test]
async fn a_message_is_tried_on_a_phone_of_ones_own_as_a_contact_reads_it_and_counts_nowhere() {
    let w = World::start().await;
    let (route, list) = (w.route(json!({})).await, w.list_of(PEOPLE).await);
    let definition = json!({"channel": "sms", "name": "Tried", "route_id": route, "sender": "CLINIC", "list_ids": [list],
        "messages": [{"text": "Hello {{ first_name }}", "send": {"now": true}},
            {"text": "{{ email | default('No address') }}", "send": {"after": "P1D"}}]});
    let id = w.post("/campaigns", &definition).await.created()["id"].as_str().unwrap().to_owned();
    let at = format!("/campaigns/{id}");
    let try_it = async |how: serde_json::Value| w.post(&format!("{at}/test"), &how).await;
    let arrives = async |number: &str, text: &str| {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while w.smsc.texts().get(number).map(String::as_str) != Some(text) {
            assert!(std::time::Instant::now() < end, "{text}: {:?}", w.smsc.texts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ana = try_it(json!({"to": "+12025559991", "as": "+12025550001"})).await;
    assert_eq!((ana.status, &ana.body["test"]), (202, &json!(true)), "{}", ana.text);
    arrives("12025559991", "Hello Ana").await;
    try_it(json!({"to": "+12025559992", "as": "+13125550003", "message": 2})).await;
    arrives("12025559992", "No address").await;

    w.post("/suppressions", &json!({"channel": "sms", "number": "+12025559993"})).await.created();
    for (how, field) in [
        (json!({"to": "+12025559994"}), "as"),
        (json!({"to": "+12025559994", "as": "+12025550001", "message": 3}), "message"),
        (json!({"to": "+12025559994", "as": "+12025550001", "message": 0}), "message"),
        (json!({"to": "nobody", "as": "+12025550001"}), "to"),
        (json!({"to": "+12025559993", "as": "+12025550001"}), "to"),
    ] {
        let refused = try_it(how).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (422, &json!(field)));
    }
    // In the editor, what is typed is sent before it is saved, as the first person that it is shown for reads it.
    let typed = [
        ("action", "try-0"),
        ("text", "Typed for {{ first_name }}"),
        ("kind", "now"),
        ("at", ""),
        ("local", ""),
        ("late", ""),
        ("number", "1"),
        ("unit", "days"),
        ("time", ""),
        ("zone", ""),
        ("see", "+12025550002"),
        ("test_to", "+12025559995"),
        ("version", "1"),
    ];
    let page = w.answer(w.request(Method::POST, &format!("/{at}/messages")).form(&typed)).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("Test sent to +12025559995, as +12025550002 would read it."), "{}", page.text);
    arrives("12025559995", "Typed for Ben").await;
    let c = w.get(&at).await.ok();
    assert_eq!(
        (&c["status"], &c["messages"][0]["text"]),
        (&json!("defined"), &json!("Hello {{ first_name }}"))
    );
    assert_eq!(w.get(&format!("{at}/deliveries")).await.ok()["items"], json!([]));
    // Ten in an hour are enough.
    let mut status = 202;
    for n in 0..10 {
        status = try_it(json!({"to": format!("+1202555998{n}"), "as": "+12025550001"})).await.status;
    }
    assert_eq!(status, 429);
}

#[tokio::test]
async fn an_address_that_says_what_was_done_is_believed_only_where_it_was_done_lately() {
    let w = World::start().await;
    let (route, list) = (w.route(json!({})).await, w.list_of(PEOPLE).await);
    let definition = json!({"channel": "sms", "name": "Said", "route_id": route, "sender": "CLINIC", "list_ids": [list],
        "opt_in_acknowledged": true, "window": null,
        "messages": [{"text": "Hello", "send": {"at": "2099-01-01T10:00:00Z"}}]});
    let at = w.start_campaign(&definition).await;
    assert!(w.page(&format!("{at}?did=schedule")).await.contains("Scheduled for 3 recipients."));
    for never in ["stop", "archive", "restart", "release", "hang_up", "nothing"] {
        let page = w.page(&format!("{at}?did={never}")).await;
        assert!(!page.contains("notice good"), "{never}: {page}");
    }
    w.post(&format!("{at}/stop"), &json!({})).await.ok();
    assert!(w.page(&format!("{at}?did=stop")).await.contains("Stopped. 0 sent, 3 cancelled."));
}
