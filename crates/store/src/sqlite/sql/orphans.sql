-- Messages that claims of other workers have not settled, with the attempts that each then counts.
SELECT c.id, c.campaign_id, c.message_no, a.seq, a.number, 1, c.worker
FROM claim c JOIN audience a ON a.campaign_id = c.campaign_id AND a.seq >= c.from_seq AND a.seq < c.to_seq
WHERE c.worker <> ?1 AND c.wave_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.campaign_id = a.campaign_id AND d.message_no = c.message_no AND d.seq = a.seq)
  AND NOT EXISTS (SELECT 1 FROM retry r WHERE r.campaign_id = a.campaign_id AND r.message_no = c.message_no AND r.seq = a.seq)
UNION ALL
SELECT c.id, c.campaign_id, c.message_no, r.seq, a.number, r.attempts + 1, c.worker
FROM claim c JOIN retry r ON r.campaign_id = c.campaign_id AND r.message_no = c.message_no AND r.claim_id = c.id
JOIN audience a ON a.campaign_id = r.campaign_id AND a.seq = r.seq
WHERE c.worker <> ?1 AND c.wave_id IS NULL
