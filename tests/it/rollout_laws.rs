//! Laws of rollouts: whatever agents do, whatever is lost on the way, whatever operators want, whenever the engine is
//! killed. The agents here go through the real observing and replying, in virtual time.

mod cases;
mod world;

use std::time::Duration;

use muster::fleet::rollout;
use muster::fleet::rollout::{Act, Ended, OnFailure, Pause, Phase, Restored, State};
use proptest::prelude::*;

use world::{Manner, World, strategy};

/// What agents may do with the new content.
fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        6 => Just(Manner::Well),
        1 => Just(Manner::Refuses),
        1 => Just(Manner::FallsBack),
        1 => Just(Manner::Lies),
        1 => Just(Manner::GoesDark),
        1 => Just(Manner::Dies),
        1 => (5_u64..400).prop_map(Manner::Slow),
        1 => Just(Manner::Flaps),
        1 => (0_u64..900).prop_map(Manner::Offline),
        1 => Just(Manner::Polls),
        1 => Just(Manner::Loops),
    ]
}

fn strategies() -> impl Strategy<Value = rollout::Strategy> {
    let text = prop_oneof![
        Just("1 for 60s; 10% for 30s; 50% for 30s; all for 30s"),
        Just("1 for 3m; all for 1m"),
        Just("2; 20% for 30s; all"),
        Just("all for 60s"),
        Just("10%; 100%"),
    ];
    let budget = prop_oneof![Just("1+1%"), Just("3"), Just("20%+0"), Just("1")];
    (text, budget, 0_u32..3, any::<bool>()).prop_map(|(text, at_risk, tolerated, pauses)| {
        let mut strategy = strategy(text);
        strategy.at_risk = at_risk.parse().unwrap_or(strategy.at_risk);
        strategy.tolerated_failures.agents = tolerated;
        if pauses {
            strategy.on_failure = OnFailure::Pause;
        }
        strategy
    })
}

/// What an operator may do, by number.
fn act(number: u8) -> Act {
    match number {
        0 => Act::Pause,
        1 => Act::Resume,
        2 => Act::Retry {
            agents: std::collections::BTreeSet::new(),
        },
        3 => Act::RollBack,
        4 => Act::Abort,
        _ => Act::Promote,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Budget, no flapping, widening only, planning twice: held by the world after every tick.
    #[test]
    fn a_rollout_never_exceeds_its_budget_and_nobody_flaps(
        manners in proptest::collection::vec(manner(), 1..40),
        strategy in strategies(),
        loss in 0_u8..30,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&manners, strategy, seed);
        world.loss_percent = loss;
        world.run(Duration::from_mins(40));
    }

    #[test]
    fn neither_do_operators_or_kills_of_the_engine_make_it_exceed_its_budget(
        manners in proptest::collection::vec(manner(), 1..30),
        strategy in strategies(),
        acts in proptest::collection::vec((0_u8..5, 1_u64..300, any::<bool>()), 0..8),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&manners, strategy, seed);
        for (number, seconds, killed) in acts {
            world.run(Duration::from_secs(seconds));
            if killed {
                world.restart();
            } else {
                world.act(&act(number));
            }
        }
        world.run(Duration::from_mins(30));
    }

    /// Budget, no flapping, nothing before its turn, one rollout of a group at a time: held by the world after every tick.
    #[test]
    fn neither_do_moves_between_groups_and_nobody_is_told_anything_before_its_turn(
        manners in proptest::collection::vec(manner(), 1..25),
        strategy in strategies(),
        acts in proptest::collection::vec((0_u8..9, 1_u64..200, 0_usize..25, 1_usize..15), 1..12),
        loss in 0_u8..20,
        seed in any::<u64>(),
    ) {
        let mut world = World::of_two_groups(&manners, strategy, seed);
        world.loss_percent = loss;
        for (number, seconds, first, count) in acts {
            match number {
                0..=3 => world.move_agents(first..first + count.min(manners.len())),
                4 => world.restart(),
                _ => world.act_between(&act(number - 5)),
            }
            world.run(Duration::from_secs(seconds));
        }
        world.run(Duration::from_mins(30));
    }

    #[test]
    fn agents_that_behave_come_to_what_their_group_has_however_they_are_moved_and_then_hear_nothing(
        slow in proptest::collection::vec(prop_oneof![Just(Manner::Well), (5_u64..100).prop_map(Manner::Slow)], 1..20),
        strategy in strategies(),
        moved in proptest::collection::vec((1_u64..400, 0_usize..20, 1_usize..10, any::<bool>()), 1..6),
        seed in any::<u64>(),
    ) {
        let mut world = World::of_two_groups(&slow, strategy, seed);
        for (seconds, first, count, killed) in moved {
            world.move_agents(first..first + count.min(slow.len()));
            world.run(Duration::from_secs(seconds));
            if killed {
                world.restart();
            }
        }
        world.run(Duration::from_hours(3));
        prop_assert!(world.everybody_runs_what_their_group_has());
        let offers = world.all_offers();
        world.run(Duration::from_mins(30));
        prop_assert_eq!(world.all_offers(), offers, "converged agents hear nothing");
    }

    #[test]
    fn a_rollout_over_agents_that_behave_succeeds_and_everybody_has_the_new_content(
        slow in proptest::collection::vec(prop_oneof![Just(Manner::Well), (5_u64..200).prop_map(Manner::Slow)], 1..30),
        strategy in strategies(),
        loss in 0_u8..5,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&slow, strategy, seed);
        world.loss_percent = loss;
        world.run_out(Duration::from_hours(6));
        world.loss_percent = 0;
        world.run(Duration::from_mins(20));
        prop_assert_eq!(&world.rollout.state, &State::Ended { how: Ended::Succeeded });
        prop_assert!(world.everybody_runs_the_target());
    }

    #[test]
    fn a_rollout_that_rolls_back_leaves_everybody_healthy_on_what_they_had(
        manners in proptest::collection::vec(prop_oneof![Just(Manner::Well), Just(Manner::Refuses), Just(Manner::FallsBack), Just(Manner::Lies), Just(Manner::Loops)], 2..30),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&manners, strategy("1 for 30s; 20% for 30s; all for 30s"), seed);
        world.run_out(Duration::from_hours(3));
        if manners.iter().all(|manner| *manner == Manner::Well) {
            prop_assert_eq!(&world.rollout.state, &State::Ended { how: Ended::Succeeded });
        } else {
            prop_assert_eq!(&world.rollout.state, &State::Ended { how: Ended::RolledBack });
            prop_assert!(world.everybody_runs_the_base_and_is_well());
        }
    }
}

#[test]
fn a_content_that_kills_every_agent_breaks_at_most_the_first_stage() {
    for manner in [
        Manner::Lies,
        Manner::Refuses,
        Manner::GoesDark,
        Manner::Dies,
        Manner::Loops,
        Manner::Flaps,
    ] {
        let mut world = World::new(&[manner; 200], rollout::Strategy::default_for(200), 1);
        world.run_out(Duration::from_hours(1));
        assert_eq!(world.broken(), 1, "{manner:?}");
        assert_eq!(
            world.rollout.state,
            State::Ended {
                how: Ended::RolledBack
            },
            "{manner:?}"
        );
    }
}

#[test]
fn a_content_that_kills_a_third_of_the_hosts_breaks_at_most_one_percent_and_one() {
    for seed in 0..2 {
        for manner in [Manner::Lies, Manner::Refuses, Manner::GoesDark, Manner::Dies] {
            let manners: Vec<_> = (0..300)
                .map(|number| if number % 10 < 3 { manner } else { Manner::Well })
                .collect();
            let mut world = World::new(&manners, rollout::Strategy::default_for(300), seed);
            world.run_out(Duration::from_hours(3));
            assert!(world.broken() <= 4, "{manner:?}: {}", world.broken());
            assert_eq!(
                world.rollout.state,
                State::Ended {
                    how: Ended::RolledBack
                },
                "{manner:?}"
            );
        }
    }
}

#[test]
fn one_change_that_moves_many_is_one_rollout_and_a_bad_content_breaks_its_canary_alone() {
    for manner in [Manner::Lies, Manner::Refuses, Manner::GoesDark, Manner::Dies] {
        let mut world = World::of_two_groups(&[manner; 200], rollout::Strategy::default_for(200), 1);
        world.move_agents(0..200);
        world.run(Duration::from_mins(40));
        assert_eq!((world.moves_begun(), world.broken()), (1, 1), "{manner:?}");
    }
}

#[test]
fn a_group_of_one_that_fails_is_brought_back() {
    let mut world = World::new(&[Manner::Lies], rollout::Strategy::default_for(1), 1);
    world.run(Duration::from_mins(10));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::RolledBack
        }
    );
    assert!(world.everybody_runs_the_base_and_is_well());
}

#[test]
fn everybody_at_once_reaches_everybody_and_brings_back_only_who_failed() {
    let manners: Vec<_> = (0..50)
        .map(|number| if number < 5 { Manner::Refuses } else { Manner::Well })
        .collect();
    let mut world = World::new(&manners, rollout::Strategy::all_at_once(), 1);
    world.run(Duration::from_mins(1));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
    let back = world
        .members
        .values()
        .filter(|member| member.failure().is_some())
        .count();
    assert_eq!(back, 5);
}

#[test]
fn with_everybody_offline_a_rollout_waits_and_begins_with_the_canary() {
    let mut world = World::new(&[Manner::Offline(600); 30], strategy("1 for 60s; all"), 1);
    world.run(Duration::from_mins(9));
    assert_eq!(world.rollout.state, State::Running { stage: 0 });
    assert_eq!(world.released(), 0);
    world.run(Duration::from_secs(70));
    assert_eq!(world.released(), 1, "only the canary");
    world.run_out(Duration::from_hours(3));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
}

#[test]
fn who_is_offline_holds_nobody_up_and_catches_up() {
    let manners: Vec<_> = (0..20)
        .map(|number| {
            if number < 4 {
                Manner::Offline(3000)
            } else {
                Manner::Well
            }
        })
        .collect();
    let mut world = World::new(&manners, strategy("1 for 30s; 50% for 30s; all for 30s"), 1);
    world.run(Duration::from_mins(45));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
    world.run(Duration::from_mins(10));
    assert!(world.everybody_runs_the_target());
}

#[test]
fn an_agent_that_takes_five_minutes_is_waited_for_and_one_that_takes_an_hour_pauses_the_rollout() {
    let mut world = World::new(&[Manner::Slow(300); 4], strategy("1 for 30s; all"), 1);
    world.run_out(Duration::from_hours(1));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
    let mut world = World::new(&[Manner::Slow(3600); 4], strategy("1 for 30s; all"), 1);
    world.run(Duration::from_mins(20));
    let why = Pause::Expired { agents: 1 };
    assert_eq!(world.rollout.state, State::Paused { stage: 0, why });
}

#[test]
fn an_agent_that_dies_three_minutes_after_it_applied_is_noticed_within_the_canarys_soak() {
    let mut world = World::new(
        &[Manner::DiesAfter(170); 50],
        rollout::Strategy::default_for(50),
        1,
    );
    world.run_out(Duration::from_hours(1));
    assert_eq!((world.broken(), world.released()), (1, 1));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::RolledBack
        }
    );
}

#[test]
fn agents_that_poll_every_five_minutes_are_neither_dark_nor_left_behind() {
    let mut world = World::new(&[Manner::Polls; 6], strategy("1 for 60s; all for 60s"), 1);
    world.run_out(Duration::from_hours(3));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
    assert!(world.everybody_runs_the_target());
}

#[test]
fn a_failure_of_an_older_content_that_arrives_late_says_nothing_about_the_new_one() {
    let mut world = World::new(&[Manner::Well; 10], strategy("1 for 60s; all for 30s"), 1);
    world.run(Duration::from_secs(10));
    for number in 0..10 {
        world.say_failed_with_something_older(number);
    }
    world.run_out(Duration::from_hours(1));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
}

#[test]
fn when_the_rollbacks_target_fails_too_that_is_told_and_left() {
    let mut world = World::new(&[Manner::Lies; 3], strategy("1 for 60s; all for 30s"), 1);
    world.base_fails_too = true;
    world.run_out(Duration::from_hours(1));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::RolledBack
        }
    );
    let left = world.members.values().filter(|member| {
        matches!(
            &member.phase,
            Phase::RolledBack {
                restored: Restored::FailedToo { .. },
                ..
            }
        )
    });
    assert_eq!(left.count(), 1);
}

#[test]
fn an_agent_that_leaves_in_the_middle_holds_nobody_up() {
    let mut world = World::new(&[Manner::Slow(200); 8], strategy("1 for 60s; all for 30s"), 1);
    world.run(Duration::from_secs(20));
    let canary = world.released_agents()[0];
    world.archive(canary);
    world.run_out(Duration::from_hours(2));
    // Nobody proved the content in the first stage, and nobody is left in it.
    assert!(
        matches!(
            world.rollout.state,
            State::Ended {
                how: Ended::Succeeded
            }
        ),
        "{:?}",
        world.rollout.state
    );
}

#[test]
fn an_operators_retry_tries_a_failed_agent_again_and_nothing_else_does() {
    let mut strategy = strategy("all for 10s");
    strategy.on_failure = OnFailure::Pause;
    let mut world = World::new(&[Manner::Refuses, Manner::Well, Manner::Well], strategy, 1);
    world.run(Duration::from_mins(10));
    assert!(
        matches!(
            world.rollout.state,
            State::Paused {
                why: Pause::Failures { .. },
                ..
            }
        ),
        "{:?}",
        world.rollout.state
    );
    let offers = world.offers(0);
    world.act(&Act::Resume);
    world.run(Duration::from_mins(10));
    assert_eq!(world.offers(0), offers, "not by itself");
    world.mend(0);
    world.act(&act(2));
    world.run(Duration::from_mins(10));
    assert!(world.everybody_runs_the_target());
}

#[test]
fn promoting_passes_the_stage_and_still_keeps_the_budget() {
    let mut world = World::new(&[Manner::Slow(250); 30], strategy("1 for 30m; all for 5s"), 1);
    world.run(Duration::from_secs(30));
    world.act(&Act::Promote);
    world.run(Duration::from_mins(5));
    assert_eq!(world.rollout.state, State::Running { stage: 1 });
}

#[test]
fn a_jump_of_the_clock_makes_nobody_dark() {
    let mut world = World::new(&[Manner::Well; 30], strategy("1 for 60s; all for 30s"), 1);
    world.run(Duration::from_secs(100));
    world.jump(Duration::from_hours(24 * 365));
    world.run_out(Duration::from_hours(2));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
}
