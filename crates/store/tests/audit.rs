//! Every change that somebody asks for leaves a line in the audit log; a refused change leaves none.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;

use campaign::{Msisdn, Sender};
use fixture::{Data, by, tuesday};
use jiff::Timestamp;
use serde_json::json;
use store::{Barred, Consent, ImportPlan, ImportTarget, Level, Role, Settings, Store};

const HASH: &str = "a hash";

async fn log(store: &Store) -> Vec<String> {
    let mut lines: Vec<String> = store
        .audit_log(None, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|line| format!("{}: {} {}", line.actor, line.action, line.object))
        .collect();
    lines.reverse();
    lines
}

#[tokio::test]
async fn a_change_and_its_line_stand_together_and_a_refusal_leaves_neither() {
    let now = tuesday();
    let data = Data::with(fixture::people(2, &["America/New_York"]), json!({}), now).await;
    let store = &data.store;
    assert_eq!(
        log(store).await,
        ["test: list_made lst_1", "test: route_added rte_1", "test: import_begun imp_1"]
    );
    let before = log(store).await.len();

    // Refused: a name that is taken, a status that does not allow it, the only admin.
    let id = data.schedule("Reminder", r#"[{"at":"2026-12-01T10:00:00Z"}]"#, json!({}), now).await;
    let admin = store.add_user("ana@clinic.example", Role::Admin, HASH.into(), by(now)).await.unwrap();
    let refused = log(store).await.len();
    store.create_list("All".into(), by(now)).await.unwrap_err();
    store.restart(id, BTreeMap::new(), false, by(now)).await.unwrap_err();
    store.set_role(admin, Role::Viewer, by(now)).await.unwrap_err();
    store.remove_user(admin, by(now)).await.unwrap_err();
    store.remove_token(7, by(now)).await.unwrap_err();
    store
        .change_settings(Settings { time_zone: "Mars/Base".into(), ..Settings::default() }, by(now))
        .await
        .unwrap_err();
    assert!(!store.unsuppress(fixture::number(0), Barred::All, "blocked", by(now)).await.unwrap());
    assert_eq!(log(store).await.len(), refused);

    campaigns(&data, id, now).await;
    people(&data, now).await;
    settings(&data, admin, now).await;
    let lines = log(store).await.split_off(before);
    let expected = [
        "test: campaign_made cmp_1",
        "test: campaign_scheduled cmp_1",
        "test: person_added ana@clinic.example",
        "test: campaign_adjusted cmp_1",
        "test: campaign_stopped cmp_1",
        "test: campaign_restarted cmp_1",
        "test: campaign_cloned cmp_2",
        "test: campaign_edited cmp_2",
        "test: campaign_archived cmp_2",
        "test: number_blocked +12025550000",
        "test: block_lifted +12025550000",
        "test: consent_noted +12025550000",
        "test: consent_withdrawn +12025550000",
        "test: contact_deleted +12025550000",
        "test: file_sent imp_2",
        "test: import_begun imp_2",
        "test: route_changed rte_1",
        "test: route_tried rte_1",
        "test: pool_added pol_1",
        "test: pool_changed pol_1",
        "test: pool_removed pol_1",
        "test: settings_changed purposes, require_consent",
        "test: person_invited manager",
        "ben@clinic.example: account_made ben@clinic.example",
        "ben@clinic.example: signed_in ben@clinic.example",
        "ben@clinic.example: signed_out ben@clinic.example",
        "test: role_changed ben@clinic.example viewer",
        "test: password_set ben@clinic.example",
        "test: person_removed ben@clinic.example",
        "test: token_made CRM",
        "test: token_ended CRM",
        "test: webhook_added whk_1",
        "test: webhook_tried whk_1",
        "test: event_told_again whk_1 1",
        "test: webhook_switched whk_1",
        "test: webhook_removed whk_1",
    ];
    assert_eq!(lines, expected);
}

async fn campaigns(data: &Data, id: campaign::CampaignId, now: Timestamp) {
    let store = &data.store;
    let send = serde_json::from_str(r#"{"at":"2026-12-02T10:00:00Z"}"#).unwrap();
    store.adjust(id, 1, send, by(now)).await.unwrap();
    store.stop(id, by(now)).await.unwrap();
    store.restart(id, BTreeMap::new(), false, by(now)).await.unwrap();
    let copy = store.clone_campaign(id, None, by(now)).await.unwrap();
    store.edit_campaign(copy.id, copy.version, copy.definition, by(now)).await.unwrap();
    store.archive(copy.id, by(now)).await.unwrap();
}

async fn people(data: &Data, now: Timestamp) {
    let (store, number): (_, Msisdn) = (&data.store, fixture::number(0));
    store.suppress(number, Barred::All, "blocked", by(now)).await.unwrap();
    // A second time changes nothing.
    store.suppress(number, Barred::All, "blocked", by(now)).await.unwrap();
    store.unsuppress(number, Barred::All, "blocked", by(now)).await.unwrap();
    let consent = Consent { source: "by telephone".into(), at: now, by: "test".into() };
    store.set_consent(number, Some(consent), by(now)).await.unwrap();
    store.set_consent(number, None, by(now)).await.unwrap();
    assert!(store.delete_contact(number, by(now)).await.unwrap());
    let import = store.queue_import(ImportTarget::List(data.list), 10, by(now)).await.unwrap();
    store.start_import(import, ImportPlan::default(), by(now)).await.unwrap();
}

async fn settings(data: &Data, admin: campaign::UserId, now: Timestamp) {
    let store = &data.store;
    let mut route = store.route(data.route).await.unwrap().config;
    fixture::smpp_mut(&mut route).rate_per_second = 7;
    store.edit_route(data.route, route, by(now)).await.unwrap();
    let from = Sender::try_from("CLINIC".to_owned()).unwrap();
    store.test_send(data.route, from, fixture::number(1), "A test".into(), by(now)).await.unwrap();
    let pool = json!({"name": "Numbers", "senders": [{"sender": "ONE", "rate_per_second": 1}]});
    let pool = store.create_pool(serde_json::from_value(pool).unwrap(), by(now)).await.unwrap();
    store.edit_pool(pool.id, pool.config.clone(), by(now)).await.unwrap();
    store.create_pool(pool.config, by(now)).await.unwrap_err();
    store.remove_pool(pool.id, by(now)).await.unwrap();
    let changed = Settings { require_consent: true, purposes: vec!["care".into()], ..Settings::default() };
    store.change_settings(changed, by(now)).await.unwrap();

    store.invite(Role::Manager, "link", by(now)).await.unwrap();
    let ben = store.accept_invitation("link", "Ben@clinic.example", HASH.into(), None, now).await.unwrap();
    assert_ne!(ben, admin);
    store.begin_session(ben, "cookie", now).await.unwrap();
    store.end_session("cookie", store::By::new("ben@clinic.example", now)).await.unwrap();
    store.set_role(ben, Role::Viewer, by(now)).await.unwrap();
    store.set_password(ben, HASH.into(), by(now)).await.unwrap();
    store.remove_user(ben, by(now)).await.unwrap();
    store.add_token("CRM".into(), Role::Viewer, "secret", by(now)).await.unwrap();
    store.remove_token(1, by(now)).await.unwrap();

    let hook = store
        .add_webhook("https://crm.example".into(), vec![Level::Campaign], "whsec_".into(), by(now))
        .await
        .unwrap();
    store.test_webhook(hook.id, by(now)).await.unwrap();
    store.tell_again(hook.id, 1, by(now)).await.unwrap();
    store.switch_webhook(hook.id, Some("a pause".into()), by(now)).await.unwrap();
    store.remove_webhook(hook.id, by(now)).await.unwrap();
}
