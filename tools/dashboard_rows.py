"""What the dashboard shows: rows of panels, and what each of them asks Prometheus."""

from __future__ import annotations

from tools.dashboard_panels import Panel, Row, over_range, quantile, rate, small

_ESTIMATES = (
    "Estimates against the policy's reference model, at list prices; they say nothing about how good the answers were."
)


_REQUESTS = "omnisphere_router_requests_total"
_COST = "omnisphere_router_cost_nanousd_total"
_CACHE_SAVED = "omnisphere_router_cache_savings_nanousd_total"
_ROUTING_SAVED = "omnisphere_router_routing_savings_nanousd_total"
_FIRST_TOKEN = "omnisphere_router_time_to_first_token_seconds"  # noqa: S105 - a metric
_FALLBACKS = "omnisphere_router_fallbacks_total"
_DEGRADATIONS = "omnisphere_router_degradations_total"
_LOOKUPS = "omnisphere_cache_lookups_total"
_TOKENS = "omnisphere_providers_tokens_total"
_ATTEMPTS = "omnisphere_providers_attempts_total"
_MODEL_SECONDS = "gen_ai_client_operation_duration_seconds"
_CALL = "omnisphere_grpc_server_call_duration_seconds"
_HTTP = "omnisphere_http_server_requests_total"
_HITS = 'outcome=~"exact_hit|semantic_hit"'
_HIT_REQUESTS = rate(_REQUESTS, "task", 'cache=~"exact_hit|semantic_hit"')
_FAILED = rate(_REQUESTS, only='reason!=""')
_HIT_RATIO = f"{rate(_LOOKUPS, only=_HITS)} / {rate(_LOOKUPS)}"
_FIRST_CHUNK = "gen_ai_client_operation_time_to_first_chunk_seconds"
_REQUESTS_LOST = "omnisphere_router_ledger_lost_rows_total"
_ATTEMPTS_LOST = "omnisphere_providers_ledger_lost_rows_total"

ROWS: tuple[Row, ...] = (
    Row(
        "Requests and errors",
        (
            small("Requests", "reqps", rate(_REQUESTS)),
            small("Errors", "percentunit", f"({_FAILED} or vector(0)) / {rate(_REQUESTS)}"),
            small("Cache hits", "percentunit", _HIT_RATIO),
            small("Cost in this time", "currencyUSD", f"{over_range(_COST)} / 1e9"),
            small("Saved by the cache", "currencyUSD", f"{over_range(_CACHE_SAVED)} / 1e9", _ESTIMATES),
            small("Saved by routing", "currencyUSD", f"{over_range(_ROUTING_SAVED)} / 1e9", _ESTIMATES),
            Panel("Requests by task", "reqps", ((rate(_REQUESTS, "task"), "{{task}}"),), width=8),
            Panel("Errors by reason", "reqps", ((rate(_REQUESTS, "reason", 'reason!=""'), "{{reason}}"),), width=8),
            Panel(
                "Strategies, and requests that shared an answer",
                "reqps",
                (
                    (rate(_REQUESTS, "strategy"), "{{strategy}}"),
                    (rate("omnisphere_router_joined_requests_total", "by"), "joined by {{by}}"),
                ),
                width=8,
            ),
        ),
    ),
    Row(
        "Latency",
        (
            Panel(
                "Steps of a request, 95th percentile",
                "s",
                ((quantile("0.95", "omnisphere_router_step_duration_seconds", "step"), "{{step}}"),),
            ),
            Panel(
                "Time to first token",
                "s",
                tuple((quantile(part, _FIRST_TOKEN), f"p{part[2:]:0<2}") for part in ("0.5", "0.95", "0.99")),
            ),
            Panel(
                "Hops between services, 95th percentile",
                "s",
                ((quantile("0.95", _CALL, "service, method"), "{{service}} {{method}}"),),
            ),
            Panel(
                "Counting tokens, 95th percentile",
                "s",
                ((quantile("0.95", "omnisphere_context_counting_seconds", "place"), "{{place}}"),),
            ),
        ),
    ),
    Row(
        "Cost and savings",
        (
            Panel("Cost per hour, by model", "currencyUSD", ((f"{rate(_COST, 'model')} * 3600 / 1e9", "{{model}}"),)),
            Panel(
                "Savings per hour (estimated)",
                "currencyUSD",
                (
                    (f"{rate(_CACHE_SAVED)} * 3600 / 1e9", "cache"),
                    (f"{rate(_ROUTING_SAVED)} * 3600 / 1e9", "routing"),
                ),
                _ESTIMATES,
            ),
            Panel(
                "What attempts cost per hour, by who counted the tokens",
                "currencyUSD",
                ((f"{rate('omnisphere_providers_cost_nanousd_total', 'source')} * 3600 / 1e9", "{{source}}"),),
            ),
            Panel(
                "Attempts without a known price",
                "reqps",
                ((rate("omnisphere_providers_unpriced_attempts_total", "model"), "{{model}}"),),
                "They are in no cost, and they are not free.",
            ),
        ),
    ),
    Row(
        "Tokens",
        (
            Panel("Tokens by class", "cps", ((rate(_TOKENS, "class"), "{{class}}"),), width=8),
            Panel("Tokens by model", "cps", ((rate(_TOKENS, "model"), "{{model}}"),), width=8),
            Panel("Tokens by who counted them", "cps", ((rate(_TOKENS, "source"), "{{source}}"),), width=8),
        ),
    ),
    Row(
        "Cache",
        (
            Panel("Look-ups by outcome", "reqps", ((rate(_LOOKUPS, "outcome"), "{{outcome}}"),), width=8),
            Panel(
                "Hit ratio",
                "percentunit",
                (
                    (_HIT_RATIO, "of look-ups"),
                    (
                        f"{_HIT_REQUESTS} / {rate(_REQUESTS, 'task')}",
                        "of requests: {{task}}",
                    ),
                ),
                width=8,
            ),
            Panel(
                "Entries",
                "short",
                (("sum by (service) (omnisphere_cache_entries)", "{{service}}"),),
                width=4,
            ),
            Panel("Memory", "bytes", (("sum by (service) (omnisphere_cache_bytes)", "{{service}}"),), width=4),
            Panel(
                "Found by meaning", "short", (("sum by (service) (omnisphere_cache_vectors)", "{{service}}"),), width=4
            ),
            Panel(
                "Replicas that share entries",
                "short",
                (
                    ("sum by (service) (omnisphere_cache_shared)", "entries: {{service}}"),
                    ("sum by (service) (omnisphere_router_outcomes_shared)", "outcomes: {{service}}"),
                ),
                width=4,
            ),
            Panel(
                "Checks of answers by meaning",
                "reqps",
                (
                    (rate("omnisphere_cache_reports_total", "verdict"), "reported: {{verdict}}"),
                    (rate("omnisphere_router_shadow_checks_total", "check"), "asked again: {{check}}"),
                ),
                width=8,
            ),
            Panel(
                "Answers offered to keep", "reqps", ((rate("omnisphere_cache_stores_total", "result"), "{{result}}"),)
            ),
            Panel(
                "Answers that were not kept, or not on disk",
                "reqps",
                (
                    (rate("omnisphere_router_stores_dropped_total", "why"), "not stored: {{why}}"),
                    (rate("omnisphere_cache_dropped_writes_total"), "not on disk"),
                ),
            ),
        ),
    ),
    Row(
        "Judging and learning",
        (
            Panel(
                "Verdicts on answers of cascades",
                "reqps",
                (
                    (
                        rate("omnisphere_router_verdicts_total", "model, judge, accepted"),
                        "{{model}} by {{judge}}: {{accepted}}",
                    ),
                ),
                width=8,
            ),
            Panel(
                "Escalations, and the median confidence of judges",
                "reqps",
                (
                    (rate("omnisphere_router_escalations_total", "model"), "to {{model}}"),
                    (
                        quantile("0.5", "omnisphere_router_verdict_confidence_ratio", "judge"),
                        "confidence of {{judge}}",
                    ),
                ),
                width=8,
            ),
            Panel(
                "Outcomes, others asked to learn, and files that were refused",
                "reqps",
                (
                    (rate("omnisphere_router_outcomes_total", "source"), "outcome: {{source}}"),
                    (rate("omnisphere_router_explored_total", "result"), "others asked: {{result}}"),
                    (rate("omnisphere_router_config_reload_failures_total", "file"), "refused: {{file}}"),
                ),
                width=8,
            ),
        ),
    ),
    Row(
        "Fallbacks and degradations",
        (
            Panel(
                "Fallbacks", "reqps", ((rate("omnisphere_router_fallbacks_total", "model"), "to {{model}}"),), width=8
            ),
            Panel(
                "Degradations", "reqps", ((rate("omnisphere_router_degradations_total", "kind"), "{{kind}}"),), width=8
            ),
            Panel(
                "Conversations fitted, and tokens cut",
                "reqps",
                (
                    (rate("omnisphere_context_fits_total", "outcome"), "{{outcome}}"),
                    (rate("omnisphere_context_cut_tokens_total"), "tokens cut"),
                ),
                width=8,
            ),
        ),
    ),
    Row(
        "Models",
        (
            Panel("Attempts", "reqps", ((rate(_ATTEMPTS, "model, outcome"), "{{model}} {{outcome}}"),)),
            Panel(
                "Errors of endpoints",
                "reqps",
                (
                    (
                        rate(f"{_MODEL_SECONDS}_count", "gen_ai_provider_name, error_type", 'error_type!=""'),
                        "{{gen_ai_provider_name}} {{error_type}}",
                    ),
                ),
            ),
            Panel(
                "Duration, 95th percentile",
                "s",
                ((quantile("0.95", _MODEL_SECONDS, "gen_ai_request_model"), "{{gen_ai_request_model}}"),),
                width=8,
            ),
            Panel(
                "Time to first chunk, 95th percentile",
                "s",
                (
                    (
                        quantile("0.95", "gen_ai_client_operation_time_to_first_chunk_seconds", "gen_ai_request_model"),
                        "{{gen_ai_request_model}}",
                    ),
                ),
                width=8,
            ),
            Panel(
                "Tokens of one call, median",
                "short",
                ((quantile("0.5", "gen_ai_client_token_usage", "gen_ai_token_type"), "{{gen_ai_token_type}}"),),
                width=8,
            ),
        ),
    ),
    Row(
        "Endpoints and keys",
        (
            Panel(
                "Attempts after the first, by why",
                "reqps",
                ((rate("omnisphere_providers_retries_total", "model, reason"), "{{model}} {{reason}}"),),
                width=6,
            ),
            Panel(
                "Rests begun",
                "reqps",
                (
                    (
                        rate("omnisphere_providers_rests_total", "endpoint, key_name, reason"),
                        "{{endpoint}} {{key_name}} {{reason}}",
                    ),
                ),
                "A key, or an endpoint for a model, is left alone after it refused.",
                width=6,
            ),
            Panel(
                "Left alone after failures in a row",
                "short",
                (
                    ("max by (endpoint) (omnisphere_providers_breaker_open)", "{{endpoint}}"),
                    (rate("omnisphere_providers_breaker_opened_total", "endpoint"), "{{endpoint}}: begins"),
                ),
                width=6,
            ),
            Panel(
                "Calls that are out",
                "short",
                (("sum by (endpoint) (omnisphere_providers_calls_in_flight)", "{{endpoint}}"),),
                width=6,
            ),
        ),
    ),
    Row(
        "gRPC",
        (
            Panel(
                "Calls",
                "reqps",
                ((rate("omnisphere_grpc_server_call_started_total", "service, method"), "{{service}} {{method}}"),),
                width=8,
            ),
            Panel(
                "Calls that failed",
                "reqps",
                ((rate(f"{_CALL}_count", "service, method, code", 'code!="OK"'), "{{service}} {{method}} {{code}}"),),
                width=8,
            ),
            Panel(
                "Calls in flight",
                "short",
                (("sum by (service) (omnisphere_grpc_server_calls_in_flight)", "{{service}}"),),
                width=8,
            ),
        ),
    ),
    Row(
        "HTTP edge",
        (
            Panel("Requests", "reqps", ((rate(_HTTP, "route, status"), "{{route}} {{status}}"),), width=8),
            Panel(
                "Duration, 95th percentile",
                "s",
                ((quantile("0.95", "omnisphere_http_server_request_duration_seconds", "route"), "{{route}}"),),
                width=8,
            ),
            Panel(
                "Requests in flight",
                "short",
                (("sum by (service) (omnisphere_http_server_requests_in_flight)", "{{service}}"),),
                width=8,
            ),
        ),
        optional=True,
    ),
    Row(
        "Books",
        (
            Panel(
                "Rows that did not reach a ledger's file",
                "cps",
                (
                    (rate(_REQUESTS_LOST, "why"), "requests: {{why}}"),
                    (rate(_ATTEMPTS_LOST, "why"), "attempts: {{why}}"),
                ),
                "Their JSON lines are out, unless the queue was full.",
                width=24,
            ),
        ),
    ),
)
