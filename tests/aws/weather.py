"""Which weather each adapter for Amazon meets, and the test that lets it loose; or why it cannot come there.

``FILE::TEST`` under tests/aws, or ``NEVER`` and the reason. test_weather_table holds that no cell is missing and that every test is there.
"""

from collections.abc import Mapping

NEVER = "never: "
_READS = f"{NEVER}it writes nothing"
_NO_DEFINITION = f"{NEVER}nothing that it puts back refers to a task definition"
_NO_IMAGE = f"{NEVER}no image is pulled"
_NO_BREAKER = f"{NEVER}what it writes is rolled back by nobody but people, which is another writer"
_NO_COUNTS = f"{NEVER}it reads no metrics"
_NO_SNAPSHOT = f"{NEVER}it restores nothing"
_NO_QUEUE = f"{NEVER}its writes wait for no other's"

WEATHER: Mapping[str, Mapping[str, str]] = {
    "the reply is lost after the write": {
        "ecs": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "alb": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "route53": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "appconfig": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "rds": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "cloudwatch": _READS,
    },
    "the write is done after the time-out and our first look": {
        "ecs": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "alb": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "route53": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "appconfig": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "rds": "test_weather::test_a_write_without_an_answer_is_sent_once_and_found_when_it_is_done",
        "cloudwatch": _READS,
    },
    "throttled at every call": {
        "ecs": "test_weather::test_a_call_that_is_throttled_once_is_asked_again_and_the_rollback_ends",
        "alb": "test_weather::test_a_call_that_is_throttled_once_is_asked_again_and_the_rollback_ends",
        "route53": "test_weather::test_a_call_that_is_throttled_once_is_asked_again_and_the_rollback_ends",
        "appconfig": "test_weather::test_a_call_that_is_throttled_once_is_asked_again_and_the_rollback_ends",
        "rds": "test_weather::test_a_call_that_is_throttled_once_is_asked_again_and_the_rollback_ends",
        "cloudwatch": "test_cloudwatch_services::test_a_call_that_is_throttled_or_expired_once_is_asked_again",
    },
    "denied at every call": {
        "ecs": "test_weather::test_a_call_that_is_denied_is_named_with_its_permission_and_nothing_is_written_twice",
        "alb": "test_weather::test_a_call_that_is_denied_is_named_with_its_permission_and_nothing_is_written_twice",
        "route53": "test_weather::test_a_call_that_is_denied_is_named_with_its_permission_and_nothing_is_written_twice",
        "appconfig": "test_weather::test_a_call_that_is_denied_is_named_with_its_permission_and_nothing_is_written_twice",
        "rds": "test_weather::test_a_call_that_is_denied_is_named_with_its_permission_and_nothing_is_written_twice",
        "cloudwatch": "test_cloudwatch_services::test_a_call_that_is_denied_is_named_and_no_number_is_made_of_it",
    },
    "an expired token": {
        "ecs": "test_weather::test_a_token_that_expires_at_the_write_is_renewed_and_the_write_done_once",
        "alb": "test_weather::test_a_token_that_expires_at_the_write_is_renewed_and_the_write_done_once",
        "route53": "test_weather::test_a_token_that_expires_at_the_write_is_renewed_and_the_write_done_once",
        "appconfig": "test_weather::test_a_token_that_expires_at_the_write_is_renewed_and_the_write_done_once",
        "rds": "test_weather::test_a_token_that_expires_at_the_write_is_renewed_and_the_write_done_once",
        "cloudwatch": "test_cloudwatch_services::test_a_call_that_is_throttled_or_expired_once_is_asked_again",
    },
    "credentials of the wrong account": {
        "ecs": "test_weather::test_credentials_of_another_account_write_nothing",
        "alb": "test_weather::test_credentials_of_another_account_write_nothing",
        "route53": "test_weather::test_credentials_of_another_account_write_nothing",
        "appconfig": "test_weather::test_credentials_of_another_account_write_nothing",
        "rds": "test_weather::test_credentials_of_another_account_write_nothing",
        "cloudwatch": f"{NEVER}it only reads: metrics that the account does not have are no data, and the doctor enters every account",
    },
    "what it is about is gone or draining": {
        "ecs": "test_ecs_weather::test_a_service_on_its_way_out_is_left_alone",
        "alb": "test_weather::test_what_is_taken_away_after_the_plan_gets_no_write",
        "route53": "test_weather::test_what_is_taken_away_after_the_plan_gets_no_write",
        "appconfig": "test_weather::test_what_is_taken_away_after_the_plan_gets_no_write",
        "rds": "test_weather::test_what_is_taken_away_after_the_plan_gets_no_write",
        "cloudwatch": "test_cloudwatch_services::test_a_service_that_cannot_be_found_takes_no_other_with_it",
    },
    "the definition is deleted": {
        "ecs": "test_ecs_weather::test_a_definition_that_is_taken_out_of_use_after_the_plan_is_refused",
        "alb": _NO_DEFINITION,
        "route53": _NO_DEFINITION,
        "appconfig": "test_appconfig::test_a_version_that_was_deleted_is_not_gone_back_to",
        "rds": _NO_DEFINITION,
        "cloudwatch": _NO_DEFINITION,
    },
    "the image is gone": {
        "ecs": "test_ecs_weather::test_an_image_that_cannot_be_pulled_fails_fast",
        "alb": _NO_IMAGE,
        "route53": _NO_IMAGE,
        "appconfig": _NO_IMAGE,
        "rds": _NO_IMAGE,
        "cloudwatch": _NO_IMAGE,
    },
    "the breaker rolls us back": {
        "ecs": "test_ecs_weather::test_a_breaker_that_rolls_us_back_is_the_end_of_it",
        "alb": _NO_BREAKER,
        "route53": _NO_BREAKER,
        "appconfig": "test_appconfig::test_a_deployment_of_ours_that_is_taken_back_is_not_called_done",
        "rds": _NO_BREAKER,
        "cloudwatch": _READS,
    },
    "no capacity": {
        "ecs": "test_ecs_weather::test_a_lack_of_capacity_is_told_in_the_words_of_ecs",
        "alb": "test_alb::test_a_good_group_that_could_not_carry_it_gets_nothing",
        "route53": "test_route53::test_an_alias_does_not_go_back_to_a_load_balancer_without_targets",
        "appconfig": f"{NEVER}flags take none",
        "rds": "test_rds::test_what_rds_cannot_do_is_final",
        "cloudwatch": "test_cloudwatch_weather::test_throttling_is_transient_and_leaves_nothing_behind",
    },
    "edited by somebody meanwhile": {
        "ecs": "test_ecs_weather::test_another_deployment_of_the_same_release_stops_us",
        "alb": "test_alb_weather::test_a_listener_that_is_edited_before_the_write_is_sent_again_is_left_alone",
        "route53": "test_route53_weather::test_a_record_that_is_changed_after_the_last_look_is_left_alone",
        "appconfig": "test_appconfig::test_a_deployment_of_somebody_between_plan_and_write_is_never_overwritten",
        "rds": "test_rds::test_one_that_appears_under_that_name_while_it_is_ordered_is_refused_unless_it_carries_our_tag",
        "cloudwatch": _READS,
    },
    "the good group is empty": {
        "ecs": "test_ecs_weather::test_a_service_that_ecs_calls_done_is_not_done_before_its_targets_are_healthy",
        "alb": "test_alb_weather::test_a_group_that_loses_its_targets_under_the_traffic_has_failed",
        "route53": "test_route53::test_an_alias_does_not_go_back_to_a_load_balancer_without_targets",
        "appconfig": f"{NEVER}flags are served by no group",
        "rds": f"{NEVER}a side instance serves nobody",
        "cloudwatch": "test_cloudwatch_services::test_a_place_that_cannot_be_found_is_a_fault_with_what_to_write",
    },
    "protected, or owned by somebody else": {
        "ecs": "test_ecs::test_a_service_of_codedeploy_is_refused_with_the_exact_command",
        "alb": "test_alb::test_what_a_deployer_of_ecs_owns_is_refused_with_its_command",
        "route53": "test_route53_weather::test_a_protected_name_is_given_to_people",
        "appconfig": "test_appconfig::test_a_part_of_a_deployment_that_is_under_way_is_refused_with_the_command",
        "rds": "test_rds::test_a_member_of_a_cluster_is_refused_with_the_command_of_a_person",
        "cloudwatch": _READS,
    },
    "busy with another change": {
        "ecs": "test_ecs_weather::test_a_rollback_by_ecs_between_plan_and_apply_leaves_nothing_to_send",
        "alb": _NO_QUEUE,
        "route53": "test_route53_weather::test_a_zone_that_stays_busy_took_nothing",
        "appconfig": "test_appconfig::test_a_deployment_of_somebody_since_the_read_before_our_write_is_refused",
        "rds": "test_rds::test_what_rds_cannot_do_is_final",
        "cloudwatch": _READS,
    },
    "GetMetricData is partial or empty": {
        "ecs": _NO_COUNTS,
        "alb": "test_alb_counts::test_cloudwatch_without_an_answer_is_given_five_minutes",
        "route53": _NO_COUNTS,
        "appconfig": _NO_COUNTS,
        "rds": _NO_COUNTS,
        "cloudwatch": "test_cloudwatch_weather::test_a_metric_that_is_not_whole_is_a_fault_of_its_workload_alone",
    },
    "the snapshot cannot be restored": {
        "ecs": _NO_SNAPSHOT,
        "alb": _NO_SNAPSHOT,
        "route53": _NO_SNAPSHOT,
        "appconfig": _NO_SNAPSHOT,
        "rds": "test_rds::test_what_rds_cannot_do_is_final",
        "cloudwatch": _NO_SNAPSHOT,
    },
}
