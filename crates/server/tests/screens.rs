//! A person runs a campaign in the browser, against an SMSC that is not ours.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use fixture::browser::{self, Browser, Paper};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Barred, ImportTarget, Role};
use world::World;

const PEOPLE: i64 = 2_000;
const PASSWORD: &str = "a good long password";

/// Creates the first account by its one-time link.
async fn sign_up(w: &World, b: &Browser) {
    w.store.invite(Role::Admin, "first", fixture::by(Timestamp::now())).await.unwrap();
    b.go("/welcome/first").await;
    // The first admin is asked where the account is; the browser knows.
    let zones = "return [document.querySelector('[name=time_zone]').value, Intl.DateTimeFormat().resolvedOptions().timeZone]";
    let zones = b.run(zones, Vec::new()).await;
    assert_eq!(zones[0], zones[1]);
    b.picture("welcome").await;
    b.fill("[name=email]", "ana@clinic.example").await;
    b.fill("[name=password]", PASSWORD).await;
    b.press("Create account").await;
    b.reads("Your first campaign").await;
}

async fn add_route(w: &World, b: &Browser) {
    b.press("Routes").await;
    b.press("Add a route").await;
    b.fill("[name=name]", "Carrier").await;
    b.fill("[name=host]", "127.0.0.1").await;
    b.fill("[name=port]", &w.smsc.port.to_string()).await;
    b.fill("[name=system_id]", "us").await;
    b.fill("[name=password]", fixture::smsc::PASSWORD).await;
    b.fill("[name=rate_per_second]", "400").await;
    b.picture("route").await;
    b.press("Save").await;
    b.reads("Connected").await;
    b.picture("routes").await;
    // One message to test it, before anybody else gets one.
    b.press("Carrier").await;
    b.fill("[name=from]", "CLINIC").await;
    b.fill("[name=number]", "+12025559999").await;
    b.press("Send test").await;
    b.reads("Sent").await;
    assert_eq!(w.smsc.texts()["12025559999"], "Test message from Carillon.");
}

async fn import(b: &Browser) {
    let csv: String = std::iter::once("phone,first_name\n".to_owned())
        .chain((0..PEOPLE).map(|i| format!("{},Ana{i}\n", fixture::number(i))))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patients.csv");
    std::fs::write(&file, csv).unwrap();
    b.press("Contacts").await;
    b.fill("[name=name]", "Patients").await;
    b.press("Create list").await;
    b.upload("[name=file]", &file).await;
    b.press("Upload").await;
    b.reads("Refresh preview").await;
    b.press("Import").await;
    b.reads("2,000 imported, 0 need attention.").await;
    b.picture("import").await;
    b.press("Open list").await;
    b.reads("Patients 2,000 contacts").await;
    b.picture("list").await;
}

async fn write(b: &Browser) {
    b.press("Campaigns").await;
    b.press("New SMS campaign").await;
    b.fill("[name=name]", "Flu shots").await;
    b.choose("[name=route_id]", "Carrier").await;
    b.fill("[name=sender]", "+12025550100").await;
    b.click("[name=list_ids]").await;
    b.click("[name=window][value=any]").await;
    b.click("[name=opt_in_acknowledged]").await;
    b.picture("editor").await;
    b.press("Next: messages").await;
    let text = "Hello {{ first_name | default('there') }}, flu shots are here.";
    b.fill("textarea[name=text]", text).await;
    // Counted and shown while typing.
    b.reads("Hello Ana0, flu shots are here.").await;
    b.reads("GSM-7").await;
    b.press("Add message").await;
    b.reads("When to send message 2").await;
    b.fill("fieldset.message:nth-of-type(2) textarea", "Last days for your flu shot.").await;
    b.fill("fieldset.message:nth-of-type(2) [name=number]", "2").await;
    b.picture("messages").await;
    b.press("Review and schedule").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_user_imports_writes_schedules_stops_restarts_archives_and_clones() {
    let w = World::start().await;
    let Some(b) = Browser::start(w.base(), Paper::Light).await else { return };
    sign_up(&w, &b).await;
    b.picture("empty").await;
    add_route(&w, &b).await;
    import(&b).await;
    write(&b).await;
    b.reads("2 days after the previous message").await;
    b.picture("schedule").await;
    b.press("Schedule for 2,000 recipients").await;
    b.reads("Running").await;

    // The page fills by itself, without a reload.
    b.run("window.stayed = true", Vec::new()).await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while b.run("return document.querySelector('[data-total=delivered]').textContent", Vec::new()).await
        == "0"
    {
        assert!(std::time::Instant::now() < end);
    }
    assert_eq!(b.run("return window.stayed", Vec::new()).await, true);
    b.picture("running").await;
    b.press("Stop").await;
    let stopped = b.reads("Stopped. ").await;
    // One of them was the test.
    let left = w.smsc.count() - 1;
    let said = format!("Stopped. {left} sent, {} cancelled.", grouped(2 * PEOPLE - left));
    assert!(stopped.contains(&said), "{said}\n{stopped}");
    b.picture("stopped").await;

    b.press("Restart").await;
    let plan = b.reads("left. Starts").await;
    assert!(plan.contains(&format!("{} left", grouped(PEOPLE - left))), "{plan}");
    b.choose("section:nth-of-type(2) [name=kind]", "Immediately").await;
    b.picture("restart").await;
    b.click("button[value=restart]").await;
    b.reads("Completed").await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while w.smsc.count() < 2 * PEOPLE + 1 && std::time::Instant::now() < end {}
    let mut each = w.smsc.per_number();
    assert_eq!(each.remove("12025559999"), Some(1));
    assert!(each.len() == PEOPLE as usize && each.values().all(|n| *n == 2), "{each:?}");
    b.picture("completed").await;

    b.press("More").await;
    b.picture("menu").await;
    b.press("Archive").await;
    b.reads("cannot be brought back").await;
    b.press("Archive").await;
    b.reads("Archived. Find it under Archived.").await;
    b.press("Campaigns").await;
    b.reads("No SMS campaigns yet.").await;
    b.click("nav a[href*='status=archived']").await;
    b.press("Flu shots").await;
    b.reads("was Completed").await;
    b.press("More").await;
    b.press("Clone").await;
    b.reads("Copy of Flu shots").await;
    b.reads("Defined").await;
    b.go("/").await;
    b.picture("index").await;
    w.assert_sound().await;
}

fn grouped(n: i64) -> String {
    if n < 1000 { n.to_string() } else { format!("{},{:03}", n / 1000, n % 1000) }
}

/// A world with something on every page.
async fn lived_in(w: &World) {
    let csv = "phone,first_name,clinic\n+12025550001,Ana,North\n+12025550002,Ben,South\n+1202555,Cut,\n";
    let (_, list) = w.import(csv, "").await;
    let waits = w
        .store
        .queue_import(ImportTarget::DoNotContact(Barred::Sms), 40, fixture::by(Timestamp::now()))
        .await
        .unwrap();
    let waits = w.store.folder().join(format!("imports/{waits}.csv"));
    std::fs::write(waits, "Mobile number,Since\n+12025550003,2026-01-31\nnobody,2026-02-28\n").unwrap();
    let number = json!({"channel": "sms", "number": "+12025550002"});
    let hook = json!({"url": "http://127.0.0.1:9/hooks", "levels": ["person", "campaign"]});
    w.post("/webhooks", &hook).await.created();
    let senders = json!([{"sender": "+12025550190", "rate_per_second": 1}, {"sender": "+12025550191", "rate_per_second": 1}]);
    w.post("/pools", &json!({"name": "Local numbers", "senders": senders})).await.created();
    let route = w.route(json!({})).await;
    let campaign = |name: &str, send: Value| {
        json!({"channel": "sms", "name": name, "owner": "North clinic", "route_id": route, "sender": "+12025550100",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "Hello {{ first_name | default('there') }}.", "send": send},
                {"text": "Until tomorrow.", "send": {"after": "P2D", "time": "10:00"}}]})
    };
    // In the order of their numbers: Running, Stopped, Scheduled, Defined.
    let running = w.start_campaign(&campaign("Reminders", json!({"now": true}))).await;
    w.until(&running, |c| c["totals"]["delivered"] == 2).await;
    for text in ["Thank you", "please stop writing to me", "STOP"] {
        w.smsc.reply("12025550001", "12025550100", text).await;
    }
    let stopped = w.start_campaign(&campaign("Storm warning", json!({"now": true}))).await;
    w.post("/suppressions", &number).await.created();
    w.post(&format!("{stopped}/stop"), &json!({})).await.ok();
    w.start_campaign(&campaign("Flu shots", json!({"at": "2099-01-01T10:00:00Z"}))).await;
    w.post("/campaigns", &campaign("Draft", json!({"now": true}))).await.created();
    w.store.invite(Role::Viewer, "link", fixture::by(Timestamp::now())).await.unwrap();
    let hash = server::secret::hash(PASSWORD.to_owned()).await.unwrap();
    w.store.add_user("ana@clinic.example", Role::Admin, hash, fixture::by(Timestamp::now())).await.unwrap();
}

const PAGES: [(&str, &str); 37] = [
    ("overview", "/overview"),
    ("index", "/"),
    ("voice", "/?channel=voice"),
    ("nothing", "/?q=nowhere"),
    ("running", "/campaigns/cmp_1"),
    ("stopped", "/campaigns/cmp_2?did=stop"),
    ("recipients", "/campaigns/cmp_1/recipients"),
    ("delivery", "/campaigns/cmp_1/recipients/1-0"),
    ("replies", "/campaigns/cmp_1/replies"),
    ("new", "/campaigns/new"),
    ("edit", "/campaigns/cmp_4/edit"),
    ("messages", "/campaigns/cmp_4/messages"),
    ("schedule", "/campaigns/cmp_4/schedule"),
    ("adjust", "/campaigns/cmp_3/adjust"),
    ("restart", "/campaigns/cmp_2/restart"),
    ("contacts", "/contacts"),
    ("list", "/contacts/lists/lst_1"),
    ("import", "/contacts/imports/imp_1"),
    ("columns", "/contacts/imports/imp_2"),
    ("barred", "/contacts/do-not-contact"),
    ("person", "/contacts/+12025550001"),
    ("add-contact", "/contacts/lists/lst_1/add"),
    ("edit-contact", "/contacts/+12025550001/edit"),
    ("routes", "/routes"),
    ("route", "/routes/rte_1"),
    ("pools", "/routes/pools"),
    ("pool", "/routes/pools/pol_1"),
    ("found", "/contacts?q=ana"),
    ("account", "/account"),
    ("settings", "/settings"),
    ("answers", "/settings/answers"),
    ("users", "/settings/users"),
    ("tokens", "/settings/tokens"),
    ("webhooks", "/settings/webhooks"),
    ("webhook", "/settings/webhooks/whk_1"),
    ("audit", "/settings/audit"),
    ("missing", "/campaigns/cmp_99"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_accessible_at_both_widths_on_light_and_on_dark_paper() {
    let Some(axe) = browser::axe() else { return };
    let w = World::start().await;
    lived_in(&w).await;
    let mut findings = Vec::new();
    for paper in [Paper::Light, Paper::Dark] {
        let Some(b) = Browser::start(w.base(), paper).await else { return };
        for (name, path) in [("welcome", "/welcome/link"), ("sign-in", "/sign-in")] {
            b.go(path).await;
            b.picture(name).await;
            findings.extend(b.findings(&axe).await.into_iter().map(|f| format!("{path} {paper:?}: {f}")));
        }
        b.fill("[name=email]", "ana@clinic.example").await;
        b.fill("[name=password]", PASSWORD).await;
        b.press("Sign in").await;
        b.reads("Reminders").await;
        for (name, path) in PAGES {
            b.go(path).await;
            b.picture(name).await;
            findings.extend(b.findings(&axe).await.into_iter().map(|f| format!("{path} {paper:?}: {f}")));
            let is_there = b.run("return document.querySelector('header.side') !== null", Vec::new()).await;
            assert_eq!(is_there, name != "missing", "{path}");
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[tokio::test]
async fn the_first_page_with_its_style_and_script_weighs_less_than_100_kb() {
    const HEAVIEST: usize = 100_000;
    let w = World::start().await;
    lived_in(&w).await;
    let list = w.get("/lists").await.ok()["items"][0]["id"].clone();
    // The Index shows fifty at a time.
    for n in 0..60 {
        let campaign = json!({"channel": "sms", "name": format!("Campaign number {n}"), "list_ids": [list]});
        w.post("/campaigns", &campaign).await.created();
    }
    for path in ["/", "/campaigns/cmp_1"] {
        let mut weight = 0;
        for part in [path, "/assets/design.css", "/assets/page.js", "/assets/icons.svg"] {
            let got = w.answer(w.request(reqwest::Method::GET, &format!("/{part}"))).await;
            assert_eq!(got.status, 200, "{part}");
            weight += got.text.len();
        }
        assert!(weight < HEAVIEST, "{path}: {weight} bytes");
    }
}
