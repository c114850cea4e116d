//! Restart: what a stop cancelled is planned anew, waves and retries alike, and opened again.

use std::collections::BTreeMap;

use campaign::{
    Action, CampaignId, Outcome, Send, SkipReason, WaveId,
    lifecycle::{self, Cause},
    restart::{self, Closed, Rebuilt},
    wave::{self, Group},
};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Store, campaigns,
    campaigns::{full, load},
    dispatch, freeze, ms,
    operate::step,
    tally::Deltas,
    time,
    writer::{Effect, Lane},
};
use crate::{By, Campaign, Change, Problem, RebuiltMessage, Result, StoreError};

/// The most failed deliveries to share a transaction; the statement has this number as a literal.
const FAILED_TOGETHER: usize = 2_000;

/// A part that a stop closed.
#[derive(Clone)]
enum Part {
    Wave(WaveId),
    /// The retries of a message to one group; the first is due at `first`.
    Retries {
        from: i64,
        to: i64,
        first: Timestamp,
    },
    /// The retries to one group of a message that is to follow another from now on, each with its new date; without one
    /// it waits for the message before it.
    Followers(Vec<(i64, Option<Timestamp>)>),
}

/// When the closed retries of a message to one group may go if the message is sent as `send` from now on: each keeps its
/// distance from when the message before it was settled.
fn followers(
    c: &Connection,
    (id, message_no): (CampaignId, u32),
    group: &Group,
    send: &Send,
) -> Result<Vec<(i64, Option<Timestamp>)>> {
    Ok(c.prepare_cached(
        "SELECT r.seq, p.sent_at FROM retry r
         LEFT JOIN delivery p ON p.campaign_id = r.campaign_id AND p.message_no = r.message_no - 1 AND p.seq = r.seq
         WHERE r.campaign_id = ?1 AND r.message_no = ?2 AND r.seq >= ?3 AND r.seq < ?4 AND NOT r.open",
    )?
    .query_map((id.0, message_no, group.from_seq, group.to_seq), |r| {
        let settled: Option<i64> = r.get(1)?;
        Ok((r.get(0)?, settled.map(|at| send.due_after(&group.zones, time(at)))))
    })?
    .collect::<rusqlite::Result<_>>()?)
}

/// The parts that a stop closed of a campaign with something left in them.
fn closed(
    c: &Connection,
    id: CampaignId,
    groups: &[Group],
    messages: u32,
    changed: &BTreeMap<u32, Send>,
    now: Timestamp,
) -> Result<Vec<Closed<Part>>> {
    let rows: Vec<(i64, u32, String, i64, i64)> = c
        .prepare_cached(
            "SELECT w.id, w.message_no, g.zones, w.due_at, w.to_seq - w.next_seq
             FROM wave w JOIN audience_group g USING (campaign_id, grp)
             WHERE w.campaign_id = ?1 AND NOT w.open AND w.next_seq < w.to_seq ORDER BY w.message_no, w.from_seq",
        )?
        .query_map([id.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut closed = Vec::with_capacity(rows.len());
    for (wave, message_no, zones, due_at, remaining) in rows {
        let (part, zones) = (Part::Wave(WaveId(wave)), freeze::zone(&zones)?);
        closed.push(Closed { part, message_no, zones, due_at: time(due_at), remaining });
    }
    for message_no in 1..=messages {
        let follows = changed.get(&message_no).filter(|send| send.is_after());
        for group in groups {
            let (remaining, first): (i64, Option<i64>) = c
                .prepare_cached(
                    "SELECT count(*), min(due_at) FROM retry
                     WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4 AND NOT open",
                )?
                .query_row((id.0, message_no, group.from_seq, group.to_seq), |r| {
                    Ok((r.get(0)?, r.get(1)?))
                })?;
            if remaining > 0 {
                // A part that waits for the message before it has no date, and does not move any other part's.
                let first = first.map_or(now, time);
                let part = match follows {
                    Some(send) => Part::Followers(followers(c, (id, message_no), group, send)?),
                    None => Part::Retries { from: group.from_seq, to: group.to_seq, first },
                };
                let zones = group.zones.clone();
                closed.push(Closed { part, message_no, zones, due_at: first, remaining });
            }
        }
    }
    Ok(closed)
}

/// What the stop found under way must be accounted for first.
fn drained(c: &Connection, id: CampaignId) -> Result<()> {
    let under_way = c.prepare_cached("SELECT 1 FROM claim WHERE campaign_id = ?1")?.exists([id.0])?;
    if under_way { Err(StoreError::Busy) } else { Ok(()) }
}

fn rebuild(
    c: &Connection,
    id: CampaignId,
    changed: &BTreeMap<u32, Send>,
    now: Timestamp,
) -> Result<Vec<Rebuilt<Part>>> {
    let old = load(c, id)?;
    lifecycle::transition(old.definition.channel(), old.status, Cause::Act(Action::Restart))?;
    let groups = freeze::groups(c, id)?;
    let mut problems = Vec::new();
    for (n, send) in changed {
        let field = format!("messages[n={n}].send");
        if *n == 0 || *n as usize > old.definition.content.deliveries() {
            problems.push(Problem::new(field, format!("there is no message {n}")));
        } else if *n == 1 && send.is_after() {
            problems.push(Problem::new(field, wave::PlanError::FirstFollows));
        } else if let Err(e) = wave::check(send, &groups, now) {
            problems.push(Problem::new(field, e));
        }
    }
    Problem::none(problems)?;
    let sends = old.definition.content.sends();
    let closed = closed(c, id, &groups, sends.len() as u32, changed, now)?;
    let mut rebuilt = restart::rebuild(&closed, &sends, changed, now);
    for r in &mut rebuilt {
        if let Part::Followers(dates) = &r.part {
            r.due_at = dates.iter().filter_map(|(_, date)| *date).min().unwrap_or(now).max(now);
        }
    }
    Ok(rebuilt)
}

impl Store {
    /// What a restart would plan, by message.
    pub async fn restart_plan(
        &self,
        id: CampaignId,
        changed: BTreeMap<u32, Send>,
        now: Timestamp,
    ) -> Result<Vec<RebuiltMessage>> {
        self.read(move |c| {
            let mut messages: BTreeMap<u32, RebuiltMessage> = BTreeMap::new();
            for r in rebuild(c, id, &changed, now)? {
                // A part that waits for the message before it has no date of its own.
                let due_at = r.due_at.max(now);
                let m = messages.entry(r.message_no).or_insert(RebuiltMessage {
                    n: r.message_no,
                    remaining: 0,
                    first_due: due_at,
                    last_due: due_at,
                });
                m.remaining += r.remaining;
                m.first_due = m.first_due.min(due_at);
                m.last_due = m.last_due.max(due_at);
            }
            Ok(messages.into_values().collect())
        })
        .await
    }

    /// Restarts a stopped campaign with a rebuilt schedule. `include_failed` retries the messages that the SMSC
    /// refused.
    pub async fn restart(
        &self,
        id: CampaignId,
        changed: BTreeMap<u32, Send>,
        include_failed: bool,
        by: By,
    ) -> Result<Campaign> {
        if include_failed {
            // What is wrong with the restart is reported before anything is moved.
            self.restart_plan(id, changed.clone(), by.at).await?;
            let (store, now) = (self.clone(), by.at);
            tokio::task::spawn_blocking(move || store.set_failed_aside(id, now))
                .await
                .map_err(|e| StoreError::Database(e.to_string()))??;
        }
        self.change(id, move |c| {
            let now = by.at;
            drained(c, id)?;
            let rebuilt = rebuild(c, id, &changed, now)?;
            step(c, id, Cause::Act(Action::Restart), &by)?;
            c.execute("UPDATE campaign SET restarted_at = ?2 WHERE id = ?1", (id.0, ms(now)))?;
            c.execute("UPDATE wave SET open = 1 WHERE campaign_id = ?1", [id.0])?;
            // Recipients who were refused before the stop are tried as if for the first time.
            c.execute(
                "UPDATE retry SET open = 1, held = 0, refusals = 0, refused_at = NULL, parked = NULL WHERE campaign_id = ?1",
                [id.0],
            )?;
            for r in rebuilt {
                match r.part {
                    Part::Wave(wave) => {
                        c.prepare_cached("UPDATE wave SET due_at = ?2 WHERE id = ?1")?
                            .execute((wave.0, ms(r.due_at)))?;
                    }
                    Part::Followers(dates) => {
                        let mut redate = c.prepare_cached(
                            "UPDATE retry SET due_at = ?4 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
                        )?;
                        for (seq, date) in dates {
                            redate.execute((id.0, r.message_no, seq, date.map(ms)))?;
                        }
                    }
                    Part::Retries { from, to, first } => {
                        // The retries keep their distances, except for a message with a new time.
                        let anew = changed.contains_key(&r.message_no).then_some(ms(r.due_at));
                        let by = r.due_at.duration_since(first).as_millis() as i64;
                        c.prepare_cached(include_str!("sql/retries_restart.sql"))?.execute((
                            id.0,
                            r.message_no,
                            from,
                            to,
                            anew,
                            by,
                        ))?;
                    }
                }
            }
            if !changed.is_empty() {
                let mut d = load(c, id)?.definition;
                for (n, send) in &changed {
                    *d.content.send_mut(*n).ok_or(StoreError::NotFound("message"))? = send.clone();
                }
                let json = campaigns::encode(&d)?;
                c.execute("UPDATE campaign SET definition = ?2 WHERE id = ?1", (id.0, json))?;
            }
            dispatch::complete(c, id.0, ms(now))?;
            full(c, load(c, id)?)
        })
        .await
    }
}

impl Store {
    /// Sets failed deliveries beside what the stop left unsent, so that the restart takes them up with it: a few at a
    /// time, as a whole campaign may have failed and nobody else should wait for it. A restart that gets no further
    /// leaves them as Cancelled, and the next one takes them up.
    fn set_failed_aside(&self, id: CampaignId, now: Timestamp) -> Result<()> {
        loop {
            let moved = self.inner.writer.run_now(Lane::Bulk, move |c, effects| {
                let old = load(c, id)?;
                lifecycle::transition(old.definition.channel(), old.status, Cause::Act(Action::Restart))?;
                drained(c, id)?;
                effects.push(Effect::Told(Change::Campaign(id)));
                set_aside(c, id, now)
            })?;
            if moved < FAILED_TOGETHER {
                return Ok(());
            }
        }
    }
}

/// Moves some failed deliveries to the closed retries; returns how many. A text that failed in part is left alone: the
/// part that arrived would arrive again.
fn set_aside(c: &Connection, id: CampaignId, now: Timestamp) -> Result<usize> {
    let failed = Outcome::Failed;
    let rows: Vec<(u32, i64, Option<String>, i64, u32)> = c
        .prepare_cached(
            "SELECT message_no, seq, reason, changed_at, attempts FROM delivery WHERE campaign_id = ?1 AND outcome = ?2
             AND coalesce(detail, '') NOT LIKE 'partial%' LIMIT 2000",
        )?
        .query_map((id.0, failed.code()), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut deltas = Deltas::default();
    for (message, seq, reason, changed_at, attempts) in &rows {
        let reason = reason.as_deref().and_then(SkipReason::from_word);
        deltas.add(id.0, *message, failed, reason, *changed_at, -1);
        c.prepare_cached("DELETE FROM delivery WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
            .execute((id.0, message, seq))?;
        c.prepare_cached(
            "INSERT INTO retry (campaign_id, message_no, seq, due_at, attempts, open) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        )?
        .execute((id.0, message, seq, ms(now), attempts))?;
    }
    deltas.apply(c)?;
    Ok(rows.len())
}
