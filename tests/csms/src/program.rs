//! The program: frames out and commands in, as JSON lines. It owns standard input, standard output and the log file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::answers::id_tag_info;
use crate::central::{Csms, Options};
use crate::command::Command;
use crate::tls::{Tls, TlsVersions};

/// Frames kept in memory; all have been written out by then.
const KEEP: usize = 10_000;

/// How long a text may wait for a station that reads nothing, before its command is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// An OCPP 1.6J central system for tests and demonstrations.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "busbar-csms", version)]
pub struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Append the frames to this file instead of writing them to standard output.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Heartbeat interval given to stations, in seconds.
    #[arg(long, default_value_t = 300)]
    pub interval: i64,
    /// Id of the first transaction.
    #[arg(long, default_value_t = 1000)]
    pub first_transaction: i64,
    /// TLS with the certificate chain in this PEM file.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Let in only stations whose certificate leads to a root in this PEM file.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub client_root: Option<PathBuf>,
}

/// Why the program ends unasked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The address or the certificate cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A certificate or key cannot be read.
    #[error("cannot read {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The log file cannot be opened.
    #[error("cannot open {}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A line cannot be written.
    #[error("cannot write")]
    Write(#[source] io::Error),
    /// Signals or the reader of commands cannot be set up.
    #[error("cannot start")]
    Start(#[source] io::Error),
}

impl Fault {
    /// The exit code that says so.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Certificate { .. } => 64,
            Self::Listen { .. } => 69,
            Self::Start(_) => 70,
            Self::Log { .. } | Self::Write(_) => 74,
        }
    }
}

/// Runs until SIGTERM or SIGINT; the end of standard input does not end it.
///
/// # Errors
/// If it cannot start, or a frame cannot be written.
pub async fn run(arguments: Arguments) -> Result<(), Fault> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Fault::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::Start)?;
    let mut output = Output { log: arguments.log.map(open_log).transpose()?, written: 0 };
    let tls = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => Some(Tls {
            chain_pem: read(certificate).await?,
            key_pem: read(key).await?,
            client_root_pem: match &arguments.client_root {
                Some(root) => Some(read(root).await?),
                None => None,
            },
            versions: TlsVersions::default(),
        }),
        _ => None,
    };
    let options = Options {
        tls,
        listen: arguments.listen,
        interval_seconds: arguments.interval,
        first_transaction: arguments.first_transaction,
        keep: Some(KEEP),
        ..Options::default()
    };
    let csms = Csms::start(options).await.map_err(|cause| Fault::Listen { address: arguments.listen, cause })?;
    print(&json!({ "url": csms.url() }))?;

    let mut lines = read_commands()?;
    let mut changes = csms.changes();
    let mut calls = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Ok(()) = changes.changed() => output.frames(&csms)?,
            Some(line) = lines.recv() => match serde_json::from_str(&line) {
                Ok(Command::Call { identity, action, payload }) => calls.push(call(&csms, identity, action, payload)),
                Ok(command) => {
                    let obeyed = timeout(PATIENCE, obey(&csms, command)).await;
                    if let Err(fault) = obeyed.unwrap_or_else(|_| Err("busy: the station reads nothing".to_owned())) {
                        print(&json!({ "error": { "fault": fault, "line": line } }))?;
                    }
                }
                Err(fault) => print(&json!({ "error": { "fault": fault.to_string(), "line": line } }))?,
            },
            Some(outcome) = calls.next(), if !calls.is_empty() => print(&outcome)?,
        }
    }
    output.frames(&csms)
}

/// Where frames go, and the number of the next one.
struct Output {
    log: Option<File>,
    written: u64,
}

impl Output {
    /// Writes the frames that have not been written yet.
    fn frames(&mut self, csms: &Csms) -> Result<(), Fault> {
        for frame in csms.frames_since(self.written) {
            self.written = frame.seq.saturating_add(1);
            match &mut self.log {
                Some(log) => write_line(log, &json!({ "frame": frame }))?,
                None => print(&json!({ "frame": frame }))?,
            }
        }
        Ok(())
    }
}

async fn call(csms: &Csms, identity: String, action: String, payload: Value) -> Value {
    match csms.call(&identity, &action, payload).await {
        Ok(reply) => json!({ "reply": { "identity": identity, "action": action, "payload": reply.payload } }),
        Err(fault) => {
            json!({ "error": { "fault": fault.to_string(), "identity": identity, "action": action } })
        }
    }
}

async fn obey(csms: &Csms, command: Command) -> Result<(), String> {
    let (identity, there) = match command {
        Command::Raw { identity, text } => {
            let there = csms.send_raw(&identity, &text).await;
            (identity, there)
        }
        Command::Drop(identity) => {
            let there = csms.drop_connection(&identity);
            (identity, there)
        }
        other => {
            set(csms, other);
            return Ok(());
        }
    };
    if there { Ok(()) } else { Err(format!("{identity} is not connected")) }
}

fn set(csms: &Csms, command: Command) {
    match command {
        Command::Stall(stall) => csms.stall(stall),
        Command::Refuse(refuse) => csms.refuse(refuse),
        Command::Tag { tag, status, parent, expiry } => {
            csms.set_tag_info(&tag, id_tag_info(&status, parent.as_deref(), expiry.as_deref()));
        }
        Command::Password { identity, password } => csms.set_password_to(&identity, password),
        Command::Chaos(chaos) => csms.set_chaos(chaos),
        Command::Boot { status, interval } => csms.set_boot(&status, interval),
        Command::On { action, answer, once: true } => csms.once(&action, answer),
        Command::On { action, answer, once: false } => csms.on(&action, answer),
        Command::Call { .. } | Command::Raw { .. } | Command::Drop(_) => {}
    }
}

/// Reads standard input on a thread of its own, so that a read in progress does not hold up the end of the program.
fn read_commands() -> Result<mpsc::Receiver<String>, Fault> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::Builder::new()
        .name("commands".to_owned())
        .spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if !line.trim().is_empty() && sender.blocking_send(line).is_err() {
                    return;
                }
            }
        })
        .map_err(Fault::Start)?;
    Ok(receiver)
}

async fn read(path: &Path) -> Result<String, Fault> {
    let text = tokio::fs::read_to_string(path).await;
    text.map_err(|cause| Fault::Certificate { path: path.to_owned(), cause })
}

fn open_log(path: PathBuf) -> Result<File, Fault> {
    OpenOptions::new().append(true).create(true).open(&path).map_err(|cause| Fault::Log { path, cause })
}

fn print(line: &Value) -> Result<(), Fault> {
    write_line(&mut io::stdout().lock(), line)
}

fn write_line(to: &mut impl Write, line: &Value) -> Result<(), Fault> {
    writeln!(to, "{line}").and_then(|()| to.flush()).map_err(Fault::Write)
}
