-- The waves of a message in order: along wave_range.
SELECT id, from_seq, next_seq, to_seq, grp, due_at, open, held FROM wave
WHERE campaign_id = ?1 AND message_no = ?2
ORDER BY from_seq
