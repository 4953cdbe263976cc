"""Which check has to find which fault, and with which words."""

from __future__ import annotations

from typing import NamedTuple

from .faults_and_checks_datagram import OF_DATAGRAMS
from .faults_and_checks_ws import OF_WEBSOCKET


class Broken(NamedTuple):
    """A fault of `broken/`, a check that has to find it, and words of what the check then says (a regular expression).

    The words make sure that the check fails for this fault and not for something else. `transport` is that of the
    server with the fault.
    """

    fault: str
    check: str
    words: str
    transport: str = "tcp"


_STREAM = (
    ("LeavesTheKindUnchanged", "each_message_of_the_corpus_comes_back_as_its_response", "from byte 3 on"),
    ("EndsPayloadsAtANull", "each_message_of_the_corpus_comes_back_as_its_response", "comes back as its RESPONSE: 32"),
    ("NeedsAWholeHeaderAtOnce", "messages_that_arrive_byte_by_byte_are_answered", "0 of .* bytes came"),
    ("NeedsAWholePayloadAtOnce", "messages_split_at_random_places_are_answered", "split at random"),
    ("AnswersOneMessageAChunk", "messages_glued_into_one_send_are_answered_each", "16 of .* bytes came"),
    ("HasABufferOf64KiB", "every_size_around_the_limits_is_echoed", "a payload of 65521 bytes"),
    ("RefusesTheLongestPayload", "every_size_around_the_limits_is_echoed", "a payload of 1048576 bytes"),
    ("Keeps32BitsOfTheSequence", "sequences_come_back_unchanged", "sequence 0x100000000 comes back unchanged"),
    ("AnswersTheNewestFirst", "a_thousand_pipelined_requests_are_answered_in_order", "in their order"),
    ("ForgetsTheRestOfAShortWrite", "megabytes_pass_in_both_directions_at_the_same_time", "megabytes"),
    ("DropsWhatTheSocketDoesNotTake", "a_pipeliner_that_reads_late_gets_every_reply", "does not read for a while"),
    (
        "ReadsWithoutBound",
        "a_peer_that_reads_nothing_is_at_some_point_not_read_either",
        "bytes from a peer",
    ),
    ("AssumesALargeReceiveSize", "a_small_receive_size_changes_nothing", "--recv-bytes 24"),
    ("IgnoresTheLongestPayloadOption", "the_longest_payload_is_what_the_option_says", "a length of 1,001 ends"),
)

_ENDINGS = (
    ("IgnoresAHalfClose", "after_a_half_close_all_replies_come_and_then_the_end", "0 bytes came and no end"),
    ("EndsWithAReset", "after_a_half_close_large_replies_come_whole", "the connection was cut"),
    ("IgnoresAHalfClose", "a_half_close_without_a_request_ends_the_connection", "0 bytes came and no end"),
    (
        "AnswersAPartAtTheEnd",
        "a_half_close_inside_a_message_drops_that_message",
        "unexpected bytes came",
    ),
    ("JudgesHalfAHeader", "a_header_is_judged_only_when_it_is_whole", "lacks its last byte"),
    ("AcceptsAnyMagic", "a_bad_header_is_refused_and_ends_the_connection", "after a wrong magic"),
    ("AcceptsAnyVersion", "a_bad_header_is_refused_and_ends_the_connection", "after version 0"),
    ("AcceptsAnyOtherKind", "a_bad_header_is_refused_and_ends_the_connection", "after kind 0"),
    ("EndsWithoutAnError", "a_bad_header_is_refused_and_ends_the_connection", "comes one ERROR, found ''"),
    ("SendsTwoErrors", "a_bad_header_is_refused_and_ends_the_connection", "one ERROR and nothing else"),
    ("NamesAnotherSequenceInTheError", "a_bad_header_is_refused_and_ends_the_connection", "carries sequence"),
    ("NamesNoSequenceInTheError", "a_bad_header_is_refused_and_ends_the_connection", "after kind 0 carries sequence"),
    ("GivesNoReason", "a_bad_header_is_refused_and_ends_the_connection", "is short, not 0 bytes"),
    ("GivesALongReason", "a_bad_header_is_refused_and_ends_the_connection", "is short, not"),
    ("GivesAReasonWithALineEnd", "a_bad_header_is_refused_and_ends_the_connection", "printable ASCII"),
    ("GoesOnAfterAnError", "a_bad_header_is_refused_and_ends_the_connection", "came and no end"),
    ("EndsWithAReset", "a_bad_header_is_refused_and_ends_the_connection", "the connection was cut"),
    ("AcceptsOneByteTooMany", "a_length_over_the_limit_is_refused_and_ends_the_connection", "0 bytes came and no end"),
    ("ForgetsRepliesAtABadHeader", "requests_before_a_bad_header_are_answered", "the requests before a wrong magic"),
    ("AnswersWhatIsBehindABadHeader", "requests_behind_a_bad_header_are_not_answered", "one ERROR and nothing else"),
    ("AnswersResponses", "a_response_or_an_error_ends_the_connection_without_a_reply", "a RESPONSE sent to a server"),
    ("SendsAnErrorToResponses", "a_response_or_an_error_ends_the_connection_without_a_reply", "unexpected bytes"),
    ("ClosesWithBytesUnread", "a_peer_that_goes_on_sending_garbage_loses_no_reply", "goes on sending"),
    ("DiscardsForEver", "a_refused_peer_that_does_not_go_is_let_go", "let go after a moment"),
    ("DiesOfGarbage", "the_server_goes_on_after_garbage", "garbage|accepts connections|ended the connection"),
    ("TakesMemoryForAnAnnouncedLength", "an_announced_length_takes_no_memory", "were taken"),
    ("MapsMemoryForAnAnnouncedLength", "an_announced_length_takes_no_memory", "were mapped"),
    ("TimesOutFromTheLastByte", "a_message_that_takes_too_long_ends_its_connection", "dribbles a message"),
    ("TimesOutFromTheFirstPart", "a_stream_of_whole_messages_is_never_timed_out", "always end inside another"),
    (
        "TimesOutWhatItHoldsUpItself",
        "a_message_that_the_server_itself_holds_up_is_not_timed_out",
        "waits for its reader's own replies",
    ),
    ("TimesOutIdleConnections", "a_message_that_takes_too_long_ends_its_connection", "outlives --message-timeout"),
)

_NEIGHBOURS = (
    ("ServesFiftyAtMost", "many_connections_at_once_are_all_answered", "each of 200 connections"),
    ("ServesOneAtATime", "an_idle_peer_stops_nobody", "others that are idle"),
    ("HoldsTheLockInsideAMessage", "a_peer_that_sends_half_a_message_stops_nobody", "others that are half-sent"),
    ("HoldsTheLockInsideAMessage", "a_dribbling_peer_stops_nobody_and_is_answered", "others that are dribbling"),
    (
        "HoldsTheLockWhileItWrites",
        "a_peer_that_never_reads_stops_nobody",
        "are never-reading|never reads is",
    ),
    ("DiesOfAReset", "a_peer_that_resets_stops_nobody", "others that are reset|accepts connections|ended the"),
    (
        "DiesOfAResetInTheListenQueue",
        "a_peer_that_resets_in_the_listen_queue_stops_nobody",
        "reset in the listen queue|accepts connections",
    ),
)

_LIFE = (
    ("SaysNoCode", "the_ready_line_has_every_key", "has code"),
    ("SaysItsPortAsText", "the_ready_line_has_every_key", "port in the ready line"),
    ("SaysAnotherSchema", "the_ready_line_has_every_key", "echobench.server/1"),
    ("SaysAnotherPid", "the_pid_of_the_ready_line_is_the_process", "tells pid"),
    ("SaysTheDefaultSettings", "the_ready_line_echoes_the_effective_settings", "echoes the settings"),
    ("HasAListenQueueOfItsOwn", "the_listen_queue_is_as_long_as_the_backlog", "hold 4 connections, not"),
    ("KeepsTheDescriptorLimit", "the_descriptor_limit_is_raised_as_far_as_it_goes", "limit of descriptors is raised"),
    ("TellsNoDescriptorLimit", "the_descriptor_limit_is_raised_as_far_as_it_goes", "tells the descriptor limit"),
    ("IsReadyTooEarly", "connections_are_served_from_the_ready_line_on", "Connection refused"),
    ("HasAChildInAGroupOfItsOwn", "the_whole_tree_is_in_one_process_group", "is in the root's process group"),
    ("LogsEveryConnection", "nothing_is_said_in_a_normal_life", "nothing is logged"),
    ("LogsEveryReset", "nothing_is_said_in_a_normal_life", "nothing is logged"),
    ("ChattersOnStdout", "nothing_is_said_in_a_normal_life", "not 7 lines"),
    ("ExitsWithOne", "a_stop_signal_ends_it_with_exit_code_0", "after SIGTERM is 0, not 1"),
    ("DiesOfSigterm", "a_stop_signal_ends_it_with_exit_code_0", "after SIGTERM is 0, not -15"),
    ("IgnoresSigint", "a_stop_signal_ends_it_with_exit_code_0", "ends after SIGINT, but it still runs"),
    ("SaysNothingAtTheEnd", "a_stop_signal_ends_it_with_exit_code_0", "the last line on stdout is the stopped line"),
    ("HasAChildThatASignalEnds", "a_terminal_may_signal_the_whole_group", "SIGINT to the whole group is 0, not 1"),
    ("CountsMessagesTwice", "the_stopped_line_counts_exactly", "'messages': 48"),
    ("CountsNoProtocolErrors", "the_stopped_line_counts_exactly", "'protocol_errors': 0"),
    ("CountsNoForeignReplies", "the_stopped_line_counts_exactly", "'protocol_errors': 2"),
    ("CountsConnectionsThatAreThere", "the_stopped_line_counts_exactly", "not {'connections': [01],"),
    ("CountsEndedConnectionsAsAborted", "the_stopped_line_counts_exactly", "'aborted': [1-9]"),
    ("TellsNoCpuTime", "the_stopped_line_tells_what_the_tree_cost", "CPU time of the tree"),
    ("TellsNoSwitches", "the_stopped_line_tells_what_the_tree_cost", "context switches of the tree"),
    ("LeaksADescriptor", "ended_connections_leave_no_process_thread_or_descriptor", "holds no more than with one"),
    ("LeaksAThread", "ended_connections_leave_no_process_thread_or_descriptor", "holds no more than with one"),
    ("LeavesZombies", "ended_connections_leave_no_process_thread_or_descriptor", "holds no more than with one"),
    ("LeavesZombies", "ended_connections_leave_no_zombie", "are reaped without another connection"),
    ("LeavesAChild", "nothing_is_left_when_it_has_ended", "no process is left"),
    ("ForgetsToReuseTheAddress", "the_port_can_be_used_again_at_once", "prints a ready line.*Address already in use"),
    ("LeavesAnOrphanWhenItIsKilled", "a_killed_root_takes_its_tree_along", "takes its whole tree along"),
)

_DRAIN = (
    ("ResetsIdleConnections", "idle_connections_end_in_order", "the connection was cut"),
    ("LeavesIdleConnectionsOpen", "idle_connections_end_in_order", "0 bytes came and no end"),
    ("DropsWhatWasReceived", "requests_that_were_received_are_answered", "received before SIGTERM are answered"),
    ("CutsOffAtOnce", "requests_that_were_held_up_are_answered", "holds up, as nobody|a peer that reads is not"),
    ("ForgetsTheListenQueue", "connections_in_the_listen_queue_are_answered", "wait in the listen queue at SIGTERM"),
    ("DropsWhatWasReceived", "a_peer_that_goes_on_sending_loses_no_reply", "goes on sending after SIGTERM"),
    ("WaitsUntilThePeersEnd", "a_flood_does_not_hold_the_drain", "did not end in"),
    ("LetsPeersInWhileItDrains", "nobody_gets_in_during_a_drain", "refuses new connections"),
    ("WaitsForHalfSentMessages", "a_half_sent_message_does_not_hold_the_drain", "beyond its deadline"),
    ("HasNoDeadline", "a_peer_that_never_reads_is_aborted_at_the_deadline", "ends after SIGTERM, but it still runs"),
    ("CutsOffAtOnce", "a_peer_that_never_reads_is_aborted_at_the_deadline", "not cut off before the deadline"),
    ("CountsNothingAsAborted", "a_peer_that_never_reads_is_aborted_at_the_deadline", "'aborted': 0"),
    ("FailsWhenItCutsOff", "a_peer_that_never_reads_is_aborted_at_the_deadline", "exit code 0, not 1"),
    (
        "IgnoresASecondSignal",
        "a_second_signal_ends_everything_at_once",
        "after a second SIGTERM, but it still runs",
    ),
    ("ExitsWithZeroAtASecondSignal", "a_second_signal_ends_everything_at_once", "exit code 130, not 0"),
    ("LeavesAChildAtASecondSignal", "a_second_signal_ends_everything_at_once", "leaves no process"),
)

_REFUSALS = (
    ("ShowsATraceback", "a_port_in_use_is_refused", "exit code for a port in use .* is 2, not 1"),
    ("TakesAnotherPort", "a_port_in_use_is_refused", "ends by itself, but it still runs"),
    ("SharesItsPort", "a_port_of_another_server_is_refused", "ends by itself, but it still runs"),
    ("TakesAnyModel", "an_unknown_model_or_transport_is_refused", "no-such-model ends by itself, but it still runs"),
    ("ExitsWithOneAtBadUsage", "an_unknown_model_or_transport_is_refused", "unknown model is 2, not 1"),
    ("TakesAnyOption", "a_bad_option_is_refused", "--frobnicate ends by itself, but it still runs"),
    ("ShowsItsWholeUsage", "a_bad_option_is_refused", "answered with one sentence"),
    ("FallsBackToLoopback", "an_address_of_another_machine_is_refused", "192.0.2.1 ends by itself, but it still runs"),
    ("WarnsOfNothing", "listening_beyond_loopback_is_warned_of", "is warned of in one line: ''"),
    (
        "TakesOptionsOfDatagrams",
        "options_of_another_kind_of_transport_are_refused",
        "--recv-buffer 65536 ends by itself",
    ),
    ("TakesOptionsOfOtherModels", "options_that_the_model_does_not_have_are_refused", "--workers 2 ends by itself"),
    (
        "TakesAVariantThatIsNotThere",
        "a_variant_that_the_machine_lacks_is_refused",
        "kqueue ends by itself, but it still",
    ),
    ("FallsBackToIpv4", "each_message_of_the_corpus_comes_back_over_ipv6", "tells the host ::1, not 127.0.0.1"),
    ("TakesIpv6ForTheWorld", "ipv6_loopback_is_served_without_a_warning", "a server on ::1 warns of nothing"),
)

_LIMITS = (
    (
        "IgnoresTheLimitOfConnections",
        "connections_over_the_limit_are_refused",
        "closed at once: 0 bytes came and no end",
    ),
    ("LetsOneTooManyIn", "connections_over_the_limit_are_refused", "closed at once: 0 bytes came and no end"),
    ("LeavesThoseOverTheLimitWaiting", "connections_over_the_limit_are_refused", "closed at once: 0 bytes came and no"),
    ("EndsTheOldestForANewOne", "connections_over_the_limit_are_refused", "closed at once: 0 bytes came and no end"),
    ("DoesNotCountWhomItRefuses", "connections_over_the_limit_are_refused", "'refused': 0"),
    ("CountsAllThatEverCame", "there_is_room_again_when_a_connection_has_ended", "room for another"),
    ("LetsOneTooManyIn", "a_rush_does_not_pass_the_limit", "not 4"),
    (
        "DiesWithoutDescriptors",
        "a_lack_of_descriptors_refuses_only_new_connections",
        "established connections are served|some are answered",  # it may be dead before they ask
    ),
    ("LeavesThemInTheQueueWithoutDescriptors", "a_lack_of_descriptors_refuses_only_new_connections", "and no end"),
    ("GivesItsSpareDescriptorAway", "a_lack_of_descriptors_refuses_only_new_connections", "and no end"),
    ("SpinsWithoutDescriptors", "a_lack_of_descriptors_refuses_only_new_connections", "sleeps while nobody asks"),
    ("NeverRecoversFromALack", "a_lack_of_descriptors_refuses_only_new_connections", "when others have gone"),
    (
        "ComplainsOfALackOfDescriptors",
        "a_lack_of_descriptors_refuses_only_new_connections",
        "nothing is said on stderr",
    ),
)

_OF_STREAMS = (*_STREAM, *_ENDINGS, *_NEIGHBOURS, *_LIFE, *_DRAIN, *_LIMITS, *_REFUSALS)
BROKEN = (
    *(Broken(*row) for row in _OF_STREAMS),
    *(Broken(*row, transport="udp") for row in OF_DATAGRAMS),
    *(Broken(*row, transport="ws") for row in OF_WEBSOCKET),
)
