-- The contract that a trade was made under, and the buyer's signature on it; the merchant's is the contract's own
-- (exchange/contract.py). Empty for trades from before there were contracts.
ALTER TABLE trade ADD COLUMN contract text NOT NULL DEFAULT '';
ALTER TABLE trade ADD COLUMN buyer_signature text NOT NULL DEFAULT '';
