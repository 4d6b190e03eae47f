-- For several replicas over one database, and for moving an instance from one database to another.

-- Batches that were committed (1), and claims on such as never will be (0): one of both for an id. Pruned after an hour.
CREATE TABLE batches (
    id        {text} NOT NULL PRIMARY KEY,
    committed {int}  NOT NULL,
    at        {int}  NOT NULL
) {clustered};
CREATE INDEX batches_at ON batches (at);

-- Moves with every change of identities, policy and integrations, and with no other.
CREATE TABLE change_number (
    id     {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    number {int} NOT NULL
);
INSERT INTO change_number (id, number) VALUES (1, 0);

-- Who does a job at present. The times are the database's own.
CREATE TABLE leases (
    name       {text} NOT NULL PRIMARY KEY,
    holder     {text} NOT NULL,
    fence      {int}  NOT NULL,
    expires_at {int}  NOT NULL
);

-- live, moving (being copied: nothing may be written) or moved; note says where to.
ALTER TABLE instance ADD COLUMN state {text} NOT NULL DEFAULT 'live';
ALTER TABLE instance ADD COLUMN note {text} NOT NULL DEFAULT '';

-- Tokens end by their owner.
CREATE INDEX tokens_subject ON tokens (subject_id);
