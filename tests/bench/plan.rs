//! What rendering and planning cost: CPU time per agent, for 50,000 agents in 100 groups and in a single one. One line of
//! JSON.
//!
//! `cargo run --release --example plan -- 50000 100`. Rules alone: no store, no network, one thread. CPU time is the
//! process's own, so that what else runs on the machine counts little.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use muster::fleet::config::merge::{Merged, merge};
use muster::fleet::config::yaml::Limits;
use muster::fleet::config::{ConfigMap, Insert, Variable, resolve};
use muster::fleet::hash::Digest;
use muster::fleet::ids::{AgentId, RolloutId, TargetId};
use muster::fleet::name::Name;
use muster::fleet::rollout::{
    Candidate, Kind, Member, Members, Phase, Progress, Rollout, State, Strategy, View, assign, plan,
};
use muster::fleet::time::Timestamp;

const BASE: &str = "\
receivers:
  otlp: {protocols: {grpc: {endpoint: '0.0.0.0:4317'}, http: {endpoint: '0.0.0.0:4318'}}}
  hostmetrics: {collection_interval: 30s, scrapers: {cpu: , memory: , disk: , network: , load: , filesystem: }}
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 75, spike_limit_percentage: 15}
  batch: {send_batch_size: 8192, timeout: 5s}
exporters:
  otlp: {endpoint: 'gateway:4317', retry_on_failure: {enabled: true}, sending_queue: {queue_size: 5000}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp]}
    metrics: {receivers: [otlp, hostmetrics], processors: [memory_limiter, batch], exporters: [otlp]}
    logs: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp]}
";
const REGION: &str = "exporters: {otlp: {endpoint: 'eu.example.com:4317'}}\n";
const OWN: &str = "exporters: {otlp: {endpoint: '${muster:label.region}.example.com:4317', headers: {x-host: '${muster:fact.host.name}'}}}\n";
const HEARTBEAT: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let agents = arguments.next().transpose()?.unwrap_or(50_000);
    let groups = arguments.next().transpose()?.unwrap_or(100);
    anyhow::ensure!(
        groups > 0 && agents.is_multiple_of(groups),
        "as many agents in each group"
    );
    let figures = serde_json::json!({
        "agents": agents,
        "groups": groups,
        "cpu_us_per_agent": {
            "render_alike": render(agents, groups, REGION)?,
            "render_per_agent": render(agents, groups, OWN)?,
            "rollouts": rollouts(agents, groups)?,
            "one_rollout": rollouts(agents, 1)?,
        },
    });
    println!("{figures}");
    Ok(())
}

/// CPU time of this process, which has one thread.
fn cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").context("CPU time is read on Linux only")?;
    let nanoseconds = text.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// Microseconds of CPU time for each of so many that `work` takes, and what it gives.
fn each<T>(count: usize, work: impl FnOnce() -> T) -> anyhow::Result<(f64, T)> {
    let begun = cpu()?;
    let done = work();
    let took = cpu()?.saturating_sub(begun);
    Ok((per_agent(took, count)?, done))
}

/// Microseconds for each of so many, to the nanosecond.
fn per_agent(took: Duration, count: usize) -> anyhow::Result<f64> {
    let each = took.as_secs_f64() * 1e9 / f64::from(u32::try_from(count)?);
    Ok(each.round() / 1000.0)
}

fn id(number: usize) -> AgentId {
    // As ids are: a time first, and random bytes that spread.
    let digest = Digest::of(&number.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.0.get(..16).unwrap_or(&[0; 16]));
    AgentId(bytes)
}

/// Puts layers together once a group, and renders them: once where they have no variable, else for every agent.
fn render(agents: usize, groups: usize, layer: &str) -> anyhow::Result<f64> {
    let of_group = agents / groups;
    let (figure, contents) = each(agents, || {
        let mut contents: BTreeMap<AgentId, Digest> = BTreeMap::new();
        for group in 0..groups {
            let Ok(merged) = merge(&[BASE.as_bytes(), layer.as_bytes()], &Limits::default()) else {
                continue;
            };
            let common = (!layer.contains("${muster:")).then(|| digest(&merged, 0));
            for number in group * of_group..(group + 1) * of_group {
                contents.insert(id(number), common.unwrap_or_else(|| digest(&merged, number)));
            }
        }
        contents
    })?;
    anyhow::ensure!(contents.len() == agents, "everybody is rendered");
    Ok(figure)
}

fn digest(merged: &Merged, agent: usize) -> Digest {
    let value_of = |variable: &Variable| {
        Some(Insert::Value(match variable {
            Variable::Label(_) => format!("region-{}", agent % 7),
            Variable::Fact(_) | Variable::Secret(_) => format!("host-{agent}"),
        }))
    };
    resolve(&merged.root, &value_of).map_or(Digest([0; 32]), |root| {
        ConfigMap::document(&root.emit().text).digest()
    })
}

/// Rollouts to all agents, one a group: what starting them costs, looking again without news, and going to the end.
fn rollouts(agents: usize, groups: usize) -> anyhow::Result<serde_json::Value> {
    let of_group = agents / groups;
    let mut fleet: Vec<Model> = (0..groups).map(|group| Model::new(group, of_group)).collect();
    let (start, ()) = each(agents, || fleet.iter_mut().for_each(Model::start))?;
    for model in &mut fleet {
        model.prove_canary();
    }
    let rounds = 20;
    let (again, steps) = each(agents * rounds, || {
        let looked = |_| fleet.iter().map(Model::look).sum::<usize>();
        (0..rounds).map(looked).sum::<usize>()
    })?;
    anyhow::ensure!(steps == 0, "nothing is new");
    let (mut whole, mut looks) = (Duration::ZERO, 0);
    for model in &mut fleet {
        let (took, looked) = model.run_out()?;
        whole += took;
        looks += looked;
    }
    let ended = fleet.iter().all(|model| model.rollout.is_ended());
    anyhow::ensure!(ended, "everybody is reached");
    Ok(serde_json::json!({
        "assign_and_first_plan": start,
        "plan_without_news": again,
        "plans_to_the_end": per_agent(whole, agents)?,
        "looks_to_the_end": looks / groups,
    }))
}

/// One rollout, with agents that take what they are given and stay well.
struct Model {
    rollout: Rollout,
    members: Members,
    views: BTreeMap<AgentId, View>,
    now: Timestamp,
}

impl Model {
    fn new(group: usize, agents: usize) -> Self {
        let now = Timestamp::from_seconds(1_800_000_000);
        let rollout = Rollout {
            id: RolloutId(group as u64 + 1),
            group: Name::slug(&format!("group-{group}")),
            kind: Kind::Publish,
            target: TargetId([1; 16]),
            from: None,
            strategy: Strategy::default_for(agents),
            state: State::Running { stage: 0 },
            members: u32::try_from(agents).unwrap_or(u32::MAX),
            started_by: "ada".to_owned(),
            created_at: now,
            stage_since: now,
            promoted: 0,
            accepted_failures: 0,
            approval: None,
            governs: true,
            history: Vec::new(),
        };
        let view = View {
            belongs: true,
            blocked: None,
            online: true,
            polls: false,
            heartbeats: true,
            heard_at: now,
            silent_since: now,
            healthy: Some(true),
            healthy_since: now,
            trouble: String::new(),
            started_at: Some(now),
            target: Progress::Untold,
            base: Progress::Applied { at: now },
        };
        let ids = group * agents..(group + 1) * agents;
        Self {
            rollout,
            members: Members::new(),
            views: ids.map(|number| (id(number), view.clone())).collect(),
            now,
        }
    }

    fn start(&mut self) {
        let candidates: Vec<Candidate> = self
            .views
            .keys()
            .map(|agent| Candidate {
                agent: *agent,
                able: true,
            })
            .collect();
        let stages = assign(
            self.rollout.id,
            &self.rollout.strategy.stages,
            &candidates,
            |_, _| false,
        );
        let (old, new) = (Some(Digest([1; 32])), Some(Digest([2; 32])));
        let member = |(agent, stage)| (agent, Member::new(stage, new, old, old));
        self.members = stages.into_iter().map(member).collect();
        self.go_on();
    }

    /// Plans and takes on what is planned. How many steps.
    fn go_on(&mut self) -> usize {
        let steps = plan(
            &self.rollout,
            &self.members,
            |agent| self.views.get(&agent),
            self.now,
        );
        for step in &steps {
            self.rollout.apply(&mut self.members, step, self.now);
        }
        steps.len()
    }

    /// Looks without doing anything. How many steps there would be.
    fn look(&self) -> usize {
        plan(
            &self.rollout,
            &self.members,
            |agent| self.views.get(&agent),
            self.now,
        )
        .len()
    }

    /// Those that were given it say that they have it.
    fn answer(&mut self) {
        for (agent, member) in &self.members {
            let Some(view) = self.views.get_mut(agent) else {
                continue;
            };
            view.heard_at = self.now;
            view.silent_since = self.now;
            if matches!(member.phase, Phase::Released { .. }) && view.target == Progress::Untold {
                view.target = Progress::Applied { at: self.now };
            }
        }
    }

    fn prove_canary(&mut self) {
        self.answer();
        self.go_on();
    }

    /// Goes on, looking once a heartbeat. The CPU time of the looks alone, and how many there were.
    fn run_out(&mut self) -> anyhow::Result<(Duration, usize)> {
        let (mut took, mut looked) = (Duration::ZERO, 0);
        while !self.rollout.is_ended() && looked < 10_000 {
            self.now = self.now.plus(HEARTBEAT);
            self.answer();
            let begun = cpu()?;
            self.go_on();
            took += cpu()?.saturating_sub(begun);
            looked += 1;
        }
        Ok((took, looked))
    }
}
