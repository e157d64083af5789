//! A log file that another process appends to and replaces when it is full: the lines at its end, and what comes. The
//! one before it has the same name with ".1".
#![allow(clippy::disallowed_methods, reason = "this is where the log's files are opened")]

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A log that is read to its end.
pub struct LogFile {
    path: PathBuf,
    file: Option<OpenFile>,
}

struct OpenFile {
    file: File,
    inode: u64,
    /// How far it is read.
    position: u64,
    /// The beginning of a line that is not ended yet.
    begun: Vec<u8>,
}

impl LogFile {
    /// Opens a log and returns its last lines; also of the file before it, if there are not enough in this one. A log
    /// that is not there has no lines yet.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path, lines: usize) -> io::Result<(LogFile, Vec<Vec<u8>>)> {
        let mut last = VecDeque::new();
        let mut file = OpenFile::open(path)?;
        if let Some(file) = &mut file {
            file.read(|line| keep(&mut last, line, lines))?;
        }
        if last.len() < lines
            && let Some(mut before) = OpenFile::open(&previous(path))?
            // It is the same one when it was replaced just now.
            && file.as_ref().is_none_or(|file| file.inode != before.inode)
        {
            let mut older = VecDeque::new();
            let missing = lines.saturating_sub(last.len());
            before.read(|line| keep(&mut older, line, missing))?;
            before.begun().into_iter().for_each(|line| keep(&mut older, line, missing));
            older.append(&mut last);
            last = older;
        }
        Ok((LogFile { path: path.to_owned(), file }, last.into()))
    }

    /// The last line, if it is not ended.
    pub fn rest(&mut self) -> Option<Vec<u8>> {
        self.file.as_mut().and_then(OpenFile::begun)
    }

    /// The lines that were appended since, also when the file was replaced meanwhile.
    ///
    /// # Errors
    /// What the file system says.
    pub fn appended(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        if let Some(file) = &mut self.file {
            if file.file.metadata()?.len() < file.position {
                // Somebody emptied it.
                lines.extend(file.begun());
                file.file.rewind()?;
                file.position = 0;
            }
            file.read(|line| lines.push(line))?;
        }
        let Some(present) = inode(&self.path)? else { return Ok(lines) };
        if self.file.as_ref().is_some_and(|file| file.inode == present) {
            return Ok(lines);
        }
        let Some(mut next) = OpenFile::open(&self.path)? else { return Ok(lines) };
        if let Some(mut old) = self.file.take() {
            // What was written between the last look and the replacement.
            old.read(|line| lines.push(line))?;
            lines.extend(old.begun());
            if let Some(mut between) = OpenFile::open(&previous(&self.path))?
                && between.inode != old.inode
                && between.inode != next.inode
            {
                // It was replaced twice since the last look: a whole file came and went.
                between.read(|line| lines.push(line))?;
                lines.extend(between.begun());
            }
        }
        next.read(|line| lines.push(line))?;
        self.file = Some(next);
        Ok(lines)
    }
}

impl OpenFile {
    fn open(path: &Path) -> io::Result<Option<OpenFile>> {
        match File::open(path) {
            Ok(file) => {
                let inode = file.metadata()?.ino();
                Ok(Some(OpenFile { file, inode, position: 0, begun: Vec::new() }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads to the end and hands over each line that is ended, without its end.
    fn read(&mut self, mut take: impl FnMut(Vec<u8>)) -> io::Result<()> {
        let mut reader = BufReader::new(&mut self.file);
        loop {
            // The end that is seen now may be another one at the next read; only one that is read counts.
            let count = reader.by_ref().read_until(b'\n', &mut self.begun)?;
            if count == 0 {
                return Ok(());
            }
            self.position = self.position.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if self.begun.last() == Some(&b'\n') {
                self.begun.pop();
                take(std::mem::take(&mut self.begun));
            }
        }
    }

    fn begun(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.begun)).filter(|begun| !begun.is_empty())
    }
}

fn inode(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn keep(last: &mut VecDeque<Vec<u8>>, line: Vec<u8>, most: usize) {
    last.push_back(line);
    if last.len() > most {
        last.pop_front();
    }
}

fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;
    use tempfile::TempDir;

    struct Log(TempDir);

    impl Log {
        fn new() -> Log {
            Log(tempfile::tempdir().expect("a directory"))
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("traffic.jsonl")
        }

        fn append(&self, text: &str) {
            let file = OpenOptions::new().append(true).create(true).open(self.path());
            file.expect("opens").write_all(text.as_bytes()).expect("written");
        }

        fn replace(&self) {
            fs::rename(self.path(), previous(&self.path())).expect("renamed");
        }

        fn open(&self, lines: usize) -> (LogFile, String) {
            let (log, last) = LogFile::open(&self.path(), lines).expect("opens");
            (log, text(last))
        }
    }

    fn text(lines: Vec<Vec<u8>>) -> String {
        lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join(",")
    }

    fn appended(log: &mut LogFile) -> String {
        text(log.appended().expect("read"))
    }

    #[test]
    fn the_last_lines_come_from_both_files_if_one_has_not_enough() {
        let log = Log::new();
        assert_eq!(log.open(5).1, "", "there is no log yet");
        log.append("1\n2\n3\n");
        log.replace();
        assert_eq!(log.open(2).1, "2,3", "replaced and not written again yet");
        log.append("4\n5\n");
        assert_eq!(log.open(0).1, "");
        assert_eq!(log.open(1).1, "5");
        assert_eq!(log.open(2).1, "4,5");
        assert_eq!(log.open(4).1, "2,3,4,5");
        assert_eq!(log.open(99).1, "1,2,3,4,5");
    }

    #[test]
    fn what_is_appended_comes_line_by_line_and_once() {
        let log = Log::new();
        log.append("1\n2");
        let (mut tail, last) = log.open(9);
        assert_eq!(last, "1");
        assert_eq!(appended(&mut tail), "");
        log.append("2\n3\n4");
        assert_eq!(appended(&mut tail), "22,3");
        assert_eq!(appended(&mut tail), "");
        assert_eq!(tail.rest().as_deref(), Some(&b"4"[..]));
    }

    #[test]
    fn case_b43_nothing_is_missed_when_the_file_is_replaced() {
        let log = Log::new();
        log.append("1\n");
        let (mut tail, _) = log.open(9);
        log.append("2\n");
        log.replace();
        assert_eq!(appended(&mut tail), "2", "there is no new file yet");
        log.append("3\n");
        assert_eq!(appended(&mut tail), "3");
        log.append("4\ntorn");
        log.replace();
        log.append("5\n");
        assert_eq!(appended(&mut tail), "4,torn,5");
        log.replace();
        log.append("6\n");
        log.replace();
        log.append("7\n");
        assert_eq!(appended(&mut tail), "6,7", "replaced twice between two looks");
    }

    #[test]
    fn a_log_that_appears_or_is_emptied_is_read_from_its_beginning() {
        let log = Log::new();
        let (mut tail, _) = log.open(9);
        assert_eq!(appended(&mut tail), "");
        log.append("1\n2\n");
        assert_eq!(appended(&mut tail), "1,2");
        fs::write(log.path(), "3\n").expect("emptied and written");
        assert_eq!(appended(&mut tail), "3");
    }

    #[test]
    fn a_log_that_may_not_be_read_is_an_error() {
        let log = Log::new();
        log.append("a file");
        assert!(LogFile::open(&log.path().join("below"), 1).is_err(), "not a directory");
    }
}
