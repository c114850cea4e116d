-- A part of a long text may have the id of another.
INSERT INTO receipt_key (route_id, id, number, campaign_id, message_no, seq, spelling, at) VALUES /* rows */
ON CONFLICT DO UPDATE SET spelling = excluded.spelling, at = excluded.at, final = 0
