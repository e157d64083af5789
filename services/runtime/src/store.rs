//! The one database of a service: SQLite in WAL mode, every commit on disk before it returns, migrations in one
//! transaction. A database that is damaged is set aside under another name and reported, never deleted; the service
//! goes on with a new one. A store that has to be written on a full disk too keeps a reserve.

mod reserve;

use crate::failpoint;
use reserve::Reserve;
use rusqlite::{Connection, ErrorCode, Transaction, ffi};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The owner reads and writes, nobody else does anything.
const PRIVATE: u32 = 0o600;

/// A store that is open, and what became of the file that was there before.
#[derive(Debug)]
pub struct Store {
    /// The database.
    pub database: Connection,
    /// Where a damaged database was put, if one was found.
    pub set_aside: Option<PathBuf>,
    reserve: Option<Reserve>,
}

impl Store {
    /// Changes the store: all that is done to `books`, or nothing, and on disk when it returns. On a full disk the
    /// reserve is given up and `act` called once more, so whatever else it changes has to be the same after a second
    /// call.
    ///
    /// # Errors
    /// What the database says; nothing has changed then.
    pub fn write<T>(
        &mut self,
        mut act: impl FnMut(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        match self.attempt(&mut act) {
            Err(error) if is_full(&error) && self.reserve.as_mut().is_some_and(|reserve| reserve.give_up(&error)) => {
                self.attempt(&mut act)
            }
            done => done,
        }
    }

    fn attempt<T>(
        &mut self,
        act: &mut impl FnMut(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let books = self.database.transaction()?;
        let done = act(&books)?;
        failpoint::passed();
        books.commit()?;
        failpoint::passed();
        Ok(done)
    }

    /// Whether the reserve is there: false when it was given up, could not be made, or was never asked for.
    pub fn has_reserve(&self) -> bool {
        self.reserve.as_ref().is_some_and(Reserve::is_there)
    }

    /// Tries to make the reserve again, if it is not there; whether it is there now.
    pub fn restore_reserve(&mut self) -> bool {
        self.reserve.as_mut().is_some_and(Reserve::restore)
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be used.
    #[error("the state directory `{}` cannot be used", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the file system says.
        #[source]
        source: std::io::Error,
    },
    /// The database was written by a newer version.
    #[error(
        "`{}` has schema version {found}, this program knows {known}: install the newer program again, or restore the \
         older state", file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// SQLite failed.
    #[error("the database `{}` failed", file.display())]
    Database {
        /// The database.
        file: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
}

impl From<StoreError> for crate::Exit {
    fn from(error: StoreError) -> crate::Exit {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        crate::Exit::Storage(format!("{error}{cause}"))
    }
}

impl From<rusqlite::Error> for crate::Exit {
    fn from(error: rusqlite::Error) -> crate::Exit {
        crate::Exit::Storage(format!("the database failed: {error}"))
    }
}

/// Opens (or makes) the store `NAME.sqlite` in a directory. `migrations[n]` brings schema version n to n + 1.
///
/// # Errors
/// When the directory or the file cannot be used at all; a damaged file is not an error.
pub fn open(directory: &Path, name: &str, migrations: &[&str]) -> Result<Store, StoreError> {
    fs::create_dir_all(directory)
        .map_err(|source| StoreError::Directory { directory: directory.to_owned(), source })?;
    let file = directory.join(format!("{name}.sqlite"));
    match open_sound(&file) {
        Ok(database) => {
            migrate(database, &file, migrations).map(|database| Store { database, set_aside: None, reserve: None })
        }
        Err(error) if is_damage(&error) => {
            let aside = set_aside(directory, &file, name)?;
            tracing::error!(file = %aside.display(), %error, "a damaged database was set aside");
            let database = open_sound(&file).map_err(|source| StoreError::Database { file: file.clone(), source })?;
            migrate(database, &file, migrations).map(|database| Store {
                database,
                set_aside: Some(aside),
                reserve: None,
            })
        }
        Err(source) => Err(StoreError::Database { file, source }),
    }
}

/// Opens (or makes) a store that holds a secret: its files, also those that SQLite adds, are for their owner alone.
///
/// # Errors
/// As [`open`], and when the files cannot be closed to others.
pub fn open_private(directory: &Path, name: &str, migrations: &[&str]) -> Result<Store, StoreError> {
    let unusable = |source| StoreError::Directory { directory: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(unusable)?;
    // The files that SQLite adds get the mode of the database, so that has to be right before there are any.
    let file = directory.join(format!("{name}.sqlite"));
    fs::OpenOptions::new().append(true).create(true).mode(PRIVATE).open(&file).map_err(unusable)?;
    close_files(directory, name).map_err(unusable)?;
    let store = open(directory, name, migrations)?;
    close_files(directory, name).map_err(unusable)?;
    Ok(store)
}

/// Opens (or makes) a store as [`open_private`] does, with a reserve of 4 MiB on the disk, `NAME.reserve`. It is given up
/// when the disk takes nothing more, so that what has begun can be brought to its end. A reserve for which there is no
/// room is no error: [`Store::has_reserve`] says so.
///
/// # Errors
/// As [`open_private`].
pub fn open_with_reserve(directory: &Path, name: &str, migrations: &[&str]) -> Result<Store, StoreError> {
    let mut reserve = Reserve::find(directory, name);
    let store = match open_private(directory, name, migrations) {
        Err(StoreError::Database { source, .. }) if is_full(&source) && reserve.give_up(&source) => {
            open_private(directory, name, migrations)?
        }
        opened => {
            let store = opened?;
            reserve.make_at_first();
            store
        }
    };
    Ok(Store { reserve: Some(reserve), ..store })
}

/// What an earlier version left readable, or was set aside as damaged, may hold the same secrets.
fn close_files(directory: &Path, name: &str) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{name}.")) && entry.file_type()?.is_file() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(PRIVATE))?;
        }
    }
    Ok(())
}

/// A count as SQLite keeps it.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count as SQLite kept it.
pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn open_sound(file: &Path) -> Result<Connection, rusqlite::Error> {
    let database = Connection::open(file)?;
    // Small rows, one commit for each event: small pages write less. Only a new file takes it.
    database.pragma_update(None, "page_size", 1024)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "foreign_keys", true)?;
    let verdict: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(database)
    } else {
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(verdict)))
    }
}

/// The disk takes nothing more. Not every place where SQLite meets that has a word for it.
fn is_full(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    let elsewhere =
        [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_IOERR_SHMOPEN];
    matches!(failure.code, ErrorCode::DiskFull | ErrorCode::CannotOpen) || elsewhere.contains(&failure.extended_code)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Renames the database with its log to the first free `NAME.damaged-N.sqlite`.
fn set_aside(directory: &Path, file: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let failed = |source| StoreError::Directory { directory: directory.to_owned(), source };
    let aside = (1u32..)
        .map(|number| directory.join(format!("{name}.damaged-{number}.sqlite")))
        .find(|aside| !aside.exists())
        .ok_or_else(|| failed(std::io::Error::other("no free name for the damaged database")))?;
    fs::rename(file, &aside).map_err(failed)?;
    for suffix in ["-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        if with(file).exists() {
            fs::rename(with(file), with(&aside)).map_err(failed)?;
        }
    }
    Ok(aside)
}

fn migrate(mut database: Connection, file: &Path, migrations: &[&str]) -> Result<Connection, StoreError> {
    let known = migrations.len();
    match apply(&mut database, migrations) {
        Ok(None) => Ok(database),
        Ok(Some(found)) => Err(StoreError::Newer { file: file.to_owned(), found, known }),
        Err(source) => Err(StoreError::Database { file: file.to_owned(), source }),
    }
}

/// Applies what is missing, in one transaction; tells the version that was found if it is newer than all of them.
fn apply(database: &mut Connection, migrations: &[&str]) -> Result<Option<usize>, rusqlite::Error> {
    let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(0);
    if found >= migrations.len() {
        return Ok(Some(found).filter(|found| *found > migrations.len()));
    }
    let transaction = database.transaction()?;
    for migration in migrations.iter().skip(found) {
        transaction.execute_batch(migration)?;
    }
    let version = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    transaction.pragma_update(None, "user_version", version)?;
    failpoint::passed();
    transaction.commit()?;
    failpoint::passed();
    Ok(None)
}

#[cfg(test)]
mod tests;
