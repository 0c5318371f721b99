//! What may go wrong in targeting, rendering and rollouts, each with the test that shows what then happens. Packages,
//! backups and windows bring their own cases.
//!
//! Targeting and rendering:
//!
//! | case | tests |
//! |---|---|
//! | empty selector | `publish::empty_and_ambiguous_selectors_are_refused_with_the_question`, `fleet::selector::tests::an_empty_selector_is_refused` |
//! | a pattern that would backtrack | `selectors::a_pattern_that_would_backtrack_is_answered_for_the_longest_values`, `fleet::selector::tests::a_pattern_can_not_backtrack_grow_or_escape_its_anchors` |
//! | a label renamed during a rollout | `rollouts::changes::nobody_changes_groups_in_the_middle_of_a_rollout_and_afterwards_they_move_with_what_they_have` |
//! | two groups of equal priority | `fleet::group::tests::two_groups_of_equal_priority_are_a_tie_that_the_name_settles` |
//! | a layer that removes a component which another uses | `rendering::a_layer_that_removes_a_component_which_another_layers_pipeline_uses_is_refused_at_its_line` |
//! | a variable missing for 1 of 200 agents | `rendering::a_variable_missing_for_1_of_200_agents_blocks_and_names_it` |
//! | two operators saving at once | `admin::uploads::of_two_operators_saving_at_once_one_is_saved_and_the_other_is_told`, `publish::of_two_operators_saving_at_once_the_second_is_told` |
//! | deleting a group that has members | `publish::a_group_that_has_members_is_deleted_only_when_that_is_said_and_then_nothing_is_sent` |
//! | the last layer removed | `publish::removing_the_last_layer_becomes_a_hold_and_adding_it_again_publishes_nothing`, `rollouts::cases::removing_the_last_layer_in_the_middle_ends_the_rollout_in_a_hold_and_blanks_nobody` |
//! | remote config capability withdrawn | `publish::an_agent_whose_capability_was_withdrawn_is_shown_as_blocked`, `rollouts::cases::an_agent_whose_remote_config_capability_is_withdrawn_is_blocked_and_holds_nobody_up` |
//! | a component that the agent lacks | `fleet::target::impact::tests::a_component_that_an_agent_lacks_is_named_and_must_be_confirmed`, `fleet::config::lint::tests::a_component_that_the_agents_lack_is_named` |
//! | a body over the message limit | `rendering::a_body_over_the_message_limit_is_refused_before_anybody_gets_it` |
//! | bytes that aren't UTF-8 | `admin::uploads::bytes_that_are_not_utf_8_are_refused_by_the_api_and_the_page_and_nothing_is_saved`, `failure_cases::bytes_that_are_not_utf_8_are_refused_by_the_command_line_with_the_name_of_the_file` |
//! | anchors and merge keys | `rendering::anchors_and_merge_keys_keep_their_meaning_across_layers` |
//! | duplicate keys | `rendering::a_config_with_duplicate_keys_is_refused_when_it_is_saved`, `fleet::config::merge::tests::duplicate_keys_and_bytes_that_are_no_text_are_told_with_their_layer` |
//! | a 10 MB config | `admin::uploads::a_10_mb_config_is_refused_by_the_api_and_the_page_with_the_limit`, `failure_cases::a_10_mb_config_is_refused_by_the_command_line_with_the_limit`, `rendering::a_10_mb_config_is_refused_when_it_is_saved` |
//!
//! Rollouts:
//!
//! | case | tests |
//! |---|---|
//! | killed between durable write and send | `rollouts::cases::a_kill_between_the_durable_write_and_the_send_loses_nothing_and_sends_it_once`, `rollouts::a_kill_in_the_middle_of_a_stage_resumes_and_tells_nobody_twice` |
//! | FAILED for an older hash arriving in the new stage | `rollouts::cases::a_failed_for_an_older_hash_that_arrives_in_the_new_stage_fails_nobody`, `rollout_laws::cases::a_failed_for_an_older_hash_that_arrives_in_each_stage_fails_nobody` |
//! | the rollback's target failing too | `rollouts::cases::when_the_rollbacks_target_fails_too_that_is_told_and_nothing_more_is_sent`, `rollout_laws::when_the_rollbacks_target_fails_too_that_is_told_and_left` |
//! | an agent upgraded in the middle | `rollouts::changes::an_agent_that_is_upgraded_in_the_middle_of_a_rollout_doesnt_fail_for_its_restart`, `rollouts::changes::an_agent_that_takes_no_configurations_after_an_upgrade_holds_nobody_up` |
//! | an agent re-keyed in the middle | `rollouts::changes::an_agent_that_is_re_keyed_in_the_middle_of_a_rollout_is_given_the_same_and_proves_it_anew`, `rollouts::changes::an_agent_that_is_re_keyed_before_its_turn_is_given_what_it_had` |
//! | an agent re-labelled in the middle | `rollouts::changes::an_agent_that_is_re_labelled_in_the_middle_of_a_rollout_is_sent_what_was_frozen` |
//! | an agent put away in the middle | `rollouts::changes::an_agent_that_is_archived_and_restored_in_the_middle_of_a_rollout_has_its_turn` |
//! | a group deleted in the middle | `rollouts::changes::a_group_that_is_deleted_in_the_middle_of_a_rollout_ends_it_and_hosts_keep_what_they_run` |
//! | an agent that moves while its old group is published to | `rollouts::changes::an_agent_that_moves_while_its_old_group_is_published_to_waits_for_its_turn_in_the_new` |
//! | skewed clocks | `rollout_laws::cases::agents_with_skewed_clocks_are_judged_as_any_others`, `rollout_laws::a_jump_of_the_clock_makes_nobody_dark` |
//! | a group of one | `rollout_laws::a_group_of_one_that_fails_is_brought_back` |
//! | everybody offline | `rollout_laws::with_everybody_offline_a_rollout_waits_and_begins_with_the_canary` |
//! | the Supervisor reporting APPLIED for the old hash after its own rollback | `rollouts::a_supervisor_that_reports_applied_for_the_old_hash_after_its_own_rollback_is_told_nothing_more` |
//! | no metrics for the throughput gate | `rollouts::cases::without_metrics_the_throughput_gate_is_shown_as_skipped_and_holds_nobody_up` |
//! | a collector that dies three minutes after APPLIED | `rollout_laws::an_agent_that_dies_three_minutes_after_it_applied_is_noticed_within_the_canarys_soak` |
//! | duplicated and reordered reports | `rollout_laws::cases::duplicated_and_reordered_reports_change_nothing_about_how_a_rollout_ends`, `rollout_laws::cases::duplicated_and_reordered_reports_never_make_a_rollout_exceed_its_budget` |
//! | HTTP agents that poll every five minutes | `rollout_laws::agents_that_poll_every_five_minutes_are_neither_dark_nor_left_behind`, `rollout_laws::cases::agents_that_poll_every_five_minutes_and_refuse_stop_a_rollout_with_the_canary` |
//! | a second publish | `rollouts::a_second_publication_is_refused_queued_or_takes_the_firsts_place` |
//! | an operator's retry on a failed hash | `rollouts::cases::an_operators_retry_offers_a_failed_hash_once_more_and_nothing_else_does`, `rollout_laws::an_operators_retry_tries_a_failed_agent_again_and_nothing_else_does` |
//!
//! What must survive, as far as it concerns them:
//!
//! | case | tests |
//! |---|---|
//! | SIGKILL at any time | `store::kill::nothing_acknowledged_is_lost_to_a_kill`, `rollout_laws::neither_do_operators_or_kills_of_the_engine_make_it_exceed_its_budget` |
//! | power loss | `store::failing::a_power_cut_loses_nothing_acknowledged`, `store::failing::a_disk_that_lies_about_syncs_is_caught_by_this_very_test` |
//! | flipped bits in intent | `store::row::tests::every_flipped_bit_is_noticed`, `store::a_changed_row_is_noticed_and_named`, `publish::a_published_content_that_is_lost_holds_its_agents` |
//! | two servers on one folder | `store::a_second_opener_is_refused_by_the_name_of_the_first` |
//! | a restart with a converged fleet | `conformance::s09_remote_config::t_07_a_restart_of_the_server_offers_nothing_to_a_converged_fleet`, `fleet::agent::presence::tests::after_a_start_nobody_is_called_offline_before_one_threshold_has_passed` |
//! | loss and half-open connections | `rollout_laws::a_rollout_never_exceeds_its_budget_and_nobody_flaps`, `rollout_laws::who_is_offline_holds_nobody_up_and_catches_up` |
//! | a jump of the server's clock | `rollout_laws::a_jump_of_the_clock_makes_nobody_dark` |
//! | a bad push | `rollout_laws::a_content_that_kills_every_agent_breaks_at_most_the_first_stage`, `rollout_laws::a_content_that_kills_a_third_of_the_hosts_breaks_at_most_one_percent_and_one`, `rollout_laws::a_rollout_that_rolls_back_leaves_everybody_healthy_on_what_they_had` |
//! | a store that went back in time | `fleet::agent::observe::tests::a_hash_from_the_future_of_this_store_holds_the_agent`, `publish::while_the_fleet_is_held_nothing_is_offered_and_contents_are_kept` |
//! | an upgrade, a downgrade | `publish::upgrading_the_binary_offers_nothing`, `fleet::config::merge::tests::upgrading_the_binary_renders_nothing_anew`, `store::a_newer_schema_is_refused_and_left_untouched` |
//! | a panicking task | `app::tasks::tests::a_panic_in_a_critical_task_names_the_task` |

use std::path::Path;

use crate::verbs::{GOOD, Host};

/// How many cases there are. A row that gets lost is noticed.
const CASES: usize = 46;

/// Whether a test of that path stands in the source: a function with the attribute of a test, not just a name.
fn is_test(path: &str) -> bool {
    let (module, name) = path.rsplit_once("::").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests/it", "src"].into_iter().flat_map(|folder| {
        // A module of tests may stand in the file that it tests.
        let beside = module.strip_suffix("::tests").unwrap_or(module);
        [module, beside].map(|module| {
            root.join(folder)
                .join(format!("{}.rs", module.replace("::", "/")))
        })
    });
    files
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .any(|text| declares(&text, name))
}

/// Whether a source declares a test of that name.
fn declares(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let (plain, waiting) = (format!("fn {name}("), format!("async fn {name}("));
    lines.iter().enumerate().any(|(at, line)| {
        (line.starts_with(&plain) || line.starts_with(&waiting))
            && lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with("#["))
                .any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_case_names_tests_that_there_are() {
    let rows = include_str!("failure_cases.rs").lines();
    let rows = rows.filter(|line| line.starts_with("//! | ") && !line.starts_with("//! | case"));
    let mut cases = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        assert_eq!(cells.len(), 4, "{row}");
        let mut named = cells[2].split('`').skip(1).step_by(2).peekable();
        assert!(named.peek().is_some(), "{row}");
        for path in named {
            assert!(is_test(path), "{path} is no test, of the case{}", cells[1]);
        }
        cases += 1;
    }
    assert_eq!(cases, CASES);
}

#[test]
fn a_name_alone_is_no_test() {
    let source = "#[tokio::test]\n#[cfg(unix)]\nasync fn shown() {}\n\nfn helper() {}\n// fn said() {}\n";
    assert!(declares(source, "shown"));
    for name in ["helper", "said", "show", "gone"] {
        assert!(!declares(source, name), "{name}");
    }
    assert!(!is_test("failure_cases::is_test"));
}

#[tokio::test]
async fn a_10_mb_config_is_refused_by_the_command_line_with_the_limit() {
    let host = Host::start();
    let big = format!("{GOOD}# {}\n", "x".repeat(10 << 20));
    std::fs::write(host.path().join("big.yaml"), &big).unwrap();
    std::fs::write(host.path().join("good.yaml"), GOOD).unwrap();
    host.ok(&["configs", "create", "base", "-f", "good.yaml"]).await;
    for arguments in [
        ["configs", "create", "big", "-f", "big.yaml"],
        ["configs", "save", "base", "-f", "big.yaml"],
    ] {
        let said = host.run(&arguments).await;
        assert_ne!(said.code, 0, "{arguments:?}");
        assert!(said.err.contains("at most 983040 bytes"), "{}", said.err);
        assert!(said.err.contains("big.yaml"), "{}", said.err);
        assert!(said.err.len() < 500, "it is not shown itself");
    }
    // A folder is refused before anything of it is sent.
    let folder = host.path().join("folder/configs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("good.yaml"), GOOD).unwrap();
    std::fs::write(folder.join("big.yaml"), &big).unwrap();
    let said = host.run(&["apply", "folder"]).await;
    assert_ne!(said.code, 0);
    assert!(
        said.err.contains("configs/big.yaml: a configuration has at most"),
        "{}",
        said.err
    );
    let listed = host.json(&["configs", "list", "--json"]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_refused_by_the_command_line_with_the_name_of_the_file() {
    let host = Host::start();
    std::fs::write(host.path().join("odd.yaml"), b"a: \xff\n").unwrap();
    let said = host.run(&["configs", "create", "odd", "-f", "odd.yaml"]).await;
    assert_ne!(said.code, 0);
    assert!(said.err.contains("odd.yaml is not UTF-8 text"), "{}", said.err);
}
