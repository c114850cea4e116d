//! Clients that are slow, silent or many take up no more than their connections.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::{io::ErrorKind, time::Duration};

use server::config::Config;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use world::World;

/// Far more than any step here needs.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK: &[u8] = b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n";

async fn connect(w: &World) -> TcpStream {
    TcpStream::connect(w.base().trim_start_matches("http://")).await.unwrap()
}

/// Sends `what`, and reads to the end of the connection.
async fn say(w: &World, what: &[u8]) -> String {
    let mut stream = connect(w).await;
    stream.write_all(what).await.unwrap();
    let mut heard = Vec::new();
    // Octets that were not read may reset the connection after the answer.
    let end = timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    assert!(end.is_ok(), "the connection is never closed");
    String::from_utf8(heard).unwrap()
}

/// Sends a request and reads the answer; the connection stays open.
async fn round_trip(stream: &mut TcpStream) {
    stream.write_all(ASK).await.unwrap();
    let mut heard = String::new();
    while !heard.ends_with('}') {
        let mut part = [0; 1024];
        let read = timeout(PATIENCE, stream.read(&mut part)).await.unwrap().unwrap();
        assert_ne!(read, 0, "{heard}");
        heard += std::str::from_utf8(&part[..read]).unwrap();
    }
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
}

/// Small limits, so that a test reaches them.
fn impatient() -> Config {
    let soon = Duration::from_millis(100);
    Config { connections: 1, head_within: soon, pause: soon, ..Config::default() }
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_wait_until_one_goes() {
    let w = World::with(Config { connections: 2, ..Config::default() }).await;
    let (mut first, mut second) = (connect(&w).await, connect(&w).await);
    round_trip(&mut first).await;
    round_trip(&mut second).await;
    let mut third = connect(&w).await;
    third.write_all(ASK).await.unwrap();
    for _ in 0..50 {
        round_trip(&mut second).await;
    }
    assert_eq!(third.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(first);
    assert_ne!(timeout(PATIENCE, third.read(&mut [0; 1024])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn nobody_holds_a_connection_by_saying_nothing_or_little() {
    let w = World::with(impatient()).await;
    let upload = b"POST /api/v1/lists HTTP/1.1\r\nhost: here\r\nauthorization: Bearer secret\r\ncontent-length: 100\r\n\r\n{\"na";
    let form = b"POST /sign-in HTTP/1.1\r\nhost: here\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nemail=a";
    for (what, answer) in [
        (&b""[..], ""),
        (b"GET /health HT", ""),
        (b"GET /health HTTP/1.1\r\nhost: here\r\nx-slow: ", ""),
        // Idle after an answer.
        (ASK, "HTTP/1.1 200"),
        (upload, "HTTP/1.1 408"),
        (form, "HTTP/1.1 408"),
    ] {
        // Each client takes the only slot, and leaves it to the next.
        let heard = say(&w, what).await;
        assert!(heard.starts_with(answer), "{}: {heard}", String::from_utf8_lossy(what));
    }
}

#[tokio::test]
async fn nobody_holds_a_connection_by_not_reading() {
    let w = World::with(impatient()).await;
    let mut deaf = connect(&w).await;
    // Far more than the system keeps for a connection.
    let ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nhost: here\r\n\r\n".repeat(2_000);
    let asking = tokio::spawn(async move {
        let _ = deaf.write_all(&ask).await;
        deaf
    });
    assert!(say(&w, ASK).await.starts_with("HTTP/1.1 200"), "the room was taken from whoever does not read");
    drop(asking.await.unwrap());
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let w = World::with(Config { head_within: Duration::from_millis(500), ..Config::default() }).await;
    let long = format!("GET /health HTTP/1.1\r\nhost: here\r\nx-long: {}\r\n\r\n", "x".repeat(300_000));
    let many = format!("GET /health HTTP/1.1\r\nhost: here\r\n{}\r\n", "x-many: 1\r\n".repeat(150));
    let path = format!("GET /{} HTTP/1.1\r\nhost: here\r\n\r\n", "x".repeat(300_000));
    for (what, answers) in [(long, &["431"][..]), (many, &["431"]), (path, &["431", "414"])] {
        let heard = say(&w, what.as_bytes()).await;
        assert!(answers.iter().any(|a| heard.starts_with(&format!("HTTP/1.1 {a}"))), "{heard}");
    }
    let fits = format!("GET /health HTTP/1.1\r\nhost: here\r\ncookie: {}\r\n\r\n", "x".repeat(16_000));
    assert!(say(&w, fits.as_bytes()).await.starts_with("HTTP/1.1 200"));
}
