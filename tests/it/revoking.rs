//! Revoking credentials that many agents share, and what the archive remembers.

use muster::app::agents::AgentAct;
use muster::app::error::Error;
use muster::fleet::agent::Standing;
use muster::fleet::ids::AgentId;

use crate::harness::{World, admin};

impl World {
    /// So many agents behind one credential.
    async fn pool(&self, size: u32) -> Vec<AgentId> {
        let first = self.gateway(None, size).await;
        let mut members = vec![first.clone()];
        members.extend((1..size).map(|_| first.sibling()));
        for member in &mut members {
            member.online(self).await;
        }
        members
            .iter()
            .map(|member| self.record_of(&member.uid).unwrap())
            .collect()
    }

    async fn does(&self, id: AgentId, act: AgentAct) -> Result<(), Error> {
        self.app.act(&admin(), id, &act).await
    }

    fn stands(&self, id: AgentId) -> Standing {
        self.look(id).registration.standing
    }

    fn times(&self, act: &str) -> usize {
        self.acts().iter().filter(|known| *known == act).count()
    }
}

#[tokio::test]
async fn revoking_some_of_a_pool_says_beforehand_whom_it_reaches_and_does_it_once() {
    let world = World::start();
    let members = world.pool(5).await;
    let (picked, others) = members.split_at(2);
    let mut others = others.to_vec();
    others.sort_unstable();
    let reach = world.app.reach(&admin(), picked, &AgentAct::Revoke).unwrap();
    assert_eq!(reach.besides, others);
    assert_eq!(world.times("agent.revoke"), 0, "looking does nothing");

    let result = world
        .app
        .act_on_many(&admin(), picked, &AgentAct::Revoke)
        .await
        .unwrap();
    let mut done = picked.to_vec();
    done.sort_unstable();
    assert_eq!((result.done, result.besides), (done, others));
    assert!(result.refused.is_empty());
    for member in &members {
        assert!(matches!(world.stands(*member), Standing::Revoked { .. }));
    }
    assert_eq!(
        (world.times("agent.revoke"), world.times("credential.revoke")),
        (5, 1)
    );

    // Once more is no second time.
    world
        .app
        .act_on_many(&admin(), &members, &AgentAct::Revoke)
        .await
        .unwrap();
    assert_eq!(
        (world.times("agent.revoke"), world.times("credential.revoke")),
        (5, 1)
    );
    assert!(world.app.behind_credentials_of(picked).is_empty());
}

#[tokio::test]
async fn other_acts_on_some_of_a_pool_reach_those_alone() {
    let world = World::start();
    let members = world.pool(3).await;
    let held = AgentAct::Detach {
        reason: String::new(),
        until: None,
    };
    let reach = world.app.reach(&admin(), &members[..1], &held).unwrap();
    assert_eq!((reach.done, reach.besides), (members[..1].to_vec(), Vec::new()));
    let result = world
        .app
        .act_on_many(&admin(), &members[..1], &held)
        .await
        .unwrap();
    assert_eq!((result.done, result.besides), (members[..1].to_vec(), Vec::new()));
}

#[tokio::test]
async fn who_was_revoked_comes_back_from_the_archive_revoked() {
    let world = World::start();
    let agent = world.agent().await;
    let id = agent.id();
    world.does(id, AgentAct::Revoke).await.unwrap();
    let revoked = world.stands(id);
    assert!(matches!(revoked, Standing::Revoked { .. }));
    world.does(id, AgentAct::Archive).await.unwrap();
    world.does(id, AgentAct::Restore).await.unwrap();
    assert_eq!(world.stands(id), revoked);

    // The other way round, too: what is in the archive stays there.
    let agent = world.agent().await;
    let id = agent.id();
    world.does(id, AgentAct::Archive).await.unwrap();
    assert!(world.does(id, AgentAct::Archive).await.is_err(), "once");
    world.does(id, AgentAct::Revoke).await.unwrap();
    assert!(matches!(world.stands(id), Standing::Archived { .. }));
    world.does(id, AgentAct::Restore).await.unwrap();
    assert!(matches!(world.stands(id), Standing::Revoked { .. }));
}

#[tokio::test]
async fn who_was_in_conflict_comes_back_from_the_archive_in_conflict() {
    let world = World::start();
    let mut first = world.agent().await;
    let _line = first.online(&world).await;
    let token = world
        .app
        .create_enrolment_token(&admin(), muster::app::enrolment::NewEnrolmentToken::default())
        .await
        .unwrap();
    let wish = muster::app::enrolment::Enrol {
        host: first.host.clone(),
        ..muster::app::enrolment::Enrol::default()
    };
    let second = world.app.enrol(&token.secret, wish, None).await.unwrap();
    let id = second.agent_id.unwrap();
    let conflict = Standing::Conflict { with: first.id() };
    assert_eq!(world.stands(id), conflict);
    world.does(id, AgentAct::Archive).await.unwrap();
    world.does(id, AgentAct::Restore).await.unwrap();
    assert_eq!(world.stands(id), conflict);
}
