//! Who opted out: suppressions, replies with keywords, and the memory of what came in since the start,
//! which is looked at immediately before a message is written.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use campaign::{
    CampaignId, Msisdn,
    keyword::{self, Keyword},
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{Store, ms, time};
use crate::{Reply, ReplyRow, Result};

/// Numbers that were suppressed since this process opened the store. What was suppressed before is seen
/// by every claim; this closes the gap between a claim and its bytes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OptOuts(Arc<RwLock<HashSet<Msisdn>>>);

impl OptOuts {
    /// Whether nothing may be sent to `number` any more.
    pub fn contains(&self, number: Msisdn) -> bool {
        // A set that a panic interrupted is still a set.
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&number)
    }

    pub(super) fn set(&self, number: Msisdn, suppressed: bool) {
        let mut numbers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if suppressed {
            numbers.insert(number);
        } else {
            numbers.remove(&number);
        }
    }
}

/// What a reply changed.
pub(super) struct Heard {
    pub(super) campaign: Option<CampaignId>,
    /// The number's new state, where a keyword changed it.
    pub(super) suppressed: Option<bool>,
}

/// Stores a reply with the campaign that last wrote to that number from that sender; a keyword takes
/// effect in the same transaction.
pub(super) fn hear(c: &Connection, reply: &Reply, now: i64) -> Result<Heard> {
    let number = reply.number.digits();
    let keyword = keyword::find(&reply.text);
    let campaign: Option<i64> = c
        .prepare_cached("SELECT campaign_id FROM last_contact WHERE number = ?1 AND sender = ?2")?
        .query_row((number, &reply.sender), |r| r.get(0))
        .optional()?;
    c.prepare_cached(
        "INSERT INTO reply (campaign_id, number, sender, text, keyword, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((campaign, number, &reply.sender, &reply.text, keyword.map(Keyword::word), now))?;
    let suppressed = match keyword {
        Some(Keyword::OptOut) => {
            add(c, reply.number, "all", "opted_out", now)?;
            Some(true)
        }
        // Lifts what a reply had set; a number that was blocked by a person stays blocked.
        Some(Keyword::OptIn) => {
            c.prepare_cached("DELETE FROM suppression WHERE number = ?1 AND reason = 'opted_out'")?
                .execute([number])?;
            let blocked: bool = c
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM suppression WHERE number = ?1)")?
                .query_row([number], |r| r.get(0))?;
            Some(blocked)
        }
        Some(Keyword::Help) | None => None,
    };
    Ok(Heard { campaign: campaign.map(CampaignId), suppressed })
}

fn add(c: &Connection, number: Msisdn, channel: &str, reason: &str, now: i64) -> Result<()> {
    c.prepare_cached("INSERT INTO suppression VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?.execute((
        number.digits(),
        channel,
        reason,
        now,
    ))?;
    Ok(())
}

impl Store {
    /// Who opted out since this process began.
    pub fn opt_outs(&self) -> OptOuts {
        self.inner.opt_outs.clone()
    }

    /// Puts a number on the do-not-contact list of `channel` (sms, voice, all). When this answers, nothing
    /// more is written to it.
    pub async fn suppress(
        &self,
        number: Msisdn,
        channel: &'static str,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<()> {
        self.write(move |c| add(c, number, channel, reason, ms(now))).await?;
        if channel != "voice" {
            self.inner.opt_outs.set(number, true);
        }
        Ok(())
    }

    /// Lifts a suppression; says whether there was one.
    pub async fn unsuppress(&self, number: Msisdn, channel: &'static str) -> Result<bool> {
        let (there, left) = self
            .write(move |c| {
                let there = c.execute(
                    "DELETE FROM suppression WHERE number = ?1 AND channel = ?2",
                    (number.digits(), channel),
                )? > 0;
                let left = c
                    .prepare_cached(
                        "SELECT 1 FROM suppression WHERE number = ?1 AND channel IN ('sms', 'all')",
                    )?
                    .exists([number.digits()])?;
                Ok((there, left))
            })
            .await?;
        self.inner.opt_outs.set(number, left);
        Ok(there)
    }

    /// Replies to a campaign, newest first.
    pub async fn replies(&self, campaign: CampaignId, limit: u32) -> Result<Vec<ReplyRow>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT number, sender, text, keyword, at FROM reply WHERE campaign_id = ?1 ORDER BY id DESC LIMIT ?2",
            )?
            .query_map((campaign.0, limit), |r| {
                Ok(ReplyRow {
                    number: Msisdn::from_digits(r.get(0)?).to_string(),
                    sender: r.get(1)?,
                    text: r.get(2)?,
                    keyword: r.get(3)?,
                    at: time(r.get(4)?),
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
