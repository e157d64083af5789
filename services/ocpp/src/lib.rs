//! `io.busbar.Ocpp1`: the link to the CSMS and the translation between OCPP 1.6J and the bus. Owns the truth about the
//! link, the CSMS's transaction ids and what has been delivered. When this process dies, charging, badges and stops go
//! on by the offline rules and the journal waits in `session`; back again, it opens the link and goes on delivering after
//! the last confirmed event. At most one start or stop, and a few samples, whose confirmation was not on disk yet are
//! sent again, with the same ids.

mod aligned;
mod attempts;
mod charge_point;
mod configuration;
mod connection;
mod cost;
mod delivery;
mod exchange;
mod learning;
mod ledger;
mod link;
mod local_list;
mod messages;
mod meter_values;
mod objects;
mod peers;
mod record;
mod registration;
mod resend;
mod service;
mod settings;
mod status;
mod traffic;
mod trial;
mod wall;

pub use ledger::Ledger;
pub use record::RecordFile;
pub use service::run;
pub use settings::Settings;
pub use traffic::TrafficLog;
