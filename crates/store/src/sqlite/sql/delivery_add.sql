-- Append; the primary key refuses a second result for the same recipient and message, except that In
-- doubt (6) gives way to what really happened.
INSERT INTO delivery (campaign_id, message_no, seq, outcome, reason, code, detail, provider_id, parts, parts_left,
                      attempts, sent_at, changed_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?11)
