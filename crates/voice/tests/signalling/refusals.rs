//! What the far end may say instead of picking up, and where the call goes then.

use std::time::Duration;

use voice::sip::{Agent, Cause, Credentials, End, Event, Exchange};

use super::{agent, assert_nothing_left, end, far_end::FarEnd, invite, next, trunk};

/// Makes a call that is refused by `status` with the headers `more`, after a 180 where `rings`.
async fn refused(status: &str, more: &str, rings: bool) -> End {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    if rings {
        far.answer(&invite, "180 Ringing", &far.contact(), "").await;
    }
    far.answer(&invite, status, more, "").await;
    far.expect("ACK").await;
    let (end, _) = end(&mut call).await;
    assert_nothing_left(&agent).await;
    // Nothing is tried again, and a redirection is not followed.
    assert_eq!(far.hear_for(Duration::from_millis(50)).await, Vec::<String>::new());
    end
}

#[tokio::test]
async fn every_refusal_ends_the_call_with_its_cause_and_words() {
    let screened = Cause::Rejected { screened: true };
    let elsewhere = "Contact: <sip:other@192.0.2.7>\r\n";
    for (status, more, rings, cause, trunk, words) in [
        (
            "302 Moved",
            elsewhere,
            false,
            Cause::Failed,
            false,
            "302 Moved: redirected to <sip:other@192.0.2.7>",
        ),
        ("404 Not Found", "", false, Cause::Unreachable, false, "404 Not Found"),
        (
            "420 Bad Extension",
            "Unsupported: timer\r\n",
            false,
            Cause::Failed,
            false,
            "420 Bad Extension: the far end does not know the extension timer",
        ),
        (
            "421 Extension Required",
            "Require: 100rel\r\n",
            false,
            Cause::Failed,
            false,
            "421 Extension Required: the far end demands the extension 100rel",
        ),
        ("480 Temporarily Unavailable", "", true, Cause::NoAnswer, false, "480 Temporarily Unavailable"),
        ("486 Busy Here", "", true, Cause::Busy, false, "486 Busy Here"),
        ("487 Request Terminated", "", true, Cause::Failed, false, "487 Request Terminated"),
        (
            "488 Not Acceptable Here",
            "",
            false,
            Cause::Failed,
            false,
            "488 Not Acceptable Here: no common codec",
        ),
        ("403 Forbidden", "", false, Cause::Failed, true, "403 Forbidden"),
        ("403 Not this one", "", true, screened, false, "403 Not this one"),
        ("408 Request Timeout", "", false, Cause::Failed, true, "408 Request Timeout"),
        ("503 Service Unavailable", "", false, Cause::Congestion, true, "503 Service Unavailable"),
        ("603 Decline", "", false, screened, false, "603 Decline"),
        (
            "503 Service Unavailable",
            "Reason: Q.850;cause=17;text=\"x\"\r\n",
            false,
            Cause::Busy,
            false,
            "503 Service Unavailable (Q.850 17, user busy)",
        ),
        (
            "500 Oh",
            "Warning: 399 far \"no lines\"\r\n",
            false,
            Cause::Failed,
            true,
            "500 Oh (399 far \"no lines\")",
        ),
    ] {
        let end = refused(status, more, rings).await;
        let code = status[..3].parse().ok();
        assert_eq!((end.cause, end.trunk, end.sip_code), (cause, trunk, code), "{status} {more}");
        assert_eq!((end.words.as_str(), end.after_18x), (words, rings), "{status}");
    }
}

#[tokio::test]
async fn a_trunk_that_asks_to_be_left_alone_is_heard() {
    for (header, seconds) in [("30", Some(30)), ("120 (maintenance);duration=60", Some(120)), ("soon", None)]
    {
        let end = refused("503 Overloaded", &format!("Retry-After: {header}\r\n"), false).await;
        assert_eq!(end.retry_after, seconds.map(Duration::from_secs), "{header}");
    }
}

#[tokio::test]
async fn an_announcement_before_the_refusal_is_no_answer() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "183 Session Progress", &far.contact(), super::ANSWER).await;
    assert!(matches!(next(&mut call).await, Event::Ringing));
    let Event::EarlyMedia(sdp) = next(&mut call).await else { panic!() };
    assert_eq!(sdp, super::ANSWER.as_bytes());
    far.answer(&invite, "404 Not Found", "", "").await;
    let (end, before) = end(&mut call).await;
    assert_eq!((end.cause, end.after_18x), (Cause::Unreachable, true));
    assert!(before.is_empty(), "{before:?}");
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn an_interval_too_small_is_asked_for_again_as_long_as_wanted() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let first = far.expect("INVITE").await;
    far.answer(&first, "422 Session Interval Too Small", "Min-SE: 3600\r\n", "").await;
    far.expect("ACK").await;
    let second = far.expect("INVITE").await;
    assert_eq!((second.header("Session-Expires"), second.header("Min-SE")), ("3600", "3600"));
    assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
    // One that asks for no more than it was given is not asked a third time.
    far.answer(&second, "422 Session Interval Too Small", "Min-SE: 3600\r\n", "").await;
    let (end, _) = end(&mut call).await;
    assert_eq!((end.cause, end.sip_code, end.trunk), (Cause::Failed, Some(422), false));
    assert_nothing_left(&agent).await;
}

async fn agent_with_password(far: &FarEnd) -> Agent {
    let mut trunk = trunk(far.address());
    trunk.credentials = Some(Credentials { username: "alice".to_owned(), password: "secret".into() });
    Agent::start(trunk).await.unwrap()
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

/// A parameter of a digest, without quotes.
fn parameter<'a>(digest: &'a str, name: &str) -> &'a str {
    let found = digest.trim_start_matches("Digest ").split(", ").find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    });
    found.unwrap_or_else(|| panic!("no {name} in {digest}"))
}

#[tokio::test]
async fn a_sha_256_challenge_is_answered_and_those_that_cannot_be_are_passed_over() {
    for (status, challenge, answer) in [
        ("401 Unauthorized", "WWW-Authenticate", "Authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let far = FarEnd::new().await;
        let agent = agent_with_password(&far).await;
        let mut call = agent.invite(invite()).unwrap();
        let first = far.expect("INVITE").await;
        let challenges = format!(
            "{challenge}: Digest realm=\"t\", nonce=\"n0\", algorithm=SHA-512-256, qop=\"auth\"\r\n\
             {challenge}: Digest realm=\"t\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth,auth-int\"\r\n\
             {challenge}: Digest realm=\"t\", nonce=\"n2\", algorithm=MD5\r\n"
        );
        far.answer(&first, status, &challenges, "").await;
        far.expect("ACK").await;
        let second = far.expect("INVITE").await;
        let digest = second.header(answer);
        let of = |name| parameter(digest, name);
        assert_eq!((of("algorithm"), of("nonce"), of("username")), ("SHA-256", "n1", "alice"));
        assert!(digest.contains("qop=auth,"), "{digest}");
        let ha1 = sha256("alice:t:secret");
        let ha2 = sha256(&format!("INVITE:{}", of("uri")));
        let expected = sha256(&format!("{ha1}:n1:{}:{}:auth:{ha2}", of("nc"), of("cnonce")));
        assert_eq!(of("response"), expected);
        let shown: String = call.exchange().messages.into_iter().map(|message| message.text).collect();
        assert!(shown.contains("Authorization: (removed)") || shown.contains("authorization: (removed)"));
        assert!(!shown.contains(&expected), "the digest is shown");
        far.pick_up(&second).await;
        assert!(matches!(next(&mut call).await, Event::Answered { .. }));
        assert_eq!(call.exchange(), Exchange::default(), "what was answered is no fault to be shown");
        far.ask(&second, "BYE", 2, "", "").await;
        end(&mut call).await;
    }
}

#[tokio::test]
async fn a_wrong_password_ends_at_the_second_challenge_and_is_the_trunks() {
    let far = FarEnd::new().await;
    let agent = agent_with_password(&far).await;
    let mut call = agent.invite(invite()).unwrap();
    for nonce in ["a", "b"] {
        let invite = far.expect("INVITE").await;
        let challenge = format!("WWW-Authenticate: Digest realm=\"t\", nonce=\"{nonce}\", qop=\"auth\"\r\n");
        far.answer(&invite, "401 Unauthorized", &challenge, "").await;
        far.expect("ACK").await;
    }
    let (end, _) = end(&mut call).await;
    assert_eq!((end.cause, end.trunk, end.sip_code), (Cause::Failed, true, Some(401)));
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_challenge_that_nobody_can_answer_is_the_trunks() {
    let far = FarEnd::new().await;
    for (with_password, challenge) in [
        (true, "Digest realm=\"t\", nonce=\"n\", algorithm=SHA-512-256"),
        (true, "Basic realm=\"t\""),
        (false, "Digest realm=\"t\", nonce=\"n\""),
    ] {
        let agent = if with_password { agent_with_password(&far).await } else { agent(far.address()).await };
        let mut call = agent.invite(invite()).unwrap();
        let invite = far.expect("INVITE").await;
        far.answer(
            &invite,
            "407 Proxy Authentication Required",
            &format!("Proxy-Authenticate: {challenge}\r\n"),
            "",
        )
        .await;
        far.expect("ACK").await;
        let (end, _) = end(&mut call).await;
        assert_eq!((end.cause, end.trunk, end.sip_code), (Cause::Failed, true, Some(407)), "{challenge}");
        assert_nothing_left(&agent).await;
    }
}
