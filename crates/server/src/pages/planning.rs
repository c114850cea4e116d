//! Schedule, adjust, restart: what would happen is shown first, and then agreed to.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use campaign::{
    Action, CampaignId, Send, Status,
    lifecycle::{self, Cause},
    money::Money,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;
use store::{Campaign, Forecast, MessageTimes, Problem as FieldProblem, RebuiltMessage, StoreError};

use super::{
    Me, PostedTwo, Shown, Wrong, again,
    details::{acted, id, refusal, went, zone},
    page,
    send::{SendForm, Sends},
    t,
    words::{self, Given},
};
use crate::{App, auth::Caller, body};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/campaigns/{id}/schedule", get(schedule).post(scheduled))
        .route("/campaigns/{id}/adjust", get(adjust).post(adjusted))
        .route("/campaigns/{id}/restart", get(restart).post(restarted))
}

#[derive(Template)]
#[template(path = "schedule.html")]
struct Schedule {
    me: Me,
    id: CampaignId,
    name: String,
    forecast: Option<Forecast>,
    /// What each message says, and when it goes.
    texts: Vec<String>,
    sends: Vec<t::Markup>,
    /// How many get the first message before a person is asked.
    pilot: Option<i64>,
    currency: String,
    /// Whether it makes calls.
    calls: bool,
    wrong: Wrong,
}

impl Schedule {
    /// Who waits for the person's word after the pilot.
    fn others(&self, pilot: impl Given<i64>, recipients: impl Given<i64>) -> i64 {
        (recipients.given() - pilot.given()).max(0)
    }

    async fn new(app: &App, caller: Caller, id: CampaignId) -> store::Result<Self> {
        let campaign = app.store.campaign(id).await?;
        let d = &campaign.definition;
        lifecycle::transition(d.channel(), campaign.status, Cause::Act(Action::Schedule))?;
        let currency = app.store.settings().await?.currency;
        let (forecast, wrong) = match app.store.forecast(id, app.pace(), Timestamp::now()).await {
            Ok(forecast) => (Some(forecast), Wrong::default()),
            Err(StoreError::Invalid(problems)) => (None, Wrong(problems)),
            Err(e) => return Err(e),
        };
        let sends = d.content.sends().iter().map(words::send).collect();
        let texts = d.content.texts().into_iter().map(str::to_owned).collect();
        let pilot = d.pilot.map(|pilot| i64::from(pilot.get()));
        Ok(Self {
            texts,
            pilot,
            me: Me::new(caller, "campaigns"),
            id,
            name: d.name.clone(),
            forecast,
            sends,
            currency,
            calls: d.content.calls().is_some(),
            wrong,
        })
    }

    /// The time from the first send to the last.
    fn lasts(&self) -> String {
        let span = self.forecast.as_ref().and_then(|f| Some(f.last_send?.duration_since(f.first_send?)));
        words::span(span.unwrap_or(SignedDuration::ZERO))
    }

    /// How long rendering what is said takes.
    fn rendering(&self) -> Option<String> {
        self.forecast.as_ref()?.rendering.map(words::span)
    }

    /// An amount in the account's currency.
    fn money(&self, amount: impl Given<Money>) -> String {
        amount.given().shown(&self.currency)
    }

    /// When a message goes.
    fn times(&self, n: impl Given<usize>) -> Option<&MessageTimes> {
        self.forecast.as_ref()?.times.iter().find(|times| times.n as usize == n.given())
    }

    /// What it costs; of calls, from the least to the most.
    fn cost(&self) -> Option<String> {
        let forecast = self.forecast.as_ref()?;
        let least = forecast.cost?.shown(&self.currency);
        Some(match forecast.cost_most {
            Some(most) => t::with("from-to", ("from", least, "to", most.shown(&self.currency))).into_owned(),
            None => least,
        })
    }

    /// The page on which the error is corrected.
    fn mended_on(&self, field: impl AsRef<str>) -> &'static str {
        let field = field.as_ref().split(['.', '[']).next().unwrap_or_default();
        match field {
            "messages" => "messages",
            "script" | "start" | "until" | "ring_time" | "retry" | "goal" | "opt_out_key" | "max_calls"
            | "calls_per_second" => "calls",
            _ => "edit",
        }
    }
}

async fn schedule(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    match Schedule::new(&app, caller.clone(), id).await {
        Ok(schedule) => Ok(page(&schedule)),
        Err(e) => acted(&app, caller, id, Action::Schedule, Err(e)).await,
    }
}

async fn scheduled(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    match app.store.schedule(id, caller.by()).await {
        Err(StoreError::Invalid(problems)) => {
            let schedule = Schedule::new(&app, caller, id).await?;
            Ok(again(&Schedule { wrong: Wrong(problems), ..schedule }, StatusCode::UNPROCESSABLE_ENTITY))
        }
        result => acted(&app, caller, id, Action::Schedule, result.map(|c| c.id)).await,
    }
}

/// A message whose time can be changed.
struct Timed {
    n: usize,
    text: String,
    now: t::Markup,
    send: SendForm,
    rebuilt: Option<RebuiltMessage>,
}

#[derive(Template)]
#[template(path = "times.html")]
struct Times {
    me: Me,
    campaign: Campaign,
    zone: TimeZone,
    messages: Vec<Timed>,
    /// What the new times would do, and these times as the person saw them.
    looked: Option<(Forecast, String)>,
    wrong: Wrong,
    refused: Option<String>,
}

impl Times {
    async fn new(app: &App, caller: Caller, id: CampaignId, action: Action) -> store::Result<Self> {
        let campaign = app.store.campaign(id).await?;
        let d = &campaign.definition;
        lifecycle::transition(d.channel(), campaign.status, Cause::Act(action))?;
        let zone = zone(app, d).await?;
        let timed =
            d.content.texts().into_iter().zip(d.content.sends()).enumerate().map(|(i, (text, send))| Timed {
                n: i + 1,
                text: text.to_owned(),
                now: words::send(&send),
                send: SendForm { keeps: true, kind: "keep".to_owned(), ..SendForm::of(&send, &zone) },
                rebuilt: None,
            });
        Ok(Self {
            me: Me::new(caller, "campaigns"),
            messages: timed.collect(),
            zone,
            campaign,
            looked: None,
            wrong: Wrong::default(),
            refused: None,
        })
    }

    /// Fills in what a restart with these times would plan.
    async fn rebuild(&mut self, app: &App, changed: BTreeMap<u32, Send>) -> store::Result<()> {
        match app.store.restart_plan(self.campaign.id, changed, Timestamp::now()).await {
            Ok(plan) => {
                for rebuilt in plan {
                    if let Some(m) = self.messages.iter_mut().find(|m| m.n == rebuilt.n as usize) {
                        m.rebuilt = Some(rebuilt);
                    }
                }
                // A message with nothing left has no time to change.
                self.messages.retain(|m| m.rebuilt.is_some());
                Ok(())
            }
            Err(StoreError::Invalid(problems)) => {
                self.wrong = Wrong(problems);
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    fn restarts(&self) -> bool {
        self.campaign.status == Status::Stopped
    }

    fn wrong_send(&self, n: impl Given<usize>) -> Option<&str> {
        self.wrong.within(&format!("messages[n={}].send", n.given()))
    }

    /// Takes what was typed: the new times, and what is wrong with them.
    fn take(&mut self, form: &TimesForm, sends: &Sends) -> BTreeMap<u32, Send> {
        let mut changed = BTreeMap::new();
        for (i, n) in form.n.iter().enumerate() {
            let Some(m) = self.messages.iter_mut().find(|m| m.n == *n as usize) else { continue };
            m.send = SendForm { keeps: true, ..sends.of(i) };
            if m.send.kind == "keep" {
                continue;
            }
            let send = m.send.change(&self.zone).map(body::decode::<Send>);
            match send {
                Ok(Ok(send)) => drop(changed.insert(*n, send)),
                Ok(Err(problem)) => {
                    self.wrong
                        .0
                        .push(FieldProblem::new(format!("messages[n={n}].send"), problem.into_detail()));
                }
                Err(e) => self.wrong.0.push(FieldProblem::new(format!("messages[n={n}].send"), e)),
            }
        }
        changed
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TimesForm {
    /// `look` only shows the result; anything else does it.
    action: String,
    /// The times that the person saw and agrees to.
    looked: String,
    failed: String,
    n: Vec<u32>,
}

async fn adjust(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    match Times::new(&app, caller.clone(), id, Action::Adjust).await {
        Ok(times) => Ok(page(&times)),
        Err(e) => acted(&app, caller, id, Action::Adjust, Err(e)).await,
    }
}

async fn adjusted(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    PostedTwo(form, sends): PostedTwo<TimesForm, Sends>,
) -> Shown {
    let id = id(&path)?;
    let mut times = match Times::new(&app, caller.clone(), id, Action::Adjust).await {
        Ok(times) => times,
        Err(e) => return acted(&app, caller, id, Action::Adjust, Err(e)).await,
    };
    let changed = times.take(&form, &sends);
    if times.wrong.all().is_empty() && changed.is_empty() {
        times.wrong.0.push(FieldProblem::new("", t::say("nothing-changed")));
    }
    if times.wrong.all().is_empty() {
        // Nothing is changed before the person has seen whom the new times reach, and when.
        match app.store.adjust_forecast(id, changed.clone(), Timestamp::now()).await {
            Ok(forecast) => {
                let looked = serde_json::to_string(&changed).unwrap_or_default();
                if looked != form.looked || form.action == "look" {
                    times.looked = Some((forecast, looked));
                    return Ok(page(&times));
                }
            }
            Err(StoreError::Invalid(problems)) => times.wrong.0.extend(problems),
            Err(e) => return acted(&app, caller, id, Action::Adjust, Err(e)).await,
        }
    }
    if times.wrong.all().is_empty() {
        for (n, send) in changed {
            match app.store.adjust(id, n, send, caller.by()).await {
                Ok(_) => {}
                Err(StoreError::Invalid(problems)) => {
                    let wrong =
                        |p: FieldProblem| FieldProblem::new(format!("messages[n={n}].send"), p.message);
                    times.wrong.0.extend(problems.into_iter().map(wrong));
                }
                Err(e) => return acted(&app, caller, id, Action::Adjust, Err(e)).await,
            }
        }
    }
    if times.wrong.all().is_empty() {
        return Ok(went(id, "adjust"));
    }
    Ok(again(&times, StatusCode::UNPROCESSABLE_ENTITY))
}

async fn restart(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let times = async {
        let mut times = Times::new(&app, caller.clone(), id, Action::Restart).await?;
        times.rebuild(&app, BTreeMap::new()).await?;
        Ok(times)
    };
    match times.await {
        Ok(times) => Ok(page(&times)),
        Err(e) => acted(&app, caller.clone(), id, Action::Restart, Err(e)).await,
    }
}

async fn restarted(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    PostedTwo(form, sends): PostedTwo<TimesForm, Sends>,
) -> Shown {
    let id = id(&path)?;
    let mut times = match Times::new(&app, caller.clone(), id, Action::Restart).await {
        Ok(times) => times,
        Err(e) => return acted(&app, caller, id, Action::Restart, Err(e)).await,
    };
    let changed = times.take(&form, &sends);
    let sound = times.wrong.all().is_empty();
    if sound && form.action != "look" {
        let failed = !form.failed.is_empty();
        let done = app.store.restart(id, changed.clone(), failed, caller.by()).await;
        match done {
            Err(StoreError::Invalid(problems)) => times.wrong = Wrong(problems),
            Err(e @ StoreError::Busy) => times.refused = Some(refusal(&e, Action::Restart)),
            done => return acted(&app, caller, id, Action::Restart, done.map(|c| c.id)).await,
        }
    }
    let fresh = if times.wrong.all().is_empty() { changed } else { BTreeMap::new() };
    let wrong = std::mem::take(&mut times.wrong);
    times.rebuild(&app, fresh).await?;
    times.wrong.0.extend(wrong.0);
    let status = if times.wrong.all().is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(again(&times, status))
}
