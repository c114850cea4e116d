//! The editor of calls: when and how people are called, and the script, step by step. Every prompt can be heard as a
//! phone hears it.

use askama::Template;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Multipart, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use campaign::{
    Action, CampaignId,
    content::{Rule, Voice},
    script::{Prompt, StepId},
};
use serde_json::{Map, Value, json};
use store::{Audio, Campaign};

use super::{
    Me, Posted, Refused, Shown, Wrong, again,
    details::{acted, id, zone},
    editor::{editable, refused, save},
    page,
    script::{self, KINDS, MODES, StepForm, Typed},
    send::SendForm,
    t,
    words::Given,
};
use crate::{
    App,
    auth::Caller,
    limits::{AROUND_FILE, LARGEST_AUDIO},
    problem::Problem,
    sounds,
};

/// The rules of calling again that a form has, in its order.
const RULES: [&str; 5] = ["busy", "no_answer", "congestion", "unreachable", "no_goal"];
/// What the rules for marketing ask to be said.
const SAID: [Rule; 3] = [Rule::Organisation, Rule::CallBackNumber, Rule::OptOutKey];
/// The keys that may opt out.
const KEYS: [&str; 12] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/campaigns/{id}/calls", get(edit).post(written))
        .route("/campaigns/{id}/calls/{step}/sound", get(sound))
        .route(
            "/campaigns/{id}/audio",
            post(upload).layer(DefaultBodyLimit::max(LARGEST_AUDIO + AROUND_FILE as usize)),
        )
}

/// When and how people are called, and what is said, as typed.
#[derive(Default)]
struct CallsForm {
    fields: Typed,
    start: SendForm,
    steps: Vec<StepForm>,
}

impl CallsForm {
    fn of(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    fn shown(c: &Campaign, voice: &Voice, zone: &jiff::tz::TimeZone) -> Self {
        let start = voice.start.as_ref().map_or_else(
            || SendForm { kind: "now".to_owned(), ..SendForm::default() },
            |start| SendForm::of(start, zone),
        );
        let mut fields = Typed::new();
        let mut set = |field: &str, value: String| drop(fields.insert(field.to_owned(), value));
        set("version", c.version.to_string());
        set("ring_time", voice.ring_time.as_secs().to_string());
        set("max_calls", voice.max_calls.map(|n| n.to_string()).unwrap_or_default());
        set("calls_per_second", voice.calls_per_second.map(|n| n.to_string()).unwrap_or_default());
        let until = voice.until.map(|at| zone.to_datetime(at).strftime("%Y-%m-%dT%H:%M").to_string());
        set("until", until.unwrap_or_default());
        set("opt_out_key", voice.opt_out_key.map(|key| key.to_string()).unwrap_or_default());
        set("goal", voice.goal.as_ref().map(ToString::to_string).unwrap_or_default());
        set("most", voice.retry.most.to_string());
        let rules = serde_json::to_value(&voice.retry).unwrap_or_default();
        for rule in RULES {
            let (Some(after), Some(times)) =
                (rules.pointer(&format!("/{rule}/after")), rules.pointer(&format!("/{rule}/times")))
            else {
                continue;
            };
            let after = after.as_str().and_then(|after| after.parse::<jiff::SignedDuration>().ok());
            set(&format!("{rule}_after"), after.map_or(0, |after| after.as_mins()).to_string());
            set(&format!("{rule}_times"), times.to_string());
        }
        if let Some(script) = &voice.script {
            set("first", script.first.to_string());
        }
        for rule in &voice.audio_says {
            set(&format!("says_{}", rule.word()), "true".to_owned());
        }
        let steps = voice.script.as_ref().map(script::shown).unwrap_or_default();
        Self { fields, start, steps }
    }

    fn typed(fields: Typed) -> Self {
        let of = |field: &str| fields.get(field).cloned().unwrap_or_default();
        let start = SendForm {
            kind: of("kind"),
            at: of("at"),
            zone: of("zone"),
            local: of("local"),
            late: of("late") == "next_day",
            ..SendForm::default()
        };
        let steps = script::typed(&fields);
        Self { fields, start, steps }
    }

    /// Whether it is ticked that the uploads say it.
    fn says(&self, rule: &str) -> bool {
        !self.of(&format!("says_{rule}")).is_empty()
    }

    /// The value as the API takes it.
    fn change(&self, zone: &jiff::tz::TimeZone) -> Result<Value, Problem> {
        let given = |field: &str| Some(self.of(field).trim()).filter(|text| !text.is_empty());
        // Anything that is not a number is passed on unchanged and rejected with its field.
        let number = |field: &str| {
            given(field)
                .map_or(Value::Null, |text| text.parse::<u32>().map_or_else(|_| json!(text), |n| json!(n)))
        };
        let start = self.start.change(zone).map_err(|why| Problem::field("start", why))?;
        let until = match given("until") {
            None => Value::Null,
            Some(text) => {
                let at = text.parse::<jiff::civil::DateTime>();
                let at = at.and_then(|at| zone.to_timestamp(at));
                json!(at.map_err(|_| Problem::field("until", t::say("choose-time")))?)
            }
        };
        let mut retry = Map::new();
        retry.insert("most".into(), if given("most").is_some() { number("most") } else { json!(1) });
        for rule in RULES {
            let (after, times) = (format!("{rule}_after"), format!("{rule}_times"));
            if let (Some(minutes), Some(_)) = (given(&after), given(&times)) {
                retry.insert(rule.into(), json!({"after": format!("PT{minutes}M"), "times": number(&times)}));
            }
        }
        let says: Vec<&str> = SAID.iter().map(|rule| rule.word()).filter(|word| self.says(word)).collect();
        Ok(
            json!({"audio_says": says, "start": start, "until": until, "ring_time": format!("PT{}S", self.of("ring_time").trim()),
            "max_calls": number("max_calls"), "calls_per_second": number("calls_per_second"), "retry": retry,
            "opt_out_key": given("opt_out_key"), "goal": given("goal"), "script": script::value(self.of("first"), &self.steps)}),
        )
    }
}

#[derive(Template)]
#[template(path = "edit_calls.html")]
struct EditCalls {
    me: Me,
    id: CampaignId,
    name: String,
    zone: String,
    form: CallsForm,
    audio: Vec<Audio>,
    /// Steps whose sound is saved and can be heard.
    heard: Vec<String>,
    fields: Vec<String>,
    wrong: Wrong,
    stale: bool,
}

impl EditCalls {
    async fn new(
        app: &App,
        caller: Caller,
        c: &Campaign,
        voice: &Voice,
        form: CallsForm,
    ) -> store::Result<Self> {
        let fields = app.store.fields().await?;
        let saved = voice.script.iter().flat_map(|script| &script.steps);
        let heard = saved.filter(|(_, step)| !step.prompts().is_empty()).map(|(id, _)| id.to_string());
        Ok(Self {
            me: Me::new(caller, "campaigns"),
            id: c.id,
            name: c.definition.name.clone(),
            zone: zone(app, &c.definition).await?.iana_name().unwrap_or("UTC").to_owned(),
            form,
            audio: app.store.audio().await?,
            heard: heard.collect(),
            fields,
            wrong: Wrong::default(),
            stale: false,
        })
    }

    fn may_be_heard(&self, step: &str) -> bool {
        self.heard.iter().any(|id| id == step)
    }

    fn wrong_step(&self, step: &str) -> Option<&str> {
        self.wrong.within(&format!("script.steps.{step}"))
    }

    fn is_audio(&self, step: &StepForm, audio: impl Given<campaign::AudioId>) -> bool {
        step.of("audio") == audio.given().to_string()
    }
}

/// The calls of a campaign.
fn calls(campaign: &Campaign) -> Result<Voice, Problem> {
    let voice = campaign.definition.content.calls().cloned();
    voice.ok_or_else(|| Problem::not_found("the campaign makes no calls"))
}

async fn edit(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let campaign = match editable(&app, id).await {
        Ok(campaign) => campaign,
        Err(e) => return acted(&app, caller, id, Action::Edit, Err(e)).await,
    };
    let voice = calls(&campaign)?;
    let zone = zone(&app, &campaign.definition).await?;
    let form = CallsForm::shown(&campaign, &voice, &zone);
    Ok(page(&EditCalls::new(&app, caller, &campaign, &voice, form).await?))
}

async fn written(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(fields): Posted<Typed>,
) -> Shown {
    let id = id(&path)?;
    let campaign = match editable(&app, id).await {
        Ok(campaign) => campaign,
        Err(e) => return acted(&app, caller, id, Action::Edit, Err(e)).await,
    };
    let voice = calls(&campaign)?;
    let zone = zone(&app, &campaign.definition).await?;
    let mut form = CallsForm::typed(fields);
    let action = form.of("action").to_owned();
    let (mut status, mut wrong_fields, mut stale) = (StatusCode::OK, Wrong::default(), false);
    let heard = action.strip_prefix("hear-").and_then(|n| n.parse::<usize>().ok());
    if let Some(step) = heard.and_then(|n| form.steps.get(n)) {
        let prompt = step.prompt().map_err(|why| Problem::field("sound", why))?;
        return heard_as(&app, &campaign, prompt).await;
    }
    let removed = action.strip_prefix("remove-").and_then(|n| n.parse::<usize>().ok());
    match (action.as_str(), removed) {
        ("add", _) => {
            let (kind, name) = (form.of("add_kind").to_owned(), form.of("add_id").trim().to_owned());
            let taken = form.steps.iter().any(|step| step.id == name);
            if StepId::try_from(name.clone()).is_err() || taken || !KINDS.contains(&kind.as_str()) {
                wrong_fields = Wrong(vec![store::Problem::new("add_id", t::say("step-name-wrong"))]);
                status = StatusCode::UNPROCESSABLE_ENTITY;
            } else {
                form.steps.push(StepForm::new(&kind, &name));
                form.fields.insert("add_id".into(), String::new());
            }
        }
        (_, Some(n)) if n < form.steps.len() => drop(form.steps.remove(n)),
        _ => {
            let version = form.of("version").parse().unwrap_or(campaign.version);
            let over = !form.of("over").is_empty();
            let saved = match form.change(&zone) {
                Ok(change) => save(&app, id, version, over, change, caller.by()).await,
                Err(problem) => Err(problem),
            };
            match saved {
                Ok(c) if action == "schedule" && c.status == campaign::Status::Defined => {
                    return Ok(Redirect::to(&format!("/campaigns/{id}/schedule")).into_response());
                }
                Ok(_) if action == "hear" => {
                    return Ok(Redirect::to(&format!("/campaigns/{id}/calls")).into_response());
                }
                Ok(_) => return Ok(super::details::went(id, "saved")),
                Err(problem) => (status, wrong_fields, stale) = refused(problem)?,
            }
        }
    }
    let edit = EditCalls::new(&app, caller, &campaign, &voice, form).await?;
    Ok(again(&EditCalls { wrong: wrong_fields, stale, ..edit }, status))
}

/// The prompt of a saved step.
async fn sound(State(app): State<App>, Path((path, step)): Path<(String, String)>) -> Shown {
    let campaign = app.store.campaign(id(&path)?).await?;
    let missing = || Problem::not_found("the step has no sound");
    let voice = campaign.definition.content.calls().ok_or_else(missing)?;
    let id = StepId::try_from(step).map_err(|_| missing())?;
    let script = voice.script.as_ref();
    let step = script.and_then(|script| script.steps.get(&id)).ok_or_else(missing)?;
    let (_, prompt) = step.prompts().into_iter().next().ok_or_else(missing)?;
    heard_as(&app, &campaign, prompt).await
}

/// A prompt as a phone hears it; a text as the first contact would get it.
async fn heard_as(app: &App, campaign: &Campaign, prompt: Prompt) -> Shown {
    let prompt = match prompt {
        Prompt::Say { text, voice } => {
            let lists = campaign.definition.list_ids.clone();
            let seen = app.store.preview(text.clone(), true, lists, Vec::new(), 1).await?;
            let text = seen.samples.into_iter().next().map_or(text, |(_, text)| text);
            Prompt::Say { text, voice }
        }
        upload @ Prompt::Play(_) => upload,
    };
    let prompts = app.prompts.get().ok_or_else(|| Problem::busy("this process renders no speech"))?;
    let sound = prompts.sound(&prompt).await.map_err(|why| Problem::field("sound", why))?;
    let wav = tokio::task::spawn_blocking(move || voice::audio::as_heard(sound.sound()));
    let wav = wav.await.map_err(Problem::broken)?;
    let kind = [(header::CONTENT_TYPE, "audio/wav"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, wav).into_response())
}

/// Keeps an upload for scripts to play.
async fn upload(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    mut form: Multipart,
) -> Result<Response, Refused> {
    let id = id(&path)?;
    let unreadable = |e: axum::extract::multipart::MultipartError| Problem::unreadable(e.to_string());
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        let Some(name) = field.file_name().map(str::to_owned) else { continue };
        let body = axum::body::Body::from(field.bytes().await.map_err(unreadable)?);
        sounds::keep(&app.store, caller.by(), &name, body).await?;
    }
    Ok(Redirect::to(&format!("/campaigns/{id}/calls")).into_response())
}
