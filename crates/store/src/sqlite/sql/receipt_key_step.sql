-- The key one step further along the primary key; none at the end of the walk.
SELECT route_id, id, number FROM receipt_key WHERE (route_id, id, number) >= (?1, ?2, ?3)
ORDER BY route_id, id, number LIMIT 1 OFFSET ?4
