//! Signing in behind a proxy, and beside somebody who guesses passwords.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use jiff::Timestamp;
use reqwest::{Method, redirect::Policy};
use server::config::Config;
use store::Role;
use world::World;

const ANA: &str = "ana@clinic.example";
const PASSWORD: &str = "a good long password";

/// A world with one account, behind a proxy on this machine or not.
async fn world(trusted: bool) -> World {
    let trusted_proxies = if trusted { vec!["127.0.0.0/8".parse().unwrap()] } else { Vec::new() };
    let w = World::with(Config { trusted_proxies, ..Config::default() }).await;
    let hash = server::secret::hash(PASSWORD.to_owned()).await.unwrap();
    w.store.add_user(ANA, Role::Admin, hash, fixture::by(Timestamp::now())).await.unwrap();
    w
}

/// Signs in through a proxy that adds `headers`; returns the answer's status and its cookie.
async fn sign_in(w: &World, email: &str, password: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let mut request =
        client.post(format!("{}/sign-in", w.base())).form(&[("email", email), ("password", password)]);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let cookie = answer.headers().get("set-cookie").map(|c| c.to_str().unwrap().to_owned());
    (answer.status().as_u16(), cookie.unwrap_or_default())
}

#[tokio::test]
async fn whoever_guesses_locks_out_nobody_else_behind_the_same_proxy() {
    let w = world(true).await;
    let (there, here) = ([("x-forwarded-for", "203.0.113.5")], [("x-forwarded-for", "198.51.100.7")]);
    for _ in 0..5 {
        assert_eq!(sign_in(&w, ANA, "a guess", &there).await.0, 401);
    }
    assert_eq!(sign_in(&w, ANA, PASSWORD, &there).await.0, 429);
    // What they claim about themselves changes nothing about their place.
    let forged = [("x-forwarded-for", "198.51.100.7, 203.0.113.5")];
    assert_eq!(sign_in(&w, ANA, PASSWORD, &forged).await.0, 429);
    assert_eq!(sign_in(&w, ANA, PASSWORD, &here).await.0, 303, "the owner, elsewhere");
    assert_eq!(sign_in(&w, "ben@clinic.example", PASSWORD, &there).await.0, 401, "others, there");
}

#[tokio::test]
async fn a_stranger_chooses_no_place_by_what_it_says() {
    let w = world(false).await;
    for i in 0..5 {
        assert_eq!(
            sign_in(&w, ANA, "a guess", &[("x-forwarded-for", &format!("203.0.113.{i}"))]).await.0,
            401
        );
    }
    assert_eq!(sign_in(&w, ANA, PASSWORD, &[("x-forwarded-for", "203.0.113.9")]).await.0, 429);
}

#[tokio::test]
async fn a_cookie_goes_over_tls_alone_where_a_trusted_proxy_says_that_it_came_so() {
    for (trusted, headers, secure) in [
        (true, &[("x-forwarded-proto", "https")][..], true),
        (true, &[("forwarded", "for=198.51.100.7;proto=https")], true),
        (true, &[("x-forwarded-proto", "http")], false),
        (true, &[], false),
        (false, &[("x-forwarded-proto", "https")], false),
    ] {
        let (status, cookie) = sign_in(&world(trusted).await, ANA, PASSWORD, headers).await;
        assert_eq!(status, 303);
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
            "{cookie}"
        );
        assert_eq!(cookie.contains("Secure"), secure, "{trusted} {headers:?} {cookie}");
    }
}

#[tokio::test]
async fn no_other_site_signs_anybody_in_or_acts_and_the_pages_do_behind_a_proxy_that_renames_the_host() {
    let w = world(true).await;
    for (headers, expected) in [
        (&[("origin", "https://elsewhere.example")][..], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "same-origin"), ("origin", "https://elsewhere.example")], 303),
        (&[("origin", "https://sms.clinic.example")], 403),
        (&[("origin", "https://sms.clinic.example"), ("x-forwarded-host", "sms.clinic.example")], 303),
        (&[("origin", "https://sms.clinic.example"), ("forwarded", "host=sms.clinic.example")], 303),
        (&[("origin", "https://elsewhere.example"), ("x-forwarded-host", "sms.clinic.example")], 403),
        // A program: no page of another site can send a request that does not say where it comes from.
        (&[], 303),
    ] {
        let (status, cookie) = sign_in(&w, ANA, PASSWORD, headers).await;
        assert_eq!(status, expected, "{headers:?}");
        if headers.is_empty() || status != 303 {
            continue;
        }
        let mut act = w.anonymous(Method::POST, "//contacts").form(&[("name", format!("{headers:?}"))]);
        for (name, value) in headers.iter().chain(&[("cookie", cookie.split(';').next().unwrap())]) {
            act = act.header(*name, *value);
        }
        assert_ne!(w.answer(act).await.status, 403, "{headers:?}");
    }
    assert_eq!(w.store.lists().await.unwrap().len(), 3);
}
