-- Version 6.

-- Imports: refused rows as they stood under the names of their columns, what was left out of rows that were taken, and
-- where an import that was interrupted begins anew: behind the last part that was stored whole.
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

-- Names are told apart whatever their case.
ALTER TABLE campaign ADD COLUMN name_key TEXT;
UPDATE campaign SET name_key = lower(name);
CREATE INDEX campaign_name_key ON campaign (name_key);
ALTER TABLE list ADD COLUMN name_key TEXT;
UPDATE list SET name_key = lower(name);
CREATE INDEX list_name_key ON list (name_key);
-- A definition as it was written, before the account's dates and zone were frozen into it: what a copy begins with.
ALTER TABLE campaign ADD COLUMN written TEXT;
