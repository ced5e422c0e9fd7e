"""The shop's web service: an ordinary FastAPI application. One line is telemetry: ``init_telemetry()``."""

from __future__ import annotations

from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from examples.shop import chaos
from examples.shop.tasks import send_receipt
from sloburn import get_logger, init_telemetry

init_telemetry()

log = get_logger()
app = FastAPI(title="Shop")
app.include_router(chaos.router)

PRICES = {1: 4.50, 2: 12.00, 3: 7.25, 4: 99.00, 5: 31.40}


class PaymentGatewayTimeout(Exception):
    """The payment provider did not answer in time."""


class Item(BaseModel):
    product_id: int
    quantity: int = 1


class Order(BaseModel):
    cart_id: str


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/products")
def list_products() -> list[int]:
    return list(PRICES)


@app.get("/products/{product_id}")
def show_product(product_id: int) -> dict[str, float]:
    if product_id not in PRICES:
        raise HTTPException(404, "no such product")
    return {"price": PRICES[product_id]}


@app.post("/cart")
def add_to_cart(item: Item) -> dict[str, str]:
    log.info("added to cart", product_id=item.product_id, quantity=item.quantity)
    return {"cart_id": uuid4().hex}


@app.post("/pay")
def pay(order: Order) -> dict[str, str]:
    chaos.strike("/pay", PaymentGatewayTimeout("payments.example did not answer within 2 s"))
    send_receipt.delay(order.cart_id)
    log.info("paid", cart_id=order.cart_id)
    return {"status": "paid"}
