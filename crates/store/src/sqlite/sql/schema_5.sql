-- Version 5: contacts are found by their names; pools of senders.
-- The names and addresses that contacts are found by, in their order. They are brought up to date after the contacts, in
-- large sorted pieces; what changes or goes takes its old names with it at once.
CREATE TABLE contact_name (
    name TEXT NOT NULL COLLATE NOCASE, number INTEGER NOT NULL, PRIMARY KEY (name, number)
) WITHOUT ROWID;
-- Contacts that were stored and not yet sorted in: a JSON array of numbers a chunk.
CREATE TABLE name_due (id INTEGER PRIMARY KEY, numbers TEXT NOT NULL);
INSERT INTO name_due (numbers) SELECT json_group_array(number) FROM contact WHERE fields IS NOT NULL GROUP BY number / 10000;
CREATE TRIGGER contact_changed AFTER UPDATE OF fields ON contact WHEN OLD.fields IS NOT NEW.fields BEGIN
    DELETE FROM contact_name WHERE number = OLD.number
        AND name IN (OLD.fields ->> '$.first_name', OLD.fields ->> '$.last_name', OLD.fields ->> '$.email');
END;
CREATE TRIGGER contact_gone AFTER DELETE ON contact BEGIN
    DELETE FROM contact_name WHERE number = OLD.number
        AND name IN (OLD.fields ->> '$.first_name', OLD.fields ->> '$.last_name', OLD.fields ->> '$.email');
END;

-- Pools of senders, each with its rate.
CREATE TABLE pool (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE pool_sender (
    pool_id INTEGER NOT NULL, place INTEGER NOT NULL, sender TEXT NOT NULL, rate INTEGER NOT NULL,
    PRIMARY KEY (pool_id, place)
) WITHOUT ROWID;
-- As whom a frozen audience is written to: a recipient's slot is its seq modulo the number of slots.
CREATE TABLE campaign_slot (
    campaign_id INTEGER NOT NULL, slot INTEGER NOT NULL, sender TEXT NOT NULL, rate INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, slot)
) WITHOUT ROWID;
-- A person's page goes through the campaigns that were scheduled.
CREATE INDEX campaign_frozen ON campaign (id) WHERE audience > 0;
