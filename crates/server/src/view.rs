//! Campaigns and routes as the API shows them.

use campaign::{Action, CampaignId, Content, RouteId, Status, Totals};
use engine::Handle;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use store::{Campaign, Problem, Refusal, RouteKind};
use utoipa::ToSchema;

use crate::App;

/// A campaign.
#[derive(Serialize, ToSchema)]
pub(crate) struct CampaignView {
    #[schema(value_type = String)]
    pub(crate) id: CampaignId,
    /// The definition.
    #[serde(flatten)]
    #[schema(value_type = Object)]
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
    #[schema(value_type = Object)]
    pub(crate) totals: Totals,
    pub(crate) messages: Vec<MessageView>,
    /// What in its texts may not be meant as it is written: never an error.
    #[schema(value_type = Vec<Object>)]
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
}

/// One message of a campaign.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageView {
    pub(crate) n: usize,
    pub(crate) text: String,
    #[schema(value_type = Object)]
    pub(crate) send: campaign::Send,
    /// Whether the text has placeholders; if not, it is sent word for word.
    pub(crate) template: bool,
    #[schema(value_type = Object)]
    pub(crate) totals: Totals,
}

impl CampaignView {
    pub(crate) fn of(app: &App, c: Campaign) -> Self {
        let waiting = app.engine.get().map(|e| waiting(e, &c)).unwrap_or_default();
        let (actions, totals, warnings) = (c.available_actions(), c.sum(), c.definition.content.warnings());
        // A definition is an object of plain values.
        let mut definition = match serde_json::to_value(&c.definition) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        definition.remove("messages");
        let Content::Sms(sms) = c.definition.content;
        let messages = sms.messages.into_iter().zip(c.totals).enumerate();
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
            messages: messages
                .map(|(at, (m, totals))| MessageView {
                    n: at + 1,
                    text: m.text,
                    send: m.send,
                    template: m.template,
                    totals,
                })
                .collect(),
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
            WaitingView { reason: w.reason.word(), until: w.until, detail }
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
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) system_id: String,
    pub(crate) tls: bool,
    pub(crate) binds: u16,
    pub(crate) window: u32,
    pub(crate) rate_per_second: u32,
    pub(crate) claim_budget: u32,
    /// All other settings.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// connected, connecting, refused, disabled.
    pub(crate) state: &'static str,
    /// The last fault of a connection, which may be over by now.
    pub(crate) last_error: Option<String>,
    /// When the fault happened.
    #[schema(value_type = Option<String>)]
    pub(crate) last_error_at: Option<Timestamp>,
    /// Messages a second that the carrier accepted, over the last ten seconds.
    pub(crate) throughput: f64,
    /// Messages that were written and not yet answered: at most binds × window.
    pub(crate) unanswered: u32,
    /// Messages claimed whose answers are not stored yet: the most that a crash now would leave in doubt.
    pub(crate) claimed: u32,
    /// What the carrier refused since this process began, by command status.
    pub(crate) refusals: Vec<RefusedView>,
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

/// Fields of a route's settings that its view does not copy: the secret, those with fields of their own, and the
/// meanings of refusals, which are replaced by what was refused.
const SHOWN_APART: [&str; 12] = [
    "password",
    "name",
    "kind",
    "host",
    "port",
    "system_id",
    "tls",
    "binds",
    "window",
    "rate_per_second",
    "claim_budget",
    "refusals",
];

impl RouteView {
    /// How many messages its binds may have unanswered at once.
    pub(crate) fn windows(&self) -> u32 {
        self.window.saturating_mul(self.binds.into())
    }

    pub(crate) fn of(app: &App, r: store::Route) -> Self {
        let engine = app.engine.get();
        let route = engine.and_then(|e| e.route(r.id));
        let (state, trouble) =
            (route.as_ref().map(|route| route.state()), route.as_ref().and_then(|r| r.trouble()));
        let traffic = engine.map(|e| e.traffic(r.id)).unwrap_or_default();
        let refusals = traffic.refused.iter().map(|(status, refused)| RefusedView {
            status: *status,
            words: refused.words.clone(),
            kind: refused.kind,
            count: refused.count,
            last: refused.last,
        });
        let c = r.config;
        let claim_budget = c.claim_budget();
        // Stored settings are an object of plain values.
        let mut settings = match serde_json::to_value(&c) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        // Never shown, or shown in fields of their own here.
        for field in SHOWN_APART {
            settings.remove(field);
        }
        let RouteKind::Smpp(smpp) = &c.kind;
        let smpp = smpp.as_ref().clone();
        Self {
            id: r.id,
            kind: c.kind.word(),
            name: c.name,
            host: smpp.host,
            port: smpp.port,
            system_id: smpp.system_id,
            tls: smpp.tls,
            binds: smpp.binds,
            window: smpp.window,
            rate_per_second: c.rate_per_second,
            claim_budget,
            settings,
            state: if c.disabled { "disabled" } else { state.map_or("connecting", |s| s.word()) },
            last_error_at: trouble.as_ref().map(|trouble| trouble.at),
            last_error: trouble.map(|trouble| trouble.words),
            throughput: traffic.per_second(Timestamp::now()),
            unanswered: route.map_or(0, |route| route.unanswered()),
            claimed: traffic.open,
            refusals: refusals.collect(),
        }
    }
}
