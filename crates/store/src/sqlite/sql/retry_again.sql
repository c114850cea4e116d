-- A message to be retried: a new row if it came from a wave, the same row if it was a retry.
INSERT INTO retry (campaign_id, message_no, seq, due_at, attempts, open, detail, refusals, refused_at, parked)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT DO UPDATE SET due_at = excluded.due_at, attempts = excluded.attempts, open = excluded.open,
    detail = excluded.detail, refusals = excluded.refusals, refused_at = excluded.refused_at, parked = excluded.parked,
    claim_id = NULL
