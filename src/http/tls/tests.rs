use std::time::Duration;

use proptest::prelude::*;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client};

use super::*;

const SOON: Duration = Duration::from_secs(10);

type Near = TlsStream<DuplexStream>;
type Far = client::TlsStream<DuplexStream>;

/// Both sides' settings, for one version of TLS.
fn settings(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    // A client that only waits for the handshake wouldn't take them out of a narrow pipe.
    server.send_tls13_tickets = 0;
    let mut roots = RootCertStore::empty();
    roots.add(der).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Two ends of a connection through a pipe that holds `pipe` bytes.
async fn connected(version: &'static SupportedProtocolVersion, pipe: usize) -> (Near, Far) {
    let (server, client) = settings(version);
    let (near, far) = duplex(pipe);
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(client);
    let (near, far) = tokio::join!(TlsStream::accept(near, server), connector.connect(name, far));
    (near.unwrap(), far.unwrap())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { timeout(SOON, future).await }).unwrap()
}

fn no_memory(stream: &Near) -> bool {
    let vectors = [&stream.incoming, &stream.plain.bytes, &stream.outgoing.bytes];
    vectors.iter().all(|bytes| bytes.capacity() == 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the size of the pipe and of the pieces, both sides get what the other sent, and silence costs nothing.
    #[test]
    fn bytes_arrive_both_ways_and_silence_holds_no_buffer(
        older in any::<bool>(),
        pipe in prop_oneof![Just(50_usize), Just(4096), Just(1 << 20)],
        sent in prop::collection::vec(prop_oneof![0..3_usize, 100..200_usize, 16_000..17_000_usize, Just(40_000)], 1..5),
    ) {
        let version = if older { &version::TLS12 } else { &version::TLS13 };
        run(async {
            let (mut near, mut far) = connected(version, pipe).await;
            prop_assert!(no_memory(&near));
            for length in sent {
                let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
                let ours = async {
                    let mut received = vec![0; length];
                    near.read_exact(&mut received).await.unwrap();
                    near.write_all(&received).await.unwrap();
                    near.flush().await.unwrap();
                    received
                };
                let theirs = async {
                    let (mut read, mut write) = tokio::io::split(&mut far);
                    write.write_all(&content).await.unwrap();
                    write.flush().await.unwrap();
                    let mut echoed = vec![0; length];
                    read.read_exact(&mut echoed).await.unwrap();
                    echoed
                };
                let (received, echoed) = tokio::join!(ours, theirs);
                prop_assert_eq!(&received, &content);
                prop_assert_eq!(&echoed, &content);
                prop_assert!(no_memory(&near));
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_goodbye_is_an_end_and_a_cut_is_an_error() {
    run(async {
        let (mut near, mut far) = connected(&version::TLS13, 4096).await;
        far.write_all(b"last words").await.unwrap();
        far.shutdown().await.unwrap();
        let mut said = Vec::new();
        near.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"last words");
        near.write_all(b"heard").await.unwrap();
        near.shutdown().await.unwrap();
        said.clear();
        far.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"heard");

        let (mut near, far) = connected(&version::TLS13, 4096).await;
        drop(far);
        let cut = near.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn new_keys_of_the_peer_are_followed_and_answered() {
    run(async {
        let (mut near, mut far) = connected(&version::TLS13, 4096).await;
        for _ in 0..3 {
            far.get_mut().1.refresh_traffic_keys().unwrap();
            far.write_all(b"under new keys").await.unwrap();
            let mut received = [0; 14];
            near.read_exact(&mut received).await.unwrap();
            near.write_all(&received).await.unwrap();
            far.read_exact(&mut received).await.unwrap();
            assert_eq!(&received, b"under new keys");
        }
        assert!(no_memory(&near));
    });
}

#[test]
fn who_speaks_no_version_of_ours_is_told_so_and_what_was_tampered_with_is_refused() {
    run(async {
        let ((server, _), (_, client)) = (settings(&version::TLS13), settings(&version::TLS12));
        let (near, far) = duplex(4096);
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(client);
        let (ours, theirs) = tokio::join!(TlsStream::accept(near, server), connector.connect(name, far));
        assert_eq!(ours.map(|_| ()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let told = theirs.map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("alert"), "{told}");

        let (server, _) = settings(&version::TLS13);
        let (near, mut far) = duplex(4096);
        far.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
        let refused = TlsStream::accept(near, server).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);

        let (mut near, far) = connected(&version::TLS13, 4096).await;
        let (mut raw, _) = far.into_inner();
        raw.write_all(b"\x17\x03\x03\x00\x14these are not secret!")
            .await
            .unwrap();
        let refused = near.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    });
}

#[test]
fn a_peer_that_leaves_in_the_middle_of_the_handshake_is_noticed() {
    run(async {
        let (server, _) = settings(&version::TLS13);
        let (near, mut far) = duplex(4096);
        far.write_all(b"\x16\x03\x01\x01").await.unwrap();
        drop(far);
        let gone = TlsStream::accept(near, server).await.map(|_| ()).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::UnexpectedEof);
    });
}
