-- Version 5: contacts are found by their names; pools of senders.
CREATE INDEX contact_last_name ON contact (fields ->> '$.last_name' COLLATE NOCASE) WHERE fields ->> '$.last_name' IS NOT NULL;
CREATE INDEX contact_first_name ON contact (fields ->> '$.first_name' COLLATE NOCASE) WHERE fields ->> '$.first_name' IS NOT NULL;
CREATE INDEX contact_email ON contact (fields ->> '$.email' COLLATE NOCASE) WHERE fields ->> '$.email' IS NOT NULL;

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
