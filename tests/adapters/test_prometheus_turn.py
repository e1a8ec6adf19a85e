"""Answers are asked for together and unpacked one after the other."""

import threading

from rollbackd.adapters.prometheus.turn import Turn


def test_the_second_thread_has_the_turn_once_the_first_has_left_its_block() -> None:
    turn, has_asked, has_it = Turn(), threading.Event(), threading.Event()

    def second() -> None:
        with turn:
            has_asked.set()
            turn.take()
            has_it.set()

    other = threading.Thread(target=second)
    with turn:
        turn.take()
        other.start()
        assert has_asked.wait(10)
        assert not has_it.is_set()
    assert has_it.wait(10)
    other.join(10)


def test_it_is_taken_once_however_often_it_is_asked_for_and_given_back_after_an_error() -> None:
    turn = Turn()
    for _ in range(2):
        try:
            with turn:
                turn.take()
                turn.take()
                raise KeyError
        except KeyError:
            continue


def test_outside_of_a_block_nobody_waits_and_nothing_is_held() -> None:
    turn = Turn()
    turn.take()
    with turn:
        turn.take()
