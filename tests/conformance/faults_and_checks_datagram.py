"""Which check has to find which fault of a server of datagrams, and with which words; see faults_and_checks.py."""

from __future__ import annotations

_DATAGRAM = (
    ("LeavesTheKindOfDatagramsUnchanged", "each_message_of_the_corpus_comes_back_as_its_response", "from byte 3 on"),
    ("AnswersTwice", "each_message_of_the_corpus_comes_back_as_its_response", "comes back as its RESPONSE: 16 bytes"),
    ("Keeps32BitsOfADatagramsSequence", "sequences_come_back_unchanged", "0x100000000 comes back unchanged"),
    ("HasRoomForAnEthernetFrame", "every_size_up_to_the_longest_is_echoed", "a payload of 1457 bytes"),
    ("RefusesTheLongestDatagram", "every_size_up_to_the_longest_is_echoed", "a payload of 65491 bytes"),
    (
        "AnswersFromAnotherPort",
        "a_reply_comes_from_the_address_that_was_asked",
        "comes from the address that was asked",
    ),
    ("AnswersFromAnotherHost", "a_reply_comes_from_the_address_that_was_asked", r"not \('127.0.0.1'"),
    ("AnswersTheNewestPeer", "many_peers_at_once_get_their_own_replies", "no datagram came|instead of"),
    ("AnswersTwice", "many_peers_at_once_get_their_own_replies", "instead of|and no others"),
    ("TellsPeersByTheirPort", "peers_with_the_same_port_are_told_apart", "no datagram came"),
    ("CountsDatagramsTwice", "many_peers_at_once_get_their_own_replies", "'messages': 600"),
    *(
        (fault, "a_bad_datagram_of_a_stranger_is_dropped_and_never_answered", f"{words} from a new address is dropped")
        for fault, words in (
            ("AnswersGarbageWithAnError", "an empty datagram"),
            ("AnswersAShortDatagram", "an empty datagram"),
            ("DiesOfNoise", "an empty datagram"),
            ("AnswersWhatIsTooShort", "a payload that is one byte short"),
            ("AnswersTheFirstOfSeveral", "a payload that is one byte too long"),
            ("AnswersAnyMagicInDatagrams", "a wrong magic"),
            ("AnswersAnyVersionInDatagrams", "version 0"),
            ("AnswersAnyKindInDatagrams", "kind 0"),
            ("AnswersResponsesInDatagrams", "a RESPONSE"),
            ("AnswersErrorsInDatagrams", "an ERROR"),
        )
    ),
    ("CountsNoDrops", "a_bad_datagram_of_a_stranger_is_dropped_and_never_answered", "'protocol_errors': 0"),
    ("AnswersAKnownPeerAnything", "a_bad_datagram_of_a_known_peer_is_dropped_and_never_answered", "from a known peer"),
    ("DiesOfAnEmptyDatagram", "a_bad_datagram_of_a_known_peer_is_dropped_and_never_answered", "no datagram came"),
    ("CountsDropsAsMessages", "a_bad_datagram_of_a_known_peer_is_dropped_and_never_answered", "'messages': 45"),
    ("DiesOfNoise", "random_bytes_are_dropped_and_stop_nobody", "beside others that send garbage"),
    ("CountsNoDrops", "random_bytes_are_dropped_and_stop_nobody", "'protocol_errors': 0"),
    ("IgnoresTheLongestPayloadOfDatagrams", "a_payload_over_the_limit_is_dropped", "101 bytes is dropped"),
    ("IgnoresTheReceiveSize", "a_datagram_over_the_receive_size_is_dropped", "1001 bytes is dropped"),
    ("TakesWhatIsLeftOfACutDatagram", "a_cut_datagram_is_not_taken_for_what_is_left_of_it", "more behind it"),
    ("CountsDatagramsTwice", "the_stopped_line_counts_datagrams_exactly", "'messages': 22"),
    ("CountsEveryDatagramAsAPeer", "the_stopped_line_counts_datagrams_exactly", "connections over UDP are the peers"),
    ("AnswersResponsesInDatagrams", "two_servers_never_talk_to_each_other", "exchange one datagram"),
    ("DiesOfPort0", "a_request_from_port_0_stops_nobody", "beside requests from port 0"),
    ("CountsTheUndeliverableAsAnswered", "a_request_from_port_0_stops_nobody", "'messages': 36"),
)

_PEERS = (
    ("KeepsNoPeers", "each_peer_has_a_socket_of_its_own_or_none_has", "has sockets for the peers"),
    ("MakesPeersOfGarbage", "garbage_makes_no_peer", "only an acceptable datagram makes a peer, found"),
    ("KeepsIdlePeers", "an_idle_peer_ends_and_can_come_back", "idle peers end .waited"),
    ("KeepsTheSocketOfAnEndedPeer", "an_idle_peer_ends_and_can_come_back", "idle peers end .waited"),
    ("LosesADescriptorAPeer", "an_idle_peer_ends_and_can_come_back", "holds no process, thread or descriptor more"),
    ("TurnsAwayWhoComesBack", "an_idle_peer_ends_and_can_come_back", "is again when it comes back"),
    ("EndsBusyPeers", "a_busy_peer_is_not_ended", "3 peers were made, counted"),
    ("HasNoLimitOfPeers", "peers_are_bounded_and_the_newest_is_served", "never more peers, found 4"),
    ("TurnsNewPeersAway", "peers_are_bounded_and_the_newest_is_served", "the newest peer is served"),
    ("TurnsAwayWhoComesBack", "peers_are_bounded_and_the_newest_is_served", "one that was ended for others"),
    ("EndsTheFirstPeerForANewOne", "the_longest_idle_peer_goes_first", "idle longest"),
    ("KeepsAPeerThatHasGone", "a_peer_that_has_gone_ends_and_stops_nobody", "is ended when the reply is refused"),
    ("DiesOfAPeerThatHasGone", "a_peer_that_has_gone_ends_and_stops_nobody", "beside others that have gone"),
    ("DiesWithoutDescriptorsForPeers", "a_lack_of_descriptors_stops_nobody", "lacks descriptors for others"),
    ("EndsAPeerForLackOfDescriptors", "a_lack_of_descriptors_stops_nobody", "lacks descriptors for others"),
)

_DATAGRAM_LIFE = (
    (
        "KeepsTheSystemsBuffer",
        "the_receive_buffer_is_what_the_ready_line_says",
        "that the system allowed, not|is had, the ready line tells",
    ),
    ("GivesPeersTheSystemsBuffer", "the_receive_buffer_is_what_the_ready_line_says", "every socket of the server"),
    ("TellsTheBufferThatWasAskedFor", "the_receive_buffer_is_what_the_ready_line_says", "every socket of the server"),
    ("DropsWhatCameTogether", "a_burst_that_the_buffer_holds_is_answered_completely", "is answered completely"),
    ("LogsEveryDrop", "nothing_is_said_in_a_normal_life_over_udp", "nothing is logged"),
    ("LosesADescriptorADatagram", "the_datagrams_of_one_peer_take_nothing_more", "holds what it held before"),
    ("KeepsThePortOpen", "nothing_is_left_when_it_has_ended", "becomes free|no process is left"),
    ("SharesItsPortWithAnyServer", "a_port_in_use_is_refused", "ends by itself, but it still runs"),
    ("SharesItsPortWithAnyServer", "a_port_of_another_server_is_refused", "ends by itself, but it still runs"),
    ("TakesOptionsOfStreams", "options_of_another_kind_of_transport_are_refused", "--backlog 5 ends by itself, but it"),
)

_DATAGRAM_DRAIN = (
    ("ForgetsKnownPeersInTheDrain", "requests_received_of_known_peers_are_answered", "of known peers"),
    ("AnswersAFewInTheDrain", "requests_received_of_known_peers_are_answered", "of 50 came"),
    ("KeepsThePortOpen", "requests_received_of_known_peers_are_answered", "no process is left|the port is free"),
    ("ForgetsNewPeersInTheDrain", "requests_received_of_new_peers_are_answered", "of new peers"),
    ("IsCutOffByATerminal", "requests_are_answered_when_a_terminal_signals_the_whole_group", "to the whole group"),
    ("WaitsForSilence", "a_flood_of_datagrams_does_not_hold_the_drain", "does not hold the drain"),
    ("DrainsAtASecondSignal", "two_signals_that_come_together_end_everything_at_once", "exit code 130, not 0"),
)

OF_DATAGRAMS = (*_DATAGRAM, *_PEERS, *_DATAGRAM_LIFE, *_DATAGRAM_DRAIN)
