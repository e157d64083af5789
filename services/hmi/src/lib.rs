//! `io.busbar.Hmi1`: what the driver sees and the card reader. Decides nothing about a charge: it shows what session and
//! power publish and hands badges to session. When this process dies, charging goes on without a screen; a badge that
//! was being checked has to be shown again.

mod card;
mod chip;
mod objects;
mod page;
mod panel;
mod reader;
mod screens;
mod service;
mod settings;

pub use service::run;
pub use settings::Settings;
