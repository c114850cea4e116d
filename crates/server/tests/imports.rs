//! Contact files as they come.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use serde_json::json;
use world::World;

const ROWS: &str = "phone,first_name\n+12025550001,Zoé\n+12025550002,José\n";

fn utf16(text: &str, mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{FEFF}" } else { "" };
    format!("{mark}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn every_usual_encoding_and_separator_reads_the_same() {
    let w = World::start().await;
    let latin1: Vec<u8> = ROWS.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let files = [
        ROWS.as_bytes().to_vec(),
        format!("\u{FEFF}{ROWS}").into_bytes(),
        utf16(ROWS, true),
        utf16(ROWS, false),
        latin1,
        ROWS.replace(',', ";").into_bytes(),
        ROWS.replace(',', "\t").replace('\n', "\r\n").into_bytes(),
    ];
    let route = w.route(json!({})).await;
    for (at, file) in files.into_iter().enumerate() {
        let (import, list) = w.import(file, "").await;
        assert_eq!(
            (&import["state"], &import["accepted"]),
            (&json!("done"), &json!(2)),
            "file {at}: {import}"
        );
        let campaign = json!({"channel": "sms", "name": format!("File {at}"), "route_id": route, "sender": "CLINIC",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "{{ first_name }} AT".replace("AT", &at.to_string()), "send": {"now": true}}]});
        let c = w.start_campaign(&campaign).await;
        w.until(&c, |c| c["status"] == "completed").await;
        let got = w.smsc.got();
        let mut texts: Vec<String> =
            got[2 * at..].iter().map(|sm| campaign::segment::read_gsm7(&sm.short_message)).collect();
        texts.sort();
        assert_eq!(texts, [format!("José {at}"), format!("Zoé {at}")]);
    }
}

#[tokio::test]
async fn a_bad_row_is_named_with_its_field_and_value_and_keeps_no_other_out() {
    let w = World::start().await;
    let long = "x".repeat(1024 * 1024);
    let file = format!(
        "phone,first_name,time_zone\n+12025550001,Ana,\nnobody,Ben,\n2025550003,Cem,\n+12025550004,Dora,Mars/Olympus\n\
         +12025550005,{long},\n+12025550001,Ana again,\n,Eve,\n+12025550006,Fay,,,\n+12025550007,Gil,Europe/Berlin\n"
    );
    let (import, list) = w.import(file.clone(), "").await;
    assert_eq!(
        (&import["state"], &import["rows"], &import["accepted"], &import["rejected"]),
        (&json!("done"), &json!(9), &json!(6), &json!(3))
    );
    // Values beside the number that could not be read are left out, counted, and cost nobody their place.
    assert_eq!(
        import["left_out"],
        json!([
            {"field": "first_name", "reason": "longer than 2000 characters", "count": 1},
            {"field": "time_zone", "reason": "not a time zone; use a name such as America/New_York", "count": 1},
        ])
    );
    // Duplicates are merged.
    assert_eq!(w.get(&format!("/lists/{list}")).await.ok()["contacts"], 5);
    let errors = w.get(&format!("/imports/{}/errors.csv", import["id"].as_str().unwrap())).await.text;
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines[0], "row,field,value,message,phone,first_name,time_zone");
    assert_eq!(
        lines[1],
        "3,phone,nobody,'nobody' is not a phone number; it may lack its country code,nobody,Ben,"
    );
    assert!(lines[2].starts_with("4,phone,2025550003,") && lines[2].ends_with(",2025550003,Cem,"));
    assert!(lines[3].starts_with("8,phone,,") && lines[3].ends_with(",,Eve,"));
    assert_eq!(lines.len(), 4);
    let (import, _) = w.import(file, "?country=US").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(7), &json!(2)));
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_keeps_all_of_it_out_and_says_why() {
    let w = World::start().await;
    let wide: Vec<String> = (0..99).map(|i| format!("field_{i}")).collect();
    let cases = [
        ("id,name\nseven,Ana\n".to_owned(), "no column 'phone'"),
        (String::new(), "no column 'phone'"),
        ("phone,name,name\n+12025550001,a,b\n".to_owned(), "twice"),
        ("phone,\u{418}\u{43c}\u{44f}\n+12025550001,a\n".to_owned(), "Latin letters, digits and _"),
    ];
    for (file, why) in cases {
        let (import, list) = w.import(file, "").await;
        let error = import["error"].as_str().unwrap_or_default();
        assert!(import["state"] == "failed" && error.contains(why), "{import}");
        assert_eq!(w.get(&format!("/lists/{list}")).await.ok()["contacts"], 0);
    }
    let (import, _) =
        w.import(format!("phone,{}\n+12025550001{}\n", wide.join(","), ",x".repeat(99)), "").await;
    assert_eq!(import["accepted"], 1, "{import}");
    assert_eq!(
        w.post("/lists/lst_1/contacts?country=Atlantis", &json!([])).await.refused(),
        (422, vec!["country"])
    );
    let rows = json!([{"phone": "+12025550001", "first_name": "Ana"}, {"first_name": "Ben"}]);
    let begun = w.post("/lists/lst_1/contacts", &rows).await;
    let at = format!("/imports/{}", begun.body["id"].as_str().unwrap());
    let import = w.until(&at, |i| i["state"] == "done").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_do_not_contact_list_is_imported_whatever_its_other_columns_are_called() {
    let w = World::start().await;
    let list = w.list_of("phone\n+12025550001\n+12025550002\n+12025550003\n").await;
    let file = "Phone;Area code!;Area code!\n(202) 555-0001;1;2\nnobody;3;4\n2025550002;5;6\n";
    let request = w.request(reqwest::Method::POST, "/suppressions/import?channel=sms&country=US");
    let begun = w.answer(request.header("content-type", "text/csv").body(file)).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let at = format!("/imports/{}", begun.body["id"].as_str().unwrap());
    let import = w.until(&at, |i| i["state"] == "done").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(2), &json!(1)), "{import}");
    assert_eq!(import["into"], json!({"do_not_contact": "sms"}));
    let route = w.route(json!({})).await;
    let campaign = json!({"channel": "sms", "name": "Few", "route_id": route, "sender": "CLINIC", "list_ids": [list],
        "opt_in_acknowledged": true, "window": null, "messages": [{"text": "Hi.", "send": {"now": true}}]});
    let c = w.start_campaign(&campaign).await;
    let c = w.until(&c, |c| c["status"] == "completed").await;
    assert_eq!(c["totals"]["skipped"], 2);
    assert_eq!(w.smsc.per_number().keys().collect::<Vec<_>>(), ["12025550003"]);
}
