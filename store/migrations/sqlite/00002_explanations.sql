-- +goose Up
-- What happened to each call, popped or not: see bridge.Trail. Numbers stand
-- apart in numbers, a JSON list.
CREATE TABLE explanations (
    call_id  TEXT NOT NULL PRIMARY KEY,
    started  INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    steps    INTEGER NOT NULL, -- how many steps the engine told, those left out included
    trail    TEXT NOT NULL, -- JSON
    numbers  TEXT NOT NULL, -- JSON
    delivery TEXT NOT NULL  -- JSON
) STRICT;
CREATE INDEX explanations_started ON explanations (started);

-- What a call can be asked for by: ids of its legs, devices, the caller's number.
CREATE TABLE explanation_keys (
    name    TEXT NOT NULL,
    call_id TEXT NOT NULL REFERENCES explanations (call_id) ON DELETE CASCADE,
    started INTEGER NOT NULL,
    PRIMARY KEY (name, call_id)
) STRICT;
CREATE INDEX explanation_keys_started ON explanation_keys (name, started);
CREATE INDEX explanation_keys_call ON explanation_keys (call_id);
