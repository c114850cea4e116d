-- An SMSC may use an id again: the newest message has it.
INSERT INTO receipt_key (route_id, provider_id, number, campaign_id, message_no, seq, at) VALUES /* rows */
ON CONFLICT DO UPDATE SET campaign_id = excluded.campaign_id, message_no = excluded.message_no, seq = excluded.seq,
    at = excluded.at, final = 0
