"""The shop's background work: an ordinary Celery application. One line is telemetry: ``init_telemetry()``."""

from __future__ import annotations

from celery import Celery

from examples.shop import broker, receipts
from sloburn import get_logger, init_telemetry

init_telemetry()

log = get_logger()
celery = Celery("shop")
celery.conf.update(broker.settings(), task_ignore_result=True)


@celery.task(name="send_receipt")  # type: ignore[untyped-decorator]
def send_receipt(cart_id: str) -> None:
    receipts.keep(cart_id)
    log.info("receipt sent", cart_id=cart_id)
