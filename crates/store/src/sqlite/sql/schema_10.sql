-- Version 10: the index of campaigns counts them by status, and begins with what runs and what starts next; lists can be deleted.
CREATE INDEX campaign_kind ON campaign (channel, status);
CREATE INDEX campaign_current ON campaign (
    CASE status WHEN 'running' THEN 0 WHEN 'scheduled' THEN 1 ELSE 2 END,
    CASE status WHEN 'scheduled' THEN starts_at ELSE -id END, id
);
-- No later list gets the id of one that was deleted: campaigns and histories still name it.
CREATE TABLE deleted_list (id INTEGER PRIMARY KEY);
