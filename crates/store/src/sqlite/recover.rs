//! Recovery: what was under way when the program ended is settled before the first turn.
//!
//! Looks only at orphaned claims: a message with neither a delivery nor a retry row may have been sent and is In doubt.

use std::collections::BTreeMap;

use campaign::{CampaignId, ClaimId, Msisdn, Outcome};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{Store, answer, campaigns::active, dispatch::Turn, home::COPIED, spending, time};
use crate::{Fate, Result, Settled, Tries};

impl Store {
    /// Settles claims whose worker is gone: a message with neither a row nor a retry is In doubt. To be called before
    /// the engine's first turn, while no other engine works on this data.
    pub async fn recover(&self, worker: String, now: Timestamp) -> Result<u64> {
        self.write(move |c| {
            let mut turn = Turn::new(c, &worker, now)?;
            let orphans = orphans(c, &worker)?;
            turn.settle(&orphans, &[])?;
            let mut doubts: BTreeMap<CampaignId, i64> = BTreeMap::new();
            for orphan in &orphans {
                *doubts.entry(orphan.campaign).or_default() += 1;
            }
            for (campaign, calls) in doubts {
                spending::bill_doubts(c, campaign, calls)?;
            }
            // A campaign whose last result was stored just before the end.
            turn.touched.extend(active(c)?.into_iter().map(|id| id.0));
            turn.finish()?;
            answer::recover(c)?;
            Ok(orphans.len() as u64)
        })
        .await
    }

    /// When each route last had room to send.
    pub async fn routes_alive_at(&self) -> Result<BTreeMap<i64, Timestamp>> {
        self.read(|c| {
            Ok(c.prepare_cached("SELECT id, alive_at FROM route")?
                .query_map([], |r| Ok((r.get(0)?, time(r.get(1)?))))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Marks what claims of other workers leave open as In doubt: messages with neither a row nor a retry, and retries that
/// were claimed.
fn orphans(c: &Connection, worker: &str) -> Result<Vec<Settled>> {
    Ok(c.prepare_cached(include_str!("sql/orphans.sql"))?
        .query_map([worker], |r| {
            let of_original = r.get_ref(6)?.as_str()? == COPIED;
            let words = if of_original {
                "unsent when this copy was adopted; the original may have sent it"
            } else {
                "the program ended before the answer was stored"
            };
            Ok(Settled {
                claim: ClaimId(r.get(0)?),
                campaign: CampaignId(r.get(1)?),
                message_no: r.get(2)?,
                seq: r.get(3)?,
                number: Msisdn::from_digits(r.get(4)?),
                sender: None,
                tries: Tries { attempts: r.get(5)?, ..Tries::default() },
                fate: Fate::Final {
                    outcome: Outcome::InDoubt,
                    reason: None,
                    code: None,
                    detail: Some(words.into()),
                    provider_ids: Vec::new(),
                    parts: 1,
                },
            })
        })?
        .collect::<rusqlite::Result<_>>()?)
}
