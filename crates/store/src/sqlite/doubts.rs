//! Deliveries without a known id: In doubt, or accepted without an id. What else is certain about them finds them.
//!
//! Keeps: a receipt settles a doubt only if route, sender and number fit that delivery alone, and nothing else that the
//! receipt may belong to is on its way to that number: no message, no answer of our own.

use campaign::Msisdn;
use jiff::SignedDuration;
use rusqlite::params;

use super::{answer::NO_ID, dispatch::Turn, reply};
use crate::{Receipt, Result, Settled};

/// How long a receipt without a known id may settle a doubt.
const DOUBT: SignedDuration = SignedDuration::from_hours(48);
/// A delivery: campaign, message, place in the audience.
pub(super) type Place = (i64, u32, i64);

impl Turn<'_> {
    /// Stores a delivery without an id: a receipt may find it by what else is known about it.
    pub(super) fn doubt(&self, route: i64, s: &Settled) -> Result<()> {
        let key = (s.campaign.0, s.message_no, s.seq);
        let sender = match &s.sender {
            Some(sender) => sender.address().to_owned(),
            None => self.sender_of(key)?,
        };
        self.c
            .prepare_cached("INSERT OR REPLACE INTO in_doubt VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![key.0, key.1, key.2, route, s.number.digits(), sender, self.now])?;
        Ok(())
    }

    pub(super) fn sender_of(&self, (campaign, _, seq): Place) -> Result<String> {
        let sender: String = self
            .c
            .prepare_cached(include_str!("sql/sender_of.sql"))?
            .query_row((campaign, seq), |r| r.get(0))?;
        Ok(sender.trim_start_matches('+').to_owned())
    }

    pub(super) fn end_doubt(&self, key: Place) -> Result<()> {
        self.c
            .prepare_cached("DELETE FROM in_doubt WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3")?
            .execute(key)?;
        Ok(())
    }

    /// The numbers that a receipt's addresses may mean.
    pub(super) fn numbers(&self, receipt: &Receipt) -> Result<Vec<Msisdn>> {
        let country = reply::country(self.c, receipt.route, self.settings()?)?;
        let readings = [&receipt.from, &receipt.to].map(|address| address.readings(country));
        Ok(readings.concat())
    }

    /// Whether an answer or a test message of our own to that number has no id yet: the receipt may belong to it.
    pub(super) fn is_being_answered(&self, receipt: &Receipt) -> Result<bool> {
        let since = self.now - DOUBT.as_millis() as i64;
        for number in self.numbers(receipt)? {
            let answered = self
                .c
                .prepare_cached(
                    "SELECT 1 FROM answer WHERE number = ?1 AND route_id = ?2 AND at >= ?3
                     AND (state IN ('taken', 'in_doubt') OR state = 'sent' AND detail = ?4)",
                )?
                .exists((number.digits(), receipt.route.0, since, NO_ID))?;
            if answered {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The delivery without an id that a receipt fits, if it fits only one.
    pub(super) fn doubted(&self, receipt: &Receipt) -> Result<Option<Place>> {
        if !self.c.prepare_cached("SELECT 1 FROM in_doubt LIMIT 1")?.exists([])? {
            return Ok(None);
        }
        let since = self.now - DOUBT.as_millis() as i64;
        let mut fitting = Vec::new();
        for number in self.numbers(receipt)? {
            let doubts: Vec<(Place, String)> = self
                .c
                .prepare_cached(
                    "SELECT campaign_id, message_no, seq, sender FROM in_doubt
                     WHERE route_id = ?1 AND number = ?2 AND at >= ?3 LIMIT 32",
                )?
                .query_map((receipt.route.0, number.digits(), since), |r| {
                    Ok(((r.get(0)?, r.get(1)?, r.get(2)?), r.get(3)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let of_sender = |sender: &str| receipt.to.is_like(sender) || receipt.from.is_like(sender);
            let places: Vec<Place> =
                doubts.into_iter().filter(|(_, sender)| of_sender(sender)).map(|(place, _)| place).collect();
            let on_its_way: bool = !places.is_empty()
                && self
                    .c
                    .prepare_cached(include_str!("sql/on_its_way.sql"))?
                    .query_row([number.digits()], |r| r.get(0))?;
            if on_its_way {
                return Ok(None);
            }
            fitting.extend(places);
        }
        match fitting[..] {
            [only] if !self.is_being_answered(receipt)? => Ok(Some(only)),
            _ => Ok(None),
        }
    }
}
