-- To be tried again: a new row for what came from a wave, the same one for a retry.
INSERT INTO retry (campaign_id, message_no, seq, due_at, attempts, open, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT DO UPDATE SET due_at = excluded.due_at, attempts = excluded.attempts, open = excluded.open,
    detail = excluded.detail, claim_id = NULL
