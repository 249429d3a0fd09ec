//! A registry in process that answers as a test wants: slowly, wrongly, endlessly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

type Answer = dyn Fn(&Asked, usize, &mut TcpStream) + Send + Sync;

/// Serves until the test ends.
pub struct Server {
    /// `127.0.0.1:PORT`
    pub host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Each request is answered by `answer`, which is told how many of its method and path came before.
    pub fn start(answer: impl Fn(&Asked, usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, all): (Arc<Answer>, _) = (Arc::new(answer), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, all) = (answer.clone(), all.clone());
                std::thread::spawn(move || serve(stream, &all, &*answer));
            }
        });
        Self { host, asked }
    }

    /// All that was asked so far, but what a TLS client says first.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.asked().iter().filter(|one| one.method == method && one.path.starts_with(path)).count()
    }
}

fn serve(mut stream: TcpStream, all: &Mutex<Vec<Asked>>, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(asked) = read(&mut reader) {
        let before = {
            let mut all = all.lock().unwrap();
            let before =
                all.iter().filter(|one| one.method == asked.method && one.path == asked.path).count();
            all.push(asked.clone());
            before
        };
        answer(&asked, before, &mut stream);
        if asked.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            return;
        }
    }
}

/// None at the end of the connection, or of what is no HTTP.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, path, headers, body: Vec::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    asked.body = vec![0; length];
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}

/// A whole answer.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    head(stream, status, headers, Some(body.len()));
    let _ = stream.write_all(body);
}

/// Only its head.
pub fn head(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], length: Option<usize>) {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    length.iter().for_each(|length| text += &format!("Content-Length: {length}\r\n"));
    let _ = stream.write_all((text + "\r\n").as_bytes());
}

/// Nothing more comes, and the connection stays.
pub fn stall() {
    std::thread::sleep(Duration::from_secs(60));
}

/// Ends the connection in both directions.
pub fn cut(stream: &TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Both);
}
