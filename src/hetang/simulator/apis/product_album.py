"""The product album that members send from (reference section 16)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from hetang.simulator.apis import kept, media
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

PRODUCT = "product"
LONGEST_TEXT, LONGEST_SN, MOST_PICTURES = 300, 128, 9
HIGHEST_PRICE = 50_000_00


class Product(msgspec.Struct):
    description: str = ""
    price: int = 0
    product_sn: str = ""
    attachments: list[dict[str, Any]] = msgspec.field(default_factory=list)


class Update(msgspec.Struct):
    product_id: str = ""
    description: str | None = None
    price: int | None = None
    product_sn: str | None = None
    attachments: list[dict[str, Any]] | None = None


class ProductId(msgspec.Struct):
    product_id: str = ""


class ListQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str = ""


@api("externalcontact/add_product_album", "POST", Product)
def add_product_album(call: Call, request: Product) -> dict[str, Any]:
    _check(call, request, request.attachments)
    return {"product_id": kept.store(call, PRODUCT, "pr", msgspec.to_builtins(request))}


@api("externalcontact/get_product_album", "POST", ProductId)
def get_product_album(call: Call, request: ProductId) -> dict[str, Any]:
    row, body = kept.load(call, PRODUCT, request.product_id)
    return {"product": _shown(row, body)}


@api("externalcontact/get_product_album_list", "POST", ListQuery)
def get_product_album_list(call: Call, request: ListQuery) -> dict[str, Any]:
    after = place(request.cursor) or [0]
    rows, cursor = kept.page(call, PRODUCT, after[0], page_size(request.limit, 50, 100))
    return {"product_list": [_shown(row, msgspec.json.decode(row["body"])) for row in rows], "next_cursor": cursor}


@api("externalcontact/update_product_album", "POST", Update)
def update_product_album(call: Call, request: Update) -> dict[str, Any]:
    _, body = kept.load(call, PRODUCT, request.product_id)
    given = {name: value for name, value in msgspec.to_builtins(request).items() if value is not None}
    given.pop("product_id")
    _check(call, msgspec.convert({**body, **given}, Product), request.attachments or [])
    kept.change(call, request.product_id, {**body, **given})
    return {}


@api("externalcontact/delete_product_album", "POST", ProductId)
def delete_product_album(call: Call, request: ProductId) -> dict[str, Any]:
    kept.delete(call, PRODUCT, request.product_id)
    return {}


def _check(call: Call, product: Product, new_pictures: list[dict[str, Any]]) -> None:
    if not 1 <= len(product.description) <= LONGEST_TEXT:
        raise WeComError(40058, f"description must have 1 to {LONGEST_TEXT} characters")
    if not 0 < product.price <= HIGHEST_PRICE:
        raise WeComError(40058, "price is in fen, up to 50,000 yuan")
    if len(product.product_sn) > LONGEST_SN or not re.fullmatch(r"[A-Za-z0-9]*", product.product_sn):
        raise WeComError(40058, "product_sn")
    if not 1 <= len(product.attachments) <= MOST_PICTURES:
        raise WeComError(41064)
    for one in new_pictures:
        if one.get("type") != "image":
            raise WeComError(41065)
        if not media.usable(call, str((one.get("image") or {}).get("media_id")), media.FOR_ALBUM):
            raise WeComError(40007)


def _shown(row: Any, body: dict[str, Any]) -> dict[str, Any]:
    return {"product_id": row["id"], "create_time": int(row["created_at"]), **body}
