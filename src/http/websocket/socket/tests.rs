use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, duplex};

const SOON: Duration = Duration::from_secs(5);

/// A frame, made by hand: `first` is the byte of FIN, reserved bits and opcode.
pub(in super::super) fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mut bytes = vec![first];
    let mask_bit = if masked { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => bytes.push(u8::try_from(short).unwrap() | mask_bit),
        medium @ 126..65_536 => {
            bytes.push(0x7e | mask_bit);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x7f | mask_bit);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = if masked { [3, 141, 59, 26] } else { [0; 4] };
    if masked {
        bytes.extend(mask);
    }
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// A server's socket that gets exactly these bytes, and then silence.
async fn given(bytes: &[u8]) -> (Socket<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
    let (near, mut far) = duplex(1 << 20);
    far.write_all(bytes).await.unwrap();
    (Socket::server(near, &[], Settings::default()), far)
}

/// One message as the peer cuts it: content, cuts, and whether a ping goes ahead of each piece.
fn sent_message() -> impl Strategy<Value = (Vec<u8>, Vec<usize>, bool)> {
    let length = prop_oneof![
        0..4_usize,
        120..130_usize,
        1000..1100_usize,
        65_530..65_540_usize,
        0..40_000_usize
    ];
    let content = (length, any::<u8>()).prop_map(|(length, seed)| {
        (0..length)
            .map(|at| u8::try_from(at % 251).unwrap() ^ seed)
            .collect()
    });
    (
        content,
        prop::collection::vec(0..70_000_usize, 0..3),
        any::<bool>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Fragments, pings between them, frames back to back, reads of any size, and new buffers after every message.
    #[test]
    fn no_byte_is_lost_however_messages_are_cut(
        messages in prop::collection::vec(sent_message(), 1..8),
        pipe in prop_oneof![Just(1_usize), Just(7), Just(64), Just(1500), Just(65_536)],
        read_buffer in prop_oneof![Just(16_usize), Just(1024)],
        early in 0..2000_usize,
    ) {
        let mut wire = Vec::new();
        let mut pings = 0;
        for (content, cuts, pinged) in &messages {
            let mut cuts: Vec<usize> = cuts.iter().copied().filter(|cut| *cut < content.len()).collect();
            cuts.sort_unstable();
            cuts.push(content.len());
            let mut start = 0;
            for (at, cut) in cuts.iter().enumerate() {
                if *pinged {
                    wire.extend(frame(0x89, b"hi", true));
                    pings += 1;
                }
                let opcode = if at == 0 { 2 } else { 0 };
                let last = if at + 1 == cuts.len() { 0x80 } else { 0 };
                wire.extend(frame(opcode | last, &content[start..*cut], true));
                start = *cut;
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (near, far) = duplex(pipe);
            let (early, late) = wire.split_at(early.min(wire.len()));
            let settings = Settings { read_buffer, ..Settings::default() };
            let mut socket = Socket::server(near, early, settings);
            let (mut answers, mut questions) = tokio::io::split(far);
            let send = async {
                questions.write_all(late).await.unwrap();
                questions.shutdown().await.unwrap();
            };
            let drain = async {
                let mut pongs = Vec::new();
                let _ = answers.read_to_end(&mut pongs).await;
                pongs
            };
            let receive = async {
                let (mut got, mut pinged) = (Vec::new(), 0);
                loop {
                    match socket.recv().await {
                        Ok(Some(Incoming::Binary(bytes))) => got.push(bytes),
                        Ok(Some(Incoming::Ping)) => pinged += 1,
                        Err(SocketError::Io(_)) => break,
                        other => panic!("{other:?}"),
                    }
                }
                drop(socket);
                (got, pinged)
            };
            let ((), _, (got, pinged)) = tokio::join!(send, drain, receive);
            prop_assert_eq!(pinged, pings);
            prop_assert_eq!(got.len(), messages.len());
            for (got, (sent, ..)) in got.iter().zip(&messages) {
                prop_assert!(got == sent);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_are_read_without_failing(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut socket, far) = given(&bytes).await;
            drop(far);
            while let Ok(Some(_)) = socket.recv().await {}
        });
    }
}

#[tokio::test]
async fn memory_is_given_back_after_a_large_message_either_way() {
    let (mut socket, far) = given(&frame(0x82, &vec![7; 50_000], true)).await;
    assert!(matches!(socket.recv().await, Ok(Some(Incoming::Binary(bytes))) if bytes.len() == 50_000));
    assert_eq!(
        (socket.gate.largest(), socket.largest_sent),
        (0, 0),
        "new buffers at once"
    );
    socket.send_binary(vec![1; 60_000].into(), SOON).await.unwrap();
    assert_eq!(socket.largest_sent, 60_000);
    let _ = timeout(Duration::from_millis(10), socket.recv()).await;
    assert_eq!(socket.largest_sent, 0, "new buffers at the next read");
    drop(far);
}

#[tokio::test]
async fn what_a_peer_does_wrong_has_its_code() {
    let mut claimed = vec![0x82, 0xff];
    claimed.extend((1_u64 << 62).to_be_bytes());
    claimed.extend([0; 4]);
    let limit = Settings::default().max_message;
    let half = vec![0; limit / 2 + 1];
    let fragments = [frame(0x02, &half, true), frame(0x80, &half, true)].concat();
    for (bytes, code) in [
        (claimed, 1009),
        (fragments, 1009),
        (frame(0x82, b"unmasked", false), 1002),
        (frame(0xc2, b"reserved", true), 1002),
        (frame(0x80, b"continues nothing", true), 1002),
        (frame(0x83, b"unknown", true), 1002),
        (frame(0x09, b"fragmented ping", true), 1002),
    ] {
        let (near, mut far) = duplex(64 * 1024);
        let mut socket = Socket::server(near, &bytes, Settings::default());
        let error = loop {
            if let Err(error) = socket.recv().await {
                break error;
            }
        };
        assert_eq!(error.close_code(), Some(code), "{error}");
        let read = async {
            let mut head = [0; 4];
            far.read_exact(&mut head).await.unwrap();
            drop(far);
            head
        };
        let (head, ()) = tokio::join!(read, socket.close_for(&error, SOON));
        assert_eq!((head[0], u16::from_be_bytes([head[2], head[3]])), (0x88, code));
    }
}

#[tokio::test]
async fn a_message_that_never_ends_runs_into_its_deadline() {
    for start in [&[0x82][..], &frame(0x02, b"and then", true), &[0x82, 0xff, 0]] {
        let (near, mut far) = duplex(1024);
        far.write_all(start).await.unwrap();
        let settings = Settings {
            message_deadline: Duration::from_millis(20),
            ..Settings::default()
        };
        let mut socket = Socket::server(near, &[], settings);
        assert!(matches!(socket.recv().await, Err(SocketError::TimedOut)));
    }
}

#[tokio::test]
async fn a_peer_that_never_reads_is_given_up() {
    let (near, _far) = duplex(16);
    let mut socket = Socket::server(near, &[], Settings::default());
    let short = Duration::from_millis(20);
    let sent = socket.send_binary(vec![0; 1000].into(), short).await;
    assert!(matches!(sent, Err(SocketError::TimedOut)));
    let too_large = vec![0; Settings::default().max_write_buffer + 1];
    let sent = socket.send_binary(too_large.into(), short).await;
    assert!(matches!(sent, Err(SocketError::TooLarge)));
}

#[tokio::test]
async fn both_sides_talk_and_part_in_good_order() {
    let (near, far) = duplex(100);
    let mut server = Socket::server(near, &[], Settings::default());
    let mut client = Socket::client(far, &[], Settings::default());
    let serve = async move {
        let mut seen = Vec::new();
        while let Some(incoming) = server.recv().await.unwrap() {
            if let Incoming::Binary(bytes) = &incoming {
                server.send_binary(bytes.clone(), SOON).await.unwrap();
            }
            seen.push(incoming);
        }
        seen
    };
    let talk = async {
        client.ping(SOON).await.unwrap();
        client
            .send_binary(Bytes::from(vec![5; 5000]), SOON)
            .await
            .unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(Incoming::Pong));
        assert_eq!(
            client.recv().await.unwrap(),
            Some(Incoming::Binary(vec![5; 5000].into()))
        );
        client.close(1000, &"é".repeat(100), SOON).await;
    };
    let (seen, ()) = tokio::join!(serve, talk);
    assert_eq!(seen.len(), 3);
    assert_eq!(
        (&seen[0], &seen[2]),
        (&Incoming::Ping, &Incoming::Close(Some(1000)))
    );
}

#[tokio::test]
async fn text_is_told_whatever_is_in_it() {
    let bytes = [
        frame(0x81, b"hello", true),
        frame(0x81, &[0xff], true),
        frame(0x82, b"", true),
    ]
    .concat();
    let (mut socket, _far) = given(&bytes).await;
    assert_eq!(socket.recv().await.unwrap(), Some(Incoming::Text));
    assert_eq!(socket.recv().await.unwrap(), Some(Incoming::Text));
    assert_eq!(socket.recv().await.unwrap(), Some(Incoming::Binary(Bytes::new())));
}
