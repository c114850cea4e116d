//! Calls: each that was made is kept with its delivery, and counted by the steps that it came to.

use std::collections::{BTreeMap, HashMap};

use campaign::{CampaignId, SkipReason, retry::Called, script::StepId};
use rusqlite::{Connection, OptionalExtension};

use super::{
    Store,
    campaigns::{Loaded, load},
    dispatch::Turn,
    opt_out, spending,
};
use crate::{CallEnded, CallOptOut, CallRow, CampaignError, Cursor, Result, StepCount, StoreError};

/// The most calls of one person that are kept: more than any rule of calling again allows, with what the trunk put back.
const CALLS_KEPT: i64 = 100;

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Database(e.to_string()))
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| StoreError::Database(e.to_string()))
}

/// The calls to one person that count under the rules of calling again, in order.
pub(super) fn counted(c: &Connection, campaign: CampaignId, seq: i64) -> Result<Vec<campaign::retry::Call>> {
    let rows: Vec<(String, bool)> = c
        .prepare_cached(
            "SELECT called, goal FROM call WHERE campaign_id = ?1 AND seq = ?2 AND called IS NOT NULL ORDER BY n",
        )?
        .query_map((campaign.0, seq), |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let known = |(word, goal): (String, bool)| {
        Some(campaign::retry::Call { called: Called::from_word(&word)?, goal })
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

impl Turn<'_> {
    /// Keeps calls that have ended, and counts the steps that they came to.
    pub(super) fn keep_calls(&mut self, calls: &[CallEnded]) -> Result<()> {
        let mut talks: BTreeMap<CampaignId, Vec<u32>> = BTreeMap::new();
        let mut reached: BTreeMap<(CampaignId, &str, &str), i64> = BTreeMap::new();
        for call in calls {
            let CallEnded { campaign, seq, counts, row, steps } = call;
            self.touched.insert(campaign.0);
            if let Some(talk) = row.talk_seconds {
                talks.entry(*campaign).or_default().push(talk);
            }
            if row.ring_seconds.is_none() && row.talk_seconds.is_none() {
                self.unnote(*campaign, 1, *seq)?;
            }
            let before: i64 = self
                .c
                .prepare_cached("SELECT coalesce(max(n), 0) FROM call WHERE campaign_id = ?1 AND seq = ?2")?
                .query_row((campaign.0, seq), |r| r.get(0))?;
            if before < CALLS_KEPT {
                self.c.prepare_cached("INSERT INTO call VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
                    campaign.0,
                    seq,
                    before + 1,
                    counts.map(|call| call.called.word()),
                    counts.is_some_and(|call| call.goal),
                    json(row)?,
                ))?;
            }
            for (step, branch) in steps {
                *reached
                    .entry((*campaign, step.as_str(), branch.as_deref().unwrap_or_default()))
                    .or_default() += 1;
            }
        }
        for (campaign, talks) in talks {
            spending::bill(self.c, campaign, &talks)?;
        }
        for ((campaign, step, branch), count) in reached {
            self.c
                .prepare_cached(
                    "INSERT INTO step_tally VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET count = count + excluded.count",
                )?
                .execute((campaign.0, step, branch, count))?;
        }
        Ok(())
    }

    /// Stores the opt-outs of people who pressed the key. Returns what their numbers are barred from.
    pub(super) fn opt_out_by_key(&mut self, opt_outs: &[CallOptOut]) -> Result<Vec<opt_out::Held>> {
        let mut held = Vec::with_capacity(opt_outs.len());
        for CallOptOut { campaign, number } in opt_outs {
            let known = self.know(*campaign)?;
            let d = &known.definition;
            let (barred, purpose) = self.settings()?.opt_out_holds_for.of(d.channel(), d.purpose());
            let reason = SkipReason::OptedOut.word();
            opt_out::add(self.c, *number, (barred.word(), purpose), reason, self.now)?;
            held.push((*number, opt_out::bars(self.c, *number)?));
        }
        Ok(held)
    }
}

/// How often calls came to each step of a campaign's script, in the order of the steps' names.
pub(super) fn steps(c: &Connection, l: &Loaded) -> Result<Vec<StepCount>> {
    let Some(voice) = l.definition.content.calls() else { return Ok(Vec::new()) };
    let none = |id: &StepId| StepCount { id: id.to_string(), reached: 0, branches: BTreeMap::new() };
    let script = voice.script.iter().flat_map(|script| script.steps.keys());
    let mut steps: BTreeMap<String, StepCount> = script.map(|id| (id.to_string(), none(id))).collect();
    let mut statement =
        c.prepare_cached("SELECT step, branch, count FROM step_tally WHERE campaign_id = ?1")?;
    let mut rows = statement.query([l.id.0])?;
    while let Some(r) = rows.next()? {
        let (id, branch, count): (String, String, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
        if let Some(step) = steps.get_mut(&id) {
            if branch.is_empty() {
                step.reached = count;
            } else {
                step.branches.insert(branch, count);
            }
        }
    }
    Ok(steps.into_values().collect())
}

/// Keeps why a campaign could not go on.
pub(super) fn keep_error(c: &Connection, id: CampaignId, error: &CampaignError) -> Result<()> {
    c.prepare_cached("INSERT OR REPLACE INTO campaign_error VALUES (?1, ?2)")?
        .execute((id.0, json(error)?))?;
    Ok(())
}

impl Store {
    /// The calls of each of these deliveries, in order; deliveries without any are left out. None where the campaign makes
    /// no calls.
    pub async fn calls(
        &self,
        id: CampaignId,
        deliveries: Vec<Cursor>,
    ) -> Result<Option<HashMap<Cursor, Vec<CallRow>>>> {
        self.read(move |c| {
            if load(c, id)?.definition.content.calls().is_none() {
                return Ok(None);
            }
            let mut all = HashMap::new();
            for delivery in deliveries {
                let rows: Vec<String> = c
                    .prepare_cached("SELECT row FROM call WHERE campaign_id = ?1 AND seq = ?2 ORDER BY n")?
                    .query_map((id.0, delivery.seq), |r| r.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                if !rows.is_empty() {
                    let rows: Result<Vec<CallRow>> = rows.iter().map(|row| read(row)).collect();
                    all.insert(delivery, rows?);
                }
            }
            Ok(Some(all))
        })
        .await
    }

    /// Why a campaign could not go on; none where it could.
    pub async fn campaign_error(&self, id: CampaignId) -> Result<Option<CampaignError>> {
        self.read(move |c| {
            load(c, id)?;
            let json: Option<String> = c
                .prepare_cached("SELECT error FROM campaign_error WHERE campaign_id = ?1")?
                .query_row([id.0], |r| r.get(0))
                .optional()?;
            json.map(|json| read(&json)).transpose()
        })
        .await
    }
}
