-- Version 2: what is answered to replies, long replies that come in parts, the account's settings.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Answers to keywords. They may go to a number that opted out, so they never pass as deliveries.
CREATE TABLE answer (
    id INTEGER PRIMARY KEY, reply_id INTEGER NOT NULL, route_id INTEGER NOT NULL, number INTEGER NOT NULL,
    sender TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    state TEXT NOT NULL,               -- queued, taken, sent, refused, expired, in_doubt
    due_at INTEGER NOT NULL, at INTEGER NOT NULL, detail TEXT
);
CREATE INDEX answer_queued ON answer (route_id, due_at) WHERE state = 'queued';
CREATE INDEX answer_last ON answer (number, sender, kind, at);
CREATE INDEX answer_reply ON answer (reply_id);

CREATE TABLE reply_part (
    number INTEGER NOT NULL, sender TEXT NOT NULL, reference INTEGER NOT NULL, total INTEGER NOT NULL,
    part INTEGER NOT NULL, route_id INTEGER NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (number, sender, reference, total, part)
) WITHOUT ROWID;
