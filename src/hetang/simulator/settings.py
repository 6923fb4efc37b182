"""How the simulated world behaves: one typed object, kept as JSON in the state, changed through the admin API."""

from __future__ import annotations

from typing import Literal

import msgspec


class Settings(msgspec.Struct, kw_only=True):
    """Rates are probabilities (0..1); `*_s` are seconds of the simulator's clock unless said."""

    seed: int = 1
    time_zone: str = "Asia/Shanghai"

    # Staff
    confirm_rate: float = 0.8  # share of tasks that a member of staff confirms by himself
    confirm_delay_s: float = 7200.0  # mean of a uniform delay between 0 and twice this
    remind_rate: float = 0.5  # share of the undecided whom one reminder moves

    # Population
    buying: bool = True
    uplift: float = 0.3  # relative rise of the daily purchase rate while a sent message works
    effect_s: float = 7 * 86400.0  # how long it works
    visits_per_order: float = 3.0  # visits per purchase without any message
    opens_hour: int = 9  # local hours in which people buy
    closes_hour: int = 21
    click_rate: float = 0.15  # share of those reached by a message who open its link
    click_delay_s: float = 4 * 3600.0  # mean of a uniform delay between 0 and twice this
    known_rate: float = 0.0  # share of the openings of which the page behind the link tells Hetang whose they are
    running: bool = False  # act as the clock runs, not only when asked to advance

    # Customers
    customers_per_member: int = 20_000  # not on an official page
    unionid_bound: bool = True  # the corp has bound its account of WeChat's open platform
    half_first: bool = False  # a scan without verification: half event first, full when the member adds back
    empty_page_rate: float = 0.0  # share of pages of batch/get_by_user that are empty, with a cursor: go on
    end_without_cursor: bool = False  # the last page has no next_cursor instead of an empty one

    corp_tags: int = 3000  # in all; newer sources say 10,000

    # Groups and codes
    chat_size: int = 500
    chat_direct_size: int = 200  # so many let people in straight by code; then the next group
    ways: int = 500_000  # contact ways and join ways of the corp, temporary ones apart
    temporary_ways_a_day: int = 100_000

    # Transfers
    transfer_s: float = 86400.0  # until the customer is handed over unless she refuses
    transfers_per_customer: int = 2  # on-job, in 90 days; the same for groups
    transfer_keeps_state: bool = True  # whether the new relation keeps the channel's state is not documented
    group_transfer_s: float = 0.0  # how long a group's transfer runs is not documented
    groups_per_new_owner_a_day: int = 300

    # Acquisition links
    acquisition: bool = True  # the corp has bought them
    acquisition_range: int = 500  # members behind a link: 100 or 500, sources differ

    # Moments
    moment_job_s: float = 2.0  # how long a job takes, in three states
    moments_seen_a_day: int = 3  # by one customer; not on an official page

    # Messages of apps to staff
    account_limit: int = 200  # an app sends 200 times this in person-times a day
    app_messages_a_minute: int = 30  # to one member; what is more is dropped without a word
    app_messages_an_hour: int = 1000

    # Mass messages
    cap_period: Literal["month", "week", "day"] = "month"  # the administrator may choose 7 a week or 1 a day
    monthly_cap: int | None = None  # per customer and group; None: as many as the month has days (page 92135), 7, or 1
    own_messages_a_day: int = 1  # a member's own mass messages per customer
    list_lag_s: float = 0.0  # how long a new task is missing from get_groupmsg_list_v2
    dispatch_s: float = 0.0  # how long follow-up calls answer 41063 after creation

    # Platform
    token_life_s: int = 7200
    calls_per_minute: int = 10_000  # per corp and API (page 90454)
    calls_per_hour: int = 150_000
    calls_per_minute_of_address: int = 20_000  # one address, all APIs
    calls_per_hour_of_address: int = 600_000
    concurrency: dict[str, int] = msgspec.field(default_factory=lambda: {"externalcontact/mark_tag": 5})
    calls_per_span: dict[str, list[tuple[int, int]]] = msgspec.field(  # further limits: (seconds, calls) by path
        default_factory=lambda: {
            "idconvert/unionid_to_external_userid": [(3600, 100_000), (86400, 480_000), (30 * 86400, 7_500_000)],
            "get_jsapi_ticket": [(3600, 400)],
            "ticket/get": [(3600, 100)],
        }
    )
    strict: bool = True  # lenient accepts what common SDKs send wrongly
    json_warning: bool = False  # an answer to numbers sent as text says "wrong json format"

    # Callbacks
    callback_duplicate_rate: float = 0.0
    callback_shuffle: bool = False
    callback_timeout_s: float = 5.0  # wall clock
    callback_tries: int = 3
    callback_senders: int = 1  # one keeps the order; the platform promises none
    callbacks_by_api: bool = False  # operations through the API produce no callback (page 96361)
