-- Version 5: contacts are found by their names.
CREATE INDEX contact_last_name ON contact (fields ->> '$.last_name' COLLATE NOCASE) WHERE fields ->> '$.last_name' IS NOT NULL;
CREATE INDEX contact_first_name ON contact (fields ->> '$.first_name' COLLATE NOCASE) WHERE fields ->> '$.first_name' IS NOT NULL;
CREATE INDEX contact_email ON contact (fields ->> '$.email' COLLATE NOCASE) WHERE fields ->> '$.email' IS NOT NULL;
