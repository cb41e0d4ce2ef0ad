-- In which role each payment of `shares` was made (clearing/revenue.py); empty: all contributors, as before roles.
ALTER TABLE trade ADD COLUMN share_roles text[] NOT NULL DEFAULT '{}';
-- Distributions of a participant that had a share: shares @> '[["P5"]]'.
CREATE INDEX trade_by_share ON trade USING gin (shares jsonb_path_ops) WHERE shares <> '[]';
