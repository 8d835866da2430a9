"""Answers of the venue in every shape that its documents, its clients and production show, and what each proves.

`$id` stands for the request's id. The judgement is the contract's: only a listed code proves a refusal, and only
under the id of the request.
"""

from typing import Final

REFUSED: Final[dict[str, tuple[str, int]]] = {
    "the action's event, a number": (
        '{"id":"$id","event":"place_order","code":401009,"msg":"exists","data":null}',
        401009,
    ),
    "a string as code": ('{"id":"$id","event":"place_order","code":"401055","msg":"Insufficient balance"}', 401055),
    "event error": ('{"id":"$id","event":"error","code":401071,"msg":"not a multiple"}', 401071),
    "event error, a string": ('{"id":"$id","event":"error","code":"401017","msg":"notional"}', 401017),
    "message for msg": ('{"id":"$id","event":"place_order","code":401052,"message":"not a maker"}', 401052),
    "no words": ('{"id":"$id","event":"place_order","code":401013}', 401013),
    "data of another kind": ('{"id":"$id","event":"place_order","code":401015,"msg":"tick","data":""}', 401015),
    "unknown fields": ('{"id":"$id","ts":1,"event":"place_order","code":401044,"msg":"count","x":[1]}', 401044),
    "the key's fault": ('{"id":"$id","event":"place_order","code":2002,"msg":"API authorization is invalid"}', 2002),
    "bad parameter": ('{"id":"$id","event":"error","code":"1000","msg":"Parameter format error"}', 1000),
}
"""The shape, and the code that it proves."""

LOGGED_OUT: Final = '{"id":"$id","event":"place_order","code":4000,"msg":"Invalid login session, please log in again"}'

PROVES_NOTHING: Final[dict[str, str]] = {
    "the generic code": '{"id":"$id","event":"place_order","code":60009,"msg":"Place order failed."}',
    "the older shape": '{"id":"$id","event":"error","code":"60009","msg":"Place order failed."}',
    "exchange error": '{"id":"$id","event":"place_order","code":400010,"msg":"exchange error"}',
    "unavailable": '{"id":"$id","event":"place_order","code":"400011","msg":"temporarily unavailable"}',
    "loading": '{"id":"$id","event":"error","code":400012,"msg":"loading data"}',
    "timeout": '{"id":"$id","event":"place_order","code":400013,"msg":"request timeout"}',
    "system error": '{"id":"$id","event":"place_order","code":40000,"msg":"system error"}',
    "service unavailable": '{"id":"$id","event":"place_order","code":"50001","msg":"service unavailable"}',
    "HTTP's 500": '{"id":"$id","event":"place_order","code":500,"msg":"Internal Server Error"}',
    "HTTP's 503": '{"id":"$id","event":"error","code":"503","msg":"Service Unavailable"}',
    "a code nobody knows": '{"id":"$id","event":"place_order","code":499999,"msg":"?"}',
    "a negative code": '{"id":"$id","event":"place_order","code":-1,"msg":"?"}',
    "no code": '{"id":"$id","event":"place_order","msg":"failed"}',
    "null as code": '{"id":"$id","event":"place_order","code":null,"msg":"failed"}',
    "a word as code": '{"id":"$id","event":"place_order","code":"E401009","msg":"failed"}',
    "a fraction as code": '{"id":"$id","event":"place_order","code":401009.5,"msg":"failed"}',
    "no event": '{"id":"$id","code":401009,"msg":"exists"}',
    "no id": '{"event":"place_order","code":401009,"msg":"exists"}',
    "null as id": '{"id":null,"event":"error","code":"401009","msg":"exists"}',
    "a number as id": '{"id":17,"event":"place_order","code":401009,"msg":"exists"}',
    "somebody else's id": '{"id":"9x9x9","event":"place_order","code":401009,"msg":"exists"}',
    "an object as id": '{"id":{"of":"$id"},"event":"place_order","code":401009,"msg":"exists"}',
    "cut off": '{"id":"$id","event":"place_order","co',
    "not JSON": "<html><body>502 Bad Gateway</body></html>",
    "a list": '[{"id":"$id","event":"place_order","code":401009}]',
    "null": "null",
    "nothing": "",
}

SUCCESS: Final[dict[str, tuple[str, int]]] = {
    "a string as code": ('{"id":"$id","event":"place_order","code":"200000","msg":"Success","data":{}}', 200000),
    "REST's code": ('{"id":"$id","event":"place_order","code":200,"message":"Success"}', 200),
    "a list as data": ('{"id":"$id","event":"place_order","code":200000,"msg":"Success","data":[]}', 200000),
    "no data": ('{"id":"$id","event":"place_order","code":200000,"msg":"Success"}', 200000),
    "a number": ('{"id":"$id","event":"place_order","code":200000,"data":{"orderId":1703213979730000}}', 200000),
}
"""The shape, and the code that is said."""
