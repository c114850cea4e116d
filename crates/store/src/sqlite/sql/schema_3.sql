-- Version 3: people who sign in, what they did, and what the Campaign Index sorts by.
CREATE TABLE user (
    id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, role TEXT NOT NULL, password TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
-- Secrets are kept as hashes: whoever reads the database cannot sign in with what it holds.
CREATE TABLE session (
    hash BLOB PRIMARY KEY, user_id INTEGER NOT NULL, created_at INTEGER NOT NULL, seen_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_user ON session (user_id);
CREATE TABLE invitation (
    hash BLOB PRIMARY KEY, role TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,
    detail TEXT
);

ALTER TABLE campaign ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE campaign ADD COLUMN starts_at INTEGER;      -- the first planned send, once scheduled
ALTER TABLE campaign ADD COLUMN sender TEXT GENERATED ALWAYS AS (definition ->> '$.sender') VIRTUAL;
ALTER TABLE campaign ADD COLUMN messages INTEGER GENERATED ALWAYS AS (json_array_length(definition, '$.messages')) VIRTUAL;
ALTER TABLE campaign ADD COLUMN list_id TEXT GENERATED ALWAYS AS (definition ->> '$.list_ids[0]') VIRTUAL;
UPDATE campaign SET
    created_by = coalesce((SELECT actor FROM timeline t WHERE t.campaign_id = campaign.id ORDER BY t.rowid LIMIT 1), ''),
    starts_at = (SELECT min(due_at) FROM wave w WHERE w.campaign_id = campaign.id);
CREATE INDEX campaign_name ON campaign (name COLLATE NOCASE);
CREATE INDEX campaign_starts ON campaign (starts_at);
CREATE INDEX campaign_by ON campaign (created_by COLLATE NOCASE);
CREATE INDEX campaign_sender ON campaign (sender);
CREATE INDEX campaign_messages ON campaign (messages);

ALTER TABLE list ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE list SET size = (SELECT count(*) FROM list_member m WHERE m.list_id = list.id);
CREATE INDEX list_member_number ON list_member (number);
CREATE INDEX reply_number ON reply (number);
