//! Who may do what: signing in, roles at every address, other sites' requests, and what people type.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use jiff::Timestamp;
use reqwest::{Method, StatusCode, header, redirect::Policy};
use serde_json::json;
use server::permission::TABLE;
use store::Role;
use world::World;

const PASSWORD: &str = "a good long password";

/// A browser without scripts: it keeps its cookie and follows no redirects.
struct Visitor<'w> {
    w: &'w World,
    client: reqwest::Client,
    cookie: String,
}

#[derive(Debug)]
struct Seen {
    status: StatusCode,
    text: String,
    to: String,
    policy: String,
}

impl<'w> Visitor<'w> {
    fn new(w: &'w World) -> Self {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Self { w, client, cookie: String::new() }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.w.base())).header(header::COOKIE, &self.cookie)
    }

    async fn see(&self, request: reqwest::RequestBuilder) -> Seen {
        let answer = request.send().await.unwrap();
        let text = |name: header::HeaderName| {
            answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (to, policy) = (text(header::LOCATION), text(header::CONTENT_SECURITY_POLICY));
        Seen { status: answer.status(), to, policy, text: answer.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Seen {
        self.see(self.request(Method::GET, path)).await
    }

    /// Sends a form from a page of the server.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Seen {
        self.see(self.request(Method::POST, path).header(header::ORIGIN, self.w.base()).form(form)).await
    }

    /// Sends a file from a page of the server; `fields` are parts that come before it.
    fn upload(&self, path: &str, fields: &str, bytes: &[u8]) -> reqwest::RequestBuilder {
        let head = "--boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n";
        let body = [fields.as_bytes(), head.as_bytes(), bytes, b"\r\n--boundary--\r\n"].concat();
        self.request(Method::POST, path)
            .header(header::ORIGIN, self.w.base())
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=boundary")
            .body(body)
    }

    async fn sign_in(&mut self, email: &str, password: &str) -> StatusCode {
        let form = [("email", email), ("password", password)];
        let answer = self.request(Method::POST, "/sign-in").form(&form).send().await.unwrap();
        if let Some(cookie) = answer.headers().get(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
            self.cookie = cookie.split(';').next().unwrap().into();
        }
        answer.status()
    }
}

async fn with_people() -> World {
    let w = World::start().await;
    for role in Role::ALL {
        let hash = server::secret::hash(PASSWORD.to_owned()).await.unwrap();
        let email = format!("{}@clinic.example", role.word());
        w.store.add_user(&email, role, hash, fixture::by(Timestamp::now())).await.unwrap();
    }
    w
}

async fn signed_in(w: &World, role: Role) -> Visitor<'_> {
    let mut visitor = Visitor::new(w);
    let email = format!("{}@clinic.example", role.word());
    assert_eq!(visitor.sign_in(&email, PASSWORD).await, StatusCode::SEE_OTHER);
    visitor
}

#[tokio::test]
async fn whoever_signs_in_goes_on_to_the_page_that_was_asked_for_and_to_no_other_site() {
    let w = with_people().await;
    let stranger = Visitor::new(&w);
    let asked = "/contacts?q=ana+b&x=%2F";
    let sent = stranger.get(asked).await.to;
    let (page, query) = sent.split_once('?').unwrap();
    assert_eq!((page, query), ("/sign-in", "to=%2Fcontacts%3Fq%3Dana%2Bb%26x%3D%252F"));
    let form = stranger.get(&sent).await.text;
    assert!(form.contains("name=\"to\" value=\"/contacts?q=ana+b&#38;x=%2F\""), "{form}");
    for (to, reached) in [(asked, asked), ("", "/"), ("//evil.example", "/"), ("https://evil.example", "/")] {
        let form = [("email", "viewer@clinic.example"), ("password", PASSWORD), ("to", to)];
        let answer = stranger.request(Method::POST, "/sign-in").form(&form).send().await.unwrap();
        assert_eq!(answer.headers()[header::LOCATION], reached, "{to}");
    }
    // A wrong password keeps it, and a form that is sent while signed out asks for no page.
    let wrong = [("email", "viewer@clinic.example"), ("password", "wrong"), ("to", asked)];
    let again =
        stranger.request(Method::POST, "/sign-in").form(&wrong).send().await.unwrap().text().await.unwrap();
    assert!(again.contains("name=\"to\" value=\"/contacts?q=ana+b"), "{again}");
    assert_eq!(stranger.post("/contacts", &[("name", "X")]).await.to, "/sign-in");
}

#[tokio::test]
async fn at_every_address_whoever_may_not_is_refused_and_whoever_may_is_not() {
    let w = with_people().await;
    let stranger = Visitor::new(&w);
    for rule in TABLE.iter().filter(|rule| !rule.path.ends_with("/events")) {
        let method: Method = rule.method.parse().unwrap();
        let path = world::address(rule);
        let ask = |v: &Visitor<'_>| v.request(method.clone(), &path).header(header::ORIGIN, w.base());
        let unknown = stranger.see(ask(&stranger)).await;
        match rule.role {
            None => assert_ne!(unknown.status, StatusCode::FORBIDDEN, "{rule:?}"),
            Some(_) if path.starts_with("/api/") => {
                assert_eq!(unknown.status, StatusCode::UNAUTHORIZED, "{rule:?}");
            }
            Some(_) => {
                assert_eq!(unknown.status, StatusCode::SEE_OTHER, "{rule:?}");
                assert_eq!(unknown.to.split('?').next(), Some("/sign-in"), "{rule:?}");
            }
        }
        let Some(needed) = rule.role else { continue };
        for role in Role::ALL {
            // In a session of its own: signing out is among the addresses.
            let visitor = session(&w, role).await;
            let seen = visitor.see(ask(&visitor)).await;
            let refused = seen.status == StatusCode::FORBIDDEN;
            assert_eq!(refused, role < needed, "{role:?} {rule:?} {}", seen.status);
            assert_ne!(seen.status, StatusCode::METHOD_NOT_ALLOWED, "{rule:?}");
            assert!(!seen.text.contains("there is nothing at this address"), "{rule:?}");
        }
    }
}

/// A session without the cost of a password.
async fn session(w: &World, role: Role) -> Visitor<'_> {
    let users = w.store.users().await.unwrap();
    let user = users.iter().find(|u| u.role == role).unwrap();
    let secret = server::secret::new();
    w.store.begin_session(user.id, &secret, Timestamp::now()).await.unwrap();
    Visitor { cookie: format!("carillon_session={secret}"), ..Visitor::new(w) }
}

#[tokio::test]
async fn a_wrong_password_and_too_many_tries_are_refused_and_a_session_ends_with_sign_out() {
    let w = with_people().await;
    let mut visitor = Visitor::new(&w);
    assert_eq!(visitor.sign_in("nobody@tries.example", PASSWORD).await, StatusCode::UNAUTHORIZED);
    for _ in 0..5 {
        assert_eq!(visitor.sign_in("manager@clinic.example", "wrong").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(visitor.sign_in("Manager@clinic.example ", PASSWORD).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(visitor.cookie, "");

    let visitor = signed_in(&w, Role::Viewer).await;
    assert_eq!(visitor.get("/").await.status, StatusCode::OK);
    assert_eq!(visitor.get("/api/v1/campaigns").await.status, StatusCode::OK);
    assert_eq!(visitor.post("/sign-out", &[]).await.to, "/sign-in");
    assert_eq!(visitor.get("/").await.to, "/sign-in");
    assert_eq!(visitor.get("/api/v1/campaigns").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_a_link_works_once() {
    let w = with_people().await;
    let now = Timestamp::now();
    let user = w.store.users().await.unwrap().remove(0).id;
    w.store.begin_session(user, "secret", now - jiff::SignedDuration::from_hours(13)).await.unwrap();
    assert_eq!(w.store.session("secret", now).await.unwrap(), None);

    w.store.invite(Role::Manager, "link", fixture::by(now)).await.unwrap();
    let visitor = Visitor::new(&w);
    let form = [("email", "new@clinic.example"), ("password", "short")];
    let short = visitor.post("/welcome/link", &form).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(short.text.contains("choose a password of 12 to 200 characters"));
    let form = [("email", "new@clinic.example"), ("password", PASSWORD)];
    assert_eq!(visitor.post("/welcome/link", &form).await.to, "/");
    assert_eq!(visitor.get("/welcome/link").await.status, StatusCode::NOT_FOUND);
    assert_eq!(w.store.user_by_email("new@clinic.example").await.unwrap().unwrap().0.role, Role::Manager);
}

#[tokio::test]
async fn the_first_admin_says_where_the_account_is_and_nobody_after_them_is_asked() {
    const FIELD: &str = "name=\"time_zone\"";
    let w = World::start().await;
    let now = Timestamp::now();
    for (role, link) in [(Role::Admin, "first"), (Role::Viewer, "viewer"), (Role::Admin, "second")] {
        w.store.invite(role, link, fixture::by(now)).await.unwrap();
    }
    let visitor = Visitor::new(&w);
    assert!(visitor.get("/welcome/first").await.text.contains(FIELD));
    assert!(!visitor.get("/welcome/viewer").await.text.contains(FIELD));
    let account = |zone| [("email", "ana@clinic.example"), ("password", PASSWORD), ("time_zone", zone)];
    for wrong in ["Mars/Olympus", "", "localtime"] {
        let refused = visitor.post("/welcome/first", &account(wrong)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        let field = refused.text.split(FIELD).nth(1).unwrap().split("</label>").next().unwrap();
        assert!(
            field.contains(&format!("value=\"{wrong}\"")) && field.contains("class=\"wrong\""),
            "{field}"
        );
        assert!(refused.text.contains("value=\"ana@clinic.example\""), "{}", refused.text);
    }
    assert!(!w.store.has_users().await.unwrap());
    assert_eq!(visitor.post("/welcome/first", &account(" Asia/Tokyo ")).await.to, "/");
    assert_eq!(w.store.settings().await.unwrap().time_zone, "Asia/Tokyo");

    assert!(!visitor.get("/welcome/second").await.text.contains(FIELD));
    let later = [("email", "ben@clinic.example"), ("password", PASSWORD), ("time_zone", "Europe/Paris")];
    assert_eq!(visitor.post("/welcome/second", &later).await.to, "/");
    assert_eq!(w.store.settings().await.unwrap().time_zone, "Asia/Tokyo");
    let log = w.store.audit_log(None, 10).await.unwrap();
    let changes: Vec<_> = log.iter().filter(|e| e.action == "settings_changed").collect();
    assert_eq!((changes.len(), changes[0].object.as_str()), (1, "time_zone"));
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it_and_every_other_session_ends() {
    const FRESH: &str = "another good long password";
    let w = with_people().await;
    let (here, mut elsewhere) = (signed_in(&w, Role::Viewer).await, signed_in(&w, Role::Viewer).await);
    let wrong = here.post("/account", &[("current", "not my password"), ("password", FRESH)]).await;
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("Wrong password."));
    let changed = here.post("/account", &[("current", PASSWORD), ("password", FRESH)]).await;
    assert_eq!(changed.to, "/account?saved=yes");
    assert_eq!(elsewhere.get("/").await.to, "/sign-in");
    assert_eq!(elsewhere.sign_in("viewer@clinic.example", FRESH).await, StatusCode::SEE_OTHER);
    assert_eq!(elsewhere.get("/account").await.status, StatusCode::OK);
    let log = w.store.audit_log(None, 10).await.unwrap();
    assert!(log.iter().any(|e| e.actor == "viewer@clinic.example" && e.action == "password_set"));
    let token = w.get("//account").await;
    assert!(token.status == 404 && token.text.contains("A token has no account"), "{}", token.text);
}

#[tokio::test]
async fn the_last_admin_stays() {
    let w = with_people().await;
    let admin = signed_in(&w, Role::Admin).await;
    let id = w.store.user_by_email("admin@clinic.example").await.unwrap().unwrap().0.id;
    for (action, form) in [("role", vec![("role", "viewer")]), ("remove", vec![])] {
        let refused = admin.post(&format!("/settings/users/{id}/{action}"), &form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains("this is the only admin"), "{}", refused.text);
    }
    assert_eq!(admin.get("/settings/users").await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_site_cannot_act_with_a_persons_cookie() {
    let w = with_people().await;
    let manager = signed_in(&w, Role::Manager).await;
    let new = |origin: Option<&str>, site: Option<&str>| {
        let mut request = manager.request(Method::POST, "/contacts").form(&[("name", "Theirs")]);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        request
    };
    let elsewhere = "https://elsewhere.example";
    for (origin, site) in [
        (None, None),
        (Some(elsewhere), None),
        (Some("null"), None),
        (Some(w.base()), Some("cross-site")),
        (Some(w.base()), Some("same-site")),
    ] {
        let seen = manager.see(new(origin, site)).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{origin:?} {site:?}");
    }
    assert_eq!(w.store.lists().await.unwrap(), []);
    assert_eq!(manager.see(new(None, Some("same-origin"))).await.status, StatusCode::SEE_OTHER);
    assert_eq!(w.store.lists().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_people_type_is_shown_as_text_everywhere() {
    const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let w = with_people().await;
    let csv = format!("phone,first_name\n+12025550001,\"{}\"\n", EVIL.replace('"', "\"\""));
    let (_, list) = w.import(csv, "").await;
    let hook = json!({"url": "http://127.0.0.1:9/", "levels": ["attempt", "person", "campaign"]});
    w.post("/webhooks", &hook).await.created();
    let named = w.post("/lists", &json!({"name": EVIL})).await.created();
    let pool = json!({"name": EVIL, "senders": [{"sender": "CLINIC", "rate_per_second": 1}]});
    w.post("/pools", &pool).await.created();
    let route = w.route(json!({"name": EVIL})).await;
    let campaign = json!({"channel": "sms", "name": EVIL, "owner": EVIL, "route_id": route, "sender": "+12025550100",
        "list_ids": [list, named["id"]], "opt_in_acknowledged": true, "window": null,
        "messages": [{"text": format!("{{{{ first_name }}}} {EVIL}"), "send": {"now": true}}]});
    let at = w.start_campaign(&campaign).await;
    w.until(&at, |c| c["totals"]["delivered"] == 1).await;
    w.smsc.reply("12025550001", "12025550100", EVIL).await;
    w.post(&format!("{at}/clone"), &json!({})).await.created();
    let admin = signed_in(&w, Role::Admin).await;
    let form = [("name", EVIL), ("sender", EVIL), ("time_zone", EVIL), ("owner", EVIL)];
    let refused = admin.post("/campaigns/cmp_2/edit", &form).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut pages = vec![refused];
    let evil: String =
        reqwest::Url::parse_with_params("http://x/", [("q", EVIL)]).unwrap().query().unwrap().into();
    for path in [
        "/",
        "/campaigns/cmp_1",
        "/campaigns/cmp_1/recipients",
        "/campaigns/cmp_1/replies",
        "/campaigns/cmp_2/edit",
        "/campaigns/cmp_2/messages",
        "/campaigns/cmp_2/schedule",
        "/contacts",
        "/contacts/lists/lst_1",
        "/contacts/lists/lst_2",
        "/contacts/+12025550001",
        "/routes",
        "/routes/rte_1",
        "/routes/pools",
        "/routes/pools/pol_1",
        "/settings/audit",
        "/settings/webhooks",
        "/settings/webhooks/whk_1",
        &format!("/?{evil}"),
        &format!("/contacts?{evil}"),
        &format!("/campaigns/cmp_1/recipients?{evil}"),
    ] {
        pages.push(admin.get(path).await);
    }
    for page in pages {
        assert!(!page.text.contains("<script>alert") && !page.text.contains("<img src=x"), "{}", page.text);
        assert!(
            page.policy.contains("default-src 'none'") && !page.policy.contains("unsafe"),
            "{}",
            page.policy
        );
    }
}

#[tokio::test]
async fn two_tabs_that_act_at_once_are_told_how_it_stands() {
    let w = with_people().await;
    let list = w.list_of("phone\n+12025550001\n").await;
    let route = w.route(json!({})).await;
    let definition = json!({"channel": "sms", "name": "Both", "route_id": route, "sender": "CLINIC", "list_ids": [list],
        "opt_in_acknowledged": true, "window": null, "messages": [{"text": "Hello", "send": {"at": "2099-01-01T00:00:00Z"}}]});
    w.post("/campaigns", &definition).await.created();
    let (one, other) = (signed_in(&w, Role::Manager).await, signed_in(&w, Role::Admin).await);
    // Both have the editor open; the second one to save is told.
    let form = |name: &'static str| [("version", "1"), ("name", name), ("window", "any")];
    assert_eq!(one.post("/campaigns/cmp_1/edit", &form("Mine")).await.status, StatusCode::SEE_OTHER);
    let stale = other.post("/campaigns/cmp_1/edit", &form("Theirs")).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(stale.text.contains("Someone else saved changes") && stale.text.contains("value=\"Theirs\""));
    let over = [&form("Theirs")[..], &[("over", "yes")]].concat();
    assert_eq!(other.post("/campaigns/cmp_1/edit", &over).await.status, StatusCode::SEE_OTHER);
    w.post("/campaigns", &definition).await.created();
    assert_eq!(one.post("/campaigns/cmp_2/schedule", &[]).await.to, "/campaigns/cmp_2?did=schedule");
    let late = other.post("/campaigns/cmp_2/edit", &form("Too late")).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text.contains("Edit isn&#39;t possible: this campaign is Scheduled"), "{}", late.text);
    assert_eq!(one.post("/campaigns/cmp_2/stop", &[]).await.to, "/campaigns/cmp_2?did=stop");
    let again = other.post("/campaigns/cmp_2/stop", &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("Stop isn&#39;t possible: this campaign is Stopped"), "{}", again.text);
    let log: Vec<_> = w.store.audit_log(None, 3).await.unwrap();
    let log: Vec<_> = log.iter().map(|e| (e.actor.as_str(), e.action.as_str(), e.object.as_str())).collect();
    assert_eq!(log[0], ("manager@clinic.example", "campaign_stopped", "cmp_2"));
}

#[tokio::test]
async fn a_file_that_is_no_csv_and_one_that_is_too_large_are_refused_in_words() {
    let w = with_people().await;
    let manager = signed_in(&w, Role::Manager).await;
    assert_eq!(manager.post("/contacts", &[("name", "Members")]).await.to, "/contacts/lists/lst_1");
    let upload = |bytes: &[u8]| manager.upload("/contacts/lists/lst_1", "", bytes);
    // The first bytes of a zip.
    let zip = [b"PK\x03\x04\x14\0\0\0\x08\0".as_slice(), &[0xFF, 0x00, 0x9C, 0x5D].repeat(500)].concat();
    let begun = manager.see(upload(&zip)).await;
    let shown = manager.get(&begun.to).await;
    assert!(shown.text.contains("this is no text but something else"), "{}", shown.text);
    let refused = manager.post(&begun.to, &[("action", "import"), ("header", "yes")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nothing = manager.see(upload(b"")).await;
    assert!(manager.get(&nothing.to).await.text.contains("the file is empty"));
    // A gigabyte is refused by the size that it states, before it is sent.
    let gigabyte = upload(b"").header(header::CONTENT_LENGTH, 1_u64 << 30);
    let answer = manager.see(gigabyte).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.text.contains("at most 1 GB"), "{}", answer.text);
}

#[tokio::test]
async fn settings_that_are_saved_hold_and_what_is_wrong_comes_back_beside_its_field() {
    let w = with_people().await;
    let admin = signed_in(&w, Role::Admin).await;
    let form = [
        ("time_zone", "America/New_York"),
        ("country", "US"),
        ("window", "hours"),
        ("days", "mon"),
        ("days", "tue"),
        ("from", "09:00"),
        ("to", "18:00"),
        ("except", "2026-12-24"),
        ("blackout_dates", "2026-12-25\n2027-01-01"),
        ("purposes", "Reminders\ncare"),
        ("opt_out_holds_for", "channel"),
        ("limit_messages", "3"),
        ("limit_days", "7"),
    ];
    assert_eq!(admin.post("/settings", &form).await.status, StatusCode::OK);
    let saved = w.get("/settings").await.ok();
    assert_eq!(saved["limit"], json!({"messages": 3, "per": "PT168H", "counts": null}));
    assert_eq!(saved["window"]["days"], json!(["mon", "tue"]));
    assert_eq!(saved["purposes"], json!(["reminders", "care"]));
    assert_eq!((&saved["country"], &saved["opt_out_holds_for"]), (&json!("US"), &json!("channel")));
    // The answers stay as they were, and so do the rules when answers are saved.
    let answers = [("language", "en"), ("opt_out", "Bye."), ("opt_in", ""), ("help", "Help.")];
    assert_eq!(admin.post("/settings/answers", &answers).await.status, StatusCode::OK);
    let saved = w.get("/settings").await.ok();
    assert_eq!(
        (&saved["answers"]["en"]["opt_out"], &saved["time_zone"]),
        (&json!("Bye."), &json!("America/New_York"))
    );
    // An import's numbers and a new campaign's hours follow.
    let (import, _) = w.import("phone\n(202) 555-0001\n", "").await;
    assert_eq!(import["accepted"], 1, "{import}");
    let new = admin.get("/campaigns/new").await.text;
    assert!(new.contains("09:00") && new.contains("<option>reminders</option>"), "{new}");

    let wrong = [
        ("time_zone", "Mars"),
        ("country", "XX"),
        ("window", "any"),
        ("purposes", ""),
        ("opt_out_holds_for", "channel"),
        ("limit_messages", "2"),
        ("limit_days", "9999"),
    ];
    let refused = admin.post("/settings", &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.text.contains("Mars")
            && refused.text.contains("&#39;XX&#39; is not a country")
            && refused.text.contains("from an hour"),
        "{}",
        refused.text
    );
    assert_eq!(w.get("/settings").await.ok()["time_zone"], "America/New_York");
}

#[tokio::test]
async fn the_columns_of_a_file_are_guessed_shown_and_read_as_the_person_says() {
    let w = with_people().await;
    let manager = signed_in(&w, Role::Manager).await;
    manager.post("/contacts", &[("name", "Members")]).await;
    let file =
        "Mobile Number,Given name,Date of birth,Secret\n(202) 555-0001,Ana,1990,x\nnobody,Ben,1991,y\n";
    let waits = manager.see(manager.upload("/contacts/lists/lst_1", "", file.as_bytes())).await.to;
    let shown = manager.get(&waits).await.text;
    for guessed in
        ["value=\"phone\" selected", "value=\"first_name\" selected", "value=\"date_of_birth\" selected"]
    {
        assert!(shown.contains(guessed), "{guessed}: {shown}");
    }
    // Nothing is read before a person says how.
    assert_eq!(w.get("/imports/imp_1").await.ok()["state"], "queued");
    let form = |action, country| {
        [
            ("action", action),
            ("header", "yes"),
            ("column", "phone"),
            ("column", "first_name"),
            ("column", "born"),
            ("column", ""),
            ("country", country),
            ("consent", "membership form"),
        ]
    };
    let looked = manager.post(&waits, &form("look", "US")).await;
    assert!(
        looked.status == StatusCode::OK && looked.text.contains("<li>+12025550001</li>"),
        "{}",
        looked.text
    );
    let wrong = manager.post(&waits, &form("import", "XX")).await;
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("XX"), "{wrong:?}");
    assert_eq!(manager.post(&waits, &form("import", "US")).await.to, waits);
    let import = w.until("/imports/imp_1", |i| i["state"] == "done").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(1), &json!(1)));
    let person = manager.get("/contacts/+12025550001").await.text;
    assert!(person.contains("<dt>born</dt>") && !person.contains("secret"), "{person}");
    assert!(
        person.contains("membership form") && person.contains("recorded by manager@clinic.example"),
        "{person}"
    );
    // A second press changes nothing.
    assert_eq!(manager.post(&waits, &form("import", "US")).await.status, StatusCode::OK);
    assert_eq!(w.get("/imports/imp_1").await.ok()["rows"], 2);
    // A file without column names, onto the do-not-contact list.
    let channel = "--boundary\r\nContent-Disposition: form-data; name=\"channel\"\r\n\r\nall\r\n";
    let file = b"+12025550001\n+12025550002\n";
    let sent = manager.see(manager.upload("/contacts/do-not-contact/import", channel, file)).await;
    let waits = sent.to;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
    let shown = manager.get(&waits).await.text;
    assert!(shown.contains("<li>+12025550001</li>") && shown.contains("column 1"), "{shown}");
    manager.post(&waits, &[("action", "import"), ("column", "phone")]).await;
    w.until("/imports/imp_2", |i| i["state"] == "done" && i["accepted"] == 2).await;
    assert!(manager.get("/contacts/do-not-contact").await.text.contains("+12025550002"));
}
