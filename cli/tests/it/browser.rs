//! A headless Chromium on the web page, driven by its own WebDriver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use remaster_testkit::axe_core;
use reqwest::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the browser looks like to the page.
#[derive(Debug, Clone, Copy)]
pub enum Screen {
    Desktop,
    /// 375 by 812, with touch.
    Phone,
}

/// A browser with one page open.
pub struct Browser {
    driver: Driver,
    pub page: Client,
    /// Where downloads go.
    pub downloads: PathBuf,
    base: String,
}

impl Browser {
    /// Opens the page of the service at `base`; profile and downloads lie in `folder`.
    pub async fn open(base: &str, folder: &Path, screen: Screen) -> Self {
        let driver = Driver::start();
        let downloads = folder.join("downloads");
        std::fs::create_dir(&downloads).unwrap();
        let mut chrome = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--window-size=1280,800",
                // Nobody else can be reached.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
                format!("--user-data-dir={}", folder.join("profile").display()),
            ],
            "prefs": { "download.default_directory": downloads },
        });
        if matches!(screen, Screen::Phone) {
            let metrics = json!({ "width": 375, "height": 812, "pixelRatio": 2.0, "touch": true, "mobile": true });
            chrome["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let wanted =
            json!({ "goog:chromeOptions": chrome, "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" } });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted.as_object().unwrap().clone());
        let page = builder.connect(&driver.url()).await.unwrap();
        page.goto(&format!("{base}/")).await.unwrap();
        Self { driver, page, downloads, base: base.to_owned() }
    }

    /// Shows the page to somebody who prefers this colour scheme, light or dark.
    pub async fn prefer(&self, theme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// What axe-core finds wrong with the page as it is.
    pub async fn faults(&self) -> Vec<Value> {
        let script = format!("{}\nconst done = arguments[0]; axe.run().then(done);", axe_core());
        let found = self.page.execute_async(&script, vec![]).await.unwrap();
        assert!(!found["passes"].as_array().unwrap().is_empty(), "axe-core ran");
        found["violations"].as_array().unwrap().clone()
    }

    pub async fn find(&self, selector: &str) -> Element {
        self.page.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    pub async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.unwrap()
    }

    /// The value of a JavaScript expression.
    pub async fn eval(&self, expression: &str) -> Value {
        self.page.execute(&format!("return {expression}"), vec![]).await.unwrap()
    }

    /// Waits until a JavaScript expression is true.
    pub async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.eval(&format!("Boolean({expression})")).await != true {
            if Instant::now() >= deadline {
                panic!("never {expression}, on the page: {}", self.eval("document.body.innerText").await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the element shows `text`.
    pub async fn shows(&self, selector: &str, text: &str) {
        self.until(&format!("document.querySelector({selector:?})?.innerText.includes({text:?})")).await;
    }

    /// Chooses files with the file picker, and waits until they can be sent.
    pub async fn pick(&self, files: &[PathBuf]) {
        let paths: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
        self.find("#picker").await.send_keys(&paths.join("\n")).await.unwrap();
        self.until("!document.getElementById('submit').hidden").await;
    }

    /// Drags files from outside onto the middle of the page.
    pub async fn drop_files(&self, files: &[PathBuf]) {
        for kind in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": files, "dragOperationsMask": 1 });
            self.devtools("Input.dispatchDragEvent", json!({ "type": kind, "x": 300, "y": 300, "data": data })).await;
        }
    }

    /// The content of the only download, when it is complete.
    pub async fn downloaded(&self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let files: Vec<_> =
                std::fs::read_dir(&self.downloads).unwrap().map(|entry| entry.unwrap().path()).collect();
            let is_complete = files.iter().all(|file| !file.to_string_lossy().ends_with(".crdownload"));
            if let ([file], true) = (&files[..], is_complete)
                && !file.file_name().unwrap().to_string_lossy().starts_with('.')
            {
                return std::fs::read(file).unwrap();
            }
            assert!(Instant::now() < deadline, "no download: {files:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, name: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": name, "params": parameters });
        self.page.issue_cmd(Extension { path: "goog/cdp/execute", body }).await.unwrap()
    }

    /// The warnings and errors in the browser's log: what the page wrote to the console, and what its content security policy
    /// refused.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.log("browser").await;
        let bad = log.iter().filter(|line| ["WARNING", "SEVERE"].contains(&line["level"].as_str().unwrap()));
        bad.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The URLs of what the page asked another host for. They can be read once.
    pub async fn outside_requests(&self, others: &[&str]) -> Vec<String> {
        let log = self.log("performance").await;
        let messages = log.iter().map(|line| serde_json::from_str::<Value>(line["message"].as_str().unwrap()).unwrap());
        let requests = messages.filter(|message| message["message"]["method"] == "Network.requestWillBeSent");
        let urls = requests.map(|request| request["message"]["params"]["request"]["url"].as_str().unwrap().to_owned());
        let urls: Vec<_> = urls.collect();
        assert!(!urls.is_empty(), "the log has the page's own requests");
        let own = |url: &String| {
            // The browser's own empty tab, which is there before the page, is at chrome:.
            [self.base.as_str(), "blob:", "data:", "chrome:"].iter().chain(others).any(|prefix| url.starts_with(prefix))
        };
        urls.into_iter().filter(|url| !own(url)).collect()
    }

    async fn log(&self, name: &'static str) -> Vec<Value> {
        let answer = self.page.issue_cmd(Extension { path: "se/log", body: json!({ "type": name }) }).await.unwrap();
        answer.as_array().unwrap().clone()
    }

    /// Ends the browser, in the order that leaves no process behind.
    pub async fn close(self) {
        self.page.close().await.unwrap();
        drop(self.driver);
    }
}

/// A command beyond the WebDriver standard.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// A running chromedriver. Dropped, it ends its browsers and itself.
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.args(["--port=0"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("chromedriver is installed (cargo xtask test does that)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver says its port").unwrap();
            let number = line.split_once("on port ").and_then(|(_, rest)| rest.trim_end_matches('.').parse().ok());
            if let Some(port) = number.filter(|port| *port != 0) {
                break port;
            }
        };
        // The pipe is read on, so that the driver never waits for it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Killed at once it would leave its browsers running.
        let _ = self.shut_down();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
