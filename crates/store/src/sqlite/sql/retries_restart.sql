-- Gives the retries of a message to one group new dates: one for all of them (?5), or each its own moved by ?6 ms. A
-- retry without a date waits for the previous message.
UPDATE retry SET due_at = CASE WHEN due_at IS NULL THEN NULL ELSE coalesce(?5, due_at + ?6) END
WHERE campaign_id = ?1 AND message_no = ?2 AND seq >= ?3 AND seq < ?4
