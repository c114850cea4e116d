//! Who opted out: suppressions, and the memory of what came in since the start, which is looked at
//! immediately before a message is written.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use campaign::Msisdn;
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::{Store, ms, webhooks};
use crate::{Level, Result};

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

/// Suppresses a number; says whether that is new.
pub(super) fn add(c: &Connection, number: Msisdn, channel: &str, reason: &str, now: i64) -> Result<bool> {
    let added = c
        .prepare_cached("INSERT INTO suppression VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute((number.digits(), channel, reason, now))?;
    Ok(added > 0)
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
        self.write(move |c| {
            if add(c, number, channel, reason, ms(now))? {
                webhooks::tell(
                    c,
                    Level::Person,
                    "person.blocked",
                    ms(now),
                    || json!({"number": number.to_string(), "channel": channel, "reason": reason}),
                )?;
            }
            Ok(())
        })
        .await?;
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
}
