//! What moves a campaign: stop, restart, adjust, release, archive, recovery; and what the engine reads.

use std::{collections::BTreeMap, sync::Arc};

use campaign::{
    Action, CampaignId, ClaimId, Msisdn, Outcome, Send, SkipReason, Status, Transition, WaveId,
    lifecycle::{self, Cause},
    restart::{self, ClosedWave, Rebuilt},
    wave,
};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::{
    Frozen, Store, answer, audit,
    campaigns::{self, active, full, load},
    dispatch::{self, Turn},
    home::COPIED,
    ms, pools,
    tally::Deltas,
    time, webhooks,
};
use crate::{
    Agenda, By, Campaign, Deed, Fate, Held, Level, Problem, RebuiltMessage, Result, Settled, StoreError,
    Wave, Work,
};

/// Takes a campaign through a transition of the lifecycle table: the only way to a status.
pub(super) fn step(c: &Connection, id: CampaignId, cause: Cause, by: &By) -> Result<Transition> {
    let now = ms(by.at);
    let old = load(c, id)?;
    let t = lifecycle::transition(old.definition.channel, old.status, cause)?;
    let archived_from = (t.to() == Status::Archived).then(|| t.from().word());
    c.prepare_cached(
        "UPDATE campaign SET status = ?2, archived_from = ?3, version = version + 1,
             scheduled_at = CASE WHEN ?2 = 'scheduled' THEN ?4 ELSE scheduled_at END,
             started_at = CASE WHEN ?2 = 'running' THEN coalesce(started_at, ?4) ELSE started_at END,
             finished_at = CASE WHEN ?2 IN ('stopped', 'completed', 'errored') THEN ?4
                                WHEN ?2 = 'running' THEN NULL ELSE finished_at END
         WHERE id = ?1",
    )?
    .execute((id.0, t.to().word(), archived_from, now))?;
    note(c, id, by, &cause.to_string(), t.to())?;
    if let Cause::Act(action) = cause {
        audit::note(c, by, action.into(), id)?;
    }
    webhooks::tell(c, Level::Campaign, &format!("campaign.{}", t.to().word()), now, || {
        json!({"campaign_id": id, "name": old.definition.name, "status": t.to().word(), "from": t.from().word(),
            "cause": cause.to_string(), "by": by.actor})
    })?;
    Ok(t)
}

/// A line in a campaign's history.
pub(super) fn note(c: &Connection, id: CampaignId, by: &By, cause: &str, status: Status) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO timeline (campaign_id, at, actor, cause, status) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((id.0, ms(by.at), &by.actor, cause, status.word()))?;
    Ok(())
}

/// Closes everything that is open of a campaign: tens of rows, whatever its size.
fn close(c: &Connection, id: CampaignId) -> Result<()> {
    c.execute("UPDATE campaign SET epoch = epoch + 1 WHERE id = ?1", [id.0])?;
    c.execute("UPDATE wave SET open = 0, held = 0 WHERE campaign_id = ?1 AND open", [id.0])?;
    c.execute("UPDATE retry SET open = 0 WHERE campaign_id = ?1 AND open", [id.0])?;
    Ok(())
}

fn closed_waves(c: &Connection, id: CampaignId) -> Result<Vec<ClosedWave>> {
    let rows: Vec<(i64, u32, String, i64, i64)> = c
        .prepare_cached(
            "SELECT w.id, w.message_no, g.zones, w.due_at, w.to_seq - w.next_seq
             FROM wave w JOIN audience_group g USING (campaign_id, grp)
             WHERE w.campaign_id = ?1 AND NOT w.open AND w.next_seq < w.to_seq ORDER BY w.message_no, w.from_seq",
        )?
        .query_map([id.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
        .collect::<rusqlite::Result<_>>()?;
    rows.into_iter()
        .map(|(id, message_no, zones, due_at, remaining)| {
            let zones = super::freeze::zone(&zones)?;
            Ok(ClosedWave { id: WaveId(id), message_no, zones, due_at: time(due_at), remaining })
        })
        .collect()
}

fn rebuild(
    c: &Connection,
    id: CampaignId,
    changed: &BTreeMap<u32, Send>,
    now: Timestamp,
) -> Result<Vec<Rebuilt>> {
    let old = load(c, id)?;
    lifecycle::transition(old.definition.channel, old.status, Cause::Act(Action::Restart))?;
    let groups = super::freeze::groups(c, id)?;
    let mut problems = Vec::new();
    for (n, send) in changed {
        let field = format!("messages[n={n}].send");
        if *n == 0 || *n as usize > old.definition.messages.len() {
            problems.push(Problem::new(field, format!("there is no message {n}")));
        } else if *n == 1 && send.is_after() {
            problems.push(Problem::new(field, wave::PlanError::FirstFollows));
        } else if let Err(e) = wave::check(send, &groups, now) {
            problems.push(Problem::new(field, e));
        }
    }
    Problem::none(problems)?;
    let sends: Vec<Send> = old.definition.messages.into_iter().map(|m| m.send).collect();
    Ok(restart::rebuild(&closed_waves(c, id)?, &sends, changed, now))
}

impl Store {
    /// Stops a campaign: nothing new can be claimed of it from this answer on. What is claimed already is
    /// the engine's to drain; see [`Store::is_draining`].
    pub async fn stop(&self, id: CampaignId, by: By) -> Result<()> {
        self.change(id, move |c| {
            step(c, id, Cause::Act(Action::Stop), &by)?;
            close(c, id)
        })
        .await
    }

    /// When the last part of a campaign that is not claimed yet comes due; none where nothing is left.
    pub async fn last_due(&self, id: CampaignId) -> Result<Option<Timestamp>> {
        self.read(move |c| {
            let last: Option<i64> = c
                .prepare_cached(
                    "SELECT max(due_at) FROM wave WHERE campaign_id = ?1 AND open AND next_seq < to_seq",
                )?
                .query_row([id.0], |r| r.get(0))?;
            Ok(last.map(time))
        })
        .await
    }

    /// Whether claims of the campaign are not yet accounted for.
    pub async fn is_draining(&self, id: CampaignId) -> Result<bool> {
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT 1 FROM claim WHERE campaign_id = ?1")?.exists([id.0])?)
        })
        .await
    }

    /// Archives a campaign; a Scheduled one is cancelled in the same transaction.
    pub async fn archive(&self, id: CampaignId, by: By) -> Result<Campaign> {
        if self.is_freezing(id) {
            return Err(StoreError::Busy);
        }
        self.change(id, move |c| {
            step(c, id, Cause::Act(Action::Archive), &by)?;
            close(c, id)?;
            full(c, load(c, id)?)
        })
        .await
    }

    /// Lets go what is held: behind a pilot, or for being late.
    pub async fn release(&self, id: CampaignId, by: By) -> Result<Campaign> {
        self.change(id, move |c| {
            step(c, id, Cause::Act(Action::Release), &by)?;
            c.execute(
                "UPDATE wave SET held = 0, due_at = max(due_at, ?2) WHERE campaign_id = ?1 AND held",
                (id.0, ms(by.at)),
            )?;
            full(c, load(c, id)?)
        })
        .await
    }

    /// Replaces the send schedule of one message of a Scheduled campaign.
    pub async fn adjust(&self, id: CampaignId, n: u32, send: Send, by: By) -> Result<Campaign> {
        self.change(id, move |c| {
            let now = by.at;
            let mut old = load(c, id)?;
            lifecycle::transition(old.definition.channel, old.status, Cause::Act(Action::Adjust))?;
            let at = n as usize;
            let Some(message) = at.checked_sub(1).and_then(|i| old.definition.messages.get_mut(i)) else {
                return Err(StoreError::NotFound("message"));
            };
            message.send = send;
            let sends: Vec<Send> = old.definition.messages.iter().map(|m| m.send.clone()).collect();
            let groups = super::freeze::groups(c, id)?;
            // Only the changed message is held against the clock; planning anew gives all their due times.
            let problem = |e: wave::PlanError| StoreError::Invalid(vec![Problem::new("send", e)]);
            wave::check(&sends[at - 1], &groups, now).map_err(problem)?;
            let planned_at = old.scheduled_at.map_or(now, time);
            let plan_from = if at == 1 { now } else { planned_at };
            let waves = wave::plan(&groups, &sends, old.definition.window.as_ref(), plan_from).map_err(problem)?;
            let waves = super::freeze::pilot(&old.definition, waves);
            for w in waves.iter().filter(|w| w.message_no >= n) {
                c.prepare_cached(
                    "UPDATE wave SET due_at = ?4 WHERE campaign_id = ?1 AND message_no = ?2 AND from_seq = ?3",
                )?
                .execute((id.0, w.message_no, w.from_seq, ms(w.due_at)))?;
            }
            let json = campaigns::encode(&old.definition)?;
            c.execute("UPDATE campaign SET definition = ?2, version = version + 1 WHERE id = ?1", (id.0, json))?;
            super::freeze::starts(c, id)?;
            note(c, id, &by, "adjust", old.status)?;
            audit::note(c, &by, Deed::CampaignAdjusted, id)?;
            full(c, load(c, id)?)
        })
        .await
    }

    /// What a restart would plan, per message.
    pub async fn restart_plan(
        &self,
        id: CampaignId,
        changed: BTreeMap<u32, Send>,
        now: Timestamp,
    ) -> Result<Vec<RebuiltMessage>> {
        self.read(move |c| {
            let mut messages: BTreeMap<u32, RebuiltMessage> = BTreeMap::new();
            for r in rebuild(c, id, &changed, now)? {
                let m = messages.entry(r.message_no).or_insert(RebuiltMessage {
                    n: r.message_no,
                    remaining: 0,
                    first_due: r.due_at,
                    last_due: r.due_at,
                });
                m.remaining += r.remaining;
                m.first_due = m.first_due.min(r.due_at);
                m.last_due = m.last_due.max(r.due_at);
            }
            Ok(messages.into_values().collect())
        })
        .await
    }

    /// Restarts a stopped campaign with a rebuilt schedule. `include_failed` tries those again that the
    /// SMSC refused.
    pub async fn restart(
        &self,
        id: CampaignId,
        changed: BTreeMap<u32, Send>,
        include_failed: bool,
        by: By,
    ) -> Result<Campaign> {
        self.change(id, move |c| {
            let now = by.at;
            if c.prepare_cached("SELECT 1 FROM claim WHERE campaign_id = ?1")?.exists([id.0])? {
                return Err(StoreError::Busy);
            }
            let rebuilt = rebuild(c, id, &changed, now)?;
            step(c, id, Cause::Act(Action::Restart), &by)?;
            c.execute("UPDATE campaign SET restarted_at = ?2 WHERE id = ?1", (id.0, ms(now)))?;
            for r in rebuilt {
                c.prepare_cached("UPDATE wave SET due_at = ?2 WHERE id = ?1")?.execute((r.id.0, ms(r.due_at)))?;
            }
            c.execute("UPDATE wave SET open = 1 WHERE campaign_id = ?1", [id.0])?;
            // A retry whose date has passed goes at once; one of a message with a new time, then.
            c.execute(
                "UPDATE retry SET open = 1, due_at = CASE WHEN due_at IS NULL THEN NULL ELSE max(due_at, ?2) END
                 WHERE campaign_id = ?1",
                (id.0, ms(now)),
            )?;
            if !changed.is_empty() {
                let mut d = load(c, id)?.definition;
                for (n, send) in &changed {
                    d.messages[*n as usize - 1].send = send.clone();
                }
                let json = campaigns::encode(&d)?;
                c.execute("UPDATE campaign SET definition = ?2 WHERE id = ?1", (id.0, json))?;
            }
            if include_failed {
                try_failed_again(c, id, ms(now))?;
            }
            dispatch::complete(c, id.0, ms(now))?;
            full(c, load(c, id)?)
        })
        .await
    }

    /// Settles claims whose worker is gone: what has neither a row nor a retry is In doubt. To be called
    /// before the engine's first turn, when no other engine works on this data.
    pub async fn recover(&self, worker: String, now: Timestamp) -> Result<u64> {
        self.write(move |c| {
            let mut turn = Turn::new(c, &worker, now)?;
            let orphans = orphans(c, &worker)?;
            turn.settle(&orphans, &[])?;
            // A campaign whose last result was stored just before the end.
            turn.touched.extend(active(c)?.into_iter().map(|id| id.0));
            turn.finish()?;
            answer::recover(c)?;
            Ok(orphans.len() as u64)
        })
        .await
    }

    /// Everything the engine may have to do.
    pub async fn agenda(&self) -> Result<Agenda> {
        let store = self.clone();
        self.read(move |c| {
            let campaigns = active(c)?.into_iter().map(|id| store.work_of(c, id)).collect::<Result<_>>()?;
            Ok(Agenda { campaigns, answers: answer::waiting(c)? })
        })
        .await
    }

    /// What the engine has to know of one campaign. Its definition is read once a version.
    fn work_of(&self, c: &Connection, id: CampaignId) -> Result<Work> {
        let (version, epoch, status, restarted_at): (i64, i64, String, Option<i64>) = c
            .prepare_cached("SELECT version, epoch, status, restarted_at FROM campaign WHERE id = ?1")?
            .query_row([id.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
        let known = self.frozen().get(&id).filter(|f| f.version == version).cloned();
        let frozen = if let Some(known) = known {
            known
        } else {
            let l = load(c, id)?;
            let senders = pools::of(c, id, &l.definition)?.ok_or(StoreError::NotFound("sender"))?;
            let (definition, senders) = (Arc::new(l.definition), Arc::new(senders));
            let fresh = Frozen { version, definition, senders, fields: l.fields.into() };
            self.frozen().insert(id, fresh.clone());
            fresh
        };
        let waves = c
            .prepare_cached(
                "SELECT w.id, w.message_no, g.zones, w.due_at, w.held, w.next_seq, w.to_seq
                 FROM wave w JOIN audience_group g USING (campaign_id, grp)
                 WHERE w.campaign_id = ?1 AND w.open AND w.next_seq < w.to_seq ORDER BY w.message_no, w.from_seq",
            )?
            .query_map([id.0], |r| {
                let zones: String = r.get(2)?;
                Ok(Wave {
                    id: WaveId(r.get(0)?),
                    message_no: r.get(1)?,
                    zones: Arc::from(zones),
                    due_at: time(r.get(3)?),
                    held: Held::from_code(r.get(4)?),
                    next_seq: r.get(5)?,
                    to_seq: r.get(6)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        let next_retry: Option<i64> = c
            .prepare_cached("SELECT min(due_at) FROM retry WHERE campaign_id = ?1 AND open AND claim_id IS NULL AND due_at IS NOT NULL")?
            .query_row([id.0], |r| r.get(0))?;
        Ok(Work {
            id,
            epoch,
            status: Status::from_word(&status).ok_or(StoreError::NotFound("status"))?,
            definition: frozen.definition,
            senders: frozen.senders,
            fields: frozen.fields,
            restarted_at: restarted_at.map(time),
            waves,
            next_retry: next_retry.map(time),
        })
    }

    /// When each route last had room to send.
    pub async fn routes_alive_at(&self) -> Result<BTreeMap<i64, Timestamp>> {
        self.read(|c| {
            Ok(c.prepare_cached("SELECT id, alive_at FROM route")?
                .query_map([], |r| Ok((r.get(0)?, time(r.get(1)?))))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// What claims of other workers leave open, In doubt: what has neither a row nor a retry, and retries that
/// were claimed.
fn orphans(c: &Connection, worker: &str) -> Result<Vec<Settled>> {
    Ok(c.prepare_cached(include_str!("sql/orphans.sql"))?
        .query_map([worker], |r| {
            let of_original = r.get_ref(6)?.as_str()? == COPIED;
            let words = if of_original {
                "unsent when this copy was adopted; the original may have sent it"
            } else {
                "the program ended before the answer was stored"
            };
            Ok(Settled {
                claim: ClaimId(r.get(0)?),
                campaign: CampaignId(r.get(1)?),
                message_no: r.get(2)?,
                seq: r.get(3)?,
                number: Msisdn::from_digits(r.get(4)?),
                sender: None,
                attempts: r.get(5)?,
                fate: Fate::Final {
                    outcome: Outcome::InDoubt,
                    reason: None,
                    code: None,
                    detail: Some(words.into()),
                    provider_ids: Vec::new(),
                    parts: 1,
                },
            })
        })?
        .collect::<rusqlite::Result<_>>()?)
}

fn try_failed_again(c: &Connection, id: CampaignId, now: i64) -> Result<()> {
    let failed = Outcome::Failed;
    let rows: Vec<(u32, i64, Option<String>, i64, u32)> = c
        .prepare_cached(
            "SELECT message_no, seq, reason, changed_at, attempts FROM delivery WHERE campaign_id = ?1 AND outcome = ?2
             AND coalesce(detail, '') NOT LIKE 'partial%'",
        )?
        .query_map((id.0, failed.code()), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut deltas = Deltas::default();
    for (message, seq, reason, changed_at, attempts) in rows {
        deltas.add(id.0, message, failed, reason.as_deref().and_then(SkipReason::from_word), changed_at, -1);
        c.prepare_cached("DELETE FROM delivery WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
            .execute((id.0, message, seq))?;
        c.prepare_cached("INSERT INTO retry (campaign_id, message_no, seq, due_at, attempts, open) VALUES (?1, ?2, ?3, ?4, ?5, 1)")?
            .execute((id.0, message, seq, now, attempts))?;
    }
    deltas.apply(c)
}
