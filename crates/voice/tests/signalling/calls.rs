//! A call from INVITE to BYE, and all the ways in which it is withdrawn.

use std::time::Duration;

use voice::sip::{Cause, Event, Fault, Side};

use super::{ANSWER, LONG, OFFER, agent, assert_nothing_left, end, far_end::FarEnd, invite, next, trunk};

const US: Cause = Cause::Completed { by: Side::Us };
const FAR_END: Cause = Cause::Completed { by: Side::FarEnd };

#[tokio::test]
async fn a_call_rings_is_answered_and_hung_up_by_us() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    assert_eq!(invite.uri(), format!("sip:+12025550123@{}", far.address()));
    let ours = format!("<sip:+12025550100@{}>", far.address());
    assert!(invite.header("From").starts_with(&ours), "{}", invite.text);
    assert_eq!(invite.header("P-Asserted-Identity"), ours);
    assert_eq!(invite.header("Call-ID"), call.id());
    assert!(call.id().ends_with("@carillon"));
    assert_eq!((invite.header("Supported"), invite.header("Session-Expires")), ("timer", "1800"));
    assert_eq!((invite.find("Route"), invite.header("Min-SE")), (None, "90"), "{}", invite.text);
    assert_eq!(invite.body(), OFFER);
    far.answer(&invite, "100 Trying", "", "").await;
    assert!(matches!(next(&mut call).await, Event::Trying));
    far.answer(&invite, "180 Ringing", &far.contact(), "").await;
    assert!(matches!(next(&mut call).await, Event::Ringing));
    far.pick_up(&invite).await;
    let Event::Answered { sdp } = next(&mut call).await else { panic!() };
    assert_eq!(String::from_utf8(sdp).unwrap(), ANSWER);
    far.expect("ACK").await;
    call.hang_up();
    let bye = far.expect("BYE").await;
    far.answer(&bye, "200 OK", "", "").await;
    let (end, _) = end(&mut call).await;
    assert_eq!((end.cause, end.trunk, end.after_18x), (US, false, true));
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_call_that_the_far_end_hangs_up_says_so_with_its_reason() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.talk("").await;
    far.ask(&invite, "BYE", 5, "Reason: Q.850;cause=16\r\n", "").await;
    far.expect("200").await;
    let (end, _) = end(&mut call).await;
    assert_eq!((end.cause, end.q850), (FAR_END, Some(16)));
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_bye_right_behind_the_answer_ends_the_call() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(agent.invite(invite()).unwrap());
        let invite = far.expect("INVITE").await;
        far.pick_up(&invite).await;
        far.ask(&invite, "BYE", 2, "", "").await;
    }
    for mut call in calls {
        assert_eq!(end(&mut call).await.0.cause, FAR_END);
    }
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn an_answer_without_a_description_is_told_as_it_is() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    // Nor has it a Contact, and it is a 202: the call must end nevertheless.
    far.answer(&invite, "202 Accepted", "", "").await;
    let Event::Answered { sdp } = next(&mut call).await else { panic!() };
    assert!(sdp.is_empty());
    call.hang_up();
    let bye = far.expect("BYE").await;
    far.answer(&bye, "200 OK", "", "").await;
    end(&mut call).await;
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_ringing_call_is_cancelled_whichever_way_it_is_given_up() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    for way in ["hang up", "abort", "drop"] {
        let mut call = agent.invite(invite()).unwrap();
        let invite = far.expect("INVITE").await;
        far.answer(&invite, "180 Ringing", &far.contact(), "").await;
        assert!(matches!(next(&mut call).await, Event::Ringing));
        let kept = match way {
            "hang up" => {
                call.hang_up();
                Some(call)
            }
            "abort" => {
                assert!(call.abort().await);
                Some(call)
            }
            _ => {
                drop(call);
                None
            }
        };
        let cancel = far.expect("CANCEL").await;
        assert_eq!(cancel.find("Route"), None, "{}", cancel.text);
        far.answer(&cancel, "200 OK", "", "").await;
        far.answer(&invite, "487 Request Terminated", "", "").await;
        far.expect("ACK").await;
        if let Some(mut call) = kept {
            let (end, _) = end(&mut call).await;
            assert_eq!((end.cause, end.sip_code), (Cause::Cancelled { answered: false }, Some(487)), "{way}");
        }
        assert_nothing_left(&agent).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_ringing_calls_are_withdrawn_within_a_second() {
    const CALLS: usize = 500;
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut calls = Vec::new();
    let mut ringing = Vec::new();
    for _ in 0..CALLS {
        calls.push(agent.invite(invite()).unwrap());
        let invite = far.expect("INVITE").await;
        far.answer(&invite, "180 Ringing", &far.contact(), "").await;
        ringing.push(invite);
    }
    let begun = std::time::Instant::now();
    let mut aborts = tokio::task::JoinSet::new();
    for call in calls {
        aborts.spawn(async move {
            assert!(call.abort().await);
            call
        });
    }
    let calls = aborts.join_all().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let mut cancelled = std::collections::HashSet::new();
    while cancelled.len() < CALLS {
        let heard = far.hear().await;
        assert_ne!(heard.what(), "INVITE", "an INVITE left after the abort");
        if heard.what() == "CANCEL" && cancelled.insert(heard.header("Call-ID").to_owned()) {
            far.answer(&heard, "200 OK", "", "").await;
            let invite = ringing.iter().find(|invite| invite.header("Call-ID") == heard.header("Call-ID"));
            far.answer(invite.unwrap(), "487 Request Terminated", "", "").await;
        }
    }
    for mut call in calls {
        assert_eq!(end(&mut call).await.0.cause, Cause::Cancelled { answered: false });
    }
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_far_end_that_is_gone_keeps_no_call_up() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    far.talk("").await;
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    drop(far);
    call.hang_up();
    assert_eq!(end(&mut call).await.0.cause, US);
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn after_an_abort_no_invite_leaves_to_a_far_end_that_is_silent() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    far.expect("INVITE").await;
    assert!(call.abort().await);
    // Without the abort, repeats would come after 0.5 and 1.5 s.
    assert_eq!(far.hear_for(Duration::from_secs(2)).await, Vec::<String>::new());
    assert_eq!(end(&mut call).await.0.cause, Cause::Cancelled { answered: false });
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_phone_that_is_picked_up_after_the_abort_is_acknowledged_and_hung_up() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    assert!(call.abort().await);
    far.pick_up(&invite).await;
    far.expect("ACK").await;
    let bye = far.expect("BYE").await;
    far.answer(&bye, "200 OK", "", "").await;
    let (end, _) = end(&mut call).await;
    assert_eq!(end.cause, Cause::Cancelled { answered: true });
    assert_eq!(end.words, "answered as it was cancelled");
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "180 Ringing", &far.contact(), "").await;
    assert!(matches!(next(&mut call).await, Event::Ringing));
    assert!(call.abort().await);
    let cancel = far.expect("CANCEL").await;
    far.pick_up(&invite).await;
    far.answer(&cancel, "200 OK", "", "").await;
    far.expect("ACK").await;
    let bye = far.expect("BYE").await;
    far.answer(&bye, "200 OK", "", "").await;
    assert_eq!(end(&mut call).await.0.cause, Cause::Cancelled { answered: true });
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn an_abort_is_answered_at_once_whatever_the_call_is_waiting_for() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let at_once = |call: voice::sip::Call, expected: bool| async move {
        let aborted = tokio::time::timeout(Duration::from_millis(500), call.abort()).await;
        assert_eq!(aborted.expect("the abort has to wait"), expected);
        call
    };
    // The far end does not answer the CANCEL.
    let mut ringing = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "180 Ringing", &far.contact(), "").await;
    assert!(matches!(next(&mut ringing).await, Event::Ringing));
    ringing.hang_up();
    far.expect("CANCEL").await;
    let mut ringing = at_once(ringing, true).await;
    // Nor the BYE.
    let mut talking = agent.invite(super::invite()).unwrap();
    far.talk("").await;
    assert!(matches!(next(&mut talking).await, Event::Answered { .. }));
    talking.hang_up();
    far.expect("BYE").await;
    let mut talking = at_once(talking, false).await;
    assert_eq!(end(&mut ringing).await.0.cause, Cause::Cancelled { answered: false });
    assert_eq!(end(&mut talking).await.0.cause, US);
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn an_answered_call_is_not_aborted() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.talk("").await;
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    assert!(!call.abort().await);
    far.ask(&invite, "BYE", 2, "", "").await;
    assert_eq!(end(&mut call).await.0.cause, FAR_END);
    assert!(!call.abort().await, "an ended call cannot be withdrawn");
}

#[tokio::test]
async fn of_two_forked_answers_the_second_is_hung_up_and_the_first_talks_on() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer_as("a", &invite, "180 Ringing", &far.contact(), "").await;
    far.answer_as("far", &invite, "200 OK", &far.contact(), ANSWER).await;
    far.answer_as("b", &invite, "200 OK", &far.contact(), ANSWER).await;
    let mut acknowledged = [far.expect("ACK").await, far.expect("ACK").await]
        .map(|ack| ack.header("To").rsplit("tag=").next().unwrap().to_owned());
    acknowledged.sort();
    assert_eq!(acknowledged, ["b", "far"]);
    let bye = far.expect("BYE").await;
    assert!(bye.header("To").ends_with("tag=b"), "{}", bye.text);
    far.answer(&bye, "200 OK", "", "").await;
    far.ask(&invite, "BYE", 2, "", "").await;
    assert_eq!(end(&mut call).await.0.cause, FAR_END);
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn of_two_final_answers_the_first_holds() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "486 Busy Here", "", "").await;
    far.answer(&invite, "603 Decline", "", "").await;
    assert_eq!(end(&mut call).await.0.cause, Cause::Busy);
    let mut call = agent.invite(super::invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.pick_up(&invite).await;
    far.answer(&invite, "486 Busy Here", "", "").await;
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    far.expect("ACK").await;
    far.ask(&invite, "BYE", 2, "", "").await;
    assert_eq!(end(&mut call).await.0.cause, FAR_END);
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_phone_that_rings_out_is_no_answer_and_silence_is_the_trunks() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let short = |mut invite: voice::sip::Invite| {
        invite.ring_time = Duration::from_millis(300);
        invite
    };
    let mut call = agent.invite(short(invite())).unwrap();
    let rung = far.expect("INVITE").await;
    far.answer(&rung, "180 Ringing", &far.contact(), "").await;
    let cancel = far.expect("CANCEL").await;
    far.answer(&cancel, "200 OK", "", "").await;
    far.answer(&rung, "487 Request Terminated", "", "").await;
    let (rang_out, _) = end(&mut call).await;
    assert_eq!((rang_out.cause, rang_out.trunk, rang_out.sip_code), (Cause::NoAnswer, false, None));
    let mut call = agent.invite(short(invite())).unwrap();
    let (silent, _) = end(&mut call).await;
    assert_eq!((silent.cause, silent.trunk), (Cause::Failed, true));
    assert!(silent.words.contains("does not answer"), "{}", silent.words);
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn no_call_begins_beyond_the_most_and_none_while_closing() {
    let far = FarEnd::new().await;
    let mut small = trunk(far.address());
    small.max_calls = 1;
    let agent = voice::sip::Agent::start(small).await.unwrap();
    let mut call = agent.invite(invite()).unwrap();
    assert_eq!(agent.invite(invite()).unwrap_err(), Fault::Full(1));
    let talking = far.talk("").await;
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    let (closed, bye) = tokio::join!(tokio::time::timeout(LONG, agent.close()), async {
        let bye = far.expect("BYE").await;
        far.answer(&bye, "200 OK", "", "").await;
        bye
    });
    closed.unwrap();
    assert_eq!(bye.header("Call-ID"), talking.header("Call-ID"));
    assert_eq!(end(&mut call).await.0.cause, US);
}

#[tokio::test]
async fn an_agent_that_is_dropped_ends_its_calls() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut talking = agent.invite(invite()).unwrap();
    far.talk("").await;
    assert!(matches!(next(&mut talking).await, Event::Answered { .. }));
    let mut dialing = agent.invite(invite()).unwrap();
    far.expect("INVITE").await;
    drop(agent);
    assert_eq!(end(&mut talking).await.0.cause, US);
    assert_eq!(end(&mut dialing).await.0.cause, Cause::Cancelled { answered: false });
    assert!(!dialing.abort().await);
}

#[tokio::test]
async fn the_messages_of_a_call_are_kept_without_the_number() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "404 Not Found", "", "").await;
    end(&mut call).await;
    let exchange = call.exchange();
    let kept: Vec<(bool, String)> = exchange
        .messages
        .iter()
        .map(|message| (message.sent, message.text.lines().next().unwrap().to_owned()))
        .collect();
    let masked = format!("sip:+1202*******@{} SIP/2.0", far.address());
    let expected = [
        (true, format!("INVITE {masked}")),
        (false, "SIP/2.0 404 Not Found".to_owned()),
        (true, format!("ACK {masked}")),
    ];
    assert_eq!(kept, expected);
    assert!(exchange.messages.iter().all(|message| !message.text.contains("5550123")));
}
