//! Debian's Chromium, driven over `WebDriver`: a browser of the test's own, with a folder of its own.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use serde_json::{Value, json};

/// Far more than any page needs.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Browser {
    pub client: Client,
    base: String,
    paper: Paper,
    driver: Child,
    _profile: tempfile::TempDir,
}

/// What a person's system asks pages to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    Light,
    Dark,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes the browser with it.
        fixture::signal(self.driver.id(), "TERM");
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// A browser at `base`, on light paper or dark; none where the machine has no Chromium.
    pub async fn start(base: &str, paper: Paper) -> Option<Self> {
        let begun =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = begun else {
            fixture::missing("the browser test needs Debian's chromium and chromium-driver");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .find_map(|line| {
                line.unwrap().rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
            })
            .unwrap();
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--window-size=1280,900".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--blink-settings=preferredColorScheme={}", u8::from(paper != Paper::Dark)),
        ];
        let options = json!({"args": arguments});
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities([("goog:chromeOptions".to_owned(), options)].into_iter().collect())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self { client, base: base.to_owned(), paper, driver, _profile: profile })
    }

    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// The address of the page, without the server's.
    pub async fn path(&self) -> String {
        let at = self.client.current_url().await.unwrap();
        at.as_str().strip_prefix(&self.base).unwrap().to_owned()
    }

    /// The element, once it is there.
    pub async fn find(&self, css: &str) -> Element {
        self.wait(Locator::Css(css), css).await
    }

    async fn wait(&self, what: Locator<'_>, shown: &str) -> Element {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(found) = self.client.find(what).await {
                return found;
            }
            assert!(Instant::now() < end, "no {shown} on {}:\n{}", self.path().await, self.text().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses the button or follows the link that reads so.
    pub async fn press(&self, text: &str) {
        let found = format!(
            "//main//button[normalize-space()='{text}'] | //main//a[normalize-space()='{text}'] | \
             //header//a[normalize-space()='{text}'] | //main//summary[normalize-space()='{text}']"
        );
        self.wait(Locator::XPath(&found), text).await.click().await.unwrap();
    }

    /// Types into a field, in the place of what is there.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn choose(&self, css: &str, label: &str) {
        self.find(css).await.select_by_label(label).await.unwrap();
    }

    /// What a person reads on the page.
    pub async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// Looks until the page says `part`; the whole text.
    pub async fn reads(&self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            // The live part may be replaced between finding and reading it.
            let text = match self.client.find(Locator::Css("body")).await {
                Ok(body) => body.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if text.contains(part) {
                return text;
            }
            assert!(Instant::now() < end, "never '{part}' on {}:\n{text}", self.path().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap()
    }

    /// Keeps a picture of the page at both widths, where somebody asked for them.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("CARILLON_PICTURES").map(PathBuf::from) else { return };
        std::fs::create_dir_all(&folder).unwrap();
        for (width, height) in [(1280, 900), (390, 844)] {
            self.client.set_window_size(width, height).await.unwrap();
            let png = self.client.screenshot().await.unwrap();
            std::fs::write(folder.join(format!("{name}-{width}-{:?}.png", self.paper)), png).unwrap();
        }
        self.client.set_window_size(1280, 900).await.unwrap();
    }

    /// What axe-core finds serious or critical on this page, in words, and whether it fits its width.
    pub async fn findings(&self, axe: &str) -> Vec<String> {
        self.run(axe, Vec::new()).await;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(
                (r) => done(r.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').flatMap(
                    (v) => v.nodes.map((n) => `${v.id}: ${n.html} ${n.failureSummary}`))),
                (e) => done([String(e)]));";
        let mut all = Vec::new();
        for width in [1280, 390] {
            self.client.set_window_size(width, 844).await.unwrap();
            let found = self.client.execute_async(script, Vec::new()).await.unwrap();
            all.extend(
                found.as_array().unwrap().iter().map(|f| format!("{width} px: {}", f.as_str().unwrap())),
            );
            let over =
                self.run("return document.documentElement.scrollWidth - window.innerWidth", Vec::new()).await;
            if over.as_i64().unwrap() > 0 {
                all.push(format!("{width} px: the page is {over} px too wide"));
            }
        }
        self.client.set_window_size(1280, 900).await.unwrap();
        all
    }
}

/// The text of axe-core, which `.ci/run` fetches; none where nobody did.
pub fn axe() -> Option<String> {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/axe/node_modules/axe-core/axe.min.js");
    let text = std::fs::read_to_string(file).ok();
    if text.is_none() {
        fixture::missing(
            "the accessibility test needs axe-core: npm install --no-save --prefix target/axe axe-core@4",
        );
    }
    text
}
