-- Why an entitlement was suspended, resumed or revoked, and the trade that renews it.
ALTER TABLE entitlement
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN renewed_by text NOT NULL DEFAULT '';
