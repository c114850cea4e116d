//! The editor: campaign details, then messages. Errors come back beside their fields with what was typed; a person who
//! would overwrite somebody else's change is told and decides.

use std::borrow::Cow;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::get,
};
use campaign::{
    Action, CampaignId, Channel, Content, ListId, PoolId, RouteId, SendAs, Window,
    lifecycle::{self, Cause},
    text::Text,
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{By, Campaign, Definition, Problem as FieldProblem, StoreError};

use super::{
    Me, PostedTwo, Refused, Shown, Wrong, again,
    details::{acted, id, zone},
    hours::Hours,
    page,
    preview::{Preview, Reader},
    send::{SendForm, Sends},
    t,
    words::Given,
};
use crate::{
    App,
    auth::Caller,
    body::{self, Query},
    problem::Problem,
    trial,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/campaigns/new", get(new).post(create))
        .route("/campaigns/{id}/edit", get(edit).post(edited))
        .route("/campaigns/{id}/messages", get(messages).post(written))
}

/// The fields of the first step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct DetailsForm {
    version: i64,
    /// The word of the channel.
    channel: String,
    name: String,
    owner: String,
    /// The sender, or the caller ID.
    sender: String,
    /// A pool instead of a sender.
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
    /// Whether to overwrite somebody else's change.
    over: String,
}

impl DetailsForm {
    fn of(c: &Campaign) -> Self {
        let d = &c.definition;
        let (sender, pool) = match d.content.send_as() {
            Some(SendAs::One(sender)) => (Some(sender.to_string()), None),
            Some(SendAs::Pool(pool)) => (None, Some(pool.to_string())),
            None => (None, None),
        };
        Self {
            version: c.version,
            channel: d.channel().word().to_owned(),
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

    fn new(me: &str, channel: Channel, window: Option<&Window>) -> Self {
        let channel = channel.word().to_owned();
        Self { channel, owner: me.to_owned(), hours: Hours::of(window), ..Self::default() }
    }

    /// Whether it is about calls.
    fn calls(&self) -> bool {
        self.channel == Channel::Voice.word()
    }

    /// The value as the API takes it.
    fn change(&self) -> Value {
        let given = |text: &str| Some(text.trim()).filter(|t| !t.is_empty()).map(str::to_owned);
        let sender =
            given(&self.pool).map_or_else(|| json!(given(&self.sender)), |pool| json!({"pool": pool}));
        // Anything that is not a number is passed on unchanged and rejected with its field.
        let pilot = given(&self.pilot).map(|n| n.parse::<u32>().map_or_else(|_| json!(n), |n| json!(n)));
        let shown_as = if self.calls() { "caller_id" } else { "sender" };
        let channel = given(&self.channel).unwrap_or_else(|| Channel::Sms.word().to_owned());
        json!({"pilot": pilot, "max_cost": given(&self.max_cost), "channel": channel, "name": self.name.trim(), "owner": given(&self.owner), shown_as: sender,
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
    currency: String,
}

impl EditDetails {
    async fn new(
        app: &App,
        caller: Caller,
        id: Option<CampaignId>,
        form: DetailsForm,
    ) -> store::Result<Self> {
        let settings = app.store.settings().await?;
        let all = app.store.routes().await?.into_iter();
        let carries = all.filter(|r| (r.config.kind.channel() == Channel::Voice) == form.calls());
        let routes: Vec<_> = carries.map(|r| (r.id, r.config.name)).collect();
        Ok(Self {
            me: Me::new(caller, "campaigns"),
            id,
            form,
            purposes: settings.purposes,
            account_zone: settings.time_zone,
            currency: settings.currency,
            wrong: Wrong::default(),
            stale: false,
            lists: app.store.list_names().await?,
            pools: app.store.pools().await?.into_iter().map(|p| (p.id, p.config.name)).collect(),
            routes,
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

/// The errors in a form, from whatever refused it; an error that is not the form's fault is passed on.
fn wrong(problem: Problem) -> Result<Wrong, Refused> {
    match problem.into_fields() {
        Ok(fields) => Ok(Wrong(fields)),
        Err(problem) => Err(problem.into()),
    }
}

/// How a form is shown again that could not be saved: the status, its errors, and whether the campaign has changed
/// meanwhile.
pub(super) fn refused(problem: Problem) -> Result<(StatusCode, Wrong, bool), Refused> {
    if problem.status() == StatusCode::CONFLICT {
        return Ok((StatusCode::CONFLICT, Wrong::default(), true));
    }
    Ok((StatusCode::UNPROCESSABLE_ENTITY, wrong(problem)?, false))
}

/// Only the fields that its status allows to be edited.
pub(super) async fn editable(app: &App, id: CampaignId) -> store::Result<Campaign> {
    let campaign = app.store.campaign(id).await?;
    lifecycle::transition(campaign.definition.channel(), campaign.status, Cause::Act(Action::Edit))?;
    Ok(campaign)
}

/// Which channel a new campaign is for.
#[derive(Deserialize)]
struct NewChannel {
    #[serde(default)]
    channel: String,
}

async fn new(State(app): State<App>, caller: Caller, Query(new): Query<NewChannel>) -> Shown {
    let window = app.store.settings().await?.window;
    let channel = Channel::from_word(&new.channel).unwrap_or(Channel::Sms);
    let form = DetailsForm::new(&caller.name, channel, window.as_ref());
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
        let definition = body::definition(form.change())?;
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

/// Saves a change over the version that was read, or over any version if the person asks for that.
pub(super) async fn save(
    app: &App,
    id: CampaignId,
    version: i64,
    over: bool,
    change: Value,
    by: By,
) -> Result<Campaign, Problem> {
    let current = editable(app, id).await?;
    let definition = body::definition(body::merged(&app.store.written(id).await?, change)?)?;
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
    let status;
    (status, edit.wrong, edit.stale) = refused(problem)?;
    if edit.stale
        && let Err(e) = editable(&app, id).await
    {
        return acted(&app, caller, id, Action::Edit, Err(e)).await;
    }
    Ok(again(&edit, status))
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct MessagesForm {
    version: i64,
    over: String,
    /// `save`, `preview`, `add`, `remove-2`, `try-2`, `schedule`.
    action: String,
    text: Vec<String>,
    /// The indexes, from 0, of the messages that are sent word for word.
    plain: Vec<usize>,
    see: String,
    /// The phone that tests go to.
    test_to: String,
}

struct MessageForm {
    text: String,
    /// Whether it is sent word for word.
    plain: bool,
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
    /// Numbers of contacts to show the texts for.
    see: String,
    /// The phone that tests go to, and what became of the last test.
    test_to: String,
    tested: Option<Cow<'static, str>>,
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
        let fields = app.store.fields().await?;
        Ok(Self {
            me: Me::new(caller, "campaigns"),
            id: c.id,
            name: c.definition.name.clone(),
            version,
            zone: zone(app, &c.definition).await?.iana_name().unwrap_or("UTC").to_owned(),
            see: String::new(),
            test_to: String::new(),
            tested: None,
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
    MessageForm { text: String::new(), plain: false, send, preview: None }
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
    let sms = match &campaign.definition.content {
        Content::Sms(sms) => sms,
        Content::Voice(_) => return Ok(Redirect::to(&format!("/campaigns/{id}/calls")).into_response()),
    };
    for m in &sms.messages {
        let preview = Some(reader.look(&app, &m.text, m.template).await?);
        let send = SendForm::of(&m.send, &zone);
        all.push(MessageForm { text: m.text.clone(), plain: !m.template, send, preview });
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
        let plain = form.plain.contains(&i);
        let preview = Some(reader.look(&app, text, !plain).await?);
        all.push(MessageForm { text: text.clone(), plain, send: sends.of(i), preview });
    }
    let mut status = StatusCode::OK;
    let (mut wrong_fields, mut stale) = (Wrong::default(), false);
    let mut tested = None;
    let of = |what: &str| form.action.strip_prefix(what).and_then(|n| n.parse::<usize>().ok());
    match (form.action.as_str(), of("remove-"), of("try-")) {
        ("add", ..) => all.push(next_message(&all)),
        ("preview", ..) => {}
        (_, Some(n), _) if n < all.len() => drop(all.remove(n)),
        (_, _, Some(n)) if n < all.len() => {
            match try_message(&app, &caller, &campaign.definition, &all[n], &form.test_to).await {
                Ok(said) => tested = Some(said),
                Err(problem) => (status, wrong_fields, stale) = refused(problem)?,
            }
        }
        _ => {
            let mut problems = Vec::new();
            let mut messages = Vec::new();
            for (i, m) in all.iter().enumerate() {
                match m.send.change(&zone) {
                    Ok(send) => {
                        messages.push(json!({"text": m.text, "send": send, "template": !m.plain}));
                    }
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
                Err(problem) => (status, wrong_fields, stale) = refused(problem)?,
            }
        }
    }
    let edit = EditMessages::new(&app, caller, &campaign, form.version, all).await?;
    let (see, test_to) = (form.see, form.test_to);
    Ok(again(&EditMessages { wrong: wrong_fields, stale, see, test_to, tested, ..edit }, status))
}

/// Sends a text as it is typed to a phone, as the first contact reads it that it is shown for; returns what was done, in words.
async fn try_message(
    app: &App,
    caller: &Caller,
    d: &Definition,
    message: &MessageForm,
    to: &str,
) -> Result<Cow<'static, str>, Problem> {
    let to = trial::number("to", to)?;
    let text = if message.plain { Text::literal(&message.text) } else { Text::parse(&message.text) };
    let text = text.map_err(|e| Problem::field("message", e))?;
    let shown_for = message.preview.as_ref().and_then(|preview| preview.samples.first());
    let contact = shown_for.map(|(number, _)| number.as_str());
    app.try_message(caller, d, &text, to, contact).await?;
    let to = to.to_string();
    Ok(match contact {
        Some(contact) => t::with("tested-as", ("to", to, "contact", contact)),
        None => t::with("tested", ("to", to)),
    })
}
