-- The key a step further along the primary key; none where the walk comes to its end.
SELECT route_id, id, number FROM receipt_key WHERE (route_id, id, number) >= (?1, ?2, ?3)
ORDER BY route_id, id, number LIMIT 1 OFFSET ?4
