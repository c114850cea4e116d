-- The clock was set: retries that were due soon move with it. Dates set by windows, hours away, stay.
UPDATE retry SET due_at = due_at + ?1
WHERE open AND claim_id IS NULL AND due_at > ?2 AND due_at <= ?3 AND campaign_id IN
    (SELECT id FROM campaign WHERE status IN ('scheduled', 'running'))
