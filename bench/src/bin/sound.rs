//! Calls with two-way G.711 at once: the most, in steps of 100, with 99 of 100 frames sent less than 5 ms late; the media
//! threads of the product beside the bare loop of sockets, against the same bare far end, by turns; and `sipp` for
//! comparison, which plays the same sound.
//! `cargo run --release -p bench --bin sound [FROM] [TO] [SECONDS] [TURNS]`
//!
//! Each end is a process of its own: this program again, with its part as the first argument.

use std::{
    io::{BufRead, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bench::{
    argument, highest, line,
    machine::{cores, cpu, ensure_idle, say_machine},
    phone::{Manner, Phones},
    sipp::{self, Sipp},
    sound::{FAR, FRAMES, Loop, MOST, NEAR, PORTS, SPEECH, Side, place, ready},
};
use futures::FutureExt as _;
use voice::{
    audio::{Pcm, Prompt},
    media::{Event, Media, Options, Ports, Session},
    sdp::{Codec, Direction, Sound},
};

const STEP: i64 = 100;
/// How late 99 of 100 frames may be, in milliseconds.
const LATE: f64 = 5.0;
/// The share of the frames due, and of the calls' keys, that must be there.
const ALL: f64 = 0.99;
/// How long before the end the far end presses a key in each call: it is heard only where hearing keeps up.
const KEY_BEFORE_END: f64 = 0.5;
/// How fast the product's calls begin before a trial, and how long until its threads have begun with the last.
const BEGINS_EVERY: Duration = Duration::from_micros(100);
const BEGUN: Duration = Duration::from_millis(500);
/// How much longer than the near end the far one goes on.
const LONGER: i64 = 1;
/// The calls that `sipp` is searched among, and how many it begins in a second.
const SIPP_CALLS: (i64, i64) = (100, 2_000);
const SIPP_RATE: i64 = 400;

/// What a trial came to.
struct Trial {
    near: Side,
    far: Side,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [part, calls, seconds] = words.as_slice()
        && ["near", "far", "follows", "carillon"].contains(&part.as_str())
    {
        let side = play(part, calls.parse()?, seconds.parse()?)?;
        println!("{}", serde_json::to_string(&side)?);
        return Ok(());
    }
    let (from, to, seconds) = (argument(1, 1_000)?, argument(2, 9_000)?, argument(3, 6)?);
    let turns = argument(4, 3)?;
    anyhow::ensure!(to <= MOST as i64, "there are ports for {MOST} calls");
    ensure_idle()?;
    say_machine();
    println!("{seconds} s a trial, from {from} to {to} calls, {turns} turns");
    line(&[&"", &"calls", &"of bare", &"p99 late, ms", &"us CPU a frame", &"far end, ms"]);
    let mut ratios = Vec::new();
    for _ in 0..turns {
        let mut bare = None;
        for part in ["near", "carillon"] {
            let mut best: Option<(i64, Trial)> = None;
            highest((from, to, STEP), |calls| {
                let trial = trial(part, calls, seconds)?;
                let passes = passes(&trial.near, calls, seconds);
                if passes && best.as_ref().is_none_or(|(most, _)| *most <= calls) {
                    best = Some((calls, trial));
                }
                Ok(passes)
            })?;
            let Some((calls, trial)) = best else {
                println!("{part}: not even {from} calls");
                continue;
            };
            let ratio = calls as f64 / *bare.get_or_insert(calls as f64);
            if part == "carillon" {
                ratios.push(ratio);
            }
            let name = if part == "near" { "bare loop" } else { part };
            show(
                name,
                calls,
                Some(ratio),
                trial.near.late,
                trial.near.cpu / trial.near.sent as f64,
                &trial.far,
            );
        }
    }
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        println!("median of bare: {median:.2} (goal: at least 0.8)");
    }
    match by_sipp(seconds) {
        Ok(()) => {}
        Err(e) => println!("sipp: {e:#}"),
    }
    Ok(())
}

fn show(name: &str, calls: i64, of_bare: Option<f64>, late: f64, cpu: f64, far: &Side) {
    let of_bare = of_bare.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let shown = |value: f64| format!("{value:.2}");
    line(&[&name, &calls, &of_bare, &shown(late), &shown(cpu * 1e6), &shown(far.heard_late)]);
}

/// Whether so many calls fit.
fn passes(near: &Side, calls: i64, seconds: i64) -> bool {
    let due = (calls * seconds) as f64 * FRAMES as f64;
    near.late < LATE && near.sent as f64 >= due * ALL && near.keys as f64 >= calls as f64 * ALL
}

/// An end of the sound, in a process of its own. Dropping it ends it.
struct End {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl End {
    /// Starts it, and waits until its sockets are open.
    fn start(part: &str, calls: i64, seconds: i64) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([part, &calls.to_string(), &seconds.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().context("it says nothing")?);
        let mut end = Self { child, said };
        let word = end.line()?;
        anyhow::ensure!(word.trim() == "ready", "an end of the sound did not start: {word}");
        Ok(end)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line)
    }

    fn go(&mut self) -> anyhow::Result<()> {
        Ok(self.child.stdin.as_mut().context("it cannot be told to go")?.write_all(b"go\n")?)
    }

    /// What it came to, once it has ended.
    fn result(mut self) -> anyhow::Result<Side> {
        serde_json::from_str(&self.line()?).context("an end of the sound broke off")
    }
}

/// Plays `calls` calls between this near end and the far end.
fn trial(part: &str, calls: i64, seconds: i64) -> anyhow::Result<Trial> {
    let mut far = End::start("far", calls, seconds + LONGER)?;
    let mut near = End::start(part, calls, seconds)?;
    far.go()?;
    near.go()?;
    Ok(Trial { near: near.result()?, far: far.result()? })
}

/// The part of one end.
fn play(part: &str, calls: usize, seconds: u64) -> anyhow::Result<Side> {
    let time = Duration::from_secs(seconds);
    let near = Loop { own: NEAR, other: FAR, calls, time, key_at: None, follows: false };
    match part {
        "carillon" => carillon(calls, time),
        "near" => near.run(),
        _ => {
            let near_ends = seconds.saturating_sub(LONGER as u64) as f64;
            let key_at = Some(Duration::from_secs_f64(near_ends - KEY_BEFORE_END));
            Loop { own: FAR, other: NEAR, key_at, follows: part == "follows", ..near }.run()
        }
    }
}

/// The product's threads, as many as it starts.
fn carillon(calls: usize, time: Duration) -> anyhow::Result<Side> {
    let media = Media::start(cores())?;
    let ports: Ports = format!("{}-{}", PORTS.start(), PORTS.end()).parse()?;
    let mut sessions: Vec<Session> = Vec::with_capacity(calls);
    for call in 0..calls {
        let session = media.open(&ports, Options { address: NEAR.into(), ..Options::default() })?;
        let wanted = place(NEAR, call).port();
        anyhow::ensure!(session.port() == wanted, "another program has the port {wanted}");
        sessions.push(session);
    }
    // As long as the trial, so that nobody has to begin it anew.
    let once = SPEECH.sound();
    let times = (time.as_secs_f64() / once.length().as_secs_f64()).ceil() as usize + 1;
    let prompt = Arc::new(Prompt::new(Pcm::new(once.rate(), once.samples().repeat(times))));
    prompt.frames(Codec::Pcmu);
    let agreed = |call, held| Sound {
        address: Some(place(FAR, call)),
        codec: Codec::Pcmu,
        payload: 0,
        keys: Some(101),
        direction: Direction::SendRecv,
        held,
    };
    // On hold at first: the threads open what each call needs, as the bare loop has opened it when the trial begins.
    for (call, session) in sessions.iter_mut().enumerate() {
        session.agree(agreed(call, true))?;
        std::thread::sleep(BEGINS_EVERY);
    }
    std::thread::sleep(BEGUN);
    ready()?;
    let cpu_before = cpu("self");
    for (call, session) in sessions.iter_mut().enumerate() {
        session.agree(agreed(call, false))?;
        session.play(vec![prompt.clone()]);
    }
    std::thread::sleep(time);
    let cpu = cpu("self") - cpu_before;
    let lateness = media.lateness();
    let mut keys = 0;
    for session in &mut sessions {
        while let Some(Some(event)) = session.event().now_or_never() {
            keys += u64::from(event == Event::Key('5'));
        }
    }
    Ok(Side {
        sent: lateness.frames(),
        late: lateness.share(0.99).map_or(f64::MAX, |late| late.as_secs_f64() * 1e3),
        keys,
        cpu,
        ..Side::default()
    })
}

/// `sipp` as the near end: it calls, and plays the same sound from a file. How late its frames leave only the far end can say.
fn by_sipp(seconds: i64) -> anyhow::Result<()> {
    sipp::ensure_installed()?;
    let folder = bench::folder()?;
    let sound = folder.path().canonicalize()?.join("speech.ulaw");
    std::fs::write(&sound, SPEECH.frames(Codec::Pcmu))?;
    let scenario = folder.path().canonicalize()?.join("plays.xml");
    let text = include_str!("../../sipp/plays.xml").replace("{sound}", &sound.display().to_string());
    std::fs::write(&scenario, text.replace("{milliseconds}", &(seconds * 1_000).to_string()))?;
    let scenario = scenario.display().to_string();
    let mut best: Option<(i64, Side, f64)> = None;
    highest((SIPP_CALLS.0, SIPP_CALLS.1, STEP), |calls| {
        let begins = calls / SIPP_RATE + 1;
        let mut far = End::start("follows", calls, begins + seconds + LONGER)?;
        let phones = Phones::start(Manner::Answer { first: place(FAR, 0) })?;
        far.go()?;
        let (to, count) = (format!("127.0.0.1:{}", phones.port), calls.to_string());
        let media = PORTS.start().to_string();
        let rate = SIPP_RATE.to_string();
        let sipp =
            Sipp::start(&[&to, "-sf", &scenario, "-m", &count, "-l", &count, "-r", &rate, "-mp", &media])?;
        std::thread::sleep(Duration::from_secs((begins + seconds) as u64));
        let cpu = sipp.cpu();
        let far = far.result()?;
        // Each call plays for `seconds`, whenever it began.
        let due = (calls * seconds) as f64 * FRAMES as f64;
        let passes = far.heard as f64 >= due * ALL && far.heard_late < LATE;
        if passes && best.as_ref().is_none_or(|(most, ..)| *most <= calls) {
            best = Some((calls, far, cpu));
        }
        Ok(passes)
    })?;
    match best {
        Some((calls, far, cpu)) => {
            show("sipp", calls, None, f64::NAN, cpu / far.heard as f64, &far);
        }
        None => println!("sipp: not even {} calls", SIPP_CALLS.0),
    }
    Ok(())
}
