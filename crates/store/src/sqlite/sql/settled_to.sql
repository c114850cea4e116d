-- The lowest seq of the wave with neither a delivery nor a retry row: the lowest of its claims, otherwise next_seq.
UPDATE wave SET settled_to = coalesce((SELECT min(low) FROM claim WHERE wave_id = ?1), next_seq) WHERE id = ?1
RETURNING settled_to
