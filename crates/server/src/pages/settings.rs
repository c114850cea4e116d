//! The account's settings: rules for sending, and answers to keywords.

use std::collections::BTreeMap;

use askama::Template;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use campaign::{Channel, content::Rule};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{AnswerTexts, By, Limit, OptOutScope, Settings};

use super::{Me, Posted, PostedTwo, Refused, Shown, Wrong, again, hours::Hours, page, t, words};
use crate::{App, auth::Caller, body, problem::Problem};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/settings", get(sending).post(save_sending))
        .route("/settings/answers", get(answers).post(save_answers))
}

/// Saves a change; if it cannot be saved, reports what is wrong by field.
async fn save(app: &App, change: Value, by: By) -> Result<Result<Settings, Wrong>, Refused> {
    let saved = async {
        let settings = body::changed(&app.store.settings().await?, change)?;
        Ok::<_, Problem>(app.store.change_settings(settings, by).await?)
    };
    match saved.await {
        Ok(settings) => Ok(Ok(settings)),
        Err(problem) => Ok(Err(Wrong(problem.into_fields()?))),
    }
}

/// The lines of a field, as a list.
fn lines(text: &str) -> Vec<&str> {
    text.split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn joined(values: impl IntoIterator<Item = impl ToString>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join("\n")
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Sending {
    me: Me,
    form: SendingForm,
    hours: Hours,
    saved: bool,
    wrong: Wrong,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SendingForm {
    time_zone: String,
    country: String,
    currency: String,
    blackout_dates: String,
    purposes: String,
    opt_out_holds_for: String,
    require_consent: String,
    limit_messages: String,
    limit_days: String,
    limit_counts: String,
    organisation: String,
    call_back_number: String,
    /// The rules for marketing that are kept.
    rules: Vec<String>,
}

impl SendingForm {
    fn of(s: &Settings) -> Self {
        Self {
            time_zone: s.time_zone.clone(),
            country: s.country.clone().unwrap_or_default(),
            currency: s.currency.clone(),
            blackout_dates: joined(&s.blackout_dates),
            purposes: joined(&s.purposes),
            opt_out_holds_for: words::scope_word(s.opt_out_holds_for).to_owned(),
            require_consent: if s.require_consent { "yes" } else { "" }.to_owned(),
            limit_messages: s.limit.map(|limit| limit.messages.to_string()).unwrap_or_default(),
            limit_days: s.limit.map_or_else(String::new, days),
            organisation: s.organisation.clone(),
            call_back_number: s.call_back_number.clone().unwrap_or_default(),
            rules: Rule::ALL
                .iter()
                .filter(|rule| !s.marketing_rules_off.contains(rule))
                .map(|rule| rule.word().to_owned())
                .collect(),
            limit_counts: s.limit.and_then(|limit| limit.counts).map_or("", Channel::word).to_owned(),
        }
    }

    fn keeps(&self, rule: &str) -> bool {
        self.rules.iter().any(|kept| kept == rule)
    }

    /// The value as the API takes it. Anything that is not a number is passed on unchanged and rejected with its field.
    fn change(&self, hours: &Hours) -> Value {
        let given = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        let limit = given(&self.limit_messages).map(|messages| {
            let messages = messages.parse::<u32>().map_or_else(|_| json!(messages), |n| json!(n));
            let per = format!("P{}D", self.limit_days.trim());
            json!({"messages": messages, "per": per, "counts": given(&self.limit_counts)})
        });
        let off: Vec<&str> =
            Rule::ALL.iter().map(|rule| rule.word()).filter(|word| !self.keeps(word)).collect();
        let mut change = json!({"organisation": self.organisation.trim(), "call_back_number": given(&self.call_back_number), "marketing_rules_off": off, "time_zone": self.time_zone.trim(), "country": given(&self.country), "window": hours.change(),
            "blackout_dates": lines(&self.blackout_dates), "purposes": lines(&self.purposes), "require_consent": !self.require_consent.is_empty(), "limit": limit,
            "opt_out_holds_for": self.opt_out_holds_for});
        // An empty field leaves the currency as it is.
        if let (Some(currency), Value::Object(change)) = (given(&self.currency), &mut change) {
            change.insert("currency".to_owned(), json!(currency));
        }
        change
    }
}

/// A limit's period in days, rounded up: the form has no hours.
fn days(limit: Limit) -> String {
    let hours = limit.per.as_hours();
    ((hours + 23) / 24).to_string()
}

impl Sending {
    fn new(caller: Caller, settings: &Settings) -> Self {
        Self {
            me: Me::new(caller, "settings"),
            form: SendingForm::of(settings),
            hours: Hours::of(settings.window.as_ref()),
            saved: false,
            wrong: Wrong::default(),
        }
    }
}

async fn sending(State(app): State<App>, caller: Caller) -> Shown {
    Ok(page(&Sending::new(caller, &app.store.settings().await?)))
}

async fn save_sending(
    State(app): State<App>,
    caller: Caller,
    PostedTwo(form, hours): PostedTwo<SendingForm, Hours>,
) -> Shown {
    match save(&app, form.change(&hours), caller.by()).await? {
        Ok(settings) => Ok(page(&Sending { saved: true, ..Sending::new(caller, &settings) })),
        Err(wrong) => {
            let page = Sending { me: Me::new(caller, "settings"), form, hours, saved: false, wrong };
            Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}

#[derive(Template)]
#[template(path = "answers.html")]
struct Answers {
    me: Me,
    languages: Vec<(String, AnswerTexts)>,
    keywords_off: String,
    saved: bool,
    wrong: Wrong,
}

impl Answers {
    fn new(caller: Caller, settings: Settings) -> Self {
        let off = settings.keywords_off.iter().map(|(sender, words)| format!("{sender} {}", words.join(" ")));
        Self {
            me: Me::new(caller, "settings"),
            keywords_off: joined(off),
            languages: settings.answers.into_iter().collect(),
            saved: false,
            wrong: Wrong::default(),
        }
    }
}

async fn answers(State(app): State<App>, caller: Caller) -> Shown {
    Ok(page(&Answers::new(caller, app.store.settings().await?)))
}

/// The texts, one of each per language; an empty language is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AnswersForm {
    language: Vec<String>,
    opt_out: Vec<String>,
    opt_in: Vec<String>,
    help: Vec<String>,
    keywords_off: String,
}

impl AnswersForm {
    fn languages(&self) -> Vec<(String, AnswerTexts)> {
        let text = |all: &[String], i: usize| all.get(i).map(|t| t.trim().to_owned()).unwrap_or_default();
        let named = self.language.iter().enumerate().filter(|(_, language)| !language.trim().is_empty());
        named
            .map(|(i, language)| {
                let texts = AnswerTexts {
                    opt_out: text(&self.opt_out, i),
                    opt_in: text(&self.opt_in, i),
                    help: text(&self.help, i),
                };
                (language.trim().to_lowercase(), texts)
            })
            .collect()
    }
}

async fn save_answers(State(app): State<App>, caller: Caller, Posted(form): Posted<AnswersForm>) -> Shown {
    let languages = form.languages();
    let mut off = Map::new();
    for line in form.keywords_off.lines() {
        let mut words = line.split_whitespace();
        if let Some(sender) = words.next() {
            off.insert(sender.to_owned(), words.collect());
        }
    }
    let answers: BTreeMap<_, _> = languages.iter().cloned().collect();
    match save(&app, json!({"answers": answers, "keywords_off": off}), caller.by()).await? {
        Ok(settings) => Ok(page(&Answers { saved: true, ..Answers::new(caller, settings) })),
        Err(wrong) => {
            let me = Me::new(caller, "settings");
            let page = Answers { me, languages, keywords_off: form.keywords_off, saved: false, wrong };
            Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}
