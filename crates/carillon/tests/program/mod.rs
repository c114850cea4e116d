//! The real program as a child process, and a client of it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

/// Far more than any step here needs.
const PATIENCE: Duration = Duration::from_secs(90);
const BINARY: &str = env!("CARGO_BIN_EXE_carillon");
/// The size of a small disk, and the space left when it is full, in bytes: less than the engine's reserve.
const SMALL_DISK: u64 = 96 * 1024 * 1024;
const LEFT: u64 = 8 * 1024 * 1024;

/// Runs a command to its end.
pub fn carillon(args: &[&str]) -> Output {
    let output = Command::new(BINARY).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs a command that reads `input` to its end.
pub fn carillon_with(args: &[&str], input: &str) -> Output {
    let piped = Command::new(BINARY).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = piped.unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Runs a command that is refused; returns its exit code and what it prints.
pub fn refused(args: &[String]) -> (Option<i32>, String) {
    let output = Command::new(BINARY).args(args).output().unwrap();
    assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A running server. Dropping it kills it.
pub struct Program {
    child: Child,
    pub base: String,
}

impl Program {
    pub async fn serve(folder: &Path) -> Self {
        Self::serve_at(folder, "127.0.0.1:0").await
    }

    pub async fn serve_at(folder: &Path, address: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--listen", address, "--data"]).arg(folder);
        Self::start(command).await
    }

    /// Starts a command that prints where it listens.
    pub async fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).unwrap();
            line
        })
        .await
        .unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}"));
        Self { child, base: format!("http://{address}") }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }

    /// Sends SIGTERM, and waits for its end.
    pub fn terminate(&mut self) {
        fixture::signal(self.child.id(), "TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on data of its own, with contacts in one list.
pub struct World {
    pub program: Program,
    pub folder: Arc<tempfile::TempDir>,
    /// The data's folder as this process sees it.
    data: PathBuf,
    token: String,
    client: reqwest::Client,
}

impl World {
    pub async fn start(people: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = prepare(folder.path(), people);
        let program = Program::serve(folder.path()).await;
        let data = folder.path().to_owned();
        Self { program, folder: Arc::new(folder), data, token, client: reqwest::Client::new() }
    }

    /// Another server on the same data.
    pub async fn beside(&self, more: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&self.data).args(more);
        Self {
            program: Program::start(command).await,
            folder: self.folder.clone(),
            data: self.data.clone(),
            token: self.token.clone(),
            client: reqwest::Client::new(),
        }
    }

    /// A server whose data is on a small disk of its own; none if this machine lets nobody mount one.
    pub async fn on_a_small_disk(people: i64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        let prepared = tempfile::tempdir().unwrap();
        let token = prepare(prepared.path(), people);
        let script = format!(
            "mount -t tmpfs -o size={SMALL_DISK} tmpfs \"$1\" && cp \"$2\"/* \"$1\" && \"$3\" adopt --data \"$1\" >&2 && \
             exec \"$3\" serve --listen 127.0.0.1:0 --data \"$1\""
        );
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        command.arg(&disk).arg(prepared.path()).arg(BINARY);
        let allowed = Command::new("unshare")
            .args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
            .status();
        if !allowed.is_ok_and(|status| status.success()) {
            fixture::not_permitted(
                "the full-disk test needs a mount namespace (unshare --map-root-user --mount)",
            );
            return None;
        }
        let program = Program::start(command).await;
        // The disk is mounted in the program's namespace only.
        let data = PathBuf::from(format!("/proc/{}/root{}", program.id(), disk.display()));
        Some(Self { program, folder: Arc::new(folder), data, token, client: reqwest::Client::new() })
    }

    /// Fills the disk up to the engine's reserve; returns the file that fills it.
    pub fn fill_disk(&self) -> PathBuf {
        let path = self.data.join("filler");
        let mut filler = File::create(&path).unwrap();
        // Bit by bit: the program writes at the same time.
        while fs4::available_space(&self.data).unwrap() > LEFT {
            filler.write_all(&vec![1; 256 * 1024]).unwrap();
        }
        path
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn url(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(root) if root.starts_with('/') => format!("{}{root}", self.program.base),
            _ => format!("{}/api/v1{path}", self.program.base),
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send(self.client.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(self.client.post(self.url(path)).json(body)).await
    }

    /// Reads what the server can answer with at this moment; none where it says that it cannot.
    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let answer = self.client.get(self.url(path)).bearer_auth(&self.token).send().await.unwrap();
        let known = answer.status().as_u16() != 503;
        assert!(!known || answer.status().is_success(), "{}", answer.status());
        if known { Some(answer.json().await.unwrap()) } else { None }
    }

    /// Sends a request, whatever the answer.
    pub async fn try_post(&self, path: &str, body: &Value) -> reqwest::Response {
        self.client.post(self.url(path)).bearer_auth(&self.token).json(body).send().await.unwrap()
    }

    /// Repeats a request until it is not told to ask again later; returns how it was answered.
    pub async fn until_taken(&self, path: &str, body: &Value) -> (u16, Value) {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.try_post(path, body).await;
            let status = answer.status().as_u16();
            if status != 503 {
                return (status, answer.json().await.unwrap());
            }
            assert!(answer.headers().contains_key("retry-after") && Instant::now() < end);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The status of an answer to another token.
    pub async fn status_for(&self, token: &str) -> u16 {
        let request = self.client.get(self.url("/lists")).bearer_auth(token.trim());
        request.send().await.unwrap().status().as_u16()
    }

    /// Writes a request and hangs up after `pause`, without looking at the answer. If not `whole`, only the first half
    /// of the body is written.
    pub async fn hang_up(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
        whole: bool,
        pause: Duration,
    ) {
        let address = self.program.base.strip_prefix("http://").unwrap();
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\n\
             content-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        let written = if whole { body } else { &body[..body.len() / 2] };
        connection.write_all((head + written).as_bytes()).await.unwrap();
        tokio::time::sleep(pause).await;
    }

    /// Sends a file of contacts to a list.
    pub async fn import(&self, list: &str, csv: String) -> Value {
        let request = self.client.post(self.url(&format!("/lists/{list}/contacts")));
        self.send(request.header("content-type", "text/csv").body(csv)).await
    }

    pub async fn route(&self, smsc: SocketAddr, more: Value) -> String {
        let route = fixture::with(
            json!({"name": "Carrier", "kind": "smpp", "host": "127.0.0.1", "port": smsc.port(), "system_id": "us"}),
            more,
        );
        self.post("/routes", &route).await["id"].as_str().unwrap().to_owned()
    }

    /// Saves and schedules a campaign to everybody; returns its address.
    pub async fn start_campaign(&self, name: &str, route: &str) -> String {
        let at = self.draft(name, route).await;
        self.post(&format!("{at}/schedule"), &json!({})).await;
        at
    }

    /// Saves a campaign to everybody; returns its address.
    pub async fn draft(&self, name: &str, route: &str) -> String {
        let c = json!({"channel": "sms", "name": name, "route_id": route, "sender": "+12025550199",
            "list_ids": ["lst_1"], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "Hello {{ first_name }}", "send": {"now": true}}]});
        let c = self.post("/campaigns", &c).await;
        format!("/campaigns/{}", c["id"].as_str().unwrap())
    }

    /// Looks until `done` holds.
    pub async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.get(path).await;
            if done(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "{path} came to no end: {seen}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs `check --against`; returns its exit code and the invariants that it calls broken.
    pub fn check_against(&self, record: &Path) -> (Option<i32>, String) {
        let output = Command::new(BINARY)
            .args(["check", "--data", self.folder.path().to_str().unwrap(), "--against"])
            .arg(record)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), said.lines().filter(|line| line.starts_with("BROKEN")).collect())
    }

    pub fn assert_check_holds(&self) {
        let said = carillon(&["check", "--data", self.folder.path().to_str().unwrap()]);
        assert!(String::from_utf8(said.stdout).unwrap().contains("every invariant holds"));
    }
}

/// Makes a token and imports contacts, with the program's own commands.
fn prepare(folder: &Path, people: i64) -> String {
    let data = folder.to_str().unwrap();
    let token = carillon(&["token", "create", "--name", "test", "--scope", "admin", "--data", data]).stdout;
    let csv = folder.join("people.csv");
    let rows = (0..people).map(|i| format!("+1202555{i:04},Ana{i}\n"));
    std::fs::write(&csv, std::iter::once("phone,first_name\n".to_owned()).chain(rows).collect::<String>())
        .unwrap();
    let said = carillon(&["import", csv.to_str().unwrap(), "--list", "All", "--data", data]);
    assert!(String::from_utf8(said.stdout).unwrap().contains(&format!("{people} accepted")));
    String::from_utf8(token).unwrap().trim().to_owned()
}
