-- Version 9: what calls cost.
-- In seconds as the trunk bills them: those of all calls so far, and those that the campaign's budget buys (null: no
-- budget). A longest call is what is kept free for each call that is up.
CREATE TABLE spending (
    campaign_id INTEGER PRIMARY KEY, billed INTEGER NOT NULL, budget INTEGER, increment INTEGER NOT NULL,
    longest INTEGER NOT NULL,
    lifted INTEGER NOT NULL            -- whether a person has released what the budget held
);
