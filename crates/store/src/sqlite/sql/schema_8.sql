-- Version 8: calls.
-- The caller ID of a voice campaign is what a message's sender is.
DROP INDEX campaign_sender;
ALTER TABLE campaign DROP COLUMN sender;
ALTER TABLE campaign ADD COLUMN sender TEXT
    GENERATED ALWAYS AS (coalesce(definition ->> '$.sender', definition ->> '$.caller_id')) VIRTUAL;
CREATE INDEX campaign_sender ON campaign (sender);

-- Every call that was made, one row each, also of those that are called again.
CREATE TABLE call (
    campaign_id INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL,
    called TEXT,                       -- what it came to under the rules of calling again; null: it counts for nothing
    goal INTEGER NOT NULL, row TEXT NOT NULL,
    PRIMARY KEY (campaign_id, seq, n)
) WITHOUT ROWID;
-- How often calls came to each step ('' as branch), and which ways they took on.
CREATE TABLE step_tally (
    campaign_id INTEGER NOT NULL, step TEXT NOT NULL, branch TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, step, branch)
) WITHOUT ROWID;
-- Why a voice campaign could not go on.
CREATE TABLE campaign_error (campaign_id INTEGER PRIMARY KEY, error TEXT NOT NULL);

-- Uploads that calls play, as they were uploaded.
CREATE TABLE audio (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, seconds REAL NOT NULL, bytes BLOB NOT NULL, created_at INTEGER NOT NULL
);
