//! Whole calls by a script, with sound and keys, against `sipp`.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use campaign::script::{Key, Prompt, StepId};
use tokio::sync::watch;
use voice::{
    audio::{self, Pcm},
    call::{Legs, Order, Progress, Record, Sounds, What, Wish, carry_out},
    media::{Media, Ports},
    sdp::Codec,
    sip::{Agent, Cause, Side, Transport},
};

use super::{assert_nothing_left, sipp::Sipp, trunk};

/// A tone of 100 ms for each prompt: the key that is pressed half a second after the answer finds its question asked.
struct Tones;

impl Sounds for Tones {
    fn of(&self, _: &Prompt) -> Option<Arc<audio::Prompt>> {
        let tone = (0..800).map(|at| if at % 16 < 8 { 6_000 } else { -6_000 }).collect();
        Some(Arc::new(audio::Prompt::new(Pcm::new(8_000, tone))))
    }
}

/// No prompt has a sound.
struct Nothing;

impl Sounds for Nothing {
    fn of(&self, _: &Prompt) -> Option<Arc<audio::Prompt>> {
        None
    }
}

fn order() -> Order {
    let script = serde_json::json!({"first": "hello", "steps": {
        "hello": {"say": "Hello.", "next": "ask"},
        "ask": {"gather": {"timeout": "PT5S", "tries": 2, "prompt": {"say": "Press 1."}}, "on": {"1": "thanks"}, "none": "bye"},
        "thanks": {"say": "Thank you.", "next": "bye"},
        "bye": {"hang_up": true}}});
    Order {
        to_user: "+12025550123".to_owned(),
        caller_id: "+12025550100".to_owned(),
        ring_time: Duration::from_secs(30),
        agent_rings: Duration::from_secs(30),
        longest: Duration::from_secs(60),
        longest_talk: Duration::from_secs(60),
        codecs: vec![Codec::Pcmu],
        script: Arc::new(serde_json::from_value(script).unwrap()),
        opt_out_key: Key::new('9'),
        farewell: Prompt::Say { text: "You will not be called again.".into(), voice: None },
    }
}

/// Makes one call against a scenario. Returns its record and what was told meanwhile.
async fn call(scenario: &str, sounds: &dyn Sounds, wish: Wish) -> Option<(Record, Vec<Progress>)> {
    if scenario.starts_with("presses") && !rustix::process::geteuid().is_root() {
        fixture::missing("sipp plays keys only for root");
        return None;
    }
    let sipp = Sipp::start(scenario, 1, Transport::Udp)?;
    let agent = Agent::start(trunk(sipp.address())).await.unwrap();
    let media = Media::start(1).unwrap();
    let ports = "30000-40000".parse::<Ports>().unwrap();
    let legs = Legs {
        agent: &agent,
        media: &media,
        ports: &ports,
        public_address: None,
        dialed: &|number| number.to_string(),
    };
    let told = Mutex::new(Vec::new());
    let (wishes, heard) = watch::channel(Wish::GoOn);
    let tell = |progress| {
        told.lock().unwrap().push(progress);
        if progress == Progress::Ringing {
            wishes.send_replace(wish);
        }
    };
    let record = carry_out(&legs, order(), sounds, heard, tell).await.unwrap();
    assert_nothing_left(&agent).await;
    sipp.assert_content();
    Some((record, told.into_inner().unwrap()))
}

fn step(name: &str) -> StepId {
    StepId::try_from(name.to_owned()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_presses_a_key_takes_its_way_through_the_script() {
    let Some((record, told)) = call("presses_1.xml", &Tones, Wish::GoOn).await else { return };
    assert_eq!(record.end.cause, Cause::Completed { by: Side::Us }, "{record:?}");
    assert_eq!(
        (record.digits, record.last_step, record.opted_out),
        (vec!["1".to_owned()], Some(step("bye")), false)
    );
    // A phone that is picked up at once may not be heard to ring.
    assert_eq!(told.last(), Some(&Progress::InProgress));
    assert!(record.rang <= record.answered && record.answered < Some(record.whole));
    assert_eq!(record.lines.last().map(|line| &line.what), Some(&What::Ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_presses_the_key_that_opts_out_is_told_of_at_once_and_hears_the_farewell() {
    let Some((record, told)) = call("presses_9.xml", &Tones, Wish::GoOn).await else { return };
    assert_eq!(record.end.cause, Cause::Completed { by: Side::Us }, "{record:?}");
    assert_eq!((record.opted_out, told.last()), (true, Some(&Progress::OptedOut)));
    let at = |what: fn(&What) -> bool| record.lines.iter().find(|line| what(&line.what)).unwrap().at;
    // The farewell lasts 100 ms.
    let (pressed, ended) = (at(|what| *what == What::OptedOut), at(|what| *what == What::Ended));
    assert!(ended >= pressed + Duration::from_millis(80), "{record:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_its_sound_ends_and_says_so() {
    let Some((record, _)) = call("answer.xml", &Nothing, Wish::GoOn).await else { return };
    assert_eq!(record.failed.as_deref(), Some("a prompt of the script has no sound"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_call_is_withdrawn_and_comes_to_a_record() {
    let Some((record, told)) = call("cancelled.xml", &Tones, Wish::Withdraw).await else { return };
    assert_eq!(record.end.cause, Cause::Cancelled { answered: false }, "{record:?}");
    assert_eq!((record.answered, told), (None, vec![Progress::Ringing, Progress::Withdrawn]));
}
