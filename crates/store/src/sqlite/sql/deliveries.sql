-- One walk along the audience's primary key, three look-ups by key per row. A recipient's wave is the one with the
-- greatest from_seq that is not beyond it.
SELECT :message, seq, number, place, reason, code, detail, provider_id, parts, attempts, sent_at, changed_at
FROM (
    SELECT a.seq, a.number,
           CASE WHEN d.outcome IS NOT NULL THEN d.outcome
                WHEN r.claim_id IS NOT NULL THEN 101
                WHEN r.seq IS NOT NULL THEN CASE WHEN r.open THEN 100 ELSE 102 END
                ELSE (SELECT CASE WHEN a.seq < w.next_seq THEN 101 WHEN w.open THEN 100 ELSE 102 END
                      FROM wave w WHERE w.campaign_id = :campaign AND w.message_no = :message AND w.from_seq <= a.seq
                      ORDER BY w.from_seq DESC LIMIT 1)
           END AS place,
           d.reason, d.code, coalesce(d.detail, r.detail) AS detail, d.provider_id, d.parts,
           coalesce(d.attempts, r.attempts) AS attempts, d.sent_at, d.changed_at
    FROM audience a
    LEFT JOIN delivery d ON d.campaign_id = :campaign AND d.message_no = :message AND d.seq = a.seq
    LEFT JOIN retry r ON r.campaign_id = :campaign AND r.message_no = :message AND r.seq = a.seq
    WHERE a.campaign_id = :campaign AND a.seq >= :from AND a.seq < :to
      AND (:within IS NULL OR instr(a.number, :within) > 0)
)
WHERE (:outcome IS NULL OR place = :outcome) AND (:reason IS NULL OR reason = :reason) AND (:code IS NULL OR code = :code)
ORDER BY seq LIMIT :limit
