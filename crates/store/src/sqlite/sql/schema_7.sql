-- Version 7: an actor is known by a number that no name can be mistaken for, and that is never used again.
CREATE TABLE token_numbered (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, scope TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);
INSERT INTO token_numbered SELECT id, name, scope, hash, created_at FROM token;
DROP TABLE token;
ALTER TABLE token_numbered RENAME TO token;
CREATE TABLE user_numbered (
    id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, role TEXT NOT NULL, password TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
INSERT INTO user_numbered SELECT id, email, role, password, created_at FROM user;
DROP TABLE user;
ALTER TABLE user_numbered RENAME TO user;
-- "user:3", "token:7"; none for the program itself and its commands.
ALTER TABLE audit ADD COLUMN actor_id TEXT;

-- Stored answers: each caller's keys are found by the caller's number, and no secret is in them.
UPDATE idempotency SET key = coalesce(
        (SELECT 'user:' || id FROM user WHERE email = substr(key, 1, instr(key, char(10)) - 1)),
        (SELECT 'token:' || min(id) FROM token WHERE name = substr(key, 1, instr(key, char(10)) - 1)),
        substr(key, 1, instr(key, char(10)) - 1)
    ) || substr(key, instr(key, char(10)));
UPDATE idempotency SET answer = json_set(answer, '$.secret', NULL)
WHERE json_valid(answer) AND json_extract(answer, '$.secret') IS NOT NULL;

-- The deliveries that each person in a campaign gets, whatever its channel; written whenever its definition is.
DROP INDEX campaign_messages;
DROP INDEX campaign_progress;
ALTER TABLE campaign DROP COLUMN messages;
ALTER TABLE campaign DROP COLUMN progress;
ALTER TABLE campaign ADD COLUMN sends INTEGER NOT NULL DEFAULT 0;
UPDATE campaign SET sends = json_array_length(definition, '$.messages');
ALTER TABLE campaign ADD COLUMN progress REAL
    GENERATED ALWAYS AS (settled * 1.0 / nullif(audience * sends, 0)) VIRTUAL;
CREATE INDEX campaign_sends ON campaign (sends);
CREATE INDEX campaign_progress ON campaign (progress);
