-- +goose Up
-- Times are microseconds since 1970 UTC, 0 for "not yet". Truth values are 0 and 1.
-- An id in the directory is the record's own key in the service desk, so that links
-- to it can be built; rows that are made here get a random one.

-- Two processes that migrate at once cannot both write a version down.
CREATE UNIQUE INDEX goose_db_version_once ON goose_db_version (version_id);

CREATE TABLE organizations (
    id      TEXT     NOT NULL PRIMARY KEY,
    name    TEXT     NOT NULL,
    active  SMALLINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    source  TEXT     NOT NULL DEFAULT '',
    updated BIGINT   NOT NULL DEFAULT 0
);

CREATE TABLE people (
    id              TEXT     NOT NULL PRIMARY KEY,
    name            TEXT     NOT NULL,
    email           TEXT     NOT NULL DEFAULT '',
    reference       TEXT     NOT NULL DEFAULT '',
    organization_id TEXT     REFERENCES organizations (id) ON DELETE SET NULL,
    active          SMALLINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    source          TEXT     NOT NULL DEFAULT '',
    updated         BIGINT   NOT NULL DEFAULT 0
);
CREATE INDEX people_organization ON people (organization_id);

-- A number of a person, of an organization, or of a person there. Kind 'dialled'
-- is one of our own numbers that stands for an organization when it is called.
CREATE TABLE numbers (
    id              TEXT     NOT NULL PRIMARY KEY,
    number          TEXT     NOT NULL CHECK (number <> ''), -- E.164 with '+', or an extension
    raw             TEXT     NOT NULL DEFAULT '',           -- as it came
    kind            TEXT     NOT NULL DEFAULT '',
    shared          SMALLINT NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),
    active          SMALLINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    person_id       TEXT     REFERENCES people (id) ON DELETE CASCADE,
    organization_id TEXT     REFERENCES organizations (id) ON DELETE CASCADE,
    source          TEXT     NOT NULL DEFAULT '',
    updated         BIGINT   NOT NULL DEFAULT 0,
    CHECK (person_id IS NOT NULL OR organization_id IS NOT NULL)
);
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
    opened          BIGINT NOT NULL DEFAULT 0,
    closed          BIGINT NOT NULL DEFAULT 0,
    source          TEXT   NOT NULL DEFAULT '',
    updated         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX tickets_number ON tickets (number);
CREATE INDEX tickets_person ON tickets (person_id, state);
CREATE INDEX tickets_organization ON tickets (organization_id, state);

CREATE TABLE agents (
    id      TEXT   NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL,
    grp     TEXT   NOT NULL DEFAULT '',
    created BIGINT NOT NULL
);

CREATE TABLE devices (
    pbx      TEXT   NOT NULL,
    endpoint TEXT   NOT NULL,
    agent_id TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    since    BIGINT NOT NULL,
    PRIMARY KEY (pbx, endpoint)
);
CREATE INDEX devices_agent ON devices (agent_id);

CREATE TABLE users (
    id            TEXT     NOT NULL PRIMARY KEY,
    login         TEXT     NOT NULL UNIQUE,
    name          TEXT     NOT NULL,
    role          TEXT     NOT NULL CHECK (role IN ('agent', 'supervisor', 'administrator')),
    password_hash TEXT     NOT NULL,
    agent_id      TEXT     UNIQUE REFERENCES agents (id),
    disabled      SMALLINT NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created       BIGINT   NOT NULL
);

CREATE TABLE sessions (
    token   TEXT   NOT NULL PRIMARY KEY, -- hashed
    data    BYTEA  NOT NULL,
    expires BIGINT NOT NULL
);
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
    withheld                SMALLINT NOT NULL,
    dialled                 TEXT     NOT NULL,
    call_number             TEXT     NOT NULL,
    unique_id               TEXT     NOT NULL,
    sip_call_id             TEXT     NOT NULL,
    mode                    TEXT     NOT NULL,
    opens                   TEXT     NOT NULL,
    reasons                 TEXT     NOT NULL, -- JSON list of strings
    found_done              SMALLINT NOT NULL,
    person_id               TEXT     NOT NULL,
    candidates              BIGINT   NOT NULL,
    organization_id         TEXT     NOT NULL,
    dialled_organization_id TEXT     NOT NULL,
    ticket_id               TEXT     NOT NULL,
    foreign_ticket          SMALLINT NOT NULL,
    via                     TEXT     NOT NULL,
    state                   TEXT     NOT NULL,
    cause                   TEXT     NOT NULL,
    to_agent                TEXT     NOT NULL,
    late                    SMALLINT NOT NULL,
    degraded                SMALLINT NOT NULL,
    answered                BIGINT   NOT NULL,
    offered                 BIGINT   NOT NULL,
    shown                   BIGINT   NOT NULL,
    acknowledged            BIGINT   NOT NULL,
    ended                   BIGINT   NOT NULL
);
CREATE INDEX pops_offered ON pops (offered);
CREATE INDEX pops_call ON pops (call_id);
CREATE INDEX pops_agent ON pops (agent_id, offered);
CREATE INDEX pops_active ON pops (agent_id, offered) WHERE state IN ('offered', 'shown', 'acknowledged');

CREATE TABLE links (
    hash     BYTEA  NOT NULL PRIMARY KEY, -- SHA-256 of the token
    pop_id   TEXT   NOT NULL REFERENCES pops (id) ON DELETE CASCADE,
    agent_id TEXT   NOT NULL,
    minted   BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    redeemed BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX links_pop ON links (pop_id);
CREATE INDEX links_expires ON links (expires);

-- Every other id that a call is known by; the first writer wins.
CREATE TABLE call_aliases (
    pbx     TEXT   NOT NULL,
    alias   TEXT   NOT NULL,
    call_id TEXT   NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (pbx, alias)
);
CREATE INDEX call_aliases_call ON call_aliases (call_id);

CREATE TABLE audit (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    action TEXT   NOT NULL,
    object TEXT   NOT NULL,
    detail TEXT   NOT NULL,
    remote TEXT   NOT NULL
);
CREATE INDEX audit_at ON audit (at);
