//! The delivery list: every recipient × message, those without a row derived from waves, claims and
//! retries in the same read.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use campaign::{CampaignId, Msisdn, Outcome};
use rusqlite::{Connection, Row, ToSql, named_params, params};

use super::{
    Store, audience, audit,
    campaigns::{Loaded, full, load},
    dispatch::Turn,
    names, time,
};
use crate::{
    AttemptRow, By, Cursor, Deed, DeliveryFilter, DeliveryRow, Failure, PersonDelivery, Place, Problem,
    Result, StoreError,
};

/// The most places of an audience that one page looks through.
const LONGEST_WALK: i64 = 25_000;
/// The most people that a name finds.
const MOST_NAMED: usize = 1_000;
/// The most deliveries to look through for the reasons of failures, and the most reasons to report.
const MOST_FAILURES: i64 = 20_000;
const MOST_REASONS: i64 = 30;

/// The code up to which outcomes are so common that no index holds them (`delivery_rare`).
const COMMON: u8 = 2;

/// The statement that finds deliveries with this outcome.
fn settled(outcome: Outcome) -> Cow<'static, str> {
    let sql = include_str!("sql/deliveries_settled.sql");
    if outcome.code() > COMMON { sql.replace("/*", "").replace("*/", "").into() } else { sql.into() }
}

/// What a page says of the deliveries without a row: where those are that are claimed, and those that will not leave.
#[derive(Clone, Copy)]
struct Unsettled {
    under_way: Place,
    left: Place,
}

impl Unsettled {
    fn of(l: &Loaded) -> Self {
        Self { under_way: l.under_way(), left: l.left() }
    }

    /// The place that stands for this one in SQL, which knows no channels; none where no delivery of the campaign is
    /// there.
    fn asked(self, place: Place) -> Option<Place> {
        match place {
            Place::Settled(_) | Place::Pending => Some(place),
            _ if place == self.under_way => Some(Place::Sending),
            _ if place == self.left => Some(Place::Cancelled),
            // Calls that are up are told apart by their route alone.
            Place::Ringing | Place::InProgress if self.under_way == Place::Dialing => Some(Place::Sending),
            _ => None,
        }
    }

    /// The place that SQL's stands for.
    const fn told(self, place: Place) -> Place {
        match place {
            Place::Sending => self.under_way,
            Place::Cancelled => self.left,
            place => place,
        }
    }
}

fn row(r: &Row<'_>, unsettled: Unsettled) -> rusqlite::Result<DeliveryRow> {
    let number: i64 = r.get(2)?;
    let (message, seq) = (r.get(0)?, r.get(1)?);
    Ok(DeliveryRow {
        id: Cursor { message, seq },
        message,
        seq,
        number: Msisdn::from_digits(number).to_string(),
        outcome: unsettled.told(Place::from_code(r.get(3)?).unwrap_or(Place::Pending)),
        reason: r.get(4)?,
        code: r.get(5)?,
        detail: r.get(6)?,
        provider_id: r.get(7)?,
        segments: r.get(8)?,
        attempts: r.get::<_, Option<u32>>(9)?.unwrap_or(0),
        sent_at: r.get::<_, Option<i64>>(10)?.map(time),
        changed_at: r.get::<_, Option<i64>>(11)?.map(time),
    })
}

/// Places in the audience, from `from` on, that may hold what is asked for of message `n`: few, where waves, claims and
/// retries can tell. Of retries, each a place of its own, no more than `most`.
fn candidates(
    c: &Connection,
    id: CampaignId,
    n: u32,
    outcome: Option<Place>,
    from: i64,
    most: i64,
) -> Result<Vec<Range<i64>>> {
    let mut ranges = Vec::new();
    let mut add = |sql: &str, params: &[&dyn ToSql]| -> Result<()> {
        let mut statement = c.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(r) = rows.next()? {
            ranges.push(r.get::<_, i64>(0)?.max(from)..r.get(1)?);
        }
        Ok(())
    };
    match outcome {
        Some(Place::Pending | Place::Cancelled) => {
            let open = outcome == Some(Place::Pending);
            add(
                "SELECT next_seq, to_seq FROM wave
                 WHERE campaign_id = ?1 AND message_no = ?2 AND to_seq > ?3 AND next_seq < to_seq AND open = ?4",
                params![id.0, n, from, open],
            )?;
            add(
                "SELECT seq, seq + 1 FROM retry
                 WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND open = ?4 AND claim_id IS NULL
                 ORDER BY seq LIMIT ?5",
                params![id.0, n, from, open, most],
            )?;
        }
        Some(Place::Sending) => add(
            "SELECT low, to_seq FROM claim WHERE campaign_id = ?1 AND message_no = ?2 AND to_seq > ?3",
            params![id.0, n, from],
        )?,
        // The rest is asked for under other names.
        Some(_) | None => ranges.push(from..i64::MAX),
    }
    ranges.sort_unstable_by_key(|range| range.start);
    Ok(ranges)
}

/// The parts of `ranges` that lie within `bounds`; both are in order, and an overlap is taken once.
fn within(ranges: Vec<Range<i64>>, bounds: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut all: Vec<Range<i64>> = Vec::new();
    for range in ranges {
        for bound in bounds {
            let begun = all.last().map_or(0, |last| last.end);
            let both = range.start.max(bound.start).max(begun)..range.end.min(bound.end);
            if !both.is_empty() {
                all.push(both);
            }
        }
    }
    all
}

/// A page of a campaign's deliveries, and where the next one begins. It may be short, or empty, with more to come: what
/// is rare among millions is searched for in stretches.
fn page(
    c: &Connection,
    id: CampaignId,
    filter: &DeliveryFilter,
    limit: usize,
) -> Result<(Vec<DeliveryRow>, Option<Cursor>)> {
    let loaded = load(c, id)?;
    let unsettled = Unsettled::of(&loaded);
    let campaign = full(c, loaded)?;
    let outcome = match filter.outcome.map(|place| unsettled.asked(place)) {
        Some(None) => return Ok((Vec::new(), None)),
        asked => asked.flatten(),
    };
    // Numbers that begin with the digits are found at once; where there are none, the digits may be anywhere.
    let mut bounds = match &filter.number {
        Some(digits) => audience::beginning(c, id, digits)?,
        None => Vec::new(),
    };
    let within_number = filter.number.as_deref().filter(|_| bounds.is_empty());
    if let Some(name) = &filter.name {
        bounds = audience::of(c, id, names::beginning(c, name.trim(), MOST_NAMED)?.0)?;
        if bounds.is_empty() {
            return Ok((Vec::new(), None));
        }
    }
    if bounds.is_empty() {
        bounds.push(0..campaign.audience);
    }
    // A page needs no more of the single places than it shows, unless only some numbers are asked for.
    let most = if filter.number.is_some() || filter.name.is_some() { -1 } else { limit as i64 + 1 };
    let (mut rows, mut left) = (Vec::new(), filter.longest_walk.unwrap_or(LONGEST_WALK));
    let (start, mut from) = filter.from.map_or((1, 0), |cursor| (cursor.message, cursor.seq));
    for n in start..=campaign.totals.len() as u32 {
        let wanted = filter.message.is_none_or(|m| m == n);
        // Where the totals know that there are none, nothing is searched.
        let any = outcome.is_none_or(|place| campaign.totals[n as usize - 1][unsettled.told(place)] > 0);
        if wanted && any {
            let sql = match outcome {
                Some(Place::Settled(outcome)) => settled(outcome),
                _ => include_str!("sql/deliveries.sql").into(),
            };
            let mut statement = c.prepare_cached(&sql)?;
            for range in within(candidates(c, id, n, outcome, from, most)?, &bounds) {
                if left == 0 {
                    return Ok((rows, Some(Cursor { message: n, seq: range.start })));
                }
                let to = range.end.min(range.start + left);
                let found = statement.query_map(
                    named_params! {
                        ":campaign": id.0,
                        ":message": n,
                        ":from": range.start,
                        ":to": to,
                        ":within": within_number,
                        ":outcome": outcome.map(Place::code),
                        ":reason": filter.reason,
                        ":code": filter.code,
                        ":limit": (limit + 1 - rows.len()) as i64,
                    },
                    |r| row(r, unsettled),
                )?;
                for one in found {
                    let one = one?;
                    if rows.len() == limit {
                        return Ok((rows, Some(one.id)));
                    }
                    rows.push(one);
                }
                left -= to - range.start;
                if to < range.end {
                    return Ok((rows, Some(Cursor { message: n, seq: to })));
                }
            }
        }
        from = 0;
    }
    Ok((rows, None))
}

impl Store {
    /// Why messages failed, were not delivered or are in doubt, commonest reason first; of very many, the first.
    pub async fn failures(&self, id: CampaignId) -> Result<Vec<Failure>> {
        self.read(move |c| {
            let rows: Vec<(u8, Option<u32>, Option<String>, i64)> = c
                .prepare_cached(
                    "SELECT outcome, code, detail, count(*) FROM (SELECT outcome, code, detail FROM delivery
                         WHERE campaign_id = ?1 AND outcome > 2 AND outcome NOT IN (5, 7, 8, 9) LIMIT ?2)
                     GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT ?3",
                )?
                .query_map((id.0, MOST_FAILURES, MOST_REASONS), |r| {
                    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let known = |(outcome, code, detail, count): (u8, Option<u32>, Option<String>, i64)| {
                Some(Failure { outcome: Outcome::from_code(outcome)?, code, detail, count })
            };
            Ok(rows.into_iter().filter_map(known).collect())
        })
        .await
    }

    /// The attempts at each of these deliveries that were not the last, oldest first; deliveries without any are left
    /// out.
    pub async fn attempts(
        &self,
        id: CampaignId,
        deliveries: Vec<Cursor>,
    ) -> Result<HashMap<Cursor, Vec<AttemptRow>>> {
        self.read(move |c| {
            let mut attempts: HashMap<Cursor, Vec<AttemptRow>> = HashMap::new();
            for delivery in deliveries {
                let rows: Vec<AttemptRow> = c
                    .prepare_cached(
                        "SELECT at, detail FROM attempt WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3 ORDER BY at",
                    )?
                    .query_map((id.0, delivery.message, delivery.seq), |r| {
                        Ok(AttemptRow { at: time(r.get(0)?), detail: r.get(1)? })
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                if !rows.is_empty() {
                    attempts.insert(delivery, rows);
                }
            }
            Ok(attempts)
        })
        .await
    }

    /// A page of a campaign's deliveries, in the order of message and place, and where the next one begins. What is
    /// rare among millions is searched for in stretches: then a page is short, or empty, with more to come.
    pub async fn deliveries(
        &self,
        id: CampaignId,
        filter: DeliveryFilter,
        limit: usize,
    ) -> Result<(Vec<DeliveryRow>, Option<Cursor>)> {
        self.read(move |c| page(c, id, &filter, limit)).await
    }

    /// Settles a delivery in doubt by hand, as one of the outcomes that its channel has for that. A later receipt still
    /// counts.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for any other outcome, and where the delivery is not in doubt.
    pub async fn settle_doubt(
        &self,
        id: CampaignId,
        delivery: Cursor,
        outcome: Outcome,
        by: By,
    ) -> Result<DeliveryRow> {
        let wrong = |message: String| StoreError::Invalid(vec![Problem::new("outcome", message)]);
        self.change(id, move |c| {
            let by_hand = Outcome::by_hand(load(c, id)?.definition.channel());
            if !by_hand.contains(&outcome) {
                return Err(wrong(format!("say {}", by_hand.map(Outcome::word).join(" or "))));
            }
            let key = (id.0, delivery.message, delivery.seq);
            let mut turn = Turn::new(c, "by hand", by.at)?;
            match turn.standing(key)?.map(|standing| standing.outcome) {
                Some(Outcome::InDoubt) => {}
                Some(other) => {
                    return Err(wrong(format!(
                        "it is {}: only what is in doubt is settled by hand",
                        other.word()
                    )));
                }
                None => return Err(StoreError::NotFound("delivery in doubt")),
            }
            turn.news(key, outcome, None)?;
            c.prepare_cached(
                "UPDATE delivery SET detail = ?4 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
            )?
            .execute((key.0, key.1, key.2, format!("settled by {}", by.actor)))?;
            audit::note(c, &by, Deed::DoubtSettled, format!("{id} {delivery}"))?;
            turn.finish()?;
            let filter = DeliveryFilter {
                message: Some(delivery.message),
                from: Some(delivery),
                ..DeliveryFilter::default()
            };
            page(c, id, &filter, 1)?.0.pop().ok_or(StoreError::NotFound("delivery"))
        })
        .await
    }

    /// What a person was sent, or will be, by the last `campaigns` campaigns that were scheduled, newest first.
    pub async fn deliveries_to(&self, number: Msisdn, campaigns: u32) -> Result<Vec<PersonDelivery>> {
        self.read(move |c| {
            let ids: Vec<(i64, String, u32)> = c
                .prepare_cached(
                    "SELECT id, name, sends FROM campaign WHERE audience > 0 ORDER BY id DESC LIMIT ?1",
                )?
                .query_map([campaigns], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let mut all = Vec::new();
            for (id, name, sends) in ids {
                let campaign = CampaignId(id);
                let Some(seq) = audience::place(c, campaign, number)? else { continue };
                let unsettled = Unsettled::of(&load(c, campaign)?);
                let mut statement = c.prepare_cached(include_str!("sql/deliveries.sql"))?;
                for message in (1..=sends).rev() {
                    let delivery = statement.query_row(
                        named_params! {
                            ":campaign": id,
                            ":message": message,
                            ":from": seq,
                            ":to": seq + 1,
                            ":within": None::<&str>,
                            ":reason": None::<&str>,
                            ":code": None::<u32>,
                            ":outcome": None::<u8>,
                            ":limit": 1,
                        },
                        |r| row(r, unsettled),
                    )?;
                    all.push(PersonDelivery { campaign, name: name.clone(), delivery });
                }
            }
            Ok(all)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{MIGRATIONS, configure},
        *,
    };

    #[test]
    fn rarer_outcomes_are_found_by_their_index_and_the_others_by_the_primary_key() {
        let c = Connection::open_in_memory().unwrap();
        configure(&c).unwrap();
        for migration in MIGRATIONS {
            c.execute_batch(migration).unwrap();
        }
        for outcome in Outcome::ALL {
            let mut plan = c.prepare(&format!("EXPLAIN QUERY PLAN {}", settled(outcome))).unwrap();
            let mut steps = plan.raw_query();
            let mut uses = false;
            while let Some(step) = steps.next().unwrap() {
                uses |= step.get::<_, String>(3).unwrap().contains("delivery_rare");
            }
            assert_eq!(uses, !matches!(outcome, Outcome::Sent | Outcome::Delivered), "{outcome:?}");
        }
    }
}
