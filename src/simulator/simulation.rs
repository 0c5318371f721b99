//! A running simulation: its plan, its agents, what they are told, and what they counted.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::agent::{Agent, Heartbeats};
use super::behaviour::{Behaviour, Mix, Temper};
use super::figures::{Figures, Gauge};
use super::life::{Life, Means, Order, Time, World};
use super::link::{self, LinkError};
use super::memory::{KeptAgent, Memory, unhex};
use super::profile::Profile;
use super::target::{Sources, Target};
use crate::app::clock::{Clock, Stopwatch};
use crate::app::enrolment::Enrol;
use crate::app::tasks::Tasks;
use crate::auth::secret::SecretKind;
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;
use crate::observability::Secret;

/// Handshakes in flight.
const HANDSHAKES: usize = 128;
/// The most agents of one process.
const MOST: u32 = 20_000;
/// The most agents against another machine: enough to rehearse, too few to be a weapon.
const MOST_REMOTE: u32 = 2_000;
/// How long stopping may take.
const LONGEST_STOP: Duration = Duration::from_secs(20);

/// How agents reach the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TransportChoice {
    /// All by WebSocket.
    #[default]
    Websocket,
    /// All by polling over HTTP.
    Http,
    /// Every second one by polling.
    Mixed,
}

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub target: Target,
    /// An enrolment token, or a credential that all agents share. Not needed by agents that come back from memory.
    pub token: Option<Secret<String>>,
    /// How many agents.
    pub agents: u32,
    /// How they reach the server.
    pub transport: TransportChoice,
    /// The time over which they appear.
    pub ramp_up: Duration,
    /// How often each says that it lives, or polls.
    pub heartbeat: Heartbeats,
    /// What they do with a configuration.
    pub mix: Mix,
    /// How they do it.
    pub temper: Temper,
    /// Where they connect from.
    pub sources: Sources,
    /// Where chance begins: the same seed makes the same agents.
    pub seed: u64,
    /// The size of a full status on the wire, in bytes; at least some 2,000.
    pub status_bytes: usize,
    /// How long applying a configuration takes.
    pub apply_delay: Duration,
    /// The longest wait between two attempts to connect, where the server asks for none.
    pub longest_wait: Duration,
    /// The agents of a former simulation, to go on as them.
    pub memory: Option<Memory>,
}

/// Why a simulation can't start.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// Too many, or none.
    #[error("a simulation has between 1 and {0} agents")]
    Agents(u32),
    /// New agents can't be let in.
    #[error("an enrolment token is needed")]
    NoToken,
    /// The server didn't let the first one in.
    #[error("the first agent could not enrol")]
    Enrolment(#[source] LinkError),
}

/// A running simulation.
#[derive(Debug)]
pub struct Simulation {
    world: Arc<World>,
    tasks: Tasks,
    orders: watch::Sender<(u64, Order)>,
}

/// The credentials that agents begin with.
struct Credentials {
    shared: Option<Arc<str>>,
    /// For the first agent, which enrolled to find out what the token is.
    first: Option<Arc<str>>,
}

impl Simulation {
    /// Lets the first agent enrol, and starts all of them.
    ///
    /// # Errors
    /// [`SimulationError`].
    pub async fn start(plan: Plan, clock: &Clock) -> Result<Self, SimulationError> {
        let most = if plan.target.is_loopback() {
            MOST
        } else {
            MOST_REMOTE
        };
        if plan.agents == 0 || plan.agents > most {
            return Err(SimulationError::Agents(most));
        }
        raise_file_limit();
        let seed = plan.memory.as_ref().map_or(plan.seed, |memory| memory.seed);
        let mut profile = Profile::new(&format!("sim-{seed:x}"), plan.status_bytes);
        profile.temper = plan.temper.clone();
        let profile = Arc::new(profile);
        let time = Time {
            origin: clock.now(),
            watch: Stopwatch::start(),
        };
        let agents = agents(&plan, &profile, seed, time.origin);
        let credentials = credentials(&plan, &agents).await?;
        let kept = Memory {
            version: Memory::VERSION,
            seed,
            credential: credentials.shared.as_deref().map(str::to_owned),
            agents: BTreeMap::new(),
            configs: BTreeMap::new(),
        };
        let world = Arc::new(World {
            target: plan.target.clone(),
            sources: plan.sources.clone(),
            token: plan.token.clone(),
            gauge: Gauge::new(u64::from(plan.agents)),
            time,
            permits: Semaphore::new(HANDSHAKES),
            longest_wait: plan.longest_wait,
            kept: Mutex::new(kept),
        });
        if credentials.first.is_some() {
            world.gauge.counters.enrolled.fetch_add(1, Ordering::Relaxed);
        }
        let simulation = Self {
            world,
            tasks: Tasks::new(),
            orders: watch::Sender::new((0, Order::Live)),
        };
        simulation.spawn(&plan, agents, &credentials, seed);
        Ok(simulation)
    }

    fn spawn(&self, plan: &Plan, agents: Vec<Agent>, credentials: &Credentials, seed: u64) {
        for (number, agent) in (0..).zip(agents) {
            let former = former(plan, number)
                .and_then(|kept| kept.credential.as_deref())
                .map(Arc::from);
            let own = former.or_else(|| credentials.first.clone().filter(|_| number == 0));
            let owns_credential = own.is_some();
            let credential = own.or_else(|| credentials.shared.clone());
            let means = match plan.transport {
                TransportChoice::Websocket => Means::WebSocket,
                TransportChoice::Mixed if number % 2 == 0 => Means::WebSocket,
                TransportChoice::Http | TransportChoice::Mixed => Means::Http,
            };
            let luck = seed
                .wrapping_add(u64::from(number))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut life = Life::new(&self.world, agent, number, credential, means, luck);
            life.owns_credential = owns_credential;
            let wait = plan.ramp_up.mul_f64(f64::from(number) / f64::from(plan.agents));
            self.tasks
                .spawn("simulated agent", life.live(self.orders.subscribe(), wait));
        }
    }

    /// What was counted since the start or the last reset.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.world.gauge.figures(self.world.time.watch.elapsed())
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.world.gauge.reset(self.world.time.watch.elapsed());
    }

    /// Waits until all agents are online, or so many, and all have obeyed the last order; `false` when `patience` ended first.
    pub async fn wait_online(&self, agents: Option<u64>, patience: Duration) -> bool {
        let wanted = agents.unwrap_or(self.world.gauge.agents);
        let reached = self.world.gauge.wait(|gauge| gauge.has_online(wanted));
        timeout(patience, reached).await.is_ok()
    }

    /// Waits until so many verdicts were reported since the last reset, applied and failed together; `false` when
    /// `patience` ended first.
    pub async fn wait_verdicts(&self, verdicts: u64, patience: Duration) -> bool {
        let reached = self.world.gauge.wait(|gauge| gauge.verdicts() >= verdicts);
        timeout(patience, reached).await.is_ok()
    }

    /// Drops all connections; the agents connect again at once, as after a failure of the network.
    pub fn reconnect(&self) {
        self.order(Order::Reconnect);
    }

    /// Kills all agents; they start again at once, as after a power cut, and tell everything.
    pub fn restart(&self) {
        self.order(Order::Restart);
    }

    /// Stops all agents: with a `goodbye` to the server, or as if their hosts had died. Returns the last figures, taken
    /// before, and what a later simulation needs to go on.
    pub async fn stop(self, goodbye: bool) -> (Figures, Memory) {
        let figures = self.figures();
        self.order(Order::Stop { goodbye });
        if let Err(unstopped) = self.tasks.shutdown(LONGEST_STOP).await {
            tracing::warn!(?unstopped, "some agents did not stop in time");
        }
        let kept = std::mem::take(&mut *self.world.kept.lock().unwrap_or_else(PoisonError::into_inner));
        (figures, kept)
    }

    fn order(&self, order: Order) {
        self.world.gauge.order();
        self.orders.send_modify(|(number, current)| {
            *number += 1;
            *current = order;
        });
    }
}

fn former(plan: &Plan, number: u32) -> Option<&KeptAgent> {
    plan.memory.as_ref()?.agents.get(&number)
}

fn agents(plan: &Plan, profile: &Arc<Profile>, seed: u64, now: Timestamp) -> Vec<Agent> {
    let mut random = fastrand::Rng::with_seed(seed);
    let behaviours: Vec<Behaviour> = plan.mix.deal(plan.agents as usize, &mut random);
    let agent = |(number, behaviour): (u32, Behaviour)| {
        let uid = uid(number, &mut random);
        let agent = Agent::new(
            number,
            uid,
            behaviour,
            profile,
            plan.heartbeat,
            plan.apply_delay,
            now,
        );
        let Some(kept) = former(plan, number) else {
            return agent;
        };
        let running = kept.running.as_ref().and_then(|hash| {
            let content = plan.memory.as_ref()?.configs.get(hash)?;
            Some(profile.share(content, &unhex(hash)?))
        });
        agent.resumed(kept, running)
    };
    (0..).zip(behaviours).map(agent).collect()
}

/// A uid of version 7 that only the seed decides.
fn uid(number: u32, random: &mut fastrand::Rng) -> InstanceUid {
    /// The beginning of 2026, in milliseconds.
    const SOME_DAY: u64 = 1_767_225_600_000;
    let mut chance = [0; 10];
    random.fill(&mut chance);
    let uid = uuid::Builder::from_unix_timestamp_millis(SOME_DAY + u64::from(number), &chance);
    InstanceUid(uid.into_uuid().into_bytes())
}

async fn credentials(plan: &Plan, agents: &[Agent]) -> Result<Credentials, SimulationError> {
    let none = Credentials {
        shared: None,
        first: None,
    };
    let memory = plan.memory.as_ref();
    if let Some(shared) = memory.and_then(|memory| memory.credential.as_deref()) {
        return Ok(Credentials {
            shared: Some(shared.into()),
            ..none
        });
    }
    let numbers = 0..plan.agents;
    let has_own = |number| former(plan, number).is_some_and(|kept| kept.credential.is_some());
    if numbers.clone().all(has_own) {
        return Ok(none);
    }
    let token = plan.token.as_ref().ok_or(SimulationError::NoToken)?.reveal();
    if token.starts_with(SecretKind::Agent.prefix()) {
        return Ok(Credentials {
            shared: Some(token.as_str().into()),
            ..none
        });
    }
    let (Some(first), false) = (agents.first(), has_own(0)) else {
        return Ok(none);
    };
    let wish = Enrol {
        host: first.host(),
        instance_uid: Some(first.uid()),
        ..Enrol::default()
    };
    let source = plan.sources.pick(0);
    let enrolled = link::enrol(&plan.target, source, token, &wish)
        .await
        .map_err(SimulationError::Enrolment)?;
    let credential = Some(enrolled.credential.into());
    Ok(if enrolled.agent_id.is_none() {
        Credentials {
            shared: credential,
            ..none
        }
    } else {
        Credentials {
            first: credential,
            ..none
        }
    })
}

/// Each agent holds a file: take as many as the system gives.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where this fails, connecting will say so.
    let _ = setrlimit(Resource::Nofile, raised);
}
