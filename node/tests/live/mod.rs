//! Real `shoal run` processes in data directories of their own, asked only through the binary's verbs.
//!
//! A node that is still running when its value is dropped is killed. Every wait is for something
//! that a node says, with a bound that nothing but a failure meets.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The bound over one wait: a failing test's patience, no figure of the product.
pub const BOUND: Duration = Duration::from_secs(60);
/// Time between two questions; what is waited for lasts longer.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A `shoal` that knows of no home and no settings but those of its arguments.
pub fn shoal(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shoal")).args(args).env_clear().output().expect("the binary starts")
}

/// What a verb printed as JSON, if it succeeded.
fn json(output: &Output) -> Option<Value> {
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("stdout is JSON"))
}

/// Asks until `done` answers.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(began.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        std::thread::sleep(ASK_EVERY);
    }
}

/// One node: its place, what it is always started with, and its process while there is one.
pub struct Node {
    pub dir: String,
    args: Vec<String>,
    starts: usize,
    process: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Node {
    /// Makes the data directory with `shoal init`; `args` are those of every start.
    pub fn init(dir: PathBuf, args: &[&str]) -> Self {
        let dir = dir.to_str().expect("a UTF-8 path").to_owned();
        assert!(shoal(&["init", "--data-dir", &dir]).status.success());
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { dir, args, starts: 0, process: None }
    }

    /// The whole command line of a start.
    pub fn command_line<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut line = vec!["run", "--data-dir", &self.dir];
        line.extend(self.args.iter().map(String::as_str));
        line.extend(more);
        line
    }

    /// Starts the node; what it logs goes to a file of this start.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// The same with these arguments more.
    pub fn start_with(&mut self, more: &[&str]) {
        let line: Vec<String> = self.command_line(more).into_iter().map(str::to_owned).collect();
        self.start_line(&line);
    }

    /// The same with another verb, and what belongs to it, than `run`.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub fn start_as(&mut self, verb: &[&str]) {
        let line = verb.iter().copied().chain(self.command_line(&[]).into_iter().skip(1)).map(str::to_owned);
        let line: Vec<String> = line.collect();
        self.start_line(&line);
    }

    fn start_line(&mut self, line: &[String]) {
        assert!(self.process.is_none(), "it runs already");
        self.starts += 1;
        let log = File::create(self.log_path()).expect("a log file");
        let process = Command::new(env!("CARGO_BIN_EXE_shoal")).args(line).env_clear().env("NO_COLOR", "1").stderr(log).spawn();
        self.process = Some(process.expect("the binary starts"));
    }

    fn log_path(&self) -> String {
        format!("{}.{}.log", self.dir, self.starts)
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).expect("the log is text")
    }

    /// Its status, once it runs and has said what it is doing.
    pub fn status(&self) -> Option<Value> {
        let status = json(&shoal(&["status", "--json", "--data-dir", &self.dir]))?;
        (status["state"] != "starting").then_some(status)
    }

    /// Its peers, by their names.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub fn peers(&self) -> Vec<Value> {
        json(&shoal(&["peers", "--json", "--data-dir", &self.dir]))
            .and_then(|peers| peers.as_array().cloned())
            .unwrap_or_default()
    }

    /// Its status, once `done` says so of one.
    pub fn until(&mut self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_for(&format!("{what} ({})", self.dir), || {
            if let Some(ended) = self.process.as_mut().and_then(|process| process.try_wait().expect("a child of ours")) {
                panic!("{what}: the node ended with {ended}:\n{}", self.log());
            }
            last = self.status()?;
            done(&last).then(|| last.clone())
        })
    }

    /// Its status, once it has come to this round.
    pub fn until_round(&mut self, round: u64) -> Value {
        self.until(&format!("round {round}"), |status| self::round(status) >= round)
    }

    /// Where it can be called: its first address and its peer id.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub fn address(&mut self) -> String {
        let status = self.until("listening", |status| status["listen"][0].is_string());
        let id = json(&shoal(&["id", "--json", "--data-dir", &self.dir])).expect("it has an identity");
        format!("{}/p2p/{}", status["listen"][0].as_str().unwrap_or_default(), id["peer"].as_str().unwrap_or_default())
    }

    /// SIGKILL: nothing is saved, nobody is told.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("a child of ours");
        process.wait().expect("a child of ours");
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let id = self.process.as_ref().expect("it runs").id();
        // The shell's own `kill`: the standard library sends no signal but SIGKILL.
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().expect("a shell");
        assert!(sent.success());
    }

    /// How it ended after [`Node::terminate`].
    pub fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        wait_for("the end of a node", || process.try_wait().expect("a child of ours"))
    }
}

pub fn round(status: &Value) -> u64 {
    status["round"].as_u64().expect("a status has a round")
}

/// The accuracy, if it has looked.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn accuracy(status: &Value) -> Option<f64> {
    status["accuracy"].as_f64()
}
