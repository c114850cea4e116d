//! What is still to come of a campaign that is scheduled or runs: the course of what is left of its waves.

use campaign::{
    CampaignId, Status,
    course::{self, Piece, Plan},
};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{Store, campaigns::load, forecast, freeze, ms, time};
use crate::{Outlook, Pace, Result};

struct WaveRow {
    id: i64,
    message: u32,
    group: usize,
    from: i64,
    to: i64,
    next: i64,
    settled: i64,
    due: Timestamp,
    waits: bool,
}

fn waves(c: &Connection, id: CampaignId) -> Result<Vec<WaveRow>> {
    Ok(c.prepare_cached(
        "SELECT id, message_no, grp, from_seq, to_seq, next_seq, settled_to, due_at, open AND NOT held FROM wave
         WHERE campaign_id = ?1 ORDER BY message_no, from_seq",
    )?
    .query_map([id.0], |r| {
        Ok(WaveRow {
            id: r.get(0)?,
            message: r.get(1)?,
            group: r.get::<_, i64>(2)? as usize,
            from: r.get(3)?,
            to: r.get(4)?,
            next: r.get(5)?,
            settled: r.get(6)?,
            due: time(r.get(7)?),
            waits: r.get(8)?,
        })
    })?
    .collect::<rusqlite::Result<_>>()?)
}

/// How far a wave was settled at which times, as far as its marks tell, oldest first.
fn marks(c: &Connection, wave: i64) -> Result<Vec<(Timestamp, i64)>> {
    Ok(c.prepare_cached("SELECT at, settled_to FROM wave_mark WHERE wave_id = ?1 ORDER BY at")?
        .query_map([wave], |r| Ok((time(r.get(0)?), r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?)
}

impl Store {
    /// What is still to come of a campaign, computed from where it stands at `now`, with a speech engine of this pace.
    pub async fn outlook(&self, id: CampaignId, pace: Option<Pace>, now: Timestamp) -> Result<Outlook> {
        self.read(move |c| {
            let campaign = load(c, id)?;
            if !matches!(campaign.status, Status::Scheduled | Status::Running) {
                return Ok(Outlook::default());
            }
            let d = campaign.definition;
            let groups = freeze::groups(c, id)?;
            let sends = d.content.sends();
            let all = waves(c, id)?;
            let mut pieces = Vec::new();
            let mut push = |w: &WaveRow, from: i64, to: i64, due: Timestamp| {
                let (from, to) = (from.max(w.next), to.min(w.to));
                if w.waits && from < to {
                    let due = due.max(w.due).max(now);
                    pieces.push(Piece { message: w.message, group: w.group, from, to, due, all_due: due });
                }
            };
            for w in all.iter().filter(|w| w.next < w.to) {
                if w.message == 1 {
                    push(w, w.from, w.to, w.due);
                    continue;
                }
                let send = &sends[w.message as usize - 1];
                let zones = &groups[w.group].zones;
                // Recipients whose previous message is settled follow it from that time; those whose previous message
                // is under way, from now; the others follow it in the course.
                for leader in all.iter().filter(|l| l.message + 1 == w.message && l.from < w.to && l.to > w.from) {
                    let mut from = leader.from;
                    for (at, settled) in marks(c, leader.id)? {
                        push(w, from, settled.min(leader.to), send.due_after(zones, at));
                        from = from.max(settled);
                    }
                    push(w, from, leader.settled, w.due);
                    push(w, from.max(leader.settled), leader.next, send.due_after(zones, now));
                }
            }
            let due = |message, _, from| {
                let wave = all.iter().rfind(|w| w.message == message && w.from <= from);
                wave.map_or(now, |w| w.due.max(now))
            };
            let each: Vec<f64> = d.content.units().into_iter().map(f64::from).collect();
            let rate = forecast::rate(c, &d, pace)?;
            let plan =
                Plan { sends: &sends, groups: &groups, window: d.window.as_ref(), rate, segments: &each, due: &due };
            let course = course::course(pieces, &plan);
            let retry: Option<i64> = c
                .prepare_cached(
                    "SELECT min(due_at) FROM retry WHERE campaign_id = ?1 AND open AND claim_id IS NULL AND due_at > ?2",
                )?
                .query_row((id.0, ms(now)), |r| r.get(0))?;
            let span = course.span();
            Ok(Outlook {
                next: span.map(|span| span.first).into_iter().chain(retry.map(time)).min(),
                last: span.map(|span| span.last),
                times: forecast::times(&course),
            })
        })
        .await
    }
}
