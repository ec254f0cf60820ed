-- +goose Up
-- Times are microseconds since 1970 UTC, 0 for "not yet". Truth values are 0 and 1.
-- An id in the directory is the record's own key in the service desk, so that links
-- to it can be built; rows that are made here get a random one.

-- Two processes that migrate at once cannot both write a version down.
CREATE UNIQUE INDEX goose_db_version_once ON goose_db_version (version_id);

CREATE TABLE organizations (
    id      TEXT     NOT NULL PRIMARY KEY,
    name    TEXT     NOT NULL,
    active  INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    source  TEXT     NOT NULL DEFAULT '',
    updated INTEGER   NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE people (
    id              TEXT     NOT NULL PRIMARY KEY,
    name            TEXT     NOT NULL,
    email           TEXT     NOT NULL DEFAULT '',
    reference       TEXT     NOT NULL DEFAULT '',
    organization_id TEXT     REFERENCES organizations (id) ON DELETE SET NULL,
    active          INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    source          TEXT     NOT NULL DEFAULT '',
    updated         INTEGER   NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX people_organization ON people (organization_id);

-- A number of a person, of an organization, or of a person there. Kind 'dialled'
-- is one of our own numbers that stands for an organization when it is called.
CREATE TABLE numbers (
    id              TEXT     NOT NULL PRIMARY KEY,
    number          TEXT     NOT NULL CHECK (number <> ''), -- E.164 with '+', or an extension
    raw             TEXT     NOT NULL DEFAULT '',           -- as it came
    kind            TEXT     NOT NULL DEFAULT '',
    shared          INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),
    active          INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    person_id       TEXT     REFERENCES people (id) ON DELETE CASCADE,
    organization_id TEXT     REFERENCES organizations (id) ON DELETE CASCADE,
    source          TEXT     NOT NULL DEFAULT '',
    updated         INTEGER   NOT NULL DEFAULT 0,
    CHECK (person_id IS NOT NULL OR organization_id IS NOT NULL)
) STRICT;
CREATE INDEX numbers_number ON numbers (number);
CREATE INDEX numbers_person ON numbers (person_id);
CREATE INDEX numbers_organization ON numbers (organization_id);

CREATE TABLE tickets (
    id              TEXT   NOT NULL PRIMARY KEY,
    number          TEXT   NOT NULL CHECK (number <> ''),
    title           TEXT   NOT NULL DEFAULT '',
    state           TEXT   NOT NULL CHECK (state IN ('open', 'closed')),
    person_id       TEXT   REFERENCES people (id) ON DELETE SET NULL,
    organization_id TEXT   REFERENCES organizations (id) ON DELETE SET NULL,
    url             TEXT   NOT NULL DEFAULT '',
    opened          INTEGER NOT NULL DEFAULT 0,
    closed          INTEGER NOT NULL DEFAULT 0,
    source          TEXT   NOT NULL DEFAULT '',
    updated         INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tickets_number ON tickets (number);
CREATE INDEX tickets_person ON tickets (person_id, state);
CREATE INDEX tickets_organization ON tickets (organization_id, state);

CREATE TABLE agents (
    id      TEXT   NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL,
    grp     TEXT   NOT NULL DEFAULT '',
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
    pbx      TEXT   NOT NULL,
    endpoint TEXT   NOT NULL,
    agent_id TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    since    INTEGER NOT NULL,
    PRIMARY KEY (pbx, endpoint)
) STRICT;
CREATE INDEX devices_agent ON devices (agent_id);

CREATE TABLE users (
    id            TEXT     NOT NULL PRIMARY KEY,
    login         TEXT     NOT NULL UNIQUE,
    name          TEXT     NOT NULL,
    role          TEXT     NOT NULL CHECK (role IN ('agent', 'supervisor', 'administrator')),
    password_hash TEXT     NOT NULL,
    agent_id      TEXT     UNIQUE REFERENCES agents (id),
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created       INTEGER   NOT NULL
) STRICT;

CREATE TABLE sessions (
    token   TEXT   NOT NULL PRIMARY KEY, -- hashed
    data    BLOB  NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_expires ON sessions (expires);

-- The outbox. Nothing here refers to the directory by a foreign key: a pop's row
-- must not fail, or go, because a person is deleted.
CREATE TABLE pops (
    id                      TEXT     NOT NULL PRIMARY KEY,
    call_id                 TEXT     NOT NULL,
    agent_id                TEXT     NOT NULL,
    pbx                     TEXT     NOT NULL,
    endpoint                TEXT     NOT NULL,
    caller_number           TEXT     NOT NULL,
    caller_name             TEXT     NOT NULL,
    withheld                INTEGER NOT NULL,
    dialled                 TEXT     NOT NULL,
    call_number             TEXT     NOT NULL,
    unique_id               TEXT     NOT NULL,
    sip_call_id             TEXT     NOT NULL,
    mode                    TEXT     NOT NULL,
    opens                   TEXT     NOT NULL,
    reasons                 TEXT     NOT NULL, -- JSON list of strings
    found_done              INTEGER NOT NULL,
    person_id               TEXT     NOT NULL,
    candidates              INTEGER   NOT NULL,
    organization_id         TEXT     NOT NULL,
    dialled_organization_id TEXT     NOT NULL,
    ticket_id               TEXT     NOT NULL,
    foreign_ticket          INTEGER NOT NULL,
    via                     TEXT     NOT NULL,
    state                   TEXT     NOT NULL,
    cause                   TEXT     NOT NULL,
    to_agent                TEXT     NOT NULL,
    late                    INTEGER NOT NULL,
    degraded                INTEGER NOT NULL,
    answered                INTEGER   NOT NULL,
    offered                 INTEGER   NOT NULL,
    shown                   INTEGER   NOT NULL,
    acknowledged            INTEGER   NOT NULL,
    ended                   INTEGER   NOT NULL
) STRICT;
CREATE INDEX pops_offered ON pops (offered);
CREATE INDEX pops_call ON pops (call_id);
CREATE INDEX pops_agent ON pops (agent_id, offered);
CREATE INDEX pops_active ON pops (agent_id, offered) WHERE state IN ('offered', 'shown', 'acknowledged');

CREATE TABLE links (
    hash     BLOB  NOT NULL PRIMARY KEY, -- SHA-256 of the token
    pop_id   TEXT   NOT NULL REFERENCES pops (id) ON DELETE CASCADE,
    agent_id TEXT   NOT NULL,
    minted   INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    redeemed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX links_pop ON links (pop_id);
CREATE INDEX links_expires ON links (expires);

-- Every other id that a call is known by; the first writer wins.
CREATE TABLE call_aliases (
    pbx     TEXT   NOT NULL,
    alias   TEXT   NOT NULL,
    call_id TEXT   NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (pbx, alias)
) STRICT;
CREATE INDEX call_aliases_call ON call_aliases (call_id);

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    actor  TEXT   NOT NULL,
    action TEXT   NOT NULL,
    object TEXT   NOT NULL,
    detail TEXT   NOT NULL,
    remote TEXT   NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
