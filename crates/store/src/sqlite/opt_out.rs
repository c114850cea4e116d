//! Who opted out: suppressions, and the memory of the latest ones, which is looked at immediately before a message is
//! written.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use campaign::{Channel, Msisdn, SkipReason};
use rusqlite::Connection;
use serde_json::json;

use super::{Store, audit, ms, webhooks, writer::Effect};
use crate::{Barred, By, Deed, Level, Result};

/// How long a number is kept in memory at least: claims made since its suppression was stored have seen it, and one that
/// was made before is written or put back within seconds (the lease of a claim, the last part of a long text).
const KEPT: Duration = Duration::from_secs(30 * 60);

/// Numbers that were suppressed lately, and what this holds for. Every claim sees what was suppressed before it; this closes
/// the gap between a claim and its bytes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OptOuts(Arc<RwLock<Generations>>);

/// What was suppressed in this period and in the one before: memory is bounded by what can happen within two of them.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Msisdn, Vec<Bar>>,
    old: HashMap<Msisdn, Vec<Bar>>,
    /// When `young` began.
    since: Option<Instant>,
}

impl Generations {
    fn set(&mut self, number: Msisdn, bars: Vec<Bar>, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= KEPT {
            self.old = mem::take(&mut self.young);
            self.since = Some(now);
        }
        self.old.remove(&number);
        if bars.is_empty() {
            self.young.remove(&number);
        } else {
            self.young.insert(number, bars);
        }
    }

    fn of(&self, number: Msisdn) -> Option<&Vec<Bar>> {
        self.young.get(&number).or_else(|| self.old.get(&number))
    }
}

impl OptOuts {
    /// Whether nothing for `purpose` may go to `number` over `channel` any more; an empty purpose is not stated.
    pub fn contains(&self, number: Msisdn, channel: Channel, purpose: &str) -> bool {
        // A map is whole even after a panic.
        let numbers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let bars = |(barred, p): &Bar| {
            barred.covers(channel) && (p.is_empty() || purpose.is_empty() || p == purpose)
        };
        numbers.of(number).is_some_and(|held| held.iter().any(bars))
    }

    pub(super) fn set(&self, number: Msisdn, bars: Vec<Bar>) {
        let mut numbers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        numbers.set(number, bars, Instant::now());
    }
}

/// What a number is barred from, and for which purpose; empty: for every purpose.
pub(super) type Bar = (Barred, String);

/// A number, and everything that it is barred from.
pub(super) type Held = (Msisdn, Vec<Bar>);

/// Suppresses a number on a channel (sms, voice, all) for a purpose, or for every purpose where that is empty; returns
/// whether this is new. Each reason is kept separately, so that lifting one leaves the others.
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

/// Everything that a number is barred from.
pub(super) fn bars(c: &Connection, number: Msisdn) -> Result<Vec<Bar>> {
    let mut statement =
        c.prepare_cached("SELECT DISTINCT channel, purpose FROM suppression WHERE number = ?1")?;
    let rows = statement.query_map([number.digits()], |r| Ok((r.get::<_, String>(0)?, r.get(1)?)))?;
    rows.map(|row| {
        let (channel, purpose) = row?;
        // An unknown word bars everything.
        Ok((Barred::from_word(&channel).unwrap_or(Barred::All), purpose))
    })
    .collect()
}

impl Store {
    /// The numbers that opted out since this process began.
    pub fn opt_outs(&self) -> OptOuts {
        self.inner.opt_outs.clone()
    }

    /// Puts a number on the do-not-contact list for a reason, beside any other reason. Once this returns, nothing more
    /// is written to the number.
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
            effects.push(Effect::OptOuts(number, bars(c, number)?));
            Ok(())
        })
        .await
    }

    /// Lifts one reason for which a number is on the do-not-contact list: a block is lifted by the operator, an opt-out
    /// only by the person ([`opt_in`]). Returns whether there was such a row.
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
            effects.push(Effect::OptOuts(number, bars(c, number)?));
            Ok(there)
        })
        .await
    }
}

/// Lifts a person's own opt-outs, as the person asked for messages again; a block by the operator stays. Returns
/// whether there were any.
pub(super) fn opt_in(c: &Connection, number: Msisdn) -> Result<bool> {
    let lifted = c
        .prepare_cached("DELETE FROM suppression WHERE number = ?1 AND reason = ?2")?
        .execute((number.digits(), SkipReason::OptedOut.word()))?;
    Ok(lifted > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_kept_for_half_an_hour_at_least_and_for_an_hour_of_others_at_most() {
        let number = |n: i64| Msisdn::from_digits(12_025_550_000 + n);
        let everything = || vec![(Barred::All, String::new())];
        let start = Instant::now();
        let mut numbers = Generations::default();
        // One a second for three hours.
        for second in 0..3 * 3_600 {
            numbers.set(number(second), everything(), start + Duration::from_secs(second as u64));
            let (youngest, oldest) = (second - KEPT.as_secs() as i64 + 1, second - 2 * KEPT.as_secs() as i64);
            assert!(numbers.of(number(youngest.max(0))).is_some(), "{second}");
            assert!(oldest < 0 || numbers.of(number(oldest)).is_none(), "{second}");
            assert!(numbers.young.len() + numbers.old.len() <= 3_600);
        }
        // Whoever is written to again is in neither, whichever held them.
        let now = start + Duration::from_secs(3 * 3_600 - 1);
        for second in [3 * 3_600 - 1, 3 * 3_600 - 1_801] {
            assert!(numbers.of(number(second)).is_some());
            numbers.set(number(second), Vec::new(), now);
            assert!(numbers.of(number(second)).is_none());
        }
    }
}
