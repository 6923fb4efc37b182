"""What the figures of a customer are called, in Chinese and English."""

from __future__ import annotations

METRIC_NAMES = {
    "orders": ("订单数", "orders"),
    "orders_30": ("近 30 天订单数", "orders in the last 30 days"),
    "orders_90": ("近 90 天订单数", "orders in the last 90 days"),
    "orders_365": ("近 365 天订单数", "orders in the last 365 days"),
    "visits": ("到访次数", "visits"),
    "gmv": ("累计消费金额（已扣退款）", "total spend (net of refunds)"),
    "average_order_value": ("客单价（笔均）", "average order value"),
    "refunded": ("累计退款金额", "total refunded"),
    "days_since_last_order": ("距最近一次下单天数", "days since the last order"),
    "days_since_first_order": ("距首次下单天数", "days since the first order"),
    "days_since_last_visit": ("距最近一次到访天数", "days since the last visit"),
    "lateness": ("按本人购买节奏的逾期程度", "lateness for her own rhythm"),
    "favourite_store": ("最常光顾的门店", "favourite store"),
    "favourite_category": ("最常购买的品类", "favourite category"),
}
