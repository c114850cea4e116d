//! What a schedule would do, before anybody agrees to it.

use std::{collections::BTreeMap, num::NonZeroU32};

use campaign::{
    Action, CampaignId, ListId, Msisdn, Send, SkipReason,
    content::Complete,
    course::{self, Course, Plan},
    lifecycle::{self, Cause},
    text::RenderError,
    wave::{self, Group, PlannedWave},
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{
    Store,
    campaigns::{self, load},
    freeze, pools, settings, spending,
};
use crate::{
    Definition, Forecast, Message, MessageTimes, Pace, Preview, Problem, Result, RouteConfig, StoreError,
    WindowDelay,
};

/// Recipients whose texts are rendered to count segments. A larger audience is estimated from the first ones.
const RENDERED: i64 = 20_000;
/// The most contacts to name that lack a field.
const LACKERS: usize = 5;
/// How long a phone rings before it is answered, as an estimate.
const RINGS: SignedDuration = SignedDuration::from_secs(12);
/// Recipients that a text is tried on while it is typed.
const PREVIEWED: i64 = 2_000;

impl Store {
    /// What scheduling the campaign at `now` would do, with a speech engine of this pace. Nothing is changed.
    ///
    /// # Errors
    /// As [`Store::schedule`]: what is missing, what is past, an empty audience.
    pub async fn forecast(&self, id: CampaignId, pace: Option<Pace>, now: Timestamp) -> Result<Forecast> {
        self.read(move |c| {
            let old = load(c, id)?;
            lifecycle::transition(old.definition.channel(), old.status, Cause::Act(Action::Schedule))?;
            forecast(c, &freeze::frozen(c, old.definition)?, pace, now)
        })
        .await
    }
}

/// Refuses a campaign that would cost more than its budget.
pub(super) fn within_budget(c: &Connection, d: &Definition, now: Timestamp) -> Result<()> {
    let Some(most) = d.max_cost else { return Ok(()) };
    let forecast = forecast(c, d, None, now)?;
    let wrong = match forecast.cost {
        Some(_) if !forecast.over_budget => return Ok(()),
        Some(cost) => {
            format!(
                "it would cost {cost}{}, and its budget is {most}; shorten the texts or raise the budget",
                if forecast.cost_most.is_some() { " at least" } else { "" }
            )
        }
        None => format!(
            "the route has no price per {}, so no budget can be kept; give the route one",
            d.content.priced_by()
        ),
    };
    Err(StoreError::Invalid(vec![Problem::new("max_cost", wrong)]))
}

/// The route of a campaign, if it has one.
pub(super) fn route(c: &Connection, d: &Definition) -> Result<Option<RouteConfig>> {
    d.route_id.map_or(Ok(None), |id| campaigns::route(c, id))
}

/// The most segments, or calls, a second at which a campaign goes; of calls, as far as the places for them allow, and
/// as fast as a speech engine of this pace renders them.
pub(super) fn rate(c: &Connection, d: &Definition, pace: Option<Pace>) -> Result<f64> {
    let route = route(c, d)?;
    let rate = route.as_ref().map_or(1, |route| route.per_second().max(1));
    let own = d.content.per_second().map_or(rate, NonZeroU32::get).min(rate);
    let rate = f64::from(pools::rate(c, d)?.map_or(own, |pool| pool.min(own)));
    let Some(voice) = d.content.calls() else { return Ok(rate) };
    // A place is taken for as long as it rings and somebody talks.
    let places = route.map_or(1, |route| route.at_once());
    let places = d.content.at_once().map_or(places, NonZeroU32::get).min(places);
    let talk = spending::span(c, voice)?.map_or(RINGS, |span| (span.least + span.most) / 2);
    let each = talk + RINGS.min(voice.ring_time);
    let rendered =
        pace.map_or(f64::INFINITY, |pace| pace.of(d.content.spoken().to_each).as_secs_f64().recip());
    Ok(rate.min(f64::from(places) / each.as_secs_f64().max(1.0)).min(rendered))
}

fn forecast(c: &Connection, d: &Definition, pace: Option<Pace>, now: Timestamp) -> Result<Forecast> {
    let content = freeze::ready(c, d)?;
    let (groups, _) = freeze::count(c, d)?;
    let waves = freeze::plan(d, &groups, now)?;
    let audience: i64 = groups.iter().map(|g| g.to_seq - g.from_seq).sum();
    let mut excluded = excluded(c, d)?;
    let eligible = audience - excluded.values().sum::<i64>();
    let seen = render(c, d, &content)?;
    let whole = |n: i64| if seen.looked_at == 0 { 0 } else { n * eligible / seen.looked_at };
    if seen.lacking > 0 {
        excluded.insert(SkipReason::MissingField.word().to_owned(), whole(seen.lacking));
    }
    let segments: Vec<i64> = seen.units.iter().map(|n| whole(*n)).collect();
    let units: i64 = segments.iter().sum();
    let (cost, cost_most) = if d.content.calls().is_some() {
        spending::cost(c, d, units)?.unzip()
    } else {
        let price = route(c, d)?.and_then(|route| route.price_per_unit());
        (price.map(|price| price.times(units)), None)
    };
    let each: Vec<f64> = segments.iter().map(|n| *n as f64 / audience.max(1) as f64).collect();
    let course = planned(d, &waves, &groups, rate(c, d, pace)?, &each);
    let recipients = eligible - whole(seen.nothing);
    let spoken = d.content.spoken();
    let spoken = spoken.to_all + spoken.to_each * usize::try_from(recipients).unwrap_or(0);
    Ok(Forecast {
        audience,
        recipients,
        excluded,
        estimated: seen.looked_at < eligible,
        over_budget: d.max_cost.is_some_and(|most| cost.is_none_or(|cost| cost > most)),
        cost,
        cost_most,
        max_cost: d.max_cost,
        segments,
        rendering: pace.filter(|_| spoken > 0).map(|pace| whole_seconds(pace.of(spoken))),
        first_send: course.span().map(|span| span.first),
        last_send: course.span().map(|span| span.last),
        times: times(&course),
        delayed: delayed(&course),
        warnings: d.content.warnings(),
    })
}

/// As much time in whole seconds: an estimate has no parts of one.
fn whole_seconds(time: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(time.as_secs().saturating_add(i64::from(time.subsec_nanos() > 0)))
}

/// The course of what is planned.
fn planned(d: &Definition, waves: &[PlannedWave], groups: &[Group], rate: f64, segments: &[f64]) -> Course {
    let sends = d.content.sends();
    let (pieces, due) = wave::pieces(waves);
    let due = |message, group, _| due.get(&(message, group)).copied().unwrap_or(Timestamp::MIN);
    course::course(
        pieces,
        &Plan { sends: &sends, groups, window: d.window.as_ref(), rate, segments, due: &due },
    )
}

/// When each message of a course goes.
pub(super) fn times(course: &Course) -> Vec<MessageTimes> {
    let of = |(n, span): (&u32, &course::Span)| MessageTimes {
        n: *n,
        first_send: span.first,
        last_send: span.last,
    };
    course.messages.iter().map(of).collect()
}

fn delayed(course: &Course) -> Vec<WindowDelay> {
    let of = |(n, d): (&u32, &course::Delay)| WindowDelay { n: *n, recipients: d.recipients, until: d.until };
    course.delayed.iter().map(of).collect()
}

impl Store {
    /// What a Scheduled campaign would do with other times for some of its messages. Nothing is changed.
    ///
    /// # Errors
    /// As [`Store::adjust`].
    pub async fn adjust_forecast(
        &self,
        id: CampaignId,
        changed: BTreeMap<u32, Send>,
        now: Timestamp,
    ) -> Result<Forecast> {
        self.read(move |c| {
            let old = load(c, id)?;
            lifecycle::transition(old.definition.channel(), old.status, Cause::Act(Action::Adjust))?;
            let mut d = old.definition;
            let groups = freeze::groups(c, id)?;
            let mut problems = Vec::new();
            for (n, send) in changed {
                let Some(old) = d.content.send_mut(n) else { continue };
                if let Err(e) = wave::check(&send, &groups, now) {
                    problems.push(Problem::new(format!("messages[n={n}].send"), e));
                }
                *old = send;
            }
            Problem::none(problems)?;
            // Calls have no times to adjust.
            forecast(c, &d, None, now)
        })
        .await
    }
}

impl Store {
    /// How a text reads for `chosen` contacts, or otherwise for the first `samples` of `lists`, and how many of the
    /// first contacts of these lists lack a field that it needs.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the text is not a template, or uses a field that no contact has.
    pub async fn preview(
        &self,
        text: String,
        template: bool,
        lists: Vec<ListId>,
        chosen: Vec<Msisdn>,
        samples: usize,
    ) -> Result<Preview> {
        let known = self.fields().await?;
        let text = Message { text, send: Send::Now, template };
        let text = text.parse().and_then(|text| text.check(&known).map(|()| text));
        let text = text.map_err(|e| StoreError::Invalid(vec![Problem::new("text", e)]))?;
        self.read(move |c| {
            let fields: std::sync::Arc<[String]> = text.fields().into();
            let mut preview = Preview::default();
            for number in &chosen {
                let json: Option<Option<String>> = c
                    .prepare_cached("SELECT fields FROM contact WHERE number = ?1")?
                    .query_row([number.digits()], |r| r.get(0))
                    .optional()?;
                let read = text.render(&fields, values(json.flatten().as_deref(), &fields));
                let words = read.map_or_else(|e| e.to_string(), |text| text.to_string());
                preview.samples.push((number.to_string(), words));
            }
            let samples = if chosen.is_empty() { samples } else { 0 };
            if lists.is_empty() {
                return Ok(preview);
            }
            let sql = format!(
                "SELECT c.number, c.fields FROM ({}) m JOIN contact c USING (number) LIMIT {PREVIEWED}",
                freeze::members(&lists)
            );
            let mut statement = c.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut looked_at = 0;
            while let Some(r) = rows.next()? {
                looked_at += 1;
                match text.render(&fields, values(r.get_ref(1)?.as_str().ok(), &fields)) {
                    Ok(text) if preview.samples.len() < samples => {
                        let number = Msisdn::from_digits(r.get(0)?).to_string();
                        preview.samples.push((number, text.to_string()));
                    }
                    Ok(_) | Err(RenderError::Broken(_)) => {}
                    Err(RenderError::MissingField) => {
                        preview.lacking += 1;
                        if preview.lackers.len() < LACKERS {
                            preview.lackers.push(Msisdn::from_digits(r.get(0)?).to_string());
                        }
                    }
                }
            }
            preview.looked_at = (looked_at == PREVIEWED).then_some(looked_at);
            Ok(preview)
        })
        .await
    }
}

/// The values of `fields` from a contact's own.
fn values(json: Option<&str>, fields: &[String]) -> Vec<Option<String>> {
    json.and_then(|json| freeze::pick(json, fields))
        .and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or_default()
}

/// Who in an audience gets nothing, as SQL over `m.number`: on a do-not-contact list for the purpose ?1 over the
/// channel ?3.
const SUPPRESSED: &str =
    "SELECT s.reason FROM suppression s WHERE s.number = m.number AND s.channel IN (?3, 'all')
    AND (?1 = '' OR s.purpose IN ('', ?1)) LIMIT 1";

/// How many of the audience get nothing, by reason; each person counts once.
fn excluded(c: &Connection, d: &Definition) -> Result<BTreeMap<String, i64>> {
    let no_consent = settings::read(c)?.require_consent;
    let sql = format!(
        "SELECT coalesce(({SUPPRESSED}), CASE WHEN ?2 AND NOT EXISTS (SELECT 1 FROM consent k WHERE k.number = m.number)
                     THEN 'no_consent' END) AS reason, count(*)
         FROM ({}) m JOIN contact c USING (number) GROUP BY 1 HAVING reason IS NOT NULL",
        freeze::members(&d.list_ids)
    );
    Ok(c.prepare(&sql)?
        .query_map((d.purpose(), no_consent, d.channel().word()), |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?)
}

/// What rendering for the first recipients showed.
struct Rendered {
    /// What each delivery counts as, over all these recipients.
    units: Vec<i64>,
    /// How many lack a field of some message.
    lacking: i64,
    /// How many lack a field of every message.
    nothing: i64,
    looked_at: i64,
}

/// Renders the texts for the first recipients who may get them.
fn render(c: &Connection, d: &Definition, content: &Complete) -> Result<Rendered> {
    let no_consent = settings::read(c)?.require_consent;
    let fields: std::sync::Arc<[String]> = content.fields().into();
    let sql = format!(
        "SELECT c.fields FROM ({}) m JOIN contact c USING (number) WHERE ({SUPPRESSED}) IS NULL
           AND (NOT ?2 OR EXISTS (SELECT 1 FROM consent k WHERE k.number = m.number)) LIMIT {RENDERED}",
        freeze::members(&d.list_ids)
    );
    let mut statement = c.prepare(&sql)?;
    let mut rows = statement.query((d.purpose(), no_consent, d.channel().word()))?;
    let mut seen = Rendered { units: vec![0; content.deliveries()], lacking: 0, nothing: 0, looked_at: 0 };
    while let Some(r) = rows.next()? {
        seen.looked_at += 1;
        let values = values(r.get_ref(0)?.as_str().ok(), &fields);
        let mut lacks = 0;
        for (at, units) in seen.units.iter_mut().enumerate() {
            match content.units(at, &fields, values.clone()) {
                Ok(more) => *units += more,
                Err(RenderError::MissingField) => lacks += 1,
                Err(RenderError::Broken(_)) => {}
            }
        }
        seen.lacking += i64::from(lacks > 0);
        seen.nothing += i64::from(lacks == content.deliveries());
    }
    Ok(seen)
}
