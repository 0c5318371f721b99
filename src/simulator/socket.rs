//! A simulated agent on a WebSocket.

use bytes::Bytes;

use super::agent::{Act, Happening};
use super::life::{Ended, Life, Order, Orders, next};
use super::link::{self, DEADLINE, LinkError};
use crate::http::websocket::{Incoming, Socket, SocketError};
use crate::opamp::frame::{self, Form};

/// Connects and talks until the connection ends.
pub(super) async fn session(life: &mut Life, orders: &mut Orders) -> Ended {
    // Boxed: what opening needs is not kept while the connection is used.
    let opening = Box::pin(open(life));
    let opened = tokio::select! {
        biased;
        order = next(orders) => return Ended::Ordered(order),
        opened = opening => opened,
    };
    let mut socket = match opened {
        Ok(socket) => socket,
        Err(error) => return Ended::Failed(error),
    };
    life.connected();
    let ended = talk(life, &mut socket, orders).await;
    match &ended {
        Ended::Ordered(Order::Stop { goodbye: true }) => say_goodbye(life, socket).await,
        Ended::Failed(_) => life.disconnected(),
        Ended::Ordered(_) | Ended::Away(_) => {}
    }
    ended
}

async fn open(life: &mut Life) -> Result<Socket, LinkError> {
    let world = std::sync::Arc::clone(&life.world);
    let Ok(_permit) = world.permits.acquire().await else {
        return Err(LinkError::TimedOut);
    };
    let credential = life.credential().await?;
    life.begins();
    link::open_socket(&world.target, life.source(), &credential).await
}

async fn talk(life: &mut Life, socket: &mut Socket, orders: &mut Orders) -> Ended {
    let mut acts = life.happens(Happening::Connected);
    loop {
        for act in acts {
            match act {
                Act::Send { message, kind } => {
                    life.sends(message.len(), kind);
                    let mut framed = frame::start(Form::Headed);
                    framed.extend(message);
                    if let Err(error) = socket.send_binary(Bytes::from(framed), DEADLINE).await {
                        return Ended::Failed(explain(error));
                    }
                }
                Act::Vanish(away) => return Ended::Away(away),
                Act::FallSilent => {
                    life.falls_silent();
                    return Ended::Ordered(next(orders).await);
                }
                Act::Note(_) => {}
            }
        }
        let time = life.world.time;
        acts = tokio::select! {
            biased;
            order = next(orders) => return Ended::Ordered(order),
            received = socket.recv() => match received {
                Ok(Some(Incoming::Binary(bytes))) => match hear(life, &bytes) {
                    Ok(acts) => acts,
                    Err(error) => return Ended::Failed(error),
                },
                Ok(Some(Incoming::Ping | Incoming::Pong | Incoming::Close(_))) => Vec::new(),
                Ok(Some(Incoming::Text)) => return Ended::Failed(LinkError::NotUnderstood),
                Ok(None) => return Ended::Failed(closed()),
                Err(error) => return Ended::Failed(explain(error)),
            },
            () = time.until(life.agent.due()) => life.happens(Happening::Time),
        };
    }
}

fn hear(life: &mut Life, bytes: &[u8]) -> Result<Vec<Act>, LinkError> {
    let (_, message) = frame::open(bytes).map_err(|_| LinkError::NotUnderstood)?;
    life.hears(message)
}

async fn say_goodbye(life: &mut Life, mut socket: Socket) {
    for act in life.happens(Happening::Leaving) {
        if let Act::Send { message, kind } = act {
            life.sends(message.len(), kind);
            let mut framed = frame::start(Form::Headed);
            framed.extend(message);
            // The server is told or not: the agent leaves.
            let _ = socket.send_binary(Bytes::from(framed), DEADLINE).await;
        }
    }
    socket.close(1000, "", std::time::Duration::from_secs(3)).await;
}

fn closed() -> LinkError {
    LinkError::Broken(std::io::ErrorKind::UnexpectedEof.into())
}

fn explain(error: SocketError) -> LinkError {
    match error {
        SocketError::Io(error) => LinkError::Broken(error),
        SocketError::TimedOut => LinkError::TimedOut,
        // Only servers have a budget, so there is always room here.
        SocketError::TooLarge | SocketError::Protocol(_) | SocketError::NoRoom => LinkError::NotUnderstood,
    }
}
