//! What a process beside the one that dispatches believes, and from whom.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use serde_json::json;
use server::App;
use sms::SmppRoute;
use store::{Role, Store};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const TOKEN: &str = "a secret token";

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A process on the data of `store`, and its address.
async fn serve(store: Store) -> (App, SocketAddr) {
    let (listener, address) = listener().await;
    let app = App::new(store);
    tokio::spawn(server::serve(listener, app.clone()));
    (app, address)
}

/// A data folder with a token, and two stores on it, as two processes have them.
async fn two() -> (tempfile::TempDir, Store, Store) {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [(); 2].map(|()| Store::open(folder.path()).unwrap());
    first.add_token("test".into(), Role::Admin, TOKEN, fixture::by(Timestamp::now())).await.unwrap();
    (folder, first, second)
}

async fn dispatch(app: &App, address: SocketAddr) {
    let connect: engine::Connect = Box::new(|route, reports, opt_outs| {
        Arc::new(SmppRoute::start(route.id, fixture::smpp(&route.config), reports, opt_outs))
    });
    let engine =
        engine::Engine::start(app.store.clone(), "one".into(), connect, Timestamp::now()).await.unwrap();
    app.announce(address).unwrap();
    assert!(app.engine.set(engine.handle()).is_ok());
    tokio::spawn(engine.run());
}

fn post(address: SocketAddr, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().post(format!("http://{address}{path}")).bearer_auth(TOKEN)
}

#[tokio::test]
async fn whoever_took_the_address_of_the_process_that_dispatches_is_told_nothing() {
    let (_folder, first, second) = two().await;
    let _right = first.take_dispatch().await.unwrap();
    let (listener, taken) = listener().await;
    // A server that answers everything with 200 and remembers what it heard.
    let (tell, mut hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 16 * 1024];
                while let Ok(read) = connection.read(&mut bytes).await
                    && read > 0
                {
                    tell.send(String::from_utf8_lossy(&bytes[..read]).into_owned()).unwrap();
                    let proof = "f".repeat(64);
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncarillon-proof: {proof}\r\n\r\n{{}}"
                    );
                    let _ = connection.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    let how = json!({"addresses": [taken], "secret": "the secret of the folder"});
    first.announce(how.to_string().as_bytes()).unwrap();
    let (_, address) = serve(second).await;
    let refused = post(address, "/api/v1/lists").json(&json!({"name": "Theirs"})).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let told = hears.recv().await.unwrap();
    assert!(told.starts_with("GET /health"), "{told}");
    for secret in [TOKEN, "Theirs", "the secret of the folder"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(hears.try_recv().is_err(), "it was told more");
    assert!(first.lists().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_request_that_only_says_that_it_was_passed_on_is_anybodys() {
    let (_folder, first, _) = two().await;
    let (app, address) = serve(first).await;
    dispatch(&app, address).await;
    for (name, value) in [("carillon-passed-on", "a guess"), ("carillon-passed-on", "")] {
        let request =
            post(address, "/import-by-command?list=Theirs").header(name, value).body("phone\n+12025550100\n");
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{}", answer.status());
        let listed = post(address, "/api/v1/lists").header(name, value).json(&json!({"name": "Ours"}));
        let status = listed.send().await.unwrap().status().as_u16();
        assert!([201, 422].contains(&status), "who is known may go on: {status}");
    }
    let lists: Vec<String> = app.store.lists().await.unwrap().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(lists, ["Ours"]);
}

#[tokio::test]
async fn tries_to_sign_in_count_for_whoever_made_them_through_any_process_and_nobody_chooses_whose_they_are()
{
    let (_folder, first, second) = two().await;
    let (app, one) = serve(first).await;
    dispatch(&app, one).await;
    let (_, other) = serve(second).await;
    let client = reqwest::Client::new();
    let mut refused = Vec::new();
    for i in 0..60 {
        // Each time from another place, as the caller claims.
        let peer = format!("198.51.100.{i}:5000");
        let form = [("email", "ana@clinic.example"), ("password", "a wrong password")];
        let request = client.post(format!("http://{}/sign-in", if i % 2 == 0 { one } else { other }));
        let request = request.header("carillon-peer", peer).header("carillon-passed-on", "a guess");
        let request = request.header("sec-fetch-site", "same-origin").form(&form);
        refused.push(request.send().await.unwrap().status().as_u16());
    }
    let through = |process: usize| refused.iter().skip(process).step_by(2).filter(|s| **s == 429).count();
    assert!(through(0) > 0 && through(1) > 0, "{refused:?}");
}

#[tokio::test]
async fn live_events_come_through_a_process_beside_the_one_that_dispatches() {
    let (_folder, first, second) = two().await;
    let (app, one) = serve(first).await;
    dispatch(&app, one).await;
    let (_, other) = serve(second).await;
    let request = reqwest::Client::new().get(format!("http://{other}/api/v1/events")).bearer_auth(TOKEN);
    let mut events = request.send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut told = String::new();
    let list = post(one, "/api/v1/lists").json(&json!({"name": "Ours"})).send().await.unwrap();
    let list: serde_json::Value = list.json().await.unwrap();
    let into = format!("/api/v1/lists/{}/contacts", list["id"].as_str().unwrap());
    let begun = post(other, &into).header("content-type", "text/csv").body("phone\n+12025550100\n");
    assert_eq!(begun.send().await.unwrap().status(), 202);
    while !told.contains("event: import") {
        let piece = events.chunk().await.unwrap().expect("it goes on");
        told.push_str(&String::from_utf8_lossy(&piece));
    }
}
