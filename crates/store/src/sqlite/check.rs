//! `check`: every invariant of the data, and which ones are violated.

use std::collections::HashMap;

use rusqlite::Connection;

use super::Store;
use crate::Result;

/// Invariants as queries whose every row is a violation. Read together, in one transaction.
const QUESTIONS: &[(&str, &str)] = &[
    (
        "totals equal a count over the deliveries",
        "SELECT 'campaign ' || campaign_id || ', message ' || message_no || ', outcome ' || outcome || ': tally says '
                || sum(t) || ', rows say ' || sum(d)
         FROM (SELECT campaign_id, message_no, outcome, coalesce(reason, '') AS reason, 0 AS t, count(*) AS d
                   FROM delivery GROUP BY 1, 2, 3, 4
               UNION ALL SELECT campaign_id, message_no, outcome, reason, sum(count), 0 FROM tally GROUP BY 1, 2, 3, 4)
         GROUP BY campaign_id, message_no, outcome, reason HAVING sum(t) <> sum(d)",
    ),
    (
        "the chart equals a count over the deliveries",
        "SELECT 'campaign ' || campaign_id || ', message ' || message_no || ', outcome ' || outcome || ', minute '
                || minute || ': tally says ' || sum(t) || ', rows say ' || sum(d)
         FROM (SELECT campaign_id, message_no, outcome, changed_at / 60000 AS minute, 0 AS t, count(*) AS d
                   FROM delivery GROUP BY 1, 2, 3, 4
               UNION ALL SELECT campaign_id, message_no, outcome, minute, sum(count), 0 FROM tally_minute GROUP BY 1, 2, 3, 4)
         GROUP BY campaign_id, message_no, outcome, minute HAVING sum(t) <> sum(d)",
    ),
    (
        "a campaign's progress equals a count over the deliveries",
        "SELECT 'campaign ' || id || ': ' || settled || ' settled, rows say ' || rows
         FROM (SELECT id, settled, (SELECT count(*) FROM delivery d WHERE d.campaign_id = campaign.id) AS rows FROM campaign)
         WHERE settled <> rows",
    ),
    (
        "every recipient of every message is counted exactly once",
        "SELECT 'campaign ' || id || ': ' || (rows + unsent + retries + sending) || ' of ' || due
         FROM (SELECT c.id, c.audience * c.sends AS due,
                   (SELECT count(*) FROM delivery WHERE campaign_id = c.id) AS rows,
                   (SELECT coalesce(sum(to_seq - next_seq), 0) FROM wave WHERE campaign_id = c.id) AS unsent,
                   (SELECT count(*) FROM retry WHERE campaign_id = c.id AND claim_id IS NULL) AS retries,
                   (SELECT coalesce(sum(left_over), 0) FROM claim WHERE campaign_id = c.id) AS sending
               FROM campaign c WHERE c.scheduled_at IS NOT NULL)
         WHERE rows + unsent + retries + sending <> due",
    ),
    (
        "waves of a message do not overlap and leave no gap",
        "SELECT 'campaign ' || campaign_id || ', message ' || message_no || ': waves cover ' || sum(to_seq - from_seq)
                || ' of ' || c.audience
         FROM wave w JOIN campaign c ON c.id = w.campaign_id GROUP BY campaign_id, message_no
         HAVING sum(to_seq - from_seq) <> c.audience
         UNION ALL SELECT 'wave ' || a.id || ' overlaps wave ' || b.id FROM wave a JOIN wave b
             ON b.campaign_id = a.campaign_id AND b.message_no = a.message_no AND b.from_seq > a.from_seq AND b.from_seq < a.to_seq",
    ),
    (
        "nobody has both a result and a retry",
        "SELECT 'campaign ' || campaign_id || ', message ' || message_no || ', recipient ' || seq
         FROM delivery JOIN retry USING (campaign_id, message_no, seq)",
    ),
    (
        "nothing beyond next_seq was sent",
        "SELECT 'wave ' || w.id || ' has a result at ' || d.seq || ', beyond ' || w.next_seq FROM wave w JOIN delivery d
             ON d.campaign_id = w.campaign_id AND d.message_no = w.message_no AND d.seq >= w.next_seq AND d.seq < w.to_seq",
    ),
    (
        "completed means complete",
        "SELECT 'campaign ' || id FROM campaign c WHERE status = 'completed' AND (
             EXISTS (SELECT 1 FROM wave WHERE campaign_id = c.id AND next_seq < to_seq)
             OR EXISTS (SELECT 1 FROM retry WHERE campaign_id = c.id) OR EXISTS (SELECT 1 FROM claim WHERE campaign_id = c.id))",
    ),
    (
        "what is not Scheduled or Running has nothing open",
        "SELECT 'campaign ' || c.id FROM campaign c WHERE status NOT IN ('scheduled', 'running') AND (
             EXISTS (SELECT 1 FROM wave WHERE campaign_id = c.id AND open AND next_seq < to_seq)
             OR EXISTS (SELECT 1 FROM retry WHERE campaign_id = c.id AND open))",
    ),
];

/// An invariant and what violates it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The invariant.
    pub invariant: &'static str,
    /// Examples of violations; empty where the invariant holds.
    pub off: Vec<String>,
}

/// What one number was sent, over all campaigns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Submitted {
    /// Messages that the carrier accepted.
    pub known: i64,
    /// Messages that the carrier may have accepted: in doubt, or refused in part.
    pub in_doubt: i64,
}

impl Store {
    /// Checks every invariant; returns each with its violations.
    pub async fn check(&self) -> Result<Vec<Finding>> {
        self.read(|c: &Connection| {
            QUESTIONS
                .iter()
                .map(|(invariant, sql)| {
                    let off = c
                        .prepare(&format!("SELECT * FROM ({sql}) LIMIT 20"))?
                        .query_map([], |r| r.get(0))?
                        .collect::<rusqlite::Result<_>>()?;
                    Ok(Finding { invariant, off })
                })
                .collect()
        })
        .await
    }

    /// What every number was sent, by its digits.
    pub async fn submitted(&self) -> Result<HashMap<String, Submitted>> {
        self.read(|c| {
            let rows = c
                .prepare(include_str!("sql/submitted.sql"))?
                .query_map([], |r| {
                    let number: i64 = r.get(0)?;
                    Ok((number.to_string(), Submitted { known: r.get(1)?, in_doubt: r.get(2)? }))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(rows)
        })
        .await
    }
}
