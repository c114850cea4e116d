-- The claimed range of a later message, in order, with what decides whether each recipient gets this message: one walk
-- along the audience's primary key, three look-ups by primary key per row.
SELECT a.seq, a.number, a.fields,
       (SELECT s.reason FROM suppression s WHERE s.number = a.number AND s.channel IN (?6, 'all')
          AND (?5 = '' OR s.purpose IN ('', ?5)) LIMIT 1),
       p.outcome, p.reason, r.seq, p.sent_at
FROM audience a
LEFT JOIN delivery p ON p.campaign_id = a.campaign_id AND p.message_no = ?4 - 1 AND p.seq = a.seq
LEFT JOIN retry r ON r.campaign_id = a.campaign_id AND r.message_no = ?4 - 1 AND r.seq = a.seq
WHERE a.campaign_id = ?1 AND a.seq >= ?2 AND a.seq < ?3
ORDER BY a.seq
