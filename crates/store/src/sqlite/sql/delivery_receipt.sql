-- A receipt's news, by primary key.
UPDATE delivery SET outcome = ?4, code = coalesce(?5, code), parts_left = ?6, changed_at = ?7
WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3
