//! The life of one simulated agent: connect, talk, lose the connection, wait, come back.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::agent::{Act, Agent, Event, Happening, Kind};
use super::figures::Gauge;
use super::link::{self, LinkError};
use super::memory::{Memory, hex};
use super::target::{Sources, Target};
use super::{polling, socket};
use crate::app::clock::Stopwatch;
use crate::app::enrolment::Enrol;
use crate::fleet::time::Timestamp;
use crate::observability::Secret;
use crate::opamp::client;

/// The first wait after a failed attempt, and after a lost connection.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What all agents of a simulation are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// To live.
    Live,
    /// To drop their connections and connect again.
    Reconnect,
    /// To die and start again, as after a power cut.
    Restart,
    /// To stop: in good order, or just like that.
    Stop { goodbye: bool },
}

pub(super) type Orders = watch::Receiver<(u64, Order)>;

/// The next order; stopping once nobody gives any.
pub(super) async fn next(orders: &mut Orders) -> Order {
    match orders.changed().await {
        Ok(()) => orders.borrow_and_update().1,
        Err(_) => Order::Stop { goodbye: false },
    }
}

/// Time that never jumps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub(super) origin: Timestamp,
    pub(super) watch: Stopwatch,
}

impl Time {
    pub(super) fn now(&self) -> Timestamp {
        self.origin.plus(self.watch.elapsed())
    }

    /// Waits until `due`; for ever without.
    pub(super) async fn until(&self, due: Option<Timestamp>) {
        match due {
            Some(due) => tokio::time::sleep(due.since(self.now())).await,
            None => std::future::pending().await,
        }
    }
}

/// How agents reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    WebSocket,
    Http,
}

/// What the agents of a simulation share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) target: Target,
    pub(super) sources: Sources,
    pub(super) token: Option<Secret<String>>,
    pub(super) gauge: Gauge,
    pub(super) time: Time,
    /// Bounds the handshakes in flight.
    pub(super) permits: Semaphore,
    pub(super) longest_wait: Duration,
    /// What is left of agents that have stopped.
    pub(super) kept: Mutex<Memory>,
}

/// How a session ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By an order.
    Ordered(Order),
    /// By the agent's own death; it comes back after a while.
    Away(Duration),
    /// There was none, or it broke.
    Failed(LinkError),
}

/// One agent with what it needs to live.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) world: Arc<World>,
    pub(super) agent: Agent,
    pub(super) number: u32,
    pub(super) credential: Option<Arc<str>>,
    /// Whether the credential is this agent's own, to be kept with it.
    pub(super) owns_credential: bool,
    pub(super) means: Means,
    random: fastrand::Rng,
    online: bool,
    dark: bool,
    connected_before: bool,
    failures: u32,
    /// Requests for everything, in the phase that is counted.
    asked: (u64, u32),
    offered_at: Option<Duration>,
    /// When the connection was begun whose first answer is awaited.
    begun_at: Option<Duration>,
    /// When the heartbeat was sent whose answer is awaited.
    beat_at: Option<Duration>,
    unanswered: u32,
    /// A verdict that was reported, until the server has answered.
    reported: Option<Event>,
}

impl Life {
    pub(super) fn new(
        world: &Arc<World>,
        agent: Agent,
        number: u32,
        credential: Option<Arc<str>>,
        means: Means,
        seed: u64,
    ) -> Self {
        Self {
            world: Arc::clone(world),
            agent,
            number,
            credential,
            owns_credential: false,
            means,
            random: fastrand::Rng::with_seed(seed),
            online: false,
            dark: false,
            connected_before: false,
            failures: 0,
            asked: (0, 0),
            offered_at: None,
            begun_at: None,
            beat_at: None,
            unanswered: 0,
            reported: None,
        }
    }

    /// Lives until it is told to stop, beginning after `wait`.
    pub(super) async fn live(mut self, mut orders: Orders, wait: Duration) {
        let mut wait = wait;
        while self.pause(wait, &mut orders).await {
            let ended = match self.means {
                Means::WebSocket => socket::session(&mut self, &mut orders).await,
                Means::Http => polling::session(&mut self, &mut orders).await,
            };
            self.set_online(false);
            wait = match ended {
                Ended::Ordered(order) if self.obey(order) => break,
                Ended::Ordered(_) => Duration::ZERO,
                Ended::Away(while_away) => while_away,
                Ended::Failed(error) => self.wait_after(&error),
            };
        }
        self.leave();
    }

    /// Waits, and says whether to go on. An order ends the wait.
    pub(super) async fn pause(&mut self, wait: Duration, orders: &mut Orders) -> bool {
        tokio::select! {
            biased;
            order = next(orders) => !self.obey(order),
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Prepares for what was ordered, and says whether that is to stop.
    pub(super) fn obey(&mut self, order: Order) -> bool {
        if order == Order::Restart {
            let _: Vec<Act> = self.agent.handle(Happening::Reborn, self.world.time.now());
            if std::mem::take(&mut self.dark) {
                self.world.gauge.came_back_from_the_dark();
            }
        }
        self.world.gauge.obeyed();
        matches!(order, Order::Stop { .. })
    }

    fn leave(self) {
        let mut kept = self.agent.keep();
        if self.owns_credential {
            kept.credential = self.credential.as_deref().map(str::to_owned);
        }
        let mut memory = self.world.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = self.agent.running() {
            let hash = hex(&running.hash);
            memory
                .configs
                .entry(hash.clone())
                .or_insert_with(|| running.content.clone());
            kept.running = Some(hash);
        }
        memory.agents.insert(self.number, kept);
    }

    /// Counts a failure and decides how long to stay away: longer each time, never all at once, and never less than the
    /// server asked for.
    pub(super) fn wait_after(&mut self, error: &LinkError) -> Duration {
        let mut at_least = Duration::ZERO;
        if let LinkError::Refused { status, retry_after } = error {
            self.world.gauge.refused(status.as_u16());
            at_least = retry_after
                .unwrap_or_default()
                .mul_f64(1.0 + self.random.f64() / 10.0);
        } else {
            self.world.gauge.error(error.word());
        }
        let growth = 1.5_f64.powi(i32::try_from(self.failures.min(30)).unwrap_or(30));
        self.failures += 1;
        let wait = FIRST_WAIT.mul_f64(growth).min(self.world.longest_wait);
        wait.mul_f64(0.5 + self.random.f64()).max(at_least)
    }

    pub(super) fn source(&self) -> Option<Ipv4Addr> {
        self.world.sources.pick(self.number)
    }

    /// The agent's credential, for which it enrols if it has none.
    pub(super) async fn credential(&mut self) -> Result<Arc<str>, LinkError> {
        if let Some(credential) = &self.credential {
            return Ok(Arc::clone(credential));
        }
        let token = self
            .world
            .token
            .as_ref()
            .map(Secret::reveal)
            .map_or("", String::as_str);
        let wish = Enrol {
            host: self.agent.host(),
            instance_uid: Some(self.agent.uid()),
            ..Enrol::default()
        };
        let enrolled = link::enrol(&self.world.target, self.source(), token, &wish).await?;
        self.world.gauge.counters.enrolled.fetch_add(1, Ordering::Relaxed);
        let credential: Arc<str> = enrolled.credential.into();
        self.credential = Some(Arc::clone(&credential));
        self.owns_credential = true;
        Ok(credential)
    }

    /// A connection is about to be made.
    pub(super) fn begins(&mut self) {
        self.begun_at = Some(self.elapsed());
    }

    /// A connection was made.
    pub(super) fn connected(&mut self) {
        let counters = &self.world.gauge.counters;
        let counter = if self.connected_before {
            &counters.reconnects
        } else {
            &counters.connects
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.connected_before = true;
        self.unanswered = 0;
        self.beat_at = None;
    }

    /// A connection ended that the agent would have kept.
    pub(super) fn disconnected(&self) {
        self.world
            .gauge
            .counters
            .disconnects
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that is being sent.
    pub(super) fn sends(&mut self, bytes: usize, kind: Kind) {
        let counters = &self.world.gauge.counters;
        counters.messages_sent.fetch_add(1, Ordering::Relaxed);
        counters.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        match kind {
            Kind::Full => _ = counters.full_reports_sent.fetch_add(1, Ordering::Relaxed),
            // The first message of a connection is measured as part of connecting.
            Kind::Heartbeat if self.begun_at.is_none() => {
                counters.heartbeats_sent.fetch_add(1, Ordering::Relaxed);
                if self.unanswered == 0 {
                    self.beat_at = Some(self.elapsed());
                }
            }
            Kind::Heartbeat | Kind::Part => {}
        }
        self.unanswered += 1;
    }

    /// What the agent does about a message from the server.
    pub(super) fn hears(&mut self, bytes: &[u8]) -> Result<Vec<Act>, LinkError> {
        let at = self.elapsed();
        let gauge = &self.world.gauge;
        gauge.counters.messages_received.fetch_add(1, Ordering::Relaxed);
        gauge
            .counters
            .bytes_received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(begun) = self.begun_at.take() {
            gauge.connect.add(at.saturating_sub(begun));
        }
        if let Some(beat) = self.beat_at.take() {
            gauge.counters.heartbeats_answered.fetch_add(1, Ordering::Relaxed);
            gauge.heartbeat.add(at.saturating_sub(beat));
        }
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered == 0 {
            self.settle(at);
        }
        self.failures = 0;
        self.set_online(true);
        let message = client::read(bytes).map_err(|_| LinkError::NotUnderstood)?;
        Ok(self.happens(Happening::Heard(&message)))
    }

    /// What the agent does about a happening. What is only to be counted is counted here.
    pub(super) fn happens(&mut self, happening: Happening<'_>) -> Vec<Act> {
        let mut acts = self.agent.handle(happening, self.world.time.now());
        acts.retain(|act| match act {
            Act::Note(event) => {
                self.note(*event);
                false
            }
            Act::Send { .. } | Act::Vanish(_) | Act::FallSilent => true,
        });
        acts
    }

    fn note(&mut self, event: Event) {
        let at = self.elapsed();
        let gauge = &self.world.gauge;
        match event {
            Event::Applied | Event::Failed => return self.reported = Some(event),
            Event::FullStateAsked => {
                if self.asked.0 != gauge.phase() {
                    self.asked = (gauge.phase(), 0);
                }
                self.asked.1 += 1;
                if self.asked.1 == 2 {
                    gauge.counters.agents_asked_again.fetch_add(1, Ordering::Relaxed);
                }
            }
            Event::Offered { again: false } => self.offered_at = Some(at),
            Event::Offered { again: true }
            | Event::ComponentsAsked
            | Event::RestartAsked
            | Event::Renamed
            | Event::Refused(_)
            | Event::Misdirected => {}
        }
        gauge.note(event, at);
    }

    /// Counts the verdict that was reported last.
    fn settle(&mut self, at: Duration) {
        let Some(verdict) = self.reported.take() else {
            return;
        };
        self.world.gauge.note(verdict, at);
        if let (Event::Applied, Some(offered)) = (verdict, self.offered_at.take()) {
            self.world.gauge.apply.add(at.saturating_sub(offered));
        }
    }

    pub(super) fn falls_silent(&mut self) {
        self.dark = true;
        // It won't hear the answer.
        self.settle(self.elapsed());
        self.world.gauge.went_dark();
    }

    pub(super) fn set_online(&mut self, online: bool) {
        if self.online != online {
            self.online = online;
            if online {
                self.world.gauge.came_online(self.elapsed());
            } else {
                self.world.gauge.went_offline();
            }
        }
    }

    fn elapsed(&self) -> Duration {
        self.world.time.watch.elapsed()
    }
}
