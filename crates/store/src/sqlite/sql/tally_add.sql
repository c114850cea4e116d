-- One upsert per cell and transaction, by primary key.
INSERT INTO tally (campaign_id, message_no, outcome, reason, slot, count) VALUES (?1, ?2, ?3, ?4, 0, ?5)
ON CONFLICT DO UPDATE SET count = count + excluded.count
