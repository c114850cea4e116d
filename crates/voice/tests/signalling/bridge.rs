//! Calls that are handed to an agent over a leg of ours: who is called how, what crosses, and how either leg ends.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, LazyLock},
    time::Duration,
};

use campaign::script::{Key, Note, Prompt, StepId};
use tokio::{sync::watch, time::timeout};
use voice::{
    audio,
    call::{AgentLeg, Legs, Order, Record, Sounds, What, Wish, carry_out},
    media::{self, Media, Options, Ports, Session},
    sdp::{self, Codec, Local},
    sip::{Agent, Cause, Side, State, Trunk},
};

use super::{
    LONG, assert_nothing_left,
    far_end::{FarEnd, Heard},
    kamailio::{Program, free, is_installed, write},
    trunk,
};

const SDP: &str = "Content-Type: application/sdp\r\n";
const PERSON: &str = "+12025550123";
const CALLER_ID: &str = "+12025550100";

/// What every prompt sounds like: a short tone.
struct Tone;

impl Sounds for Tone {
    fn of(&self, _: &Prompt) -> Option<Arc<audio::Prompt>> {
        let tone = (0..3_200).map(|at| if at % 20 < 10 { 6_000 } else { -6_000 }).collect();
        Some(Arc::new(audio::Prompt::new(audio::Pcm::new(8_000, tone))))
    }
}

/// A call that is handed to `to` at once.
fn order(to: &str) -> Order {
    let script = serde_json::json!({"first": "agent", "steps": {
        "agent": {"transfer": {"to": to, "mode": "bridge"}, "failed": "bye"},
        "bye": {"hang_up": true}}});
    Order {
        to_user: PERSON.to_owned(),
        caller_id: CALLER_ID.to_owned(),
        ring_time: Duration::from_secs(30),
        agent_rings: Duration::from_secs(30),
        longest: Duration::from_secs(60),
        longest_talk: Duration::from_secs(60),
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        script: Arc::new(serde_json::from_value(script).unwrap()),
        opt_out_key: Key::new('9'),
        farewell: Prompt::Say { text: "You will not be called again.".into(), voice: None },
    }
}

/// Carries the call out at a trunk for `max_calls`, while the far end does what `act` says.
async fn call(
    order: Order,
    max_calls: usize,
    act: impl AsyncFnOnce(&FarEnd, &watch::Sender<Wish>),
) -> Record {
    let far = FarEnd::new().await;
    let mut trunk = trunk(far.address());
    trunk.max_calls = max_calls;
    let agent = Agent::start(trunk).await.unwrap();
    let media = Media::start(2).unwrap();
    let ports = "31000-31998".parse::<Ports>().unwrap();
    let legs = Legs {
        agent: &agent,
        media: &media,
        ports: &ports,
        public_address: None,
        dialed: &|number| format!("00{}", number.digits()),
    };
    let (wishes, heard) = watch::channel(Wish::GoOn);
    let call = timeout(LONG, carry_out(&legs, order, &Tone, heard, |_| {}));
    let (record, ()) = tokio::join!(call, act(&far, &wishes));
    assert_nothing_left(&agent).await;
    record.expect("the call does not end").unwrap()
}

/// A phone behind the trunk that was picked up.
struct Phone {
    invite: Heard,
    session: Session,
}

static PHONES: LazyLock<(Media, Ports)> =
    LazyLock::new(|| (Media::start(1).unwrap(), "32000-32998".parse().unwrap()));

impl Phone {
    /// Picks up, speaks one codec, and sees that it is acknowledged.
    async fn pick_up(far: &FarEnd, invite: Heard, codec: Codec) -> Self {
        let (media, ports) = &*PHONES;
        let record = Some(Duration::from_secs(20));
        let options = Options { address: [127, 0, 0, 1].into(), record, ..Options::default() };
        let mut session = media.open(ports, options).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], session.port()));
        let local = Local { session: 1, version: 1, address };
        let (answer, sound) = sdp::answer(invite.body().as_bytes(), &local, &[codec]).unwrap();
        session.agree(sound).unwrap();
        far.answer(&invite, "200 OK", &far.contact(), std::str::from_utf8(&answer).unwrap()).await;
        far.expect("ACK").await;
        Self { invite, session }
    }

    /// Hears what it hears until a key comes.
    async fn key(&mut self) -> char {
        timeout(LONG, async {
            loop {
                if let media::Event::Key(key) = self.session.event().await.unwrap() {
                    return key;
                }
            }
        })
        .await
        .expect("no key came")
    }

    /// Waits until it hears a sound.
    async fn hears(&self) {
        let loud = async {
            while !self.session.heard().unwrap().samples().iter().any(|s| s.unsigned_abs() > 2_000) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, loud).await.expect("nothing is heard");
    }

    /// Hangs up.
    async fn hang_up(&self, far: &FarEnd) {
        far.ask(&self.invite, "BYE", 99, "", "").await;
    }

    /// Is hung up on.
    async fn is_hung_up(&self, far: &FarEnd) {
        let bye = far.expect("BYE").await;
        assert_eq!(bye.header("Call-ID"), self.invite.header("Call-ID"), "{}", bye.text);
        far.answer(&bye, "200 OK", "", "").await;
    }
}

/// The person picks up and is bridged to an agent, who does too.
async fn both_talk(far: &FarEnd) -> (Phone, Phone) {
    let invite = far.expect("INVITE").await;
    let person = Phone::pick_up(far, invite, Codec::Pcma).await;
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "180 Ringing", &far.contact(), "").await;
    person.hears().await;
    (person, Phone::pick_up(far, invite, Codec::Pcmu).await)
}

fn agents_leg(record: &Record) -> Vec<AgentLeg> {
    let of_agent = |what: &What| match what {
        What::Agent(leg) => Some(leg.clone()),
        _ => None,
    };
    record.lines.iter().filter_map(|line| of_agent(&line.what)).collect()
}

/// As [`agents_leg`], without the ringing: an agent who picks up at once may not be heard to ring.
fn agents_leg_but_ringing(record: &Record) -> Vec<AgentLeg> {
    agents_leg(record).into_iter().filter(|leg| *leg != AgentLeg::Rang).collect()
}

fn took_failed(record: &Record) -> bool {
    let step = StepId::try_from("agent".to_owned()).unwrap();
    let took = What::Script(Note::Took { step, branch: "failed".to_owned() });
    record.lines.iter().any(|line| line.what == took)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_sound_cross_both_ways_and_whoever_hangs_up_the_other_is_hung_up() {
    for agent_hangs_up in [true, false] {
        let record = call(order("sip:agents@pbx.example"), 2, async |far, _| {
            let (mut person, mut agent) = both_talk(far).await;
            assert_eq!(agent.invite.uri(), "sip:agents@pbx.example");
            let ours = format!("<sip:{CALLER_ID}@{}>", far.address());
            assert!(agent.invite.header("From").starts_with(&ours), "{}", agent.invite.text);
            assert_eq!(agent.invite.header("P-Asserted-Identity"), ours);
            // Of the person nothing is told but their codec, which is offered first.
            assert!(!agent.invite.text.contains(PERSON), "{}", agent.invite.text);
            assert!(agent.invite.body().contains("RTP/AVP 8 0 101"), "{}", agent.invite.body());
            // The key that opts out is a key like any other to the agent.
            person.session.keys("59");
            assert_eq!([agent.key().await, agent.key().await], ['5', '9']);
            agent.session.keys("7");
            assert_eq!(person.key().await, '7');
            person.session.play(vec![audio::ringback()]);
            agent.hears().await;
            if agent_hangs_up {
                agent.hang_up(far).await;
                person.is_hung_up(far).await;
            } else {
                person.hang_up(far).await;
                agent.is_hung_up(far).await;
            }
        })
        .await;
        let by = if agent_hangs_up { Side::Us } else { Side::FarEnd };
        assert_eq!(record.end.cause, Cause::Completed { by }, "{record:?}");
        let last = if agent_hangs_up { AgentLeg::Left } else { AgentLeg::Ended };
        assert_eq!(agents_leg_but_ringing(&record), [AgentLeg::Called, AgentLeg::Answered, last]);
        assert_eq!((record.opted_out, record.failed.as_deref()), (false, None));
        assert!(record.answered < Some(record.whole));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_goes_on_where_the_agent_refuses_or_does_not_answer() {
    for (code, words) in [("486 Busy Here", "busy: 486 Busy Here"), ("603 Decline", "declined: 603 Decline")]
    {
        let record = call(order("sip:agents@pbx.example"), 2, async |far, _| {
            let invite = far.expect("INVITE").await;
            let person = Phone::pick_up(far, invite, Codec::Pcmu).await;
            let invite = far.expect("INVITE").await;
            far.answer(&invite, code, "", "").await;
            person.is_hung_up(far).await;
        })
        .await;
        assert_eq!(agents_leg(&record), [AgentLeg::Called, AgentLeg::NotTaken(words.to_owned())]);
        assert!(took_failed(&record), "{record:?}");
    }
    let unanswered = Order { agent_rings: Duration::from_millis(200), ..order("sip:agents@pbx.example") };
    let record = call(unanswered, 2, async |far, _| {
        let invite = far.expect("INVITE").await;
        let person = Phone::pick_up(far, invite, Codec::Pcmu).await;
        let invite = far.expect("INVITE").await;
        far.answer(&invite, "180 Ringing", &far.contact(), "").await;
        let cancel = far.expect("CANCEL").await;
        assert_eq!(cancel.uri(), "sip:agents@pbx.example");
        far.answer(&cancel, "200 OK", "", "").await;
        far.answer(&invite, "487 Request Terminated", "", "").await;
        person.is_hung_up(far).await;
    })
    .await;
    let not_taken = AgentLeg::NotTaken("no answer: not answered within 200ms".to_owned());
    assert_eq!(agents_leg(&record), [AgentLeg::Called, AgentLeg::Rang, not_taken]);
    assert!(took_failed(&record), "{record:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_for_whom_there_is_no_room_or_no_way_is_not_called() {
    for (to, max_calls, words) in [
        ("sip:agents@pbx.example", 1, "all 1 calls of the route are in use"),
        ("sips:agents@pbx.example", 2, "needs a trunk over TLS"),
        ("sip:agents@pbx.example?Replaces=x", 2, "it must be a sip: or sips: address"),
    ] {
        let record = call(order(to), max_calls, async |far, _| {
            let invite = far.expect("INVITE").await;
            let person = Phone::pick_up(far, invite, Codec::Pcmu).await;
            person.is_hung_up(far).await;
        })
        .await;
        let [AgentLeg::NotTaken(why)] = &agents_leg(&record)[..] else { panic!("{record:?}") };
        assert!(why.contains(words), "{why}");
        assert!(took_failed(&record), "{record:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_called_in_the_trunks_form_and_an_extension_as_it_is() {
    for (to, user) in [
        ("tel:+1-202-555-0199", "0012025550199"),
        ("tel:+12025550199;ext=7", "0012025550199"),
        ("tel:7042;phone-context=pbx.example", "7042"),
    ] {
        call(order(to), 2, async |far, _| {
            let invite = far.expect("INVITE").await;
            let person = Phone::pick_up(far, invite, Codec::Pcmu).await;
            let invite = far.expect("INVITE").await;
            assert_eq!(invite.uri(), format!("sip:{user}@{}", far.address()));
            far.answer(&invite, "404 Not Found", "", "").await;
            person.is_hung_up(far).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_phone_rings_is_cancelled_where_the_person_hangs_up() {
    let record = call(order("sip:agents@pbx.example"), 2, async |far, _| {
        let invite = far.expect("INVITE").await;
        let person = Phone::pick_up(far, invite, Codec::Pcmu).await;
        let invite = far.expect("INVITE").await;
        far.answer(&invite, "180 Ringing", &far.contact(), "").await;
        person.hears().await;
        person.hang_up(far).await;
        let cancel = far.expect("CANCEL").await;
        assert_eq!(cancel.header("Call-ID"), invite.header("Call-ID"));
        far.answer(&cancel, "200 OK", "", "").await;
        far.answer(&invite, "487 Request Terminated", "", "").await;
        far.expect("ACK").await;
    })
    .await;
    assert_eq!(record.end.cause, Cause::Completed { by: Side::FarEnd });
    assert_eq!(agents_leg(&record), [AgentLeg::Called, AgentLeg::Rang, AgentLeg::Ended]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opts_out_while_the_agent_is_called_hears_the_farewell_and_meets_nobody() {
    for agent_answers in [true, false] {
        let record = call(order("sip:agents@pbx.example"), 2, async |far, _| {
            let invite = far.expect("INVITE").await;
            let person = Phone::pick_up(far, invite, Codec::Pcmu).await;
            let invite = far.expect("INVITE").await;
            far.answer(&invite, "180 Ringing", &far.contact(), "").await;
            person.session.keys("9");
            let cancel = far.expect("CANCEL").await;
            far.answer(&cancel, "200 OK", "", "").await;
            // The agent picks up, or not, as the withdrawal is on its way.
            if agent_answers {
                let agent = Phone::pick_up(far, invite, Codec::Pcmu).await;
                agent.is_hung_up(far).await;
            } else {
                far.answer(&invite, "486 Busy Here", "", "").await;
                far.expect("ACK").await;
            }
            person.is_hung_up(far).await;
        })
        .await;
        assert!(record.opted_out && record.failed.is_none(), "{record:?}");
        assert_eq!(agents_leg(&record).last(), Some(&AgentLeg::Ended), "{record:?}");
        let talk = record.whole.saturating_sub(record.answered.unwrap());
        assert!(talk < Duration::from_secs(5), "it ends with the farewell, and lasted {talk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_agent_is_called_once_the_call_is_being_hung_up() {
    let script = serde_json::json!({"first": "hello", "steps": {
        "hello": {"say": "Hello.", "next": "agent"},
        "agent": {"transfer": {"to": "sip:agents@pbx.example", "mode": "bridge"}, "failed": "bye"},
        "bye": {"hang_up": true}}});
    let order = Order { script: Arc::new(serde_json::from_value(script).unwrap()), ..order("") };
    let record = call(order, 2, async |far, wishes| {
        let invite = far.expect("INVITE").await;
        let person = Phone::pick_up(far, invite, Codec::Pcmu).await;
        wishes.send_replace(Wish::HangUp("by hand"));
        let bye = far.expect("BYE").await;
        // The step before ends while nobody answers the BYE.
        let heard = far.hear_for(Duration::from_millis(650)).await;
        assert!(heard.iter().all(|what| what == "BYE"), "{heard:?}");
        far.answer(&bye, "200 OK", "", "").await;
        drop(person);
    })
    .await;
    assert_eq!((record.hung_up, agents_leg(&record)), (Some("by hand"), vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_hung_up_by_hand_ends_both_legs() {
    let record = call(order("sip:agents@pbx.example"), 2, async |far, wishes| {
        let (person, agent) = both_talk(far).await;
        wishes.send_replace(Wish::HangUp("hung up by hand"));
        let mut ended = Vec::new();
        while ended.len() < 2 {
            let bye = far.expect("BYE").await;
            far.answer(&bye, "200 OK", "", "").await;
            ended.push(bye.header("Call-ID").to_owned());
            ended.dedup();
        }
        for phone in [person, agent] {
            assert!(ended.iter().any(|id| id == phone.invite.header("Call-ID")), "{ended:?}");
        }
    })
    .await;
    assert_eq!((record.hung_up, record.failed), (Some("hung up by hand"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talk_outlasts_the_script_and_has_a_bound_of_its_own() {
    let (longest, longest_talk) = (Duration::from_millis(700), Duration::from_millis(1_500));
    let short = Order { longest, longest_talk, ..order("sip:agents@pbx.example") };
    let record = call(short, 2, async |far, _| {
        let (_person, _agent) = both_talk(far).await;
        for _ in 0..2 {
            let bye = far.expect("BYE").await;
            far.answer(&bye, "200 OK", "", "").await;
        }
    })
    .await;
    assert_eq!(record.hung_up, Some("the talk with the agent had lasted as long as it may"));
    assert!(record.whole >= record.answered.unwrap() + longest_talk, "{record:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn either_leg_may_be_held_and_taken_back_while_both_talk() {
    call(order("sip:agents@pbx.example"), 2, async |far, _| {
        let (mut person, mut agent) = both_talk(far).await;
        for who in 0..2 {
            let holder = if who == 0 { &agent } else { &person };
            let address = SocketAddr::from(([127, 0, 0, 1], holder.session.port()));
            let local = |version| Local { session: 1, version, address };
            let codec = if who == 0 { Codec::Pcmu } else { Codec::Pcma };
            let described = |version| String::from_utf8(sdp::offer(&local(version), &[codec])).unwrap();
            let held = described(2).replace("a=sendrecv", "a=sendonly");
            far.ask(&holder.invite, "INVITE", 2, SDP, &held).await;
            assert!(far.expect("200").await.body().contains("a=recvonly"));
            far.ask(&holder.invite, "ACK", 2, "", "").await;
            far.ask(&holder.invite, "INVITE", 3, SDP, &described(3)).await;
            assert!(far.expect("200").await.body().contains("a=sendrecv"));
            far.ask(&holder.invite, "ACK", 3, "", "").await;
            person.session.keys("1");
            assert_eq!(agent.key().await, '1');
            agent.session.keys("2");
            assert_eq!(person.key().await, '2');
        }
        agent.hang_up(far).await;
        person.is_hung_up(far).await;
    })
    .await;
}

/// The share of the loudest half second's energy that a pitch has.
fn share(sound: &audio::Pcm, hertz: f64) -> f64 {
    let window = sound.rate() as usize / 2;
    let energy = |part: &[i16]| part.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let loudest = sound.samples().chunks_exact(window).max_by(|a, b| energy(a).total_cmp(&energy(b)));
    let Some(part) = loudest.filter(|part| energy(part) > 0.0) else { return 0.0 };
    let turn = hertz * std::f64::consts::TAU / f64::from(sound.rate());
    let (re, im) = part.iter().enumerate().fold((0.0, 0.0), |(re, im), (at, sample)| {
        let (sin, cos) = (turn * at as f64).sin_cos();
        (re + f64::from(*sample) * cos, im + f64::from(*sample) * sin)
    });
    (re * re + im * im) * 2.0 / window as f64 / energy(part)
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_at_both_ends_hears_what_the_other_says() {
    if !is_installed("baresip") {
        return fixture::missing("baresip is not installed (Debian: baresip-core)");
    }
    let folder = tempfile::tempdir().unwrap();
    let address = free();
    let config = include_str!("../kamailio/baresip.config").replace("PORT", &address.port().to_string());
    // It records each call in a file that is named after the second in which it began.
    let config = config.replace("module ausine.so", "module ausine.so\nmodule sndfile.so\nsnd_path .");
    write(folder.path(), "config", &config);
    let account = |user: &str, hertz: u32| {
        format!("<sip:{user}@{address}>;regint=0;answermode=auto;audio_source=ausine,{hertz}\n")
    };
    write(folder.path(), "accounts", &format!("{}{}", account("person", 600), account("agents", 1_000)));
    let _baresip = Program::start(Command::new("baresip").args(["-f", "."]), folder.path());
    let agent = Agent::start(Trunk { keep_alive: Some(Duration::from_millis(100)), ..trunk(address) });
    let agent = agent.await.unwrap();
    let reachable = agent.state();
    let up = timeout(LONG, reachable.clone().wait_for(|state| *state == State::Reachable)).await.is_ok();
    assert!(up, "baresip does not start: {:?}", *reachable.borrow());

    let (media, ports) = (Media::start(1).unwrap(), "33000-33098".parse::<Ports>().unwrap());
    let dialed = |number: campaign::Msisdn| number.to_string();
    let legs = Legs { agent: &agent, media: &media, ports: &ports, public_address: None, dialed: &dialed };
    let longest_talk = Duration::from_secs(3);
    let script = serde_json::json!({"first": "pause", "steps": {
        "pause": {"gather": {"timeout": "PT2S", "tries": 1}, "on": {"1": "bye"}, "none": "agent"},
        "agent": {"transfer": {"to": format!("sip:agents@{address}"), "mode": "bridge"}, "failed": "bye"},
        "bye": {"hang_up": true}}});
    let script = Arc::new(serde_json::from_value(script).unwrap());
    let order = Order { to_user: "person".to_owned(), script, longest_talk, ..order("sip:nobody") };
    let (_wishes, heard) = watch::channel(Wish::GoOn);
    let record = timeout(LONG, carry_out(&legs, order, &Tone, heard, |_| {})).await.unwrap().unwrap();
    assert_eq!(agents_leg(&record).last(), Some(&AgentLeg::Ended), "{record:?}");
    assert_nothing_left(&agent).await;
    let mut recorded: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with("-dec.wav"))
        .collect();
    recorded.sort();
    assert_eq!(recorded.len(), 2, "{recorded:?}");
    for (who, file, hertz) in [("the person", &recorded[0], 1_000.0), ("the agent", &recorded[1], 600.0)] {
        // It is whole once baresip has closed it, which is behind its answer to the BYE.
        let closed = async {
            loop {
                match audio::read(&std::fs::read(file).unwrap(), 8_000) {
                    Ok(heard) if heard.length() > longest_talk / 2 => return heard,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let heard = timeout(LONG, closed).await.expect("the recording is not closed");
        let share = share(&heard, hertz);
        assert!(share > 0.9, "{who} heard {:?}, of {hertz} Hz {share}", heard.length());
    }
}
