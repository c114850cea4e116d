//! A trunk over TLS: the certificate must be of the authority that the route names, for the name that it names.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};
use voice::sip::{Agent, Cause, State, Transport};

use super::{assert_nothing_left, end, far_end::Heard, invite, trunk};

/// A far end with a certificate for this name, as PEM, that refuses its first call by 486. Its task returns the
/// methods that it heard.
async fn far_end(name: &str) -> (SocketAddr, String, JoinHandle<Vec<String>>) {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut stream = loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                break stream;
            }
        };
        let (mut text, mut heard) = (String::new(), Vec::new());
        loop {
            let mut buffer = vec![0; 4_096];
            let length = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            while let Some(message) = whole(&mut text) {
                let message = Heard { text: message, from: address };
                heard.push(message.what().to_owned());
                if message.what() == "ACK" {
                    return heard;
                }
                assert!(message.header("Via").starts_with("SIP/2.0/TLS"), "{}", message.text);
                assert!(message.header("Contact").contains("transport=TLS"), "{}", message.text);
                let answer = format!(
                    "SIP/2.0 486 Busy Here\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=far\r\nCall-ID: {}\r\nCSeq: {}\r\n\
                     Content-Length: 0\r\n\r\n",
                    message.header("Via"),
                    message.header("From"),
                    message.header("To"),
                    message.header("Call-ID"),
                    message.header("CSeq"),
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (address, certified.cert.pem(), heard)
}

/// Takes the first message off the text where it is there as a whole.
fn whole(text: &mut String) -> Option<String> {
    let head = text.find("\r\n\r\n")? + 4;
    let message = Heard { text: text[..head].to_owned(), from: ([0; 4], 0).into() };
    let length = head + message.header("Content-Length").parse::<usize>().unwrap();
    (text.len() >= length).then(|| text.drain(..length).collect())
}

async fn agent(address: SocketAddr, ca: &str) -> Agent {
    let mut trunk = trunk(address);
    trunk.host = "trunk.example".to_owned();
    trunk.transport = Transport::Tls;
    trunk.tls_ca = Some(ca.to_owned());
    trunk.keep_alive = Some(Duration::from_secs(30));
    Agent::start_with(trunk, vec![address]).await.unwrap()
}

#[tokio::test]
async fn a_call_goes_over_tls_with_the_routes_authority() {
    let (address, ca, heard) = far_end("trunk.example").await;
    let agent = agent(address, &ca).await;
    agent.state().wait_for(|state| *state == State::Reachable).await.unwrap();
    let mut call = agent.invite(invite()).unwrap();
    let (end, _) = end(&mut call).await;
    assert_eq!(end.cause, Cause::Busy, "{}", end.words);
    assert_eq!(heard.await.unwrap(), ["OPTIONS", "INVITE", "ACK"]);
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_strange_certificate_is_refused_with_its_reason() {
    let other = rcgen::generate_simple_self_signed(["trunk.example".to_owned()]).unwrap().cert.pem();
    for (name, ca) in [("trunk.example", Some(other)), ("another.example", None)] {
        let (address, own, heard) = far_end(name).await;
        let agent = agent(address, ca.as_deref().unwrap_or(&own)).await;
        let mut state = agent.state();
        let known = state.wait_for(|state| *state != State::Starting).await.unwrap().clone();
        let State::Unreachable(words) = known else { panic!("{known:?}") };
        assert!(words.contains("certificate"), "{words}");
        let mut call = agent.invite(invite()).unwrap();
        let (end, _) = end(&mut call).await;
        assert_eq!((end.cause, end.trunk), (Cause::Failed, true));
        assert!(end.words.contains("certificate"), "{}", end.words);
        heard.abort();
    }
}
