//! The driver's page over HTTP: one static page, the screens as JSON, and the touch. Nothing secret is on it.

use crate::panel::CONNECTORS;
use crate::screens::tells_cost;
use crate::service::Input;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::serve::Listener;
use busbar_interfaces::hmi::{HmiState, ScreenState};
use busbar_interfaces::{CallError, ConnectorId};
use busbar_runtime::{Desk, Shown};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const PAGE: &str = include_str!("page.html");
/// Browsers that are served at a time; a station has one.
const CONNECTIONS: usize = 16;

/// What the page shows, and where a touch goes.
#[derive(Clone)]
pub struct Pages {
    pub root: Shown<HmiState>,
    pub screens: Vec<(ConnectorId, Shown<ScreenState>)>,
    pub desk: Desk<Input>,
}

/// Serves the page for ever.
pub async fn serve(listener: TcpListener, pages: Pages) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/", get(|| async { ([(header::CACHE_CONTROL, "no-cache")], Html(PAGE)) }))
        .route("/state", get(state))
        .route("/show/{connector}", post(show))
        .layer(DefaultBodyLimit::max(1024))
        .with_state(pages);
    let listener = Bounded { listener, places: Arc::new(Semaphore::new(CONNECTIONS)) };
    axum::serve(listener, routes).await
}

async fn state(State(pages): State<Pages>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(pages.state()))
}

async fn show(State(pages): State<Pages>, Path(connector): Path<u32>) -> StatusCode {
    match pages.desk.ask(|reply| Input::Show { connector: ConnectorId(connector), reply }).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(CallError::NotFound(_)) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl Pages {
    fn state(&self) -> Value {
        let connectors: Vec<Value> =
            self.screens.iter().map(|(connector, screen)| screen.get(|state| of_screen(*connector, state))).collect();
        self.root.get(
            |root| json!({ "shown": root.shown_connector.0, "reader": root.reader.as_str(), "connectors": connectors }),
        )
    }
}

fn of_screen(connector: ConnectorId, state: &ScreenState) -> Value {
    json!({
        "connector": connector.0,
        "name": if Some(&connector) == CONNECTORS.first() { "A" } else { "B" },
        "screen": state.screen.as_str(),
        "message": state.message,
        "energy_watt_hours": state.energy_milliwatt_hours.watt_hours(),
        "watts": state.watts.0,
        "state_of_charge_percent": state.state_of_charge_percent.known(),
        "cost": Some(&state.cost).filter(|cost| tells_cost(state.screen) && !cost.is_empty()),
    })
}

/// A listener that lets in no more connections than it has places.
struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

/// A connection in its place.
struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Listener for Bounded {
    type Io = Placed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Placed, SocketAddr) {
        // The semaphore is never closed.
        let Ok(place) = self.places.clone().acquire_owned().await else { std::future::pending().await };
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Placed { stream, _place: place }, address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::words::Screen;
    use busbar_interfaces::{MilliwattHours, Percent, Watts};

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("src="));
    }

    #[test]
    fn what_is_not_known_is_null() {
        let state = ScreenState {
            screen: Screen::Charging,
            message: "m".to_owned(),
            energy_milliwatt_hours: MilliwattHours(1_500_000),
            watts: Watts(7),
            state_of_charge_percent: Percent::UNKNOWN,
            cost: String::new(),
        };
        let value = of_screen(ConnectorId(2), &state);
        assert_eq!((&value["state_of_charge_percent"], &value["cost"]), (&Value::Null, &Value::Null));
        assert_eq!((value["name"].as_str(), value["energy_watt_hours"].as_u64()), (Some("B"), Some(1500)));
    }

    #[test]
    fn the_cost_is_on_the_page_while_a_charge_or_its_receipt_is() {
        for screen in Screen::KNOWN {
            let state = ScreenState {
                screen: *screen,
                message: "m".to_owned(),
                energy_milliwatt_hours: MilliwattHours(0),
                watts: Watts(0),
                state_of_charge_percent: Percent::UNKNOWN,
                cost: "12.40 EUR".to_owned(),
            };
            let told = matches!(screen, Screen::Charging | Screen::Paused | Screen::Receipt);
            assert_eq!(of_screen(ConnectorId(1), &state)["cost"].as_str(), told.then_some("12.40 EUR"), "{screen}");
        }
        // The page takes it as text, so that no cost can be markup.
        assert!(PAGE.contains(r#"at("cost").textContent = side.cost"#) && !PAGE.contains("innerHTML"));
    }
}
