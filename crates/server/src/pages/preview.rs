//! The size of a text: counted, priced, and shown as it reads for some contacts; with the page of the messages, and
//! again while a person types.

use std::borrow::Cow;

use askama::Template;
use axum::{Router, extract::State, routing::post};
use campaign::{ListId, Msisdn, money::Money, segment};
use serde::Deserialize;
use store::{Campaign, StoreError};

use super::{Posted, Shown, details::id, page, t};
use crate::App;

/// How many contacts a text is shown for, and how many may be chosen.
const SAMPLES: usize = 3;
const MOST_CHOSEN: usize = 10;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/preview", post(preview))
}

/// The size, price and appearance of a text.
pub(super) struct Preview {
    pub(super) characters: usize,
    /// The size; none if the text is longer than a message can be.
    encoding: Option<&'static str>,
    pub(super) segments: usize,
    /// The cost per recipient, if the route has a price.
    pub(super) cost: Option<String>,
    /// What is wrong with the text.
    pub(super) wrong: Option<String>,
    /// What may not be meant as it is written.
    pub(super) warnings: Vec<String>,
    /// How it reads for some contacts, with their numbers.
    pub(super) samples: Vec<(String, String)>,
    /// How many contacts lack a field that it needs.
    pub(super) lacking: i64,
    /// How many contacts were looked at, where there may be more.
    looked_at: Option<i64>,
    /// The first few contacts that lack a field.
    pub(super) lackers: Vec<String>,
}

impl Preview {
    /// How many contacts lack a field, in words.
    pub(super) fn lack(&self) -> Cow<'static, str> {
        match self.looked_at {
            Some(all) => t::with("contacts-lack-of", ("n", self.lacking, "all", all)),
            None => t::with("contacts-lack", ("n", self.lacking)),
        }
    }

    pub(super) fn encoding(&self) -> Cow<'static, str> {
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
    /// Any value means that the text is sent word for word.
    plain: String,
    campaign: String,
    see: String,
}

/// Counts and shows a text as it is typed.
async fn preview(State(app): State<App>, Posted(form): Posted<Typed>) -> Shown {
    let campaign = app.store.campaign(id(&form.campaign)?).await?;
    let reader = Reader::of(&app, &campaign, &form.see).await?;
    Ok(page(&PreviewPart { p: reader.look(&app, &form.text, form.plain.is_empty()).await? }))
}

/// The contacts that the texts of a campaign are shown for, and the price of a segment.
pub(super) struct Reader {
    lists: Vec<ListId>,
    chosen: Vec<Msisdn>,
    price: Option<Money>,
    currency: String,
}

impl Reader {
    /// `see` names contacts by their numbers. Anything that is not a number is ignored while a person types.
    pub(super) async fn of(app: &App, campaign: &Campaign, see: &str) -> store::Result<Self> {
        let d = &campaign.definition;
        let price = match d.route_id {
            Some(route) => app.store.route(route).await?.config.price_per_unit(),
            None => None,
        };
        let currency = app.store.settings().await?.currency;
        let numbers = see.split([',', ';', '\n']).filter_map(|number| Msisdn::parse(number, None).ok());
        Ok(Self { lists: d.list_ids.clone(), chosen: numbers.take(MOST_CHOSEN).collect(), price, currency })
    }

    pub(super) async fn look(&self, app: &App, text: &str, template: bool) -> store::Result<Preview> {
        let seen = app
            .store
            .preview(text.to_owned(), template, self.lists.clone(), self.chosen.clone(), SAMPLES)
            .await;
        let (seen, wrong) = match seen {
            Ok(seen) => (seen, None),
            // A text that cannot be rendered is counted as written.
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
            cost: self.price.map(|price| price.times(segments as i64).shown(&self.currency)),
            wrong,
            warnings: store::text_warnings(text, template),
            samples: seen.samples,
            lacking: seen.lacking,
            looked_at: seen.looked_at,
            lackers: seen.lackers,
        })
    }
}
