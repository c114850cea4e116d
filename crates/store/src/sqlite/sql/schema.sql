-- The whole schema, version 1. Times are milliseconds since the epoch, UTC. Numbers are E.164 digits.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE token (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, scope TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, created_at INTEGER NOT NULL
);

CREATE TABLE idempotency (
    key TEXT PRIMARY KEY, request BLOB NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE route (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, config TEXT NOT NULL,
    -- When this route last had room to send: what was due then was queueing, not late.
    alive_at INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE zone (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE list (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL);

CREATE TABLE contact (
    number INTEGER PRIMARY KEY,
    zone_id INTEGER NOT NULL,          -- 0: neither the contact nor the number tells
    fields TEXT                        -- JSON object of texts
);
CREATE TABLE list_member (
    list_id INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (list_id, number)
) WITHOUT ROWID;
CREATE TABLE field (name TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE import (
    id INTEGER PRIMARY KEY, list_id INTEGER NOT NULL, state TEXT NOT NULL, rows INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, error TEXT
);
CREATE TABLE import_error (
    import_id INTEGER NOT NULL, row INTEGER NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (import_id, row)
) WITHOUT ROWID;

CREATE TABLE suppression (
    number INTEGER NOT NULL, channel TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (number, channel)
) WITHOUT ROWID;

CREATE TABLE campaign (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, status TEXT NOT NULL,
    archived_from TEXT, version INTEGER NOT NULL, epoch INTEGER NOT NULL, definition TEXT NOT NULL,
    fields TEXT NOT NULL DEFAULT '[]', audience INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL, scheduled_at INTEGER, started_at INTEGER, finished_at INTEGER, restarted_at INTEGER
);
CREATE INDEX campaign_status ON campaign (status, id);
CREATE TABLE timeline (
    campaign_id INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, cause TEXT NOT NULL, status TEXT NOT NULL
);
CREATE INDEX timeline_campaign ON timeline (campaign_id);

CREATE TABLE audience_group (
    campaign_id INTEGER NOT NULL, grp INTEGER NOT NULL, zones TEXT NOT NULL, from_seq INTEGER NOT NULL,
    to_seq INTEGER NOT NULL, PRIMARY KEY (campaign_id, grp)
) WITHOUT ROWID;
CREATE TABLE audience (
    campaign_id INTEGER NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, fields TEXT,
    PRIMARY KEY (campaign_id, seq)
) WITHOUT ROWID;

CREATE TABLE wave (
    id INTEGER PRIMARY KEY, campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, grp INTEGER NOT NULL,
    from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,         -- the first that was never claimed
    settled_to INTEGER NOT NULL,       -- the lowest with neither delivery nor retry row
    due_at INTEGER NOT NULL, open INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    CHECK (from_seq <= settled_to AND settled_to <= next_seq AND next_seq <= to_seq)
);
CREATE INDEX wave_range ON wave (campaign_id, message_no, from_seq);
CREATE INDEX wave_open ON wave (campaign_id) WHERE open AND next_seq < to_seq;
-- Where settled_to stood, once a second while a leader moves.
CREATE TABLE wave_mark (
    wave_id INTEGER NOT NULL, at INTEGER NOT NULL, settled_to INTEGER NOT NULL, PRIMARY KEY (wave_id, at)
) WITHOUT ROWID;

CREATE TABLE claim (
    id INTEGER PRIMARY KEY, campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL,
    wave_id INTEGER,                   -- null: a claim of retries
    from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
    low INTEGER NOT NULL,              -- the lowest that is not settled
    left_over INTEGER NOT NULL,        -- how many are not settled
    worker TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX claim_campaign ON claim (campaign_id);
CREATE INDEX claim_wave ON claim (wave_id, low);

CREATE TABLE retry (
    campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, seq INTEGER NOT NULL,
    due_at INTEGER,                    -- null: waits for the message before it
    attempts INTEGER NOT NULL, open INTEGER NOT NULL, claim_id INTEGER, detail TEXT,
    PRIMARY KEY (campaign_id, message_no, seq)
) WITHOUT ROWID;
CREATE INDEX retry_due ON retry (campaign_id, due_at) WHERE open AND claim_id IS NULL AND due_at IS NOT NULL;

CREATE TABLE delivery (
    campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, seq INTEGER NOT NULL,
    outcome INTEGER NOT NULL, reason TEXT, code INTEGER, detail TEXT, provider_id TEXT,
    parts INTEGER NOT NULL, parts_left INTEGER NOT NULL, attempts INTEGER NOT NULL,
    sent_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, message_no, seq)
) WITHOUT ROWID;
-- For the pages of the rarer outcomes; the common ones are found by walking the table.
CREATE INDEX delivery_rare ON delivery (campaign_id, outcome, message_no, seq) WHERE outcome > 2;

CREATE TABLE tally (
    campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, outcome INTEGER NOT NULL, reason TEXT NOT NULL,
    slot INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (campaign_id, message_no, outcome, reason, slot)
) WITHOUT ROWID;
CREATE TABLE tally_minute (
    campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, outcome INTEGER NOT NULL, minute INTEGER NOT NULL,
    slot INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (campaign_id, message_no, outcome, minute, slot)
) WITHOUT ROWID;

CREATE TABLE receipt_key (
    route_id INTEGER NOT NULL, provider_id TEXT NOT NULL, number INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
    final INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (route_id, provider_id, number)
) WITHOUT ROWID;
CREATE TABLE early_receipt (
    route_id INTEGER NOT NULL, provider_id TEXT NOT NULL, number INTEGER NOT NULL, delivered INTEGER NOT NULL,
    code INTEGER, at INTEGER NOT NULL, PRIMARY KEY (route_id, provider_id, number)
) WITHOUT ROWID;
CREATE TABLE in_doubt (
    route_id INTEGER NOT NULL, number INTEGER NOT NULL, campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL,
    seq INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (route_id, number, campaign_id, message_no, seq)
) WITHOUT ROWID;

CREATE TABLE last_contact (
    number INTEGER NOT NULL, sender TEXT NOT NULL, campaign_id INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (number, sender)
) WITHOUT ROWID;
CREATE TABLE reply (
    id INTEGER PRIMARY KEY, campaign_id INTEGER, number INTEGER NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL,
    keyword TEXT, at INTEGER NOT NULL
);
CREATE INDEX reply_campaign ON reply (campaign_id, id);
