//! The tables. A migration that was released is never changed: another one is added.

use stheno_sdk::sql::{Migration, migration};

/// What makes the schema, oldest first.
pub(crate) fn migrations() -> Vec<Migration> {
    vec![migration(
        "1-tables",
        &[
            // One row, which every change passes through. It has the last number that
            // was given, to a lease or to a place in the queue.
            "CREATE TABLE gate (
                id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
                last bigint NOT NULL
            ) WITH (fillfactor = 10)",
            "INSERT INTO gate (last) VALUES (0)",
            // Who holds a key. `expires` is in milliseconds of the server's clock.
            "CREATE TABLE locks (
                key text COLLATE \"C\" PRIMARY KEY,
                lease bigint NOT NULL,
                fence bigint NOT NULL,
                owner text,
                expires bigint,
                session bigint NOT NULL
            ) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000)",
            "CREATE INDEX locks_lease ON locks (lease)",
            // Who waits for a key: a row for each key of a request.
            "CREATE TABLE waits (
                key text COLLATE \"C\" NOT NULL,
                ticket bigint NOT NULL,
                session bigint NOT NULL,
                owner text,
                ttl bigint,
                size bigint NOT NULL,
                PRIMARY KEY (key, ticket)
            ) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000)",
            "CREATE INDEX waits_ticket ON waits (ticket)",
            "CREATE INDEX waits_session ON waits (session, key, ticket)",
            // The instances that wait, and until when they are taken for alive.
            "CREATE TABLE sessions (session bigint PRIMARY KEY, until bigint NOT NULL)",
        ],
    )]
}
