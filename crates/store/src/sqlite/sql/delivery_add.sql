-- Append; the primary key refuses a second result for the same recipient and message.
INSERT INTO delivery (campaign_id, message_no, seq, outcome, reason, code, detail, provider_id, parts, parts_left,
                      attempts, sent_at, changed_at)
VALUES /* rows */
