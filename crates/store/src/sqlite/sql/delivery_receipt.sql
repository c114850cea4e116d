-- A receipt's news, by primary key. The words go with the outcome that they describe.
UPDATE delivery SET outcome = ?4, code = coalesce(?5, code), parts_left = ?6, changed_at = ?7,
    detail = CASE WHEN outcome = ?4 THEN detail ELSE ?8 END
WHERE campaign_id = ?1 AND message_no = ?2 AND seq = ?3
