//! A contact and a list as people keep them by hand: added, edited, taken off, renamed, deleted.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use reqwest::Method;
use serde_json::{Value, json};
use world::World;

impl World {
    /// Sends a form of a page; returns the status and the page that follows.
    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let answer = self.answer(self.request(Method::POST, &format!("/{path}")).form(fields)).await;
        (answer.status, answer.text)
    }

    async fn page(&self, path: &str) -> (u16, String) {
        let answer = self.answer(self.request(Method::GET, &format!("/{path}"))).await;
        (answer.status, answer.text)
    }

    async fn size(&self, list: &str) -> Value {
        self.get(&format!("/lists/{list}")).await.ok()["contacts"].clone()
    }
}

#[tokio::test]
async fn a_contact_is_added_edited_and_taken_off_a_list_by_hand() {
    let w = World::start().await;
    let list = w.list_of("phone,first_name,born\n+12025550001,Ana,1980\n").await;
    let add = format!("/contacts/lists/{list}/add");
    assert_eq!(w.page(&add).await.0, 200);
    // What is wrong is named by its field, with what was typed, and nobody is added.
    let wrong = [("number", "+1202555"), ("first_name", "Ben"), ("email", "nowhere"), ("time_zone", "Mars")];
    let (status, page) = w.form(&add, &wrong).await;
    assert_eq!(status, 422, "{page}");
    assert!(page.contains("value=\"Ben\"") && page.contains("value=\"nowhere\""), "{page}");
    assert_eq!(page.matches("class=\"wrong\"").count(), 3, "{page}");
    assert_eq!(w.size(&list).await, 1);

    let ben = [
        ("number", "+1 202 555 0002"),
        ("first_name", "Ben"),
        ("last_name", ""),
        ("email", "ben@clinic.example"),
        ("time_zone", ""),
        ("consent", "by telephone"),
        ("unknown", "kept by nobody"),
    ];
    let (status, page) = w.form(&add, &ben).await;
    assert!(status == 200 && page.contains("ben@clinic.example") && page.contains("by telephone"), "{page}");
    assert!(page.contains("America/New_York") && !page.contains("kept by nobody"), "{page}");
    assert_eq!(w.size(&list).await, 2);
    // Again, with more: what is known stays.
    w.form(&add, &[("number", "+12025550002"), ("last_name", "Brown")]).await;
    assert_eq!(w.size(&list).await, 2);
    let (_, form) = w.page("/contacts/+12025550002/edit").await;
    assert!(
        ["Ben", "Brown", "ben@clinic.example"].iter().all(|v| form.contains(&format!("value=\"{v}\""))),
        "{form}"
    );

    // Editing replaces: what is emptied is gone, a field of the contact's own stays one, the zone follows.
    let ana = [("first_name", "Anna"), ("born", "1981"), ("time_zone", "Europe/Berlin"), ("email", "")];
    let (status, page) = w.form("/contacts/+12025550001/edit", &ana).await;
    assert!(
        status == 200 && page.contains("Anna") && page.contains("1981") && page.contains("Europe/Berlin"),
        "{page}"
    );
    w.form("/contacts/+12025550001/edit", &[("first_name", "Anna"), ("born", "")]).await;
    let (_, page) = w.page("/contacts/+12025550001").await;
    assert!(!page.contains("1981") && page.contains("America/New_York"), "{page}");
    while w.store.names_are_due().await.unwrap() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let found = w.answer(w.request(Method::GET, "//contacts").query(&[("q", "anna")])).await.text;
    assert!(found.contains("+12025550001"), "{found}");
    assert_eq!(w.page("/contacts/+12025559999/edit").await.0, 404);
    assert_eq!(w.form("/contacts/+12025559999/edit", &[("first_name", "X")]).await.0, 404);

    // Off the list, and still a contact.
    let (status, page) = w.form("/contacts/+12025550001/leave", &[("list", &list)]).await;
    assert!(status == 200 && page.contains("Anna") && !page.contains("/leave"), "{page}");
    assert_eq!(w.size(&list).await, 1);
    w.form("/contacts/+12025550001/leave", &[("list", &list)]).await;
    assert_eq!(w.size(&list).await, 1, "nobody leaves twice");
    let (_, log) = w.page("/settings/audit").await;
    for deed in ["added a contact", "edited the contact", "took a contact off a list"] {
        assert!(log.contains(deed), "{deed}: {log}");
    }
    w.assert_sound().await;
}

#[tokio::test]
async fn a_list_is_renamed_and_deleted_but_not_while_a_campaign_needs_it_and_its_id_is_not_given_again() {
    let w = World::start().await;
    let first = w.list_of("phone,first_name\n+12025550001,Ana\n+12025550002,Ben\n").await;
    let second = w.list_of("phone,first_name\n+12025550001,Ana\n").await;
    let at = |list: &str, what: &str| format!("/contacts/lists/{list}/{what}");
    let name = w.get(&format!("/lists/{first}")).await.ok()["name"].as_str().unwrap().to_owned();
    let (status, page) = w.form(&at(&second, "rename"), &[("name", &name)]).await;
    assert!(status == 422 && page.contains(&name), "{page}");
    let (status, page) = w.form(&at(&second, "rename"), &[("name", "  North   clinic ")]).await;
    assert!(status == 200 && page.contains("<bdi>North clinic</bdi>"), "{page}");

    let route = w.route(json!({})).await;
    let definition = json!({"channel": "sms", "name": "Storm", "route_id": route, "sender": "CLINIC",
        "list_ids": [second], "opt_in_acknowledged": true, "window": null,
        "messages": [{"text": "Hello", "send": {"now": true}}]});
    let id = w.post("/campaigns", &definition).await.created()["id"].as_str().unwrap().to_owned();
    let (status, page) = w.form(&at(&second, "delete"), &[]).await;
    assert!(status == 422 && page.contains("Storm"), "{page}");
    assert_eq!(w.size(&second).await, 1);
    let campaign = format!("/campaigns/{id}");
    w.post(&format!("{campaign}/schedule"), &json!({})).await.ok();
    w.until(&campaign, |c| c["status"] == "completed").await;
    let (status, page) = w.form(&at(&second, "delete"), &[]).await;
    assert!(status == 200 && !page.contains("North clinic"), "{page}");
    assert_eq!(w.page(&format!("/contacts/lists/{second}")).await.0, 404);
    // Its contacts and the campaign stay, and no list is taken for it.
    let third = w.list_of("phone,first_name\n+12025550003,Eve\n").await;
    assert_ne!(third, second);
    let (_, page) = w.page(&campaign).await;
    assert!(page.contains("(deleted list)"), "{page}");
    assert_eq!(w.page("/contacts/+12025550001").await.0, 200);
    assert_eq!(w.form(&at(&second, "delete"), &[]).await.0, 404);
    w.assert_sound().await;
}
