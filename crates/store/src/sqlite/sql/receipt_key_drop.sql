-- One step of the walk, by a range of the primary key.
DELETE FROM receipt_key WHERE (route_id, id, number) >= (?1, ?2, ?3) AND (route_id, id, number) < (?4, ?5, ?6)
    AND at < ?7
