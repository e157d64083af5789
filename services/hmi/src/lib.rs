//! `io.busbar.Hmi1`: what the driver sees and the card reader. Decides nothing about a charge: it shows what session and
//! power publish and what the CSMS says a charge costs, and hands badges to session. When this process dies, charging goes
//! on without a screen; a badge that was being checked has to be shown again, the cost is still there.

mod card;
mod chip;
mod cost;
mod objects;
mod page;
mod panel;
mod reader;
mod record;
mod screens;
mod service;
mod settings;

pub use record::CostFile;
pub use service::run;
pub use settings::Settings;
