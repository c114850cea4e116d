//! What may happen while a call is up.

use std::time::Duration;

use voice::sip::{Agent, Call, Cause, Event, Side, Transfer};

use super::{
    ANSWER, OFFER, agent, assert_nothing_left, end,
    far_end::{FarEnd, Heard},
    invite, next,
};

const SDP: &str = "Content-Type: application/sdp\r\n";

/// An answered call; `more` are headers of the answer.
async fn talking(more: &str) -> (FarEnd, Agent, Call, Heard) {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.talk(more).await;
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    (far, agent, call, invite)
}

async fn hang_up(far: &FarEnd, agent: &Agent, call: &mut Call, invite: &Heard) {
    far.ask(invite, "BYE", 99, "", "").await;
    far.expect("200").await;
    assert_eq!(end(call).await.0.cause, Cause::Completed { by: Side::FarEnd });
    assert_nothing_left(agent).await;
}

#[tokio::test]
async fn a_change_of_the_sound_is_accepted_or_refused_by_the_owner_and_the_call_goes_on() {
    for method in ["INVITE", "UPDATE"] {
        let (far, agent, mut call, invite) = talking("").await;
        let hold = ANSWER.replace("a=rtpmap", "a=sendonly\r\na=rtpmap");
        far.ask(&invite, method, 2, SDP, &hold).await;
        let Event::Reoffered { sdp, answer } = next(&mut call).await else { panic!() };
        assert_eq!(String::from_utf8(sdp).unwrap(), hold);
        answer.accept(b"v=0\r\nours".to_vec());
        let accepted = far.expect("200").await;
        assert_eq!((accepted.header("Content-Type"), accepted.body()), ("application/sdp", "v=0\r\nours"));
        if method == "INVITE" {
            far.ask(&invite, "ACK", 2, "", "").await;
        }
        far.ask(&invite, method, 3, SDP, ANSWER).await;
        let Event::Reoffered { answer, .. } = next(&mut call).await else { panic!() };
        answer.refuse();
        far.expect("488").await;
        hang_up(&far, &agent, &mut call, &invite).await;
    }
}

#[tokio::test]
async fn a_refresh_without_a_description_is_answered_by_itself() {
    let (far, agent, mut call, invite) = talking("").await;
    far.ask(&invite, "UPDATE", 2, "Session-Expires: 600;refresher=uac\r\n", "").await;
    let refreshed = far.expect("200").await;
    assert_eq!(refreshed.header("Session-Expires"), "600;refresher=uac");
    assert_eq!(refreshed.header("Require"), "timer");
    // A re-INVITE without one asks for ours; theirs comes with the ACK.
    far.ask(&invite, "INVITE", 3, "", "").await;
    assert_eq!(far.expect("200").await.body(), OFFER);
    far.ask(&invite, "ACK", 3, SDP, ANSWER).await;
    let Event::Described(sdp) = next(&mut call).await else { panic!() };
    assert_eq!(sdp, ANSWER.as_bytes());
    hang_up(&far, &agent, &mut call, &invite).await;
}

#[tokio::test]
async fn what_the_far_end_asks_before_the_answer_does_not_end_the_call() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(super::invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "180 Ringing", &far.contact(), "").await;
    assert!(matches!(next(&mut call).await, Event::Ringing));
    far.ask(&invite, "UPDATE", 2, "", "").await;
    far.expect("200").await;
    far.ask(&invite, "UPDATE", 3, SDP, ANSWER).await;
    far.expect("491").await;
    far.pick_up(&invite).await;
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    hang_up(&far, &agent, &mut call, &invite).await;
}

#[tokio::test]
async fn keys_come_by_info_and_what_is_no_key_is_refused() {
    let (far, agent, mut call, invite) = talking("").await;
    let relay = "Content-Type: application/dtmf-relay\r\n";
    far.ask(&invite, "INFO", 2, relay, "Signal=5\r\nDuration=160\r\n").await;
    far.expect("200").await;
    assert!(matches!(next(&mut call).await, Event::Key('5')));
    far.ask(&invite, "INFO", 3, "Content-Type: text/plain\r\n", "hello").await;
    far.expect("415").await;
    far.ask(&invite, "OPTIONS", 4, "", "").await;
    assert!(far.expect("200").await.header("Allow").contains("UPDATE"));
    hang_up(&far, &agent, &mut call, &invite).await;
}

#[tokio::test]
async fn a_transfer_is_told_step_by_step() {
    let (far, agent, mut call, invite) = talking("").await;
    assert!(call.refer("agents@pbx").is_err());
    call.refer("sip:agents@pbx.example").unwrap();
    let refer = far.expect("REFER").await;
    assert_eq!(refer.header("Refer-To"), "<sip:agents@pbx.example>");
    far.answer(&refer, "202 Accepted", &far.contact(), "").await;
    let Event::Transfer(transfer) = next(&mut call).await else { panic!() };
    assert_eq!(transfer, Transfer::Accepted);
    for (seq, body, expected) in [
        (2, "SIP/2.0 100 Trying\r\n", Transfer::Progress(100)),
        (3, "SIP/2.0 200 OK\r\n", Transfer::Done(200)),
    ] {
        let more = "Event: refer\r\nSubscription-State: active\r\nContent-Type: message/sipfrag\r\n";
        far.ask(&invite, "NOTIFY", seq, more, body).await;
        far.expect("200").await;
        let Event::Transfer(transfer) = next(&mut call).await else { panic!() };
        assert_eq!(transfer, expected);
    }
    hang_up(&far, &agent, &mut call, &invite).await;
}

#[tokio::test]
async fn a_transfer_that_the_far_end_does_not_know_is_refused() {
    let (far, agent, mut call, invite) = talking("").await;
    call.refer("tel:+12025550199").unwrap();
    let refer = far.expect("REFER").await;
    far.answer(&refer, "405 Method Not Allowed", "", "").await;
    let Event::Transfer(transfer) = next(&mut call).await else { panic!() };
    assert_eq!(transfer, Transfer::Refused(405));
    hang_up(&far, &agent, &mut call, &invite).await;
}

#[tokio::test]
async fn we_refresh_the_session_by_update_or_by_re_invite() {
    for (allow, method) in [("Allow: UPDATE, BYE\r\n", "UPDATE"), ("", "INVITE")] {
        let (far, agent, mut call, invite) =
            talking(&format!("{allow}Session-Expires: 2;refresher=uac\r\n")).await;
        let refresh = far.expect(method).await;
        assert_eq!(refresh.header("Session-Expires"), "2;refresher=uac");
        let body = if method == "INVITE" { ANSWER } else { "" };
        let more = format!("{}Session-Expires: 1800;refresher=uac\r\n", far.contact());
        far.answer(&refresh, "200 OK", &more, body).await;
        if method == "INVITE" {
            assert_eq!(refresh.body(), OFFER);
            far.expect("ACK").await;
            assert!(matches!(next(&mut call).await, Event::Described(_)));
        }
        // Now it lasts: nothing comes where the old timer would have ended it.
        assert_eq!(far.hear_for(Duration::from_secs(2)).await, Vec::<String>::new());
        hang_up(&far, &agent, &mut call, &invite).await;
    }
}

#[tokio::test]
async fn a_session_that_the_far_end_does_not_refresh_is_ended() {
    let (far, agent, mut call, _) = talking("Session-Expires: 2;refresher=uas\r\n").await;
    let bye = far.expect("BYE").await;
    far.answer(&bye, "200 OK", "", "").await;
    let (end, _) = end(&mut call).await;
    assert_eq!(end.cause, Cause::Completed { by: Side::Us });
    assert!(end.words.contains("RFC 4028"), "{}", end.words);
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_far_end_that_lost_the_call_ends_it() {
    let (far, agent, mut call, _) = talking("Allow: UPDATE\r\nSession-Expires: 2;refresher=uac\r\n").await;
    let refresh = far.expect("UPDATE").await;
    far.answer(&refresh, "481 Call/Transaction Does Not Exist", "", "").await;
    let bye = far.expect("BYE").await;
    far.answer(&bye, "481 Call/Transaction Does Not Exist", "", "").await;
    let (end, _) = end(&mut call).await;
    assert!(end.words.contains("481"), "{}", end.words);
    assert_nothing_left(&agent).await;
}
