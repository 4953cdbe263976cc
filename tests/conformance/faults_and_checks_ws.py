"""Which check has to find which fault of a WebSocket server, and with which words; see faults_and_checks.py."""

from __future__ import annotations

_FRAMES = (
    ("WritesLengthsUpTo127InOneByte", "text_and_binary_of_every_length_come_back", "a text message of 126 bytes"),
    ("EchoesTextAsBinary", "text_and_binary_of_every_length_come_back", "a text message of 0 bytes"),
    ("NeedsAWholeFrameAtOnce", "frames_that_arrive_octet_by_octet_are_answered", "arrives octet by octet"),
    ("UnmasksEachPieceFromTheStart", "long_frames_that_arrive_in_chops_are_echoed", "arrives in chops"),
    ("AnswersNoPings", "a_ping_is_answered_with_its_own_bytes", "a ping with 0 bytes is answered"),
    ("AnswersPingsWithoutTheirBytes", "a_ping_is_answered_with_its_own_bytes", "a ping with 1 bytes is answered"),
    ("AnswersPingsLast", "pings_that_arrive_together_are_answered_each", "pings between messages"),
    ("AnswersPongs", "pongs_that_nobody_asked_for_are_ignored", "a pong that nobody asked for is not answered"),
    ("IgnoresReservedBits", "reserved_bits_are_refused", "opcode 1 with reserved bits 1"),
    ("TakesTheBitOfCompression", "reserved_bits_are_refused", "opcode 1 with reserved bits 4"),
    ("AnswersReservedOpcodes", "reserved_opcodes_are_refused", "the reserved opcode 3"),
    ("IgnoresReservedControlFrames", "reserved_opcodes_are_refused", "the reserved opcode 11"),
    ("TakesLongControlFrames", "control_frames_over_125_bytes_are_refused", "with 126 bytes"),
    ("TakesFragmentsOfControlFrames", "control_frames_in_fragments_are_refused", "that is a fragment"),
    ("TakesFramesWithoutAMask", "frames_without_a_mask_are_refused", "without a mask"),
)

_HEADS = (
    *(
        (fault, "what_a_head_gives_away_is_refused_before_the_payload_comes", words)
        for fault, words in (
            ("JudgesFramesWhenTheyAreWhole", "5 bytes of opcode 2 with reserved bits 4 come .* no end"),
            ("JudgesFramesBehindTheirMask", "5 bytes of opcode 2 with reserved bits 4 come .* no end"),
            ("TakesLongControlFrames", "the head of a close frame of 300 bytes come .* no end"),
            ("TakesFramesWithoutAMask", "5 bytes of opcode 2 without a mask come .* no end"),
        )
    ),
    ("JudgesLengthsFirst", "a_bad_head_that_announces_too_much_is_refused_for_what_is_bad", "code 1002, not 1009"),
    ("RefusesTextAtItsEnd", "text_over_the_subprotocol_is_refused_at_its_head", "a text of 5 bytes .* no end"),
    ("TakesLengthsInAnyForm", "a_length_that_is_not_in_its_shortest_form_is_refused", "a length of 0 in 2 bytes"),
    ("TakesLengthsWithTheirTopBit", "a_length_that_is_not_in_its_shortest_form_is_refused", "code 1002, not 1009"),
    (
        "WaitsForAllOfALongMessage",
        "a_length_over_the_limit_is_refused_at_its_head",
        "a frame of 1048577 bytes .* no end",
    ),
    ("LimitsFramesAndNotMessages", "a_length_over_the_limit_is_refused_at_its_head", "a fragment of 1048560 bytes"),
    ("LimitsPingsToTheRoomOfAMessage", "a_ping_in_a_message_that_is_nearly_full_is_answered", "room for 124 bytes"),
)

_FRAGMENTS = (
    ("AnswersEachFragment", "fragments_are_put_together", "in two fragments comes back as one frame"),
    ("ForgetsFragmentsBetweenReads", "fragments_are_put_together", "also when they come one by one"),
    ("NeedsAWholeFrameAtOnce", "fragments_that_arrive_octet_by_octet_are_put_together", "arrive octet by octet"),
    ("TakesAHundredFragments", "a_thousand_fragments_are_put_together", "in a thousand fragments"),
    ("AnswersPingsAfterTheMessage", "a_ping_between_fragments_is_answered_at_once", "before the last fragment"),
    ("TakesAContinuationOfNothing", "a_continuation_of_nothing_is_refused", "a continuation of nothing"),
    ("TakesAMessageInsideAnother", "a_new_message_inside_a_fragmented_one_is_refused", "inside a fragmented message"),
)

_TEXT = (
    ("RefusesNoncharacters", "valid_utf_8_comes_back", "the text '61 ef bf bf 7a' comes back"),
    ("ChecksEachFragmentAlone", "characters_may_be_split_among_fragments_and_reads", "in fragments of one byte"),
    ("ChecksNoText", "invalid_utf_8_is_refused", "after the text '80'"),
    ("TakesSurrogates", "invalid_utf_8_is_refused", "after the text 'ed a0 80'"),
    ("TakesTextThatEndsInsideACharacter", "a_text_that_ends_inside_a_character_is_refused", "a text that ends with"),
    ("ChecksTextAtTheEndOfItsMessage", "invalid_utf_8_in_a_fragment_is_refused_before_the_last", "before the last"),
    ("ChecksTextFrameByFrame", "invalid_utf_8_is_refused_before_its_frame_is_whole", "before its frame has arrived"),
    ("ChecksBinaryLikeText", "binary_may_be_any_bytes", "binary that is no UTF-8"),
)

_CLOSING = (
    ("ForgetsTheReplyToAClose", "a_close_frame_is_answered_with_its_code", "a close frame with 1000 comes"),
    ("AnswersEveryCloseWith1000", "a_close_frame_is_answered_with_its_code", "with code 1001, not 1000"),
    ("RefusesCodesOfPrograms", "a_close_frame_is_answered_with_its_code", "with code 4000, not 1002"),
    ("StaysOpenAfterAClose", "a_close_frame_is_answered_with_its_code", "4 bytes came and no end"),
    ("AnswersEveryCloseWith1000", "an_empty_close_frame_is_answered_with_an_empty_one", "without a code, not 1000"),
    ("TakesReasonsUpTo122Bytes", "a_reason_may_be_up_to_123_bytes_of_utf_8", "a reason of 123 bytes"),
    ("TakesAnyCloseCode", "illegal_close_codes_are_refused", "a close frame with 0 comes"),
    ("TakesCloseCodesAbove4999", "illegal_close_codes_are_refused", "a close frame with 5000 comes"),
    ("TakesHalfACloseCode", "a_close_frame_of_1_or_126_bytes_is_refused", "half a code"),
    ("ReadsNoReason", "a_reason_that_is_no_utf_8_is_refused", "with code 1007, not 1000"),
    ("ForgetsRepliesAtAClose", "what_comes_before_a_close_frame_is_answered", "messages before a close frame"),
    ("AnswersPingsBehindAClose", "what_comes_behind_a_close_frame_is_ignored", "a ping behind it"),
    ("RefusesACloseInsideAMessage", "a_close_frame_inside_a_fragmented_message_is_answered", "not 1002"),
    ("NeedsAWholeFrameAtOnce", "a_close_frame_that_arrives_octet_by_octet_is_answered", "octet by octet"),
)

_MESSAGES = (
    ("EchoesTextOverTheSubprotocol", "text_over_the_subprotocol_is_refused", "after a text over echobench.v1"),
    ("AnswersTheFirstRequestOfAMessage", "a_binary_message_that_is_not_one_request_is_refused", "one byte too long"),
    ("SendsAnErrorMessage", "a_binary_message_that_is_not_one_request_is_refused", "after an empty datagram"),
    ("AnswersEachFragment", "a_request_in_fragments_is_answered_by_one_frame", "a request in fragments"),
    (
        "LimitsFramesAndNotMessages",
        "a_message_of_the_longest_size_is_echoed_and_no_longer_one",
        "fragments that are too long together",
    ),
    (
        "WaitsForAllOfALongMessage",
        "a_message_of_the_longest_size_is_echoed_and_no_longer_one",
        "the head of a frame that is too long",
    ),
    (
        "LimitsRequestsWithTheirHeader",
        "a_message_of_the_longest_size_is_echoed_and_no_longer_one",
        "over echobench.v1 the limit is that of the payload",
    ),
    ("HasRoomFor8MiB", "megabytes_in_one_message_come_back", "16 MiB of binary in one frame"),
)

_OPENING = (
    ("TakesAHundredHeaders", "an_opening_handshake_may_be_written_in_many_ways", "with many headers is accepted"),
    ("KnowsPathsOnly", "an_opening_handshake_may_be_written_in_many_ways", "with a URL is accepted"),
    ("KnowsHostsByNameOnly", "an_opening_handshake_may_be_written_in_many_ways", "with an address as the host"),
    ("TellsHeadersByTheirCase", "an_opening_handshake_may_be_written_in_many_ways", "with names in lower case is"),
    ("KnowsOnlyOneConnectionOption", "an_opening_handshake_may_be_written_in_many_ways", "101, not 'HTTP/1.1 426"),
    ("ProvesNothing", "an_opening_handshake_may_be_written_in_many_ways", "proves that the key was read"),
    ("NegotiatesCompression", "no_extension_is_negotiated", "negotiates no extension"),
    ("SelectsNoSubprotocol", "the_subprotocol_is_selected_where_it_is_offered", "selects the subprotocol echobench.v1"),
    ("SelectsWhateverIsOffered", "the_subprotocol_is_selected_where_it_is_offered", "not chat"),
    ("DropsWhatCameWithTheHandshake", "messages_may_arrive_together_with_the_handshake", "together with the opening"),
    ("NeedsAWholeHandshakeAtOnce", "a_handshake_may_arrive_in_pieces", "arrives in pieces is accepted"),
    *(
        (fault, "every_bad_handshake_is_answered_and_ends_its_connection", words)
        for fault, words in (
            ("LeavesARefusedHandshakeOpen", "a plain GET come an answer and the end: .* no end"),
            ("TakesAnyMethod", "the method POST"),
            ("UpgradesHttp10", "HTTP/1.0"),
            ("TakesAnyVersion", "version 8 of the protocol"),
            ("TellsNoVersion", "and sec-websocket-version: 13"),
            ("TakesAnyKey", "an empty key"),
            ("ReadsHeadersWithoutBound", "more than 8 KiB of headers"),
            ("TellsNoLength", "Content-Length tells"),
            ("SendsABodyToAHead", "the method HEAD is answered with 405 and no body"),
            ("NeedsNoHost", "no Host come .* no end"),
            ("TakesTheFirstOfTwoHosts", "two Hosts come .* no end"),
            ("TakesAnythingForAHost", "the Host two words come .* no end"),
            ("TakesAnythingForAPath", "an opening handshake of the target foo come .* no end"),
            ("TakesAnyNumberOfHeaders", "129 headers come .* no end"),
        )
    ),
    ("AnswersWhatIsBehindABadHandshake", "what_comes_behind_a_bad_handshake_is_ignored", "Content-Length tells its"),
    ("KeepsRefusedClients", "a_client_that_stays_after_a_bad_handshake_is_let_go", "let go after a moment"),
    ("CountsNoBadHandshakes", "bad_handshakes_are_counted_and_leave_nothing", "'protocol_errors': 0"),
    ("LeaksAClientThatItRefuses", "bad_handshakes_are_counted_and_leave_nothing", "leave no process"),
    ("HasNoHealthPage", "the_health_page_answers_and_is_no_error", "/healthz is answered with 200"),
    ("HasNoHealthPageForHttp10", "the_health_page_answers_and_is_no_error", "/healthz over HTTP/1.0 is answered with"),
    ("TakesAUrlForAPath", "the_health_page_answers_and_is_no_error", "/healthz by its URL is answered with 200"),
    ("HasNoHealthPageForHead", "the_health_page_answers_and_is_no_error", "/healthz by HEAD is answered with 200"),
    (
        "SendsABodyToAHead",
        "the_health_page_answers_and_is_no_error",
        "/healthz by HEAD is answered with 200 and no body",
    ),
    (
        "HasNoHealthPageForOtherUpgrades",
        "the_health_page_answers_and_is_no_error",
        "an upgrade to h2c is answered with",
    ),
    ("CountsTheHealthPage", "the_health_page_answers_and_is_no_error", "is no protocol error"),
    ("AnswersHalfAHandshake", "a_handshake_that_is_cut_off_ends_without_an_answer", "gets no answer"),
    ("CountsNoHalfHandshakes", "a_handshake_that_is_cut_off_ends_without_an_answer", "'truncated': 0"),
    ("WaitsForHandshakesForEver", "a_handshake_that_takes_too_long_ends_its_connection", "dribbles its opening"),
)

_LIFE = (
    ("CountsPingsAsMessages", "the_stopped_line_counts_every_kind_of_end", "'messages': 45"),
    ("CountsNoTruncatedMessages", "the_stopped_line_counts_every_kind_of_end", "'truncated': 0"),
    ("CountsAnEndWithoutACloseFrame", "the_stopped_line_counts_every_kind_of_end", "'protocol_errors': 13"),
    ("ProlongsMessagesByPings", "pings_do_not_prolong_a_message_that_takes_too_long", "with pings in between"),
    ("SaysNothingAtTheDrain", "the_drain_closes_every_connection_with_1001", "a close frame with 1001"),
    ("SaysGoodbyeToStrangers", "the_drain_closes_every_connection_with_1001", "gets just the end"),
    ("SaysNothingAtTheDrain", "idle_connections_end_in_order", "ends in order at the drain"),
    ("Says1000AtTheDrain", "requests_that_were_received_are_answered", "then the connection ends in order"),
    ("SaysGoodbyeBehindAClose", "a_client_that_has_closed_gets_no_second_close_frame_at_the_drain", "unexpected bytes"),
    ("KeepsItsLastMessage", "a_long_message_takes_no_memory_once_it_was_answered", "MiB more are held"),
    ("KeepsHalfOfAMessage", "a_reset_inside_a_long_message_leaves_nothing", "MiB more are held"),
    ("WaitsUntilFloodsEnd", "a_flood_of_the_smallest_frames_does_not_keep_a_server_from_ending", "it still runs"),
    ("ForgetsTheReplyToAClose", "the_websockets_client_gets_everything_back", "a close of the websockets client"),
    ("AnswersEachFragment", "the_websockets_client_gets_everything_back", "in fragments comes back whole"),
    ("SelectsNoSubprotocol", "the_websockets_client_speaks_the_subprotocol", "echobench.v1 is selected"),
    ("SaysNothingAtTheDrain", "the_websockets_client_is_told_of_the_drain", "told 1001 at the drain, not None"),
)

OF_WEBSOCKET = (*_FRAMES, *_HEADS, *_FRAGMENTS, *_TEXT, *_CLOSING, *_MESSAGES, *_OPENING, *_LIFE)
