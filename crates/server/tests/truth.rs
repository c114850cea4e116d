//! Screens show what happened, or what will: checked in a browser.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::time::{Duration, Instant};

use fixture::{
    browser::{Browser, Paper},
    smsc::Fate,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::Role;
use world::World;

const PASSWORD: &str = "a good long password";

/// A browser in which an admin is signed in; none if the machine has no Chromium.
async fn signed_in(w: &World) -> Option<Browser> {
    let b = Browser::start(w.base(), Paper::Light).await?;
    let hash = server::secret::hash(PASSWORD.to_owned()).await.unwrap();
    w.store.add_user("ana@clinic.example", Role::Admin, hash, fixture::by(Timestamp::now())).await.unwrap();
    b.go("/sign-in").await;
    b.fill("[name=email]", "ana@clinic.example").await;
    b.fill("[name=password]", PASSWORD).await;
    b.press("Sign in").await;
    b.reads("ana@clinic.example").await;
    Some(b)
}

async fn people(w: &World, n: i64) -> String {
    let rows: Vec<String> = (0..n).map(|i| format!("{},Ana{i}", fixture::number(i))).collect();
    w.list_of(&format!("phone,first_name\n{}\n", rows.join("\n"))).await
}

fn campaign(name: &str, route: &str, list: &str, messages: &Value, more: Value) -> Value {
    fixture::with(
        json!({"channel": "sms", "name": name, "route_id": route, "sender": "+12025550100", "list_ids": [list],
            "opt_in_acknowledged": true, "window": null, "messages": messages}),
        more,
    )
}

async fn js(b: &Browser, script: &str) -> Value {
    b.run(script, Vec::new()).await
}

/// What a campaign's page shows: its status, the tiles, the sums of each message's row, and how many were delivered
/// according to the chart and to its table.
const FIGURES: &str = "
    const n = (t) => Number(t.replaceAll(',', ''));
    const tiles = Object.fromEntries([...document.querySelectorAll('[data-total]')].map((d) => [d.dataset.total, n(d.textContent)]));
    const rows = {};
    for (const cell of document.querySelectorAll('[data-outcome]')) rows[cell.dataset.outcome] = (rows[cell.dataset.outcome] ?? 0) + n(cell.textContent);
    const said = [...document.querySelectorAll('svg [data-says]')].map((t) => t.dataset.says).join(', ');
    const bars = [...said.matchAll(/Delivered ([\\d,]+)/g)].reduce((sum, m) => sum + n(m[1]), 0);
    const table = [...document.querySelectorAll('.as-table tbody tr')].reduce((sum, tr) => sum + n(tr.cells[1].textContent), 0);
    return {status: document.getElementById('live').dataset.status, tiles, rows, bars, table};";

/// Looks until the page, left to itself, shows what is wanted.
async fn shows(b: &Browser, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let told = js(b, FIGURES).await;
        if wanted(&told) {
            return told;
        }
        if Instant::now() >= end {
            let asked = "return fetch('/api/v1' + location.pathname).then((r) => r.text()).then((t) => [document.hidden, t])";
            panic!("never {what}: {told}; hidden, and according to the server: {}", js(b, asked).await);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the tiles, the messages' rows, the chart and its table all say that so many were delivered.
fn all_say(told: &Value, delivered: i64) -> bool {
    let all = [&told["tiles"]["delivered"], &told["rows"]["delivered"], &told["bars"], &told["table"]];
    all.into_iter().all(|n| *n == delivered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chart_and_table_follow_a_campaign_by_themselves_to_its_last_receipt() {
    const PEOPLE: i64 = 200;
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let (route, list) = (w.route(json!({"rate_per_second": 20})).await, people(&w, PEOPLE).await);
    let late = [fixture::number(3), fixture::number(70)].map(|number| number.to_string()[1..].to_owned());
    for number in &late {
        w.smsc.decide(number, Fate::Waits);
    }
    let messages = json!([{"text": "Hello", "send": {"now": true}}]);
    let at = w.start_campaign(&campaign("Course", &route, &list, &messages, json!({}))).await;
    b.go(&at).await;
    js(&b, "window.stayed = true").await;
    let running = |told: &Value, more: i64| {
        told["status"] == "running" && told["bars"].as_i64() > Some(more) && told["table"] == told["bars"]
    };
    let first = shows(&b, "the first", |told| running(told, 0)).await["bars"].as_i64().unwrap();
    let second = shows(&b, "more", |told| running(told, first)).await["bars"].as_i64().unwrap();
    shows(&b, "still more", |told| running(told, second)).await;
    let settled = PEOPLE - late.len() as i64;
    shows(&b, "its end", |told| told["status"] == "completed" && all_say(told, settled)).await;
    // Receipts also come after that.
    for number in &late {
        w.smsc.deliver(number).await;
    }
    shows(&b, "the last receipts", |told| all_say(told, PEOPLE)).await;
    assert_eq!(js(&b, "return window.stayed").await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chart_and_table_follow_the_receipts_of_a_pilot_that_is_held() {
    const PILOT: i64 = 20;
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let (route, list) = (w.route(json!({})).await, people(&w, 60).await);
    for i in 0..60 {
        w.smsc.decide(&fixture::number(i).to_string()[1..], Fate::Waits);
    }
    let messages = json!([{"text": "Hello", "send": {"now": true}}]);
    let at = w.start_campaign(&campaign("Pilot", &route, &list, &messages, json!({"pilot": PILOT}))).await;
    b.go(&at).await;
    b.reads("Pilot sent. Check the results").await;
    shows(&b, "the pilot", |told| told["tiles"]["sent"] == PILOT && all_say(told, 0)).await;
    let got = w.smsc.got();
    for (n, sm) in (1..).zip(&got) {
        w.smsc.deliver(&sm.destination_addr).await;
        if n == 1 {
            shows(&b, "the first receipt", |told| all_say(told, n)).await;
        }
    }
    shows(&b, "all receipts", |told| all_say(told, PILOT)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_focused_button_and_selected_text_stay_through_live_updates() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let (route, list) = (w.route(json!({"rate_per_second": 20})).await, people(&w, 400).await);
    let messages = json!([{"text": "Hello and good day", "send": {"now": true}}]);
    let at = w.start_campaign(&campaign("Held fast", &route, &list, &messages, json!({}))).await;
    b.go(&at).await;
    let mut seen = shows(&b, "its beginning", |told| told["bars"].as_i64() > Some(0)).await["bars"].as_i64();
    js(
        &b,
        "window.held = document.querySelector('#live .head button.danger');
         window.held.focus();
         const text = document.querySelector('[data-message] div').firstChild;
         getSelection().setBaseAndExtent(text, 6, text, 14);",
    )
    .await;
    for _ in 0..3 {
        let told = shows(&b, "an update", |told| told["bars"].as_i64() > seen).await;
        assert_eq!(told["status"], "running");
        seen = told["bars"].as_i64();
        let kept = "return [document.activeElement === window.held, window.held.textContent, getSelection().toString()]";
        assert_eq!(js(&b, kept).await, json!([true, "Stop", "and good"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_session_ended_elsewhere_says_so_by_itself() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    w.post("/campaigns", &json!({"channel": "sms", "name": "Just made"})).await.created();
    b.reads("Just made").await;
    // It need not wait until it looks: the end of its events tells.
    js(&b, "for (let timer = setInterval(() => {}, 1e9); timer > 0; timer--) clearInterval(timer)").await;
    let user = w.store.users().await.unwrap().remove(0).id;
    let hash = server::secret::hash("another good long password".to_owned()).await.unwrap();
    w.store.set_password(user, hash, fixture::by(Timestamp::now())).await.unwrap();
    let said = b.reads("You are signed out").await;
    assert!(!said.contains("Connection lost."), "{said}");
    b.click("#lost a").await;
    b.reads("Password").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_stays_said_and_chart_and_table_tell_what_the_tiles_tell() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let (route, list) = (w.route(json!({"rate_per_second": 40})).await, people(&w, 300).await);
    let messages = json!([{"text": "Hello {{ first_name }}", "send": {"now": true}}, {"text": "Bye", "send": {"after": "P1D"}}]);
    let at = w.start_campaign(&campaign("Flu shots", &route, &list, &messages, json!({}))).await;
    b.go(&at).await;
    w.until(&at, |c| c["totals"]["delivered"].as_i64().unwrap() > 20).await;
    b.press("Stop").await;
    b.reads("Stopped. ").await;
    w.until(&at, |c| c["totals"]["sent"] == 0 && c["totals"]["sending"] == 0).await;
    // The live part is loaded anew, and still says what was done.
    js(&b, "return refresh()").await;
    js(&b, "return refresh()").await;
    assert!(b.text().await.contains("Stopped. "));
    // The chart's bars add up to the tiles, its table says the same, and each message's row adds up to its tiles.
    let told = js(&b, FIGURES).await;
    let delivered = &told["tiles"]["delivered"];
    assert!(delivered.as_i64().unwrap() > 20, "{told}");
    assert_eq!((&told["bars"], &told["table"]), (delivered, delivered), "{told}");
    for (outcome, n) in told["rows"].as_object().unwrap() {
        assert_eq!(n, &told["tiles"][outcome], "{outcome}: {told}");
    }
    assert_eq!(told["tiles"]["cancelled"].as_i64().unwrap() + delivered.as_i64().unwrap(), 600, "{told}");
    assert_eq!(told["rows"]["cancelled"], told["tiles"]["cancelled"]);
    // Times of the chart are the reader's, in words, and none lies in the future but the end of the minute that it is.
    let zones = js(
        &b,
        "const there = Intl.DateTimeFormat().resolvedOptions().timeZone;
         const short = (at) => new Date(at).toLocaleTimeString(locale, {timeStyle: 'short'});
         const times = [...document.querySelectorAll('.times [data-at]')];
         return [document.querySelector('[data-part=chart] [data-zone-line]').title === there,
             times.length > 0 && times.every((t) => t.textContent === short(t.dataset.at)),
             times.every((t) => new Date(t.dataset.at) - new Date() <= 60000),
             document.querySelector('[data-part=chart] h2').textContent.includes('Messages per minute')];",
    )
    .await;
    assert_eq!(zones, json!([true, true, true, true]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_keeps_its_focus_and_its_open_menu_and_says_when_it_is_cut_off() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let (route, list) = (w.route(json!({"rate_per_second": 20})).await, people(&w, 200).await);
    let messages = json!([{"text": "Hello", "send": {"now": true}}]);
    let at = w.start_campaign(&campaign("Focus", &route, &list, &messages, json!({}))).await;
    b.go(&at).await;
    js(&b, "document.querySelector('.tabs a[href$=\"/replies\"]').focus(); document.querySelector('details.menu').open = true").await;
    let before = w.get(&at).await.ok()["totals"]["delivered"].as_i64().unwrap();
    w.until(&at, |c| c["totals"]["delivered"].as_i64().unwrap() > before + 10).await;
    js(&b, "return refresh()").await;
    let kept = js(
        &b,
        "return [document.activeElement.getAttribute('href'), document.querySelector('details.menu').open]",
    )
    .await;
    assert_eq!(kept, json!([format!("{at}/replies"), true]));
    js(&b, "window.dispatchEvent(new Event('offline'))").await;
    b.reads("Connection lost.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_says_who_gets_it_for_how_much_and_when_in_the_readers_zone() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    w.put("/settings", &json!({"answers": {"en": {"opt_out": "", "help": ""}}, "time_zone": "Asia/Tokyo", "currency": "EUR"})).await.ok();
    let (route, list) = (w.route(json!({"price_per_segment": "0.5"})).await, people(&w, 10).await);
    for i in 0..3 {
        let number = json!({"channel": "sms", "number": fixture::number(i).to_string()});
        w.post("/suppressions", &number).await.created();
    }
    let at = (Timestamp::now() + SignedDuration::from_hours(72)).round(jiff::Unit::Minute).unwrap();
    let messages = json!([{"text": "Hi [first name] {city}", "send": {"at": at}}, {"text": "Bye", "send": {"after": "PT2H"}}]);
    // A budget is an amount as people write it; above it there is no button to press, and the forecast stays.
    let made = w
        .post("/campaigns", &campaign("Money", &route, &list, &messages, json!({"max_cost": "$5"})))
        .await
        .created();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["warnings"].as_array().unwrap().len(), 2);
    b.go(&format!("/campaigns/{id}/schedule")).await;
    let said = b.reads("Schedule for 7 recipients").await;
    assert!(
        said.contains("€7.00") && said.contains("over the €5.00 limit") && said.contains("{{ first_name }}"),
        "{said}"
    );
    assert_eq!(js(&b, "return document.querySelector('form.buttons button').disabled").await, true);
    // All times are the reader's, in one form.
    let shown = b.run("return local(arguments[0])", vec![json!(at.to_string())]).await;
    assert!(said.matches(shown.as_str().unwrap()).count() >= 2, "{shown:?}\n{said}");
    b.picture("schedule-over-budget").await;
    // The editor asks for the same time in the same zone, says which, and keeps it when it is saved.
    b.go(&format!("/campaigns/{id}/messages")).await;
    b.reads("to fill in a field of the contact, write {{ first_name }}").await;
    let form = js(
        &b,
        "const set = document.querySelector('[data-kind=at]');
         return [set.querySelector('[data-zone-name]').textContent, Intl.DateTimeFormat().resolvedOptions().timeZone,
             new Date(set.querySelector('[name=at]').value).getTime(), document.querySelector('textarea').dir];",
    )
    .await;
    assert_eq!((&form[0], form[2].as_i64()), (&form[1], Some(at.as_millisecond())));
    assert_eq!(form[3], "auto");
    b.picture("editor-warnings").await;
    b.click("main button[value=save]:not(.unseen)").await;
    b.reads("Saved.").await;
    let kept = w.get(&format!("/campaigns/{id}")).await.ok()["messages"][0]["send"]["at"].clone();
    assert_eq!(kept, json!(at.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_stopped_or_archived_by_a_press_that_does_not_say_so() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let (route, list) = (w.route(json!({})).await, people(&w, 50).await);
    let messages = json!([{"text": "Hello", "send": {"at": "2099-01-01T10:00:00Z"}}]);
    let at = w.start_campaign(&campaign("Later", &route, &list, &messages, json!({}))).await;
    // New times are shown first, with the people whom they reach.
    b.go(&format!("{at}/adjust")).await;
    b.choose("[name=kind]", "Immediately").await;
    b.press("Preview times").await;
    b.reads("50 recipients: first message").await;
    b.picture("adjust-looked").await;
    assert_eq!(w.get(&at).await.ok()["status"], "scheduled");
    // Archiving, and stopping what has not begun, ask first and say what they cancel.
    b.go(&at).await;
    assert_eq!(js(&b, "return document.querySelectorAll('.head .danger').length").await, 0);
    b.press("More").await;
    b.press("Archive").await;
    b.reads("50 messages are still to be sent. Archiving cancels them").await;
    b.picture("archive-asks").await;
    b.press("Back").await;
    b.reads("Scheduled").await;
    assert_eq!(w.get(&at).await.ok()["status"], "scheduled");
    b.press("More").await;
    b.press("Stop").await;
    b.reads("50 messages are still to be sent and will be cancelled").await;
    b.press("Stop").await;
    b.reads("Stopped. ").await;
    b.press("More").await;
    b.press("Archive").await;
    b.press("Archive").await;
    b.reads("Archived. Find it under Archived.").await;
    // A person who searches for it by its name is told where it is.
    b.go("/?q=later").await;
    b.press("Show archived campaigns that match").await;
    b.press("Later").await;
    b.reads("was Stopped").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_foretold_after_the_message_before_it_really_goes() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let (route, list) = (w.route(json!({})).await, people(&w, 20).await);
    // Open in an hour other than the present one in New York, where all of them are.
    let there = Timestamp::now().in_tz("America/New_York").unwrap();
    let hour = (there.hour() + 3) % 22;
    let window = json!({"from": format!("{hour:02}:00"), "to": format!("{:02}:59", hour + 1)});
    let messages =
        json!([{"text": "One", "send": {"now": true}}, {"text": "Two", "send": {"after": "PT30M"}}]);
    let made = w
        .post("/campaigns", &campaign("Night", &route, &list, &messages, json!({"window": window})))
        .await
        .created();
    let at = format!("/campaigns/{}", made["id"].as_str().unwrap());
    let forecast = w.post(&format!("{at}/schedule?dry_run=true"), &json!({})).await.ok();
    let time = |v: &Value| v.as_str().unwrap().parse::<Timestamp>().unwrap();
    let (first, second) =
        (time(&forecast["times"][0]["first_send"]), time(&forecast["times"][1]["first_send"]));
    assert!(first > Timestamp::now() && second >= first + SignedDuration::from_mins(30), "{forecast}");
    assert!(time(&forecast["last_send"]) >= second, "{forecast}");
    b.go(&format!("{at}/schedule")).await;
    let shown = b.run("return local(arguments[0])", vec![json!(second.to_string())]).await;
    let said = b.reads("Schedule for 20 recipients").await;
    assert!(said.contains(shown.as_str().unwrap()), "{shown}: {said}");
    b.press("Schedule for 20 recipients").await;
    b.reads("Waiting for sending hours").await;
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let said = b.text().await;
        if said.contains(shown.as_str().unwrap()) {
            break;
        }
        assert!(Instant::now() < end, "{shown}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_found_by_name_and_texts_of_every_direction_stand_apart() {
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let route = w.route(json!({})).await;
    let file = "phone,first_name,email,time_zone\n+12025550001,Ana,not one,Nowhere\n+12025550002,\u{5d3}\u{5e0}\u{5d4},,\nnobody,Ben,,\n";
    let (import, list) = w.import(file, "").await;
    b.go(&format!("/contacts/imports/{}", import["id"].as_str().unwrap())).await;
    let said = b.reads("Values left out").await;
    assert!(
        said.contains("1 × email: not an e-mail address") && said.contains("2 imported, 1 need attention"),
        "{said}"
    );
    assert_eq!(
        js(&b, "return document.querySelector('[role=status].notice').className").await,
        "notice warn"
    );
    b.picture("import-left-out").await;
    let messages = json!([{"text": "\u{5e9}\u{5dc}\u{5d5}\u{5dd} {{ first_name }}", "send": {"now": true}}]);
    let at = w.start_campaign(&campaign("Shalom \u{5e9}", &route, &list, &messages, json!({}))).await;
    w.until(&at, |c| c["totals"]["delivered"] == 2).await;
    b.go(&format!("{at}/recipients?q=ana")).await;
    let said = b.reads("+12025550001").await;
    assert!(!said.contains("+12025550002"), "{said}");
    b.go(&format!("{at}/recipients?q=zoe")).await;
    b.reads("No matches.").await;
    b.go(&at).await;
    b.reads("Shalom").await;
    let directions = js(&b, "return [getComputedStyle(document.querySelector('td div[dir=auto]')).direction, document.querySelectorAll('bdi').length > 0]").await;
    assert_eq!(directions, json!(["rtl", true]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_turns_the_direction_turns_nothing_around_it() {
    // RIGHT-TO-LEFT OVERRIDE, never taken back.
    const TURNED: &str = "x\u{202e}abc";
    let w = World::start().await;
    let Some(b) = signed_in(&w).await else { return };
    let route = w.route(json!({})).await;
    let file = format!("phone,first_name,town\n+12025550001,{TURNED},{TURNED}\n{TURNED},Ben,\n");
    let (import, list) = w.import(file, "").await;
    let messages = json!([{"text": format!("{TURNED} {{{{ first_name }}}}"), "send": {"now": true}}]);
    let definition = campaign("Draft", &route, &list, &messages, json!({}));
    let draft = w.post("/campaigns", &definition).await.created()["id"].as_str().unwrap().to_owned();
    let at = w.start_campaign(&fixture::with(definition, json!({"name": "Sent"}))).await;
    w.until(&at, |c| c["totals"]["delivered"] == 1).await;
    w.smsc.reply("12025550001", "12025550100", TURNED).await;
    w.until(&format!("{at}/replies"), |r| r["items"][0].is_object()).await;
    b.go("/contacts/+12025550001").await;
    b.fill("[name=source]", TURNED).await;
    b.press("Record consent").await;
    b.reads("recorded by").await;

    // Text that nobody typed in runs from left to right.
    let turned = "const turned = [];
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
            const text = texts.currentNode.data;
            if (text.includes('\\u202e') || text.trim().length < 2) continue;
            const rects = [...text].map((_, i) => {
                const range = document.createRange();
                range.setStart(texts.currentNode, i);
                range.setEnd(texts.currentNode, i + 1);
                return range.getBoundingClientRect();
            });
            const runs = (a, b) => a.width === 0 || b.width === 0 || a.top !== b.top || a.left <= b.left;
            if (!rects.every((rect, i) => i === 0 || runs(rects[i - 1], rect))) turned.push(text);
        }
        return [turned, document.body.textContent.split('\\u202e').length - 1];";
    let import = import["id"].as_str().unwrap();
    for path in [
        at.clone(),
        format!("{at}/replies"),
        format!("/campaigns/{draft}/messages"),
        "/contacts?q=x".to_owned(),
        format!("/contacts/lists/{list}"),
        format!("/contacts/imports/{import}"),
        "/contacts/+12025550001".to_owned(),
    ] {
        b.go(&path).await;
        let seen = js(&b, turned).await;
        assert!(seen[1].as_i64() > Some(0), "{path} shows no such name");
        assert_eq!(seen[0], json!([]), "{path}");
    }
}
