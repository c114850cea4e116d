//! Finds a number's place in a frozen audience. Each zone group is in the order of its numbers, so binary search finds
//! it: twenty look-ups among a million, and no index that every schedule would have to write.

use std::ops::Range;

use campaign::{CampaignId, Msisdn, wave::Group};
use rusqlite::Connection;

use super::{Store, freeze};
use crate::Result;

impl Store {
    /// What is known of the people at these places of a frozen audience: each place with the values of the campaign's
    /// fields, in their order.
    pub async fn frozen_fields(
        &self,
        id: CampaignId,
        places: Range<i64>,
    ) -> Result<Vec<(i64, Vec<Option<String>>)>> {
        self.read(move |c| {
            let people = c
                .prepare_cached(
                    "SELECT seq, fields FROM audience WHERE campaign_id = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq",
                )?
                .query_map((id.0, places.start, places.end), |r| {
                    let values = r.get_ref(1)?.as_str().ok().and_then(|json| serde_json::from_str(json).ok());
                    Ok((r.get(0)?, values.unwrap_or_default()))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(people)
        })
        .await
    }
}

/// The place of the first number of a group that is not below `number`.
fn first_from(c: &Connection, id: CampaignId, group: &Group, number: i64) -> Result<i64> {
    let mut at = c.prepare_cached("SELECT number FROM audience WHERE campaign_id = ?1 AND seq = ?2")?;
    let (mut from, mut to) = (group.from_seq, group.to_seq);
    while from < to {
        let middle = from + (to - from) / 2;
        let there: i64 = at.query_row((id.0, middle), |r| r.get(0))?;
        if there < number {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

/// The places of numbers within `spans`, each without its end; in order if the spans are.
fn places(c: &Connection, id: CampaignId, spans: &[(i64, i64)]) -> Result<Vec<Range<i64>>> {
    let mut places = Vec::new();
    for group in freeze::groups(c, id)? {
        for (from, to) in spans {
            let range = first_from(c, id, &group, *from)?..first_from(c, id, &group, *to)?;
            if !range.is_empty() {
                places.push(range);
            }
        }
    }
    Ok(places)
}

/// The place of a number in the audience; none if it is not there.
pub(super) fn place(c: &Connection, id: CampaignId, number: Msisdn) -> Result<Option<i64>> {
    let number = number.digits();
    Ok(places(c, id, &[(number, number + 1)])?.first().map(|range| range.start))
}

/// The places of these numbers, in order.
pub(super) fn of(c: &Connection, id: CampaignId, mut numbers: Vec<i64>) -> Result<Vec<Range<i64>>> {
    numbers.sort_unstable();
    let spans: Vec<(i64, i64)> = numbers.into_iter().map(|number| (number, number + 1)).collect();
    places(c, id, &spans)
}

/// The places of all numbers that begin with these digits, in order.
pub(super) fn beginning(c: &Connection, id: CampaignId, digits: &str) -> Result<Vec<Range<i64>>> {
    places(c, id, &Msisdn::beginning(digits))
}
