use proptest::prelude::*;
use serde_json::json;

use std::sync::Arc;

use super::*;

/// The script of the API's description, without its stream.
fn reminder() -> Value {
    json!({"first": "hello", "steps": {
        "hello": {"say": "Hello {{ first_name }}.", "voice": "en-us", "next": "ask"},
        "ask": {"gather": {"digits": 1, "timeout": "PT5S", "tries": 2, "prompt": {"say": "Press 1 to confirm."}},
            "on": {"1": "thanks", "2": "agent", "4": "out"}, "none": "bye", "other": "ask"},
        "thanks": {"play": "aud_7", "next": "bye"},
        "agent": {"transfer": {"to": "sip:agents@pbx.example", "mode": "bridge"}, "failed": "bye"},
        "out": {"opt_out": true, "next": "bye"},
        "bye": {"hang_up": true}}})
}

fn script(json: Value) -> Script {
    serde_json::from_value(json).unwrap()
}

fn key(c: char) -> Key {
    Key::new(c).unwrap()
}

fn farewell() -> Prompt {
    Prompt::Say { text: "You will not be called again.".into(), voice: None }
}

fn run(json: Value) -> Run {
    Run::new(Arc::new(script(json)), Some(key('9')), farewell())
}

/// What is done, in short.
fn told(commands: &[Command]) -> Vec<String> {
    commands
        .iter()
        .map(|command| match command {
            Command::Play { prompt: Prompt::Say { text, .. }, .. } => format!("say {text}"),
            Command::Play { prompt: Prompt::Play(audio), .. } => format!("play {audio}"),
            Command::StopPlaying => "hush".to_owned(),
            Command::Wait { time, .. } => format!("wait {}", time.as_secs()),
            Command::OptOut => "opt out".to_owned(),
            Command::Transfer(to) => format!("transfer {}", to.to),
            Command::Stream(to) => format!("stream {}", to.to),
            Command::HangUp => "hang up".to_owned(),
            Command::Note(Note::Reached(step)) => format!("at {step}"),
            Command::Note(Note::Took { step, branch }) => format!("{step} {branch}"),
            Command::Note(Note::Entered(digits)) => format!("entered {digits}"),
        })
        .collect()
}

/// The number of the prompt or wait that was commanded last.
fn number(commands: &[Command]) -> u32 {
    let number = commands.iter().rev().find_map(|command| match command {
        Command::Play { number, .. } | Command::Wait { number, .. } => Some(*number),
        _ => None,
    });
    number.unwrap()
}

#[test]
fn a_call_goes_through_its_script_by_what_is_heard_and_pressed() {
    let mut run = run(reminder());
    let hello = run.on(&Event::Answered);
    assert_eq!(told(&hello), ["at hello", "say Hello {{ first_name }}."]);
    let ask = run.on(&Event::Played(number(&hello)));
    assert_eq!(told(&ask), ["hello next", "at ask", "say Press 1 to confirm."]);
    let waits = run.on(&Event::Played(number(&ask)));
    assert_eq!(told(&waits), ["wait 5"]);
    // Nothing pressed: it is asked once more.
    let again = run.on(&Event::TimeUp(number(&waits)));
    assert_eq!(told(&again), ["say Press 1 to confirm."]);
    // A key is heard while the prompt plays, and ends it.
    let thanks = run.on(&Event::Key(key('1')));
    assert_eq!(told(&thanks), ["entered 1", "ask 1", "hush", "at thanks", "play aud_7"]);
    // What was over before does not count.
    assert!(run.on(&Event::Played(number(&again))).is_empty());
    let bye = run.on(&Event::Played(number(&thanks)));
    assert_eq!(told(&bye), ["thanks next", "at bye", "hang up"]);
    assert!(run.is_over() && run.on(&Event::Key(key('9'))).is_empty());
}

#[test]
fn a_key_that_leads_nowhere_asks_again_or_takes_the_way_for_others() {
    let gather = |other: Value| {
        let mut script = json!({"first": "ask", "steps": {
            "ask": {"gather": {"tries": 2}, "on": {"1": "bye"}, "none": "bye", "other": other},
            "other": {"play": "aud_1", "next": "bye"}, "bye": {"hang_up": true}}});
        if script["steps"]["ask"]["other"].is_null() {
            script["steps"]["ask"].as_object_mut().unwrap().remove("other");
        }
        script
    };
    let mut asks = run(gather(Value::Null));
    assert_eq!(told(&asks.on(&Event::Answered)), ["at ask", "wait 5"]);
    assert_eq!(told(&asks.on(&Event::Key(key('7')))), ["entered 7", "wait 5"]);
    assert_eq!(told(&asks.on(&Event::Key(key('7')))), ["entered 7", "ask none", "at bye", "hang up"]);
    let mut goes = run(gather(json!("other")));
    goes.on(&Event::Answered);
    assert_eq!(told(&goes.on(&Event::Key(key('7')))), ["entered 7", "ask other", "at other", "play aud_1"]);
}

#[test]
fn several_digits_are_one_entry_which_a_hash_or_a_pause_ends() {
    let several = json!({"first": "ask", "steps": {
        "ask": {"gather": {"digits": 4, "timeout": "PT3S", "prompt": {"play": "aud_1"}}, "on": {"12": "yes"}, "none": "bye",
            "other": "other"},
        "yes": {"play": "aud_2", "next": "bye"}, "other": {"play": "aud_3", "next": "bye"}, "bye": {"hang_up": true}}});
    let press = |keys: &str| {
        let mut run = run(several.clone());
        run.on(&Event::Answered);
        let last = keys.chars().map(|c| run.on(&Event::Key(key(c)))).last().unwrap();
        (last, run)
    };
    let (waits, mut paused) = press("12");
    assert_eq!(told(&waits), ["wait 3"]);
    assert_eq!(
        told(&paused.on(&Event::TimeUp(number(&waits)))),
        ["entered 12", "ask 12", "at yes", "play aud_2"]
    );
    assert_eq!(told(&press("12#").0), ["entered 12", "ask 12", "at yes", "play aud_2"]);
    assert_eq!(told(&press("1234").0), ["entered 1234", "ask other", "at other", "play aud_3"]);
    assert_eq!(told(&press("#").0), ["ask none", "hush", "at bye", "hang up"]);
}

#[test]
fn the_key_that_opts_out_is_heard_all_along_but_not_by_an_agent() {
    // While a prompt plays, while a key is waited for, before an agent answers.
    let until = |events: &[Event]| {
        let mut run = run(reminder());
        for event in events {
            run.on(event);
        }
        run
    };
    let asked = [Event::Answered, Event::Played(1)];
    let to_agent = [&asked[..], &[Event::Key(key('2'))]].concat();
    for events in [&[Event::Answered][..], &asked, &[&asked[..], &[Event::Played(2)]].concat(), &to_agent] {
        let mut run = until(events);
        let left = run.on(&Event::Key(key('9')));
        assert_eq!(told(&left), ["opt out", "say You will not be called again."], "{events:?}");
        // Pressing on changes nothing; the farewell is heard, and the call ends.
        assert!(run.on(&Event::Key(key('9'))).is_empty() && run.on(&Event::Key(key('1'))).is_empty());
        assert_eq!(told(&run.on(&Event::Played(number(&left)))), ["hang up"]);
    }
    let mut with_agent = until(&[&to_agent[..], &[Event::TakenOver]].concat());
    assert!(with_agent.on(&Event::Key(key('9'))).is_empty());
    assert_eq!(told(&with_agent.on(&Event::Left)), ["hang up"]);
    let mut no_agent = until(&to_agent);
    assert_eq!(told(&no_agent.on(&Event::NotTakenOver)), ["agent failed", "at bye", "hang up"]);
    // By a step, and not twice.
    let mut by_step = until(&asked);
    assert_eq!(
        told(&by_step.on(&Event::Key(key('4')))),
        ["entered 4", "ask 4", "hush", "at out", "opt out", "out next", "at bye", "hang up"]
    );
}

#[test]
fn what_is_no_script_is_refused_by_name() {
    for (path, wrong, named) in [
        ("/steps/hello", json!({"shout": "x"}), "a step has exactly one of say, play, gather"),
        ("/steps/hello", json!({"say": "x", "play": "aud_1"}), "exactly one of"),
        ("/steps/hello/nxet", json!("ask"), "nxet"),
        ("/steps/hello/next", json!("ASK"), "'ASK' cannot be the name of a step"),
        ("/steps/ask/gather/timeout", json!("soon"), "soon"),
        ("/steps/ask/gather/prompt", json!({"say": "x", "play": "aud_1"}), "either \"say\""),
        ("/steps/ask/gather/prompt", json!({}), "either \"say\""),
        ("/steps/thanks/play", json!("song.wav"), "song.wav"),
        ("/steps/agent/transfer/mode", json!("throw"), "throw"),
        ("/steps/bye/hang_up", json!(false), "only be true"),
        ("/last", json!("bye"), "last"),
    ] {
        let mut script = reminder();
        let (parent, field) = path.rsplit_once('/').unwrap();
        script.pointer_mut(parent).unwrap()[field] = wrong.clone();
        let refused = serde_json::from_value::<Script>(script).unwrap_err().to_string();
        assert!(refused.contains(named), "{path} {wrong}: {refused}");
    }
}

type Change = fn(&mut Value);

/// The fields that are complained of, with `change` made to the reminder.
fn complaints(change: impl Fn(&mut Value), unfinished: bool, opt_out: Option<char>) -> Vec<String> {
    let mut json = reminder();
    change(&mut json["steps"]);
    let script = script(json);
    let problems = if unfinished {
        script.unfinished(&["first_name".to_owned()], opt_out.map(key))
    } else {
        script.misshapen()
    };
    problems.into_iter().map(|problem| problem.field).collect()
}

#[test]
fn a_wrong_shape_cannot_be_saved_and_what_is_unfinished_cannot_be_called_with() {
    let none: Vec<String> = Vec::new();
    assert_eq!(complaints(|_| {}, false, None), none);
    assert_eq!(complaints(|_| {}, true, Some('9')), none);
    let misshapen: [(Change, &str); 10] = [
        (|s| s["hello"]["next"] = json!("nowhere"), "script.steps.hello.next"),
        (|s| s["ask"]["on"]["1"] = json!("nowhere"), "script.steps.ask.1"),
        (|s| s["ask"]["on"] = json!({"12": "bye"}), "script.steps.ask.on"),
        (|s| s["ask"]["on"] = json!({"x": "bye"}), "script.steps.ask.on"),
        (|s| s["ask"]["gather"]["digits"] = json!(0), "script.steps.ask.gather.digits"),
        (|s| s["ask"]["gather"]["tries"] = json!(11), "script.steps.ask.gather.tries"),
        (|s| s["ask"]["gather"]["timeout"] = json!("PT61S"), "script.steps.ask.gather.timeout"),
        (|s| s["agent"]["transfer"]["to"] = json!("agents"), "script.steps.agent.transfer.to"),
        (|s| s["agent"]["transfer"]["to"] = json!("sip:a%40b@pbx.example"), "script.steps.agent.transfer.to"),
        (
            |s| {
                s["agent"] =
                    json!({"stream": {"to": "wss://agent.example"}, "ended": "bye", "failed": "bye"});
            },
            "script.steps.agent.stream",
        ),
    ];
    for (change, field) in misshapen {
        assert!(complaints(change, false, None).contains(&field.to_owned()), "{field}");
    }
    let unfinished: [(Change, Option<char>, &str); 9] = [
        (|s| drop(s["hello"].as_object_mut().unwrap().remove("next")), None, "script.steps.hello.next"),
        (|s| drop(s["ask"].as_object_mut().unwrap().remove("none")), None, "script.steps.ask.none"),
        (|s| s["ask"] = json!({"gather": {}, "none": "bye"}), None, "script.steps.ask.on"),
        (|s| s["hello"]["say"] = json!("Hello {{ name"), None, "script.steps.hello.say"),
        (|s| s["hello"]["say"] = json!("Hello {{ shoe_size }}"), None, "script.steps.hello.say"),
        (|s| s["ask"]["gather"]["prompt"]["say"] = json!(" "), None, "script.steps.ask.gather.prompt"),
        (|_| {}, Some('1'), "script.steps.ask.on"),
        (|s| s["ask"]["gather"]["digits"] = json!(2), Some('9'), "script.steps.ask.gather.digits"),
        (|s| s["ask"]["none"] = json!("hello"), None, "script.steps"),
    ];
    for (change, opt_out, field) in unfinished {
        assert!(complaints(change, true, opt_out).contains(&field.to_owned()), "{field}");
    }
    let mut alone = reminder();
    alone["steps"]["lost"] = json!({"play": "aud_1", "next": "bye"});
    assert_eq!(script(alone).unreached(), [&StepId("lost".into())]);
}

#[test]
fn circles_without_a_key_pressed_are_found_and_others_are_not_taken_for_one() {
    let circle =
        |json: Value| script(json).unfinished(&[], None).into_iter().find(|p| p.field == "script.steps");
    let round = json!({"first": "a", "steps": {
        "a": {"play": "aud_1", "next": "b"}, "b": {"opt_out": true, "next": "c"},
        "c": {"transfer": {"to": "tel:+12025550100"}, "failed": "a"}}});
    assert!(circle(round).unwrap().message.ends_with("a → b → c → a"));
    let two_ways = json!({"first": "a", "steps": {
        "a": {"gather": {}, "on": {"1": "b", "2": "c"}, "none": "d"}, "b": {"play": "aud_1", "next": "d"},
        "c": {"play": "aud_1", "next": "d"}, "d": {"hang_up": true}}});
    assert_eq!(circle(two_ways), None);
    let back_by_key = json!({"first": "a", "steps": {
        "a": {"gather": {}, "on": {"1": "b"}, "none": "c", "other": "a"}, "b": {"play": "aud_1", "next": "a"},
        "c": {"hang_up": true}}});
    assert_eq!(circle(back_by_key), None);
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Scripts of a right shape, finished or not.
fn any_script() -> impl Strategy<Value = Script> {
    let name = || prop::sample::select(&NAMES[..]);
    let step = prop_oneof![
        name().prop_map(|next| json!({"say": "Hello", "next": next})),
        name().prop_map(|next| json!({"play": "aud_1", "next": next})),
        (1..4_u32, 1..4_u32, name(), name(), name()).prop_map(|(digits, tries, one, none, other)| {
            json!({"gather": {"digits": digits, "tries": tries, "prompt": {"play": "aud_2"}}, "on": {"1": one}, "none": none,
                "other": other})
        }),
        (1..4_u32, name(), name()).prop_map(|(tries, one, none)| {
            json!({"gather": {"tries": tries}, "on": {"1": one}, "none": none})
        }),
        name().prop_map(|failed| json!({"transfer": {"to": "sip:agents@pbx.example"}, "failed": failed})),
        name().prop_map(|next| json!({"opt_out": true, "next": next})),
        Just(json!({"hang_up": true})),
        Just(json!({"say": "Unfinished"})),
    ];
    prop::collection::vec(step, NAMES.len()).prop_map(|steps| {
        let steps: Map<String, Value> = NAMES.iter().map(ToString::to_string).zip(steps).collect();
        script(json!({"first": "a", "steps": steps}))
    })
}

/// Finished scripts: without a key pressed every step leads to a later one, and keys lead anywhere.
fn finished_script() -> impl Strategy<Value = Script> {
    let steps =
        prop::collection::vec((0..6_u8, 1..4_u32, 1..4_u32, 1..4_usize, 0..NAMES.len()), NAMES.len() - 1);
    steps.prop_map(|steps| {
        let mut all = Map::from_iter([("e".to_owned(), json!({"hang_up": true}))]);
        for (at, (kind, digits, tries, further, anywhere)) in steps.into_iter().enumerate() {
            let (later, anywhere) = (NAMES[(at + further).min(NAMES.len() - 1)], NAMES[anywhere]);
            let step = match kind {
                0 => json!({"say": "Hello", "next": later}),
                1 => json!({"play": "aud_1", "next": later}),
                2 => json!({"gather": {"digits": digits, "tries": tries, "prompt": {"play": "aud_2"}}, "on": {"1": anywhere},
                    "none": later, "other": anywhere}),
                3 => json!({"gather": {"tries": tries}, "on": {"1": anywhere}, "none": later}),
                4 => json!({"transfer": {"to": "sip:agents@pbx.example"}, "failed": later}),
                _ => json!({"opt_out": true, "next": later}),
            };
            all.insert(NAMES[at].to_owned(), step);
        }
        script(json!({"first": "a", "steps": all}))
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Answered),
        (0..12_u32).prop_map(Event::Played),
        (0..12_u32).prop_map(Event::TimeUp),
        prop::sample::select(&['1', '2', '9', '#'][..]).prop_map(|c| Event::Key(key(c))),
        Just(Event::TakenOver),
        Just(Event::NotTakenOver),
        Just(Event::Left),
    ]
}

/// Does what is commanded as a phone with nobody at it: prompts play to their ends, waits end, nobody takes over.
/// Returns how many commands it took to the end.
fn nobody_presses(run: &mut Run, mut commands: Vec<Command>) -> usize {
    let mut all = 0;
    while !run.is_over() {
        all += commands.len();
        assert!(all < 10_000, "it does not end");
        let event = commands.iter().rev().find_map(|command| match command {
            Command::Play { number, .. } => Some(Event::Played(*number)),
            Command::Wait { number, .. } => Some(Event::TimeUp(*number)),
            Command::Transfer(_) | Command::Stream(_) => Some(Event::NotTakenOver),
            _ => None,
        });
        commands = run.on(&event.expect("something is going on until the end"));
    }
    all
}

proptest! {
    #[test]
    fn whatever_happens_in_any_order_a_call_ends_once_and_opts_out_once(
        script in any_script(), events in prop::collection::vec(any_event(), 0..60), last in prop::sample::select(&[Event::TooLong, Event::Ended][..]),
    ) {
        let mut run = Run::new(Arc::new(script), Some(key('9')), farewell());
        let mut commands = Vec::new();
        let mut over_at = None;
        for event in events.iter().chain([&Event::Answered, &last]) {
            let was_over = run.is_over();
            let more = run.on(event);
            prop_assert!(!was_over || more.is_empty(), "{event:?} after the end: {more:?}");
            commands.extend(more);
            if run.is_over() {
                over_at.get_or_insert(commands.len());
            }
        }
        prop_assert!(run.is_over());
        prop_assert_eq!(over_at, Some(commands.len()));
        let count = |wanted: &Command| commands.iter().filter(|command| *command == wanted).count();
        prop_assert!(count(&Command::OptOut) <= 1 && count(&Command::HangUp) <= 1);
        // Only the far end's end is not answered with ours.
        prop_assert!(count(&Command::HangUp) == 1 || last == Event::Ended);
    }

    #[test]
    fn a_finished_script_ends_by_itself_though_nobody_presses_a_key(
        script in finished_script(), events in prop::collection::vec(any_event(), 0..20),
    ) {
        prop_assert_eq!(script.unfinished(&[], None), vec![]);
        let mut run = Run::new(Arc::new(script), None, farewell());
        let mut latest = run.on(&Event::Answered);
        // Whatever happened before, and whatever is going on.
        for event in events.iter().filter(|event| **event != Event::TakenOver) {
            let commands = run.on(event);
            let goes_on = |command: &Command| !matches!(command, Command::Note(_) | Command::StopPlaying | Command::OptOut);
            if commands.iter().any(goes_on) {
                latest = commands;
            }
        }
        nobody_presses(&mut run, latest);
    }

    #[test]
    fn the_key_that_opts_out_works_at_every_moment_at_which_the_person_is_alone(
        script in any_script(), events in prop::collection::vec(any_event(), 0..20),
    ) {
        let mut run = Run::new(Arc::new(script.clone()), Some(key('9')), farewell());
        let (mut opted_out, mut away, mut at) = (false, false, script.first.clone());
        for event in std::iter::once(&Event::Answered).chain(&events) {
            let commands = run.on(event);
            opted_out |= commands.contains(&Command::OptOut);
            away |= *event == Event::TakenOver && matches!(script.steps[&at], Step::Transfer(_));
            for command in commands {
                if let Command::Note(Note::Reached(step)) = command {
                    (at, away) = (step, false);
                }
            }
        }
        let commands = run.on(&Event::Key(key('9')));
        if !run.is_over() && !opted_out && !away {
            prop_assert!(commands.contains(&Command::OptOut), "{commands:?}");
        }
    }

    #[test]
    fn a_script_reads_back_as_it_was_written(script in any_script()) {
        let written = serde_json::to_value(&script).unwrap();
        prop_assert_eq!(serde_json::from_value::<Script>(written).unwrap(), script);
    }
}

/// The least and the most seconds of a call, where each prompt sounds for as many seconds as its text has words.
fn seconds(json: Value) -> (i64, i64) {
    let words = |prompt: &Prompt| match prompt {
        Prompt::Say { text, .. } => SignedDuration::from_secs(text.split_whitespace().count() as i64),
        Prompt::Play(_) => SignedDuration::from_secs(7),
    };
    let Span { least, most } = script(json).span(&words, SignedDuration::from_secs(600));
    (least.as_secs(), most.as_secs())
}

#[test]
fn a_call_lasts_from_the_shortest_to_the_longest_course_that_repeats_nothing() {
    let steps = |steps: Value| json!({"first": "a", "steps": steps});
    let ask = |tries: u32, digits: u32| json!({"tries": tries, "digits": digits, "timeout": "PT5S", "prompt": {"say": "one two three"}});
    for (script, span) in [
        (steps(json!({"a": {"hang_up": true}})), (0, 0)),
        (
            steps(
                json!({"a": {"say": "one two", "next": "b"}, "b": {"play": "aud_1", "next": "c"}, "c": {"hang_up": true}}),
            ),
            (9, 9),
        ),
        // A key at once; or nobody presses any, twice.
        (
            steps(json!({"a": {"gather": ask(2, 1), "on": {"1": "b"}, "none": "c"}, "b": {"hang_up": true},
                "c": {"say": "one", "next": "b"}})),
            (0, 17),
        ),
        // Each of four digits may take its time.
        (
            steps(json!({"a": {"gather": ask(1, 4), "on": {"1": "b"}, "none": "b"}, "b": {"hang_up": true}})),
            (0, 23),
        ),
        // A way back is a repeat.
        (
            steps(
                json!({"a": {"gather": ask(1, 1), "on": {"1": "b", "2": "a"}, "none": "b", "other": "a"}, "b": {"hang_up": true}}),
            ),
            (0, 8),
        ),
        // How long an agent talks nobody knows.
        (
            steps(
                json!({"a": {"transfer": {"to": "tel:+12025550100"}, "failed": "b"}, "b": {"hang_up": true}}),
            ),
            (0, 600),
        ),
        (reminder(), (4, 600)),
    ] {
        assert_eq!(seconds(script.clone()), span, "{script}");
    }
}

#[test]
fn a_script_of_more_courses_than_can_be_looked_at_may_last_as_long_as_a_call_may() {
    let mut steps = serde_json::Map::new();
    for n in 0..99 {
        let on: serde_json::Map<String, Value> =
            (1..=9).map(|key| (key.to_string(), json!(format!("s{}", (n + key).min(99))))).collect();
        let next = format!("s{}", n + 1);
        steps.insert(format!("s{n}"), json!({"gather": {"timeout": "PT1S"}, "on": on, "none": next}));
    }
    steps.insert("s99".into(), json!({"hang_up": true}));
    assert_eq!(seconds(json!({"first": "s0", "steps": steps})), (0, 600));
}
