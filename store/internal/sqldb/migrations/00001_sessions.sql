-- The types are PostgreSQL's. SQLite takes them as well, and keeps bytes as bytes and whole numbers as 64 bits whatever the column is called.
-- Subjects and ids are bytes too: no collation, no encoding and no NUL can make two of them one, or refuse one, and they sort alike everywhere.
-- Times are milliseconds since 1970 in UTC.

-- +goose Up
CREATE TABLE gatehouse_sessions (
    key      BYTEA  NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    id       BYTEA  NOT NULL UNIQUE,
    subject  BYTEA  NOT NULL,
    created  BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    body     BYTEA  NOT NULL
);
CREATE INDEX gatehouse_sessions_subject ON gatehouse_sessions (subject);
CREATE INDEX gatehouse_sessions_deadline ON gatehouse_sessions (deadline);
