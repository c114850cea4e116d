//! What a schedule would do, before anybody agrees to it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use campaign::{
    Action, CampaignId, ListId, Msisdn, SkipReason,
    lifecycle::{self, Cause},
    segment,
    text::{RenderError, Text},
    wave::{Group, PlannedWave},
    window::{Opening, Window},
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{Store, campaigns::load, freeze, pools};
use crate::{
    Definition, Forecast, KNOWN_FIELDS, Preview, Problem, Result, RouteConfig, StoreError, WindowDelay,
};

/// Recipients whose texts are rendered for the count of segments. A larger audience is estimated from
/// the first so many.
const RENDERED: i64 = 20_000;
/// Contacts named who lack a field.
const LACKERS: usize = 5;
/// Recipients that a text is tried on while it is typed.
const PREVIEWED: i64 = 2_000;
/// Windows that a wave is followed through; a year of days.
const MOST_OPENINGS: usize = 366;

impl Store {
    /// What scheduling the campaign at `now` would do. Nothing is changed.
    ///
    /// # Errors
    /// As [`Store::schedule`]: what is missing, what is past, an empty audience.
    pub async fn forecast(&self, id: CampaignId, now: Timestamp) -> Result<Forecast> {
        self.read(move |c| {
            let old = load(c, id)?;
            lifecycle::transition(old.definition.channel, old.status, Cause::Act(Action::Schedule))?;
            forecast(c, &freeze::frozen(c, old.definition)?, now)
        })
        .await
    }
}

/// Refuses what would cost more than its budget.
pub(super) fn within_budget(c: &Connection, d: &Definition, now: Timestamp) -> Result<()> {
    let Some(most) = d.max_cost else { return Ok(()) };
    let wrong = match forecast(c, d, now)?.cost {
        Some(cost) if cost <= most => return Ok(()),
        Some(cost) => {
            format!("it would cost {cost}, and its budget is {most}; shorten the texts or raise the budget")
        }
        None => "the route has no price per segment, so no budget can be kept; give the route one".to_owned(),
    };
    Err(StoreError::Invalid(vec![Problem::new("max_cost", wrong)]))
}

fn forecast(c: &Connection, d: &Definition, now: Timestamp) -> Result<Forecast> {
    let texts = freeze::complete(d)?;
    let (groups, _) = freeze::count(c, d)?;
    let waves = freeze::plan(d, &groups, now)?;
    let audience: i64 = groups.iter().map(|g| g.to_seq - g.from_seq).sum();
    let mut excluded = suppressed(c, d)?;
    let (segments, missing, rendered) = render(c, d, &texts)?;
    if missing > 0 {
        excluded.insert(SkipReason::MissingField.word().to_owned(), missing * audience / rendered.max(1));
    }
    let segments: Vec<i64> = segments.into_iter().map(|n| n * audience / rendered.max(1)).collect();
    let config: Option<String> = match d.route_id {
        Some(route) => c
            .prepare_cached("SELECT config FROM route WHERE id = ?1")?
            .query_row([route.0], |r| r.get(0))
            .optional()?,
        None => None,
    };
    let route = config.and_then(|json| serde_json::from_str::<RouteConfig>(&json).ok());
    let rate = route.as_ref().map_or(1, |route| route.rate_per_second.max(1));
    let rate = f64::from(pools::rate(c, d)?.map_or(rate, |pool| pool.min(rate)));
    let price = route.and_then(|route| route.price_per_segment);
    let per_message: Vec<f64> = segments.iter().map(|n| *n as f64 / audience.max(1) as f64).collect();
    let course = course(&waves, &groups, d.window.as_ref(), rate, &per_message);
    Ok(Forecast {
        audience,
        excluded,
        estimated: rendered < audience,
        cost: price.map(|price| price.times(segments.iter().sum())),
        segments,
        first_send: course.first,
        last_send: course.first.map(|_| course.clock),
        delayed: course.delayed.into_values().collect(),
    })
}

impl Store {
    /// How a text reads for `chosen` contacts, or else for the first `samples` of `lists`, and how many of the first
    /// contacts of these lack a field that it needs.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the text is no template, or uses a field that no contact has.
    pub async fn preview(
        &self,
        text: String,
        lists: Vec<ListId>,
        chosen: Vec<Msisdn>,
        samples: usize,
    ) -> Result<Preview> {
        let mut known: Vec<String> = KNOWN_FIELDS.iter().map(ToString::to_string).collect();
        known.extend(self.custom_fields().await?);
        let text = Text::parse(&text).and_then(|text| text.check(&known).map(|()| text));
        let text = text.map_err(|e| StoreError::Invalid(vec![Problem::new("text", e)]))?;
        self.read(move |c| {
            let fields: std::sync::Arc<[String]> = freeze::fields(std::slice::from_ref(&text)).into();
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

/// The values of `fields` out of a contact's own.
fn values(json: Option<&str>, fields: &[String]) -> Vec<Option<String>> {
    json.and_then(|json| freeze::pick(json, fields))
        .and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or_default()
}

/// How many of the audience are on a do-not-contact list, by reason.
fn suppressed(c: &Connection, d: &Definition) -> Result<BTreeMap<String, i64>> {
    let sql = format!(
        "SELECT s.reason, count(DISTINCT m.number) FROM ({}) m JOIN suppression s USING (number)
         WHERE s.channel IN ('sms', 'all') AND (?1 = '' OR s.purpose IN ('', ?1)) GROUP BY 1",
        freeze::members(&d.list_ids)
    );
    Ok(c.prepare(&sql)?
        .query_map([d.purpose()], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?)
}

/// Segments of each message over the first recipients, how many lack a field, and how many were looked at.
fn render(c: &Connection, d: &Definition, texts: &[Text]) -> Result<(Vec<i64>, i64, i64)> {
    let fields: std::sync::Arc<[String]> = freeze::fields(texts).into();
    let sql = format!(
        "SELECT c.fields FROM ({}) m JOIN contact c USING (number) LIMIT {RENDERED}",
        freeze::members(&d.list_ids)
    );
    let mut statement = c.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut segments, mut missing, mut rendered) = (vec![0; texts.len()], 0, 0);
    while let Some(r) = rows.next()? {
        rendered += 1;
        let values = values(r.get_ref(0)?.as_str().ok(), &fields);
        let mut lacks = false;
        for (at, text) in texts.iter().enumerate() {
            match text.render(&fields, values.clone()) {
                Ok(text) => segments[at] += segment::measure(&text).map_or(0, |size| size.segments as i64),
                Err(RenderError::MissingField) => lacks = true,
                Err(RenderError::Broken(_)) => {}
            }
        }
        missing += i64::from(lacks);
    }
    Ok((segments, missing, rendered))
}

/// How the waves go at a route's rate, through their windows.
struct Course {
    first: Option<Timestamp>,
    /// When the route has sent what came before.
    clock: Timestamp,
    delayed: BTreeMap<u32, WindowDelay>,
}

/// What of a wave is still to go.
struct Rest {
    left: SignedDuration,
    /// Whether its recipients are counted as delayed.
    delayed: bool,
    openings: usize,
}

impl Course {
    /// So many recipients of message `n` wait until `until`.
    fn delay(&mut self, n: u32, recipients: i64, until: Timestamp) {
        let delay = self.delayed.entry(n).or_insert(WindowDelay { n, recipients: 0, until });
        delay.recipients += recipients;
        delay.until = delay.until.max(until);
    }
}

/// Takes whichever wave may go first, again and again, until its window closes or nothing of it is left.
fn course(
    waves: &[PlannedWave],
    groups: &[Group],
    window: Option<&Window>,
    rate: f64,
    per_message: &[f64],
) -> Course {
    let whole = |w: &PlannedWave| {
        let segments = (w.to_seq - w.from_seq) as f64 * per_message[w.message_no as usize - 1];
        SignedDuration::try_from_secs_f64(segments / rate).unwrap_or(SignedDuration::ZERO)
    };
    let mut rests: Vec<Rest> =
        waves.iter().map(|w| Rest { left: whole(w), delayed: false, openings: 0 }).collect();
    // By the earliest that each may go, as far as that is known.
    let mut next: BinaryHeap<_> = waves.iter().enumerate().map(|(at, w)| Reverse((w.due_at, at))).collect();
    let mut course = Course { first: None, clock: Timestamp::MIN, delayed: BTreeMap::new() };
    while let Some(Reverse((known, at))) = next.pop() {
        let (w, rest) = (&waves[at], &mut rests[at]);
        let start = known.max(course.clock);
        let until = match window.map(|window| window.at(&groups[w.group].zones, start)) {
            None => Timestamp::MAX,
            Some(Opening::Open { until, .. }) if start == known => until,
            // What else may go earlier is looked at first.
            Some(Opening::Open { .. }) => {
                next.push(Reverse((start, at)));
                continue;
            }
            Some(Opening::Closed { next: opens }) => {
                rest.openings += 1;
                if rest.openings < MOST_OPENINGS {
                    if !rest.delayed {
                        rest.delayed = true;
                        let share = rest.left.div_duration_f64(whole(w).max(SignedDuration::from_nanos(1)));
                        let people = ((w.to_seq - w.from_seq) as f64 * share.min(1.0)).round() as i64;
                        course.delay(w.message_no, people, opens);
                    } else if let Some(delay) = course.delayed.get_mut(&w.message_no) {
                        delay.until = delay.until.max(opens);
                    }
                    next.push(Reverse((opens, at)));
                }
                continue;
            }
            Some(Opening::Never) => continue,
        };
        course.first.get_or_insert(start);
        let room = until.duration_since(start);
        let runs = rest.left.min(room);
        course.clock = start.saturating_add(runs).unwrap_or(start);
        rest.left -= runs;
        if rest.left > SignedDuration::ZERO {
            next.push(Reverse((course.clock, at)));
        }
    }
    course
}
