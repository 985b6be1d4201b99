use std::{
    collections::HashMap,
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// Answers names from a script, each answer once, the last for ever. Any other name is 127.0.0.1: the worst case.
#[derive(Default)]
struct Script(Mutex<HashMap<&'static str, Vec<&'static str>>>);

impl Script {
    fn new(names: &[(&'static str, &[&'static str])]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(names.iter().map(|(name, answers)| (*name, answers.to_vec())).collect())))
    }
}

#[async_trait::async_trait]
impl Lookup for Script {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.0.lock().unwrap();
        let answer = match names.get_mut(name) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0],
            None => "127.0.0.1",
        };
        Ok(answer.split_whitespace().map(|address| address.parse().unwrap()).collect())
    }
}

/// A server on 127.0.0.1 that counts connections and redirects every request to itself.
struct Target {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Target {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/next\r\n");
                let _ = stream.write_all(format!("{head}content-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// How an attempt at this URL ends: the answer's status, or the reason of the refusal.
async fn attempt(egress: &Egress, url: &str) -> Result<u16, String> {
    let request = egress.post(url).map_err(|error| error.to_string())?;
    match request.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(refusal(&error).map_or_else(|| format!("not refused: {error:?}"), EgressError::to_string)),
    }
}

const FORBIDDEN: &[(&str, &str)] = &[
    // Loopback as a literal.
    ("http://127.0.0.1:{p}/", "loopback"),
    ("https://127.0.0.1:{p}/", "loopback"),
    ("http://127.0.0.1.:{p}/", "loopback"),
    ("http://127.1:{p}/", "loopback"),
    ("http://127.0.1:{p}/", "loopback"),
    ("http://127.255.255.254:{p}/", "loopback"),
    ("http://2130706433:{p}/", "loopback"),
    ("http://017700000001:{p}/", "loopback"),
    ("http://0x7f000001:{p}/", "loopback"),
    ("http://0X7F.0.0.1:{p}/", "loopback"),
    ("http://0x7f.1:{p}/", "loopback"),
    ("http://0177.0.0.1:{p}/", "loopback"),
    ("http://127.0x0.00.01:{p}/", "loopback"),
    ("http://%31%32%37.0.0.1:{p}/", "loopback"),
    ("http://127%2e0%2e0%2e1:{p}/", "loopback"),
    ("http://\u{ff11}\u{ff12}\u{ff17}.0.0.1:{p}", "loopback"),
    ("http://\u{ff11}\u{ff12}\u{ff17}\u{ff0e}\u{ff10}\u{ff0e}\u{ff10}\u{ff0e}\u{ff11}:{p}/", "loopback"),
    ("http://127。0。0。1:{p}/", "loopback"),
    ("http://①②⑦.⓪.⓪.①:{p}/", "loopback"),
    ("http:\\\\127.0.0.1:{p}\\", "loopback"),
    ("http:127.0.0.1:{p}", "loopback"),
    ("HTTP://127.0.0.1:{p}/", "loopback"),
    ("http:////127.0.0.1:{p}/", "loopback"),
    ("ht\ntp://127.0\t.0.1:{p}/", "loopback"),
    (" http://127.0.0.1:{p}/ ", "loopback"),
    ("http://127.0.0.1:{p}\\@1.1.1.1/", "loopback"),
    ("http://127.0.0.1:{p}#@1.1.1.1/", "loopback"),
    ("http://127.0.0.1:{p}?@1.1.1.1/", "loopback"),
    ("http://[::1]:{p}/", "loopback"),
    ("http://[0:0:0:0:0:0:0:1]:{p}/", "loopback"),
    ("http://[::ffff:127.0.0.1]:{p}/", "loopback"),
    ("http://[::FFFF:7F00:1]:{p}/", "loopback"),
    ("http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/", "loopback"),
    // An IPv4 address inside IPv6.
    ("http://[::127.0.0.1]:{p}/", "IPv4-in-IPv6"),
    ("http://[::ffff:0:127.0.0.1]:{p}/", "reserved"),
    ("http://[64:ff9b::127.0.0.1]:{p}/", "IPv4-in-IPv6"),
    ("http://[64:ff9b:1::7f00:1]:{p}/", "IPv4-in-IPv6"),
    ("http://[2002:7f00:1::1]:{p}/", "IPv4-in-IPv6"),
    ("http://[2001:0:1::80ff:fffe]:{p}/", "IPv4-in-IPv6"),
    ("http://[2600:1::5efe:127.0.0.1]:{p}/", "IPv4-in-IPv6"),
    ("http://[2600:1::200:5efe:127.0.0.1]:{p}/", "IPv4-in-IPv6"),
    // Cloud metadata.
    ("http://169.254.169.254/latest/meta-data/", "metadata"),
    ("http://2852039166/", "metadata"),
    ("http://0xA9FEA9FE/", "metadata"),
    ("http://0251.0376.0251.0376/", "metadata"),
    ("http://169.254.43518/", "metadata"),
    ("http://[::ffff:169.254.169.254]/", "metadata"),
    ("http://[::ffff:a9fe:a9fe]/", "metadata"),
    ("http://[fd00:ec2::254]/", "metadata"),
    ("http://100.100.100.200/", "metadata"),
    ("http://168.63.129.16/", "metadata"),
    ("http://metadata.google.internal/", "local name"),
    // Other ranges.
    ("http://0/", "unspecified"),
    ("http://0.0.0.0:{p}/", "unspecified"),
    ("http://[::]:{p}/", "unspecified"),
    ("http://10.0.0.1/", "private"),
    ("http://172.31.255.255/", "private"),
    ("http://192.168.1.1/", "private"),
    ("http://[fd12:3456::1]/", "private"),
    ("http://169.254.1.1/", "link-local"),
    ("http://[fe80::1]/", "link-local"),
    ("http://100.64.0.1/", "carrier-grade NAT"),
    ("http://192.0.0.8/", "reserved"),
    ("http://192.0.2.1/", "documentation"),
    ("http://[2001:db8::1]/", "documentation"),
    ("http://[3fff:fff::1]/", "documentation"),
    ("http://198.19.0.1/", "benchmarking"),
    ("http://192.88.99.1/", "IPv4-in-IPv6"),
    ("http://224.0.0.1/", "multicast"),
    ("http://[ff02::1]/", "multicast"),
    ("http://240.0.0.1/", "reserved"),
    ("http://255.255.255.255/", "broadcast"),
    ("http://[2001:20::1]/", "reserved"),
    ("http://[2001:10::1]/", "reserved"),
    ("http://[5f00::1]/", "reserved"),
    // Not an address at all.
    ("http://[fe80::1%25eth0]:{p}/", "not a URL"),
    ("http://127.0.0.1%00.example.org:{p}/", "not a URL"),
    ("http://127.0.0.256:{p}/", "not a URL"),
    ("http://hook.example%2f@127.0.0.1:{p}/", "user name"),
    ("http://", "not a URL"),
    ("/hook", "not a URL"),
    ("http://hook.example:99999/", "not a URL"),
    ("http://hook.example:0/", "port 0"),
    ("http://./", "no host"),
    ("ftp://hook.example/", "only http"),
    ("file:///etc/passwd", "only http"),
    ("gopher://127.0.0.1:{p}/", "only http"),
    ("http://1.1.1.1@127.0.0.1:{p}/", "user name"),
    ("http://:pass@127.0.0.1:{p}/", "user name"),
    // Names.
    ("http://localhost:{p}/", "local name"),
    ("http://LOCALHOST.:{p}/", "local name"),
    ("http://\u{ff4c}\u{ff4f}\u{ff43}\u{ff41}\u{ff4c}\u{ff48}\u{ff4f}\u{ff53}\u{ff54}:{p}/", "local name"),
    ("http://a.b.localhost:{p}/", "local name"),
    ("http://printer.local/", "local name"),
    ("http://router.home.arpa/", "local name"),
    ("http://hook.example:{p}/", "resolves to an address that is not public (loopback)"),
    ("https://hook.example:{p}/", "resolves to an address that is not public (loopback)"),
    ("http://HOOK.example.:{p}/", "resolves"),
    ("http://127.0.0.1.nip.example:{p}/", "resolves"),
    ("http://hook.example:{p}\\@1.1.1.1/", "resolves"),
    ("http://mylocalhost:{p}/", "resolves"),
    ("http://half.example:{p}/", "resolves to an address that is not public (private)"),
    ("http://half6.example:{p}/", "resolves to an address that is not public (loopback)"),
    ("http://mapped.example:{p}/", "resolves to an address that is not public (loopback)"),
    ("http://nat64.example:{p}/", "resolves to an address that is not public (IPv4-in-IPv6)"),
    ("http://rebind.example:{p}/", "resolves to an address that is not public (loopback)"),
    ("http://empty.example:{p}/", "no address"),
];

#[tokio::test]
async fn nothing_forbidden_is_ever_connected_to() {
    let target = Target::start().await;
    let script = Script::new(&[
        ("half.example", &["93.184.215.14 10.0.0.1"]),
        ("half6.example", &["2606:2800:21f:cb07:6820:80da:af6b:8b2c ::1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::7f00:1"]),
        ("rebind.example", &["93.184.215.14", "127.0.0.1"]),
        ("empty.example", &[""]),
    ]);
    // A look at submission finds the name innocent; what counts is the answer when connecting.
    assert_eq!(script.lookup("rebind.example").await.unwrap(), ["93.184.215.14".parse::<IpAddr>().unwrap()]);
    let egress = Egress::new(EgressPolicy::default(), script).unwrap();
    assert!(FORBIDDEN.len() >= 100);
    for (url, reason) in FORBIDDEN {
        let outcome = attempt(&egress, &url.replace("{p}", &target.port.to_string())).await;
        let refused = outcome.as_ref().is_err_and(|text| text.contains(reason));
        assert!(refused, "{url}: wanted {reason}, got {outcome:?}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn what_the_operator_allows_is_reached_and_redirects_are_not_followed() {
    let target = Target::start().await;
    let script = Script::new(&[("moving.example", &["127.0.0.1", "10.0.0.1"]), ("half.example", &["127.0.0.1 10.0.0.1"])]);
    let egress = Egress::new("127.0.0.0/8".parse().unwrap(), script).unwrap();
    let reached = ["127.0.0.1", "2130706433", "0x7f.1", "hook.example", "localhost", "moving.example"];
    for (host, place) in reached.iter().zip(1..) {
        assert_eq!(attempt(&egress, &format!("http://{host}:{}/", target.port)).await, Ok(302), "{host}");
        assert_eq!(target.connections(), place, "{host}");
    }
    for host in ["10.0.0.1", "[::1]", "half.example", "moving.example"] {
        let outcome = attempt(&egress, &format!("http://{host}:{}/", target.port)).await;
        assert!(outcome.is_err_and(|text| text.contains("not ") && text.contains("public")), "{host}");
    }
    assert_eq!(target.connections(), reached.len());
}

#[test]
fn public_urls_pass_in_canonical_form() {
    for (text, canonical) in [
        ("https://example.org/hook", "https://example.org/hook"),
        ("http://93.184.215.14:8080/", "http://93.184.215.14:8080/"),
        ("HTTPS://Example.ORG:443/a b", "https://example.org/a%20b"),
        ("http://1.1.1.1\\@127.0.0.1/", "http://1.1.1.1/@127.0.0.1/"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
        ("http://172.32.0.1/", "http://172.32.0.1/"),
        ("http://mylocal/", "http://mylocal/"),
    ] {
        assert_eq!(EgressPolicy::default().check_url(text).unwrap().as_str(), canonical);
    }
    let long = format!("https://example.org/{}", "a".repeat(2048));
    assert!(EgressPolicy::default().check_url(&long[..2048]).is_ok());
    assert_eq!(EgressPolicy::default().check_url(&long), Err(EgressError::TooLong));
}

#[test]
fn the_setting_takes_ranges_and_addresses() {
    let policy: EgressPolicy = "10.0.0.0/8, ::ffff:192.168.0.0/112 fd00::/8,169.254.169.254".parse().unwrap();
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "192.168.0.9", "fd00::1", "169.254.169.254", "1.1.1.1"] {
        assert_eq!(policy.permits(address.parse().unwrap()), Ok(()), "{address}");
    }
    assert_eq!(policy.permits("192.168.1.9".parse().unwrap()), Err(Kind::Private));
    assert_eq!(policy.permits("::10.1.2.3".parse().unwrap()), Err(Kind::Tunnel));
    assert_eq!("10.0.0.0/8 intranet".parse::<EgressPolicy>(), Err(AllowError("intranet".to_owned())));
    assert_eq!("".parse::<EgressPolicy>(), Ok(EgressPolicy::default()));
}
