//! The connection to the bus: made with a time limit for every call, its name claimed so that a second instance is
//! refused, its loss noticed.

use crate::descriptors::Descriptors;
use crate::exit::Exit;
use crate::process::Stop;
use crate::stop_kind::{self, StopKind};
use crate::watchdog;
use busbar_interfaces::ServiceName;
use futures_util::StreamExt;
use std::time::Duration;
use zbus::Connection;
use zbus::fdo::{DBusProxy, RequestNameFlags, RequestNameReply};

/// A method call that has no answer after this time has failed.
pub const METHOD_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that starts or changes something carries its own end, a second before its caller gives up: a service that
/// hung meanwhile answers `Expired` and does nothing, and nobody is told no and sees it happen.
pub const REQUEST_VALIDITY: Duration = Duration::from_secs(9);

/// The connection of one service.
#[derive(Debug, Clone)]
pub struct Bus {
    connection: Connection,
    service: ServiceName,
    descriptors: Descriptors,
}

impl Bus {
    /// Connects; the name is not yet claimed.
    ///
    /// # Errors
    /// [`Exit::Bus`] when there is no bus at the address.
    pub async fn connect(service: ServiceName, address: &str) -> Result<Bus, Exit> {
        let connection = connect(address).await?;
        Ok(Bus { connection, service, descriptors: Descriptors::none() })
    }

    /// The bus of a process to which the service manager handed something over.
    #[must_use]
    pub(crate) fn with_descriptors(self, descriptors: Descriptors) -> Bus {
        Bus { descriptors, ..self }
    }

    /// The zbus connection, for proxies.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Serves one interface at a path.
    ///
    /// # Errors
    /// [`Exit::Bus`] when the path already serves it: a fault of the program.
    pub async fn serve<I: zbus::object_server::Interface>(&self, path: &str, interface: I) -> Result<(), Exit> {
        match self.connection.object_server().at(path, interface).await? {
            None => Ok(()),
            Some(_) => Err(Exit::Bus(format!("`{path}` is already served"))),
        }
    }

    /// Claims the service's name, without queueing and without taking it from anybody.
    ///
    /// # Errors
    /// [`Exit::Bus`] when another process holds it.
    pub async fn claim(&self) -> Result<(), Exit> {
        let name = self.service.bus_name;
        match self.connection.request_name_with_flags(name, RequestNameFlags::DO_NOT_QUEUE).await {
            Ok(RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner) => Ok(()),
            Ok(_) | Err(zbus::Error::NameTaken) => {
                Err(Exit::Bus(format!("another process holds `{name}`; stop it before starting a second one")))
            }
            Err(error) => Err(Exit::Bus(format!("the name `{name}` cannot be claimed: {error}"))),
        }
    }

    /// Claims the name and tells the service manager that the service is ready; all objects must be served by now, and
    /// what the process before handed over must be taken: the rest is dropped.
    ///
    /// # Errors
    /// [`Exit::Bus`] when another process holds the name.
    pub async fn ready(&self) -> Result<(), Exit> {
        self.claim().await?;
        self.descriptors.forget_unclaimed();
        watchdog::tell(sd_notify::NotifyState::Ready);
        tracing::info!(service = self.service.bus_name, "ready");
        Ok(())
    }

    /// Gives the name back, so that peers see at once that the service is gone.
    pub async fn release(&self) {
        // It may have been lost with the bus itself, and then there is nothing to release.
        let _ = self.connection.release_name(self.service.bus_name).await;
    }

    /// Returns when the process was asked to stop, and says why. Made once, outside the loop, as
    /// [`lost`](Bus::lost) is: it takes up to 100 ms more than [`Stop::asked`], in which the loop goes on.
    pub async fn asked_to_stop(&self, mut stop: Stop) -> StopKind {
        let unit = tokio::select! {
            unit = stop_kind::unit(&self.connection) => unit.ok(),
            () = stop.asked() => None,
        };
        stop.asked().await;
        stop_kind::ask(&self.connection, unit).await
    }

    /// Why the process was asked to stop, by the service manager's word; within 100 ms.
    pub async fn stop_kind(&self) -> StopKind {
        stop_kind::ask(&self.connection, None).await
    }

    /// Returns when the bus or the name is lost.
    pub async fn lost(&self) -> Exit {
        let name = self.service.bus_name;
        let proxy = match DBusProxy::new(&self.connection).await {
            Ok(proxy) => proxy,
            Err(error) => return error.into(),
        };
        let mut lost = match proxy.receive_name_lost().await {
            Ok(lost) => lost,
            Err(error) => return error.into(),
        };
        let name_lost = async {
            while let Some(signal) = lost.next().await {
                if signal.args().is_ok_and(|signal| signal.name().as_str() == name) {
                    return;
                }
            }
        };
        tokio::select! {
            () = name_lost => Exit::Bus(format!("the name `{name}` was lost")),
            () = self.connection.closed() => Exit::Bus("the bus closed the connection".to_owned()),
        }
    }
}

/// Connects to a bus as a client without a name.
///
/// # Errors
/// [`Exit::Bus`] when there is no bus at the address.
pub async fn connect(address: &str) -> Result<Connection, Exit> {
    zbus::connection::Builder::address(address)
        .method_timeout(METHOD_TIMEOUT)
        .build()
        .await
        .map_err(|error| Exit::Bus(format!("no bus at `{address}`: {error}")))
}
