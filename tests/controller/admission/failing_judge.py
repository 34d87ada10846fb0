"""A process that judges, and of some reviews does not come to an end. Run by controller/admission/judges.py."""

from __future__ import annotations

import os
import sys
import time

from controller.admission import judging
from controller.admission.judging_worker import main

SLOW, CRASH = b"slow", b"crash"
_answer = judging.Judging.answer


def _failing(self: judging.Judging, kind: int, payload: bytes) -> judging.Frame:
    if SLOW in payload:
        time.sleep(60)
    if CRASH in payload:
        os.abort()
    return _answer(self, kind, payload)


if __name__ == "__main__":
    judging.Judging.answer = _failing  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
