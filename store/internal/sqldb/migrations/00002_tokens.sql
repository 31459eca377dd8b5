-- Types and bytes are as in 00001. A time that is not set is that of the year 1, -62135596800000.

-- +goose Up
CREATE TABLE gatehouse_rings (
    name    BYTEA  NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
-- The keys of a ring, in the order of place. The material is sealed with the master key.
CREATE TABLE gatehouse_keys (
    ring      BYTEA  NOT NULL REFERENCES gatehouse_rings (name),
    place     BIGINT NOT NULL,
    id        BYTEA  NOT NULL,
    algorithm BYTEA  NOT NULL,
    created   BIGINT NOT NULL,
    active    BIGINT NOT NULL,
    gone      BIGINT NOT NULL,
    lifetime  BIGINT NOT NULL, -- nanoseconds
    material  BYTEA  NOT NULL,
    PRIMARY KEY (ring, place),
    UNIQUE (ring, id)
);

-- A family that has ended is remembered until its last token would have been overdue.
CREATE TABLE gatehouse_families (
    id      BYTEA   NOT NULL PRIMARY KEY,
    ended   BOOLEAN NOT NULL,
    expires BIGINT  NOT NULL -- none of its tokens expires later
);
CREATE INDEX gatehouse_families_expires ON gatehouse_families (expires);

CREATE TABLE gatehouse_tokens (
    key     BYTEA  NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    id      BYTEA  NOT NULL,
    purpose BYTEA  NOT NULL,
    subject BYTEA  NOT NULL,
    family  BYTEA  REFERENCES gatehouse_families (id), -- NULL: none
    expires BIGINT NOT NULL,
    uses    BIGINT NOT NULL, -- that are left; less than zero: any number
    used    BIGINT NOT NULL,
    next    BYTEA  CHECK (length(next) = 32), -- NULL: it was not rotated
    sealed  BYTEA  NOT NULL,
    body    BYTEA  NOT NULL
);
CREATE INDEX gatehouse_tokens_subject ON gatehouse_tokens (subject);
CREATE INDEX gatehouse_tokens_family ON gatehouse_tokens (family) WHERE family IS NOT NULL;
CREATE INDEX gatehouse_tokens_expires ON gatehouse_tokens (expires);

-- The one row is counted up, and so locked until it is committed, by whoever adds to the feed: its order is that of the commits.
CREATE TABLE gatehouse_feed (
    id   BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL -- the highest seq that was ever given
);
INSERT INTO gatehouse_feed VALUES (1, 0);

CREATE TABLE gatehouse_revocations (
    seq     BIGINT NOT NULL PRIMARY KEY,
    kind    BYTEA  NOT NULL,
    id      BYTEA  NOT NULL,
    before  BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX gatehouse_revocations_expires ON gatehouse_revocations (expires);
