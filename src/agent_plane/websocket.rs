//! OpAMP over a WebSocket: one task owns the socket for reading and writing, and waits for a message, a nudge, a deadline
//! or the end.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::AgentPlane;
use super::entry::{Heard, TurnedAway, spread_wait};
use super::polling::kind;
use crate::app::connections::{CloseReason, Link, Wake};
use crate::app::exchange::{Message, Spoken};
use crate::app::identities::Speaker;
use crate::fleet::ids::AgentId;
use crate::http::websocket::{self, Incoming, Socket, SocketError};
use crate::http::{Problem, Request, Response};
use crate::opamp::{Echo, frame};

/// How often in a row a peer may send what can't be read.
const GARBAGE_BORNE: u32 = 8;
/// How long closing may take.
const CLOSING: Duration = Duration::from_secs(5);
/// How long a peer may take for what it is sent while somebody waits.
const HURRIED: Duration = Duration::from_millis(500);
/// Within what time a stop closes all connections: spread out, so that they don't come back as one wave.
const STOP_SPREAD_MS: u64 = 3_000;

/// Why a conversation ended, and the code to close with.
struct End {
    code: Option<u16>,
    reason: &'static str,
}

impl End {
    const REVOKED: Self = Self {
        code: Some(1008),
        reason: "its credential is not accepted any more",
    };
}

/// A conversation's state between messages: small, for there are many. What a rare message needs more is boxed while it
/// lasts, because a task is as big as the biggest future that it ever awaits.
struct Conversation {
    plane: Arc<AgentPlane>,
    speaker: Speaker,
    link: Arc<Link>,
    socket: Socket,
    form: frame::Form,
    /// Runs out unless a first message comes; pings don't stop it.
    first_message: Option<Pin<Box<Sleep>>>,
    unanswered_pings: u8,
    garbage: u32,
}

/// Closes the link however its conversation ends: an agent whose task panicked isn't there any more.
struct Ending {
    plane: Arc<AgentPlane>,
    link: Arc<Link>,
    reason: &'static str,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.plane.app.close_link(&self.link, self.reason);
    }
}

impl AgentPlane {
    /// Upgrades a request of an accepted credential, and starts its conversation. Whoever is refused is refused before
    /// the upgrade (S-008).
    pub(super) fn connect(
        self: &Arc<Self>,
        mut request: Request,
        address: Option<IpAddr>,
    ) -> Result<Response, Problem> {
        let speaker = self.authenticate(&request, address)?;
        if self.stop.is_cancelled() {
            let why = "the server is stopping; come back later";
            let problem = Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, "stopping", why);
            return Err(problem.retry_after(spread_wait()));
        }
        if self.app.has_too_many_links(&speaker, 1) {
            let why = "the agent's credential has too many connections; close some, or wait until they are noticed as dead";
            let problem = Problem::new(http::StatusCode::TOO_MANY_REQUESTS, "too_many_connections", why);
            return Err(problem.retry_after(spread_wait()));
        }
        let (response, upgrade) = websocket::accept(&mut request)?;
        let plane = Arc::clone(self);
        let settings = websocket::Settings {
            max_message: self.settings.message.bytes,
            message_deadline: self.settings.body_deadline,
            ..websocket::Settings::default()
        };
        self.tracker.spawn(async move {
            match websocket::upgraded(upgrade, settings).await {
                // A task of its own, without what the upgrade needed.
                Ok(socket) => {
                    let socket = socket.within(Arc::clone(&plane.budget));
                    let tracker = plane.tracker.clone();
                    tracker.spawn(Conversation::new(plane, speaker, socket).hold());
                }
                Err(error) => tracing::debug!(error = %error, "a WebSocket ended before it began"),
            }
        });
        Ok(response)
    }
}

impl Conversation {
    fn new(plane: Arc<AgentPlane>, speaker: Speaker, socket: Socket) -> Box<Self> {
        Box::new(Self {
            link: plane.app.open_link(&speaker),
            speaker,
            socket,
            form: frame::Form::default(),
            first_message: Some(Box::pin(sleep(plane.settings.first_message_deadline))),
            unanswered_pings: 0,
            garbage: 0,
            plane,
        })
    }

    async fn hold(mut self: Box<Self>) {
        let mut ending = Ending {
            plane: Arc::clone(&self.plane),
            link: Arc::clone(&self.link),
            reason: "its connection failed inside",
        };
        // A revocation during the upgrade found no link to close.
        let end = if !self.plane.app.is_accepted(self.link.credential) {
            End::REVOKED
        } else if self.plane.app.has_too_many_links(&self.speaker, 0) {
            End {
                code: Some(1013),
                reason: "its credential has too many connections",
            }
        } else {
            self.run().await
        };
        ending.reason = end.reason;
        drop(ending);
        if let Some(code) = end.code {
            Box::pin(self.socket.close(code, end.reason, CLOSING)).await;
        }
    }

    async fn run(&mut self) -> End {
        let plane = Arc::clone(&self.plane);
        // Made once: they cost more to begin than to wait for.
        let mut stopping = pin!(plane.stop.cancelled());
        let mut silence = pin!(sleep(plane.settings.ping));
        let mut heard = Instant::now();
        loop {
            let end = tokio::select! {
                biased;
                () = &mut stopping => {
                    sleep(Duration::from_millis(fastrand::u64(0..STOP_SPREAD_MS))).await;
                    Some(End { code: Some(1012), reason: "the server stops" })
                }
                wake = self.link.woken() => Box::pin(self.woken(wake)).await,
                () = run_out(&mut self.first_message) => Some(End {
                    code: Some(1008),
                    reason: "it never sent a message",
                }),
                incoming = self.socket.recv() => {
                    heard = Instant::now();
                    self.received(incoming).await
                }
                () = &mut silence => {
                    let due = heard + plane.settings.ping;
                    if due > Instant::now() {
                        silence.as_mut().reset(due);
                        None
                    } else {
                        silence.as_mut().reset(Instant::now() + plane.settings.ping);
                        self.silent().await
                    }
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn received(&mut self, incoming: Result<Option<Incoming>, SocketError>) -> Option<End> {
        self.unanswered_pings = 0;
        match incoming {
            Ok(Some(Incoming::Binary(message))) => self.hear(&message).await,
            Ok(Some(Incoming::Text)) => Some(End {
                code: Some(1003),
                reason: "OpAMP messages are binary",
            }),
            Ok(Some(Incoming::Ping | Incoming::Pong)) => None,
            Ok(Some(Incoming::Close { .. })) => Some(End {
                code: Some(1000),
                reason: "it closed the connection",
            }),
            Ok(None) => Some(End {
                code: None,
                reason: "the connection ended",
            }),
            Err(error) => {
                tracing::debug!(error = %error, "a WebSocket can't go on");
                let reason = match &error {
                    SocketError::TooLarge => "its message was larger than allowed",
                    SocketError::Protocol(_) => "it broke the WebSocket protocol",
                    SocketError::TimedOut => "its message took too long",
                    SocketError::NoRoom => {
                        self.count_no_room();
                        "too many large messages were being read"
                    }
                    SocketError::Io(_) => "the connection broke",
                };
                Some(End {
                    code: error.close_code(),
                    reason,
                })
            }
        }
    }

    /// One message: its answer goes out before the next is read, so answers keep their order.
    async fn hear(&mut self, message: &Bytes) -> Option<End> {
        let read = frame::open(message)
            .map_err(TurnedAway::from)
            .and_then(|(form, bytes)| self.plane.read(&self.speaker, bytes).map(|heard| (form, heard)));
        let (
            form,
            Heard {
                echo,
                message,
                share: _read,
            },
        ) = match read {
            Ok(read) => read,
            Err(turned) => return Box::pin(self.turn_away(turned)).await,
        };
        self.form = form;
        self.first_message = None;
        self.garbage = 0;
        self.plane.app.metrics.messages_received.inc(kind(&message));
        let at_once = match &message {
            Message::Heartbeat(beat) => self.plane.app.beat(&self.speaker, &self.link, *beat),
            Message::Report(_) => None,
        };
        match at_once {
            Some(spoken) => {
                let answer = self.answer(&echo, &spoken);
                self.send(answer).await
            }
            None => Box::pin(self.exchange(echo, message)).await,
        }
    }

    fn count_no_room(&self) {
        let refused = &self.plane.app.metrics.refused;
        refused.inc(crate::observability::metrics::RefusalReason::InFlight);
    }

    /// Answers what can't be read or isn't allowed.
    async fn turn_away(&mut self, turned: TurnedAway) -> Option<End> {
        if turned.no_room {
            self.count_no_room();
        }
        let plane = &self.plane;
        plane
            .app
            .metrics
            .messages_received
            .inc(crate::observability::metrics::MessageKind::Invalid);
        self.garbage += u32::from(turned.unreadable);
        let answer = plane.offers.write(
            frame::start(self.form),
            turned.echo.as_bytes(),
            &turned.reply,
            plane.settings.message.bytes,
        );
        let sent = self.send(answer).await;
        if self.garbage > GARBAGE_BORNE {
            return Some(End {
                code: Some(1008),
                reason: "it keeps sending what can't be read",
            });
        }
        sent
    }

    async fn exchange(&mut self, echo: Echo, message: Message) -> Option<End> {
        let app = Arc::clone(&self.plane.app);
        let spoken = app.exchange(&self.speaker, Some(&self.link), message).await;
        let answer = self.answer(&echo, &spoken);
        let Spoken {
            again, agent, turn, ..
        } = spoken;
        let sent = self.send(answer).await;
        drop(turn);
        if let (None, true, Some(agent)) = (&sent, again, agent) {
            return self.tell(agent).await;
        }
        sent
    }

    fn answer(&self, echo: &Echo, spoken: &Spoken) -> Vec<u8> {
        let limit = self.plane.settings.message.bytes;
        self.plane
            .offers
            .write(frame::start(self.form), echo.as_bytes(), &spoken.reply, limit)
    }

    async fn woken(&mut self, wake: Wake) -> Option<End> {
        match wake {
            Wake::Close(CloseReason::Revoked) => Some(End::REVOKED),
            Wake::Close(CloseReason::Stopping) => Some(End {
                code: Some(1012),
                reason: "the server stops",
            }),
            Wake::Agents(agents) => {
                for agent in agents {
                    if let Some(end) = self.tell(agent).await {
                        return Some(end);
                    }
                }
                None
            }
        }
    }

    /// Tells an agent unasked what it should hear, if anything.
    async fn tell(&mut self, agent: AgentId) -> Option<End> {
        let plane = Arc::clone(&self.plane);
        while let Some(spoken) = plane.app.push(&self.link, agent).await {
            let limit = plane.settings.message.bytes;
            let message = plane
                .offers
                .write(frame::start(self.form), &spoken.uid.0, &spoken.reply, limit);
            let sent = self.send(message).await;
            drop(spoken.turn);
            if sent.is_some() || !spoken.again {
                return sent;
            }
        }
        None
    }

    async fn silent(&mut self) -> Option<End> {
        if self.unanswered_pings >= 2 {
            return Some(End {
                code: Some(1011),
                reason: "it doesn't answer pings",
            });
        }
        self.unanswered_pings += 1;
        let deadline = self.plane.settings.write_deadline;
        handed_over(&self.link, self.socket.ping(deadline)).await
    }

    async fn send(&mut self, message: Vec<u8>) -> Option<End> {
        let deadline = self.plane.settings.write_deadline;
        let sending = self.socket.send_binary(Bytes::from(message), deadline);
        handed_over(&self.link, sending).await
    }
}

/// Waits until bytes are with the socket. A peer that doesn't take them is let go when the connection is to be closed, or
/// when somebody waits for one of its agents: for the one that speaks over a newer connection, say.
async fn handed_over(link: &Link, sending: impl Future<Output = Result<(), SocketError>>) -> Option<End> {
    let mut sending = pin!(sending);
    let at_once = std::future::poll_fn(|context| Poll::Ready(sending.as_mut().poll(context)));
    let sent = match at_once.await {
        Poll::Ready(sent) => Some(sent),
        // Boxed, for it is rare and every connection's task would have the room for it.
        Poll::Pending => {
            let mut hurried = Box::pin(async {
                link.hurried().await;
                sleep(HURRIED).await;
            });
            tokio::select! {
                biased;
                sent = &mut sending => Some(sent),
                () = &mut hurried => None,
            }
        }
    };
    link.sent();
    match sent {
        Some(Ok(())) => return None,
        Some(Err(error)) => tracing::debug!(error = %error, "an answer could not be sent"),
        None => tracing::debug!("a peer took too long for what it was sent while somebody waited"),
    }
    Some(End {
        code: None,
        reason: "it doesn't take what it is sent",
    })
}

/// Waits until a deadline runs out; for ever when there is none.
async fn run_out(deadline: &mut Option<Pin<Box<Sleep>>>) {
    match deadline {
        Some(deadline) => deadline.as_mut().await,
        None => std::future::pending().await,
    }
}
