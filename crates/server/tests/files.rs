//! Contact files as spreadsheets, databases and people write them: each is read as it is meant, or refused in words.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};
use world::World;

/// What is known about the people on a list: their numbers with their fields.
async fn people(w: &World, list: &str) -> Vec<(String, Vec<(String, String)>)> {
    let members = w.store.members(list.parse().unwrap(), None, 100).await.unwrap();
    members.into_iter().map(|c| (c.number.to_string(), c.fields)).collect()
}

async fn errors(w: &World, import: &Value) -> String {
    w.get(&format!("/imports/{}/errors.csv", import["id"].as_str().unwrap())).await.text
}

#[tokio::test]
async fn what_spreadsheets_write_around_a_table_is_passed_over() {
    let w = World::start().await;
    for file in [
        "sep=;\r\nphone;first_name\r\n+12025550001;Ada\r\n+12025550002;Bo\r\n",
        "\u{feff}\"sep=,\"\r\nphone,first_name\r\n+12025550001,Ada\r\n+12025550002,Bo\r\n",
        "phone,first_name,,\n+12025550001,Ada,,\n+12025550002,Bo,,\n",
        "phone,first_name\n+12025550001,Ada,\n+12025550002,Bo,,,\n",
        "phone;first_name;;\r\n+12025550001;Ada;;\r\n+12025550002;Bo;;\r\n;;;\r\n;;;\r\n",
        "\n\nphone,first_name\n\n+12025550001,Ada\n,\n+12025550002,Bo\n,\n \n",
        "phone|first_name\n+12025550001|Ada\n+12025550002|Bo",
        ";\n\"phone\";\"first_name\"\n\"+12025550001\";\"Ada\"\n\"+12025550002\";\"Bo\"\n",
    ] {
        let (import, list) = w.import(file, "").await;
        assert_eq!(
            (&import["state"], &import["accepted"], &import["rejected"], &import["left_out"]),
            (&json!("done"), &json!(2), &json!(0), &json!([])),
            "{file:?}: {import}"
        );
        let names: Vec<String> = people(&w, &list).await.into_iter().map(|(_, f)| f[0].1.clone()).collect();
        assert_eq!(names, ["Ada", "Bo"], "{file:?}");
    }
    // A value after the last named column is not a field.
    let (import, _) = w.import("phone,first_name,\n+12025550001,Ada,x\n", "").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(0), &json!(1)), "{import}");
    // A column without a name, such as a program's own row numbers, is left out and reported.
    let (import, list) = w.import(",phone,first_name\n0,+12025550001,Ada\n1,+12025550002,Bo\n", "").await;
    assert_eq!(
        import["left_out"],
        json!([{"field": "column 1", "reason": "the column has no name", "count": 2}])
    );
    assert_eq!(people(&w, &list).await.len(), 2);
}

#[tokio::test]
async fn columns_are_known_however_their_names_are_spelt() {
    let w = World::start().await;
    for (file, field) in [
        ("Phone Number,Prénom\n+12025550001,Ada\n", "prenom"),
        ("\u{200b}phone,Name (full)\n+12025550001,Ada\n", "name_full"),
        ("MOBILE;1st visit\n+12025550001;Ada\n", "_1st_visit"),
        ("Téléphone,firstName\n+12025550001,Ada\n", "first_name"),
        ("number,phone,First Name\n7,+12025550001,Ada\n", "first_name"),
    ] {
        let (import, list) = w.import(file, "").await;
        assert_eq!(import["accepted"], 1, "{file:?}: {import}");
        let fields = people(&w, &list).await.remove(0).1;
        assert!(fields.contains(&(field.to_owned(), "Ada".to_owned())), "{file:?}: {fields:?}");
    }
    for (file, why) in [
        ("Mobile,Telephone\n+12025550001,+12025550002\n", "may both be the number"),
        ("Phone,PHONE\n+12025550001,+12025550002\n", "twice"),
        ("+12025550001,Ada\n", "names no columns but holds the number"),
        ("phone,姓名\n+12025550001,Ada\n", "Latin letters"),
    ] {
        let (import, _) = w.import(file, "").await;
        let error = import["error"].as_str().unwrap_or_default();
        assert!(import["state"] == "failed" && error.contains(why), "{file:?}: {import}");
    }
    // A file of numbers alone needs no name.
    let (import, list) = w.import("+12025550001\n+12025550002\n", "").await;
    assert_eq!((&import["accepted"], people(&w, &list).await.len()), (&json!(2), 2));
}

#[tokio::test]
async fn a_do_not_contact_file_is_taken_as_it_comes() {
    let w = World::start().await;
    for (file, numbers) in [
        ("+12025550123\n+12025550124\n", 2),
        ("2025550125\n2025550126", 2),
        ("number\n+12025550127\n", 1),
        ("202,5550128\n202,5550129\n", 2),
        ("Area Code;Number\n202;5550130\n202;(202) 555-0131\n", 2),
        ("id,MSISDN,since\n1,12025550132,2020-01-01\n", 1),
    ] {
        let request = w.request(reqwest::Method::POST, "/suppressions/import?channel=sms&country=US");
        let begun = w.answer(request.header("content-type", "text/csv").body(file)).await;
        let at = format!("/imports/{}", begun.body["id"].as_str().unwrap());
        let import = w.until(&at, |i| i["state"] != "running").await;
        assert_eq!(
            (&import["accepted"], &import["rejected"]),
            (&json!(numbers), &json!(0)),
            "{file:?}: {import}"
        );
    }
    let listed = w.store.suppressions(None, 50).await.unwrap();
    assert_eq!(listed.len(), 10);
    let request = w.request(reqwest::Method::POST, "/suppressions/import?channel=sms");
    let begun = w.answer(request.header("content-type", "text/csv").body("name,city\nAda,Bonn\n")).await;
    let at = format!("/imports/{}", begun.body["id"].as_str().unwrap());
    let import = w.until(&at, |i| i["state"] != "running").await;
    assert!(import["error"].as_str().unwrap().contains("it has 'name', 'city'"), "{import}");
}

#[tokio::test]
async fn a_stray_nul_makes_no_text_of_any_size_something_else() {
    let w = World::start().await;
    for more in ["", "+12025550002,Bo\n"] {
        let (import, list) = w.import(format!("phone,first_name\n+12025550001,A\0da\n{more}"), "").await;
        assert_eq!((&import["state"], &import["rejected"]), (&json!("done"), &json!(0)), "{import}");
        assert_eq!(people(&w, &list).await[0].1, [("first_name".to_owned(), "Ada".to_owned())]);
    }
    let (import, _) = w.import("\0\x01\x02".repeat(20), "").await;
    assert_eq!(import["state"], "failed", "{import}");
}

#[tokio::test]
async fn a_quote_in_the_row_of_names_costs_no_row() {
    let w = World::start().await;
    for file in [
        "phone,\"first_name\n+12025550001,Ada\n+12025550002,Bo\n",
        "phone,\"first_name\n+12025550001,Ada\n+12025550002,Bo\"\n",
        "phone,\"first_name\n+12025550001,Ada\n+12025550002,\"Bo\"\n",
    ] {
        let (import, list) = w.import(file, "").await;
        assert_eq!(import["state"], "done", "{file:?}: {import}");
        let rows = import["accepted"].as_i64().unwrap() + import["rejected"].as_i64().unwrap();
        assert_eq!((rows, people(&w, &list).await.len()), (2, 2), "{file:?}: {import}");
    }
    // A name over two lines is one all the same.
    let (import, _) = w.import("\"Phone\nnumber\",\"First\nname\"\n+12025550001,Ada\n", "").await;
    assert_eq!((&import["state"], &import["accepted"]), (&json!("done"), &json!(1)), "{import}");
}

#[tokio::test]
async fn broken_quoting_costs_its_own_row_and_says_so() {
    let w = World::start().await;
    let rows: Vec<String> = (3..400).map(|i| format!("{},P{i},note {i}\n", fixture::number(i))).collect();
    let rows = rows.concat();
    let file = format!(
        "phone,first_name,note\n{},\"Ana,x\n{},Ben,\"a \"\"good\"\" one\nin two lines\"\n{rows}",
        fixture::number(1),
        fixture::number(2)
    );
    let (import, list) = w.import(file, "").await;
    assert_eq!(
        (&import["state"], &import["accepted"], &import["rejected"]),
        (&json!("done"), &json!(398), &json!(1)),
        "{import}"
    );
    assert_eq!(
        people(&w, &list).await[0].1[1],
        ("note".to_owned(), "a \"good\" one\nin two lines".to_owned())
    );
    assert!(errors(&w, &import).await.lines().nth(1).unwrap().contains("opened and not closed"));
    // A row without an end ends the import with its place; the rows before it are stored.
    let endless =
        format!("phone,first_name\n+12025550001,Ana\n+12025550002,\"{}", "no end\n".repeat(300_000));
    let (import, _) = w.import(endless, "").await;
    assert_eq!((&import["state"], &import["accepted"]), (&json!("failed"), &json!(1)));
    assert!(import["error"].as_str().unwrap().starts_with("row 3 is longer than 1 MB"), "{import}");
}

#[tokio::test]
async fn an_optional_value_that_cannot_be_read_never_costs_the_contact() {
    let w = World::start().await;
    let file = "phone,first_name,time_zone,email,consent_source,consent_at,notes\n\
        +12025550001,Ada,localtime,ada@x.example,form,yesterday,a\0b\u{7}c\n\
        +12025550002,Bo,Mars/Olympus,no address,form,2026-01-31,\n\
        +12025550003,Cy,europe/berlin,,form,2026-01-31 10:00,\n";
    let (import, list) = w.import(file, "").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(3), &json!(0)), "{import}");
    let left: Vec<(&str, i64)> = import["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["field"].as_str().unwrap(), l["count"].as_i64().unwrap()))
        .collect();
    assert_eq!(left, [("time_zone", 2), ("consent_at", 1), ("email", 1)]);
    let all = w.store.members(list.parse().unwrap(), None, 10).await.unwrap();
    assert!(all[0].fields.contains(&("notes".into(), "abc".into())), "{:?}", all[0].fields);
    assert_eq!(all[0].zone.as_deref(), Some("America/New_York"));
    assert_eq!(all[2].zone.as_deref(), Some("Europe/Berlin"));
    // A consent without a known time is none.
    let consents = [0, 1, 2].map(|i: usize| w.store.contact(all[i].number));
    let given: Vec<Option<String>> = futures::future::join_all(consents)
        .await
        .into_iter()
        .map(|c| c.unwrap().consent.map(|k| k.at.to_string()))
        .collect();
    assert_eq!(given, [None, Some("2026-01-31T00:00:00Z".into()), Some("2026-01-31T10:00:00Z".into())]);
}

#[tokio::test]
async fn the_file_of_refused_rows_is_mended_and_sent_again() {
    let w = World::start().await;
    let file = "Phone;First name;Motto\nnobody;Ada;\"=1+1; \"\"so\"\"\"\n+12025550002;Bo;x\n=SUM(1);@Cy;-1\n+12025550004;Di;x;too many\n";
    let (import, _) = w.import(file, "").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(1), &json!(3)), "{import}");
    let refused = errors(&w, &import).await;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(refused.as_bytes());
    assert_eq!(
        reader.headers().unwrap(),
        vec!["row", "field", "value", "message", "Phone", "First name", "Motto"]
    );
    for record in reader.records() {
        for cell in &record.unwrap() {
            assert!(!cell.starts_with(['=', '@', '-', '+', '\t']) || cell == "+12025550004", "{cell}");
        }
    }
    let mended = refused
        .replace("nobody", "+12025550001")
        .replace("'=SUM(1)", "+12025550003")
        .replace(",too many\n", "\n");
    let (import, list) = w.import(mended, "").await;
    assert_eq!(
        (&import["accepted"], &import["rejected"], &import["left_out"]),
        (&json!(3), &json!(0), &json!([])),
        "{import}"
    );
    let all = people(&w, &list).await;
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        all[0],
        ("+12025550001".into(), vec![field("first_name", "Ada"), field("motto", "=1+1; \"so\"")])
    );
    assert_eq!(all[1].1, [field("first_name", "@Cy"), field("motto", "-1")]);
}

#[tokio::test]
async fn the_file_of_refused_rows_is_whole_however_many_there_are() {
    // More than are read from the store at a time, twice over.
    const REFUSED: usize = 4_500;
    let w = World::start().await;
    let rows: Vec<String> = (0..REFUSED).map(|n| format!("nobody {n},Ana{n}\n")).collect();
    let (import, _) = w.import(format!("phone,first_name\n{}+12025550001,Ada\n", rows.concat()), "").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(1), &json!(REFUSED)), "{import}");
    let refused = errors(&w, &import).await;
    let mut reader = csv::Reader::from_reader(refused.as_bytes());
    let rows: Vec<(String, String)> =
        reader.records().map(|row| row.unwrap()).map(|row| (row[2].to_owned(), row[5].to_owned())).collect();
    let all: Vec<_> = (0..REFUSED).map(|n| (format!("nobody {n}"), format!("Ana{n}"))).collect();
    assert_eq!(rows.len(), REFUSED);
    assert!(rows == all, "each row once, in order");
}

#[tokio::test]
async fn contacts_as_json_are_known_by_any_spelling_and_null_is_no_value() {
    let w = World::start().await;
    let list = w.post("/lists", &json!({"name": "JSON"})).await.created()["id"].as_str().unwrap().to_owned();
    let rows = json!([
        {"Phone": "+12025550001", "firstName": "Ada", "city": null},
        {"phoneNumber": 12_025_550_002_i64, "first_name": "Bo", "vip": true, "visits": 3},
        {"phone": null, "mobile": "+12025550003", "Last Name": "Cyr"},
        {"phone": "6281234567890.0", "firstName": null},
        {"first_name": "Nobody"},
        {"phone": "+12025550005", "time_zone": "localtime"},
    ]);
    let begun = w.post(&format!("/lists/{list}/contacts?country=US"), &rows).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let import =
        w.until(&format!("/imports/{}", begun.body["id"].as_str().unwrap()), |i| i["state"] == "done").await;
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(4), &json!(2)), "{import}");
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        people(&w, &list).await,
        [
            ("+12025550001".to_owned(), vec![field("first_name", "Ada")]),
            (
                "+12025550002".to_owned(),
                vec![field("first_name", "Bo"), field("vip", "true"), field("visits", "3")]
            ),
            ("+12025550003".to_owned(), vec![field("last_name", "Cyr")]),
            ("+12025550005".to_owned(), vec![]),
        ]
    );
    assert!(
        errors(&w, &import).await.lines().any(|line| line.ends_with(",6281234567890.0,,,,")),
        "{}",
        errors(&w, &import).await
    );
    let nested = w.post(&format!("/lists/{list}/contacts"), &json!([{"phone": {"number": "1"}}])).await;
    assert_eq!(nested.refused(), (422, vec!["[0].phone"]));
}

#[tokio::test]
async fn a_key_of_a_contact_as_json_that_no_field_can_hold_is_left_out_and_costs_nobody() {
    let w = World::start().await;
    let list = w.post("/lists", &json!({"name": "JSON"})).await.created()["id"].as_str().unwrap().to_owned();
    let rows = json!([
        {"phone": "+12025550001", "tags": ["a", "b"], "address": {"city": "Bonn"}, "first_name": "Ada"},
        {"phone": "+12025550002", "\u{418}\u{43c}\u{44f}": "Bo", "": "x", "!": "y"},
        {"phone": "+12025550003", "City": "Bonn", "city": "Ulm", "CITY": "Wien"},
        {"phone": "+12025550004", "PHONE": "+12025550005"},
        {"phone": " ", "mobile": "+12025550006", "consent_at": "31/12/2020"},
        {"phone": "+12025550007", "consent_at": "2020-12-31"},
    ]);
    let begun = w.post(&format!("/lists/{list}/contacts"), &rows).await;
    let import =
        w.until(&format!("/imports/{}", begun.body["id"].as_str().unwrap()), |i| i["state"] == "done").await;
    // Which of two numbers is meant, only the sender knows.
    assert_eq!((&import["accepted"], &import["rejected"]), (&json!(5), &json!(1)), "{import}");
    let left_out: i64 =
        import["left_out"].as_array().unwrap().iter().map(|l| l["count"].as_i64().unwrap()).sum();
    assert_eq!(left_out, 9, "{import}");
    let fields: Vec<_> = people(&w, &list).await.into_iter().map(|(_, fields)| fields).collect();
    let field = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(fields, [field("first_name", "Ada"), vec![], field("city", "Wien"), vec![], vec![]]);
}

#[tokio::test]
async fn bodies_are_bounded_whatever_the_page() {
    let w = World::start().await;
    let large = "x".repeat(3 * 1024 * 1024);
    for path in ["//contacts", "//contacts/do-not-contact", "//campaigns/new", "//preview"] {
        let answer =
            w.request(reqwest::Method::POST, path).form(&[("name", &large), ("number", &large)]).send().await;
        assert_eq!(answer.unwrap().status().as_u16(), 413, "{path}");
    }
    let part = format!("--b\r\ncontent-disposition: form-data; name=\"channel\"\r\n\r\n{large}\r\n--b--\r\n");
    let request = w.request(reqwest::Method::POST, "//contacts/do-not-contact/import");
    let answer = w.answer(request.header("content-type", "multipart/form-data; boundary=b").body(part)).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_still_sending_when_the_answer_is_known_reads_it() {
    let w = World::start().await;
    let address = w.base().trim_start_matches("http://").to_owned();
    for _ in 0..10 {
        let address = address.clone();
        // It writes everything before it reads anything, as simple clients do. Nobody is signed in.
        let answer = tokio::task::spawn_blocking(move || {
            let mut connection = std::net::TcpStream::connect(&address).unwrap();
            let body = vec![b'x'; 8 * 1024 * 1024];
            let head = format!(
                "POST /api/v1/campaigns HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(&body).unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            answer
        });
        assert!(answer.await.unwrap().starts_with("HTTP/1.1 401"));
    }
}
