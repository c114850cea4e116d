-- The sender for a recipient of a frozen audience: the pool's sender that was dealt, or the campaign's only one.
SELECT coalesce(
    (SELECT sender FROM campaign_slot s WHERE s.campaign_id = ?1
        AND s.slot = ?2 % (SELECT count(*) FROM campaign_slot n WHERE n.campaign_id = ?1)),
    (SELECT sender FROM campaign WHERE id = ?1), '')
