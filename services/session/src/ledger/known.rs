//! What the station itself knows of badges: the local authorization list and the cache.

use super::Ledger;
use crate::authorization::Known;
use crate::local_list::{Limits, Update};
use crate::{cache, local_list};
use busbar_interfaces::UnixMillis;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::words::{AuthorizationStatus, ListVerdict};
use busbar_runtime::store::unsigned;
use rusqlite::{Connection, OptionalExtension, params};

impl Ledger {
    /// What is known of a badge, in whatever case it is written.
    pub fn known(&self, id_tag: &str) -> Result<Known, rusqlite::Error> {
        let database = &self.store.database;
        Ok(Known { list: local_list::find(database, id_tag)?, cache: cache::find(database, id_tag)? })
    }

    /// Takes what the CSMS says of a badge into the cache; nothing is written if that is known.
    pub fn learn(&mut self, id_tag: &str, authorization: &Authorization) -> Result<(), rusqlite::Error> {
        let badges = self.cached_badges;
        self.cached_badges = self.store.write(|books| cache::learn(books, badges, id_tag, authorization))?;
        Ok(())
    }

    /// Forgets every badge of the cache.
    pub fn clear_cache(&mut self) -> Result<(), rusqlite::Error> {
        if self.cached_badges > 0 {
            self.store.write(cache::clear)?;
            self.cached_badges = 0;
        }
        Ok(())
    }

    /// Badges in the cache.
    pub fn cached_badges(&self) -> u32 {
        self.cached_badges
    }

    /// Replaces or changes the local authorization list, all of it or nothing.
    pub fn update_local_list(&mut self, update: &Update, limits: Limits) -> Result<ListVerdict, rusqlite::Error> {
        let held = self.local_list;
        match self.store.write(|books| local_list::update(books, held, update, limits))? {
            Ok(held) => {
                self.local_list = held;
                Ok(ListVerdict::Accepted)
            }
            Err(refused) => Ok(refused),
        }
    }

    /// The version of the local authorization list; 0 when it is empty.
    pub fn local_list_version(&self) -> i32 {
        self.local_list.version
    }

    /// Badges on the local authorization list.
    pub fn local_list_badges(&self) -> u32 {
        self.local_list.badges
    }
}

/// What a table says of a badge; the query names its three columns in the order of [`Authorization`].
pub fn find(database: &Connection, query: &str, id_tag: &str) -> Result<Option<Authorization>, rusqlite::Error> {
    let mut statement = database.prepare_cached(query)?;
    let found = statement.query_row(params![id_tag], |row| {
        Ok(Authorization {
            status: AuthorizationStatus::of(&row.get::<_, String>(0)?),
            parent_id_tag: row.get(1)?,
            expires_unix_millis: UnixMillis(unsigned(row.get(2)?)),
        })
    });
    found.optional()
}
