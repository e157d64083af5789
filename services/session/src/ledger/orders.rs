//! What was ordered and promised beside the transactions: the availability, the pause before a restart, reservations,
//! and the rules that are followed.

use super::Ledger;
use crate::reservation::Reserved;
use crate::rules::Rules;
use busbar_interfaces::words::{Availability, KeyOrigin};
use busbar_interfaces::{BoottimeMillis, ConnectorId, ReservationId, UnixMillis};
use busbar_runtime::store::{signed, unsigned};
use rusqlite::{OptionalExtension, Transaction, params};

impl Ledger {
    /// Whether a connector, or with 0 the station, is ordered out of service.
    pub fn is_inoperative(&self, connector: ConnectorId) -> Result<bool, rusqlite::Error> {
        let query = "SELECT availability = ?2 FROM availability WHERE connector = ?1";
        let parameters = params![connector.0, Availability::Inoperative.as_str()];
        let found: Option<bool> = self.store.database.query_row(query, parameters, |row| row.get(0)).optional()?;
        Ok(found.unwrap_or(false))
    }

    /// The connectors that stand under the order for the station, and not under a later one of their own.
    pub fn under_the_stations_order(&self) -> Result<Vec<ConnectorId>, rusqlite::Error> {
        let mut query = self.store.database.prepare(
            "SELECT own.connector FROM availability AS own JOIN availability AS station ON station.connector = 0
             WHERE own.connector <> 0 AND own.ordered_unix_millis = station.ordered_unix_millis",
        )?;
        let connectors = query.query_map([], |row| row.get(0).map(ConnectorId))?;
        connectors.collect()
    }

    /// Remembers an order about connectors, 0 being the station: all of it or nothing.
    pub fn order(
        &mut self,
        connectors: &[ConnectorId],
        availability: Availability,
        origin: KeyOrigin,
        when: UnixMillis,
    ) -> Result<(), rusqlite::Error> {
        self.store.write(|books| {
            for connector in connectors {
                books.execute(
                    "INSERT OR REPLACE INTO availability VALUES (?1, ?2, ?3, ?4)",
                    params![connector.0, availability.as_str(), origin.as_str(), signed(when.0)],
                )?;
            }
            Ok(())
        })
    }

    /// Until when no transaction may begin; nothing when that is not so.
    pub fn starts_held_until(&self) -> Result<Option<BoottimeMillis>, rusqlite::Error> {
        let query = "SELECT until_boottime_millis FROM starts_held";
        let until: Option<i64> = self.store.database.query_row(query, [], |row| row.get(0)).optional()?;
        Ok(until.map(|until| BoottimeMillis(unsigned(until))))
    }

    /// Remembers until when no transaction may begin, in this run of the machine.
    pub fn hold_starts(&mut self, until: Option<BoottimeMillis>) -> Result<(), rusqlite::Error> {
        self.store.write(|books| {
            match until {
                Some(until) => books.execute(
                    "INSERT INTO starts_held VALUES (1, ?1) ON CONFLICT (only_row)
                     DO UPDATE SET until_boottime_millis = ?1 WHERE until_boottime_millis <> ?1",
                    params![signed(until.0)],
                )?,
                None => books.execute("DELETE FROM starts_held WHERE only_row = 1", [])?,
            };
            Ok(())
        })
    }

    /// What is reserved, by number.
    pub fn reservations(&self) -> Result<Vec<Reserved>, rusqlite::Error> {
        let mut query = self.store.database.prepare_cached(
            "SELECT number, connector, id_tag, parent_id_tag, expires_unix_millis FROM reservations ORDER BY number",
        )?;
        let reservations = query.query_map([], |row| {
            Ok(Reserved {
                reservation: ReservationId(row.get(0)?),
                connector: ConnectorId(row.get(1)?),
                id_tag: row.get(2)?,
                parent_id_tag: row.get(3)?,
                expires: UnixMillis(unsigned(row.get(4)?)),
            })
        })?;
        reservations.collect()
    }

    /// Remembers a reservation, in place of another one with its number.
    pub fn reserve(&mut self, reserved: &Reserved) -> Result<(), rusqlite::Error> {
        let Reserved { reservation, connector, id_tag, parent_id_tag, expires } = reserved;
        self.store.write(|books| {
            books.execute(
                "INSERT INTO reservations VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (number)
                 DO UPDATE SET connector = ?2, id_tag = ?3, parent_id_tag = ?4, expires_unix_millis = ?5
                 WHERE connector <> ?2 OR id_tag <> ?3 OR parent_id_tag <> ?4 OR expires_unix_millis <> ?5",
                params![reservation.0, connector.0, id_tag, parent_id_tag, signed(expires.0)],
            )
        })?;
        Ok(())
    }

    /// Forgets a reservation.
    pub fn end_reservation(&mut self, reservation: ReservationId) -> Result<(), rusqlite::Error> {
        self.store.write(|books| end_reservation(books, reservation))
    }

    /// The rules that were followed last; nothing before the first.
    pub fn rules(&self) -> Result<Option<Rules>, rusqlite::Error> {
        let text: Option<String> =
            self.store.database.query_row("SELECT rules FROM rules", [], |row| row.get(0)).optional()?;
        // Rules of another version are as good as none: settings tells them in a moment.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Remembers the rules that are followed.
    pub fn follow_rules(&mut self, rules: &Rules) -> Result<(), rusqlite::Error> {
        let text =
            serde_json::to_string(rules).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        self.store.write(|books| {
            books.execute(
                "INSERT INTO rules VALUES (1, ?1) ON CONFLICT (only_row) DO UPDATE SET rules = ?1 WHERE rules <> ?1",
                params![text],
            )
        })?;
        Ok(())
    }
}

/// Forgets a reservation, inside the caller's transaction.
pub fn end_reservation(books: &Transaction<'_>, reservation: ReservationId) -> Result<(), rusqlite::Error> {
    books.execute("DELETE FROM reservations WHERE number = ?1", params![reservation.0])?;
    Ok(())
}
