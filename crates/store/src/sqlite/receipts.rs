//! Receipts: the first final one wins, and it settles only what is its own.
//!
//! A receipt is matched by its id, within its own route, whatever its addresses say: in the exact spelling of the
//! answer, otherwise ignoring case and leading zeros, otherwise in another base. Number and sender only choose where
//! several messages have the id. Where a receipt names two ids, the second is tried where the first finds nothing, or
//! only a message to another number; it proves less, so the number must not contradict it. A receipt without a known id
//! may match a delivery that has none (In doubt), if route, sender and number fit that delivery alone and nothing else
//! is on its way to that number.
//!
//! The hot path uses plain look-ups and updates by primary key: `RETURNING` builds a table for its one row and took
//! longer than the update itself.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use campaign::{Address, Outcome, RouteId, SkipReason};
use jiff::SignedDuration;
use rusqlite::{OptionalExtension, Row, params};

use super::{dispatch::Turn, doubts::Place};
use crate::{
    Receipt, Result, Settled,
    provider_id::{folded, in_another_base, spelling},
};

/// How long a receipt that comes before its result waits.
const EARLY_RECEIPT: SignedDuration = SignedDuration::from_mins(10);
/// The most messages with one id to look at. An SMSC that gives all of them the same id is matched by number. The
/// statements have this number as a literal: SQLite prepares them anew each time a limit is bound.
const MOST_ALIKE: usize = 32;

/// The most ids of one receipt to look for: that of its parameter, and that of its text.
const MOST_IDS: usize = 2;

/// A delivery's row, as far as news concern it.
pub(super) struct Standing {
    pub(super) outcome: Outcome,
    reason: Option<SkipReason>,
    parts: i64,
    parts_left: i64,
    changed_at: i64,
}

/// A message found by an id.
struct Found {
    place: Place,
    number: i64,
    at: i64,
    /// How the SMSC spelt the id; none: the same as the form that it is found by.
    spelling: Option<String>,
}

impl Found {
    fn read(r: &Row<'_>) -> rusqlite::Result<Self> {
        let place = (r.get(0)?, r.get(1)?, r.get(2)?);
        Ok(Self { place, number: r.get(3)?, at: r.get(4)?, spelling: r.get(5)? })
    }

    /// Whether the id was spelt as `id`, which is found as `folded`.
    fn is_spelt(&self, id: &str, folded: &str) -> bool {
        self.spelling.as_deref().unwrap_or(folded) == id
    }

    /// How well the message's number fits the addresses of a receipt; some SMSCs swap them.
    fn fits(&self, receipt: &Receipt) -> u8 {
        let number = self.number.to_string();
        if receipt.from.is_like(&number) { 2 } else { u8::from(receipt.to.is_like(&number)) }
    }

    /// Whether it is an answer or a test message of our own.
    fn is_our_own(&self) -> bool {
        self.place.0 == 0
    }

    /// Whether the addresses of a receipt do not say that it is about another number.
    fn is_not_contradicted(&self, receipt: &Receipt) -> bool {
        self.fits(receipt) > 0 || !tells(receipt)
    }
}

impl Turn<'_> {
    /// Applies receipts that came before the results that they belong to.
    pub(super) fn early_receipts(&mut self, route: i64, s: &Settled, ids: &[String]) -> Result<()> {
        for id in ids.iter().filter(|id| !id.is_empty()) {
            let own = folded(id);
            for alike in std::iter::once(own.clone().into_owned()).chain(in_another_base(id)) {
                let early: Vec<Receipt> = self
                    .c
                    .prepare_cached(
                        "SELECT spelling, source, destination, delivered, code, detail FROM early_receipt
                         WHERE route_id = ?1 AND id = ?2 LIMIT 32",
                    )?
                    .query_map((route, &alike), |r| {
                        let address = |text| Address { ton: 0, text };
                        Ok(Receipt {
                            route: RouteId(route),
                            ids: vec![r.get(0)?],
                            from: address(r.get(1)?),
                            to: address(r.get(2)?),
                            delivered: r.get(3)?,
                            code: r.get(4)?,
                            detail: r.get(5)?,
                        })
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                for receipt in early {
                    let number = s.number.digits().to_string();
                    let fits = receipt.from.is_like(&number) || receipt.to.is_like(&number);
                    if !fits && (alike != own || tells(&receipt)) {
                        continue;
                    }
                    self.drop_early(route, &alike, &receipt)?;
                    self.receipt(&receipt)?;
                }
            }
        }
        Ok(())
    }

    fn drop_early(&self, route: i64, id: &str, receipt: &Receipt) -> Result<()> {
        for spelling in &receipt.ids {
            self.c
                .prepare_cached(
                    "DELETE FROM early_receipt WHERE route_id = ?1 AND id = ?2 AND spelling = ?3 AND source = ?4",
                )?
                .execute((route, id, spelling, &receipt.from.text))?;
        }
        Ok(())
    }

    pub(super) fn standing(&self, key: Place) -> Result<Option<Standing>> {
        let standing = self
            .c
            .prepare_cached(
                "SELECT outcome, reason, parts, parts_left, changed_at FROM delivery
                 WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3",
            )?
            .query_row(key, |r| {
                Ok(Standing {
                    outcome: Outcome::from_code(r.get(0)?).ok_or(rusqlite::Error::InvalidQuery)?,
                    reason: r.get_ref(1)?.as_str().ok().and_then(SkipReason::from_word),
                    parts: r.get(2)?,
                    parts_left: r.get(3)?,
                    changed_at: r.get(4)?,
                })
            })
            .optional()?;
        Ok(standing)
    }

    /// Applies news of a delivery that has a row, if the row gives way to them.
    pub(super) fn news(&mut self, key: Place, later: Outcome, code: Option<u32>) -> Result<()> {
        match self.standing(key)? {
            Some(standing) => self.apply(key, &standing, later, code, None),
            None => Ok(()),
        }
    }

    fn apply(
        &mut self,
        key: Place,
        standing: &Standing,
        later: Outcome,
        code: Option<u32>,
        words: Option<&str>,
    ) -> Result<()> {
        let current = standing.outcome;
        if !current.gives_way_to(later) {
            return Ok(());
        }
        // A long text is delivered when all its parts are.
        let left = standing.parts_left - i64::from(later == Outcome::Delivered);
        let becomes = if later == Outcome::Delivered && left > 0 { current } else { later };
        self.c.prepare_cached(include_str!("sql/delivery_receipt.sql"))?.execute(params![
            key.0,
            key.1,
            key.2,
            becomes.code(),
            code,
            left.max(0),
            self.now,
            words,
        ])?;
        if becomes != current {
            self.news.add(key, false);
        }
        let reason = standing.reason;
        self.deltas.add(key.0, key.1, current, reason, standing.changed_at, -1);
        self.deltas.add(key.0, key.1, becomes, reason, self.now, 1);
        if current == Outcome::InDoubt && becomes != current {
            self.end_doubt(key)?;
        }
        self.touched.insert(key.0);
        Ok(())
    }

    /// Whether this is the first final receipt of one part of a long text; after this call it no longer is.
    fn is_first_of_part(&self, route: i64, id: &str, known: &Found) -> Result<bool> {
        let (campaign, message, seq) = known.place;
        let changed = self
            .c
            .prepare_cached(
                "UPDATE receipt_key SET final = 1 WHERE route_id = ?1 AND id = ?2 AND number = ?3 AND campaign_id = ?4
                 AND message_no = ?5 AND seq = ?6 AND NOT final",
            )?
            .execute(params![route, id, known.number, campaign, message, seq])?;
        Ok(changed == 1)
    }

    /// The messages with `id`, in its folded form, on the route of a receipt.
    fn known_by(&self, id: &str, receipt: &Receipt) -> Result<Vec<Found>> {
        let known: Vec<Found> = self
            .c
            .prepare_cached(
                "SELECT campaign_id, message_no, seq, number, at, spelling FROM receipt_key
                 WHERE route_id = ?1 AND id = ?2 LIMIT 32",
            )?
            .query_map((receipt.route.0, id), Found::read)?
            .collect::<rusqlite::Result<_>>()?;
        if known.len() < MOST_ALIKE {
            return Ok(known);
        }
        let mut fitting = Vec::new();
        for number in self.numbers(receipt)? {
            let rows = self
                .c
                .prepare_cached(
                    "SELECT campaign_id, message_no, seq, number, at, spelling FROM receipt_key
                     WHERE route_id = ?1 AND id = ?2 AND number = ?3 LIMIT 32",
                )?
                .query_map((receipt.route.0, id, number.digits()), Found::read)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            fitting.extend(rows);
        }
        Ok(fitting)
    }

    /// Which of several messages a receipt means: by its number, then its sender, then the newest. None where only the
    /// id speaks for any of them.
    fn choose(&self, mut known: Vec<Found>, receipt: &Receipt) -> Result<Option<Found>> {
        if known.len() < 2 {
            return Ok(known.pop());
        }
        let best = known.iter().map(|k| k.fits(receipt)).max().unwrap_or_default();
        if best == 0 {
            return Ok(None);
        }
        known.retain(|k| k.fits(receipt) == best);
        if known.len() > 1 {
            let mut of_sender = Vec::new();
            for k in &known {
                // An answer goes out from the sender that it answers for.
                let sender = if k.is_our_own() { None } else { Some(self.sender_of(k.place)?) };
                let fits = |sender: String| receipt.to.is_like(&sender) || receipt.from.is_like(&sender);
                of_sender.push(sender.is_none_or(fits));
            }
            if of_sender.contains(&true) {
                let mut of_sender = of_sender.into_iter();
                known.retain(|_| of_sender.next().unwrap_or_default());
            }
        }
        Ok(known.into_iter().max_by_key(|k| (k.at, k.is_our_own(), k.place)))
    }

    /// The message that a receipt belongs to, and the id that it is found by.
    fn find<'r>(&self, receipt: &'r Receipt) -> Result<Option<(Found, Cow<'r, str>)>> {
        let (mut is_known, mut first) = (false, None);
        for (at, id) in ids(receipt).enumerate() {
            let own = folded(id);
            let mut known = self.known_by(&own, receipt)?;
            is_known |= !known.is_empty();
            if known.len() > 1 && known.iter().any(|k| k.is_spelt(id, &own)) {
                known.retain(|k| k.is_spelt(id, &own));
            }
            match self.choose(known, receipt)? {
                Some(known) if known.is_not_contradicted(receipt) => return Ok(Some((known, own))),
                Some(known) if at == 0 => first = Some((known, own)),
                _ => {}
            }
        }
        if is_known {
            return Ok(first);
        }
        let (mut known, mut found_by) = (Vec::new(), HashMap::new());
        for other in ids(receipt).flat_map(in_another_base) {
            for k in self.known_by(&other, receipt)? {
                // Digits that can be read in two bases prove less: the number must not contradict them.
                if k.is_not_contradicted(receipt)
                    && let Entry::Vacant(new) = found_by.entry(k.place)
                {
                    new.insert(other.clone());
                    known.push(k);
                }
            }
        }
        if known.is_empty() || self.is_being_answered(receipt)? {
            return Ok(None);
        }
        let chosen = self.choose(known, receipt)?;
        Ok(chosen.and_then(|known| found_by.remove(&known.place).map(|id| (known, id.into()))))
    }

    pub(super) fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
        let later = if receipt.delivered { Outcome::Delivered } else { Outcome::Undelivered };
        let words = receipt.detail.as_deref();
        if let Some((known, id)) = self.find(receipt)? {
            if known.is_our_own() {
                return Ok(());
            }
            let Some(standing) = self.standing(known.place)? else { return Ok(()) };
            // A single segment's own outcome tells a second receipt from the first; parts must be recorded.
            if standing.parts > 1 && !self.is_first_of_part(receipt.route.0, &id, &known)? {
                return Ok(());
            }
            return self.apply(known.place, &standing, later, receipt.code, words);
        }
        if let Some(place) = self.doubted(receipt)? {
            if let Some(standing) = self.standing(place)? {
                self.apply(place, &standing, later, receipt.code, words)?;
                self.end_doubt(place)?;
            }
            return Ok(());
        }
        // There is no result with that id yet: the receipt waits.
        self.early = true;
        if !std::mem::replace(&mut self.swept, true) {
            self.c
                .prepare_cached("DELETE FROM early_receipt WHERE at < ?1")?
                .execute([self.now - EARLY_RECEIPT.as_millis() as i64])?;
        }
        // Once one of its ids has found the message, what waits under the other can find none but to the same number,
        // until it is swept.
        for id in ids(receipt) {
            self.c
                .prepare_cached(
                    "INSERT INTO early_receipt VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    receipt.route.0,
                    folded(id),
                    id,
                    receipt.from.text,
                    receipt.to.text,
                    receipt.delivered,
                    receipt.code,
                    receipt.detail,
                    self.now,
                ])?;
        }
        Ok(())
    }
}

/// The ids of a receipt in the order in which they are looked for, as they are compared.
fn ids(receipt: &Receipt) -> impl Iterator<Item = &str> {
    receipt.ids.iter().map(|id| spelling(id)).filter(|id| !id.is_empty()).take(MOST_IDS)
}

/// Whether the addresses of a receipt say whom it is about.
fn tells(receipt: &Receipt) -> bool {
    receipt.from.tells() || receipt.to.tells()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::MIGRATIONS;

    #[test]
    fn keys_and_doubts_of_the_version_before_are_carried_over() {
        let c = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..5] {
            c.execute_batch(migration).unwrap();
        }
        c.execute_batch(
            r#"INSERT INTO campaign (id, name, channel, status, version, epoch, definition, created_at)
                   VALUES (7, 'One', 'sms', 'running', 1, 0, '{"sender":"+12025550100","messages":[]}', 0),
                          (8, 'Pool', 'sms', 'running', 1, 0, '{"sender":{"pool":"pol_1"},"messages":[]}', 0);
               INSERT INTO campaign_slot VALUES (8, 0, '+12025550101', 1), (8, 1, 'Clinic', 1);
               INSERT INTO receipt_key VALUES (1, '00B8BE1A', 12025550001, 7, 1, 0, 5, 0), (1, 'b2', 12025550002, 7, 1, 1, 6, 1),
                   (1, '', 12025550003, 7, 1, 2, 7, 0), (1, '0', 12025550004, 7, 1, 3, 8, 0);
               INSERT INTO early_receipt VALUES (1, '0C', 12025550009, 1, NULL, 9);
               INSERT INTO in_doubt VALUES (1, 12025550005, 7, 1, 4, 9), (1, 12025550006, 8, 1, 3, 9);"#,
        )
        .unwrap();
        for migration in &MIGRATIONS[5..] {
            c.execute_batch(migration).unwrap();
        }
        let rows = |sql: &str| -> Vec<String> {
            let mut statement = c.prepare(sql).unwrap();
            let rows = statement.query_map([], |r| r.get(0)).unwrap();
            rows.collect::<rusqlite::Result<_>>().unwrap()
        };
        assert_eq!(
            rows(
                "SELECT concat_ws(' ', id, spelling, number, campaign_id, seq, at, final) FROM receipt_key ORDER BY seq"
            ),
            ["b8be1a 00B8BE1A 12025550001 7 0 5 0", "b2 12025550002 7 1 6 1", "0 12025550004 7 3 8 0"]
        );
        assert_eq!(
            rows("SELECT concat_ws(' ', id, spelling, source) FROM early_receipt"),
            ["c 0C 12025550009"]
        );
        assert_eq!(
            rows("SELECT concat_ws(' ', campaign_id, seq, number, sender) FROM in_doubt ORDER BY 1"),
            ["7 4 12025550005 12025550100", "8 3 12025550006 Clinic"]
        );
    }
}
