"""Rows whose proof takes real processes for a minute: they are proven once, where those are played. Each name is that of a test in this file."""

from collections.abc import Mapping

_KILLED, _WEATHER, _REPLICAS = "tests/crash/test_killed.py", "tests/crash/test_weather.py", "tests/replicas/test_replicas.py"

ELSEWHERE: Mapping[int, tuple[str, ...]] = {
    1: (f"{_KILLED}::test_nothing_is_written_without_a_durable_intent",),
    2: (
        f"{_KILLED}::test_a_daemon_that_dies_before_the_write_leaves_it_to_the_next",
        f"{_WEATHER}::test_a_daemon_that_wakes_after_its_claim_has_passed_never_writes_over_what_came_meanwhile",
    ),
    3: (f"{_KILLED}::test_a_write_that_was_accepted_is_found_and_not_repeated",),
    4: (
        f"{_WEATHER}::test_the_moment_by_which_a_target_has_to_be_complete_is_not_moved_by_a_crash",
        f"{_WEATHER}::test_the_moment_at_which_verification_gives_up_is_not_moved_by_a_crash",
    ),
    6: (
        f"{_WEATHER}::test_a_daemon_asked_to_stop_while_a_command_runs_ends_that_step_and_begins_no_other",
        f"{_WEATHER}::test_a_daemon_asked_to_stop_while_it_settles_does_so_at_once_and_the_next_finishes",
    ),
    7: (
        f"{_WEATHER}::test_a_daemon_that_wakes_after_its_claim_has_passed_claims_anew_before_it_writes",
        f"{_WEATHER}::test_a_write_that_was_under_way_during_the_freeze_loses_to_what_came_meanwhile",
    ),
    8: (
        f"{_WEATHER}::test_a_step_on_which_three_daemons_died_is_given_up_and_given_to_people",
        "tests/controller/test_deaths.py::test_what_killed_three_lives_is_held_by_the_fourth_and_told",
    ),
    16: (
        f"{_REPLICAS}::test_one_that_wakes_up_after_its_claim_writes_nothing",
        f"{_REPLICAS}::test_a_write_that_arrives_after_its_claim_meets_the_precondition_of_the_target",
    ),
    41: (
        f"{_WEATHER}::test_on_a_full_disk_a_breach_is_judged_and_nothing_is_opened_or_written",
        f"{_WEATHER}::test_on_a_full_disk_no_intent_is_durable_so_nothing_acts",
        f"{_WEATHER}::test_once_there_is_space_the_same_daemon_finishes_by_itself",
    ),
}
