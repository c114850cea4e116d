-- Retries that have come due, by date: along retry_due.
SELECT message_no, seq, due_at, attempts, refusals, refused_at FROM retry
WHERE campaign_id = ?1 AND due_at <= ?2 AND open AND claim_id IS NULL AND parked IS NULL AND NOT held
ORDER BY due_at
