//! A route of calls: one user agent at a trunk, and a task for each call.
//!
//! Keeps: every call is reported once, however it ends; an opt-out is reported when its key is pressed; when a fence
//! returns, no INVITE of its campaign leaves any more, and talks go on; what a call holds is dropped with its task.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use campaign::{
    CampaignId, Channel, ClaimId, Script,
    script::{AGENT_RINGS, LONGEST_CALL, LONGEST_TALK, Prompt},
};
use engine::{
    Attempt, Batch, CallEnd, CallReport, CallRow, Calls, Live, OptOuts, OutgoingCall, Refusal, Renderer,
    Report, Reports, Route, RouteState, SipCodec, SipConfig, SipTransport, TestCall, Trouble,
};
use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{
    call::{Legs, Order, Progress, Wish, carry_out},
    ledger,
    media::{Media, Ports},
    prompts::{Prompts, Ready},
    sdp::Codec,
    sip::{Agent, Credentials, Register, State, Transport, Trunk},
};

/// How often the far end is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long to wait before an agent that could not start is started again.
const START_AGAIN: Duration = Duration::from_secs(5);
/// Under what test calls are kept: no campaign has this id.
const NO_CAMPAIGN: CampaignId = CampaignId(0);
/// How soon a test call begins, or not at all.
const TEST_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);
/// Calls that are handed over together begin in so many steps: neither the trunk nor this machine is to meet all of them at
/// once.
const STEPS: usize = 5;
/// How long a step takes: all of them together as long as the engine takes to hand over the next calls.
const STEP: Duration = Duration::from_millis(10);
/// How often calls that are not answered are looked at for an opt-out that came another way.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What whoever opts out by the key hears.
const FAREWELL: &str = "You will not be called again. Goodbye.";

/// What all routes of calls share.
#[derive(Clone)]
pub struct Equipment {
    /// The threads that play and hear.
    pub media: Arc<Media>,
    /// The sounds of scripts.
    pub prompts: Arc<Prompts>,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// An INVITE of it may leave.
    Dialing,
    Ringing,
    InProgress,
    /// No INVITE of it leaves any more.
    Withdrawn,
}

impl Phase {
    const fn is_answered_or_withdrawn(self) -> bool {
        matches!(self, Self::InProgress | Self::Withdrawn)
    }
}

/// A call that is up.
struct Up {
    campaign: CampaignId,
    number: campaign::Msisdn,
    purpose: Arc<str>,
    phase: watch::Sender<Phase>,
    wish: watch::Sender<Wish>,
}

struct Shared {
    config: SipConfig,
    codecs: Vec<Codec>,
    ports: Ports,
    equipment: Equipment,
    reports: Reports,
    opt_outs: OptOuts,
    agent: OnceLock<Agent>,
    state: Mutex<(RouteState, Option<Trouble>)>,
    up: Mutex<HashMap<u64, Up>>,
    calls: AtomicU64,
    /// Calls that have a leg of their own by now, or are about to.
    begun: AtomicUsize,
    /// Told when calls that wait for their step are to end: they need not wait.
    hurry: Notify,
}

/// A SIP route. Dropped, its calls end.
pub struct SipRoute {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

fn trunk(config: &SipConfig) -> Trunk {
    let register =
        config.register.then(|| Register { expires: Duration::from_secs(config.register_expires.into()) });
    let credentials = (!config.username.is_empty()).then(|| Credentials {
        username: config.username.clone(),
        password: config.password.expose().into(),
    });
    Trunk {
        host: config.host.trim().to_owned(),
        port: config.port,
        transport: match config.transport {
            SipTransport::Udp => Transport::Udp,
            SipTransport::Tcp => Transport::Tcp,
            SipTransport::Tls => Transport::Tls,
        },
        outbound_proxy: config.outbound_proxy.clone(),
        register,
        credentials,
        domain: config.domain.clone(),
        public_address: config.public_address,
        tls_ca: config.tls_ca.clone(),
        keep_alive: Some(KEEP_ALIVE),
        max_calls: config.max_calls as usize,
    }
}

const fn codec(codec: SipCodec) -> Codec {
    match codec {
        SipCodec::Pcmu => Codec::Pcmu,
        SipCodec::Pcma => Codec::Pcma,
        SipCodec::G722 => Codec::G722,
    }
}

impl SipRoute {
    /// Starts the agent of `config`, which registers and asks for the far end by itself. Nobody in `opt_outs` is called.
    pub fn start(config: &SipConfig, equipment: Equipment, reports: Reports, opt_outs: OptOuts) -> Self {
        let (ports, first) = match config.media_ports.parse::<Ports>() {
            Ok(ports) => (ports, RouteState::Connecting),
            // Settings that cannot be read are refused when they are saved.
            Err(e) => (Ports::default(), RouteState::Refused(e.to_string())),
        };
        let shared = Arc::new(Shared {
            codecs: config.codecs.iter().copied().map(codec).collect(),
            config: config.clone(),
            ports,
            equipment,
            reports,
            opt_outs,
            agent: OnceLock::new(),
            state: Mutex::new((first, None)),
            up: Mutex::default(),
            calls: AtomicU64::new(rand::random::<u32>().into()),
            begun: AtomicUsize::new(0),
            hurry: Notify::new(),
        });
        let tasks = vec![tokio::spawn(live(shared.clone())), tokio::spawn(look_for_opt_outs(shared.clone()))];
        Self { shared, tasks }
    }
}

impl Drop for SipRoute {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.hang_up(None, "the route was closed");
    }
}

/// Starts the agent and follows what is known of the trunk.
async fn live(shared: Arc<Shared>) {
    let mut states = loop {
        match Agent::start(trunk(&shared.config)).await {
            Ok(agent) => {
                let states = agent.state();
                // Set by this task alone, once.
                let _ = shared.agent.set(agent);
                break states;
            }
            Err(fault) => {
                shared.say(RouteState::Connecting, Some(Trouble::now(fault.to_string())));
                tokio::time::sleep(START_AGAIN).await;
            }
        }
    };
    loop {
        let state = states.borrow_and_update().clone();
        match state {
            // Without a registration, calls tell more than the wait for an answer that may never come.
            State::Starting if shared.config.register => shared.say(RouteState::Connecting, None),
            State::Starting | State::Reachable => shared.say(RouteState::Connected, None),
            State::Silent(words) if shared.config.register => {
                shared.say(RouteState::Connecting, Some(Trouble::now(words)));
            }
            State::Silent(words) => shared.say(RouteState::Connected, Some(Trouble::now(words))),
            State::Unreachable(words) => shared.say(RouteState::Connecting, Some(Trouble::now(words))),
            State::Refused { code, words, exchange } => {
                let trouble = Trouble {
                    code: Some(code),
                    exchange: ledger::messages(&exchange),
                    ..Trouble::now(words.clone())
                };
                shared.say(RouteState::Refused(words), Some(trouble));
            }
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Withdraws calls to people who have opted out another way before they answered.
async fn look_for_opt_outs(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for up in shared.up().values() {
            if !up.phase.borrow().is_answered_or_withdrawn()
                && shared.opt_outs.contains(up.number, Channel::Voice, &up.purpose)
            {
                up.wish.send_replace(Wish::Withdraw);
            }
        }
    }
}

impl Shared {
    fn up(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Up>> {
        // Calls are only put in and taken out whole.
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, state: RouteState, trouble: Option<Trouble>) {
        {
            let mut known = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            *known = (state, trouble.or(known.1.take()));
        }
        self.report(Report::State);
    }

    fn report(&self, report: Report) {
        // Where the engine has ended, so has the process.
        let _ = self.reports.send(report);
    }

    /// Takes note of a call that is to be made.
    fn put_up(self: &Arc<Self>, calls: &Calls, called: campaign::Msisdn) -> Place {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let up = Up {
            campaign: calls.campaign,
            number: called,
            purpose: calls.purpose.clone(),
            phase: watch::channel(Phase::Dialing).0,
            wish: watch::channel(Wish::GoOn).0,
        };
        self.up().insert(number, up);
        Place { shared: self.clone(), number }
    }

    /// The sounds of a script, and with `opts_out` of what whoever presses that key hears.
    async fn sounds(&self, script: &Script, opts_out: bool) -> Result<Ready, String> {
        let farewell = opts_out.then(farewell);
        self.equipment.prompts.of(script, farewell.as_ref(), &self.codecs).await
    }

    /// Makes one call; what happens in it is reported to `campaign`, if it is of one.
    async fn call(
        &self,
        number: u64,
        campaign: Option<CampaignId>,
        calls: &Calls,
        call: &OutgoingCall,
    ) -> CallReport {
        let (phase, mut wishes) = {
            let up = self.up();
            let Some(up) = up.get(&number) else { return ledger::nothing_sent(CallEnd::Withdrawn) };
            (up.phase.clone(), up.wish.subscribe())
        };
        let rendered = tokio::select! {
            rendered = self.sounds(&call.script, calls.opt_out_key.is_some()) => rendered,
            Ok(_) = wishes.wait_for(|wish| *wish != Wish::GoOn) => {
                return ledger::nothing_sent(CallEnd::Withdrawn);
            }
        };
        let sounds = match rendered {
            Ok(sounds) => sounds,
            Err(words) => return ledger::nothing_sent(CallEnd::NoSpeech(words)),
        };
        let not_begun = |words: String| ledger::nothing_sent(CallEnd::NotBegun(words));
        let Some(agent) = self.agent.get() else { return not_begun("the route is starting".into()) };
        let legs = Legs {
            agent,
            media: &self.equipment.media,
            ports: &self.ports,
            public_address: self.config.public_address,
            dialed: &|number| self.config.dialed(number),
        };
        let order = Order {
            to_user: self.config.dialed(call.number),
            caller_id: format!("+{}", call.caller_id.address().trim_start_matches('+')),
            ring_time: calls.ring_time.unsigned_abs(),
            agent_rings: AGENT_RINGS.unsigned_abs(),
            longest: LONGEST_CALL.unsigned_abs(),
            longest_talk: LONGEST_TALK.unsigned_abs(),
            codecs: self.codecs.clone(),
            script: call.script.clone(),
            opt_out_key: calls.opt_out_key,
            farewell: farewell(),
        };
        // Immediately before the INVITE leaves.
        if self.opt_outs.contains(call.number, Channel::Voice, &calls.purpose) {
            return ledger::nothing_sent(CallEnd::OptedOut);
        }
        let began = Timestamp::now();
        if began >= calls.send_before {
            return not_begun("its time was over before it could begin".into());
        }
        if *wishes.borrow_and_update() != Wish::GoOn {
            return ledger::nothing_sent(CallEnd::Withdrawn);
        }
        let is_now = |next: Phase| {
            // What is withdrawn stays so, whatever was on its way meanwhile: a fence waits for it.
            phase.send_if_modified(|phase| {
                *phase != Phase::Withdrawn && std::mem::replace(phase, next) != next
            });
            if let Some(campaign) = campaign {
                self.report(Report::Progress { campaign });
            }
        };
        let told = |progress| match progress {
            Progress::Ringing => is_now(Phase::Ringing),
            Progress::InProgress => is_now(Phase::InProgress),
            Progress::Withdrawn => is_now(Phase::Withdrawn),
            Progress::OptedOut => {
                if let Some(campaign) = campaign {
                    self.report(Report::OptedOut { campaign, number: call.number });
                }
            }
        };
        let caller_id = order.caller_id.clone();
        let _begun = Begun::new(&self.begun);
        match carry_out(&legs, order, &sounds, wishes, told).await {
            Ok(record) => ledger::report(&record, began, caller_id, calls.goal.as_ref()),
            Err(fault) => not_begun(fault.to_string()),
        }
    }
}

#[async_trait::async_trait]
impl Renderer for Shared {
    async fn render(&self, script: &Script, opts_out: bool) {
        if let Err(words) = self.sounds(script, opts_out).await {
            tracing::warn!(error = words, "a text was not rendered ahead of its call");
        }
    }
}

fn farewell() -> Prompt {
    Prompt::Say { text: FAREWELL.to_owned(), voice: None }
}

/// Counts a call that has a leg, until it is dropped.
struct Begun<'a>(&'a AtomicUsize);

impl<'a> Begun<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call's place among those that are up, which is free once this is dropped.
struct Place {
    shared: Arc<Shared>,
    /// The number that the call goes by here.
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.up().remove(&self.number);
    }
}

/// Reports a call when it is dropped, so that a task that fails reports it too.
struct Reporting {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
    place: Option<Place>,
    seq: i64,
    report: Option<CallReport>,
}

/// Makes a call of a campaign, and reports it.
async fn make(number: u64, call: OutgoingCall, mut reporting: Reporting) {
    let Reporting { shared, calls, .. } = &reporting;
    let report = shared.call(number, Some(calls.campaign), calls, &call).await;
    reporting.report = Some(report);
}

impl Drop for Reporting {
    fn drop(&mut self) {
        // Whoever waits for the call by its phase waits no longer.
        drop(self.place.take());
        let lost = || ledger::lost(Timestamp::now());
        let report = Box::new(self.report.take().unwrap_or_else(lost));
        self.shared.report(Report::Called { claim: self.calls.claim, seq: self.seq, report });
    }
}

#[async_trait::async_trait]
impl Route for SipRoute {
    fn state(&self) -> RouteState {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn unanswered(&self) -> u32 {
        self.shared.up().len() as u32
    }

    fn legs(&self) -> u32 {
        let all = self.shared.agent.get().map_or(0, Agent::calls);
        all.saturating_sub(self.shared.begun.load(Ordering::Relaxed)) as u32
    }

    fn trouble(&self) -> Option<Trouble> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn submit(&self, batch: Batch) {
        // A campaign of messages is not scheduled on a route that carries none.
        for message in batch.messages {
            let words = "the route carries no messages".to_owned();
            let attempt = Attempt::Refused { kind: Refusal::Route, status: 0, words };
            self.shared.report(Report::Result { job: batch.job, seq: message.seq, attempt });
        }
    }

    fn dial(&self, mut calls: Calls) {
        let to_make = std::mem::take(&mut calls.calls);
        let calls = Arc::new(calls);
        // All of them are up before the first begins: a fence waits for those that are still to begin.
        let placed: Vec<_> = to_make
            .into_iter()
            .map(|call| {
                let place = self.shared.put_up(&calls, call.number);
                let number = place.number;
                let reporting = Reporting {
                    shared: self.shared.clone(),
                    calls: calls.clone(),
                    place: Some(place),
                    seq: call.seq,
                    report: None,
                };
                (number, call, reporting)
            })
            .collect();
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let mut in_a_step = placed.len().div_ceil(STEPS);
            let mut placed = placed.into_iter();
            loop {
                for (number, call, reporting) in placed.by_ref().take(in_a_step) {
                    tokio::spawn(make(number, call, reporting));
                }
                if placed.len() == 0 {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(STEP) => {}
                    // Those that are to end send nothing.
                    () = shared.hurry.notified() => in_a_step = placed.len(),
                }
            }
        });
    }

    fn renderer(&self) -> Option<Arc<dyn Renderer>> {
        Some(self.shared.clone())
    }

    async fn try_call(&self, call: TestCall) -> Result<CallRow, String> {
        let TestCall { number: called, caller_id, ring_time, script } = call;
        let calls = Calls {
            campaign: NO_CAMPAIGN,
            claim: ClaimId(0),
            send_before: Timestamp::now().saturating_add(TEST_WITHIN).unwrap_or(Timestamp::MAX),
            purpose: "".into(),
            ring_time,
            opt_out_key: None,
            goal: None,
            calls: Vec::new(),
        };
        let call = OutgoingCall { seq: 0, number: called, caller_id, script };
        let shared = self.shared.clone();
        // In a task of its own, so that it ends as it should where nobody waits for it any more.
        let made = tokio::spawn(async move {
            let place = shared.put_up(&calls, called);
            shared.call(place.number, None, &calls, &call).await
        });
        match made.await.map_err(|e| e.to_string())? {
            CallReport { row: Some(row), .. } => Ok(row),
            CallReport { end: CallEnd::OptedOut, .. } => {
                Err("the number is on a do-not-contact list, so nobody calls it".to_owned())
            }
            CallReport { end: CallEnd::NoSpeech(why) | CallEnd::NotBegun(why), .. } => Err(why),
            CallReport { .. } => Err("it was withdrawn before it began".to_owned()),
        }
    }

    fn live(&self, campaign: CampaignId) -> Live {
        let up = self.shared.up();
        let of = up.values().filter(|up| up.campaign == campaign);
        let phase = |up: &Up| match *up.phase.borrow() {
            Phase::Ringing => Some(engine::Phase::Ringing),
            Phase::InProgress => Some(engine::Phase::InProgress),
            Phase::Dialing | Phase::Withdrawn => None,
        };
        Live(of.filter_map(|up| Some((up.number, phase(up)?))).collect())
    }

    fn hang_up(&self, campaign: Option<CampaignId>, words: &'static str) {
        for up in self.shared.up().values().filter(|up| campaign.is_none_or(|of| of == up.campaign)) {
            up.wish.send_replace(Wish::HangUp(words));
        }
        self.shared.hurry.notify_waiters();
    }

    async fn fence(&self, campaign: CampaignId) {
        let mut phases = Vec::new();
        for up in self.shared.up().values().filter(|up| up.campaign == campaign) {
            let phase = up.phase.subscribe();
            if !phase.borrow().is_answered_or_withdrawn() {
                up.wish.send_if_modified(|wish| {
                    let goes_on = *wish == Wish::GoOn;
                    if goes_on {
                        *wish = Wish::Withdraw;
                    }
                    goes_on
                });
                phases.push(phase);
            }
        }
        self.shared.hurry.notify_waiters();
        for mut phase in phases {
            // An error: the call has ended.
            let _ = phase.wait_for(|phase| phase.is_answered_or_withdrawn()).await;
        }
    }
}
