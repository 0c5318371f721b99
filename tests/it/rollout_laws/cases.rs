//! What goes wrong around a rollout, in virtual time: clocks, and a network that repeats and turns round what is said.

use super::*;

const YEAR: i64 = 365 * 24 * 60 * 60;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// The budget and that nobody flaps are held by the world after every tick.
    #[test]
    fn duplicated_and_reordered_reports_change_nothing_about_how_a_rollout_ends(
        slow in proptest::collection::vec(prop_oneof![Just(Manner::Well), (5_u64..200).prop_map(Manner::Slow)], 1..30),
        strategy in strategies(),
        doubled in 0_u8..60,
        late in 0_u8..60,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&slow, strategy, seed);
        (world.doubled_percent, world.late_percent) = (doubled, late);
        world.run_out(Duration::from_hours(6));
        (world.doubled_percent, world.late_percent) = (0, 0);
        world.run(Duration::from_mins(20));
        prop_assert_eq!(&world.rollout.state, &State::Ended { how: Ended::Succeeded });
        prop_assert!(world.everybody_runs_the_target());
    }

    #[test]
    fn duplicated_and_reordered_reports_never_make_a_rollout_exceed_its_budget(
        manners in proptest::collection::vec(manner(), 1..30),
        strategy in strategies(),
        doubled in 0_u8..60,
        late in 0_u8..60,
        loss in 0_u8..20,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&manners, strategy, seed);
        (world.doubled_percent, world.late_percent, world.loss_percent) = (doubled, late, loss);
        world.run(Duration::from_mins(40));
    }

    #[test]
    fn agents_with_skewed_clocks_are_judged_as_any_others(
        skews in proptest::collection::vec(-30 * YEAR..100 * YEAR, 1..20),
        broken in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let manner = if broken { Manner::Lies } else { Manner::Well };
        let mut world = World::new(&vec![manner; skews.len()], strategy("1 for 60s; all for 30s"), seed);
        for (number, seconds) in skews.into_iter().enumerate() {
            world.skew(number, seconds);
        }
        world.run_out(Duration::from_hours(6));
        let how = if broken { Ended::RolledBack } else { Ended::Succeeded };
        prop_assert_eq!(&world.rollout.state, &State::Ended { how });
        prop_assert!(world.broken() <= 1);
    }
}

#[test]
fn agents_that_poll_every_five_minutes_and_refuse_stop_a_rollout_with_the_canary() {
    let mut world = World::new(
        &[Manner::PollsAndRefuses; 6],
        strategy("1 for 60s; all for 60s"),
        1,
    );
    world.run_out(Duration::from_hours(6));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::RolledBack
        }
    );
    assert_eq!((world.broken(), world.released()), (1, 1));
}

#[test]
fn a_failed_for_an_older_hash_that_arrives_in_each_stage_fails_nobody() {
    let mut world = World::new(
        &[Manner::Slow(40); 10],
        strategy("1 for 60s; 50% for 30s; all for 30s"),
        1,
    );
    for stage in 0..3 {
        while world.rollout.state != (State::Running { stage }) {
            world.run(Duration::from_secs(5));
            assert!(!world.rollout.is_ended());
        }
        for number in 0..10 {
            world.say_failed_with_something_older(number);
        }
    }
    world.run_out(Duration::from_hours(1));
    assert_eq!(
        world.rollout.state,
        State::Ended {
            how: Ended::Succeeded
        }
    );
    assert!(world.everybody_runs_the_target());
}
