-- As claim_read.sql, for the first message: nothing came before it.
SELECT a.seq, a.number, a.fields,
       (SELECT s.reason FROM suppression s WHERE s.number = a.number AND s.channel IN (?5, 'all')
          AND (?4 = '' OR s.purpose IN ('', ?4)) LIMIT 1),
       NULL, NULL, NULL, NULL
FROM audience a WHERE a.campaign_id = ?1 AND a.seq >= ?2 AND a.seq < ?3 ORDER BY a.seq
