"""A cure for a race in pynetdicom's requester side, wherever we ask another system something."""

from typing import Any

__all__ = ["keep_answers"]


def keep_answers(association: Any) -> None:
    """Let nobody but whoever asked take an answer off the association's queue.

    Its reactor thread looks for requests to serve and may, in the moment before it pauses, take the answer to a question that
    was just asked; the asker then waits in vain. We only ask: there is nothing to serve. It alone looks without waiting.
    """
    take = association.dimse.get_msg
    association.dimse.get_msg = lambda block=False: take(block=True) if block else (None, None)
