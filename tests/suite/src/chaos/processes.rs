//! Processes of services that are killed and frozen on purpose and come back as under systemd. Whatever else they do to
//! end is kept for the judge: a service does not end by itself.

use crate::chaos::plan::Victim;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Pause before a process that has ended is started again (`RestartSec=`).
const RESTART_PAUSE: Duration = Duration::from_millis(50);
/// The bus lets go of the name of a process that was killed within this time, also on a busy machine.
const NAME_LIMIT: u32 = 20;
/// The exit code of a process whose name is held by another.
const BUS_EXIT: i32 = 69;
/// Lines of a log that tell why a process has ended.
const LAST_LINES: usize = 25;

/// Where the programs of the workspace are: beside the test, or above it.
///
/// # Errors
/// When they have not been built.
pub fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).find(|directory| directory.join("busbar-session").exists());
    Ok(found.context("busbar-session has not been built: run `make build`")?.to_owned())
}

/// The program of a service, with the bus and the directories that it is started with.
#[derive(Debug, Clone)]
pub struct Program {
    role: &'static str,
    file: PathBuf,
    bus: String,
    root: PathBuf,
}

impl Program {
    /// Of a service that finds the bus, its station file and its directories under a root.
    ///
    /// # Errors
    /// When its program or its directories are missing.
    pub fn find(role: &'static str, bus: &str, root: &Path) -> Result<Program> {
        let file = programs()?.join(format!("busbar-{role}"));
        for directory in ["state", "run"] {
            std::fs::create_dir_all(root.join(directory).join(role))?;
        }
        Ok(Program { role, file, bus: bus.to_owned(), root: root.to_owned() })
    }

    /// Starts it, with more in its environment. The kernel kills it with us, as a mains failure would.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, environment: &[(&str, String)]) -> Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.file).args(["--bus", &self.bus]);
        command.arg("--root").arg(&self.root);
        command.arg("--state").arg(self.root.join("state").join(self.role));
        command.arg("--runtime").arg(self.runtime_directory());
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env_remove("BUSBAR_LOG");
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    /// What survives the process and not the machine.
    pub fn runtime_directory(&self) -> PathBuf {
        self.root.join("run").join(self.role)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        last_lines(&self.log())
    }

    fn log(&self) -> PathBuf {
        self.root.join(format!("{}.log", self.role))
    }
}

/// Kills a process from wherever it is needed.
#[derive(Clone)]
pub struct Killer(watch::Receiver<Option<i32>>);

impl Killer {
    /// Kills the process that runs now without warning; says whether there is one.
    pub fn kill(&self) -> bool {
        signal(*self.0.borrow(), Signal::SIGKILL)
    }
}

/// One service, which is started again whenever it has ended.
pub struct Process {
    victim: Victim,
    process: watch::Receiver<Option<i32>>,
    faults: Arc<Mutex<Vec<String>>>,
    program: Program,
    keeping: JoinHandle<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl Process {
    /// Starts a service that finds the bus, its station file and its directories under a root.
    ///
    /// # Errors
    /// When its program or its directories are missing.
    pub fn start(victim: Victim, bus: &str, root: &Path) -> Result<Process> {
        let program = Program::find(victim.role(), bus, root)?;
        let (tell, process) = watch::channel(None);
        let faults = Arc::new(Mutex::new(Vec::new()));
        let keeping = tokio::spawn(Keeper { program: program.clone(), tell }.keep(faults.clone()));
        Ok(Process { victim, process, faults, program, keeping })
    }

    /// Which it is.
    pub fn victim(&self) -> Victim {
        self.victim
    }

    /// Kills it, also later.
    pub fn killer(&self) -> Killer {
        Killer(self.process.clone())
    }

    /// Lets it stand still.
    pub fn freeze(&self) -> Option<Frozen> {
        let process = *self.process.borrow();
        self.signal(Signal::SIGSTOP).then_some(Frozen(process))
    }

    /// It runs.
    pub fn runs(&self) -> bool {
        self.process.borrow().is_some()
    }

    /// What it did that no service does.
    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        self.program.last_words()
    }

    fn signal(&self, what: Signal) -> bool {
        signal(*self.process.borrow(), what)
    }
}

/// A process that stands still until this is dropped.
pub struct Frozen(Option<i32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        signal(self.0, Signal::SIGCONT);
    }
}

fn signal(process: Option<i32>, what: Signal) -> bool {
    process.is_some_and(|process| kill(Pid::from_raw(process), what).is_ok())
}

#[allow(clippy::disallowed_methods, reason = "tests")]
fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
}

struct Keeper {
    program: Program,
    tell: watch::Sender<Option<i32>>,
}

impl Keeper {
    async fn keep(self, faults: Arc<Mutex<Vec<String>>>) {
        let fault = |text: String| faults.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        let role = self.program.role;
        let mut without_name = 0;
        loop {
            let exit = match self.run().await {
                Ok(exit) => exit,
                Err(error) => return fault(format!("{role} cannot be started: {error:#}")),
            };
            let held = exit.code() == Some(BUS_EXIT) && without_name < NAME_LIMIT;
            without_name = if held { without_name + 1 } else { 0 };
            if exit.signal() != Some(Signal::SIGKILL as i32) && !held {
                let words = self.program.last_words();
                fault(format!("{role} has ended by itself: {exit}; its log ends:\n{words}"));
            }
            sleep(RESTART_PAUSE).await;
        }
    }

    async fn run(&self) -> Result<ExitStatus> {
        let mut child = self.program.spawn(&[])?;
        self.tell.send_replace(child.id().and_then(|process| i32::try_from(process).ok()));
        let exit = child.wait().await;
        self.tell.send_replace(None);
        Ok(exit?)
    }
}

/// Waits for a condition that nobody announces.
///
/// # Errors
/// When it does not come about in time.
pub async fn until<T>(what: &str, limit: Duration, condition: impl AsyncFn() -> Option<T>) -> Result<T> {
    let wait = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    match timeout(limit, wait).await {
        Ok(value) => Ok(value),
        Err(_) => bail!("not within {limit:?}: {what}"),
    }
}
