-- As tally_add, for the chart.
INSERT INTO tally_minute (campaign_id, message_no, outcome, minute, slot, count) VALUES (?1, ?2, ?3, ?4, 0, ?5)
ON CONFLICT DO UPDATE SET count = count + excluded.count
