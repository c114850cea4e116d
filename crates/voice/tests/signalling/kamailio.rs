//! Kamailio as the trunk, over TLS, with registration and SHA-256 digests; behind it baresip as the phone.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::io::AsyncWriteExt as _;
use voice::{
    media::{self, Media, Options, Ports},
    sdp::{self, Codec, Local},
    sip::{
        Agent, Call, Callee, Cause, Credentials, Event, Invite, Register, Side, State, Transfer, Transport,
    },
};

use super::{LONG, assert_nothing_left, end, far_end::FarEnd, invite, next, trunk};

/// A program of the test's own, with the folder that it works in.
pub(super) struct Program {
    process: Child,
}

impl Program {
    pub(super) fn start(command: &mut Command, folder: &Path) -> Self {
        use std::os::unix::process::CommandExt;
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Kamailio forks: the group ends with the test.
        Self { process: quiet.current_dir(folder).process_group(0).spawn().unwrap() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        fixture::kill_group(self.process.id());
        let _ = self.process.wait();
    }
}

pub(super) fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("-h")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

pub(super) fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(super) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// Calls bob until he is registered, and returns the answered call with his description of the sound.
async fn call_bob(agent: &Agent, offer: &[u8]) -> (Call, Vec<u8>) {
    let bob = || Invite { callee: Callee::User("bob".to_owned()), offer: offer.to_vec(), ..invite() };
    tokio::time::timeout(LONG, async {
        loop {
            let mut call = agent.invite(bob()).unwrap();
            loop {
                match next(&mut call).await {
                    Event::Answered { sdp } => return (call, sdp),
                    Event::Ended(end) => {
                        assert_eq!(end.cause, Cause::Unreachable, "{}", end.words);
                        break;
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .expect("bob did not register")
}

#[tokio::test(flavor = "multi_thread")]
async fn we_register_call_and_transfer_through_kamailio_over_tls_with_sha_256() {
    for (program, package) in [("kamailio", "kamailio, kamailio-tls-modules"), ("baresip", "baresip-core")] {
        if !is_installed(program) {
            return fixture::missing(&format!("{program} is not installed (Debian: {package})"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let certified = rcgen::generate_simple_self_signed(["trunk.test".to_owned()]).unwrap();
    write(folder, "cert.pem", &certified.cert.pem());
    write(folder, "key.pem", &certified.signing_key.serialize_pem());
    let (plain, secure, phone) = (free(), free(), free());
    let config = include_str!("../kamailio/kamailio.cfg");
    let config =
        config.replace("TLS_PORT", &secure.port().to_string()).replace("PORT", &plain.port().to_string());
    write(folder, "kamailio.cfg", &config);
    let mut kamailio = Command::new("kamailio");
    kamailio.args(["-f", "kamailio.cfg", "-DD", "-E"]).arg("-Y").arg(folder).arg("-w").arg(folder);
    let _kamailio = Program::start(&mut kamailio, folder);
    let open = async {
        while tokio::net::TcpStream::connect(secure).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, open).await.expect("kamailio does not start");
    let config = include_str!("../kamailio/baresip.config").replace("PORT", &phone.port().to_string());
    let control = free();
    write(folder, "config", &format!("{config}module_app ctrl_tcp.so\nctrl_tcp_listen {control}\n"));
    let account = format!("<sip:bob@{plain}>;auth_user=bob;auth_pass=secret;answermode=auto;regint=60\n");
    write(folder, "accounts", &account);
    let _baresip = Program::start(Command::new("baresip").args(["-f", "."]), folder);

    let mut trunk = trunk(secure);
    trunk.host = "trunk.test".to_owned();
    trunk.domain = Some("trunk.test".to_owned());
    trunk.transport = Transport::Tls;
    trunk.tls_ca = Some(certified.cert.pem());
    trunk.register = Some(Register { expires: Duration::from_secs(300) });
    trunk.credentials = Some(Credentials { username: "alice".to_owned(), password: "secret".into() });
    trunk.keep_alive = Some(Duration::from_secs(30));
    let mut wrong = trunk.clone();
    wrong.credentials = Some(Credentials { username: "alice".to_owned(), password: "guess".into() });
    let agent = Agent::start_with(trunk, vec![secure]).await.unwrap();
    let mut state = agent.state();
    // Its socket is open before its children work.
    let reachable = tokio::time::timeout(LONG, state.wait_for(|state| *state == State::Reachable)).await;
    assert!(reachable.is_ok(), "{:?}", *agent.state().borrow());

    let refused = Agent::start_with(wrong, vec![secure]).await.unwrap();
    let mut state = refused.state();
    let known = state.wait_for(|state| *state != State::Starting).await.unwrap().clone();
    let State::Refused { code: 401, exchange, .. } = &known else { panic!("{known:?}") };
    let texts: Vec<&str> = exchange.messages.iter().map(|message| message.text.as_str()).collect();
    assert!(
        texts.len() >= 4 && texts.iter().any(|text| text.contains("Authorization: (removed)")),
        "{texts:?}"
    );
    assert!(!texts.iter().any(|text| text.contains("response=")), "{texts:?}");
    let mut call = refused.invite(invite()).unwrap();
    let (end_of, _) = end(&mut call).await;
    assert_eq!((end_of.cause, end_of.trunk, end_of.sip_code), (Cause::Failed, true, Some(407)));

    // The phone presses keys, as telephone events (RFC 4733).
    let (media, ports) = (Media::start(1).unwrap(), "33000-33098".parse::<Ports>().unwrap());
    let address = [127, 0, 0, 1].into();
    let mut session = media.open(&ports, Options { address, ..Options::default() }).unwrap();
    let local = Local { session: 7, version: 1, address: (address, session.port()).into() };
    let (mut call, answer) = call_bob(&agent, &sdp::offer(&local, &[Codec::Pcmu])).await;
    let sound = sdp::read_answer(&answer, &[Codec::Pcmu]).unwrap();
    assert!(sound.keys.is_some(), "telephone events were agreed");
    session.agree(sound).unwrap();
    let command = r#"{"command":"sndcode","params":"59"}"#;
    let mut console = tokio::net::TcpStream::connect(control).await.unwrap();
    console.write_all(format!("{}:{command},", command.len()).as_bytes()).await.unwrap();
    let pressed = async {
        let mut keys = String::new();
        while keys.len() < 2 {
            if let Some(media::Event::Key(key)) = session.event().await {
                keys.push(key);
            }
        }
        keys
    };
    assert_eq!(tokio::time::timeout(LONG, pressed).await.expect("no key came"), "59");
    call.hang_up();
    end(&mut call).await;

    // The far end transfers us to a third one, and hangs up.
    let third = FarEnd::new().await;
    let (mut call, _) = call_bob(&agent, &invite().offer).await;
    call.refer(&format!("sip:agents@{}", third.address())).unwrap();
    let heard = third.expect("INVITE").await;
    third.pick_up(&heard).await;
    third.expect("ACK").await;
    let mut steps = Vec::new();
    while steps.last() != Some(&Transfer::Done(200)) {
        if let Event::Transfer(step) = next(&mut call).await {
            steps.push(step);
        }
    }
    assert!(steps.contains(&Transfer::Accepted), "{steps:?}");
    call.hang_up();
    let (end_of, _) = end(&mut call).await;
    assert!(matches!(end_of.cause, Cause::Completed { by: Side::Us | Side::FarEnd }), "{end_of:?}");
    assert_nothing_left(&agent).await;
    agent.close().await;
}
