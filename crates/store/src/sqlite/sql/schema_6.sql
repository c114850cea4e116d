-- Version 6.

-- Imports: refused rows as they stood under the names of their columns, what was left out of accepted rows, and where
-- an interrupted import begins anew: after the last part that was stored whole.
ALTER TABLE import ADD COLUMN header TEXT NOT NULL DEFAULT '[]';
ALTER TABLE import ADD COLUMN whole_rows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE import ADD COLUMN whole_accepted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE import ADD COLUMN whole_rejected INTEGER NOT NULL DEFAULT 0;
UPDATE import SET whole_rows = rows, whole_accepted = accepted, whole_rejected = rejected;
ALTER TABLE import_error ADD COLUMN original TEXT;     -- JSON array; null: of an earlier version, or deleted on request
CREATE TABLE import_left_out (
    import_id INTEGER NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (import_id, field, reason)
) WITHOUT ROWID;

-- Names are compared ignoring case.
ALTER TABLE campaign ADD COLUMN name_key TEXT;
UPDATE campaign SET name_key = lower(name);
CREATE INDEX campaign_name_key ON campaign (name_key);
ALTER TABLE list ADD COLUMN name_key TEXT;
UPDATE list SET name_key = lower(name);
CREATE INDEX list_name_key ON list (name_key);
-- A definition as it was written, before the account's dates and zone were frozen into it: what a copy begins with.
ALTER TABLE campaign ADD COLUMN written TEXT;

-- Receipts are found by an id in one form (lower case, no leading zeros); how the SMSC spelt it tells two apart that
-- read alike, and number and sender choose where several have it. Answers and test messages of our own are known by
-- their ids too: campaign 0, with the answer's id as seq.
ALTER TABLE receipt_key RENAME TO receipt_key_5;
CREATE TABLE receipt_key (
    route_id INTEGER NOT NULL, id TEXT NOT NULL, number INTEGER NOT NULL, campaign_id INTEGER NOT NULL,
    message_no INTEGER NOT NULL, seq INTEGER NOT NULL,
    spelling TEXT,                     -- null: as the id
    at INTEGER NOT NULL, final INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (route_id, id, number, campaign_id, message_no, seq)
) WITHOUT ROWID;
INSERT OR REPLACE INTO receipt_key
    SELECT route_id, folded, number, campaign_id, message_no, seq, nullif(provider_id, folded), at, final
    FROM (SELECT *, coalesce(nullif(ltrim(lower(provider_id), '0'), ''), '0') AS folded FROM receipt_key_5
          WHERE provider_id <> '');
DROP TABLE receipt_key_5;
-- Receipts that came before the results of their messages.
ALTER TABLE early_receipt RENAME TO early_receipt_5;
CREATE TABLE early_receipt (
    route_id INTEGER NOT NULL, id TEXT NOT NULL, spelling TEXT NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL,
    delivered INTEGER NOT NULL, code INTEGER, detail TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (route_id, id, spelling, source)
) WITHOUT ROWID;
INSERT OR IGNORE INTO early_receipt
    SELECT route_id, coalesce(nullif(ltrim(lower(provider_id), '0'), ''), '0'), provider_id, CAST(number AS TEXT), '',
        delivered, code, NULL, at
    FROM early_receipt_5 WHERE provider_id <> '';
DROP TABLE early_receipt_5;
-- Deliveries without an id: a receipt finds them by route, number and sender.
ALTER TABLE in_doubt RENAME TO in_doubt_5;
CREATE TABLE in_doubt (
    campaign_id INTEGER NOT NULL, message_no INTEGER NOT NULL, seq INTEGER NOT NULL, route_id INTEGER NOT NULL,
    number INTEGER NOT NULL, sender TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (campaign_id, message_no, seq)
) WITHOUT ROWID;
CREATE INDEX in_doubt_number ON in_doubt (route_id, number);
INSERT OR IGNORE INTO in_doubt
    SELECT campaign_id, message_no, seq, route_id, number, coalesce(
        (SELECT ltrim(sender, '+') FROM campaign_slot s WHERE s.campaign_id = d.campaign_id
            AND s.slot = d.seq % (SELECT count(*) FROM campaign_slot n WHERE n.campaign_id = d.campaign_id)),
        (SELECT ltrim(sender, '+') FROM campaign c WHERE c.id = d.campaign_id), ''), at
    FROM in_doubt_5 d;
DROP TABLE in_doubt_5;

-- A number may be on the do-not-contact list for several reasons, each lifted separately.
ALTER TABLE suppression RENAME TO suppression_5;
CREATE TABLE suppression (
    number INTEGER NOT NULL, channel TEXT NOT NULL, purpose TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (number, channel, purpose, reason)
) WITHOUT ROWID;
INSERT INTO suppression SELECT number, channel, purpose, reason, at FROM suppression_5;
DROP TABLE suppression_5;

-- Retries: what counts against the recipient, what was set aside while the carrier refused its sender, what is late.
ALTER TABLE retry ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;  -- refusals while others were accepted
ALTER TABLE retry ADD COLUMN refused_at INTEGER;                   -- the first refusal that was not throttling
ALTER TABLE retry ADD COLUMN parked TEXT;                          -- the sender that it waits for
ALTER TABLE retry ADD COLUMN held INTEGER NOT NULL DEFAULT 0;      -- late: waits for a person
DROP INDEX retry_due;
CREATE INDEX retry_due ON retry (campaign_id, due_at)
    WHERE open AND claim_id IS NULL AND due_at IS NOT NULL AND parked IS NULL AND NOT held;
CREATE INDEX retry_parked ON retry (campaign_id, parked, refused_at, due_at)
    WHERE open AND claim_id IS NULL AND parked IS NOT NULL AND NOT held;
CREATE INDEX retry_held ON retry (campaign_id) WHERE open AND held;
CREATE INDEX retry_claim ON retry (claim_id) WHERE claim_id IS NOT NULL;
-- The agenda reads what is due of a campaign, and when the next part comes due.
DROP INDEX wave_open;
CREATE INDEX wave_due ON wave (campaign_id, due_at) WHERE open AND next_seq < to_seq;
CREATE INDEX wave_held ON wave (campaign_id) WHERE open AND held AND next_seq < to_seq;
