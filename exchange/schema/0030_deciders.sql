-- Who found a suspension without ground, and who found a duty broken: neither decides about it again (exchange/case.py).
ALTER TABLE entitlement ADD COLUMN unfounded_by text NOT NULL DEFAULT '';
ALTER TABLE duty ADD COLUMN found_by text NOT NULL DEFAULT '';
UPDATE duty SET found_by = decided_by WHERE state = 'broken';
