//! The descriptor store of a service manager: what a service sends with `FDSTORE=1`, by name, for its next process
//! (sd_notify(3), systemd.service(5) `FileDescriptorStoreMax=`).

use crate::notifications::Notification;
use rustix::fs::fstat;
use std::os::fd::OwnedFd;

/// `FileDescriptorStoreMax=`.
pub const MOST: usize = 16;
/// The name of what comes without one.
const NAMELESS: &str = "stored";

/// What is kept for the next process of a service.
#[derive(Debug, Default)]
pub struct DescriptorStore(Vec<(String, OwnedFd)>);

impl DescriptorStore {
    /// Does what a service asks for. What is one too many, or kept already, is closed, as systemd does.
    pub fn hear(&mut self, notification: Notification) {
        let name = notification.value("FDNAME").map(str::to_owned);
        if notification.says("FDSTOREREMOVE=1") {
            self.0.retain(|(kept, _)| Some(kept) != name.as_ref());
        } else if notification.says("FDSTORE=1") {
            let name = name.unwrap_or_else(|| NAMELESS.to_owned());
            for descriptor in notification.descriptors {
                if self.0.len() < MOST && !self.holds(&descriptor) {
                    self.0.push((name.clone(), descriptor));
                }
            }
        }
    }

    fn holds(&self, descriptor: &OwnedFd) -> bool {
        let identity = |file| fstat(file).ok().map(|stat| (stat.st_dev, stat.st_ino));
        self.0.iter().any(|(_, kept)| identity(kept) == identity(descriptor))
    }

    /// Copies for a process, with their names, the oldest first.
    ///
    /// # Errors
    /// When there are no more descriptors to be had.
    pub fn copies(&self) -> std::io::Result<Vec<(String, OwnedFd)>> {
        self.0.iter().map(|(name, kept)| Ok((name.clone(), kept.try_clone()?))).collect()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        tempfile::tempfile().expect("a file").into()
    }

    fn names(store: &DescriptorStore) -> Vec<String> {
        store.copies().expect("copies").into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_name_is_kept_until_it_is_removed() {
        let mut store = DescriptorStore::default();
        for (text, descriptors, kept) in [
            ("FDSTORE=1\nFDNAME=a\nFDPOLL=0\n", vec![file()], vec!["a"]),
            ("FDSTORE=1\nFDNAME=b\n", vec![file()], vec!["a", "b"]),
            ("WATCHDOG=1\n", vec![file()], vec!["a", "b"]),
            ("FDSTORE=1\n", vec![file()], vec!["a", "b", "stored"]),
            ("FDSTOREREMOVE=1\nFDNAME=a\n", vec![], vec!["b", "stored"]),
            ("FDSTOREREMOVE=1\nFDNAME=unknown\n", vec![], vec!["b", "stored"]),
            ("FDSTOREREMOVE=1\n", vec![], vec!["b", "stored"]),
        ] {
            store.hear(Notification { text: text.to_owned(), descriptors });
            assert_eq!(names(&store), kept, "{text}");
        }
        store.clear();
        assert!(names(&store).is_empty());
    }

    #[test]
    fn there_is_room_for_sixteen_and_for_one_file_once() {
        let mut store = DescriptorStore::default();
        let one = file();
        for name in ["a", "b"] {
            let copy = one.try_clone().expect("a copy");
            store.hear(Notification { text: format!("FDSTORE=1\nFDNAME={name}\n"), descriptors: vec![copy] });
        }
        assert_eq!(names(&store), ["a"]);
        for _ in 0..MOST {
            store.hear(Notification { text: "FDSTORE=1\nFDNAME=c\n".to_owned(), descriptors: vec![file()] });
        }
        assert_eq!(names(&store).len(), MOST);
    }
}
