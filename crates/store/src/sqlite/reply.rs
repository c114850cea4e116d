//! Replies: the parts of a long reply are joined, and keywords take effect in the transaction that stores them.

use campaign::{
    CampaignId, Channel, Msisdn, RouteId, SkipReason,
    keyword::{self, Keyword},
    msisdn::Country,
};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use super::{Store, answer, campaigns, opt_out, settings, time, webhooks};
use crate::{AnswerRow, Level, Part, Reply, ReplyFilter, ReplyRow, Result, Settings};

/// The word stored with a reply that is not a keyword but reads like a refusal.
const REFUSAL: &str = "refusal";
/// Stands for a part of a long reply that never came.
const GAP: &str = "[...]";

/// A reply whose number and sender are known.
pub(super) struct Mo {
    pub(super) route: RouteId,
    pub(super) number: Msisdn,
    /// The sender as the campaign has it; without a campaign, as it came.
    pub(super) sender: String,
    campaign: Option<i64>,
    text: String,
}

/// What a reply changed.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) campaign: Option<CampaignId>,
    /// What a number is barred from, where a keyword changed that.
    pub(super) held: Option<opt_out::Held>,
}

/// The country of numbers that come to a route without a country code: the route's own, otherwise the account's.
pub(super) fn country(c: &Connection, route: RouteId, settings: &Settings) -> Result<Option<Country>> {
    let of_route: Option<String> = c
        .prepare_cached("SELECT config ->> '$.country' FROM route WHERE id = ?1")?
        .query_row([route.0], |r| r.get(0))
        .optional()?
        .flatten();
    Ok(of_route.as_deref().or(settings.country.as_deref()).and_then(|code| code.parse().ok()))
}

/// Whom a reply is from and what it answers. Of all numbers that its address may mean: one that we wrote to from that
/// sender, otherwise one that we wrote to at all, otherwise the likeliest. None where it means no number.
fn identify(c: &Connection, reply: &Reply, settings: &Settings) -> Result<Option<Mo>> {
    let readings = reply.from.readings(country(c, reply.route, settings)?);
    let (mut known, mut answers) = (None, None);
    for number in &readings {
        let senders: Vec<(String, i64)> = c
            .prepare_cached(
                "SELECT sender, campaign_id FROM last_contact WHERE number = ?1 ORDER BY at DESC LIMIT 100",
            )?
            .query_map([number.digits()], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        if !senders.is_empty() {
            known = known.or(Some(*number));
        }
        let to = reply.to.text.trim_start_matches('+');
        let exact = senders.iter().find(|(sender, _)| sender == to);
        let found = exact.or_else(|| senders.iter().find(|(sender, _)| reply.to.is_like(sender)));
        if let Some((sender, campaign)) = found {
            answers = Some((*number, sender.clone(), *campaign));
            break;
        }
    }
    let to = reply.to.text.trim_start_matches('+').to_owned();
    let mo = |number, sender, campaign| Mo {
        route: reply.route,
        number,
        sender,
        campaign,
        text: reply.text.clone(),
    };
    Ok(match answers {
        Some((number, sender, campaign)) => Some(mo(number, sender, Some(campaign))),
        None => known.or(readings.first().copied()).map(|number| mo(number, to, None)),
    })
}

/// Stores a reply with the campaign that last wrote to that number from that sender; a keyword takes effect, and is
/// answered, in the same transaction. A part of a long reply waits for the others.
pub(super) fn hear(c: &Connection, reply: &Reply, now: i64) -> Result<Heard> {
    let settings = settings::read(c)?;
    let Some(mo) = identify(c, reply, &settings)? else {
        tracing::debug!(route = %reply.route, "a reply from no number was left out");
        return Ok(Heard::default());
    };
    let Some(part) = reply.part else { return hear_whole(c, &mo, &settings, now) };
    c.prepare_cached(
        "INSERT INTO reply_part VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?
    .execute((
        mo.number.digits(),
        &mo.sender,
        part.reference,
        part.total,
        part.number,
        mo.route.0,
        &mo.text,
        now,
    ))?;
    match join(c, &mo, part)? {
        (text, true) => hear_whole(c, &Mo { text, ..mo }, &settings, now),
        (_, false) => Ok(Heard::default()),
    }
}

/// The text of the parts that have come, and whether they are all; if so they are deleted.
fn join(c: &Connection, mo: &Mo, part: Part) -> Result<(String, bool)> {
    let key = (mo.number.digits(), &mo.sender, part.reference, part.total);
    let there: Vec<(u8, String)> = c
        .prepare_cached(
            "SELECT part, text FROM reply_part
             WHERE number = ?1 AND sender = ?2 AND reference = ?3 AND total = ?4 ORDER BY part",
        )?
        .query_map(key, |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let whole = there.len() == usize::from(part.total);
    let text = (1..=part.total)
        .map(|n| there.iter().find(|(at, _)| *at == n).map_or(GAP, |(_, text)| text))
        .collect();
    if whole {
        drop_parts(c, mo, part)?;
    }
    Ok((text, whole))
}

fn drop_parts(c: &Connection, mo: &Mo, part: Part) -> Result<()> {
    c.prepare_cached(
        "DELETE FROM reply_part WHERE number = ?1 AND sender = ?2 AND reference = ?3 AND total = ?4",
    )?
    .execute((mo.number.digits(), &mo.sender, part.reference, part.total))?;
    Ok(())
}

/// Stores what came of long replies whose other parts did not come before `before`; returns the numbers whose opt-outs
/// changed, and what each is barred from now.
pub(super) fn close_parts(c: &Connection, before: i64, now: i64) -> Result<Vec<opt_out::Held>> {
    let settings = settings::read(c)?;
    let old: Vec<(Mo, Part)> = c
        .prepare_cached(
            "SELECT p.number, p.sender, p.reference, p.total, min(p.route_id), l.campaign_id
             FROM reply_part p LEFT JOIN last_contact l USING (number, sender)
             GROUP BY p.number, p.sender, p.reference, p.total HAVING max(p.at) < ?1",
        )?
        .query_map([before], |r| {
            let part = Part { reference: r.get(2)?, total: r.get(3)?, number: 1 };
            let (number, route) = (Msisdn::from_digits(r.get(0)?), RouteId(r.get(4)?));
            Ok((Mo { route, number, sender: r.get(1)?, campaign: r.get(5)?, text: String::new() }, part))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut keywords = Vec::new();
    for (mo, part) in old {
        let (text, _) = join(c, &mo, part)?;
        drop_parts(c, &mo, part)?;
        keywords.extend(hear_whole(c, &Mo { text, ..mo }, &settings, now)?.held);
    }
    Ok(keywords)
}

fn hear_whole(c: &Connection, reply: &Mo, settings: &Settings, now: i64) -> Result<Heard> {
    let (number, campaign) = (reply.number.digits(), reply.campaign);
    let keyword = keyword::find(&reply.text, settings.off(&reply.sender));
    let word = keyword.map(Keyword::word);
    let word = word.or_else(|| keyword::reads_like_refusal(&reply.text).then_some(REFUSAL));
    c.prepare_cached(
        "INSERT INTO reply (campaign_id, number, sender, text, keyword, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((campaign, number, &reply.sender, &reply.text, word, now))?;
    let id = c.last_insert_rowid();
    let held = match keyword {
        Some(Keyword::OptOut) => {
            let purpose = match campaign {
                Some(campaign) => campaigns::load(c, CampaignId(campaign))?.definition.purpose,
                None => None,
            };
            let purpose = purpose.unwrap_or_default();
            let (barred, purpose) = settings.opt_out_holds_for.of(Channel::Sms, &purpose);
            let scope = (barred.word(), purpose);
            // A person who has opted out and says so again was told already.
            if opt_out::add(c, reply.number, scope, SkipReason::OptedOut.word(), now)? {
                answer::queue(c, id, reply, Keyword::OptOut, settings, now)?;
            }
            Some(opt_out::bars(c, reply.number)?)
        }
        // Lifts what a reply had set; a number that was blocked by hand stays blocked.
        Some(Keyword::OptIn) => {
            let lifted = opt_out::opt_in(c, reply.number)?;
            let held = opt_out::bars(c, reply.number)?;
            if lifted && held.is_empty() {
                answer::queue(c, id, reply, Keyword::OptIn, settings, now)?;
            }
            Some(held)
        }
        Some(Keyword::Help) => {
            answer::queue(c, id, reply, Keyword::Help, settings, now)?;
            None
        }
        None => None,
    };
    let kind = match keyword {
        Some(Keyword::OptOut) => "person.opted_out",
        Some(Keyword::OptIn) => "person.opted_in",
        Some(Keyword::Help) | None => "person.replied",
    };
    webhooks::tell(c, Level::Person, kind, now, || {
        json!({"campaign_id": campaign.map(CampaignId), "number": reply.number.to_string(), "sender": reply.sender,
            "text": reply.text, "keyword": word, "matched": campaign.is_some()})
    })?;
    Ok(Heard { campaign: campaign.map(CampaignId), held: held.map(|held| (reply.number, held)) })
}

impl Store {
    /// How many replies a campaign has.
    pub async fn reply_count(&self, campaign: CampaignId) -> Result<i64> {
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT count(*) FROM reply WHERE campaign_id = ?1")?
                .query_row([campaign.0], |r| r.get(0))?)
        })
        .await
    }

    /// A page of the replies to a campaign, or of all replies, newest first.
    pub async fn replies(
        &self,
        campaign: impl Into<Option<CampaignId>>,
        filter: ReplyFilter,
        limit: u32,
    ) -> Result<Vec<ReplyRow>> {
        let campaign = campaign.into();
        self.read(move |c| {
            let which = match campaign {
                Some(_) => "r.campaign_id = ?1",
                None if filter.unmatched => "r.campaign_id IS NULL AND ?1 IS NULL",
                None => "?1 IS NULL",
            };
            Ok(c.prepare_cached(&format!(
                "SELECT r.number, r.sender, r.text, r.keyword, r.at, a.text, a.state, r.id, r.campaign_id
                 FROM reply r LEFT JOIN answer a ON a.reply_id = r.id
                 WHERE {which} AND r.id < ?2 AND (NOT ?3 OR r.keyword = 'refusal') ORDER BY r.id DESC LIMIT ?4",
            ))?
            .query_map(
                (campaign.map(|c| c.0), filter.before.unwrap_or(i64::MAX), filter.refusals, limit),
                |r| {
                    let text: Option<String> = r.get(5)?;
                    let state: Option<String> = r.get(6)?;
                    let campaign: Option<i64> = r.get(8)?;
                    Ok(ReplyRow {
                        id: r.get(7)?,
                        campaign_id: campaign.map(CampaignId),
                        matched: campaign.is_some(),
                        number: Msisdn::from_digits(r.get(0)?).to_string(),
                        sender: r.get(1)?,
                        text: r.get(2)?,
                        keyword: r.get(3)?,
                        at: time(r.get(4)?),
                        answer: text.zip(state).map(|(text, state)| AnswerRow { text, state }),
                    })
                },
            )?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
