-- Moves next_seq: this is the claim. By primary key; returns no row when the wave is closed, held, not due (any more),
-- of another epoch, or when nothing may be taken up to the bound ?3.
UPDATE wave SET next_seq = min(next_seq + ?2, to_seq, ?3)
WHERE id = ?1 AND open AND NOT held AND due_at <= ?5 AND next_seq < min(to_seq, ?3)
  AND EXISTS (SELECT 1 FROM campaign c WHERE c.id = campaign_id AND c.epoch = ?4 AND c.status IN ('scheduled', 'running'))
RETURNING campaign_id, message_no, from_seq, next_seq
