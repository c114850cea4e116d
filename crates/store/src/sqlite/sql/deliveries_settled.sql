-- Along the delivery's primary key. For the rarer outcomes the parts in comments are put in, and delivery_rare finds the rows.
SELECT d.message_no, d.seq, a.number, d.outcome, d.reason, d.code, d.detail, d.provider_id, d.parts, d.attempts,
       d.sent_at, d.changed_at
FROM delivery d /*INDEXED BY delivery_rare*/ JOIN audience a ON a.campaign_id = d.campaign_id AND a.seq = d.seq
WHERE d.campaign_id = :campaign AND d.message_no = :message AND d.seq >= :from AND d.seq < :to AND d.outcome = :outcome
  /*AND d.outcome > 2*/
  AND (:reason IS NULL OR d.reason = :reason) AND (:code IS NULL OR d.code = :code)
  AND (:within IS NULL OR instr(a.number, :within) > 0)
ORDER BY d.seq LIMIT :limit
