//! The tables of the ledger, version by version.

use crate::{cache, journal, local_list};

/// `MIGRATIONS[n]` brings version n to n + 1.
pub const MIGRATIONS: &[&str] = &[
    busbar_runtime::journal::SCHEMA,
    concat!(
        "CREATE TABLE transactions (
        id INTEGER PRIMARY KEY,
        connector INTEGER NOT NULL,
        id_tag TEXT NOT NULL,
        started_unix_millis INTEGER NOT NULL,
        started_milliwatt_hours INTEGER NOT NULL,
        last_unix_millis INTEGER NOT NULL,
        last_milliwatt_hours INTEGER NOT NULL,
        held INTEGER NOT NULL DEFAULT 0,
        ending_reason TEXT,
        ending_id_tag TEXT NOT NULL DEFAULT '',
        stop_reason TEXT
    ) STRICT;",
        "CREATE INDEX open_transactions ON transactions (connector) WHERE stop_reason IS NULL;",
        "CREATE TABLE connectors (connector INTEGER PRIMARY KEY, awaits_unplug INTEGER NOT NULL) STRICT;",
        "CREATE TABLE rules (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), rules TEXT NOT NULL) STRICT;",
    ),
    journal::SCHEMA,
    concat!(
        "CREATE TABLE availability (
        connector INTEGER PRIMARY KEY,
        availability TEXT NOT NULL,
        origin TEXT NOT NULL,
        ordered_unix_millis INTEGER NOT NULL
    ) STRICT;",
        "CREATE TABLE starts_held (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        until_boottime_millis INTEGER NOT NULL
    ) STRICT;",
    ),
    journal::MORE,
    // By whose word, of which group, under which number power delivers, and that the CSMS does not accept the badge.
    concat!(
        "ALTER TABLE transactions ADD COLUMN authorized_by TEXT NOT NULL DEFAULT 'none';",
        "ALTER TABLE transactions ADD COLUMN parent_id_tag TEXT NOT NULL DEFAULT '';",
        "ALTER TABLE transactions ADD COLUMN delivery INTEGER NOT NULL DEFAULT 0;",
        "UPDATE transactions SET delivery = id;",
        "ALTER TABLE transactions ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;",
        "CREATE TABLE stopped_in_order (only_row INTEGER PRIMARY KEY CHECK (only_row = 1)) STRICT;",
        "CREATE TABLE irregularities (
        connector INTEGER PRIMARY KEY,
        transaction_id INTEGER NOT NULL,
        what TEXT NOT NULL,
        noted_unix_millis INTEGER NOT NULL
    ) STRICT;",
        "CREATE TABLE reservations (
        number INTEGER PRIMARY KEY,
        connector INTEGER NOT NULL,
        id_tag TEXT NOT NULL,
        parent_id_tag TEXT NOT NULL,
        expires_unix_millis INTEGER NOT NULL
    ) STRICT;",
    ),
    cache::SCHEMA,
    local_list::SCHEMA,
    // That the vehicle is unplugged, and what an exchanged meter lacks.
    concat!(
        "ALTER TABLE transactions ADD COLUMN unplugged INTEGER NOT NULL DEFAULT 0;",
        "ALTER TABLE transactions ADD COLUMN register_offset INTEGER NOT NULL DEFAULT 0;",
    ),
];
