//! What the API answers, as its document describes it: the values themselves belong to the store and its rules, which
//! know of no document. A test holds answers against the document, so that neither changes without the other.

#![allow(dead_code, reason = "only the document is made from these")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// What is wrong with a field, or may not be meant as it is written.
#[derive(ToSchema)]
pub(crate) struct FieldProblem {
    /// Where it is: `messages[0].text`.
    field: String,
    /// What is wrong, and what would be right.
    message: String,
}

/// What a person defines of a campaign. Fields of the other channel are absent.
#[derive(ToSchema)]
pub(crate) struct Definition {
    /// `sms` or `voice`.
    channel: String,
    name: String,
    /// The person responsible for it.
    owner: Option<String>,
    route_id: Option<String>,
    list_ids: Vec<String>,
    opt_in_acknowledged: bool,
    /// How long due work may stay unsent before a person must release it.
    lateness_limit: String,
    purpose: Option<String>,
    /// How many recipients to send to first, before waiting for a person.
    pilot: Option<u32>,
    /// The most that it may cost.
    max_cost: Option<String>,
    /// The zone of recipients whose own zone is unknown.
    time_zone: Option<String>,
    /// The sending hours; null: any time.
    window: Option<Window>,
    /// SMS: a number or a name, or `{"pool": id}`.
    sender: Option<Value>,
    /// SMS: how long the SMSC may try to deliver a message.
    validity: Option<String>,
    /// SMS: optional parameters of each message, by tag.
    tlvs: Option<BTreeMap<String, Value>>,
    /// SMS: whether later messages go to a recipient whose earlier one failed.
    go_on_after_failure: Option<bool>,
    /// Voice: a number, or `{"pool": id}`.
    caller_id: Option<Value>,
    /// Voice: when the first calls go.
    start: Option<SendTime>,
    /// Voice: from when on no call begins any more.
    until: Option<String>,
    /// Voice: how long a phone may ring.
    ring_time: Option<String>,
    /// Voice: the most calls that are up at once.
    max_calls: Option<u32>,
    calls_per_second: Option<u32>,
    record: Option<bool>,
    /// Voice: detection of answering machines.
    amd: Option<BTreeMap<String, Value>>,
    /// Voice: whom to call again.
    retry: Option<BTreeMap<String, Value>>,
    /// Voice: the key that opts out.
    opt_out_key: Option<String>,
    /// What uploads say, of what the rules for marketing ask: `organisation`, `call_back_number`, `opt_out_key`.
    audio_says: Option<Vec<String>>,
    /// Voice: the step that a call is made for.
    goal: Option<String>,
    /// Voice: the steps of a call.
    script: Option<BTreeMap<String, Value>>,
}

/// When a message goes: one of `now`, `at`, `local` and `after`.
#[derive(ToSchema)]
pub(crate) struct SendTime {
    /// As soon as it is scheduled.
    now: Option<bool>,
    /// An instant.
    at: Option<String>,
    /// A date and time on each recipient's own clock.
    local: Option<String>,
    /// How long after the message before.
    after: Option<String>,
    /// Not before this time of that day; with `after` in whole days.
    time: Option<String>,
    /// `next_day`: where `local` has passed.
    late: Option<String>,
}

/// Sending hours.
#[derive(ToSchema)]
pub(crate) struct Window {
    /// `mon` to `sun`.
    days: Vec<String>,
    from: String,
    to: String,
    /// Dates on which nothing is sent.
    except: Option<Vec<String>>,
}

/// What scheduling a campaign would do.
#[derive(ToSchema)]
pub(crate) struct Forecast {
    /// How many distinct numbers it has.
    audience: i64,
    /// How many of them get any message.
    recipients: i64,
    /// How many of them are skipped, by reason.
    excluded: BTreeMap<String, i64>,
    /// Segments of each message.
    segments: Vec<i64>,
    /// Whether segments and missing fields are estimated from a part of a large audience.
    estimated: bool,
    /// What it costs, where the route's price is known; of calls, the least.
    cost: Option<String>,
    /// The most that calls cost, each answered and heard out.
    cost_most: Option<String>,
    /// How long rendering what is said takes, as an ISO 8601 duration; none where nothing is said, or where
    /// nothing renders it here.
    rendering: Option<String>,
    first_send: Option<String>,
    /// At the route's rate.
    last_send: Option<String>,
    /// When each message goes.
    times: Vec<MessageTimes>,
    /// Recipients that sending hours keep waiting, by message.
    delayed: Vec<WindowDelay>,
    max_cost: Option<String>,
    /// Whether it costs more than its budget, so that it cannot be scheduled.
    over_budget: bool,
    warnings: Vec<FieldProblem>,
}

/// When a message goes.
#[derive(ToSchema)]
pub(crate) struct MessageTimes {
    n: u32,
    first_send: String,
    last_send: String,
}

/// Recipients of a message that sending hours keep waiting.
#[derive(ToSchema)]
pub(crate) struct WindowDelay {
    n: u32,
    recipients: i64,
    /// When the hours of the last of them begin.
    until: String,
}

/// How a campaign would go on.
#[derive(ToSchema)]
pub(crate) struct RestartPlan {
    messages: Vec<RebuiltMessage>,
}

/// The rebuilt schedule of one message.
#[derive(ToSchema)]
pub(crate) struct RebuiltMessage {
    n: u32,
    /// How many recipients it still goes to.
    remaining: i64,
    first_due: String,
    last_due: String,
}

/// How often calls came to a step of the script.
#[derive(ToSchema)]
pub(crate) struct StepCount {
    id: String,
    reached: i64,
    /// Calls by the way that they took on from there.
    branches: BTreeMap<String, i64>,
}

/// One recipient × message.
#[derive(ToSchema)]
pub(crate) struct Delivery {
    /// Its id within the campaign.
    id: String,
    /// The number of the message.
    message: u32,
    /// The place in the audience.
    seq: i64,
    number: String,
    outcome: String,
    /// Why it was skipped.
    reason: Option<String>,
    /// SMPP command status or network error.
    code: Option<u32>,
    /// The carrier's words, or ours.
    detail: Option<String>,
    /// The SMSC's id.
    provider_id: Option<String>,
    segments: Option<u32>,
    attempts: u32,
    sent_at: Option<String>,
    changed_at: Option<String>,
}

/// A delivery with what led to it.
#[derive(ToSchema)]
pub(crate) struct DeliveryWithHistory {
    #[schema(inline)]
    #[serde(flatten)]
    delivery: Delivery,
    /// All attempts but the last, oldest first.
    history: Vec<Attempt>,
    /// Voice: whether the person opted out in a call.
    opted_out: Option<bool>,
    /// Voice: every call to the person, oldest first.
    calls: Option<Vec<Call>>,
}

/// An attempt after which a message was to be tried again.
#[derive(ToSchema)]
pub(crate) struct Attempt {
    at: String,
    detail: String,
}

/// A call.
#[derive(ToSchema)]
pub(crate) struct Call {
    /// When it began.
    at: String,
    outcome: String,
    sip_code: Option<u16>,
    /// Why it ended.
    words: String,
    /// The number that the phone showed.
    caller_id: String,
    ring_seconds: Option<u32>,
    talk_seconds: Option<u32>,
    last_step: Option<String>,
    /// What was entered, in order.
    digits: Vec<String>,
    /// Whether a message was left on a machine.
    message_left: bool,
    recording: Option<String>,
    opted_out: bool,
    events: Vec<CallEvent>,
}

/// A line of a call's time line.
#[derive(ToSchema)]
pub(crate) struct CallEvent {
    at: String,
    what: String,
}

/// A line of a campaign's history.
#[derive(ToSchema)]
pub(crate) struct TimelineEntry {
    at: String,
    /// A person, a token's name, or the engine.
    actor: String,
    cause: String,
    /// The status from then on.
    status: String,
}

/// Why a voice campaign could not go on.
#[derive(ToSchema)]
pub(crate) struct CampaignError {
    cause: String,
    /// In the far end's words or the system's.
    detail: String,
    first_at: String,
    last_at: String,
    calls_affected: u32,
    sip_code: Option<u16>,
    /// The messages of an example call, numbers and credentials masked.
    exchange: Vec<ExchangedMessage>,
    /// What to look at.
    check: Vec<String>,
}

/// A message of an example call.
#[derive(ToSchema)]
pub(crate) struct ExchangedMessage {
    at: String,
    /// Whether we sent it.
    sent: bool,
    text: String,
}

/// A reply from a phone.
#[derive(ToSchema)]
pub(crate) struct Reply {
    id: i64,
    /// The campaign that it answers.
    campaign_id: Option<String>,
    matched: bool,
    number: String,
    /// The sender that it went to.
    sender: String,
    text: String,
    /// `opt_out`, `opt_in`, `help`; `refusal` where it only reads like one.
    keyword: Option<String>,
    at: String,
    /// The automatic answer to it.
    answer: Option<Answer>,
}

/// An automatic answer.
#[derive(ToSchema)]
pub(crate) struct Answer {
    text: String,
    /// `queued`, `taken`, `sent`, `refused`, `expired` or `in_doubt`.
    state: String,
}

/// The account's settings.
#[derive(ToSchema)]
pub(crate) struct Settings {
    /// The answers to keywords, by language.
    answers: BTreeMap<String, AnswerTexts>,
    /// Keywords that do not count for a sender.
    keywords_off: BTreeMap<String, Vec<String>>,
    /// Holidays, in each recipient's own calendar.
    blackout_dates: Vec<String>,
    limit: Option<Limit>,
    /// Whether a person without a recorded consent gets no messages.
    require_consent: bool,
    /// The zone of recipients whose own zone is unknown, in campaigns that name none.
    time_zone: String,
    /// The country of numbers without a country code.
    country: Option<String>,
    /// The sending hours of new campaigns; null: any time.
    window: Option<Window>,
    /// The purposes that campaigns may have.
    purposes: Vec<String>,
    /// A code such as USD.
    currency: String,
    /// `everything`, `channel` or `purpose`.
    opt_out_holds_for: String,
    /// The name that people know the account by.
    organisation: String,
    call_back_number: Option<String>,
    /// The rules for marketing that calls do not keep: `ring_time`, `organisation`, `call_back_number`, `opt_out_key`.
    marketing_rules_off: Vec<String>,
}

/// The answers to keywords in one language.
#[derive(ToSchema)]
pub(crate) struct AnswerTexts {
    opt_out: String,
    opt_in: String,
    help: String,
}

/// The most messages and calls to a person in a period.
#[derive(ToSchema)]
pub(crate) struct Limit {
    messages: u32,
    per: String,
    /// The channel that is counted; null: all of them together.
    counts: Option<String>,
}

/// A receiver of events.
#[derive(ToSchema)]
pub(crate) struct Webhook {
    id: String,
    url: String,
    /// `attempt`, `person`, `campaign`.
    levels: Vec<String>,
    /// Why it is switched off.
    off: Option<String>,
    created_at: String,
    /// How many events wait to be sent.
    queued: i64,
}

/// A webhook that was just created.
#[derive(ToSchema)]
pub(crate) struct MadeWebhook {
    #[schema(inline)]
    #[serde(flatten)]
    webhook: Webhook,
    /// Signs what is posted; shown this once.
    secret: String,
}

/// A line of a webhook's log.
#[derive(ToSchema)]
pub(crate) struct WebhookEvent {
    id: i64,
    /// Such as `campaign.completed`.
    kind: String,
    at: String,
    /// `queued`, `delivered` or `given_up`.
    state: String,
    /// When the next attempt is due, while it is queued.
    due_at: String,
    /// What was posted.
    payload: String,
    tries: Vec<EventTry>,
}

/// An attempt to send an event.
#[derive(ToSchema)]
pub(crate) struct EventTry {
    at: String,
    /// What the receiver answered.
    status: Option<u16>,
    detail: Option<String>,
    /// Milliseconds until the answer.
    took: i64,
}

/// A pool of senders.
#[derive(ToSchema)]
pub(crate) struct Pool {
    id: String,
    name: String,
    senders: Vec<PoolSender>,
}

/// A sender of a pool.
#[derive(ToSchema)]
pub(crate) struct PoolSender {
    sender: String,
    rate_per_second: u32,
}

/// An upload that calls play.
#[derive(ToSchema)]
pub(crate) struct Audio {
    id: String,
    name: String,
    seconds: f64,
    created_at: String,
}

/// The settings of a route but for its secrets. Those of the other kind are absent.
#[derive(ToSchema)]
pub(crate) struct RouteSettings {
    disabled: bool,
    host: String,
    port: Option<u16>,
    tls_ca: Option<String>,
    /// How recipients' numbers are written.
    number_form: String,
    /// The country of numbers in national form.
    country: Option<String>,
    /// SMPP: segments a second over all connections.
    rate_per_second: Option<u32>,
    /// SMPP: segments taken before a result is stored.
    claim_budget: Option<u32>,
    price_per_segment: Option<String>,
    /// SMPP: further hosts of the same account.
    hosts: Option<Vec<String>>,
    system_id: Option<String>,
    system_type: Option<String>,
    /// SMPP: `transceiver` or `transmitter_receiver`.
    bind_mode: Option<String>,
    address_range: Option<String>,
    tls: Option<bool>,
    /// SMPP: how many connections.
    binds: Option<u16>,
    /// SMPP: unanswered messages of each connection.
    window: Option<u32>,
    source_ton: Option<u8>,
    source_npi: Option<u8>,
    dest_ton: Option<u8>,
    dest_npi: Option<u8>,
    default_alphabet: Option<String>,
    long_text: Option<String>,
    service_type: Option<String>,
    /// SMPP: optional parameters of every message, by tag.
    tlvs: Option<BTreeMap<String, Value>>,
    enquire_interval: Option<String>,
    answer_timeout: Option<String>,
    bind_timeout: Option<String>,
    /// SMPP: what command statuses are blamed on, where it is not the usual.
    refusals: Option<BTreeMap<String, String>>,
    /// SIP: `udp`, `tcp` or `tls`.
    transport: Option<String>,
    outbound_proxy: Option<String>,
    register: Option<bool>,
    register_expires: Option<u32>,
    username: Option<String>,
    domain: Option<String>,
    /// SIP: the numbers that it may show.
    numbers: Option<Vec<String>>,
    prefix: Option<String>,
    max_calls: Option<u32>,
    calls_per_second: Option<u32>,
    codecs: Option<Vec<String>>,
    public_address: Option<String>,
    media_ports: Option<String>,
    srtp: Option<String>,
    error_after: Option<String>,
    price_per_minute: Option<String>,
    increment_seconds: Option<u32>,
}

/// An import of a file or of rows.
#[derive(ToSchema)]
pub(crate) struct Import {
    id: String,
    /// `{"list": id}`, or the channel whose do-not-contact list it is.
    into: Value,
    state: String,
    /// Rows read.
    rows: i64,
    accepted: i64,
    rejected: i64,
    /// Why it failed.
    error: Option<String>,
    /// The size of the file in bytes, if one is kept until it is read.
    size: Option<i64>,
    /// Bytes of the file that were read.
    read: i64,
    /// What was left out of accepted rows, the commonest first.
    left_out: Vec<LeftOut>,
}

/// Values that could not be read and were left out of their contacts.
#[derive(ToSchema)]
pub(crate) struct LeftOut {
    field: String,
    reason: String,
    count: i64,
}
