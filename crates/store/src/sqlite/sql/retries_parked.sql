-- Messages set aside for one sender: first those never refused (nulls come first), then those tried longest ago.
SELECT message_no, seq, due_at, attempts, refusals, refused_at FROM retry
WHERE campaign_id = ?1 AND parked = ?2 AND open AND claim_id IS NULL AND NOT held
ORDER BY refused_at, due_at
