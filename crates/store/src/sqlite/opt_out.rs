//! Who opted out: suppressions, and the memory of what came in since the start, which is looked at
//! immediately before a message is written.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use campaign::{Msisdn, SkipReason};
use rusqlite::Connection;
use serde_json::json;

use super::{Store, audit, ms, webhooks, writer::Effect};
use crate::{Barred, By, Deed, Level, Result};

/// Numbers that were suppressed since this process opened the store, and the purposes that this holds for. What
/// was suppressed before is seen by every claim; this closes the gap between a claim and its bytes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OptOuts(Arc<RwLock<HashMap<Msisdn, Vec<String>>>>);

impl OptOuts {
    /// Whether nothing may be sent to `number` any more that is for `purpose`; an empty one is not said.
    pub fn contains(&self, number: Msisdn, purpose: &str) -> bool {
        // A map that a panic interrupted is still a map.
        let numbers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        numbers
            .get(&number)
            .is_some_and(|held| held.iter().any(|p| p.is_empty() || purpose.is_empty() || p == purpose))
    }

    pub(super) fn set(&self, number: Msisdn, purposes: Vec<String>) {
        let mut numbers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if purposes.is_empty() {
            numbers.remove(&number);
        } else {
            numbers.insert(number, purposes);
        }
    }
}

/// A number, and the purposes that no SMS may go to it for.
pub(super) type Held = (Msisdn, Vec<String>);

/// Suppresses a number on a channel (sms, voice, all), for a purpose or, where that is empty, for every one; says
/// whether that is new. Each reason stands by itself, so that lifting one leaves the others.
pub(super) fn add(
    c: &Connection,
    number: Msisdn,
    (channel, purpose): (&str, &str),
    reason: &str,
    now: i64,
) -> Result<bool> {
    let added = c
        .prepare_cached("INSERT INTO suppression VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
        .execute((number.digits(), channel, purpose, reason, now))?;
    Ok(added > 0)
}

/// The purposes that no SMS may go to a number for; an empty one: for none.
pub(super) fn purposes(c: &Connection, number: Msisdn) -> Result<Vec<String>> {
    Ok(c.prepare_cached(
        "SELECT DISTINCT purpose FROM suppression WHERE number = ?1 AND channel IN ('sms', 'all')",
    )?
    .query_map([number.digits()], |r| r.get(0))?
    .collect::<rusqlite::Result<_>>()?)
}

impl Store {
    /// Who opted out since this process began.
    pub fn opt_outs(&self) -> OptOuts {
        self.inner.opt_outs.clone()
    }

    /// Puts a number on the do-not-contact list for a reason, beside any other that it is there for. When this
    /// answers, nothing more is written to it.
    pub async fn suppress(&self, number: Msisdn, barred: Barred, reason: &'static str, by: By) -> Result<()> {
        let now = by.at;
        self.write_begun(move |c, effects| {
            if add(c, number, (barred.word(), ""), reason, ms(now))? {
                audit::note(c, &by, Deed::NumberBlocked, number)?;
                webhooks::tell(
                    c,
                    Level::Person,
                    "person.blocked",
                    ms(now),
                    || json!({"number": number.to_string(), "channel": barred, "reason": reason}),
                )?;
            }
            effects.push(Effect::OptOuts(number, purposes(c, number)?));
            Ok(())
        })
        .await
    }

    /// Lifts what a number is on the do-not-contact list for, one reason alone: a block is the operator's to lift, an
    /// opt-out only the person's ([`opt_in`]). Says whether there was such a row.
    pub async fn unsuppress(
        &self,
        number: Msisdn,
        barred: Barred,
        reason: &'static str,
        by: By,
    ) -> Result<bool> {
        self.write_begun(move |c, effects| {
            let there = c.execute(
                "DELETE FROM suppression WHERE number = ?1 AND channel = ?2 AND reason = ?3",
                (number.digits(), barred.word(), reason),
            )? > 0;
            if there {
                audit::note(c, &by, Deed::BlockLifted, number)?;
            }
            effects.push(Effect::OptOuts(number, purposes(c, number)?));
            Ok(there)
        })
        .await
    }
}

/// The person asked to be written to again: their own opt-outs are lifted, a block by the operator stays. Says whether
/// there were any.
pub(super) fn opt_in(c: &Connection, number: Msisdn) -> Result<bool> {
    let lifted = c
        .prepare_cached("DELETE FROM suppression WHERE number = ?1 AND reason = ?2")?
        .execute((number.digits(), SkipReason::OptedOut.word()))?;
    Ok(lifted > 0)
}
