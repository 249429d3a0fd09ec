use super::*;
use simple_dns::ResourceRecord;
use simple_dns::rdata::{A, CNAME};

#[test]
fn resolv_conf_is_read_as_the_resolver_does() {
    let text = "# c\nnameserver 10.0.0.1\nnameserver fe80::1%2\nsearch a.example b.example.\noptions ndots:2 timeout:1 attempts:9 rotate\n";
    let conf = Conf::parse(text);
    assert_eq!(conf.servers[0], "10.0.0.1:53".parse().unwrap());
    assert_eq!(conf.servers[1].to_string(), "[fe80::1%2]:53");
    assert_eq!((conf.ndots, conf.timeout, conf.attempts), (2, Duration::from_secs(1), 5));
    assert_eq!(conf.candidates("r"), ["r.a.example", "r.b.example", "r"]);
    assert_eq!(conf.candidates("r.x.y"), ["r.x.y", "r.x.y.a.example", "r.x.y.b.example"]);
    assert_eq!(conf.candidates("r."), ["r"]);
    assert_eq!(Conf::parse("").servers, ["127.0.0.1:53".parse().unwrap()]);
}

#[test]
fn hosts_come_before_servers() {
    let text = "127.0.0.1 localhost\n10.1.1.1 reg.example reg # the registry\nfd00::1 REG.example\n";
    assert_eq!(in_hosts(text, "reg.example").len(), 2);
    assert_eq!(in_hosts(text, "registry"), Vec::<IpAddr>::new());
}

/// A server on a loopback address that answers each question with what `answer` makes of it.
fn serve(answer: impl Fn(&Packet<'_>) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let question = Packet::parse(&buffer[..length]).unwrap();
            for bytes in answer(&question) {
                socket.send_to(&bytes, from).unwrap();
            }
        }
    });
    address
}

fn reply(question: &Packet<'_>, records: Vec<ResourceRecord<'_>>) -> Vec<u8> {
    let mut reply = Packet::new_reply(question.id());
    reply.questions = question.questions.clone();
    reply.answers = records;
    reply.build_bytes_vec().unwrap()
}

fn conf(server: SocketAddr) -> Conf {
    Conf {
        servers: vec![server],
        search: Vec::new(),
        ndots: 1,
        timeout: Duration::from_millis(300),
        attempts: 1,
    }
}

fn is_a(question: &Packet<'_>) -> bool {
    question.questions[0].qtype == QTYPE::TYPE(TYPE::A)
}

fn alias<'a>(from: &'a str, to: &'a str) -> ResourceRecord<'a> {
    let target = RData::CNAME(CNAME(Name::new_unchecked(to)));
    ResourceRecord::new(Name::new_unchecked(from), CLASS::IN, 60, target)
}

#[test]
fn aliases_are_followed_to_their_address() {
    let server = serve(|question| {
        let address = RData::A(A { address: Ipv4Addr::new(10, 2, 3, 4).to_bits() });
        let last = ResourceRecord::new(Name::new_unchecked("c.example"), CLASS::IN, 60, address);
        let records = vec![last, alias("A.example", "b.example"), alias("b.example", "c.example")];
        vec![reply(question, if is_a(question) { records } else { Vec::new() })]
    });
    let found = conf(server).ask("a.example", None).unwrap();
    assert_eq!(found, ["10.2.3.4".parse::<IpAddr>().unwrap()]);
}

#[test]
fn answers_to_other_questions_are_not_heard() {
    let server = serve(|question| {
        let forged = |id| {
            let address = RData::A(A { address: Ipv4Addr::new(6, 6, 6, 6).to_bits() });
            let mut packet = Packet::new_reply(id);
            packet.questions = question.questions.clone();
            packet.answers =
                vec![ResourceRecord::new(Name::new_unchecked("a.example"), CLASS::IN, 60, address)];
            packet.build_bytes_vec().unwrap()
        };
        vec![forged(question.id().wrapping_add(1)), b"garbage".to_vec(), reply(question, Vec::new())]
    });
    assert_eq!(conf(server).ask("a.example", None).unwrap(), Vec::<IpAddr>::new());
}

#[test]
fn silence_and_loops_end() {
    let silent = serve(|_| Vec::new());
    let begun = Instant::now();
    let Err(Failure::NoAnswer(why)) = conf(silent).ask("a.example", None) else { panic!("it answers") };
    assert!(why.contains("timed out") && begun.elapsed() < Duration::from_secs(5), "{why}");
    let loops = serve(|question| {
        vec![reply(question, vec![alias("a.example", "b.example"), alias("b.example", "a.example")])]
    });
    let Err(Failure::NoAnswer(why)) = conf(loops).ask("a.example", None) else { panic!("it ends") };
    assert!(why.contains("leads to itself"), "{why}");
}
