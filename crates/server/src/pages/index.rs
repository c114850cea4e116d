//! The Campaign Index.

use std::{borrow::Cow, collections::HashMap};

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use campaign::{
    Action, Channel, ListId, Status, Totals, lifecycle,
    outcome::{self, Kind, Place},
};
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use store::{Campaign, CampaignFilter, CampaignSort};

use super::{
    Me, Shown, page,
    series::{self, Share},
    t, words,
};
use crate::{App, auth::Caller};

/// Campaigns on one page.
const SHOWN: u32 = 50;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/", get(index))
}

/// The query of the address; all of it is optional, and is kept in every link of the page.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Asked {
    channel: String,
    q: String,
    status: String,
    sender: String,
    from: String,
    to: String,
    /// The reader's time zone, which `from` and `to` are days in; empty: the account's.
    zone: String,
    sort: String,
    reverse: String,
    page: u32,
}

impl Asked {
    fn channel(&self) -> Channel {
        Channel::from_word(&self.channel).unwrap_or(Channel::ALL[0])
    }

    /// What runs and what starts next come first, unless another order is asked for.
    fn sort(&self) -> CampaignSort {
        CampaignSort::from_word(&self.sort).unwrap_or(CampaignSort::Current)
    }

    fn is_filtered(&self) -> bool {
        !self.status.is_empty() || self.is_narrowed()
    }

    /// Whether it asks for fewer than all campaigns of its status.
    fn is_narrowed(&self) -> bool {
        self.has_days() || [&self.q, &self.sender].iter().any(|text| !text.is_empty())
    }

    fn has_days(&self) -> bool {
        !self.from.is_empty() || !self.to.is_empty()
    }

    fn filter(&self, account: &TimeZone) -> CampaignFilter {
        let own = TimeZone::get(&self.zone).ok().filter(|_| !self.zone.is_empty());
        let zone = own.as_ref().unwrap_or(account);
        let day = |text: &str, after: i64| {
            let day: Date = text.parse().ok()?;
            let day = day.checked_add(jiff::Span::new().days(after)).ok()?;
            zone.to_timestamp(day.into()).ok()
        };
        CampaignFilter {
            status: Status::from_word(&self.status),
            archived: self.status == "all",
            channel: Some(self.channel()),
            search: Some(self.q.trim().to_owned()).filter(|q| !q.is_empty()),
            sender: Some(self.sender.clone()).filter(|s| !s.is_empty()),
            starts_from: day(&self.from, 0),
            starts_before: day(&self.to, 1),
            before: None,
            sort: self.sort(),
            reverse: self.reverse == "1",
            skip: self.page.saturating_mul(SHOWN),
        }
    }

    /// The address of this page with one value changed.
    fn link(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut other = self.clone();
        change(&mut other);
        // Plain texts and numbers always make an address.
        format!("/?{}", serde_html_form::to_string(&other).unwrap_or_default())
    }

    fn tab(&self, channel: &str) -> String {
        format!("/?channel={channel}")
    }

    /// The address that sorts by a column, or reverses the order if it already does.
    fn sorted(&self, by: &str) -> String {
        let turned = if self.sort().word() == by && self.reverse != "1" { "1" } else { "" };
        self.link(|other| {
            other.sort = by.into();
            other.reverse = turned.into();
            other.page = 0;
        })
    }

    fn order(&self, by: &str) -> &'static str {
        match (self.sort().word() == by, self.reverse == "1") {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }

    /// The address of the campaigns of a status; empty: of all but Archived.
    fn of_status(&self, status: &str) -> String {
        self.link(|other| {
            other.status = status.into();
            other.page = 0;
        })
    }

    /// The address that also shows archived campaigns.
    fn archived(&self) -> String {
        self.link(|other| {
            other.status = Status::Archived.word().into();
            other.page = 0;
        })
    }

    fn turned(&self, page: u32) -> String {
        self.link(|other| other.page = page)
    }
}

/// A campaign as a row, or as the head of its own page.
pub(super) struct Row {
    pub(super) campaign: Campaign,
    pub(super) totals: Totals,
    pub(super) actions: Vec<Action>,
    pub(super) lists: String,
    /// The name of each list that it goes to, in their order.
    pub(super) named: Vec<(ListId, String)>,
}

impl Row {
    pub(super) fn of(app: &App, campaign: Campaign, lists: &HashMap<ListId, String>) -> Self {
        let name = |id| lists.get(id).cloned().unwrap_or_else(|| t::say("deleted-list").into_owned());
        let named: Vec<(ListId, String)> =
            campaign.definition.list_ids.iter().map(|id| (*id, name(id))).collect();
        let lists: Vec<&str> = named.iter().map(|(_, name)| name.as_str()).collect();
        let campaign = app.with_live(campaign);
        Self {
            totals: campaign.sum(),
            actions: campaign.available_actions(),
            lists: lists.join(", "),
            named,
            campaign,
        }
    }

    /// The count of a place, by its word.
    pub(super) fn at(&self, place: Place) -> i64 {
        self.totals[place]
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static outcome::Row, i64)> {
        self.totals.counts(self.campaign.definition.channel())
    }

    pub(super) fn status(&self) -> Cow<'static, str> {
        words::status(self.campaign.status)
    }

    /// The count of those that were reached, and of those that were not.
    pub(super) fn reached(&self) -> i64 {
        self.of_kind(Kind::Good)
    }

    /// See [`Row::reached`].
    pub(super) fn failed(&self) -> i64 {
        self.of_kind(Kind::Bad)
    }

    fn of_kind(&self, kind: Kind) -> i64 {
        self.counts().filter(|(row, _)| row.kind == kind).map(|(_, n)| n).sum()
    }

    /// What has become of all of it, as parts of one bar.
    pub(super) fn shares(&self) -> Vec<Share> {
        series::shares(self.counts())
    }

    pub(super) fn percent(&self) -> i64 {
        let all = self.totals.sum();
        if all == 0 { 0 } else { self.totals.settled() * 100 / all }
    }

    pub(super) fn may(&self, word: &str) -> bool {
        self.actions.iter().any(|a| a.word() == word)
    }

    /// Every action with its word, its text, and the reason if it is not offered.
    pub(super) fn menu(&self) -> Vec<Entry> {
        let channel = self.campaign.definition.channel();
        // Usually nothing is held: then nobody looks for a release.
        let shown = |a: &&Action| **a != Action::Release || self.actions.contains(a);
        Action::ALL
            .iter()
            .filter(shown)
            .filter_map(|a| {
                let when = words::only_while(channel, *a)?;
                Some((a.word(), words::action(*a), (!self.actions.contains(a)).then_some(when)))
            })
            .collect()
    }
}

/// An action in a menu: its word, its text, and the reason if it is not offered.
type Entry = (&'static str, Cow<'static, str>, Option<Cow<'static, str>>);

/// The names of all lists.
pub(super) async fn list_names(app: &App) -> store::Result<HashMap<ListId, String>> {
    Ok(app.store.list_names().await?.into_iter().collect())
}

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    me: Me,
    rows: Vec<Row>,
    asked: Asked,
    /// The sender as saved, and as people read it.
    senders: Vec<(String, String)>,
    /// Whether there are any campaigns at all.
    any: bool,
    more: bool,
    /// How many campaigns there are of each status.
    counts: Vec<(Status, i64)>,
    /// Whether archived campaigns match where no others do.
    archived: bool,
    /// The count of changes before this was read.
    seen: u64,
}

impl Index {
    /// The tabs: a status's word, its text, and how many campaigns it has.
    fn tabs(&self) -> Vec<(&'static str, Cow<'static, str>, i64)> {
        let of = |status| self.counts.iter().find(|(of, _)| *of == status).map_or(0, |(_, n)| *n);
        let active = Status::ALL.into_iter().filter(|s| *s != Status::Archived).map(of).sum();
        let has = |s: &Status| lifecycle::has_status(self.asked.channel(), *s);
        let each = Status::ALL.into_iter().filter(has).map(|s| (s.word(), words::status(s), of(s)));
        std::iter::once(("", t::say("active"), active)).chain(each).collect()
    }

    /// Which of how many are shown.
    fn place(&self) -> Cow<'static, str> {
        let from = i64::from(self.asked.page) * i64::from(SHOWN) + 1;
        let to = from + self.rows.len() as i64 - 1;
        let tab = self.tabs().into_iter().find(|(word, ..)| *word == self.asked.status);
        match tab.filter(|_| !self.asked.is_narrowed()) {
            Some((.., all)) => t::with("place-of", ("from", from, "to", to, "all", all)),
            None => t::with("place", ("from", from, "to", to)),
        }
    }
}

/// The columns, with the orders that they sort by.
const COLUMNS: [&str; 7] = ["status", "name", "start", "created_by", "messages", "list", "progress"];

async fn index(State(app): State<App>, caller: Caller, Query(asked): Query<Asked>) -> Shown {
    let seen = app.store.change_count();
    let account = TimeZone::get(&app.store.settings().await?.time_zone).unwrap_or(TimeZone::UTC);
    let filter = asked.filter(&account);
    let mut found = app.store.campaigns(filter.clone(), SHOWN + 1).await?;
    let archived = found.is_empty() && asked.status.is_empty() && {
        let archived = CampaignFilter { status: Some(Status::Archived), archived: true, skip: 0, ..filter };
        !app.store.campaigns(archived, 1).await?.is_empty()
    };
    let more = found.len() > SHOWN as usize;
    found.truncate(SHOWN as usize);
    let any = !found.is_empty() || {
        let everything = CampaignFilter { archived: true, ..CampaignFilter::default() };
        !app.store.campaigns(everything, 1).await?.is_empty()
    };
    let lists = list_names(&app).await?;
    let counts = app.store.campaign_counts(asked.channel()).await?;
    let index = Index {
        me: Me::new(caller, "campaigns"),
        rows: found.into_iter().map(|c| Row::of(&app, c, &lists)).collect(),
        senders: app.store.senders().await?,
        asked,
        any,
        more,
        counts,
        archived,
        seen,
    };
    Ok::<Response, _>(page(&index))
}
