//! Replies: the parts of a long one put together, keywords carried out in the transaction that stores them.

use campaign::{
    CampaignId, Msisdn, RouteId,
    keyword::{self, Keyword},
};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use super::{Store, answer, campaigns, opt_out, settings, time, webhooks};
use crate::{AnswerRow, Level, OptOutScope, Part, Reply, ReplyFilter, ReplyRow, Result};

/// The word stored with a reply that is no keyword and reads like a no all the same.
const REFUSAL: &str = "refusal";
/// Stands where a part of a long reply never came.
const GAP: &str = "[...]";

/// What a reply changed.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) campaign: Option<CampaignId>,
    /// The purposes that the number is opted out of, where a keyword changed that.
    pub(super) held: Option<Vec<String>>,
}

/// Stores a reply with the campaign that last wrote to that number from that sender; a keyword takes
/// effect, and is answered, in the same transaction. A part of a long one waits for the others.
pub(super) fn hear(c: &Connection, reply: &Reply, now: i64) -> Result<Heard> {
    let Some(part) = reply.part else { return hear_whole(c, reply, now) };
    c.prepare_cached(
        "INSERT INTO reply_part VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?
    .execute((
        reply.number.digits(),
        &reply.sender,
        part.reference,
        part.total,
        part.number,
        reply.route.0,
        &reply.text,
        now,
    ))?;
    match join(c, reply, part)? {
        (text, true) => hear_whole(c, &Reply { text, part: None, ..reply.clone() }, now),
        (_, false) => Ok(Heard::default()),
    }
}

/// The text of the parts that are there, and whether these are all. If so they go.
fn join(c: &Connection, reply: &Reply, part: Part) -> Result<(String, bool)> {
    let key = (reply.number.digits(), &reply.sender, part.reference, part.total);
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
        drop_parts(c, reply, part)?;
    }
    Ok((text, whole))
}

fn drop_parts(c: &Connection, reply: &Reply, part: Part) -> Result<()> {
    c.prepare_cached(
        "DELETE FROM reply_part WHERE number = ?1 AND sender = ?2 AND reference = ?3 AND total = ?4",
    )?
    .execute((reply.number.digits(), &reply.sender, part.reference, part.total))?;
    Ok(())
}

/// Stores what came of long replies whose other parts did not come before `before`; answers whose opt-outs
/// that changed, and to what.
pub(super) fn close_parts(c: &Connection, before: i64, now: i64) -> Result<Vec<opt_out::Held>> {
    let old: Vec<(Reply, Part)> = c
        .prepare_cached(
            "SELECT number, sender, reference, total, min(route_id) FROM reply_part
             GROUP BY number, sender, reference, total HAVING max(at) < ?1",
        )?
        .query_map([before], |r| {
            let part = Part { reference: r.get(2)?, total: r.get(3)?, number: 1 };
            let number = Msisdn::from_digits(r.get(0)?);
            let route = RouteId(r.get(4)?);
            Ok((Reply { route, number, sender: r.get(1)?, text: String::new(), part: Some(part) }, part))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut keywords = Vec::new();
    for (reply, part) in old {
        let (text, _) = join(c, &reply, part)?;
        drop_parts(c, &reply, part)?;
        let number = reply.number;
        let heard = hear_whole(c, &Reply { text, part: None, ..reply }, now)?;
        keywords.extend(heard.held.map(|held| (number, held)));
    }
    Ok(keywords)
}

fn hear_whole(c: &Connection, reply: &Reply, now: i64) -> Result<Heard> {
    let number = reply.number.digits();
    let settings = settings::read(c)?;
    let keyword = keyword::find(&reply.text, settings.off(&reply.sender));
    let campaign: Option<i64> = c
        .prepare_cached("SELECT campaign_id FROM last_contact WHERE number = ?1 AND sender = ?2")?
        .query_row((number, &reply.sender), |r| r.get(0))
        .optional()?;
    let word = keyword.map(Keyword::word);
    let word = word.or_else(|| keyword::reads_like_refusal(&reply.text).then_some(REFUSAL));
    c.prepare_cached(
        "INSERT INTO reply (campaign_id, number, sender, text, keyword, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((campaign, number, &reply.sender, &reply.text, word, now))?;
    let id = c.last_insert_rowid();
    let held = match keyword {
        Some(Keyword::OptOut) => {
            let purpose = match (settings.opt_out_holds_for, campaign) {
                (OptOutScope::Purpose, Some(campaign)) => {
                    campaigns::load(c, CampaignId(campaign))?.definition.purpose
                }
                _ => None,
            };
            let channel = if settings.opt_out_holds_for == OptOutScope::Everything { "all" } else { "sms" };
            let scope = (channel, purpose.as_deref().unwrap_or_default());
            // Whoever is opted out and says so again was told already.
            if opt_out::add(c, reply.number, scope, "opted_out", now)? {
                answer::queue(c, id, reply, Keyword::OptOut, &settings, now)?;
            }
            Some(opt_out::purposes(c, reply.number)?)
        }
        // Lifts what a reply had set; a number that was blocked by a person stays blocked.
        Some(Keyword::OptIn) => {
            let lifted = c
                .prepare_cached("DELETE FROM suppression WHERE number = ?1 AND reason = 'opted_out'")?
                .execute([number])?;
            let held = opt_out::purposes(c, reply.number)?;
            if lifted > 0 && held.is_empty() {
                answer::queue(c, id, reply, Keyword::OptIn, &settings, now)?;
            }
            Some(held)
        }
        Some(Keyword::Help) => {
            answer::queue(c, id, reply, Keyword::Help, &settings, now)?;
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
            "text": reply.text, "keyword": word})
    })?;
    Ok(Heard { campaign: campaign.map(CampaignId), held })
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

    /// A page of the replies to a campaign, newest first.
    pub async fn replies(
        &self,
        campaign: CampaignId,
        filter: ReplyFilter,
        limit: u32,
    ) -> Result<Vec<ReplyRow>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT r.number, r.sender, r.text, r.keyword, r.at, a.text, a.state, r.id
                 FROM reply r LEFT JOIN answer a ON a.reply_id = r.id
                 WHERE r.campaign_id = ?1 AND r.id < ?2 AND (NOT ?3 OR r.keyword = 'refusal') ORDER BY r.id DESC LIMIT ?4",
            )?
            .query_map((campaign.0, filter.before.unwrap_or(i64::MAX), filter.refusals, limit), |r| {
                let text: Option<String> = r.get(5)?;
                let state: Option<String> = r.get(6)?;
                Ok(ReplyRow {
                    id: r.get(7)?,
                    number: Msisdn::from_digits(r.get(0)?).to_string(),
                    sender: r.get(1)?,
                    text: r.get(2)?,
                    keyword: r.get(3)?,
                    at: time(r.get(4)?),
                    answer: text.zip(state).map(|(text, state)| AnswerRow { text, state }),
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
