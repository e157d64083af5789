//! The local authorization list between the CSMS and `session`, which keeps it: a list that was sent, as the bus carries
//! it, and the version that the CSMS is told. Pure.

use crate::messages;
use busbar_interfaces::session::LocalListEntry;
use busbar_ocpp16::request::{SendLocalList, UpdateType};

/// The badges of a sent list with what holds for them, and the badges that it takes off: each in the CSMS's order.
/// Whether they make sense together is `session`'s to say.
pub fn entries(sent: &SendLocalList) -> (Vec<LocalListEntry>, Vec<String>) {
    let (mut entries, mut removed) = (Vec::new(), Vec::new());
    for entry in &sent.entries {
        let id_tag = entry.id_tag.as_str().to_owned();
        match &entry.info {
            Some(info) => entries.push(LocalListEntry { id_tag, authorization: messages::authorization(info) }),
            None => removed.push(id_tag),
        }
    }
    (entries, removed)
}

/// The version of the list once this is accepted. A change that only takes badges off may leave an empty list, whose
/// version is 0: that is for `session` to tell.
pub fn version_after(sent: &SendLocalList) -> Option<i32> {
    if sent.entries.iter().any(|entry| entry.info.is_some()) {
        Some(sent.version)
    } else {
        (sent.update == UpdateType::Full).then_some(0)
    }
}

/// The version of the list as the CSMS is told it: what `session` showed last, or what it has accepted since. The news of
/// a list comes after the verdict on it, and a CSMS may ask in between.
#[derive(Default)]
pub struct ListVersion {
    shown: Option<i32>,
    known: Option<i32>,
}

impl ListVersion {
    /// `session` shows this version.
    pub fn shown(&mut self, version: i32) {
        if self.shown.replace(version) != Some(version) {
            self.known = Some(version);
        }
    }

    /// `session` is away: what it shows when it is back is news.
    pub fn away(&mut self) {
        self.shown = None;
    }

    /// `session` has accepted a list with this version.
    pub fn accepted(&mut self, version: i32) {
        self.known = Some(version);
    }

    /// The version; nothing before it was ever heard.
    pub fn known(&self) -> Option<i32> {
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::UnixMillis;
    use busbar_interfaces::ocpp::Authorization;
    use busbar_interfaces::words::AuthorizationStatus;
    use busbar_ocpp16::request::Request;
    use serde_json::{Value, json};

    fn sent(update: &str, version: i32, list: &Value) -> SendLocalList {
        let payload = json!({"listVersion": version, "updateType": update, "localAuthorizationList": list});
        match Request::read("SendLocalList", &payload) {
            Ok(Request::SendLocalList(sent)) => sent,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tc_043_a_sent_list_as_the_bus_carries_it() {
        let sent = sent(
            "Differential",
            2,
            &json!([
                {"idTag": "A", "idTagInfo": {"status": "Accepted"}},
                {"idTag": "b"},
                {"idTag": "C", "idTagInfo": {"status": "ConcurrentTx", "parentIdTag": "G",
                                             "expiryDate": "2026-11-01T12:00:00Z"}},
                {"idTag": "A"},
            ]),
        );
        let entry = |id_tag: &str, status, parent_id_tag: &str, expires| LocalListEntry {
            id_tag: id_tag.to_owned(),
            authorization: Authorization {
                status,
                parent_id_tag: parent_id_tag.to_owned(),
                expires_unix_millis: UnixMillis(expires),
            },
        };
        let expected = [
            entry("A", AuthorizationStatus::Accepted, "", 0),
            entry("C", AuthorizationStatus::ConcurrentTx, "G", 1_793_534_400_000),
        ];
        assert_eq!(entries(&sent), (expected.to_vec(), vec!["b".to_owned(), "A".to_owned()]));
    }

    #[test]
    fn tc_042_2_case_b51_the_version_that_a_list_has_once_it_is_accepted() {
        let (none, one) = (json!([]), json!([{"idTag": "A", "idTagInfo": {"status": "Accepted"}}]));
        let taken_off = json!([{"idTag": "A"}]);
        for (update, version, list, after) in [
            ("Full", 5, &one, Some(5)),
            ("Full", 1, &none, Some(0)),
            ("Full", 0, &none, Some(0)),
            ("Differential", 6, &one, Some(6)),
            ("Differential", 6, &taken_off, None),
            ("Differential", 6, &none, None),
        ] {
            assert_eq!(version_after(&sent(update, version, list)), after, "{update} {version} {list}");
        }
    }

    #[test]
    fn tc_043_2_the_version_is_the_accepted_one_until_session_shows_another() {
        let mut version = ListVersion::default();
        assert_eq!(version.known(), None);
        version.shown(2);
        version.accepted(5);
        version.shown(2);
        assert_eq!(version.known(), Some(5), "something else has changed, and the news of the list is to come");
        version.shown(5);
        version.shown(-1);
        assert_eq!(version.known(), Some(-1));
        version.accepted(7);
        version.away();
        assert_eq!(version.known(), Some(7));
        version.shown(-1);
        assert_eq!(version.known(), Some(-1), "what session says when it is back holds");
    }
}
