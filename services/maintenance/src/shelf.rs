//! The reports on disk: one file each, named after its moment, the oldest ones thrown away.

use busbar_interfaces::UnixMillis;
use busbar_runtime::{Exit, durable};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How a report is named, in UTC.
const NAME: &str = "report-%Y%m%dT%H%M%SZ.json";

/// The reports of a state directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    directory: PathBuf,
    kept: usize,
}

/// A report that is on the shelf.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Report {
    /// When it was written, to the second.
    pub at: UnixMillis,
    /// Where it is.
    pub path: PathBuf,
}

/// Why a report could not be put on the shelf.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The clock shows a moment that has no date.
    #[error("the clock shows no date")]
    Clock(#[source] jiff::Error),
    /// The disk does not take it.
    #[error("the report `{}` cannot be written", path.display())]
    Disk {
        /// The report.
        path: PathBuf,
        /// What the file system says.
        #[source]
        source: io::Error,
    },
}

impl Shelf {
    /// Opens the shelf in the state directory, which keeps `kept` reports.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path, kept: usize) -> Result<Shelf, Exit> {
        fs::create_dir_all(directory).map_err(|error| {
            Exit::Storage(format!("the state directory `{}` cannot be used: {error}", directory.display()))
        })?;
        Ok(Shelf { directory: directory.to_owned(), kept })
    }

    /// The reports that are there, oldest first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn reports(&self) -> io::Result<Vec<Report>> {
        let mut reports = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let at = path.file_name().and_then(|name| name.to_str()).and_then(moment);
            reports.extend(at.map(|at| Report { at, path }));
        }
        reports.sort();
        Ok(reports)
    }

    /// Puts a report on the shelf and throws the oldest of the others away; it is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; the others are then as they were.
    pub fn put(&self, at: UnixMillis, content: &[u8]) -> Result<Report, ShelfError> {
        let path = self.directory.join(name(at).map_err(ShelfError::Clock)?);
        durable::replace(&path, content).map_err(|source| ShelfError::Disk { path: path.clone(), source })?;
        // The new one stays even if the clock went back.
        let others =
            self.reports().map(|reports| reports.into_iter().filter(|report| report.path != path).collect::<Vec<_>>());
        match others {
            Ok(others) => {
                let surplus = others.len().saturating_add(1).saturating_sub(self.kept);
                others.iter().take(surplus).for_each(|report| throw_away(&report.path));
            }
            Err(error) => tracing::warn!(%error, "old reports cannot be listed"),
        }
        Ok(Report { at, path })
    }
}

fn throw_away(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(report = %path.display(), %error, "an old report cannot be thrown away");
    }
}

fn name(at: UnixMillis) -> Result<String, jiff::Error> {
    let moment = Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or(i64::MAX))?;
    Ok(moment.strftime(NAME).to_string())
}

fn moment(name: &str) -> Option<UnixMillis> {
    let date = DateTime::strptime(NAME, name).ok()?;
    let timestamp = TimeZone::UTC.to_timestamp(date).ok()?;
    u64::try_from(timestamp.as_millisecond()).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-05-17T08:30:05.999Z
    const AT: UnixMillis = UnixMillis(1_715_934_605_999);

    #[test]
    fn a_name_is_its_moment() {
        assert_eq!(name(AT).expect("a date"), "report-20240517T083005Z.json");
        assert_eq!(moment("report-20240517T083005Z.json"), Some(UnixMillis(1_715_934_605_000)));
        for other in ["report-20240517T083005Z.new", "report-.json", "other.json", "report-20241317T083005Z.json"] {
            assert_eq!(moment(other), None, "{other}");
        }
    }

    #[test]
    fn the_oldest_reports_go_and_other_files_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::open(directory.path(), 3).expect("opens");
        durable::replace(&directory.path().join("notes.txt"), b"a technician's").expect("written");
        for minute in 0..5 {
            shelf.put(UnixMillis(AT.0 + minute * 60_000), b"{}").expect("written");
        }
        let reports = shelf.reports().expect("listed");
        assert_eq!(reports.len(), 3);
        assert_eq!(reports.first().map(|report| report.at), Some(UnixMillis(1_715_934_605_000 + 2 * 60_000)));
        assert!(directory.path().join("notes.txt").exists());
    }

    #[test]
    fn a_clock_that_went_back_does_not_cost_the_new_report() {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::open(directory.path(), 2).expect("opens");
        shelf.put(AT, b"{}").expect("written");
        shelf.put(UnixMillis(AT.0 + 60_000), b"{}").expect("written");
        let new = shelf.put(UnixMillis(1_000), b"{}").expect("written");
        assert!(new.path.exists());
        assert_eq!(shelf.reports().expect("listed").len(), 2);
    }
}
