-- The waves of a message that touch a range, with their neighbours on both sides, in order: along wave_range.
SELECT id, from_seq, next_seq, to_seq, grp, due_at, open, held FROM wave
WHERE campaign_id = ?1 AND message_no = ?2 AND from_seq <= ?4 AND to_seq >= ?3
ORDER BY from_seq
