//! `io.busbar.Ocpp1`: the link to the CSMS and the translation between OCPP 1.6J and the bus. Owns the truth about the
//! link, the CSMS's transaction ids and what has been delivered. When this process dies, charging, badges and stops go
//! on by the offline rules and the journal waits in `session`; back again, it opens the link and goes on delivering after
//! the last confirmed event. At most one event whose confirmation was not on disk yet is sent again, with the same id.

mod charge_point;
mod configuration;
mod connection;
mod delivery;
mod exchange;
mod fields;
mod frame;
mod hidden;
mod ledger;
mod link;
mod messages;
mod meter_values;
mod objects;
mod peers;
mod record;
mod registration;
mod requests;
mod service;
mod settings;
mod status;

pub use ledger::Ledger;
pub use record::RecordFile;
pub use service::run;
pub use settings::Settings;
