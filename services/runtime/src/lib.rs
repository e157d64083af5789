//! The shell that every Busbar process shares: how it starts, reads the station file, logs, meets the bus, follows
//! its peers, keeps its store and ends. Nothing here knows what a connector or OCPP is.

pub mod bus;
pub mod clock;
pub mod descriptors;
pub mod desk;
pub mod durable;
pub mod exit;
pub mod failpoint;
pub mod follow;
pub mod journal;
pub mod log;
pub mod notebook;
pub mod object;
pub mod process;
pub mod service_object;
pub mod station_file;
pub mod station_section;
pub mod stop_kind;
pub mod store;
pub mod watchdog;

pub use bus::Bus;
pub use clock::{Clock, Moment, boot_id};
pub use descriptors::Descriptors;
pub use desk::{Desk, Reply};
pub use exit::Exit;
pub use follow::{View, follow};
pub use notebook::Notebook;
pub use object::{Object, Shown};
pub use process::{Life, Process, Stop, run};
pub use station_file::{Section, Sections, StationFile};
pub use station_section::StationSection;
pub use stop_kind::StopKind;
pub use watchdog::Watchdog;
