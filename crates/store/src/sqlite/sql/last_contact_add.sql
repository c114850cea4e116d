-- The campaign that a reply from this number to this sender belongs to.
INSERT INTO last_contact (number, sender, campaign_id, at) VALUES /* rows */
ON CONFLICT DO UPDATE SET campaign_id = excluded.campaign_id, at = excluded.at
