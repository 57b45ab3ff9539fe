"""Asking the register, for these tests."""

import datetime as dt

from gateway.inquiry.answering import Answered, answer_by_code, answer_by_name
from gateway.inquiry.index import code_token, query_tokens
from gateway.inquiry.sealing import RegisterKeys
from gateway.store.pool import Database
from gateway.store.register import look_up_by_code, look_up_by_name
from protocol.messages import InquiryByCode, InquiryByName

KEYS = RegisterKeys(b"i" * 32, {2: b"d" * 32}, 2)
TODAY = dt.date(2026, 11, 20)


async def ask(db: Database, query: InquiryByCode | InquiryByName, *, request_id: bytes = bytes(16)) -> Answered:
    """One question, as a worker asks it."""
    if isinstance(query, InquiryByCode):
        (found,) = await look_up_by_code(
            db, parties=["mlit"], request_ids=[request_id], tokens=[code_token(KEYS.index_key, query.code)], today=TODAY
        )
        return answer_by_code(query, found.row, KEYS)
    tokens = query_tokens(KEYS.index_key, query.name, query.address, query.birth)
    (by_name,) = await look_up_by_name(db, parties=["mlit"], request_ids=[request_id], tokens=[tokens], today=TODAY)
    return answer_by_name(query, by_name.rows, KEYS, history=True)
