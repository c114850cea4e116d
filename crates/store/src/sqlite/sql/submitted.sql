-- Outcomes 1 to 3 (Sent, Delivered, Undelivered) were accepted; In doubt (6) and messages refused in part (4) may have
-- been.
SELECT a.number, sum(d.outcome IN (1, 2, 3)), sum(d.outcome = 6 OR (d.outcome = 4 AND coalesce(d.detail, '') LIKE 'partial%'))
FROM delivery d JOIN audience a USING (campaign_id, seq)
WHERE d.outcome IN (1, 2, 3, 6) OR (d.outcome = 4 AND coalesce(d.detail, '') LIKE 'partial%')
GROUP BY a.number
