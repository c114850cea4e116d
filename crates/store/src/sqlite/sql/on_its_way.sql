-- Whether a claimed message to a number has no result yet: an early receipt may be its. Claims are few and short.
SELECT EXISTS (
    SELECT 1 FROM claim c JOIN audience a ON a.campaign_id = c.campaign_id AND a.seq >= c.low AND a.seq < c.to_seq
    WHERE a.number = ?1 AND NOT EXISTS (SELECT 1 FROM delivery d
        WHERE d.campaign_id = c.campaign_id AND d.message_no = c.message_no AND d.seq = a.seq))
