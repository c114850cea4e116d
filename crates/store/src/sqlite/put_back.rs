//! Puts back what a claim did not write: the wave steps back, or its gaps become waves of their own.
//!
//! Keeps: a campaign has tens of waves. Waves that were cut are joined again as soon as neighbours differ only in their
//! range, so a line that drops every few seconds leaves as many waves as a line that holds.

use campaign::ClaimId;
use rusqlite::OptionalExtension;

use super::dispatch::Turn;
use crate::Result;

impl Turn<'_> {
    /// Puts back the tail of a claim from `from` on, which was not written, to be claimed anew.
    pub(super) fn put_back(&mut self, claim: ClaimId, from: i64) -> Result<()> {
        let row: Option<(i64, u32, Option<i64>, i64)> = self
            .c
            .prepare_cached("SELECT campaign_id, message_no, wave_id, to_seq FROM claim WHERE id = ?1")?
            .query_row([claim.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
            .optional()?;
        let Some((campaign, message, wave, to)) = row else { return Ok(()) };
        self.touched.insert(campaign);
        self.unnote_tail(wave.is_none().then_some(claim.0), (campaign, message), (from, to))?;
        let Some(wave) = wave else {
            let freed = self
                .c
                .prepare_cached("UPDATE retry SET claim_id = NULL WHERE claim_id = ?1 AND seq >= ?2")?
                .execute((claim.0, from))?;
            return self.shrink_claim(claim.0, freed as i64);
        };
        // Recipients in the tail who were skipped at the claim have a row already and stay settled.
        let gaps = self.gaps(campaign, message, from, to)?;
        let unsettled = gaps.iter().map(|(a, b)| b - a).sum();
        self.c.prepare_cached("UPDATE claim SET to_seq = ?2 WHERE id = ?1")?.execute((claim.0, from))?;
        let next: i64 = self
            .c
            .prepare_cached("SELECT next_seq FROM wave WHERE id = ?1")?
            .query_row([wave], |r| r.get(0))?;
        if next == to && gaps == [(from, to)] {
            // The last claim of its wave: the wave simply steps back.
            self.c
                .prepare_cached(
                    "UPDATE wave SET next_seq = ?2, settled_to = min(settled_to, ?2) WHERE id = ?1",
                )?
                .execute((wave, from))?;
        } else {
            // Rows inside the tail would be claimed twice: only the gaps between them become waves.
            for (a, b) in gaps {
                self.carve(campaign, message, a, b)?;
            }
        }
        self.join(campaign, message)?;
        self.shrink_claim(claim.0, unsettled)
    }

    /// The runs of `[from, to)` that have neither a delivery nor a retry row.
    fn gaps(&self, campaign: i64, message: u32, from: i64, to: i64) -> Result<Vec<(i64, i64)>> {
        let rows: Vec<i64> = self
            .c
            .prepare_cached(
                "SELECT seq FROM delivery WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4
                 UNION SELECT seq FROM retry WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4
                 ORDER BY 1",
            )?
            .query_map((campaign, message, from, to), |r| r.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut gaps = Vec::new();
        let mut at = from;
        for seq in rows.into_iter().chain([to]) {
            if at < seq {
                gaps.push((at, seq));
            }
            at = seq + 1;
        }
        Ok(gaps)
    }

    /// Makes `[from, to)` of a message a wave of its own that was never claimed.
    fn carve(&mut self, campaign: i64, message: u32, from: i64, to: i64) -> Result<()> {
        for at in [from, to] {
            self.cut(campaign, message, at)?;
        }
        self.c
            .prepare_cached(
                "UPDATE wave SET next_seq = from_seq, settled_to = from_seq
                 WHERE campaign_id = ?1 AND message_no = ?2 AND from_seq = ?3",
            )?
            .execute((campaign, message, from))?;
        Ok(())
    }

    /// Cuts the wave of `message` that holds `at` in two there.
    fn cut(&mut self, campaign: i64, message: u32, at: i64) -> Result<()> {
        let whole: Option<i64> = self
            .c
            .prepare_cached(
                "SELECT id FROM wave WHERE campaign_id = ?1 AND message_no = ?2 AND from_seq < ?3 AND to_seq > ?3",
            )?
            .query_row((campaign, message, at), |r| r.get(0))
            .optional()?;
        let Some(wave) = whole else { return Ok(()) };
        self.c
            .prepare_cached(
                "INSERT INTO wave (campaign_id, message_no, grp, from_seq, to_seq, next_seq, settled_to, due_at, open, held)
                 SELECT campaign_id, message_no, grp, ?2, to_seq, max(next_seq, ?2), max(settled_to, ?2), due_at, open, held
                 FROM wave WHERE id = ?1",
            )?
            .execute((wave, at))?;
        let right = self.c.last_insert_rowid();
        self.c
            .prepare_cached(
                "UPDATE wave SET to_seq = ?2, next_seq = min(next_seq, ?2), settled_to = min(settled_to, ?2) WHERE id = ?1",
            )?
            .execute((wave, at))?;
        self.c
            .prepare_cached("UPDATE claim SET wave_id = ?3 WHERE wave_id = ?1 AND from_seq >= ?2")?
            .execute((wave, at, right))?;
        self.cut_marks(wave, right, at)?;
        self.waves.extend([wave, right]);
        Ok(())
    }

    /// Joins the waves of a message wherever neighbours can be one wave: those too that were cut earlier and have been
    /// claimed to their ends since.
    fn join(&mut self, campaign: i64, message: u32) -> Result<()> {
        let all: Vec<Piece> = self
            .c
            .prepare_cached(include_str!("sql/waves_of_message.sql"))?
            .query_map((campaign, message), |r| {
                Ok(Piece {
                    id: r.get(0)?,
                    range: Range { from: r.get(1)?, next: r.get(2)?, to: r.get(3)? },
                    alike: (r.get(4)?, r.get(5)?, r.get(6)?, r.get(7)?),
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut pieces = all.into_iter();
        let Some(mut left) = pieces.next() else { return Ok(()) };
        for right in pieces {
            match (left.alike == right.alike).then(|| left.range.joined(right.range)).flatten() {
                Some(range) => {
                    self.swallow(left.id, right.id, range)?;
                    left.range = range;
                }
                None => left = right,
            }
        }
        Ok(())
    }

    /// Makes `left` the wave over `range`, and merges `right` into it.
    fn swallow(&mut self, left: i64, right: i64, range: Range) -> Result<()> {
        self.c.prepare_cached("UPDATE claim SET wave_id = ?1 WHERE wave_id = ?2")?.execute((left, right))?;
        self.join_marks(left, right)?;
        self.c.prepare_cached("DELETE FROM wave WHERE id = ?1")?.execute([right])?;
        // How far the wave is settled follows from its claims, at the turn's end.
        self.c
            .prepare_cached(
                "UPDATE wave SET to_seq = ?2, next_seq = ?3, settled_to = from_seq WHERE id = ?1",
            )?
            .execute((left, range.to, range.next))?;
        self.waves.remove(&right);
        self.waves.insert(left);
        Ok(())
    }
}

impl Turn<'_> {
    /// Divides the marks of a wave cut at `at`: the left keeps those until it was done, the right gets the rest.
    fn cut_marks(&self, left: i64, right: i64, at: i64) -> Result<()> {
        let Some(through) = self.through(left, at)? else { return Ok(()) };
        self.c
            .prepare_cached("UPDATE wave_mark SET wave_id = ?2 WHERE wave_id = ?1 AND at >= ?3")?
            .execute((left, right, through))?;
        self.c.prepare_cached("INSERT INTO wave_mark VALUES (?1, ?2, ?3)")?.execute((left, through, at))?;
        Ok(())
    }

    /// Joins the marks of two neighbours: the left's until it was done, then the right's. What the right had settled
    /// before that counts from then on.
    fn join_marks(&self, left: i64, right: i64) -> Result<()> {
        let end: i64 = self
            .c
            .prepare_cached("SELECT to_seq FROM wave WHERE id = ?1")?
            .query_row([left], |r| r.get(0))?;
        if let Some(through) = self.through(left, end)? {
            let stood: Option<i64> = self
                .c
                .prepare_cached(
                    "SELECT settled_to FROM wave_mark WHERE wave_id = ?1 AND at <= ?2 ORDER BY at DESC LIMIT 1",
                )?
                .query_row((right, through), |r| r.get(0))
                .optional()?;
            self.c
                .prepare_cached("DELETE FROM wave_mark WHERE wave_id = ?1 AND at >= ?2")?
                .execute((left, through))?;
            self.c.prepare_cached("INSERT INTO wave_mark VALUES (?1, ?2, ?3)")?.execute((
                left,
                through,
                stood.unwrap_or(end),
            ))?;
            self.c
                .prepare_cached("UPDATE wave_mark SET wave_id = ?1 WHERE wave_id = ?2 AND at > ?3")?
                .execute((left, right, through))?;
        }
        self.c.prepare_cached("DELETE FROM wave_mark WHERE wave_id = ?1")?.execute([right])?;
        Ok(())
    }

    /// When a wave's first mark at or beyond `seq` was left.
    fn through(&self, wave: i64, seq: i64) -> Result<Option<i64>> {
        // Marks only grow, so the last one that is not there yet is next to it.
        Ok(self
            .c
            .prepare_cached(
                "SELECT at FROM wave_mark WHERE wave_id = ?1 AND settled_to >= ?2 ORDER BY at LIMIT 1",
            )?
            .query_row((wave, seq), |r| r.get(0))
            .optional()?)
    }
}

/// A wave that may be joined with its neighbour if both are alike in all but their range.
struct Piece {
    id: i64,
    range: Range,
    /// Group, due time, open, held.
    alike: (i64, i64, bool, u8),
}

/// The range of a wave, and the first place in it that was never claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    from: i64,
    next: i64,
    to: i64,
}

impl Range {
    /// Both ranges as one, if `right` follows directly and nothing unclaimed precedes something claimed.
    fn joined(self, right: Self) -> Option<Self> {
        let next = if self.next == self.to {
            right.next
        } else if right.next == right.from {
            self.next
        } else {
            return None;
        };
        (self.to == right.from).then_some(Self { from: self.from, next, to: right.to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined_where_nothing_unclaimed_lies_before_something_claimed() {
        let range = |from, next, to| Range { from, next, to };
        let cases = [
            ("both claimed", range(0, 10, 10), range(10, 20, 20), Some(range(0, 20, 20))),
            ("the left claimed", range(0, 10, 10), range(10, 13, 20), Some(range(0, 13, 20))),
            ("both untouched", range(0, 0, 10), range(10, 10, 20), Some(range(0, 0, 20))),
            ("the right untouched", range(0, 4, 10), range(10, 10, 20), Some(range(0, 4, 20))),
            ("the right claimed in part", range(0, 4, 10), range(10, 13, 20), None),
            ("the right claimed", range(0, 4, 10), range(10, 20, 20), None),
            ("apart", range(0, 10, 10), range(11, 11, 20), None),
        ];
        for (what, left, right, joined) in cases {
            assert_eq!(left.joined(right), joined, "{what}");
        }
    }
}
