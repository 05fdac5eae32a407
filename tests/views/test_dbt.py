"""dbt's schema.yml: every column described, keys and closed lists tested."""

from __future__ import annotations

from typing import Any

import yaml
from stub_tagger import VOCABULARY

from jeans_udf.errors import REASONS
from jeans_udf.schemas import garments_schema
from jeans_udf.table_names import parse_output
from jeans_udf.views.dbt import schema_yml
from jeans_udf.views.publishing import VIEWS, Publication


def columns(described: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [one for one in described if one["name"] == name]
    return {column["name"]: column for column in found["columns"]}


def test_descriptions_and_tests() -> None:
    text = schema_yml(parse_output("main.shop"), garments_schema(VOCABULARY))
    whole = yaml.safe_load(text)
    source, views = whole["sources"]
    assert (source["database"], source["schema"]) == ("main", "shop")
    garments = columns(source["tables"], "garments")
    assert garments["garment_id"]["data_tests"] == ["not_null", "unique"]
    assert garments["wash"]["data_tests"] == [
        {"accepted_values": {"arguments": {"values": ["dark", "light"]}}}
    ]
    assert garments["category"]["data_tests"] == [
        {"accepted_values": {"arguments": {"values": ["jeans", "shorts"]}}}
    ]
    status = columns(source["tables"], "image_status")
    assert status["reason"]["data_tests"] == [
        {"accepted_values": {"arguments": {"values": list(REASONS)}}}
    ]
    detections = columns(source["tables"], "image_detections")
    assert detections["image_id"]["data_tests"] == ["not_null", "unique"]
    tokens = columns(source["tables"], "product_token_embeddings")
    # A key of two columns: neither is unique by itself.
    assert tokens["text_sha256"]["data_tests"] == tokens["token_no"]["data_tests"] == ["not_null"]
    assert {view["name"] for view in views["tables"]} == set(VIEWS)
    assert (views["database"], views["schema"]) == ("main", "shop")
    products = columns(views["tables"], "product_attributes")
    assert products["product_id"]["data_tests"] == ["not_null", "unique"]
    every = [column for part in (source, views) for table in part["tables"]
             for column in table["columns"]]  # fmt: skip
    assert all(column["description"] for column in every)


def test_a_directory_has_no_schema() -> None:
    output, garments = parse_output("/data/out"), garments_schema(VOCABULARY)
    whole = yaml.safe_load(schema_yml(output, garments))
    assert all("schema" not in source for source in whole["sources"])
    into = Publication(into=parse_output("analytics"))
    tables, views = yaml.safe_load(schema_yml(output, garments, into))["sources"]
    assert "schema" not in tables and views["schema"] == "analytics"


def test_tables_that_are_not_there_are_left_out() -> None:
    garments = garments_schema(VOCABULARY)
    text = schema_yml(parse_output("shop"), garments, present=["garments", "image_status"])
    source, _ = yaml.safe_load(text)["sources"]
    assert [table["name"] for table in source["tables"]] == ["image_status", "garments"]
