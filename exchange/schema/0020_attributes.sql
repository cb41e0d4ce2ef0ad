-- What a listing says in the fields of its board (exchange/attributes.py): an object of texts, integers, booleans and lists of
-- texts. Looked up by name and value through the grams, compared by number here.
ALTER TABLE listing_search ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}';
