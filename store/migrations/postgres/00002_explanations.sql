-- +goose Up
-- What happened to each call, popped or not: see bridge.Trail. Numbers stand
-- apart in numbers, a JSON list.
CREATE TABLE explanations (
    call_id  TEXT NOT NULL PRIMARY KEY,
    started  BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    steps    BIGINT NOT NULL, -- how many steps the engine told, those left out included
    trail    TEXT NOT NULL, -- JSON
    numbers  TEXT NOT NULL, -- JSON
    delivery TEXT NOT NULL  -- JSON
);
CREATE INDEX explanations_started ON explanations (started);

-- What a call can be asked for by: ids of its legs, devices, the caller's number.
CREATE TABLE explanation_keys (
    name    TEXT NOT NULL,
    call_id TEXT NOT NULL REFERENCES explanations (call_id) ON DELETE CASCADE,
    started BIGINT NOT NULL,
    PRIMARY KEY (name, call_id)
);
CREATE INDEX explanation_keys_started ON explanation_keys (name, started);
CREATE INDEX explanation_keys_call ON explanation_keys (call_id);
