//! Campaigns and routes as the API shows them.

use std::collections::BTreeMap;

use campaign::{Action, CampaignId, Content, RouteId, Status, Totals};
use engine::Handle;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use store::{Campaign, Message, Problem, Refusal, RouteKind, StepCount};
use utoipa::ToSchema;

use crate::{App, shapes};

/// A campaign.
#[derive(Serialize, ToSchema)]
pub(crate) struct CampaignView {
    #[schema(value_type = String)]
    pub(crate) id: CampaignId,
    /// The definition.
    #[serde(flatten)]
    #[schema(value_type = shapes::Definition)]
    definition: Map<String, Value>,
    #[schema(value_type = String)]
    pub(crate) status: Status,
    #[schema(value_type = Option<String>)]
    archived_from: Option<Status>,
    version: i64,
    #[schema(value_type = Vec<String>)]
    pub(crate) available_actions: Vec<Action>,
    held: bool,
    pub(crate) waiting: Vec<WaitingView>,
    pub(crate) audience: i64,
    pub(crate) totals: BTreeMap<&'static str, i64>,
    /// The messages of an SMS campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<Vec<MessageView>>,
    /// How often calls of a voice campaign came to each step of its script.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<shapes::StepCount>>)]
    steps: Option<Vec<StepCount>>,
    /// What in its texts may not be meant as it is written: never an error.
    #[schema(value_type = Vec<shapes::FieldProblem>)]
    warnings: Vec<Problem>,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>)]
    scheduled_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    finished_at: Option<Timestamp>,
}

/// Why a campaign does not send at this moment.
#[derive(Serialize, ToSchema)]
pub(crate) struct WaitingView {
    /// The reason, as one of the API's words.
    pub(crate) reason: &'static str,
    /// Until when it waits, if that is known.
    #[schema(value_type = Option<String>)]
    pub(crate) until: Option<Timestamp>,
    /// The far end's words, if it gave any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// Whether the reason does not pass by itself.
    #[serde(skip)]
    pub(crate) needs_a_person: bool,
}

/// One message of a campaign.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageView {
    pub(crate) n: usize,
    pub(crate) text: String,
    #[schema(value_type = shapes::SendTime)]
    pub(crate) send: campaign::Send,
    /// Whether the text has placeholders; if not, it is sent word for word.
    pub(crate) template: bool,
    pub(crate) totals: BTreeMap<&'static str, i64>,
}

impl CampaignView {
    pub(crate) fn of(app: &App, c: Campaign) -> Self {
        let c = app.with_live(c);
        let channel = c.definition.channel();
        let waiting = app.engine.get().map(|e| waiting(e, &c)).unwrap_or_default();
        let (actions, totals) = (c.available_actions(), c.sum().by_word(channel));
        let warnings = c.definition.content.warnings();
        // A definition is an object of plain values.
        let mut definition = match serde_json::to_value(&c.definition) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        definition.remove("messages");
        let (messages, steps) = match c.definition.content {
            Content::Sms(sms) => {
                let messages = sms.messages.into_iter().zip(c.totals).enumerate();
                let view = |(at, (m, totals)): (usize, (Message, Totals))| MessageView {
                    n: at + 1,
                    text: m.text,
                    send: m.send,
                    template: m.template,
                    totals: totals.by_word(channel),
                };
                (Some(messages.map(view).collect()), None)
            }
            Content::Voice(_) => (None, Some(c.steps)),
        };
        Self {
            id: c.id,
            definition,
            status: c.status,
            archived_from: c.archived_from,
            version: c.version,
            available_actions: actions,
            held: c.held,
            waiting,
            audience: c.audience,
            totals,
            messages,
            steps,
            warnings,
            created_at: c.created_at,
            scheduled_at: c.scheduled_at,
            started_at: c.started_at,
            finished_at: c.finished_at,
        }
    }
}

/// Why a campaign does not send at this moment.
pub(crate) fn waiting(engine: &Handle, c: &Campaign) -> Vec<WaitingView> {
    if !matches!(c.status, Status::Scheduled | Status::Running) {
        return Vec::new();
    }
    engine
        .waiting(c.id)
        .into_iter()
        .map(|w| {
            let detail = w.reason.detail().map(str::to_owned);
            let needs_a_person = w.reason.needs_a_person();
            WaitingView { reason: w.reason.word(), until: w.until, detail, needs_a_person }
        })
        .collect()
}

/// A route; its password is never shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct RouteView {
    #[schema(value_type = String)]
    pub(crate) id: RouteId,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// All other settings, without secrets.
    #[serde(flatten)]
    #[schema(value_type = shapes::RouteSettings)]
    settings: Map<String, Value>,
    /// Where it leads, for people.
    #[serde(skip)]
    pub(crate) place: String,
    /// Segments or calls in a second, and unanswered messages or calls at once, that it takes.
    #[serde(skip)]
    pub(crate) most: (u32, u32),
    /// Segments or calls that it takes before a result is stored.
    #[serde(skip)]
    pub(crate) budget: u32,
    /// connected, connecting, refused, disabled.
    pub(crate) state: &'static str,
    /// The last fault of a connection, which may be over by now.
    pub(crate) last_error: Option<String>,
    /// When the fault happened.
    #[schema(value_type = Option<String>)]
    pub(crate) last_error_at: Option<Timestamp>,
    /// Messages a second that the carrier accepted, over the last ten seconds.
    pub(crate) throughput: f64,
    /// Messages that were written and not yet answered: at most binds × window; of a trunk, the calls that are up.
    pub(crate) unanswered: u32,
    /// Messages claimed whose answers are not stored yet: the most that a crash now would leave in doubt.
    pub(crate) claimed: u32,
    /// What the carrier refused since this process began, by command status.
    pub(crate) refused: Vec<RefusedView>,
}

/// What a carrier answered with one command status.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RefusedView {
    pub(crate) status: u32,
    pub(crate) words: String,
    /// What the refusals are blamed on: recipient, throttled, route.
    #[schema(value_type = String)]
    pub(crate) kind: Refusal,
    pub(crate) count: u64,
    #[schema(value_type = String)]
    pub(crate) last: Timestamp,
}

/// Fields of a route's settings that its view does not copy: the secret, and those with fields of their own.
const SHOWN_APART: [&str; 3] = ["password", "name", "kind"];

impl RouteView {
    pub(crate) fn of(app: &App, r: store::Route) -> Self {
        let engine = app.engine.get();
        let route = engine.and_then(|e| e.route(r.id));
        let (state, trouble) =
            (route.as_ref().map(|route| route.state()), route.as_ref().and_then(|r| r.trouble()));
        let traffic = engine.map(|e| e.traffic(r.id)).unwrap_or_default();
        let refused = traffic.refused.iter().map(|(status, refused)| RefusedView {
            status: *status,
            words: refused.words.clone(),
            kind: refused.kind,
            count: refused.count,
            last: refused.last,
        });
        let c = r.config;
        // Stored settings are an object of plain values.
        let mut settings = match serde_json::to_value(&c) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        // Never shown, or shown in fields of their own here.
        for field in SHOWN_APART {
            settings.remove(field);
        }
        let (place, most) = match &c.kind {
            RouteKind::Smpp(smpp) => {
                settings.insert("claim_budget".to_owned(), smpp.claim_budget().into());
                let tls = if smpp.tls { ", TLS" } else { "" };
                let windows = smpp.window.saturating_mul(smpp.binds.into());
                (format!("{}:{} {}{tls}", smpp.host, smpp.port, smpp.system_id), windows)
            }
            RouteKind::Sip(sip) => {
                let port = sip.port.map(|port| format!(":{port}")).unwrap_or_default();
                let by = sip.transport.word().to_uppercase();
                (format!("{}{port} {} {by}", sip.host, sip.username), sip.max_calls)
            }
        };
        Self {
            id: r.id,
            kind: c.kind.word(),
            most: (c.per_second(), most),
            budget: c.at_once(),
            name: c.name,
            place,
            settings,
            state: if c.disabled { "disabled" } else { state.map_or("connecting", |s| s.word()) },
            last_error_at: trouble.as_ref().map(|trouble| trouble.at),
            last_error: trouble.map(|trouble| trouble.words),
            throughput: traffic.per_second(Timestamp::now()),
            unanswered: route.map_or(0, |route| route.unanswered()),
            claimed: traffic.open,
            refused: refused.collect(),
        }
    }
}
