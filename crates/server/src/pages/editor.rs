//! The editor: campaign details, then messages. What is wrong comes back beside its field with what was
//! typed; whoever saves over somebody else's change is told and decides.

use std::borrow::Cow;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use campaign::{
    Action, CampaignId, ListId, Msisdn, PoolId, RouteId, SendAs, Window,
    lifecycle::{self, Cause},
    money::Money,
    segment,
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{By, Campaign, Definition, Problem as FieldProblem, StoreError};

use super::{
    Me, Posted, PostedTwo, Refused, Shown, Wrong, again,
    details::{acted, id, zone},
    hours::Hours,
    page, t,
    words::Given,
};
use crate::{App, auth::Caller, body, problem::Problem};

/// Contacts that a text is shown for, and as many as may be chosen.
const SAMPLES: usize = 3;
const MOST_CHOSEN: usize = 10;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/campaigns/new", get(new).post(create))
        .route("/campaigns/{id}/edit", get(edit).post(edited))
        .route("/campaigns/{id}/messages", get(messages).post(written))
        .route("/preview", post(preview))
}

/// The first step, as its fields are named.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct DetailsForm {
    version: i64,
    name: String,
    owner: String,
    sender: String,
    /// A pool in the sender's place.
    pool: String,
    route_id: String,
    list_ids: Vec<String>,
    time_zone: String,
    purpose: String,
    #[serde(skip)]
    hours: Hours,
    opt_in_acknowledged: String,
    pilot: String,
    max_cost: String,
    /// Saves over somebody else's change.
    over: String,
}

impl DetailsForm {
    fn of(c: &Campaign) -> Self {
        let d = &c.definition;
        let (sender, pool) = match &d.sender {
            Some(SendAs::One(sender)) => (Some(sender.to_string()), None),
            Some(SendAs::Pool(pool)) => (None, Some(pool.to_string())),
            None => (None, None),
        };
        Self {
            version: c.version,
            name: d.name.clone(),
            owner: d.owner.clone().unwrap_or_default(),
            sender: sender.unwrap_or_default(),
            pool: pool.unwrap_or_default(),
            route_id: d.route_id.map(|r| r.to_string()).unwrap_or_default(),
            list_ids: d.list_ids.iter().map(ToString::to_string).collect(),
            time_zone: d.time_zone.clone().unwrap_or_default(),
            purpose: d.purpose.clone().unwrap_or_default(),
            hours: Hours::of(d.window.as_ref()),
            opt_in_acknowledged: if d.opt_in_acknowledged { "yes" } else { "" }.to_owned(),
            pilot: d.pilot.map(|n| n.to_string()).unwrap_or_default(),
            max_cost: d.max_cost.map(|m| m.to_string()).unwrap_or_default(),
            over: String::new(),
        }
    }

    fn new(me: &str, window: Option<&Window>) -> Self {
        Self { owner: me.to_owned(), hours: Hours::of(window), ..Self::default() }
    }

    /// What the API would be sent.
    fn change(&self) -> Value {
        let given = |text: &str| Some(text.trim()).filter(|t| !t.is_empty()).map(str::to_owned);
        let sender =
            given(&self.pool).map_or_else(|| json!(given(&self.sender)), |pool| json!({"pool": pool}));
        // What is no number is sent on as it is, and refused with its field.
        let pilot = given(&self.pilot).map(|n| n.parse::<u32>().map_or_else(|_| json!(n), |n| json!(n)));
        json!({"pilot": pilot, "max_cost": given(&self.max_cost), "channel": "sms", "name": self.name.trim(), "owner": given(&self.owner), "sender": sender,
            "route_id": given(&self.route_id), "list_ids": self.list_ids, "time_zone": given(&self.time_zone),
            "purpose": given(&self.purpose), "window": self.hours.change(),
            "opt_in_acknowledged": !self.opt_in_acknowledged.is_empty()})
    }
}

#[derive(Template)]
#[template(path = "edit_details.html")]
struct EditDetails {
    me: Me,
    id: Option<CampaignId>,
    form: DetailsForm,
    wrong: Wrong,
    stale: bool,
    lists: Vec<(ListId, String)>,
    routes: Vec<(RouteId, String)>,
    pools: Vec<(PoolId, String)>,
    purposes: Vec<String>,
    account_zone: String,
}

impl EditDetails {
    async fn new(
        app: &App,
        caller: Caller,
        id: Option<CampaignId>,
        form: DetailsForm,
    ) -> store::Result<Self> {
        let settings = app.store.settings().await?;
        Ok(Self {
            me: Me::new(caller, "campaigns"),
            id,
            form,
            purposes: settings.purposes,
            account_zone: settings.time_zone,
            wrong: Wrong::default(),
            stale: false,
            lists: app.store.list_names().await?,
            pools: app.store.pools().await?.into_iter().map(|p| (p.id, p.config.name)).collect(),
            routes: app.store.routes().await?.into_iter().map(|r| (r.id, r.config.name)).collect(),
        })
    }

    fn has_list(&self, id: impl Given<ListId>) -> bool {
        self.form.list_ids.contains(&id.given().to_string())
    }

    fn has_pool(&self, id: impl Given<PoolId>) -> bool {
        self.form.pool == id.given().to_string()
    }

    fn has_route(&self, id: impl Given<RouteId>) -> bool {
        self.form.route_id == id.given().to_string()
    }
}

/// What is wrong, out of whatever refused the form; what is not the form's fault is passed on.
fn wrong(problem: Problem) -> Result<Wrong, Refused> {
    match problem.into_fields() {
        Ok(fields) => Ok(Wrong(fields)),
        Err(problem) => Err(problem.into()),
    }
}

/// Only what its status lets be edited.
async fn editable(app: &App, id: CampaignId) -> store::Result<Campaign> {
    let campaign = app.store.campaign(id).await?;
    lifecycle::transition(campaign.definition.channel, campaign.status, Cause::Act(Action::Edit))?;
    Ok(campaign)
}

async fn new(State(app): State<App>, caller: Caller) -> Shown {
    let window = app.store.settings().await?.window;
    let form = DetailsForm::new(&caller.name, window.as_ref());
    Ok(page(&EditDetails::new(&app, caller, None, form).await?))
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    PostedTwo(form, hours): PostedTwo<DetailsForm, Hours>,
) -> Shown {
    let form = DetailsForm { hours, ..form };
    let by = caller.by();
    let made = async {
        let definition: Definition = body::decode(form.change())?;
        Ok::<_, Problem>(app.store.create_campaign(definition, by).await?)
    };
    match made.await {
        Ok(campaign) => Ok(Redirect::to(&format!("/campaigns/{}/messages", campaign.id)).into_response()),
        Err(problem) => {
            let wrong = wrong(problem)?;
            let edit = EditDetails { wrong, ..EditDetails::new(&app, caller, None, form).await? };
            Ok(again(&edit, StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}

async fn edit(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    match editable(&app, id).await {
        Ok(campaign) => {
            let form = DetailsForm::of(&campaign);
            Ok(page(&EditDetails::new(&app, caller, Some(id), form).await?))
        }
        Err(e) => acted(&app, caller, id, Action::Edit, Err(e)).await,
    }
}

/// Saves a change over the version that was read, or over whatever there is where the person says so.
async fn save(
    app: &App,
    id: CampaignId,
    version: i64,
    over: bool,
    change: Value,
    by: By,
) -> Result<Campaign, Problem> {
    let current = editable(app, id).await?;
    let definition = body::changed(&current.definition, change)?;
    let version = if over { current.version } else { version };
    Ok(app.store.edit_campaign(id, version, definition, by).await?)
}

async fn edited(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    PostedTwo(form, hours): PostedTwo<DetailsForm, Hours>,
) -> Shown {
    let form = DetailsForm { hours, ..form };
    let id = id(&path)?;
    let over = !form.over.is_empty();
    let saved = save(&app, id, form.version, over, form.change(), caller.by()).await;
    let Err(problem) = saved else {
        return Ok(Redirect::to(&format!("/campaigns/{id}/messages")).into_response());
    };
    let mut edit = EditDetails::new(&app, caller.clone(), Some(id), form).await?;
    match problem.status() {
        StatusCode::CONFLICT => match editable(&app, id).await {
            Ok(_) => edit.stale = true,
            Err(e) => return acted(&app, caller, id, Action::Edit, Err(e)).await,
        },
        _ => edit.wrong = wrong(problem)?,
    }
    let status = if edit.stale { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(again(&edit, status))
}

/// When a message goes, as a form has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SendForm {
    /// Whether the time that there is may stay.
    pub(super) keeps: bool,
    pub(super) kind: String,
    pub(super) at: String,
    pub(super) local: String,
    pub(super) late: bool,
    pub(super) number: String,
    pub(super) unit: String,
    pub(super) time: String,
}

impl SendForm {
    pub(super) fn of(send: &campaign::Send, zone: &TimeZone) -> Self {
        let value = serde_json::to_value(send).unwrap_or_default();
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut form = Self { unit: "days".to_owned(), number: "1".to_owned(), ..Self::default() };
        if let Ok(at) = text("at").parse::<Timestamp>() {
            form.kind = "at".into();
            form.at = zone.to_datetime(at).strftime("%Y-%m-%dT%H:%M").to_string();
        } else if !text("local").is_empty() {
            form.kind = "local".into();
            form.local = text("local").get(..16).unwrap_or_default().into();
            form.late = !text("late").is_empty();
        } else if let Ok(after) = text("after").parse::<jiff::Span>() {
            form.kind = "after".into();
            form.time = text("time").get(..5).unwrap_or_default().into();
            let minutes = i64::from(after.get_hours()) * 60 + after.get_minutes();
            (form.number, form.unit) = match (after.get_days(), minutes) {
                (days, 0) => (days.to_string(), "days".to_owned()),
                (_, minutes) if minutes % 60 == 0 => ((minutes / 60).to_string(), "hours".to_owned()),
                (_, minutes) => (minutes.to_string(), "minutes".to_owned()),
            };
        } else {
            form.kind = "now".into();
        }
        form
    }

    /// What the API would be sent.
    pub(super) fn change(&self, zone: &TimeZone) -> Result<Value, String> {
        match self.kind.as_str() {
            "now" => Ok(json!({"now": true})),
            "at" => {
                let at: DateTime = self.at.parse().map_err(|_| t::say("choose-time").into_owned())?;
                let at = zone.to_timestamp(at).map_err(|e| e.to_string())?;
                Ok(json!({"at": at}))
            }
            "local" if self.local.is_empty() => Err(t::say("choose-time").into_owned()),
            "local" if self.late => Ok(json!({"local": self.local, "late": "next_day"})),
            "local" => Ok(json!({"local": self.local})),
            "after" => {
                let number: u32 =
                    self.number.trim().parse().map_err(|_| t::say("whole-number").into_owned())?;
                let after = match self.unit.as_str() {
                    "hours" => format!("PT{number}H"),
                    "minutes" => format!("PT{number}M"),
                    _ => format!("P{number}D"),
                };
                if self.time.is_empty() {
                    Ok(json!({"after": after}))
                } else {
                    Ok(json!({"after": after, "time": self.time}))
                }
            }
            _ => Err(t::say("choose-when").into_owned()),
        }
    }
}

/// The fields of the send schedules, one value of each a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sends {
    kind: Vec<String>,
    at: Vec<String>,
    local: Vec<String>,
    late: Vec<String>,
    number: Vec<String>,
    unit: Vec<String>,
    time: Vec<String>,
}

impl Sends {
    pub(super) fn of(&self, i: usize) -> SendForm {
        let get = |all: &Vec<String>| all.get(i).cloned().unwrap_or_default();
        SendForm {
            keeps: false,
            kind: get(&self.kind),
            at: get(&self.at),
            local: get(&self.local),
            late: get(&self.late) == "next_day",
            number: get(&self.number),
            unit: get(&self.unit),
            time: get(&self.time),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct MessagesForm {
    version: i64,
    over: String,
    /// `save`, `preview`, `add`, `remove-2`, `schedule`.
    action: String,
    text: Vec<String>,
    see: String,
}

struct MessageForm {
    text: String,
    send: SendForm,
    preview: Option<Preview>,
}

#[derive(Template)]
#[template(path = "edit_messages.html")]
struct EditMessages {
    me: Me,
    id: CampaignId,
    name: String,
    version: i64,
    zone: String,
    /// Numbers of contacts that the texts are shown for.
    see: String,
    messages: Vec<MessageForm>,
    fields: Vec<String>,
    wrong: Wrong,
    stale: bool,
}

impl EditMessages {
    async fn new(
        app: &App,
        caller: Caller,
        c: &Campaign,
        version: i64,
        messages: Vec<MessageForm>,
    ) -> store::Result<Self> {
        let mut fields: Vec<String> = store::KNOWN_FIELDS.iter().map(ToString::to_string).collect();
        fields.extend(app.store.custom_fields().await?);
        fields.sort();
        fields.dedup();
        Ok(Self {
            me: Me::new(caller, "campaigns"),
            id: c.id,
            name: c.definition.name.clone(),
            version,
            zone: zone(app, &c.definition).await?.iana_name().unwrap_or("UTC").to_owned(),
            see: String::new(),
            messages,
            fields,
            wrong: Wrong::default(),
            stale: false,
        })
    }

    fn wrong_text(&self, i: impl Given<usize>) -> Option<&str> {
        self.wrong.within(&format!("messages[{}].text", i.given()))
    }

    fn wrong_send(&self, i: impl Given<usize>) -> Option<&str> {
        self.wrong.within(&format!("messages[{}].send", i.given()))
    }
}

fn first_message() -> MessageForm {
    let send = SendForm {
        kind: "now".to_owned(),
        number: "1".to_owned(),
        unit: "days".to_owned(),
        ..SendForm::default()
    };
    MessageForm { text: String::new(), send, preview: None }
}

fn next_message(messages: &[MessageForm]) -> MessageForm {
    let mut message = first_message();
    if !messages.is_empty() {
        message.send.kind = "after".into();
    }
    message
}

async fn messages(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let campaign = match editable(&app, id).await {
        Ok(campaign) => campaign,
        Err(e) => return acted(&app, caller, id, Action::Edit, Err(e)).await,
    };
    let zone = zone(&app, &campaign.definition).await?;
    let reader = Reader::of(&app, &campaign, "").await?;
    let mut all = Vec::new();
    for m in &campaign.definition.messages {
        let preview = Some(reader.look(&app, &m.text).await?);
        all.push(MessageForm { text: m.text.clone(), send: SendForm::of(&m.send, &zone), preview });
    }
    if all.is_empty() {
        all.push(first_message());
    }
    let version = campaign.version;
    Ok(page(&EditMessages::new(&app, caller, &campaign, version, all).await?))
}

async fn written(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    PostedTwo(form, sends): PostedTwo<MessagesForm, Sends>,
) -> Shown {
    let id = id(&path)?;
    let campaign = match editable(&app, id).await {
        Ok(campaign) => campaign,
        Err(e) => return acted(&app, caller, id, Action::Edit, Err(e)).await,
    };
    let zone = zone(&app, &campaign.definition).await?;
    let reader = Reader::of(&app, &campaign, &form.see).await?;
    let mut all: Vec<MessageForm> = Vec::new();
    for (i, text) in form.text.iter().enumerate() {
        let preview = Some(reader.look(&app, text).await?);
        all.push(MessageForm { text: text.clone(), send: sends.of(i), preview });
    }
    let mut status = StatusCode::OK;
    let (mut wrong_fields, mut stale) = (Wrong::default(), false);
    let removed = form.action.strip_prefix("remove-").and_then(|n| n.parse::<usize>().ok());
    match (form.action.as_str(), removed) {
        ("add", _) => all.push(next_message(&all)),
        ("preview", _) => {}
        (_, Some(n)) if n < all.len() => drop(all.remove(n)),
        _ => {
            let mut problems = Vec::new();
            let mut messages = Vec::new();
            for (i, m) in all.iter().enumerate() {
                match m.send.change(&zone) {
                    Ok(send) => messages.push(json!({"text": m.text, "send": send})),
                    Err(e) => problems.push(FieldProblem::new(format!("messages[{i}].send"), e)),
                }
            }
            let saved = if problems.is_empty() {
                let change = json!({"messages": messages});
                save(&app, id, form.version, !form.over.is_empty(), change, caller.by()).await
            } else {
                Err(StoreError::Invalid(problems).into())
            };
            match saved {
                Ok(_) if form.action == "schedule" => {
                    return Ok(Redirect::to(&format!("/campaigns/{id}/schedule")).into_response());
                }
                Ok(_) => return Ok(super::details::went(id, "saved")),
                Err(problem) if problem.status() == StatusCode::CONFLICT => {
                    stale = true;
                    status = StatusCode::CONFLICT;
                }
                Err(problem) => {
                    wrong_fields = wrong(problem)?;
                    status = StatusCode::UNPROCESSABLE_ENTITY;
                }
            }
        }
    }
    let edit = EditMessages::new(&app, caller, &campaign, form.version, all).await?;
    Ok(again(&EditMessages { wrong: wrong_fields, stale, see: form.see, ..edit }, status))
}

/// What a text comes to.
struct Preview {
    characters: usize,
    /// None where it is longer than messages can be.
    encoding: Option<&'static str>,
    segments: usize,
    /// What it costs a recipient, where the route has a price.
    cost: Option<String>,
    /// What is wrong with it.
    wrong: Option<String>,
    /// How it reads for some contacts, and their numbers.
    samples: Vec<(String, String)>,
    /// How many contacts lack a field that it needs.
    lacking: i64,
}

impl Preview {
    fn encoding(&self) -> Cow<'static, str> {
        self.encoding.map_or_else(|| t::say("too-long"), Cow::Borrowed)
    }
}

#[derive(Template)]
#[template(path = "preview_part.html")]
struct PreviewPart {
    p: Preview,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    text: String,
    campaign: String,
    see: String,
}

/// Counts and shows a text as it is typed.
async fn preview(State(app): State<App>, Posted(form): Posted<Typed>) -> Shown {
    let campaign = app.store.campaign(id(&form.campaign)?).await?;
    let reader = Reader::of(&app, &campaign, &form.see).await?;
    Ok(page(&PreviewPart { p: reader.look(&app, &form.text).await? }))
}

/// For whom the texts of a campaign are shown, and what a segment costs.
struct Reader {
    lists: Vec<ListId>,
    chosen: Vec<Msisdn>,
    price: Option<Money>,
}

impl Reader {
    /// `see` names contacts by their numbers; what is no number is passed over while it is typed.
    async fn of(app: &App, campaign: &Campaign, see: &str) -> store::Result<Self> {
        let d = &campaign.definition;
        let price = match d.route_id {
            Some(route) => app.store.route(route).await?.config.price_per_segment,
            None => None,
        };
        let numbers = see.split([',', ';', '\n']).filter_map(|number| Msisdn::parse(number, None).ok());
        Ok(Self { lists: d.list_ids.clone(), chosen: numbers.take(MOST_CHOSEN).collect(), price })
    }

    async fn look(&self, app: &App, text: &str) -> store::Result<Preview> {
        let seen = app.store.preview(text.to_owned(), self.lists.clone(), self.chosen.clone(), SAMPLES).await;
        let (seen, wrong) = match seen {
            Ok(seen) => (seen, None),
            // What cannot be rendered is counted as it stands.
            Err(StoreError::Invalid(problems)) => {
                (store::Preview::default(), problems.into_iter().next().map(|p| p.message))
            }
            Err(e) => return Err(e),
        };
        let longest = seen.samples.iter().map(|s| s.1.as_str()).max_by_key(|s| s.chars().count());
        let longest = longest.unwrap_or(text);
        let measured = segment::measure(longest).ok();
        let segments = measured.map_or(0, |m| m.segments);
        Ok(Preview {
            characters: measured.map_or_else(|| longest.chars().count(), |m| m.characters),
            encoding: measured.map(|m| m.encoding.words()),
            segments,
            cost: self.price.map(|price| price.times(segments as i64).to_string()),
            wrong,
            samples: seen.samples,
            lacking: seen.lacking,
        })
    }
}
