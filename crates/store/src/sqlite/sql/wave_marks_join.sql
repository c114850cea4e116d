-- Where two neighbours that become one stood together: at the left's place until it was through, then at the right's. A
-- moment at which only one left a mark takes the other's place from its mark before.
INSERT INTO wave_mark (wave_id, at, settled_to)
SELECT ?1, m.at, CASE
    WHEN coalesce((SELECT settled_to FROM wave_mark WHERE wave_id = ?1 AND at <= m.at ORDER BY at DESC LIMIT 1),
                  (SELECT from_seq FROM wave WHERE id = ?1)) < (SELECT to_seq FROM wave WHERE id = ?1)
    THEN coalesce((SELECT settled_to FROM wave_mark WHERE wave_id = ?1 AND at <= m.at ORDER BY at DESC LIMIT 1),
                  (SELECT from_seq FROM wave WHERE id = ?1))
    ELSE coalesce((SELECT settled_to FROM wave_mark WHERE wave_id = ?2 AND at <= m.at ORDER BY at DESC LIMIT 1),
                  (SELECT from_seq FROM wave WHERE id = ?2)) END
FROM (SELECT at FROM wave_mark WHERE wave_id IN (?1, ?2) GROUP BY at) m
WHERE true
ON CONFLICT DO UPDATE SET settled_to = excluded.settled_to
