use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

mod forbidden;
use forbidden::FORBIDDEN;

/// Answers lookups from a script: each answer once, the last one repeatedly. Any other name resolves to 127.0.0.1, which is
/// the worst case.
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
                let _ =
                    stream.write_all(format!("{head}content-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The outcome of an attempt: the status of the response, or the reason of the refusal.
async fn attempt(egress: &Egress, url: &str) -> Result<u16, String> {
    let request = egress.post(url).map_err(|error| error.to_string())?;
    match request.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(refusal(&error).map_or_else(|| format!("not refused: {error:?}"), EgressError::to_string)),
    }
}

#[tokio::test]
async fn no_forbidden_address_is_connected_to() {
    let target = Target::start().await;
    let script = Script::new(&[
        ("half.example", &["93.184.215.14 10.0.0.1"]),
        ("half6.example", &["2606:2800:21f:cb07:6820:80da:af6b:8b2c ::1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::7f00:1"]),
        ("rebind.example", &["93.184.215.14", "127.0.0.1"]),
        ("empty.example", &[""]),
    ]);
    // At submission the name resolves to a public address. What counts is the answer at the time of connecting.
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
async fn allowed_addresses_are_reached_and_redirects_are_not_followed() {
    let target = Target::start().await;
    let script =
        Script::new(&[("moving.example", &["127.0.0.1", "10.0.0.1"]), ("half.example", &["127.0.0.1 10.0.0.1"])]);
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
        ("http://example.org:1024/", "http://example.org:1024/"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("http://mylocal/", "http://mylocal/"),
    ] {
        assert_eq!(EgressPolicy::default().check_url(text).unwrap().as_str(), canonical);
    }
    let long = format!("https://example.org/{}", "a".repeat(2048));
    assert!(EgressPolicy::default().check_url(&long[..2048]).is_ok());
    assert_eq!(EgressPolicy::default().check_url(&long), Err(EgressError::TooLong));
}

#[test]
fn own_addresses_are_refused_however_public_and_none_means_none() {
    let own: IpAddr = "93.184.215.14".parse().unwrap();
    let policy = EgressPolicy::default().refusing(Own::These(vec![own]));
    let refusal = policy.check_url("http://93.184.215.14/").unwrap_err().to_string();
    assert_eq!(refusal, "93.184.215.14 is not a public address (this machine)");
    assert_eq!(policy.permits("::ffff:93.184.215.14".parse().unwrap()), Err(AddressKind::Own));
    assert_eq!(policy.permits("93.184.215.15".parse().unwrap()), Ok(()));
    let open: EgressPolicy = "93.184.215.0/24".parse().unwrap();
    assert_eq!(open.refusing(Own::These(vec![own])).permits(own), Ok(()));
    let closed: EgressPolicy = " none".parse().unwrap();
    assert_eq!(closed.check_url("https://example.org/"), Err(EgressError::Closed));
    assert!(closed.permits(own).is_err());
}

#[test]
fn the_setting_takes_ranges_and_addresses() {
    let policy: EgressPolicy = "10.0.0.0/8, ::ffff:192.168.0.0/120 fd00::/8,169.254.169.254".parse().unwrap();
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "192.168.0.9", "fd00::1", "169.254.169.254", "1.1.1.1"] {
        assert_eq!(policy.permits(address.parse().unwrap()), Ok(()), "{address}");
    }
    assert_eq!(policy.permits("192.168.1.9".parse().unwrap()), Err(AddressKind::Private));
    assert_eq!(policy.permits("::10.1.2.3".parse().unwrap()), Err(AddressKind::Tunnel));
    assert_eq!("10.0.0.0/8 intranet".parse::<EgressPolicy>(), Err(policy::AllowError("intranet".to_owned())));
    assert_eq!("".parse::<EgressPolicy>(), Ok(EgressPolicy::default()));
}
