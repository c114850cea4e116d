-- Version 4: webhooks, communication limits, opt-outs by purpose, imports that are looked at first, consent, the Index, attempts.
CREATE TABLE webhook (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL, secret TEXT NOT NULL,
    levels TEXT NOT NULL,              -- JSON array: attempt, person, campaign
    off TEXT,                          -- why nothing is sent to it; null: it is on
    created_at INTEGER NOT NULL
);
-- What is to be told, and, once told or given up, the log of it.
CREATE TABLE webhook_event (
    id INTEGER PRIMARY KEY, webhook_id INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, at INTEGER NOT NULL,
    state TEXT NOT NULL,               -- queued, delivered, given_up
    tries INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL
);
CREATE INDEX webhook_event_due ON webhook_event (webhook_id, due_at) WHERE state = 'queued';
CREATE INDEX webhook_event_log ON webhook_event (webhook_id, id);
CREATE TABLE webhook_try (
    event_id INTEGER NOT NULL, at INTEGER NOT NULL, status INTEGER, detail TEXT, took INTEGER NOT NULL,
    PRIMARY KEY (event_id, at)
) WITHOUT ROWID;

-- What each number is sent, while a communication limit is on.
CREATE TABLE contact_log (
    number INTEGER NOT NULL, campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (number, campaign_id, message_no)
) WITHOUT ROWID;

-- An opt-out may hold for one purpose alone; '': for every one.
ALTER TABLE suppression RENAME TO suppression_3;
CREATE TABLE suppression (
    number INTEGER NOT NULL, channel TEXT NOT NULL, purpose TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (number, channel, purpose)
) WITHOUT ROWID;
INSERT INTO suppression SELECT number, channel, '', reason, at FROM suppression_3;
DROP TABLE suppression_3;

-- Files that are imported: looked at first, taken up again where the program ended, onto lists of both kinds.
ALTER TABLE import RENAME TO import_3;
CREATE TABLE import (
    id INTEGER PRIMARY KEY,
    list_id INTEGER,                   -- null: onto a do-not-contact list
    channel TEXT,                      -- of that one
    state TEXT NOT NULL,               -- queued, running, done, failed
    plan TEXT NOT NULL DEFAULT '{}', rows INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0, error TEXT,
    size INTEGER,                      -- of the file, in bytes; null: none is kept
    read INTEGER NOT NULL DEFAULT 0,   -- of these
    at INTEGER NOT NULL DEFAULT 0
);
INSERT INTO import (id, list_id, state, rows, accepted, rejected, error)
    SELECT id, list_id, state, rows, accepted, rejected, error FROM import_3;
DROP TABLE import_3;
CREATE INDEX import_list ON import (list_id, id);

-- Who agreed to be written to: where that was said, when, and who noted it.
CREATE TABLE consent (
    number INTEGER PRIMARY KEY, source TEXT NOT NULL, at INTEGER NOT NULL, noted_by TEXT NOT NULL, noted_at INTEGER NOT NULL
);

-- What the Campaign Index sorts by and searches in, so that a page of it costs the same among many campaigns.
ALTER TABLE campaign ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;    -- deliveries that have a row
ALTER TABLE campaign ADD COLUMN progress REAL
    GENERATED ALWAYS AS (settled * 1.0 / nullif(audience * json_array_length(definition, '$.messages'), 0)) VIRTUAL;
ALTER TABLE campaign ADD COLUMN list_name TEXT;
UPDATE campaign SET settled = (SELECT coalesce(sum(count), 0) FROM tally t WHERE t.campaign_id = campaign.id),
    list_name = (SELECT name FROM list l WHERE l.id = CAST(substr(list_id, 5) AS INTEGER));
CREATE INDEX campaign_progress ON campaign (progress);
CREATE INDEX campaign_list ON campaign (list_name COLLATE NOCASE);
CREATE VIRTUAL TABLE campaign_search USING fts5(name, tokenize = 'trigram');
INSERT INTO campaign_search (rowid, name) SELECT id, name FROM campaign;
CREATE TRIGGER campaign_made AFTER INSERT ON campaign BEGIN
    INSERT INTO campaign_search (rowid, name) VALUES (NEW.id, NEW.name);
    UPDATE campaign SET list_name = (SELECT name FROM list l WHERE l.id = CAST(substr(NEW.list_id, 5) AS INTEGER))
        WHERE id = NEW.id;
END;
CREATE TRIGGER campaign_named AFTER UPDATE OF name ON campaign WHEN OLD.name <> NEW.name BEGIN
    UPDATE campaign_search SET name = NEW.name WHERE rowid = NEW.id;
END;
CREATE TRIGGER campaign_listed AFTER UPDATE OF definition ON campaign WHEN OLD.list_id IS NOT NEW.list_id BEGIN
    UPDATE campaign SET list_name = (SELECT name FROM list l WHERE l.id = CAST(substr(NEW.list_id, 5) AS INTEGER))
        WHERE id = NEW.id;
END;

-- Attempts that were not the last: throttled, put back. The last one is the delivery.
CREATE TABLE attempt (
    campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
    detail TEXT NOT NULL, PRIMARY KEY (campaign_id, message_no, seq, at)
) WITHOUT ROWID;
