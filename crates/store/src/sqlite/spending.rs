//! What calls cost: forecast from the script, billed as they end, and held to the campaign's budget.
//!
//! A call begins as long as what was billed, with a longest call for each that is up, leaves some of the budget: it is
//! passed by less than one call. Once it is spent, a person may release the rest. A talk with an agent may outlast a longest
//! call by hours: how long is for them to say, so it is counted as one while it goes on and billed whole when it ends.

use std::collections::HashMap;

use campaign::{
    CampaignId,
    content::Voice,
    money::Money,
    script::{LONGEST_CALL, Prompt, Span},
};
use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension};

use super::forecast;
use crate::{Definition, Result, RouteKind, SipConfig};

/// Characters that a voice says in a second, as an estimate before a text is rendered.
const CHARACTERS_A_SECOND: i64 = 14;

/// The trunk of a campaign of calls.
fn trunk(c: &Connection, d: &Definition) -> Result<Option<SipConfig>> {
    Ok(forecast::route(c, d)?.and_then(|route| match route.kind {
        RouteKind::Sip(sip) => Some(*sip),
        RouteKind::Smpp(_) => None,
    }))
}

/// How long a call lasts that is heard out. What is said is estimated by its length.
pub(super) fn span(c: &Connection, voice: &Voice) -> Result<Option<Span>> {
    let Some(script) = &voice.script else { return Ok(None) };
    let mut uploads = HashMap::new();
    for (_, id) in script.uploads() {
        let seconds: Option<f64> = c
            .prepare_cached("SELECT seconds FROM audio WHERE id = ?1")?
            .query_row([id.0], |r| r.get(0))
            .optional()?;
        uploads.insert(id, SignedDuration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or(LONGEST_CALL));
    }
    let length = |prompt: &Prompt| match prompt {
        Prompt::Say { text, .. } => {
            SignedDuration::from_secs(text.chars().count() as i64 / CHARACTERS_A_SECOND + 1)
        }
        Prompt::Play(id) => uploads.get(id).copied().unwrap_or_default(),
    };
    Ok(Some(script.span(&length, LONGEST_CALL)))
}

/// What `calls` calls cost at least and at most, all answered; none where the trunk has no price.
pub(super) fn cost(c: &Connection, d: &Definition, calls: i64) -> Result<Option<(Money, Money)>> {
    let (Some(voice), Some(trunk)) = (d.content.calls(), trunk(c, d)?) else { return Ok(None) };
    let (Some(price), Some(span)) = (trunk.price_per_minute, span(c, voice)?) else { return Ok(None) };
    let of = |each: SignedDuration| price.for_seconds(trunk.billed(each.as_secs())).times(calls);
    Ok(Some((of(span.least), of(span.most))))
}

/// Begins to count what the calls of a campaign cost.
pub(super) fn begin(c: &Connection, id: CampaignId, d: &Definition) -> Result<()> {
    let (Some(voice), Some(trunk)) = (d.content.calls(), trunk(c, d)?) else { return Ok(()) };
    let longest = span(c, voice)?.map_or(LONGEST_CALL, |span| span.most).as_secs();
    let budget = d.max_cost.zip(trunk.price_per_minute).and_then(|(most, price)| most.buys(price));
    c.execute(
        "INSERT OR REPLACE INTO spending VALUES (?1, 0, ?2, ?3, ?4, 0)",
        (id.0, budget, trunk.increment_seconds.max(1), trunk.billed(longest)),
    )?;
    Ok(())
}

/// Bills calls of a campaign that were talked on for so many seconds each.
pub(super) fn bill(c: &Connection, id: CampaignId, talks: &[u32]) -> Result<()> {
    let increment: Option<i64> = c
        .prepare_cached("SELECT increment FROM spending WHERE campaign_id = ?1")?
        .query_row([id.0], |r| r.get(0))
        .optional()?;
    let Some(increment) = increment.filter(|increment| *increment > 0) else { return Ok(()) };
    // The second that was begun counts.
    let billed: i64 = talks.iter().map(|talk| increment * ((i64::from(*talk) + increment) / increment)).sum();
    c.prepare_cached("UPDATE spending SET billed = billed + ?2 WHERE campaign_id = ?1")?
        .execute((id.0, billed))?;
    Ok(())
}

/// Bills calls of a campaign that are in doubt: nobody knows how long they went on, so each as a longest one.
pub(super) fn bill_doubts(c: &Connection, id: CampaignId, calls: i64) -> Result<()> {
    c.prepare_cached("UPDATE spending SET billed = billed + longest * ?2 WHERE campaign_id = ?1")?
        .execute((id.0, calls))?;
    Ok(())
}

/// How many calls may be up at once as far as a campaign's budget goes; none where it has none, or a person has released
/// it.
pub(super) fn affordable(c: &Connection, id: CampaignId) -> Result<Option<u32>> {
    let left: Option<(i64, i64)> = c
        .prepare_cached(
            "SELECT budget - billed, longest FROM spending
             WHERE campaign_id = ?1 AND budget IS NOT NULL AND NOT lifted",
        )?
        .query_row([id.0], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let calls = |(left, longest): (i64, i64)| {
        let longest = longest.max(1);
        (left.max(0).saturating_add(longest - 1) / longest).try_into().unwrap_or(u32::MAX)
    };
    Ok(left.map(calls))
}

/// Releases what the budget of a campaign holds.
pub(super) fn lift(c: &Connection, id: CampaignId) -> Result<()> {
    c.execute("UPDATE spending SET lifted = 1 WHERE campaign_id = ?1 AND billed >= budget", [id.0])?;
    Ok(())
}
