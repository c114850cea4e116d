-- Whoever closed waves and closed retries hold of a campaign, as members of a list.
INSERT INTO list_member (list_id, number)
SELECT ?1, a.number FROM wave w
JOIN audience a ON a.campaign_id = w.campaign_id AND a.seq >= w.next_seq AND a.seq < w.to_seq
JOIN contact USING (number) WHERE w.campaign_id = ?2 AND NOT w.open
UNION
SELECT ?1, a.number FROM retry r JOIN audience a ON a.campaign_id = r.campaign_id AND a.seq = r.seq
JOIN contact USING (number) WHERE r.campaign_id = ?2 AND NOT r.open AND r.claim_id IS NULL
