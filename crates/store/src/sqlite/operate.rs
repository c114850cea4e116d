//! What moves a campaign: stop, adjust, release, archive.

use campaign::{
    Action, CampaignId, Send, Status, Transition,
    content::Stopped,
    lifecycle::{self, Cause, NotAllowed},
    wave,
};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::{
    Store, audit, calls,
    campaigns::{self, full, load},
    ms, spending, time, webhooks,
};
use crate::{By, Campaign, CampaignError, Change, Deed, Level, Problem, Result, StoreError};

/// Takes a campaign through a transition of the lifecycle table: the only way to change a status.
pub(super) fn step(c: &Connection, id: CampaignId, cause: Cause, by: &By) -> Result<Transition> {
    let now = ms(by.at);
    let old = load(c, id)?;
    let t = lifecycle::transition(old.definition.channel(), old.status, cause)?;
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

/// Adds a line to a campaign's history.
pub(super) fn note(c: &Connection, id: CampaignId, by: &By, cause: &str, status: Status) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO timeline (campaign_id, at, actor, cause, status) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((id.0, ms(by.at), &by.actor, cause, status.word()))?;
    Ok(())
}

/// Invalidates earlier choices: what a campaign may send has changed, so claims chosen before are void.
pub(super) fn reshape(c: &Connection, id: CampaignId) -> Result<()> {
    c.prepare_cached("UPDATE campaign SET epoch = epoch + 1 WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}

/// Closes everything that is open in a campaign: tens of rows, whatever its size.
fn close(c: &Connection, id: CampaignId) -> Result<()> {
    reshape(c, id)?;
    c.execute("UPDATE wave SET open = 0, held = 0 WHERE campaign_id = ?1 AND open", [id.0])?;
    c.execute("UPDATE retry SET open = 0, held = 0 WHERE campaign_id = ?1 AND open", [id.0])?;
    Ok(())
}

/// Ends a campaign that cannot go on: closed as by a stop, and final from here. One that has ended meanwhile stays as it
/// is.
pub(super) fn fail(c: &Connection, id: CampaignId, error: &CampaignError, by: &By) -> Result<()> {
    match step(c, id, Cause::Broken, by) {
        Ok(_) => {}
        Err(StoreError::NotAllowed(_)) => return Ok(()),
        Err(e) => return Err(e),
    }
    close(c, id)?;
    calls::keep_error(c, id, error)
}

impl Store {
    /// Stops a campaign: no more of it can be claimed once this returns. What is claimed already is for the engine to
    /// drain; see [`Store::is_draining`]. Returns how far that must have come before Stop is answered.
    pub async fn stop(&self, id: CampaignId, by: By) -> Result<Stopped> {
        self.change(id, move |c| {
            step(c, id, Cause::Act(Action::Stop), &by)?;
            close(c, id)?;
            Ok(load(c, id)?.definition.content.answers_stop())
        })
        .await
    }

    /// When the last part of a campaign that is not yet claimed comes due; none where nothing is left.
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

    /// Notes that the calls of a campaign that are up are ended by hand; its status stays.
    pub async fn note_hang_up(&self, id: CampaignId, by: By) -> Result<Campaign> {
        self.change(id, move |c| {
            let campaign = full(c, load(c, id)?)?;
            if !campaign.available_actions().contains(&Action::HangUp) {
                let (channel, status) = (campaign.definition.channel(), campaign.status);
                return Err(NotAllowed { channel, status, cause: Cause::Act(Action::HangUp) }.into());
            }
            note(c, id, &by, Action::HangUp.word(), campaign.status)?;
            audit::note(c, &by, Deed::CallsHungUp, id)?;
            Ok(campaign)
        })
        .await
    }

    /// Tells whoever listens that calls of a campaign go on differently: nothing of that is stored.
    pub fn calls_go_on(&self, id: CampaignId) {
        self.inner.news.tell(Change::Campaign(id));
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

    /// Releases what is held: behind a pilot, or for being late.
    pub async fn release(&self, id: CampaignId, by: By) -> Result<Campaign> {
        self.change(id, move |c| {
            step(c, id, Cause::Act(Action::Release), &by)?;
            reshape(c, id)?;
            spending::lift(c, id)?;
            c.execute(
                "UPDATE wave SET held = 0, due_at = max(due_at, ?2) WHERE campaign_id = ?1 AND held",
                (id.0, ms(by.at)),
            )?;
            c.execute(
                "UPDATE retry SET held = 0, due_at = max(due_at, ?2) WHERE campaign_id = ?1 AND held",
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
            lifecycle::transition(old.definition.channel(), old.status, Cause::Act(Action::Adjust))?;
            *old.definition.content.send_mut(n).ok_or(StoreError::NotFound("message"))? = send.clone();
            let sends = old.definition.content.sends();
            let groups = super::freeze::groups(c, id)?;
            // Only the changed message is checked against the clock; all due times come from planning anew.
            let problem = |e: wave::PlanError| StoreError::Invalid(vec![Problem::new("send", e)]);
            wave::check(&send, &groups, now).map_err(problem)?;
            let planned_at = old.scheduled_at.map_or(now, time);
            let plan_from = if n == 1 { now } else { planned_at };
            let waves = wave::plan(&groups, &sends, old.definition.window.as_ref(), plan_from).map_err(problem)?;
            let waves = super::freeze::pilot(&old.definition, waves);
            for w in waves.iter().filter(|w| w.message_no >= n) {
                c.prepare_cached(
                    "UPDATE wave SET due_at = ?4 WHERE campaign_id = ?1 AND message_no = ?2 AND from_seq = ?3",
                )?
                .execute((id.0, w.message_no, w.from_seq, ms(w.due_at)))?;
            }
            reshape(c, id)?;
            let json = campaigns::encode(&old.definition)?;
            c.execute("UPDATE campaign SET definition = ?2, version = version + 1 WHERE id = ?1", (id.0, json))?;
            super::freeze::starts(c, id)?;
            note(c, id, &by, "adjust", old.status)?;
            audit::note(c, &by, Deed::CampaignAdjusted, id)?;
            full(c, load(c, id)?)
        })
        .await
    }
}
