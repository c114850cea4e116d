-- A campaign's waves that are due or held, by the two partial indexes: never all of its waves.
SELECT w.id, w.message_no, g.zones, w.due_at, w.held, w.next_seq, w.to_seq
FROM wave w JOIN audience_group g USING (campaign_id, grp)
WHERE w.id IN (SELECT id FROM wave WHERE campaign_id = ?1 AND open AND next_seq < to_seq AND due_at <= ?2
               UNION SELECT id FROM wave WHERE campaign_id = ?1 AND open AND held AND next_seq < to_seq)
ORDER BY w.due_at, w.message_no, w.from_seq
